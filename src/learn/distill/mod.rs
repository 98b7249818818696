//! Distillation of a teacher into one student on the whole pool (SimCLR v2, stage 3), of the teacher's architecture
//! (self-distillation) or of a smaller one.
//!
//! Deviations from the reference: by default the teacher's probabilities are computed once per film, over its networks and
//! mirror images, instead of once per view, which on a CPU would cost several times as much ([`Teacher::Networks`] does
//! what the reference does); and the student may start from its teacher or a pretrained encoder instead of from random
//! weights. Mixed films and long schedules are from Beyer et al., "Knowledge distillation: a good teacher is patient and
//! consistent", 2021, <https://arxiv.org/abs/2106.05237>.

mod checkpoint;
#[cfg(test)]
mod tests;

pub use self::checkpoint::remove as remove_checkpoint;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use super::calibration::apply_temperature;
use super::optimizer::OptimizerConfig;
use super::schedule::{Scaling, WarmupCosine, warmup_steps};
use super::trainee::{Recipe, Trainee};
use super::{Flow, LearnError, Pace, Setting, StepReport, films, read};
use crate::dataset::batches::{Batch, Epoch, Loader};
use crate::imaging::Augment;
use crate::model::Classifier;
use crate::rng;

/// Time between two checkpoints within a pass.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(5);

/// How to distil.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// Edge of a film in pixels.
    pub size: u32,
    /// Passes over the pool.
    pub epochs: u32,
    /// Films in a step.
    pub batch: usize,
    /// How the weights move; the rate rises for [`Self::warmup`] and then falls by half a cosine to zero.
    pub recipe: Recipe,
    /// Share of the steps in which the rate rises, in 0..1.
    pub warmup: f64,
    /// What the teacher's and the student's logits are divided by; the loss is multiplied by its square.
    pub temperature: f32,
    /// The greatest share of another film of the batch that is mixed into each, in 0..=1; the share is uniform.
    pub mixup: f32,
    /// How a film is varied.
    pub augment: Augment,
    /// Seed of order, augmentation and mixing.
    pub seed: u64,
}

impl DistillConfig {
    /// Returns the settings that the window and the simulation use, for a student that starts from its teacher or a
    /// pretrained encoder with this input size.
    pub fn standard(size: u32, seed: u64) -> Self {
        Self {
            size,
            epochs: 5,
            batch: 32,
            recipe: Recipe { head_factor: 1.0, ema: 0.99, ..Recipe::from_encoder() },
            warmup: 0.05,
            temperature: 1.0,
            mixup: 0.5,
            augment: Augment::moderate(),
            seed,
        }
    }

    /// Returns the settings for a student from random weights with this input size: more passes, and FixMatch's gradient
    /// descent.
    pub fn from_scratch(size: u32, seed: u64) -> Self {
        Self { epochs: 12, recipe: Recipe::from_scratch(), ..Self::standard(size, seed) }
    }

    /// Films in a step of the published system's third stage.
    pub const ORIGINAL_BATCH: usize = 128;

    /// Returns the settings of the published system's third stage, for a student from random weights: LARS, a peak rate of
    /// .2 times the root of `batch`, decay of 1e-5, 1,000 passes of which 10 warm up, temperature .1, crops of
    /// half the film and more and mirror images. Deviations: an average of weights is kept, which the original had not,
    /// and the head is a [`ClassifierHead`](crate::model::ClassifierHead) on the mean over the map, where the original's is
    /// on the maximum, with a layer of 64 units between two of batch norm and dropout.
    pub fn original(size: u32, batch: usize, seed: u64) -> Self {
        Self {
            size,
            epochs: 1000,
            batch,
            recipe: Recipe {
                optimizer: OptimizerConfig::Lars { weight_decay: 1e-5, momentum: 0.9 },
                rate: Scaling::Sqrt.peak(0.2, batch),
                ..Recipe::from_scratch()
            },
            warmup: 0.01,
            temperature: 0.1,
            mixup: 0.0,
            augment: Augment {
                crop_area: (0.5, 1.0),
                aspect: (0.75, 4.0 / 3.0),
                flip: 0.5,
                ..Augment::none()
            },
            seed,
        }
    }
}

