//! Pretraining without labels: the loop around an objective and an optimiser (SimCLR v2,
//! <https://arxiv.org/abs/2006.10029>), with checkpoints, rollback, batches in parts and curves.
//!
//! Deviation from the reference: the whole film and not a crop is seen by later stages, so crops are large (area one
//! half and more, as the original pneumonia system found).

mod checkpoint;
mod config;
mod history;
mod memory;
mod replicas;

pub use config::{Checkpoints, PretrainConfig};
pub use history::{EpochPoint, History, ProbePoint, Rollback, Score};

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use self::replicas::{Parts, replicate, sum_of_gradients, sum_of_values};
use super::nt_xent::contrastive_accuracy;
use super::objective::{Learner, Objective, Outcome};
use super::optimizer::Optimizer;
use super::schedule::WarmupCosine;
use super::{Flow, LearnError, Pace, StepReport, films, read};
use crate::dataset::batches::{Batch, Epoch, Loader, LoaderError};
use crate::dataset::planes::PlaneStore;
use crate::model::Pretrained;
use crate::rng;

/// Rollbacks after which a run gives up.
const ROLLBACKS: usize = 3;
/// Steps from one measure of contrastive accuracy to the next.
const ACCURACY_EVERY: u64 = 10;
/// Longest time between two checkpoints where no number of steps was asked for.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(5);

/// A look at the network after an epoch, which is counted from 1.
pub type Look<'a> = dyn FnMut(&Pretrained, u32) -> Result<Option<ProbePoint>, LearnError> + 'a;

/// Whom a run tells how it goes, and who may end it.
pub struct Watch<'a> {
    /// Called after every step.
    pub step: &'a mut dyn FnMut(&StepReport) -> Flow,
    /// Called after every epoch with the network as it is, on the plain device; what it returns joins the history, and
    /// nothing else depends on it.
    pub epoch: &'a mut Look<'a>,
}

impl Watch<'_> {
    /// Runs `work` with a watch that never looks at the network.
    pub fn steps<T>(
        step: &mut dyn FnMut(&StepReport) -> Flow,
        work: impl FnOnce(&mut Watch<'_>) -> T,
    ) -> T {
        work(&mut Watch { step, epoch: &mut |_, _| Ok(None) })
    }
}

/// What pretraining makes.
#[derive(Debug)]
pub struct Trained {
    /// The network, on the plain device.
    pub network: Pretrained,
    /// How it came about.
    pub history: History,
}

/// Everything that changes from step to step, and so everything that a checkpoint holds.
struct State {
    learner: Learner,
    objective: Objective,
    optimizer: Optimizer,
    /// Steps done.
    step: u64,
    history: History,
}

impl State {
    fn new(config: &PretrainConfig, device: &Device) -> Self {
        let PretrainConfig { objective, architecture, optimizer, seed, .. } = config;
        let learner = Learner::init(objective, architecture, *seed, device);
        Self {
            objective: Objective::new(objective, &learner, device),
            learner,
            optimizer: Optimizer::new(optimizer),
            step: 0,
            history: History::default(),
        }
    }
}

/// Makes the parts of the batches of an epoch, the given number of parts left out.
type Draw<'a> =
    dyn FnMut(Epoch, usize) -> Result<Box<dyn Iterator<Item = Batch>>, LoaderError> + 'a;

struct Run<'a> {
    config: &'a PretrainConfig,
    films: usize,
    /// Training devices; the first one holds the state.
    devices: Vec<Device>,
    checkpoints: Option<&'a Checkpoints>,
    draw: &'a mut Draw<'a>,
    state: State,
    /// When the last checkpoint was written.
    saved: Instant,
}

