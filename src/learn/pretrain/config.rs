//! How to pretrain, and where checkpoints go.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

    /// Settings in which `other` differs, each with its value here and there; empty if there is none.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        // A number may lose its last bit on its way through a checkpoint's text: this one goes there and back too.
        let text = serde_json::to_string(self).unwrap_or_default();
        let own = serde_json::from_str::<Self>(&text).unwrap_or_else(|_| self.clone());
        let values = [&own, other].map(|config| serde_json::to_value(config).unwrap_or_default());
        let mut found = Vec::new();
        compare("", &values[0], &values[1], &mut found);
        found
    }
}

/// Collects the leaves in which two settings differ, by their path.
fn compare(path: &str, own: &Value, other: &Value, found: &mut Vec<String>) {
    match (own, other) {
        (Value::Object(own), Value::Object(other)) => {
            for (key, value) in own {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, value, other.get(key).unwrap_or(&Value::Null), found);
            }
            for (key, value) in other.iter().filter(|(key, _)| !own.contains_key(*key)) {
                compare(&format!("{path}.{key}"), &Value::Null, value, found);
            }
        }
        _ if own != other => found.push(format!("{path} was {other} and is {own} now")),
        _ => {}
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