/// Who teaches.
#[derive(Clone, Copy, Debug)]
pub enum Teacher<'a> {
    /// Class probabilities of each film, row-major.
    Probabilities(&'a [f32]),
    /// Networks that are asked about the very view that the student sees, whose mean counts, as in the reference. They may
    /// have another architecture, but see films in the student's size.
    Networks(&'a [Classifier]),
}

/// Where a run has its checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Checkpointed<'a> {
    /// Folder of the checkpoint.
    pub folder: &'a Path,
    /// What tells who teaches and which films: a checkpoint of another lesson is refused.
    pub lesson: &'a serde_json::Value,
}

/// Teaches a student on the films `rows` of the setting's store. Labels are not looked at.
///
/// A `checkpointed` run goes on from the checkpoint that is there, and leaves one after each pass, every five minutes and
/// when it is stopped; the last one stays until the caller, who has saved what came of it, [removes it](remove_checkpoint). On
/// the CPU a resumed run ends in the same weights.
///
/// # Errors
/// Fails if there are fewer than two films, if the observer stops it, if the loss is no longer a number, or if a checkpoint
/// was made with other settings or of another lesson, or cannot be read or written.
pub fn distill(
    setting: &Setting<'_>,
    student: &Classifier,
    rows: &[usize],
    teacher: Teacher<'_>,
    config: &DistillConfig,
    checkpointed: Option<Checkpointed<'_>>,
    observe: &mut dyn FnMut(&StepReport) -> Flow,
) -> Result<Classifier, LearnError> {
    if rows.len() < 2 {
        return Err(LearnError::TooLittle("there are too few films to distil on".to_owned()));
    }
    let targets = match teacher {
        Teacher::Probabilities(known) => {
            let mut known = known.to_vec();
            apply_temperature(&mut known, setting.classes, config.temperature);
            Some(targets(setting.store.len(), setting.classes, rows, &known))
        }
        Teacher::Networks(_) => None,
    };
    let mut trainee = Trainee::new(student, &config.recipe, setting.device);
    trainee.temperature = config.temperature;
    if let Some(checkpointed) = checkpointed
        && checkpoint::exists(checkpointed.folder)?
    {
        checkpoint::restore(checkpointed, config, &mut trainee)?;
    }
    let plan = Plan::new(rows.len(), config);
    let mut pace = Pace::new(trainee.step);
    let mut saved = Instant::now();
    while trainee.step < plan.total {
        let (epoch, done) = (trainee.step / plan.per_epoch, trainee.step % plan.per_epoch);
        let drawn = plan.epoch(rows, epoch, config);
        for mut batch in Loader::start_at(Arc::clone(setting.store), drawn, done as usize, 1)? {
            let count = batch.count;
            let mixed = mix(&mut batch, trainee.step, config);
            let taught = |targets: &[f32]| mixed.targets(targets, &batch.indices, setting.classes);
            let known = targets.as_deref().map(taught);
            let films = films(batch, trainee.device());
            let mut wanted = match (known, teacher) {
                (Some(known), _) => known,
                (None, Teacher::Networks(models)) => ask(models, &films, config.temperature)?,
                (None, Teacher::Probabilities(_)) => Vec::new(),
            };
            for wanted in &mut wanted {
                *wanted /= count as f32;
            }
            let rate = plan.schedule.rate(trainee.step + 1);
            let loss = trainee.learn(films, wanted, rate)?;
            let report =
                plan.report(trainee.step, loss, pace.after(count, trainee.step, plan.total));
            let flow = pace.tell(observe, &report);
            let due = flow.is_err()
                || trainee.step.is_multiple_of(plan.per_epoch)
                || saved.elapsed() > CHECKPOINT_EVERY;
            if let Some(checkpointed) = checkpointed.filter(|_| due && trainee.step < plan.total) {
                checkpoint::save(checkpointed, config, &trainee)?;
                saved = Instant::now();
            }
            flow?;
        }
    }
    trainee
        .into_average()
        .ok_or_else(|| LearnError::TooLittle("there are no films to distil on".to_owned()))
}

/// Steps of a run.
struct Plan {
    per_epoch: u64,
    total: u64,
    epochs: u32,
    schedule: WarmupCosine,
}

