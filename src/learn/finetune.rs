//! Fine-tuning on the labels so far: one network a cross-validation fold (SimCLR v2, stage 2).
//!
//! The fold networks serve twice: their predictions of the films they have not seen tell, without any further label,
//! whether fine-tuning helped; and together they are the teacher that distillation learns from. Deviations from the
//! reference: AdamW with a faster head instead of LARS, weak augmentation beyond mirror images, an average of weights
//! (EMA), and batch norms that keep the statistics of pretraining, because a handful of films gives poor ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::ema::Ema;
use super::optimizer::ModuleAdamW;
use super::schedule::WarmupCosine;
use super::{
    Flow, LearnError, Pace, Setting, StepReport, films, probabilities, read, soft_cross_entropy,
};
use crate::dataset::batches::{Batch, Epoch, Loader};
use crate::dataset::planes::PlaneStore;
use crate::imaging::Augment;
use crate::model::{Classifier, Pretrained};
use crate::rng;

/// How to fine-tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinetuneConfig {
    /// Edge of a film in pixels.
    pub size: u32,
    /// Passes over the labelled films, for each fold.
    pub epochs: u32,
    /// Films in a step.
    pub batch: usize,
    /// Peak learning rate of the encoder.
    pub rate: f64,
    /// The head learns this many times as fast.
    pub head_factor: f64,
    /// Decay of the average of weights.
    pub ema: f64,
    /// Cross-validation folds, patient by patient.
    pub folds: usize,
    /// How a film is varied.
    pub augment: Augment,
    /// Seed of order, augmentation and folds.
    pub seed: u64,
}

impl FinetuneConfig {
    /// Returns the settings that the window and the simulation use, for a model of this input size.
    pub fn standard(size: u32, seed: u64) -> Self {
        Self {
            size,
            epochs: 20,
            batch: 16,
            rate: 3e-4,
            head_factor: 10.0,
            ema: 0.98,
            folds: 3,
            augment: Augment::weak(),
            seed,
        }
    }
}

/// Labelled films: rows of the store with class indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labelled {
    /// Rows of the store.
    pub rows: Vec<usize>,
    /// Class of each row.
    pub classes: Vec<usize>,
}

impl Labelled {
    /// Leaves some rows out.
    pub fn without(self, left_out: &[usize]) -> Self {
        let kept =
            self.rows.into_iter().zip(self.classes).filter(|(row, _)| !left_out.contains(row));
        let (rows, classes) = kept.unzip();
        Self { rows, classes }
    }
}

/// Fold networks and what they were taught.
#[derive(Debug)]
pub struct FineTuned {
    /// One network a fold, on the plain device.
    pub models: Vec<Classifier>,
    /// Labels that were used.
    pub labelled: Labelled,
    /// Fold of each labelled film.
    pub folds: Vec<usize>,
}

impl FineTuned {
    /// Returns class probabilities of each labelled film from the network that has not seen its patient, row-major.
    ///
    /// # Errors
    /// Fails if the device failed, or as stopped when `observe`, which is told the films done of a fold, says so.
    pub fn out_of_fold(
        &self,
        setting: &Setting<'_>,
        size: u32,
        observe: &mut dyn FnMut(usize) -> Flow,
    ) -> Result<Vec<f32>, LearnError> {
        let Setting { classes, store, device, .. } = *setting;
        let mut all = vec![0.0; self.labelled.rows.len() * classes];
        for (fold, model) in self.models.iter().enumerate() {
            let held: Vec<usize> =
                (0..self.folds.len()).filter(|&i| self.folds[i] == fold).collect();
            let rows: Vec<usize> = held.iter().map(|&i| self.labelled.rows[i]).collect();
            let found = probabilities(model, store, &rows, size, device, observe)?;
            for (&i, values) in held.iter().zip(found.chunks_exact(classes)) {
                all[i * classes..(i + 1) * classes].copy_from_slice(values);
            }
        }
        Ok(all)
    }
}

