//! FixMatch (Sohn et al. 2020, <https://arxiv.org/abs/2001.07685>): labelled films teach what they are, unlabelled ones
//! that a strong view is what the weak view was surely taken for.
//!
//! Deviations from the reference code (google-research/fixmatch): it may start from a pretrained encoder, whose
//! batch-norm statistics then stay; the weak views of unlabelled films run in a pass of their own without gradient, so
//! that with the batch's statistics these are taken over the labelled and strong views, and over the weak ones
//! separately; batches are small and runs short, for a machine without a graphics card. Predictions are aligned with a
//! prior and pseudo-labels weighed by class unless [`PseudoLabelConfig`] says otherwise.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use super::pseudo_labels::{PseudoLabelConfig, PseudoLabels, label_prior};
use super::schedule::{SevenSixteenths, warmup_steps};
use super::trainee::{Recipe, Trainee, batches, label_targets};
use super::{Flow, LearnError, Pace, Setting, StepReport, films, read};
use crate::dataset::Labelled;
use crate::dataset::batches::{Batch, Epoch, Loader};
use crate::imaging::Augment;
use crate::model::Classifier;

/// Epochs of the two loaders' random streams: a labelled film is seen otherwise as an unlabelled one.
const LABELLED: u64 = 0;
const UNLABELLED: u64 = 1;

/// How to learn from labelled and unlabelled films.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixMatchConfig {
    /// Edge of a film in pixels.
    pub size: u32,
    /// Steps.
    pub steps: u64,
    /// Labelled films in a step.
    pub batch: usize,
    /// Unlabelled films in a step for each labelled one; 7 in the paper.
    pub unlabelled_ratio: usize,
    /// Weight of the unlabelled films' loss; 1 in the paper.
    pub unlabelled_weight: f32,
    /// Which unlabelled films are taught, and as what.
    pub pseudo_labels: PseudoLabelConfig,
    /// How the weights move; the rate falls by seven sixteenths of a half turn.
    pub recipe: Recipe,
    /// Share of the steps in which the rate rises, in 0..1.
    pub warmup: f64,
    /// How a film is varied that teaches its label, or that is asked for one.
    pub weak: Augment,
    /// How a film is varied that is taught its pseudo-label.
    pub strong: Augment,
    /// Seed of order and views.
    pub seed: u64,
}

impl FixMatchConfig {
    /// Returns the settings for a start from a pretrained encoder with this input size.
    pub fn from_encoder(size: u32, seed: u64) -> Self {
        Self {
            size,
            steps: 500,
            batch: 16,
            unlabelled_ratio: 4,
            unlabelled_weight: 1.0,
            pseudo_labels: PseudoLabelConfig::fixed(),
            recipe: Recipe::from_encoder(),
            warmup: 0.05,
            weak: Augment::weak(),
            strong: Augment::strong(),
            seed,
        }
    }

