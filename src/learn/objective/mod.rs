//! What pretraining minimises: NT-Xent, VICReg or BYOL, each with the state that it keeps besides the weights.
//!
//! Both views of a batch go through the network in one pass, so its batch norms see them together, as in SimCLR; the
//! reference codes of VICReg and BYOL pass them one after the other.

pub mod byol;
mod learner;
mod queue;
mod target;
#[cfg(test)]
mod tests;
pub mod vicreg;

pub use learner::{Learner, Perceptron};

use std::path::Path;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use self::queue::Queue;
use self::target::Target;
use super::LearnError;
use super::nt_xent::contrastive;

/// Which loss, and its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum ObjectiveConfig {
    /// NT-Xent (<https://arxiv.org/abs/2002.05709>).
    Simclr {
        /// Temperature, above 0.
        temperature: f32,
        /// Leaves the positive out of the denominator (<https://arxiv.org/abs/2110.06848>).
        decoupled: bool,
        /// Keys of earlier batches that serve as further negatives (<https://arxiv.org/abs/1911.05722>); 0 for none.
        queue: usize,
        /// Momentum, in 0..=1, of the average of the network that makes the keys.
        momentum: f64,
    },
    /// VICReg (<https://arxiv.org/abs/2105.04906>).
    Vicreg {
        /// Weight of the distance between the views of a film.
        invariance: f32,
        /// Weight of the hinge on the standard deviation of each dimension.
        variance: f32,
        /// Weight of the covariances between dimensions.
        covariance: f32,
    },
    /// BYOL (<https://arxiv.org/abs/2006.07733>).
    Byol {
        /// Momentum of the target at the first step, in 0..=1; it rises to 1 with half a cosine.
        momentum: f64,
    },
}

/// Loss of a batch.
pub struct Outcome {
    /// Shape `[1]`.
    pub loss: Tensor<1>,
    /// What the contrastive accuracy is computed from, shape `[2n, 2n]`; only NT-Xent has it.
    pub similarities: Option<Tensor<2>>,
}

/// A loss and the state that it keeps besides the weights: a target network, a queue of keys.
pub struct Objective {
    config: ObjectiveConfig,
    target: Option<Target>,
    queue: Option<Queue>,
}

impl Objective {
    /// Starts with a target that equals the network, and with an empty queue. `device` is the learner's.
    pub fn new(config: &ObjectiveConfig, learner: &Learner, device: &Device) -> Self {
        let queue = match config {
            ObjectiveConfig::Simclr { queue, .. } if *queue > 0 => Some(Queue::new(*queue)),
            _ => None,
        };
        let follows = queue.is_some() || matches!(config, ObjectiveConfig::Byol { .. });
        let target = follows.then(|| Target::new(&learner.network, device));
        Self { config: config.clone(), target, queue }
    }

    /// Computes the loss of a batch, or of a part of it on a copy of the learner, which may be on another device.
    ///
    /// # Shapes
    /// `[2n, 1, size, size]`: the first views of n films, then their second views.
    pub fn loss(&mut self, learner: &Learner, views: Tensor<4>) -> Outcome {
        match self.config {
            ObjectiveConfig::Simclr { temperature, decoupled, .. } => {
                let keys = self.keys(&views);
                let projections = learner.network.project(views);
                let contrast = contrastive(projections, temperature, decoupled, keys);
                Outcome { loss: contrast.loss, similarities: Some(contrast.similarities) }
            }
            ObjectiveConfig::Vicreg { invariance, variance, covariance } => {
                let terms = vicreg::terms(learner.expand(views));
                let loss = terms.invariance.mul_scalar(invariance)
                    + terms.variance.mul_scalar(variance)
                    + terms.covariance.mul_scalar(covariance);
                Outcome { loss, similarities: None }
            }
            ObjectiveConfig::Byol { .. } => {
                let online = learner.predict(views.clone());
                // There is always a target here; without one the views would have to predict themselves.
                let target = match &self.target {
                    Some(target) => target.project(views),
                    None => learner.network.project(views).inner(),
                };
                let loss = byol::loss(online, Tensor::from_inner(target));
                Outcome { loss, similarities: None }
            }
        }
    }

    /// Takes the second views' keys down for the queue and returns those of earlier batches.
    fn keys(&mut self, views: &Tensor<4>) -> Option<Tensor<2>> {
        let (Some(target), Some(queue)) = (&self.target, &mut self.queue) else { return None };
        let n = views.dims()[0] / 2;
        queue.wait(target.project(views.clone().narrow(0, n, n)));
        let device = views.device().inner();
        queue.keys().map(|keys| Tensor::from_inner(keys.to_device(&device)))
    }

    /// Follows the optimiser's step number `step`, from 1, of `steps`: the target moves, then the queue takes the keys of
    /// the batch in.
    pub fn stepped(&mut self, learner: &Learner, step: u64, steps: u64) {
        let momentum = match self.config {
            ObjectiveConfig::Byol { momentum } => {
                byol::momentum(momentum, step.saturating_sub(1), steps)
            }
            ObjectiveConfig::Simclr { momentum, .. } => momentum,
            ObjectiveConfig::Vicreg { .. } => return,
        };
        if let Some(target) = &mut self.target {
            target.follow(&learner.network, momentum);
        }
        if let Some(queue) = &mut self.queue {
            queue.take_in();
        }
    }

    /// Writes the state into a folder that exists, and makes sure that it is on disk.
    ///
    /// # Errors
    /// Fails if it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), LearnError> {
        if let Some(target) = &self.target {
            target.save(folder)?;
        }
        if let Some(queue) = &self.queue {
            queue.save(folder)?;
        }
        Ok(())
    }

    /// Takes up the state that [`Objective::save`] has written.
    ///
    /// # Errors
    /// Fails if it cannot be read or is of another network.
    pub fn restore(&mut self, folder: &Path) -> Result<(), LearnError> {
        if let Some(target) = &mut self.target {
            target.restore(folder)?;
        }
        if let (Some(target), Some(queue)) = (&self.target, &mut self.queue) {
            queue.restore(folder, target.device())?;
        }
        Ok(())
    }
}

/// Says why the state in a folder cannot be used.
fn failed<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> LearnError + use<E> {
    let path = path.to_path_buf();
    move |fault| LearnError::Checkpoint { fault: fault.to_string(), path: path.clone() }
}
