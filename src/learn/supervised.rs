//! Learning from labels alone, from random weights or any others: what every other use of the films has to beat.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::finetune::Labelled;
use super::schedule::{WarmupCosine, warmup_steps};
use super::trainee::{Recipe, Trainee, batches, label_targets};
use super::{Flow, LearnError, Pace, Setting, StepReport, films};
use crate::dataset::batches::{Epoch, Loader};
use crate::imaging::{Augment, RandAugment};
use crate::model::Classifier;

/// How to learn from labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisedConfig {
    /// Edge of a film in pixels.
    pub size: u32,
    /// Steps.
    pub steps: u64,
    /// Films in a step.
    pub batch: usize,
    /// How the weights move; after its warm-up the rate falls by half a cosine to zero.
    pub recipe: Recipe,
    /// Share of the steps in which the rate rises, in 0..1.
    pub warmup: f64,
    /// How a film is varied.
    pub augment: Augment,
    /// Seed of order and views.
    pub seed: u64,
}

impl SupervisedConfig {
    /// Returns the settings for a start from random weights with this input size.
    pub fn from_scratch(size: u32, seed: u64) -> Self {
        Self { recipe: Recipe::from_scratch(), warmup: 0.0, ..Self::from_encoder(size, seed) }
    }

    /// Returns the settings for a start from a pretrained encoder with this input size.
    pub fn from_encoder(size: u32, seed: u64) -> Self {
        Self {
            size,
            steps: 1500,
            batch: 32,
            recipe: Recipe::from_encoder(),
            warmup: 0.05,
            augment: Augment { strong: Some(RandAugment::fixmatch()), ..Augment::simclr() },
            seed,
        }
    }
}

/// Teaches one network the labels in `labelled` and returns its average, on the plain device.
///
/// # Errors
/// Fails if fewer than two classes have a label, if the observer stops it, or if the loss is no longer a number.
pub fn supervised(
    setting: &Setting<'_>,
    labelled: &Labelled,
    config: &SupervisedConfig,
    observe: &mut dyn FnMut(&StepReport) -> Flow,
) -> Result<Classifier, LearnError> {
    if labelled.classes.windows(2).all(|pair| pair[0] == pair[1]) {
        return Err(LearnError::TooLittle("learning needs labels of two classes".to_owned()));
    }
    let mut trainee = Trainee::new(&setting.classifier(labelled), &config.recipe, setting.device);
    let warmup = warmup_steps(config.warmup, config.steps);
    let schedule = WarmupCosine { peak: config.recipe.rate, warmup, total: config.steps };
    let drawn = Epoch {
        batches: batches(&labelled.rows, config.batch, config.steps, config.seed, "supervised"),
        views: vec![config.augment.clone()],
        size: config.size,
        seed: config.seed,
        epoch: 0,
    };
    let count = labelled.rows.len() as u64;
    let mut pace = Pace::new(0);
    for batch in Loader::start(Arc::clone(setting.store), drawn, 1)? {
        let views = batch.count;
        let weight = (views as f32).recip();
        let targets = label_targets(labelled, &batch.indices, setting.classes, weight);
        let films = films(batch, trainee.device());
        let loss = trainee.learn(films, targets, schedule.rate(trainee.step + 1))?;
        let step = trainee.step;
        let (images_per_second, seconds_left) = pace.after(views, step, config.steps);
        let seen = |steps: u64| steps * config.batch as u64;
        let report = StepReport {
            step,
            steps: config.steps,
            epoch: (seen(step - 1) / count) as u32,
            epochs: seen(config.steps).div_ceil(count) as u32,
            loss,
            accuracy: None,
            images_per_second,
            seconds_left,
        };
        pace.tell(observe, &report)?;
    }
    trainee
        .into_average()
        .ok_or_else(|| LearnError::TooLittle("there are no steps to learn in".to_owned()))
}
