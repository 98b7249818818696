//! BADGE (Ash, Zhang, Krishnamurthy, Langford and Agarwal, ICLR 2020): films that would change the head most, each in
//! another way.
//!
//! A film's gradient embedding is the gradient of the log-loss with respect to the head's weights if its likeliest class
//! were its label: the outer product `(p - onehot) x features`. Films are drawn by k-means++ on these: the first is the one
//! of the longest gradient, each further one with a probability in proportion to its squared distance to the nearest of
//! those drawn. Products of such embeddings are the products of their two factors', so none is ever stored.
//!
//! All features have one length, so with two classes the first film of a batch is the least confident one: films that are
//! read one at a time, each after a new ranking, are chosen as by least confidence, and only those of a batch differ from one
//! another. With more classes the gradient is longer the larger the likeliest of the others.

use rand_core::Rng;

use super::pool::{Pool, Ranked};
use super::reason::Reason;
use crate::features::Embeddings;
use crate::features::dot;
use crate::rng;
use crate::stats::argmax;

/// Ranks up to `count` candidates.
pub(crate) fn rank(pool: &Pool<'_>, count: usize, seed: u64) -> Vec<Ranked> {
    let mut random = rng::stream(seed, "badge", &[]);
    select(pool, count, &mut || rng::unit_of_bits(random.next_u64()))
}

/// Selects up to `count` candidates; `draw` gives a number in `[0, 1)` for each but the first.
///
/// A draw falls on the first film, in the order of ids, below which more than that share of all squared distances lies.
/// Films of no usable gradient, or at one place with films already drawn, come last, in the order of ids.
pub(super) fn select(pool: &Pool<'_>, count: usize, draw: &mut dyn FnMut() -> f64) -> Vec<Ranked> {
    let gradients = Gradients::of(pool);
    let mut left = vec![true; gradients.films.len()];
    // An unusable gradient is at no distance from anything: its film is never drawn.
    let usable = |squared: f64| if squared.is_finite() { squared } else { 0.0 };
    let mut nearest: Vec<f64> = gradients.squares.iter().copied().map(usable).collect();
    let mut selected = Vec::with_capacity(count.min(left.len()));
    while selected.len() < count.min(left.len()) {
        let drawn = if selected.is_empty() { longest(&nearest) } else { drawn(&nearest, draw) };
        let Some(place) = drawn.or_else(|| left.iter().position(|&left| left)) else { break };
        let distance = nearest[place].sqrt() as f32;
        let reason = Reason::Gradient { distance };
        selected.push(Ranked { index: gradients.films[place], score: distance, reason });
        left[place] = false;
        for (other, nearest) in nearest.iter_mut().enumerate() {
            let first = selected.len() == 1;
            // No nearer than the lengths differ; what is at distance zero stays there too.
            let apart = gradients.lengths[place] - gradients.lengths[other];
            if first || apart * apart < *nearest {
                let squared = usable(gradients.squared_distance(place, other));
                *nearest = if first { squared } else { nearest.min(squared) };
            }
        }
        nearest[place] = 0.0;
    }
    selected
}

/// Returns the place of the largest value, the first of equals; `None` if none is above zero.
fn longest(values: &[f64]) -> Option<usize> {
    argmax(values).filter(|&place| values[place] > 0.0)
}

/// Draws a place in proportion to the values; `None` if none is above zero.
fn drawn(values: &[f64], draw: &mut dyn FnMut() -> f64) -> Option<usize> {
    let target = draw() * values.iter().sum::<f64>();
    let mut below = 0.0;
    let passed = |value: &f64| {
        below += value;
        *value > 0.0 && below > target
    };
    // Rounding may leave the target at the very end.
    let last = || values.iter().rposition(|&value| value > 0.0);
    values.iter().position(passed).or_else(last)
}

/// The gradient embeddings of a pool's candidates.
struct Gradients<'a> {
    /// In the order of ids.
    films: Vec<usize>,
    features: &'a Embeddings,
    /// Films x classes: probabilities less one for the likeliest.
    residuals: Vec<f32>,
    classes: usize,
    squares: Vec<f64>,
    lengths: Vec<f64>,
}

impl<'a> Gradients<'a> {
    fn of(pool: &Pool<'a>) -> Self {
        let films = pool.candidates_by_id();
        let features = pool.space.features();
        let mut residuals = Vec::with_capacity(films.len() * pool.space.classes());
        let mut squares = Vec::with_capacity(films.len());
        for &film in &films {
            let start = residuals.len();
            residuals.extend_from_slice(pool.probabilities_of(film));
            residuals.resize(start + pool.space.classes(), f32::NAN);
            let residual = &mut residuals[start..];
            if let Some(class) = argmax(residual) {
                residual[class] -= 1.0;
            }
            let row = features.row(film);
            squares.push(f64::from(dot(residual, residual)) * f64::from(dot(&row, &row)));
        }
        let lengths = squares.iter().map(|square| square.sqrt()).collect();
        Self { films, features, residuals, classes: pool.space.classes(), squares, lengths }
    }

    fn squared_distance(&self, a: usize, b: usize) -> f64 {
        let residual = |place: usize| &self.residuals[place * self.classes..][..self.classes];
        let row = |place: usize| self.features.row(self.films[place]);
        let product = f64::from(dot(residual(a), residual(b))) * f64::from(dot(&row(a), &row(b)));
        let squared = self.squares[a] + self.squares[b] - 2.0 * product;
        // Not `max`, which would hide a NaN.
        if squared < 0.0 { 0.0 } else { squared }
    }
}