impl Plan {
    fn new(films: usize, config: &DistillConfig) -> Self {
        // A last batch of a single film is left out: it has no batch statistics.
        let per_epoch = (films / config.batch + usize::from(films % config.batch > 1)) as u64;
        let total = per_epoch * u64::from(config.epochs);
        let warmup = warmup_steps(config.warmup, total).max(1);
        let schedule = WarmupCosine { peak: config.recipe.rate, warmup, total };
        Self { per_epoch, total, epochs: config.epochs, schedule }
    }

    fn epoch(&self, rows: &[usize], epoch: u64, config: &DistillConfig) -> Epoch {
        let mut order = rows.to_vec();
        rng::shuffle(&mut rng::stream(config.seed, "distil order", &[epoch]), &mut order);
        let batches = order.chunks(config.batch).take(self.per_epoch as usize);
        Epoch {
            batches: batches.map(<[usize]>::to_vec).collect(),
            views: vec![config.augment.clone()],
            size: config.size,
            seed: config.seed,
            epoch,
        }
    }

    fn report(&self, step: u64, loss: f32, pace: (f32, f32)) -> StepReport {
        let (images_per_second, seconds_left) = pace;
        StepReport {
            step,
            steps: self.total,
            epoch: ((step - 1) / self.per_epoch) as u32,
            epochs: self.epochs,
            loss,
            accuracy: None,
            images_per_second,
            seconds_left,
        }
    }
}

/// How each film of a batch has been mixed with the next.
struct Mixed {
    /// Share of the next film, of each.
    shares: Vec<f32>,
}

/// Mixes each film of a batch with the next one, the last with the first, in a share of its own (mixup: Zhang et al.,
/// ICLR 2018, whose share is of a beta distribution; uniform is Beta(1, 1)).
fn mix(batch: &mut Batch, step: u64, config: &DistillConfig) -> Mixed {
    let mut random = rng::stream(config.seed, "mixup", &[step]);
    let shares: Vec<f32> =
        batch.indices.iter().map(|_| config.mixup * rng::unit(&mut random)).collect();
    if config.mixup > 0.0 {
        let length = (batch.size * batch.size) as usize;
        let plain = batch.pixels.clone();
        for (i, (film, share)) in batch.pixels.chunks_exact_mut(length).zip(&shares).enumerate() {
            let other = &plain[(i + 1) % shares.len() * length..][..length];
            film.iter_mut().zip(other).for_each(|(own, other)| *own += share * (other - *own));
        }
    }
    Mixed { shares }
}

impl Mixed {
    /// Returns what the films of a batch are taught; `targets` has a row for each row of the store.
    fn targets(&self, targets: &[f32], indices: &[usize], classes: usize) -> Vec<f32> {
        let of = |i: usize| &targets[indices[i % indices.len()] * classes..][..classes];
        let mut taught = Vec::with_capacity(indices.len() * classes);
        for (i, share) in self.shares.iter().enumerate() {
            taught.extend(
                of(i).iter().zip(of(i + 1)).map(|(own, other)| own + share * (other - own)),
            );
        }
        taught
    }
}

/// Asks the teachers about films: the mean of their probabilities at a temperature, row-major.
fn ask(models: &[Classifier], films: &Tensor<4>, temperature: f32) -> Result<Vec<f32>, LearnError> {
    let films = films.clone().inner();
    let mut mean: Vec<f32> = Vec::new();
    for model in models {
        let logits = model.valid().forward(films.clone()).div_scalar(temperature);
        let one = read(softmax(logits, 1))?;
        mean.resize(one.len(), 0.0);
        mean.iter_mut().zip(one).for_each(|(sum, p)| *sum += p / models.len() as f32);
    }
    Ok(mean)
}

/// Lays the teacher's rows out by row of the store.
fn targets(films: usize, classes: usize, rows: &[usize], teacher: &[f32]) -> Vec<f32> {
    let mut targets = vec![0.0; films * classes];
    for (&row, probabilities) in rows.iter().zip(teacher.chunks_exact(classes)) {
        targets[row * classes..][..classes].copy_from_slice(probabilities);
    }
    targets
}
