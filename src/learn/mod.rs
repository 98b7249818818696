//! Learning: pretraining without labels, fine-tuning, distillation, FixMatch, labels alone, and how well they do.
//!
//! A stage takes planes in memory, a configuration with a seed, a device, and an observer that it calls after every
//! step and that may pause it (by not returning) or stop it. Gradients are cleared by each `backward`; batches are made
//! on the autodiff device, because batch norm takes a plain input for evaluation.

pub mod calibration;
mod checkpoint_files;
pub mod distill;
pub mod ema;
pub mod figures;
pub mod finetune;
pub mod fixmatch;
pub mod lars;
pub mod learning_curve;
pub mod macro_auroc;
pub mod metrics;
pub mod nt_xent;
pub mod objective;
pub mod operating_point;
pub mod optimizer;
pub mod pool_means;
pub mod pretrain;
pub mod probe;
pub mod pseudo_labels;
pub mod reliability;
pub mod round;
pub mod schedule;
pub mod sgd;
mod soup;
pub mod stopping;
pub mod supervised;
pub mod throughput;
mod trainee;
mod velocities;

pub use self::checkpoint_files::exists as checkpoint_exists;
pub use self::trainee::Recipe;
pub use crate::dataset::Flow;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use crate::dataset::Labelled;
use crate::dataset::batches::{Batch, LoaderError, eval_batch};
use crate::dataset::planes::PlaneStore;
use crate::model::{Classifier, LinearHead, Pretrained};

/// Films in one forward pass where nothing is learnt.
pub const EVAL_BATCH: usize = 64;

/// What a stage says after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Steps done, from 1.
    pub step: u64,
    /// Steps of the whole stage as foreseen now.
    pub steps: u64,
    /// Epoch of this step, from 0.
    pub epoch: u32,
    /// Epochs of the stage.
    pub epochs: u32,
    /// Loss of this step.
    pub loss: f32,
    /// Contrastive accuracy, where the stage has one.
    pub accuracy: Option<f32>,
    /// Views a second since the stage began or was resumed.
    pub images_per_second: f32,
    /// Seconds that the rest takes at this pace.
    pub seconds_left: f32,
}

/// Why a stage ended early.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The observer asked for it.
    #[error("stopped")]
    Stopped,
    /// The loss is no longer a number.
    #[error("the loss is no longer a number at step {step}; a smaller learning rate may help")]
    NotANumber {
        /// The step.
        step: u64,
    },
    /// There is too little to learn from.
    #[error("{0}")]
    TooLittle(String),
    /// The films of a batch could not be made ready.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
    /// A batch does not fit into memory.
    #[error("{}", too_large(*batch, *fits, *needed))]
    TooLarge {
        /// Films of the batch.
        batch: usize,
        /// Films that would about fit; 0 if it is not known.
        fits: usize,
        /// Bytes that a step takes and bytes that are free, where they are known.
        needed: Option<(u64, u64)>,
    },
    /// A checkpoint could not be written or read.
    #[error("the checkpoint cannot be used: {fault}: {path}")]
    Checkpoint {
        /// What is wrong.
        fault: String,
        /// The checkpoint's folder.
        path: PathBuf,
    },
}

fn too_large(batch: usize, fits: usize, needed: Option<(u64, u64)>) -> String {
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    let why = needed.map_or_else(String::new, |(needed, free)| {
        format!(" (a step takes about {:.1} GiB and {:.1} GiB are free)", gib(needed), gib(free))
    });
    let what =
        if fits > 0 { format!("about {fits} would") } else { "a much smaller one".to_owned() };
    format!(
        "a batch of {batch} films does not fit into memory{why}; {what}, or the same in more parts by --accumulate"
    )
}

impl From<ExecutionError> for LearnError {
    fn from(error: ExecutionError) -> Self {
        Self::Device(error.to_string())
    }
}

/// What fine-tuning and distillation start from.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The pretrained network.
    pub start: &'a Pretrained,
    /// Number of classes.
    pub classes: usize,
    /// The pool, labelled and unlabelled.
    pub store: &'a Arc<PlaneStore>,
    /// Where to compute.
    pub device: &'a Device,
    /// Fits a linear head on the start's embeddings to labelled films: what networks start from beside the
    /// zero-initialised classifier, if at all.
    pub head: Option<&'a HeadFit<'a>>,
}