/// Puts each patient into the fold that has the fewest films of that class, first come first served, so that labels
/// that arrive later never move earlier ones.
#[derive(Clone, Debug)]
pub struct FoldAssigner {
    folds: usize,
    of_patient: BTreeMap<String, usize>,
    films: Vec<BTreeMap<usize, usize>>,
    counted: BTreeSet<usize>,
}

impl FoldAssigner {
    /// Starts with empty folds.
    pub fn new(folds: usize) -> Self {
        Self {
            folds,
            of_patient: BTreeMap::new(),
            films: vec![BTreeMap::new(); folds],
            counted: BTreeSet::new(),
        }
    }

    /// Returns the fold of a film's patient; a film that comes again counts once.
    fn assign(&mut self, row: usize, patient: &str, class: usize) -> usize {
        let emptiest = || {
            (0..self.folds)
                .min_by_key(|&fold| {
                    let of_class = self.films[fold].get(&class).copied().unwrap_or(0);
                    (of_class, self.films[fold].values().sum::<usize>(), fold)
                })
                .unwrap_or(0)
        };
        let fold = self.of_patient.get(patient).copied().unwrap_or_else(emptiest);
        self.of_patient.insert(patient.to_owned(), fold);
        if self.counted.insert(row) {
            *self.films[fold].entry(class).or_insert(0) += 1;
        }
        fold
    }

    /// Returns the folds of films in order.
    pub fn assign_all(&mut self, labelled: &Labelled, patients: &[String]) -> Vec<usize> {
        let pairs = labelled.rows.iter().zip(&labelled.classes);
        pairs.map(|(&row, &class)| self.assign(row, &patients[row], class)).collect()
    }
}

struct Fold {
    model: Classifier,
    optimizer: ModuleAdamW,
    ema: Ema<Classifier>,
}

/// Fine-tunes one network a fold from `start`.
///
/// `labels` is asked before every epoch, so that labels which arrive meanwhile join the next one; `patients` holds the
/// patient of every row of the store.
///
/// # Errors
/// Fails if a class has fewer films than there are folds, if the observer stops it, or if the loss is no longer a
/// number.
pub fn finetune(
    setting: &Setting<'_>,
    patients: &[String],
    labels: &mut dyn FnMut() -> Labelled,
    config: &FinetuneConfig,
    observe: &mut dyn FnMut(&StepReport) -> Flow,
) -> Result<FineTuned, LearnError> {
    let Setting { start, classes, store, device } = *setting;
    let training = device.clone().inner().autodiff();
    let mut labelled = labels();
    check(&labelled, classes, config.folds)?;
    // One assigner for the whole run: a patient stays in the fold whose network has never seen them, also after an undo.
    let mut assigner = FoldAssigner::new(config.folds);
    let mut fold_of = assigner.assign_all(&labelled, patients);
    let mut networks: Vec<Fold> =
        (0..config.folds).map(|_| begin(start, classes, config, &training)).collect();
    let mut step = 0;
    let mut pace = Pace::new(0);
    for epoch in 0..config.epochs {
        if epoch > 0 {
            labelled = labels();
            fold_of = assigner.assign_all(&labelled, patients);
        }
        for (fold, network) in networks.iter_mut().enumerate() {
            let batches = order(&labelled, &fold_of, fold, epoch, config);
            let per_fold = batches.len() as u64;
            let steps = step + per_fold * config.folds as u64 * u64::from(config.epochs - epoch)
                - per_fold * fold as u64;
            let schedule_at = f64::from(epoch) * per_fold as f64;
            let schedule = WarmupCosine {
                peak: config.rate,
                warmup: per_fold,
                total: per_fold * u64::from(config.epochs),
            };
            let drawn = Epoch {
                batches,
                views: vec![config.augment.clone()],
                size: config.size,
                seed: config.seed.wrapping_add(fold as u64),
                epoch: u64::from(epoch),
            };
            for (index, batch) in Loader::start(Arc::clone(store), drawn, 1)?.enumerate() {
                let count = batch.count;
                let rate = schedule.rate(schedule_at as u64 + index as u64 + 1);
                let loss = learn(network, batch, &labelled, classes, rate, &training)?;
                if !loss.is_finite() {
                    return Err(LearnError::NotANumber { step });
                }
                step += 1;
                let (images_per_second, seconds_left) = pace.after(count, step, steps);
                let epochs = config.epochs;
                let report = StepReport {
                    step,
                    steps,
                    epoch,
                    epochs,
                    loss,
                    accuracy: None,
                    images_per_second,
                    seconds_left,
                };
                pace.tell(observe, &report)?;
            }
        }
    }
    let models: Vec<Classifier> =
        networks.into_iter().filter_map(|network| network.ema.into_model()).collect();
    Ok(FineTuned { models, labelled, folds: fold_of })
}

