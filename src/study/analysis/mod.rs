//! What the researcher asks of a session, computed from its labels and the films' features.

pub mod counterfactual;
pub mod film_map;
mod replay;

pub use counterfactual::{Arm, Counterfactual, Outcome};
pub use film_map::FilmMap;
pub use replay::{Analysis, analyse};

use super::{Embedded, LabelSet};
use crate::dataset::{FilmId, Flow, Labelled};
use crate::features::DEFAULT_L2;

/// What an analysis is made from. It stands on the *pretrained* encoder's features: a fine-tuned one has learnt from labels
/// that came later.
#[derive(Debug)]
pub struct Task {
    /// The pretrained model's features.
    pub base: Embedded,
    /// Identity of each film of the pool.
    pub ids: Vec<FilmId>,
    /// The labels.
    pub labels: LabelSet,
    /// Index of the class that AUROC and sensitivity are about.
    pub positive: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Task {
    /// Returns the labels that can be learnt from, in the order in which they came.
    fn labelled(&self) -> Labelled {
        let LabelSet { rows, classes, .. } = &self.labels;
        self.base.space.learnable(&Labelled { rows: rows.clone(), classes: classes.clone() })
    }

    /// Returns the head's penalty for a replay: that of all labels, so that it is the same for all of it. Where `observe` ends
    /// the choice, it ends the replay too.
    fn penalty(&self, labelled: &Labelled, observe: &mut dyn FnMut() -> Flow) -> f32 {
        self.base.space.penalty(labelled, observe).unwrap_or(DEFAULT_L2)
    }
}
