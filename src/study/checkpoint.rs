//! Figures on the way through a session.

use crate::learn::figures::Figures;

/// Figures after so many labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpoint {
    /// Labels with a class.
    pub labels: usize,
    /// The figures.
    pub figures: Figures,
}

/// Predictions of films with a known class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// Rows of the pool; empty for reference films.
    pub rows: Vec<usize>,
    /// Class probabilities, films x classes, row-major.
    pub probabilities: Vec<f32>,
    /// Class of each film.
    pub truth: Vec<usize>,
}
