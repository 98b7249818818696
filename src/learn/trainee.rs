//! A classifier in training: the step that supervised and semi-supervised learning share.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::ema::Ema;
use super::optimizer::{LayerRates, Moments, Optimizer, OptimizerConfig};
use super::{LearnError, read, weighted_cross_entropy};
use crate::dataset::Labelled;
use crate::model::Classifier;
use crate::rng;

/// How a classifier's weights move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What moves them.
    pub optimizer: OptimizerConfig,
    /// Peak learning rate of the encoder's last block.
    pub rate: f64,
    /// The head learns this many times as fast, but not with LARS.
    pub head_factor: f64,
    /// Each block learns this many times as fast as the one after it, in 0..=1, but not with LARS.
    pub layer_decay: f64,
    /// Decay of the average of weights, which is what is kept; early steps decay faster.
    pub ema: f64,
    /// Whether batch norms use and keep the statistics of the start. Pretraining has good ones and a small batch has
    /// not; random weights have none, and theirs are the batch's.
    pub freeze_statistics: bool,
}

impl Recipe {
    /// From a pretrained encoder: AdamW without decay, a fast head, the statistics of pretraining.
    pub fn from_encoder() -> Self {
        Self {
            optimizer: OptimizerConfig::Adamw { weight_decay: 0.0 },
            rate: 3e-4,
            head_factor: 10.0,
            layer_decay: 1.0,
            ema: 0.999,
            freeze_statistics: true,
        }
    }

    /// From random weights: FixMatch's gradient descent with momentum (google-research/fixmatch, `fixmatch.py`).
    pub fn from_scratch() -> Self {
        Self {
            optimizer: OptimizerConfig::Sgd { weight_decay: 5e-4, momentum: 0.9 },
            rate: 0.03,
            head_factor: 1.0,
            layer_decay: 1.0,
            ema: 0.999,
            freeze_statistics: false,
        }
    }
}

impl Recipe {
    /// Makes a plain network one that learns.
    fn in_training(&self, model: Classifier) -> Classifier {
        let model = model.train();
        if self.freeze_statistics {
            // Batch norms whose weights are frozen stay in evaluation mode; the weights go on learning.
            model.freeze().set_require_grad(true)
        } else {
            model
        }
    }

    fn rates(&self, model: &Classifier) -> LayerRates {
        let blocks = model.encoder.block_count();
        LayerRates { head: self.head_factor, decay: self.layer_decay, blocks }
    }
}

/// A classifier with its optimiser and the average of its weights.
pub(super) struct Trainee {
    model: Classifier,
    optimizer: Optimizer,
    average: Ema<Classifier>,
    training: Device,
    /// Logits are divided by it and the loss multiplied by its square, as distillation asks for.
    pub(super) temperature: f32,
    /// Steps done.
    pub(super) step: u64,
}

impl Trainee {
    /// Starts from a network, on its plain device or the one to learn on.
    pub(super) fn new(start: &Classifier, recipe: &Recipe, device: &Device) -> Self {
        let model = recipe.in_training(start.valid());
        Self {
            average: Ema::new(&model, recipe.ema),
            optimizer: Optimizer::with_rates(&recipe.optimizer, recipe.rates(&model)),
            model,
            training: device.clone().inner().autodiff(),
            temperature: 1.0,
            step: 0,
        }
    }

    /// The device that batches to learn from are made on.
    pub(super) fn device(&self) -> &Device {
        &self.training
    }

    /// The network as it is.
    pub(super) fn model(&self) -> &Classifier {
        &self.model
    }