/// Pretrains on every film of `store`, with `threads` loader threads, and returns the network on the first device.
///
/// The parts of a batch ([`PretrainConfig::micro_batches`]) are shared out among `devices`, of which there is at least
/// one.
///
/// A checkpoint is written at the start, at the end of every epoch, as often between as [`Checkpoints::every`] says, and
/// when the watch ends the run. A resumed run goes on from the last one and, on CPU devices with one number of threads,
/// ends bit for bit as an uninterrupted one.
///
/// Where the loss, a gradient or a weight is no longer finite, the run goes back to the last checkpoint and on from
/// there with half the peak learning rate and another order of films; the fourth time, or without checkpoints the first,
/// it fails.
///
/// # Errors
/// Fails if there are fewer films than a batch holds, if the watch stops it, if numbers do not stay finite, or if a
/// checkpoint cannot be written or does not fit the configuration.
pub fn pretrain(
    config: &PretrainConfig,
    store: &Arc<PlaneStore>,
    devices: &[Device],
    threads: usize,
    checkpoints: Option<&Checkpoints>,
    watch: &mut Watch<'_>,
) -> Result<Trained, LearnError> {
    let mut draw = |epoch, done| -> Result<Box<dyn Iterator<Item = Batch>>, LoaderError> {
        Ok(Box::new(Loader::start_at(Arc::clone(store), epoch, done, threads)?))
    };
    let mut run = Run::new(config, store.len(), devices, checkpoints, &mut draw)?;
    run.go(watch)?;
    let State { learner, history, .. } = run.state;
    Ok(Trained { network: learner.valid().network, history })
}

impl<'a> Run<'a> {
    fn new(
        config: &'a PretrainConfig,
        films: usize,
        devices: &[Device],
        checkpoints: Option<&'a Checkpoints>,
        draw: &'a mut Draw<'a>,
    ) -> Result<Self, LearnError> {
        if films < config.batch || config.batch == 0 {
            let text = format!("{films} films do not fill one batch of {}", config.batch);
            return Err(LearnError::TooLittle(text));
        }
        if config.micro_batches == 0 || config.micro_batch() * config.micro_batches != config.batch
        {
            let (batch, parts) = (config.batch, config.micro_batches);
            let text = format!("a batch of {batch} films cannot be cut into {parts} equal parts");
            return Err(LearnError::TooLittle(text));
        }
        let devices: Vec<Device> =
            devices.iter().map(|device| device.clone().inner().autodiff()).collect();
        let Some(device) = devices.first() else {
            return Err(LearnError::Device("there is none".to_owned()));
        };
        memory::check(config, device)?;
        let state = State::new(config, device);
        let saved = Instant::now();
        Ok(Self { config, films, devices, checkpoints, draw, state, saved })
    }

    /// Steps in an epoch: the last films that do not fill a batch wait for the next epoch's order.
    fn per_epoch(&self) -> u64 {
        (self.films / self.config.batch) as u64
    }

    fn total(&self) -> u64 {
        u64::from(self.config.epochs) * self.per_epoch()
    }

    /// Learning rate of the step to come.
    fn rate(&self) -> f64 {
        let Self { config, state, .. } = self;
        let halvings = state.history.rollbacks.len() as i32;
        let schedule = WarmupCosine {
            peak: config.scaling.peak(config.rate, config.batch) * 0.5_f64.powi(halvings),
            warmup: u64::from(config.warmup_epochs) * self.per_epoch(),
            total: self.total(),
        };
        schedule.rate(state.step)
    }

    /// Takes every step that is left, from the checkpoint if it is to be resumed.
    fn go(&mut self, watch: &mut Watch<'_>) -> Result<(), LearnError> {
        if let Some(Checkpoints { folder, resume, .. }) = self.checkpoints {
            if checkpoint::exists(folder)? && *resume {
                checkpoint::restore(folder, self.config, self.films, &mut self.state)?;
            } else {
                // What the first epoch can go back to.
                self.save()?;
            }
        }
        while self.state.step < self.total() {
            if !self.rest_of_epoch(watch)? {
                self.roll_back()?;
            }
        }
        Ok(())
    }

