//! What a simulation is asked to do.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use super::method::Method;
use crate::dataset::films::FilmSet;
use crate::query::Strategy;

/// What is bought, learnt and measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where labels are bought and what is measured on.
    pub films: Source,
    /// How films are cut into the pool and those to measure on.
    pub cut: Cut,
    /// Name of the pretrained model.
    pub model: String,
    /// Numbers of labels to measure at.
    pub budgets: Vec<Budget>,
    /// Ways of choosing films.
    pub strategies: Vec<Strategy>,
    /// Ways of learning.
    pub methods: Vec<Method>,
    /// Draws of labels, each with a seed of its own.
    pub draws: u64,
    /// Optimisation seeds for each draw.
    pub seeds: u64,
    /// Labels bought between two rankings; without it one, and a 250th of the labels from 500 labels on.
    pub round: Option<usize>,
    /// Seconds that a reader is taken to need for a film.
    pub seconds_per_film: f64,
    /// Folder for the results and for every cell.
    pub out: Option<PathBuf>,
}

/// Where the films of a simulation are.
#[derive(Clone, Debug)]
pub enum Source {
    /// The shipped films.
    Demo,
    /// Films with labels files.
    Listed {
        /// Films whose labels can be bought.
        pool: FilmSet,
        /// Films to measure on; without them some of the pool's are kept back.
        evaluation: Option<FilmSet>,
    },
}

impl Source {
    /// Returns the split of the labels file that the pool is.
    pub fn split(&self) -> Option<&str> {
        match self {
            Self::Demo => None,
            Self::Listed { pool, .. } => pool.split.as_deref(),
        }
    }
}

/// How films are cut.
#[derive(Clone, Debug)]
pub struct Cut {
    /// By what; as given if films to measure on are given, else by patient.
    pub kind: Option<SplitKind>,
    /// Seed of the cuts.
    pub seed: u64,
    /// Number of cuts, each with draws of its own.
    pub repeats: u64,
    /// Share of films to measure on; as given, else a fifth.
    pub evaluation_share: Option<f32>,
}

/// How films are cut into the pool and the evaluation films.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitKind {
    /// As the labels file or the folders say.
    File,
    /// Anew by patient: none is in both parts.
    Patient,
    /// Anew film by film: a patient may be in both parts.
    Random,
}

impl fmt::Display for SplitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "as given",
            Self::Patient => "by patient",
            Self::Random => "by film",
        })
    }
}

/// A number of labels to measure at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Budget {
    /// So many labels.
    Labels(usize),
    /// The labels of the whole pool, which no strategy has to choose.
    All,
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let labels = text.parse().ok().filter(|&labels| labels > 0);
        labels.map(Self::Labels).ok_or_else(|| "a budget is a number of labels or all".to_owned())
    }
}
