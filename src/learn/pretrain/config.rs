//! How to pretrain, and where checkpoints go.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::imaging::Augment;
use crate::learn::objective::ObjectiveConfig;
use crate::learn::optimizer::OptimizerConfig;
use crate::learn::schedule::Scaling;
use crate::model::Architecture;

/// How to pretrain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// Shape of the encoder.
    pub architecture: Architecture,
    /// Edge of a view in pixels.
    pub size: u32,
    /// Passes over the films.
    pub epochs: u32,
    /// Films in a step; each gives two views.
    pub batch: usize,
    /// Equal parts that a batch is computed in, one after the other or on several devices; their gradients are
    /// averaged. Batch norms and contrastive losses see one part at a time.
    pub micro_batches: usize,
    /// What is minimised.
    pub objective: ObjectiveConfig,
    /// What moves the weights.
    pub optimizer: OptimizerConfig,
    /// Learning rate before scaling.
    pub rate: f64,
    /// How the learning rate grows with the batch.
    pub scaling: Scaling,
    /// Epochs of linear warm-up.
    pub warmup_epochs: u32,
    /// How a view is made.
    pub augment: Augment,
    /// Seed of weights, order and views.
    pub seed: u64,
}

impl PretrainConfig {
    /// Films in a part of a batch.
    pub fn micro_batch(&self) -> usize {
        self.batch / self.micro_batches.max(1)
    }
}

/// Where checkpoints go, how often, and whether to start from the one that is there.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// Folder of the checkpoint.
    pub folder: PathBuf,
    /// Start from it if it is there.
    pub resume: bool,
    /// Steps between two checkpoints within an epoch; without, one is written every five minutes. There is one at the
    /// end of each epoch in any case.
    pub every: Option<u64>,
}
