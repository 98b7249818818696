//! Fine-tuning on the labels so far (SimCLR v2, stage 2), stopped, calibrated and judged by cross-validation on those labels
//! alone.
//!
//! First one network a cross-validation fold is trained, all in step. After each pass every labelled film is predicted by
//! the network that has not seen its patient, and a temperature is fitted to these predictions: the pass with the least
//! log-loss at its temperature is where training stops, and its predictions tell without any further label whether
//! fine-tuning helped. Then networks are trained on all labels for as many passes, and the mean of their weights is the
//! classifier, and the teacher of distillation.
//!
//! Deviations from the reference: what is predicted with, by fold networks too, lies between the weights that were learnt
//! and those at the start ([`FinetuneConfig::start_share`]); the zero-initialised classifier may stand beside a linear head
//! that is fitted before ([`Setting::head`]), for a fold too at a penalty that the caller has chosen on all labels; AdamW is
//! the default, whose rate may fall layer by layer ([`Recipe::layer_decay`]; it does not by default), and LARS an option;
//! weak augmentation goes beyond mirror images; weights are averaged (EMA); and batch norms keep the statistics of
//! pretraining, because a handful of films gives poor ones.

mod trainer;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use self::trainer::{Member, Trainer};
use super::calibration::{apply_temperature, fit_temperature};
use super::metrics::log_loss;
use super::optimizer::OptimizerConfig;
use super::soup::mean_of_weights;
use super::trainee::Recipe;
use super::{Flow, LearnError, Setting, StepReport};
use crate::dataset::Labelled;
use crate::features::FoldAssigner;
use crate::imaging::Augment;
use crate::model::Classifier;

/// How to fine-tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinetuneConfig {
    /// Edge of a film in pixels.
    pub size: u32,
    /// The most passes over the labelled films.
    pub epochs: u32,
    /// The most steps of a fold's network, so that thousands of labels do not take hours: passes beyond them are left out.
    /// Not written where it is the usual, as in settings from before there was a bound.
    #[serde(default = "most_steps", skip_serializing_if = "is_most_steps")]
    pub steps: u64,
    /// Passes without a lower cross-validated log-loss after which training stops.
    pub patience: u32,
    /// Films in a step.
    pub batch: usize,
    /// How the weights move. The rate rises over the first pass and then stays: what a falling rate does the average of
    /// weights does too, and training may stop after any pass.
    pub recipe: Recipe,
    /// Cross-validation folds, patient by patient, at least 2.
    pub folds: usize,
    /// Networks trained on all labels afterwards, each with a seed of its own, at least 1.
    pub members: usize,
    /// Share of the weights at the start in those that predict, in 0..1 (WiSE-FT, whose default is a half): at the start
    /// there is the linear head on the frozen features.
    pub start_share: f32,
    /// How a film is varied.
    pub augment: Augment,
    /// Seed of order and augmentation.
    pub seed: u64,
}

impl FinetuneConfig {
    /// Returns the settings that the window and the simulation use, for a model of this input size.
    pub fn standard(size: u32, seed: u64) -> Self {
        Self {
            size,
            epochs: 40,
            steps: most_steps(),
            patience: 15,
            batch: 16,
            recipe: Recipe { rate: 3e-4, head_factor: 1.0, ema: 0.98, ..Recipe::from_encoder() },
            folds: 3,
            members: 2,
            start_share: 0.5,
            augment: Augment::moderate(),
            seed,
        }
    }

    /// Returns SimCLR v2's own (section 3, README of the reference code, at few labels): LARS, a rate of .005 √batch, no
    /// decay, 60 passes, no augmentation but mirror images. Deviations: no more than the usual bound of steps, which is fewer
    /// passes from some 1,600 labels on; the rate does not fall, as [`Self::recipe`] says,
    /// where the reference's falls by a cosine; weights are averaged; batch norms keep their statistics.
    pub fn simclr(size: u32, batch: usize, seed: u64) -> Self {
        Self {
            epochs: 60,
            patience: 60,
            batch,
            recipe: Recipe {
                optimizer: OptimizerConfig::Lars { weight_decay: 0.0, momentum: 0.9 },
                rate: 0.005 * (batch as f64).sqrt(),
                ..Recipe::from_encoder()
            },
            members: 1,
            start_share: 0.0,
            augment: Augment { flip: 0.5, ..Augment::none() },
            ..Self::standard(size, seed)
        }
    }

