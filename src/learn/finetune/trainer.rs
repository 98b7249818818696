//! Passes over labelled films, as the networks of a run take them.

use std::sync::Arc;

use super::super::soup::mean_of_weights;
use super::super::trainee::{Trainee, label_targets};
use super::super::{Flow, LearnError, Pace, Setting, StepReport, films, probabilities};
use super::{FinetuneConfig, Labelled};
use crate::dataset::batches::{Epoch, Loader};
use crate::model::Classifier;
use crate::rng;

/// What all networks of a run share.
pub(super) struct Trainer<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) config: &'a FinetuneConfig,
    /// Passes that earlier runs have taken.
    before: u32,
    pace: Pace,
    step: u64,
    /// Steps in all, as foreseen now.
    steps: u64,
    /// The most passes of a network, likewise.
    epochs: u32,
    observe: &'a mut dyn FnMut(&StepReport) -> Flow,
}

/// A network in training and what the setting starts it from.
pub(super) struct Member {
    trainee: Trainee,
    start: Classifier,
}

impl Member {
    /// The averaged weights as they are now, on the plain device.
    pub(super) fn average(&self) -> Option<&Classifier> {
        self.trainee.average()
    }

    /// Returns the averaged weights, on the plain device.
    pub(super) fn into_average(self) -> Option<Classifier> {
        self.trainee.into_average()
    }
}

impl<'a> Trainer<'a> {
    pub(super) fn new(
        setting: &'a Setting<'a>,
        config: &'a FinetuneConfig,
        before: u32,
        observe: &'a mut dyn FnMut(&StepReport) -> Flow,
    ) -> Self {
        Self { setting, config, before, pace: Pace::new(0), step: 0, steps: 0, epochs: 0, observe }
    }

    /// Foresees the steps of the run, at the most, when pass `epoch` over this many films begins.
    pub(super) fn expect(&mut self, labelled: usize, epoch: u32) {
        let config = self.config;
        let of_folds =
            config.steps_of_pass(labelled - labelled / config.folds) * config.folds as u64;
        let of_members = config.steps_of_pass(labelled) * config.members as u64;
        self.epochs = config.passes(labelled);
        let left = u64::from(self.epochs - epoch) * of_folds;
        self.steps = self.step + left + u64::from(self.epochs) * of_members;
    }

    /// Starts a network as the setting says for these films, or as far from there to an earlier one as that was predicted
    /// with: from the earlier one itself it would only move further away.
    pub(super) fn begin(&self, labelled: &Labelled, earlier: Option<&Classifier>) -> Member {
        let (recipe, device) = (&self.config.recipe, self.setting.device);
        let start = self.setting.classifier(labelled);
        let from = earlier.and_then(|earlier| self.between(earlier, &start));
        Member { trainee: Trainee::new(from.as_ref().unwrap_or(&start), recipe, device), start }
    }

    /// Returns what lies between weights that were learnt and those at the start, as the configuration says.
    fn between(&self, learnt: &Classifier, start: &Classifier) -> Option<Classifier> {
        let share = self.config.start_share;
        mean_of_weights(&[(learnt, 1.0 - share), (start, share)])
    }

    /// Trains on every film once, in an order and with views of their own for each `stream` and each pass since the encoder.
    pub(super) fn pass(
        &mut self,
        network: &mut Member,
        labelled: &Labelled,
        epoch: u32,
        stream: usize,
    ) -> Result<(), LearnError> {
        let config = self.config;
        let mut rows = labelled.rows.clone();
        let pass = u64::from(self.before + epoch);
        let keys = [pass, stream as u64];
        rng::shuffle(&mut rng::stream(config.seed, "finetune order", &keys), &mut rows);
        let batches: Vec<Vec<usize>> = rows.chunks(config.batch).map(<[usize]>::to_vec).collect();
        let per_pass = batches.len() as u64;
        let drawn = Epoch {
            batches,
            views: vec![config.augment.clone()],
            size: config.size,
            seed: config.seed.wrapping_add(stream as u64),
            epoch: pass,
        };
        let loader = Loader::start(Arc::clone(self.setting.store), drawn, 1)?;
        for (index, batch) in loader.enumerate() {
            let (count, classes) = (batch.count, self.setting.classes);
            let weight = (count as f32).recip();
            let targets = label_targets(labelled, &batch.indices, classes, weight);
            let risen = (u64::from(epoch) * per_pass + index as u64 + 1) as f64 / per_pass as f64;
            let rate = config.recipe.rate * risen.min(1.0);
            let films = films(batch, network.trainee.device());
            let loss = network.trainee.learn(films, targets, rate)?;
            self.report(count, epoch, loss)?;
        }
        Ok(())
    }

    /// What a network predicts with: its averaged weights, on the way back to the start as far as the configuration says.
    pub(super) fn predictor(&self, network: &Member) -> Option<Classifier> {
        self.between(network.average()?, &network.start)
    }

    /// Class probabilities of `rows`, row-major.
    pub(super) fn predict(
        &self,
        model: &Classifier,
        rows: &[usize],
    ) -> Result<Vec<f32>, LearnError> {
        let Setting { store, device, .. } = *self.setting;
        probabilities(model, store, rows, self.config.size, device, &mut |_| Flow::Continue)
    }

    fn report(&mut self, films: usize, epoch: u32, loss: f32) -> Result<(), LearnError> {
        self.step += 1;
        self.steps = self.steps.max(self.step);
        let (images_per_second, seconds_left) = self.pace.after(films, self.step, self.steps);
        let report = StepReport {
            step: self.step,
            steps: self.steps,
            epoch,
            epochs: self.epochs,
            loss,
            accuracy: None,
            images_per_second,
            seconds_left,
        };
        self.pace.tell(self.observe, &report)
    }
}