    /// Returns the settings for a start from random weights with this input size.
    pub fn from_scratch(size: u32, seed: u64) -> Self {
        Self { recipe: Recipe::from_scratch(), warmup: 0.0, ..Self::from_encoder(size, seed) }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct FixMatched {
    /// The averaged network, on the plain device.
    pub model: Classifier,
    /// Shares of the unlabelled films that were sure enough and taken for each class, over the last tenth of the steps.
    pub taken: Vec<f32>,
}

/// Teaches one network with the labels in `labelled` and the films `rows` of the store, labelled or not.
///
/// `prior` holds the expected share of each class among `rows`, for alignment and the adaptive threshold; without, it is
/// the labels' own ([`label_prior`]), which is right for labels drawn at random only: of films that a strategy chose the
/// caller gives an estimate.
///
/// # Errors
/// Fails if a class has no label, if there is no film, if the observer stops it, or if the loss is no longer a number.
pub fn fixmatch(
    setting: &Setting<'_>,
    rows: &[usize],
    labelled: &Labelled,
    prior: Option<&[f32]>,
    config: &FixMatchConfig,
    observe: &mut dyn FnMut(&StepReport) -> Flow,
) -> Result<FixMatched, LearnError> {
    let classes = setting.classes;
    check(labelled, rows, classes)?;
    let prior = prior.map_or_else(|| label_prior(labelled, classes), <[f32]>::to_vec);
    let mut chooser = PseudoLabels::new(&config.pseudo_labels, &prior);
    let mut trainee = Trainee::new(&setting.classifier(labelled), &config.recipe, setting.device);
    let schedule = SevenSixteenths {
        peak: config.recipe.rate,
        warmup: warmup_steps(config.warmup, config.steps),
        total: config.steps,
    };
    let mut taken = Taken::new(classes, config.steps);
    let mut pace = Pace::new(0);
    let (taught, asked) = loaders(setting, rows, labelled, config)?;
    for (taught, asked) in taught.zip(asked) {
        let (weak, strong) = halves(asked);
        let logits = if config.recipe.freeze_statistics {
            trainee.model().valid().forward(films(weak, &setting.device.clone().inner()))
        } else {
            trainee.model().forward(films(weak, trainee.device())).inner()
        };
        let chosen = chooser.choose(&read(softmax(logits, 1))?);
        taken.count(trainee.step, &chosen);
        let weight = (taught.count as f32).recip();
        let mut targets = label_targets(labelled, &taught.indices, classes, weight);
        let weight = config.unlabelled_weight / chosen.len() as f32;
        targets.extend(pseudo_targets(&chosen, classes, weight));
        let views = taught.count + 2 * strong.count;
        let device = trainee.device();
        let both = Tensor::cat(vec![films(taught, device), films(strong, device)], 0);
        let loss = trainee.learn(both, targets, schedule.rate(trainee.step))?;
        let step = trainee.step;
        let (images_per_second, seconds_left) = pace.after(views, step, config.steps);
        let seen = |steps: u64| steps * (config.batch * config.unlabelled_ratio) as u64;
        let report = StepReport {
            step,
            steps: config.steps,
            epoch: (seen(step - 1) / rows.len() as u64) as u32,
            epochs: seen(config.steps).div_ceil(rows.len() as u64) as u32,
            loss,
            accuracy: None,
            images_per_second,
            seconds_left,
        };
        pace.tell(observe, &report)?;
    }
    let taken = taken.shares();
    match trainee.into_average() {
        Some(model) => Ok(FixMatched { model, taken }),
        None => Err(LearnError::TooLittle("there are no steps to learn in".to_owned())),
    }
}

fn check(labelled: &Labelled, rows: &[usize], classes: usize) -> Result<(), LearnError> {
    if rows.is_empty() {
        return Err(LearnError::TooLittle("there are no films to learn from".to_owned()));
    }
    if classes < 2 || !(0..classes).all(|class| labelled.classes.contains(&class)) {
        let text = "learning needs labels of two classes, and of each one".to_owned();
        return Err(LearnError::TooLittle(text));
    }
    Ok(())
}

/// Starts to draw the weak views of labelled films, and the weak and the strong ones of unlabelled films.
fn loaders(
    setting: &Setting<'_>,
    rows: &[usize],
    labelled: &Labelled,
    config: &FixMatchConfig,
) -> Result<(Loader, Loader), LearnError> {
    let draw = |rows: &[usize], batch, purpose, views, epoch| {
        let batches = batches(rows, batch, config.steps, config.seed, purpose);
        let drawn = Epoch { batches, views, size: config.size, seed: config.seed, epoch };
        Loader::start(Arc::clone(setting.store), drawn, 1)
    };
    let weak = config.weak.clone();
    let both = vec![config.weak.clone(), config.strong.clone()];
    let unlabelled = config.batch * config.unlabelled_ratio;
    Ok((
        draw(&labelled.rows, config.batch, "fixmatch labelled", vec![weak], LABELLED)?,
        draw(rows, unlabelled, "fixmatch unlabelled", both, UNLABELLED)?,
    ))
}

/// Parts a batch of two views.
fn halves(mut batch: Batch) -> (Batch, Batch) {
    let count = batch.count / 2;
    let pixels = batch.pixels.split_off(batch.pixels.len() / 2);
    let second = Batch { pixels, count, size: batch.size, indices: batch.indices.clone() };
    (Batch { count, ..batch }, second)
}

fn pseudo_targets(chosen: &[Option<(usize, f32)>], classes: usize, weight: f32) -> Vec<f32> {
    let mut targets = vec![0.0; chosen.len() * classes];
    for (row, taken) in chosen.iter().enumerate() {
        if let Some((class, share)) = taken {
            targets[row * classes + class] = weight * share;
        }
    }
    targets
}

/// Counts pseudo-labels by class in the last tenth of the steps.
struct Taken {
    from: u64,
    films: usize,
    of_class: Vec<usize>,
}

impl Taken {
    fn new(classes: usize, steps: u64) -> Self {
        Self { from: steps - steps.div_ceil(10), films: 0, of_class: vec![0; classes] }
    }

    fn count(&mut self, step: u64, chosen: &[Option<(usize, f32)>]) {
        if step >= self.from {
            self.films += chosen.len();
            chosen.iter().flatten().for_each(|&(class, _)| self.of_class[class] += 1);
        }
    }

    fn shares(&self) -> Vec<f32> {
        let films = self.films.max(1) as f32;
        self.of_class.iter().map(|&count| count as f32 / films).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_views_are_parted_in_their_order() {
        let pixels: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let batch = Batch { pixels: pixels.clone(), count: 6, size: 2, indices: vec![7, 8, 9] };
        let (first, second) = halves(batch);
        assert_eq!((first.count, second.count), (3, 3));
        assert_eq!((&first.pixels[..], &second.pixels[..]), (&pixels[..12], &pixels[12..]));
        assert_eq!(first.indices, second.indices);
    }

    #[test]
    fn unsure_films_have_no_target_and_the_last_tenth_is_counted() {
        let chosen = [Some((1, 1.0)), None, Some((0, 0.5))];
        assert_eq!(pseudo_targets(&chosen, 2, 0.25), [0.0, 0.25, 0.0, 0.0, 0.125, 0.0]);
        let mut taken = Taken::new(2, 20);
        taken.count(17, &chosen);
        assert_eq!(taken.shares(), [0.0, 0.0]);
        taken.count(18, &chosen);
        taken.count(19, &[Some((1, 0.1))]);
        assert_eq!(taken.shares(), [0.25, 0.5]);
    }
}