    /// What is drawn in an epoch: the films in an order of its own, cut into the parts of its batches.
    fn epoch(&self, epoch: u32) -> Epoch {
        let config = self.config;
        let mut order: Vec<usize> = (0..self.films).collect();
        let mut keys = vec![u64::from(epoch)];
        let rollbacks = self.state.history.rollbacks.len() as u64;
        // After a rollback another order, so that the same films do not meet in the same batch again.
        keys.extend((rollbacks > 0).then_some(rollbacks));
        rng::shuffle(&mut rng::stream(config.seed, "pretrain order", &keys), &mut order);
        let whole = order.chunks_exact(config.batch);
        Epoch {
            batches: whole
                .flat_map(|batch| batch.chunks(config.micro_batch()).map(<[usize]>::to_vec))
                .collect(),
            views: vec![config.augment.clone(); 2],
            size: config.size,
            seed: config.seed,
            epoch: u64::from(epoch),
        }
    }

    /// Takes the steps that are left of the epoch under way; false if numbers were no longer finite.
    fn rest_of_epoch(&mut self, watch: &mut Watch<'_>) -> Result<bool, LearnError> {
        let (per_epoch, steps) = (self.per_epoch(), self.total());
        let epoch = (self.state.step / per_epoch) as u32;
        let done = (self.state.step % per_epoch) as usize;
        let mut pace = Pace::new(self.state.step);
        let drawn = self.epoch(epoch);
        let mut parts = (self.draw)(drawn, done * self.config.micro_batches)?;
        for _ in done as u64..per_epoch {
            let begun = Instant::now();
            let rate = self.rate();
            let (config, device) = (self.config, self.devices[0].clone());
            let taken = memory::guard(config, &device, || self.step(rate, &mut parts))?;
            let Some((loss, accuracy)) = taken else { return Ok(false) };
            let (views, step) = (2 * self.config.batch, self.state.step);
            let (images_per_second, seconds_left) = pace.after(views, step, steps);
            let seconds = begun.elapsed().as_secs_f64();
            self.state.history.add_step(loss, accuracy, views, seconds);
            let report = StepReport {
                step,
                steps,
                epoch,
                epochs: self.config.epochs,
                loss,
                accuracy,
                images_per_second,
                seconds_left,
            };
            let flow = pace.ask(|| (watch.step)(&report));
            let last = step.is_multiple_of(per_epoch);
            if last {
                self.state.history.end_epoch(epoch + 1, step, rate);
                let network = self.state.learner.valid().network;
                self.state.history.probes.extend((watch.epoch)(&network, epoch + 1)?);
            }
            if (flow == Flow::Stop || last || self.is_due()) && !self.checkpoint()? {
                return Ok(false);
            }
            if flow == Flow::Stop {
                return Err(LearnError::Stopped);
            }
        }
        Ok(true)
    }

    /// Whether a checkpoint is due within an epoch.
    fn is_due(&self) -> bool {
        match self.checkpoints {
            Some(Checkpoints { every: Some(every), .. }) => {
                self.state.step.is_multiple_of((*every).max(1))
            }
            Some(_) => self.saved.elapsed() > CHECKPOINT_EVERY,
            None => false,
        }
    }

    /// Writes a checkpoint, unless weights are no longer finite: then false.
    fn checkpoint(&mut self) -> Result<bool, LearnError> {
        if !read(sum_of_values(&self.state.learner, &self.devices[0]))?[0].is_finite() {
            return Ok(false);
        }
        self.save()?;
        Ok(true)
    }

    fn save(&mut self) -> Result<(), LearnError> {
        if let Some(Checkpoints { folder, .. }) = self.checkpoints {
            checkpoint::save(folder, self.config, self.films, &self.state)?;
        }
        self.saved = Instant::now();
        Ok(())
    }

    /// Goes back to the last checkpoint.
    fn roll_back(&mut self) -> Result<(), LearnError> {
        let at = self.state.step;
        let mut rollbacks = self.state.history.rollbacks.clone();
        let Some(Checkpoints { folder, .. }) =
            self.checkpoints.filter(|_| rollbacks.len() < ROLLBACKS)
        else {
            return Err(LearnError::NotANumber { step: at });
        };
        self.state = State::new(self.config, &self.devices[0]);
        checkpoint::restore(folder, self.config, self.films, &mut self.state)?;
        rollbacks.push(Rollback { at, to: self.state.step });
        self.state.history.rollbacks = rollbacks;
        tracing::warn!(
            "numbers were no longer finite after step {at}: back to step {} with half the learning rate ({} of at most {ROLLBACKS} times)",
            self.state.step,
            self.state.history.rollbacks.len()
        );
        Ok(())
    }

