//! A ranking of the pool.

use crate::learn::metrics::Metrics;
use crate::query::{Ranked, Strategy};

/// The unlabelled pool in the order in which it is to be read, with what the model holds of it.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// [`LabelSet::version`](super::LabelSet::version) that this ranking was made from.
    pub version: u64,
    /// Labels with a class that it was made from.
    pub labels: usize,
    /// Name of the model whose embeddings it was made from.
    pub model: String,
    /// Strategy that was asked for.
    pub asked: Strategy,
    /// Strategy that made it: another one as long as what that needs is not there.
    pub strategy: Strategy,
    /// Whether the head's penalty is the one that these labels call for; where not, the ranking that it is follows.
    pub settled: bool,
    /// The head's penalty.
    pub penalty: f32,
    /// Rows in reading order, best first; at most a few hundred.
    pub order: Vec<Ranked>,
    /// Class probabilities of every row of the pool, row-major.
    pub probabilities: Vec<f32>,
    /// How the head does on the reference set, where there is one; with more than two classes AUROC is the mean of each
    /// class against the others.
    pub reference: Option<Metrics>,
    /// Milliseconds that refit and re-rank took.
    pub milliseconds: f32,
}