/// Class probabilities of `rows`, the mean over the fold networks and mirror images, row-major.
///
/// # Errors
/// Fails if the device failed, or as stopped when `observe`, which is told the films done of a network, says so.
pub fn ensemble(
    models: &[Classifier],
    store: &PlaneStore,
    rows: &[usize],
    size: u32,
    device: &Device,
    observe: &mut dyn FnMut(usize) -> Flow,
) -> Result<Vec<f32>, LearnError> {
    let mut mean: Vec<f32> = Vec::new();
    for model in models {
        let one = probabilities(model, store, rows, size, device, observe)?;
        mean.resize(one.len(), 0.0);
        mean.iter_mut().zip(one).for_each(|(sum, value)| *sum += value / models.len() as f32);
    }
    Ok(mean)
}

fn check(labelled: &Labelled, classes: usize, folds: usize) -> Result<(), LearnError> {
    let fewest = (0..classes)
        .map(|class| labelled.classes.iter().filter(|&&c| c == class).count())
        .min()
        .unwrap_or(0);
    if fewest < folds {
        let text = format!("fine-tuning needs {folds} labels of each class, and one has {fewest}");
        return Err(LearnError::TooLittle(text));
    }
    Ok(())
}

fn begin(start: &Pretrained, classes: usize, config: &FinetuneConfig, training: &Device) -> Fold {
    let mut model =
        Classifier::from_pretrained(start.valid(), classes, &training.clone().inner()).train();
    model = freeze_statistics(model);
    let ema = Ema::new(&model, config.ema);
    Fold { model, optimizer: ModuleAdamW::new(0.0, config.head_factor), ema }
}

/// Makes batch norms use and keep the statistics of pretraining while their weights go on learning.
fn freeze_statistics(model: Classifier) -> Classifier {
    model.freeze().set_require_grad(true)
}

/// Batches of a fold's training films; each epoch sees every film once.
fn order(
    labelled: &Labelled,
    fold_of: &[usize],
    fold: usize,
    epoch: u32,
    config: &FinetuneConfig,
) -> Vec<Vec<usize>> {
    let mut rows: Vec<usize> = labelled
        .rows
        .iter()
        .zip(fold_of)
        .filter(|&(_, &of)| of != fold)
        .map(|(&row, _)| row)
        .collect();
    let mut random = rng::stream(config.seed, "finetune order", &[u64::from(epoch), fold as u64]);
    rng::shuffle(&mut random, &mut rows);
    rows.chunks(config.batch).map(<[usize]>::to_vec).collect()
}

fn learn(
    network: &mut Fold,
    batch: Batch,
    labelled: &Labelled,
    classes: usize,
    rate: f64,
    training: &Device,
) -> Result<f32, LearnError> {
    let class_of: BTreeMap<usize, usize> =
        labelled.rows.iter().copied().zip(labelled.classes.iter().copied()).collect();
    let mut targets = vec![0.0; batch.indices.len() * classes];
    for (position, row) in batch.indices.iter().enumerate() {
        if let Some(&class) = class_of.get(row) {
            targets[position * classes + class] = 1.0;
        }
    }
    let targets = TensorData::new(targets, [batch.indices.len(), classes]);
    let targets = Tensor::<2>::from_data(targets, training);
    let loss = soft_cross_entropy(network.model.forward(films(batch, training)), targets);
    let value = read(loss.clone().inner())?[0];
    let gradients = GradientsParams::from_grads(loss.backward(), &network.model);
    network.model = network.optimizer.step(rate, network.model.clone(), gradients);
    network.ema.update(&network.model);
    Ok(value)
}
