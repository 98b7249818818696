//! SimCLR and AdamW behind the interface that other objectives share.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::PretrainConfig;
use crate::learn::nt_xent::{contrastive_accuracy, nt_xent};
use crate::learn::{LearnError, read};
use crate::model::Pretrained;

#[derive(Module, Debug)]
pub(super) struct Learner {
    pub network: Pretrained,
}

pub(super) struct Outcome {
    pub loss: Tensor<1>,
    pub accuracy: Tensor<1>,
}

pub(super) struct Objective {
    temperature: f32,
}

impl Learner {
    pub fn init(config: &PretrainConfig, device: &Device) -> Self {
        Self { network: Pretrained::init(&config.architecture, config.seed, device) }
    }
}

impl Objective {
    pub fn new(config: &PretrainConfig) -> Self {
        Self { temperature: config.temperature }
    }

    pub fn loss(&mut self, learner: &Learner, views: Tensor<4>) -> Outcome {
        let n = views.dims()[0] / 2;
        let contrast = nt_xent(learner.network.project(views), self.temperature);
        let similarities = read(contrast.similarities.inner()).unwrap_or_default();
        let accuracy = contrastive_accuracy(&similarities, n);
        let accuracy = Tensor::from_floats([accuracy], &contrast.loss.device().inner());
        Outcome { loss: contrast.loss, accuracy }
    }

    pub fn stepped(&mut self, _: &Learner, _: u64, _: u64) {}

    pub fn save(&self, _: &Path) -> Result<(), LearnError> {
        Ok(())
    }

    pub fn restore(&mut self, _: &Path, _: &Learner) -> Result<(), LearnError> {
        Ok(())
    }
}
