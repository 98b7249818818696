//! One network that is being fine-tuned, and the passes over its films.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::super::ema::Ema;
use super::super::optimizer::{LayerRates, Optimizer};
use super::super::schedule::WarmupCosine;
use super::super::{
    Flow, LearnError, Pace, Setting, StepReport, films, probabilities, read, soft_cross_entropy,
};
use super::{FinetuneConfig, Labelled};
use crate::dataset::batches::{Batch, Epoch, Loader};
use crate::model::Classifier;
use crate::rng;

/// A network with its optimiser and the average of its weights.
pub(super) struct Network {
    model: Classifier,
    optimizer: Optimizer,
    ema: Ema<Classifier>,
}

impl Network {
    /// Returns the averaged network as it is now.
    pub(super) fn model(&self) -> Option<Classifier> {
        self.ema.model().map(Module::valid)
    }

    /// Returns the averaged network.
    pub(super) fn into_model(self) -> Option<Classifier> {
        self.ema.into_model()
    }
}

/// What all networks of a run share.
pub(super) struct Trainer<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) config: &'a FinetuneConfig,
    training: Device,
    pace: Pace,
    step: u64,
    steps: u64,
    observe: &'a mut dyn FnMut(&StepReport) -> Flow,
}

impl<'a> Trainer<'a> {
    pub(super) fn new(
        setting: &'a Setting<'a>,
        config: &'a FinetuneConfig,
        observe: &'a mut dyn FnMut(&StepReport) -> Flow,
    ) -> Self {
        let training = setting.device.clone().inner().autodiff();
        Self { setting, config, training, pace: Pace::new(0), step: 0, steps: 0, observe }
    }

    /// Foresees the steps of the run, at the most, when pass `epoch` over this many films begins.
    pub(super) fn expect(&mut self, labelled: usize, epoch: u32) {
        let config = self.config;
        let steps = |films: usize| films.div_ceil(config.batch) as u64;
        let of_folds = steps(labelled - labelled / config.folds) * config.folds as u64;
        let of_members = steps(labelled) * config.members as u64;
        let left = u64::from(config.epochs - epoch) * of_folds;
        self.steps = self.step + left + u64::from(config.epochs) * of_members;
    }

    /// Starts a network for these films: from `earlier`, or from the pretrained one with a zero-initialised classifier
    /// and, where the setting has one, a head fitted to them.
    pub(super) fn begin(&self, labelled: &Labelled, earlier: Option<&Classifier>) -> Network {
        let plain = self.training.clone().inner();
        let model = earlier.map(Module::valid).unwrap_or_else(|| {
            let classes = self.setting.classes;
            let model = Classifier::from_pretrained(self.setting.start.valid(), classes, &plain);
            match self.setting.head {
                Some(head) => model.with_probe(&head(labelled), &plain),
                None => model,
            }
        });
        // Batch norms use and keep the statistics of pretraining while their weights go on learning.
        let model = model.train().freeze().set_require_grad(true);
        let config = self.config;
        let rates = LayerRates {
            head: config.head_factor,
            decay: config.layer_decay,
            blocks: model.encoder.block_count(),
        };
        let optimizer = Optimizer::with_rates(&config.optimizer, rates);
        let ema = Ema::new(&model, config.ema);
        Network { model, optimizer, ema }
    }

    /// Trains on every film once, in an order and with views of their own for each `stream`.
    pub(super) fn pass(
        &mut self,
        network: &mut Network,
        labelled: &Labelled,
        epoch: u32,
        stream: usize,
    ) -> Result<(), LearnError> {
        let config = self.config;
        let mut rows = labelled.rows.clone();
        let keys = [u64::from(epoch), stream as u64];
        rng::shuffle(&mut rng::stream(config.seed, "finetune order", &keys), &mut rows);
        let batches: Vec<Vec<usize>> = rows.chunks(config.batch).map(<[usize]>::to_vec).collect();
        let per_pass = batches.len() as u64;
        let schedule = WarmupCosine {
            peak: config.rate,
            warmup: per_pass,
            total: per_pass * u64::from(config.epochs),
        };
        let class_of: BTreeMap<usize, usize> =
            labelled.rows.iter().copied().zip(labelled.classes.iter().copied()).collect();
        let drawn = Epoch {
            batches,
            views: vec![config.augment.clone()],
            size: config.size,
            seed: config.seed.wrapping_add(stream as u64),
            epoch: u64::from(epoch),
        };
        let loader = Loader::start(Arc::clone(self.setting.store), drawn, 1)?;
        for (index, batch) in loader.enumerate() {
            let rate = schedule.rate(u64::from(epoch) * per_pass + index as u64 + 1);
            let count = batch.count;
            let loss = self.learn(network, batch, &class_of, rate)?;
            if !loss.is_finite() {
                return Err(LearnError::NotANumber { step: self.step });
            }
            self.report(count, epoch, loss)?;
        }
        Ok(())
    }

    /// Class probabilities of `rows`, row-major, of the averaged network.
    pub(super) fn predict(
        &mut self,
        network: &Network,
        rows: &[usize],
    ) -> Result<Vec<f32>, LearnError> {
        let Some(model) = network.ema.model() else { return Ok(Vec::new()) };
        let Setting { store, device, .. } = *self.setting;
        let size = self.config.size;
        probabilities(model, store, rows, size, device, &mut |_| Flow::Continue)
    }

    fn learn(
        &self,
        network: &mut Network,
        batch: Batch,
        class_of: &BTreeMap<usize, usize>,
        rate: f64,
    ) -> Result<f32, LearnError> {
        let classes = self.setting.classes;
        let mut targets = vec![0.0; batch.indices.len() * classes];
        for (position, row) in batch.indices.iter().enumerate() {
            if let Some(&class) = class_of.get(row) {
                targets[position * classes + class] = 1.0;
            }
        }
        let targets = TensorData::new(targets, [batch.indices.len(), classes]);
        let targets = Tensor::<2>::from_data(targets, &self.training);
        let logits = network.model.forward(films(batch, &self.training));
        let loss = soft_cross_entropy(logits, targets);
        let value = read(loss.clone().inner())?[0];
        let gradients = GradientsParams::from_grads(loss.backward(), &network.model);
        network.model = network.optimizer.step(rate, network.model.clone(), gradients);
        network.ema.update(&network.model);
        Ok(value)
    }

    fn report(&mut self, films: usize, epoch: u32, loss: f32) -> Result<(), LearnError> {
        self.step += 1;
        self.steps = self.steps.max(self.step);
        let (images_per_second, seconds_left) = self.pace.after(films, self.step, self.steps);
        let report = StepReport {
            step: self.step,
            steps: self.steps,
            epoch,
            epochs: self.config.epochs,
            loss,
            accuracy: None,
            images_per_second,
            seconds_left,
        };
        self.pace.tell(self.observe, &report)
    }
}