impl Setting<'_> {
    /// Returns the network that learning from `labelled` starts with: the pretrained one with a zero-initialised
    /// classifier and, where there is [`Self::head`], a linear head fitted to the films.
    pub fn classifier(&self, labelled: &Labelled) -> Classifier {
        let plain = self.device.clone().inner();
        let model = Classifier::from_pretrained(self.start.valid(), self.classes, &plain);
        match self.head {
            Some(head) => model.with_probe(&head(labelled), &plain),
            None => model,
        }
    }
}

/// Fits a linear head to labelled films.
pub type HeadFit<'a> = dyn Fn(&Labelled) -> LinearHead + 'a;

/// Counts steps and keeps the time.
pub(crate) struct Pace {
    started: Instant,
    first_step: u64,
    images: u64,
    /// Time that the observer kept for itself, as in a pause.
    waited: Duration,
}

impl Pace {
    /// Starts the clock before the step after `first_step`.
    pub(crate) fn new(first_step: u64) -> Self {
        Self { started: Instant::now(), first_step, images: 0, waited: Duration::ZERO }
    }

    /// Returns images a second and the seconds that the remaining steps take.
    pub(crate) fn after(&mut self, images: usize, step: u64, steps: u64) -> (f32, f32) {
        self.images += images as u64;
        let seconds = self.started.elapsed().saturating_sub(self.waited).as_secs_f32().max(1e-6);
        let done = step.saturating_sub(self.first_step).max(1);
        (self.images as f32 / seconds, seconds / done as f32 * steps.saturating_sub(step) as f32)
    }

    /// Asks whether to go on; the time until the answer, as in a pause, is not counted.
    pub(crate) fn ask(&mut self, ask: impl FnOnce() -> Flow) -> Flow {
        let before = Instant::now();
        let flow = ask();
        self.waited += before.elapsed();
        flow
    }

    /// Lets the observer see a report.
    fn tell(
        &mut self,
        observe: &mut dyn FnMut(&StepReport) -> Flow,
        report: &StepReport,
    ) -> Result<(), LearnError> {
        match self.ask(|| observe(report)) {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(LearnError::Stopped),
        }
    }
}

/// Moves a batch to a device.
///
/// # Shapes
/// `[n, 1, size, size]`.
pub fn films(batch: Batch, device: &Device) -> Tensor<4> {
    let size = batch.size as usize;
    let rows = batch.pixels.len() / (size * size);
    Tensor::from_data(TensorData::new(batch.pixels, [rows, 1, size, size]), device)
}

/// Reads a tensor back.
///
/// # Errors
/// Fails if the device failed.
pub fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, LearnError> {
    let data = tensor.try_into_data()?;
    data.try_to_vec::<f32>().map_err(|error| LearnError::Device(error.to_string()))
}

/// Cross-entropy of logits against targets of any weight: the sum over rows and classes.
///
/// # Shapes
/// Both `[n, classes]`; a row of `targets` that sums to `w` counts `w` times, one of zeros not at all.
pub fn weighted_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    (log_softmax(logits, 1) * targets).sum().neg()
}

/// Returns class probabilities of the given rows, row-major, averaged over each film and its mirror image.
///
/// # Errors
/// Fails if the device failed, or as stopped when `observe`, which is told the films done, says so.
pub fn probabilities(
    model: &Classifier,
    store: &PlaneStore,
    rows: &[usize],
    size: u32,
    device: &Device,
    observe: &mut dyn FnMut(usize) -> Flow,
) -> Result<Vec<f32>, LearnError> {
    let model = model.valid();
    let device = device.clone().inner();
    let mut all = Vec::new();
    let mut done = 0;
    for chunk in rows.chunks(EVAL_BATCH) {
        let films = films(eval_batch(store, chunk, size), &device);
        let mirrored = films.clone().flip([3]);
        let both = softmax(model.forward(films), 1) + softmax(model.forward(mirrored), 1);
        all.extend(read(both.mul_scalar(0.5))?);
        done += chunk.len();
        if observe(done) == Flow::Stop {
            return Err(LearnError::Stopped);
        }
    }
    Ok(all)
}