    /// Takes one step down the [`weighted_cross_entropy`] of films and their targets, row-major, and returns the loss.
    ///
    /// # Errors
    /// Fails if the device failed or if the loss is no longer a number.
    pub(super) fn learn(
        &mut self,
        films: Tensor<4>,
        targets: Vec<f32>,
        rate: f64,
    ) -> Result<f32, LearnError> {
        let logits = self.model.forward(films);
        let targets = TensorData::new(targets, logits.dims());
        let targets = Tensor::<2>::from_data(targets, &self.training);
        let scale = self.temperature;
        let loss =
            weighted_cross_entropy(logits.div_scalar(scale), targets).mul_scalar(scale * scale);
        let value = read(loss.clone().inner())?[0];
        if !value.is_finite() {
            return Err(LearnError::NotANumber { step: self.step });
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
        self.model = self.optimizer.step(rate, self.model.clone(), gradients);
        self.average.update(&self.model);
        self.step += 1;
        Ok(value)
    }

    /// Everything that [`Self::restore`] needs: the network, its average, and the optimiser's two moments, all plain, and
    /// the steps that the optimiser has taken.
    pub(super) fn saved(&self) -> Option<([Classifier; 4], usize)> {
        let Moments { first, second, steps } = self.optimizer.moments(&self.model);
        // Batch norms hold back their last update until they are asked for a copy.
        Some(([self.model.valid(), self.average()?.valid(), first, second], steps))
    }

    /// Goes on from what [`Self::saved`] gave, loaded into networks of the same shape.
    pub(super) fn restore(
        &mut self,
        [model, average, first, second]: [Classifier; 4],
        optimizer_steps: usize,
        recipe: &Recipe,
    ) {
        self.optimizer.restore(&Moments { first, second, steps: optimizer_steps });
        self.model = recipe.in_training(model);
        self.average = Ema::resume(average, recipe.ema, self.step);
    }

    /// The averaged network as it is now, on the plain device.
    pub(super) fn average(&self) -> Option<&Classifier> {
        self.average.model()
    }

    /// Returns the averaged network, on the plain device.
    pub(super) fn into_average(self) -> Option<Classifier> {
        self.average.into_model()
    }
}

/// Returns the targets of labelled rows, row-major: `weight` for the class and 0 for the others; zeros for a row without a
/// label.
pub(super) fn label_targets(
    labelled: &Labelled,
    rows: &[usize],
    classes: usize,
    weight: f32,
) -> Vec<f32> {
    let class_of: BTreeMap<usize, usize> =
        labelled.rows.iter().copied().zip(labelled.classes.iter().copied()).collect();
    let mut targets = vec![0.0; rows.len() * classes];
    for (position, row) in rows.iter().enumerate() {
        if let Some(&class) = class_of.get(row) {
            targets[position * classes + class] = weight;
        }
    }
    targets
}

/// Draws `steps` batches of `batch` rows: all rows in random order, then again in another, without a break between. There
/// must be a row.
pub(super) fn batches(
    rows: &[usize],
    batch: usize,
    steps: u64,
    seed: u64,
    purpose: &str,
) -> Vec<Vec<usize>> {
    let total = batch * steps as usize;
    let mut all = Vec::with_capacity(total + rows.len());
    for pass in 0.. {
        if all.len() >= total || rows.is_empty() {
            break;
        }
        let start = all.len();
        all.extend_from_slice(rows);
        rng::shuffle(&mut rng::stream(seed, purpose, &[pass]), &mut all[start..]);
    }
    all.truncate(total);
    all.chunks(batch.max(1)).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_weigh_the_class_of_each_row() {
        let labelled = Labelled { rows: vec![4, 2], classes: vec![1, 0] };
        let found = label_targets(&labelled, &[2, 3, 4], 2, 0.5);
        assert_eq!(found, [0.5, 0.0, 0.0, 0.0, 0.0, 0.5]);
    }

    #[test]
    fn every_row_comes_once_a_pass_and_batches_are_whole() {
        let rows: Vec<usize> = (10..17).collect();
        let drawn = batches(&rows, 5, 14, 3, "test");
        assert!(drawn.len() == 14 && drawn.iter().all(|batch| batch.len() == 5));
        let all = drawn.concat();
        for pass in all.chunks(7) {
            let mut sorted = pass.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, rows);
        }
        assert_ne!(all[..7], all[7..14]);
        assert_eq!(
            batches(&rows, 5, 2, 3, "test").concat(),
            all[..10],
            "a shorter run begins alike"
        );
        assert!(batches(&[], 5, 2, 3, "test").is_empty());
    }
}