    /// Says whether networks start beside a linear head. SimCLR v2's own form, which LARS marks, has a zero-initialised
    /// classifier alone.
    pub fn starts_from_head(&self) -> bool {
        !matches!(self.recipe.optimizer, OptimizerConfig::Lars { .. })
    }

    /// Returns the most passes over this many labels, at least one if any is asked for.
    fn passes(&self, labels: usize) -> u32 {
        let of_a_fold = self.steps_of_pass(labels - labels / self.folds.max(1));
        let bound = (self.steps / of_a_fold.max(1)).max(1);
        self.epochs.min(u32::try_from(bound).unwrap_or(u32::MAX))
    }

    /// Returns the steps of a pass over this many films.
    fn steps_of_pass(&self, films: usize) -> u64 {
        films.div_ceil(self.batch.max(1)) as u64
    }
}

/// The usual bound: with 16 films in a step it is felt from some 1,200 labels on.
const fn most_steps() -> u64 {
    2_000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_most_steps(steps: &u64) -> bool {
    *steps == most_steps()
}

/// What fine-tuning made, and what is known of it.
#[derive(Debug)]
pub struct FineTuned {
    /// The classifier, on the plain device; the temperature is in its weights.
    pub model: Classifier,
    /// The networks trained on all labels, as they were learnt: a later run starts between them and the encoder.
    members: Vec<Classifier>,
    /// One network a fold, likewise, at the pass where training stopped.
    fold_models: Vec<Classifier>,
    assigner: FoldAssigner,
    /// Labels that were used.
    pub labelled: Labelled,
    /// Fold of each labelled film.
    pub folds: Vec<usize>,
    /// Class probabilities of each labelled film by the network that has not seen its patient, row-major, calibrated; as
    /// pass and temperature are chosen with them, their log-loss is a little too good.
    pub out_of_fold: Vec<f32>,
    /// Passes after which training stopped.
    pub epochs: u32,
    /// Passes in all, those of the earlier runs that it goes on from included: what a later one is shown is new.
    passes: u32,
    /// What logits have been divided by.
    pub temperature: f64,
}

/// Fine-tunes from `setting.start`, or from between there and the networks of an `earlier` run, which is not always faster
/// (`benches/finetune.rs`).
///
/// `labels` is asked before every pass of the fold networks, so that labels which arrive meanwhile join the next one;
/// `assigner` has empty folds for the store's patients. A patient stays in the fold of `earlier`, whose network has never
/// seen them.
///
/// # Errors
/// Fails if there is one class only or one has fewer films than there are folds, if all are of one patient, if the observer stops it, or if the loss
/// is no longer a number.
pub fn finetune(
    setting: &Setting<'_>,
    assigner: FoldAssigner,
    labels: &mut dyn FnMut() -> Labelled,
    config: &FinetuneConfig,
    earlier: Option<&FineTuned>,
    observe: &mut dyn FnMut(&StepReport) -> Flow,
) -> Result<FineTuned, LearnError> {
    let usable = |earlier: &&FineTuned| earlier.assigner.folds() == assigner.folds();
    let earlier = earlier.filter(usable);
    let before = earlier.map_or(0, |run| run.passes);
    let mut trainer = Trainer::new(setting, config, before, observe);
    // One assigner for the whole run: a patient stays in the fold whose network has never seen them, also after an undo.
    let mut assigner = earlier.map_or(assigner, |run| run.assigner.clone());
    let mut labels = || {
        let labelled = labels();
        let folds = assigner.assign_all(&labelled);
        (labelled, folds)
    };
    let best = cross_validate(&mut trainer, &mut labels, earlier)?;
    let mut members = Vec::new();
    let mut to_average = Vec::new();
    for member in 0..config.members {
        let start = earlier.and_then(|run| run.members.get(member));
        let mut network = trainer.begin(&best.judged.labelled, start);
        for epoch in 0..=best.epoch {
            // Streams of their own, apart from the folds'.
            trainer.pass(&mut network, &best.judged.labelled, epoch, config.folds + member)?;
        }
        to_average.extend(trainer.predictor(&network));
        members.extend(network.into_average());
    }
    let share = (to_average.len() as f32).recip();
    let shares: Vec<_> = to_average.iter().map(|network| (network, share)).collect();
    let nothing = || LearnError::TooLittle("fine-tuning was asked for no network".to_owned());
    let model = mean_of_weights(&shares).ok_or_else(nothing)?;
    let Judged { labelled, folds, out_of_fold, temperature, .. } = best.judged;
    Ok(FineTuned {
        model: model.scaled((1.0 / temperature) as f32),
        members,
        fold_models: best.models,
        assigner,
        labelled,
        folds,
        out_of_fold,
        epochs: best.epoch + 1,
        passes: before + best.epoch + 1,
        temperature,
    })
}

/// The best pass so far.
struct Best {
    epoch: u32,
    /// The networks as they were learnt, one a fold.
    models: Vec<Classifier>,
    /// What they predict with.
    predictors: Vec<Classifier>,
    judged: Judged,
}

/// Labelled films, and what the networks that have not seen their patients hold of them.
struct Judged {
    labelled: Labelled,
    folds: Vec<usize>,
    /// At the temperature.
    out_of_fold: Vec<f32>,
    temperature: f64,
    log_loss: f64,
}

impl Judged {
    /// Has each film predicted by the network of its fold.
    fn of(
        trainer: &Trainer<'_>,
        predictors: &[Classifier],
        labelled: Labelled,
        folds: Vec<usize>,
    ) -> Result<Self, LearnError> {
        let classes = trainer.setting.classes;
        let mut out_of_fold = vec![0.0; labelled.rows.len() * classes];
        for (fold, predictor) in predictors.iter().enumerate() {
            let [_, held] = labelled.split(&folds, fold);
            let found = trainer.predict(predictor, &held.rows)?;
            let places = (0..folds.len()).filter(|&place| folds[place] == fold);
            for (place, values) in places.zip(found.chunks_exact(classes)) {
                out_of_fold[place * classes..][..classes].copy_from_slice(values);
            }
        }
        let temperature = fit_temperature(&out_of_fold, &labelled.classes, classes);
        apply_temperature(&mut out_of_fold, classes, temperature as f32);
        let log_loss = log_loss(&out_of_fold, &labelled.classes, classes);
        Ok(Self { labelled, folds, out_of_fold, temperature, log_loss })
    }
}

/// Trains one network a fold, in step, until the log-loss of unseen films no longer falls. `labels` returns labelled films
/// with their folds.
fn cross_validate(
    trainer: &mut Trainer<'_>,
    labels: &mut dyn FnMut() -> (Labelled, Vec<usize>),
    earlier: Option<&FineTuned>,
) -> Result<Best, LearnError> {
    let (config, setting) = (trainer.config, trainer.setting);
    let mut networks = Vec::new();
    let mut best: Option<Best> = None;
    for epoch in 0..config.epochs {
        let (labelled, folds) = labels();
        if epoch >= config.passes(labelled.rows.len()) {
            break;
        }
        match (enough(&labelled, &folds, setting.classes, config.folds), &mut best) {
            (Err(error), None) => return Err(error),
            // Labels have been taken back since: what was best before stands.
            (Err(_), Some(_)) => break,
            // Films that have come since may be harder: passes are compared on the same ones, and the best learns from all.
            (Ok(()), Some(best)) if best.judged.labelled != labelled => {
                best.judged =
                    Judged::of(trainer, &best.predictors, labelled.clone(), folds.clone())?;
            }
            (Ok(()), _) => {}
        }
        trainer.expect(labelled.rows.len(), epoch);
        for fold in 0..config.folds {
            let [kept, _] = labelled.split(&folds, fold);
            if networks.len() == fold {
                let start = earlier.and_then(|run| run.fold_models.get(fold));
                networks.push(trainer.begin(&kept, start));
            }
            trainer.pass(&mut networks[fold], &kept, epoch, fold)?;
        }
        let predictors: Vec<_> =
            networks.iter().filter_map(|network| trainer.predictor(network)).collect();
        let judged = Judged::of(trainer, &predictors, labelled, folds)?;
        if best.as_ref().is_none_or(|best| judged.log_loss < best.judged.log_loss) {
            let models = networks.iter().filter_map(Member::average).map(Module::valid).collect();
            best = Some(Best { epoch, models, predictors, judged });
        } else if best.as_ref().is_some_and(|best| epoch - best.epoch >= config.patience) {
            break;
        }
    }
    best.ok_or_else(|| LearnError::TooLittle("fine-tuning was asked for no pass".to_owned()))
}

/// Checks that there are labels of each class, and some for every fold's network to learn from.
fn enough(
    labelled: &Labelled,
    folds: &[usize],
    classes: usize,
    count: usize,
) -> Result<(), LearnError> {
    if classes < 2 {
        return Err(LearnError::TooLittle("learning needs labels of two classes".to_owned()));
    }
    let fewest = labelled.fewest_of_a_class(classes);
    if fewest < count {
        let text = format!("fine-tuning needs {count} labels of each class, and one has {fewest}");
        return Err(LearnError::TooLittle(text));
    }
    if folds.windows(2).all(|pair| pair[0] == pair[1]) {
        let text = "fine-tuning is judged patient by patient, and all labels are of one";
        return Err(LearnError::TooLittle(text.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_one_patient_are_too_little() {
        let labelled = Labelled { rows: (0..6).collect(), classes: vec![0, 0, 0, 1, 1, 1] };
        let said = |folds: &[usize]| {
            enough(&labelled, folds, 2, 3).map_err(|error| error.to_string()).err()
        };
        assert_eq!(said(&[0, 1, 1, 0, 0, 2]), None);
        let of_one_patient = said(&[2; 6]).unwrap();
        assert!(of_one_patient.contains("all labels are of one"), "{of_one_patient}");
        let two = Labelled { rows: vec![0, 1], classes: vec![0, 1] };
        let two = enough(&two, &[0, 1], 2, 3).unwrap_err().to_string();
        assert!(two.contains("3 labels of each class, and one has 1"), "{two}");
    }

    #[test]
    fn thousands_of_labels_take_fewer_passes() {
        let config = FinetuneConfig::standard(64, 0);
        // Two thirds of 1,200 films are 50 steps of 16, and 40 passes of these 2,000 steps.
        assert_eq!([6, 1200, 4708, 1_000_000].map(|n| config.passes(n)), [40, 40, 10, 1]);
        assert_eq!(FinetuneConfig { epochs: 0, ..config.clone() }.passes(6), 0);
        assert_eq!(FinetuneConfig { steps: u64::MAX, ..config }.passes(1_000_000), 40);
    }

    #[test]
    fn settings_from_before_there_was_a_bound_are_read() {
        let config = FinetuneConfig::standard(64, 0);
        let usual = serde_json::to_value(&config).unwrap();
        assert!(usual.get("steps").is_none(), "{usual}");
        assert_eq!(serde_json::from_value::<FinetuneConfig>(usual).unwrap(), config);
        let other = FinetuneConfig { steps: 7, ..config };
        let read: FinetuneConfig =
            serde_json::from_value(serde_json::to_value(&other).unwrap()).unwrap();
        assert_eq!(read, other);
    }
}
