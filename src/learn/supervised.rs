//! Learning from labels alone, from random weights or any others: what every other use of the films has to beat.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::schedule::{WarmupCosine, warmup_steps};
use super::trainee::{Recipe, Trainee, batches, label_targets};
use super::{Flow, LearnError, Pace, Setting, StepReport, films};
use crate::dataset::Labelled;
use crate::dataset::batches::{Epoch, Loader};
use crate::imaging::{Augment, RandAugment};
use crate::model::Classifier;

/// How to learn from labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisedConfig {
    /// Edge of a film in pixels.
    pub size: u32,
    /// The fewest steps.
    pub steps: u64,
    /// The fewest passes over the labelled films; with many labels they take more steps than [`Self::steps`].
    pub passes: u64,
    /// Films in a step.
    pub batch: usize,
    /// How the weights move; after its warm-up the rate falls by half a cosine to zero.
    pub recipe: Recipe,
    /// Share of the steps in which the rate rises, in 0..1.
    pub warmup: f64,
    /// How a film is varied.
    pub augment: Augment,
    /// Share of the steps, the last ones, in which films are varied by [`Self::last_augment`], in 0..=1.
    pub last_share: f64,
    /// How a film is varied at the end: strong views are unlike the films to be predicted, and a network that has seen no
    /// others puts its threshold beside theirs (He et al. 2019, "Data augmentation revisited", arXiv 1909.09148).
    pub last_augment: Augment,
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
            passes: 40,
            batch: 32,
            recipe: Recipe::from_encoder(),
            warmup: 0.05,
            augment: Augment { strong: Some(RandAugment::fixmatch()), ..Augment::simclr() },
            last_share: 0.25,
            last_augment: Augment::moderate(),
            seed,
        }
    }

    /// Returns the steps of a run with this many labels.
    pub fn steps_with(&self, labels: usize) -> u64 {
        self.steps.max((self.passes * labels as u64).div_ceil(self.batch.max(1) as u64))
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
    let steps = config.steps_with(labelled.rows.len());
    let warmup = warmup_steps(config.warmup, steps);
    // The last step's rate is zero: one that is the only step would learn nothing.
    let schedule = WarmupCosine { peak: config.recipe.rate, warmup, total: steps.max(2) };
    let count = labelled.rows.len() as u64;
    let mut pace = Pace::new(0);
    for drawn in phases(labelled, config, steps) {
        for batch in Loader::start(Arc::clone(setting.store), drawn, 1)? {
            let views = batch.count;
            let weight = (views as f32).recip();
            let targets = label_targets(labelled, &batch.indices, setting.classes, weight);
            let films = films(batch, trainee.device());
            let loss = trainee.learn(films, targets, schedule.rate(trainee.step + 1))?;
            let step = trainee.step;
            let (images_per_second, seconds_left) = pace.after(views, step, steps);
            let seen = |steps: u64| steps * config.batch as u64;
            let report = StepReport {
                step,
                steps,
                epoch: (seen(step - 1) / count) as u32,
                epochs: seen(steps).div_ceil(count) as u32,
                loss,
                accuracy: None,
                images_per_second,
                seconds_left,
            };
            pace.tell(observe, &report)?;
        }
    }
    trainee
        .into_average()
        .ok_or_else(|| LearnError::TooLittle("there are no steps to learn in".to_owned()))
}

/// Returns what is drawn in the first steps and in the last ones.
fn phases(labelled: &Labelled, config: &SupervisedConfig, steps: u64) -> [Epoch; 2] {
    let mut first = batches(&labelled.rows, config.batch, steps, config.seed, "supervised");
    let last = first.split_off(((1.0 - config.last_share) * steps as f64).round() as usize);
    let phase = |batches, augment: &Augment, epoch| Epoch {
        batches,
        views: vec![augment.clone()],
        size: config.size,
        seed: config.seed,
        epoch,
    };
    [phase(first, &config.augment, 0), phase(last, &config.last_augment, 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_labels_take_more_steps_and_few_take_the_fewest() {
        let config = SupervisedConfig::from_scratch(64, 0);
        // 1,500 steps of 32 are 40 passes over 1,200 films.
        assert_eq!([2, 1200, 1201, 4708].map(|n| config.steps_with(n)), [1500, 1500, 1502, 5885]);
    }

    #[test]
    fn the_last_quarter_of_the_steps_is_drawn_without_strong_views() {
        let config = SupervisedConfig { batch: 3, ..SupervisedConfig::from_scratch(64, 5) };
        let labelled = Labelled { rows: (0..7).collect(), classes: vec![0; 7] };
        let [first, last] = phases(&labelled, &config, 10);
        assert_eq!((first.batches.len(), last.batches.len()), (8, 2));
        assert!(first.views[0].strong.is_some() && last.views[0].strong.is_none());
        let whole = batches(&labelled.rows, 3, 10, 5, "supervised");
        assert_eq!([first.batches, last.batches].concat(), whole, "no film is left out between");
        assert_ne!(first.epoch, last.epoch, "views of their own");
    }
}