    /// Takes one step with the next parts; returns its loss and, where it was measured, its contrastive accuracy. None,
    /// and no step, if the loss or a gradient is not finite.
    fn step(
        &mut self,
        rate: f64,
        parts: &mut dyn Iterator<Item = Batch>,
    ) -> Result<Option<(f32, Option<f32>)>, LearnError> {
        let Descent { losses, similarities, gradients } = self.descent(parts);
        if losses.len() < self.config.micro_batches {
            return Err(LearnError::TooLittle(
                "the films of an epoch came to an early end".to_owned(),
            ));
        }
        let steps = self.total();
        let State { learner, objective, optimizer, step, .. } = &mut self.state;
        let loss = Tensor::cat(losses, 0).mean();
        let total = sum_of_gradients(learner, &gradients, &self.devices[0]);
        let found = read(Tensor::cat(vec![loss, total], 0))?;
        if found.iter().any(|value| !value.is_finite()) {
            return Ok(None);
        }
        // Reading waits for the device, and one measure in ten is enough for a curve.
        let accuracy =
            if step.is_multiple_of(ACCURACY_EVERY) { accuracy(similarities)? } else { None };
        *learner = optimizer.step(rate, learner.clone(), gradients);
        *step += 1;
        objective.stepped(learner, *step, steps);
        Ok(Some((found[0], accuracy)))
    }

    /// Computes the next batch, part by part.
    fn descent(&mut self, parts: &mut dyn Iterator<Item = Batch>) -> Descent {
        let State { learner, objective, .. } = &mut self.state;
        let (main, count) = (&self.devices[0], self.config.micro_batches);
        let plain = main.clone().inner();
        let (mut losses, mut all) = (Vec::new(), Vec::new());
        if count == 1 {
            let mut gradients = GradientsParams::new();
            for part in parts.take(1) {
                let Outcome { loss, similarities } = objective.loss(learner, films(part, main));
                losses.push(loss.clone().inner());
                all.extend(similarities.map(Tensor::inner));
                gradients = GradientsParams::from_grads(loss.backward(), learner);
            }
            return Descent { losses, similarities: all, gradients };
        }
        let mut sum = Parts::new(main);
        // Nothing is read back until every device has its work.
        for (part, device) in parts.take(count).zip(self.devices.iter().cycle()) {
            let replica = replicate(learner, device);
            let Outcome { loss, similarities } = objective.loss(&replica, films(part, device));
            losses.push(loss.clone().inner().to_device(&plain));
            all.extend(similarities.map(Tensor::inner));
            sum.add(&replica, GradientsParams::from_grads(loss.backward(), &replica));
        }
        let (averaged, gradients) = sum.average(learner.clone());
        *learner = averaged;
        Descent { losses, similarities: all, gradients }
    }
}

/// Mean contrastive accuracy over the parts of a batch; none where the objective does not contrast.
fn accuracy(similarities: Vec<Tensor<2>>) -> Result<Option<f32>, LearnError> {
    let count = similarities.len();
    let mut sum = 0.0;
    for part in similarities {
        let films = part.dims()[0] / 2;
        sum += contrastive_accuracy(&read(part)?, films);
    }
    Ok((count > 0).then(|| sum / count as f32))
}

/// What the parts of a batch gave.
struct Descent {
    /// Each part's loss, shape `[1]`, on the plain first device.
    losses: Vec<Tensor<1>>,
    /// Each part's similarities, plain, if the objective contrasts.
    similarities: Vec<Tensor<2>>,
    /// Mean over the parts.
    gradients: GradientsParams,
}

#[cfg(test)]
mod tests;
