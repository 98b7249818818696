//! Contrastive pretraining without labels (SimCLR v2, <https://arxiv.org/abs/2006.10029>).
//!
//! Deviations from the reference: AdamW instead of LARS, because batches are small; the whole film and not a crop is
//! seen by later stages, so crops are large (area one half and more, as the original pneumonia system found).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::nt_xent::{contrastive_accuracy, nt_xent};
use super::optimizer::{ModuleAdamW, Moments};
use super::schedule::{Scaling, WarmupCosine};
use super::{Flow, LearnError, Pace, StepReport, films, read};
use crate::dataset::batches::{Epoch, Loader};
use crate::dataset::planes::PlaneStore;
use crate::fsutil;
use crate::imaging::Augment;
use crate::model::{Architecture, Pretrained};
use crate::rng;

/// How to pretrain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimclrConfig {
    /// Shape of the encoder.
    pub architecture: Architecture,
    /// Edge of a view in pixels.
    pub size: u32,
    /// Passes over the films.
    pub epochs: u32,
    /// Films in a step; each gives two views.
    pub batch: usize,
    /// Learning rate before scaling.
    pub rate: f64,
    /// How the learning rate grows with the batch.
    pub scaling: Scaling,
    /// Epochs of linear warm-up.
    pub warmup_epochs: u32,
    /// Weight decay of all but batch norms.
    pub weight_decay: f32,
    /// Temperature of the loss.
    pub temperature: f32,
    /// How a view is made.
    pub augment: Augment,
    /// Seed of weights, order and views.
    pub seed: u64,
}

/// Where checkpoints go and whether to start from the one that is there.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// Folder of the checkpoint.
    pub folder: PathBuf,
    /// Start from it if it is there.
    pub resume: bool,
}

/// Records of a checkpoint: the network, and the optimiser's two moments in its shape.
const RECORDS: [&str; 3] = ["model.bpk", "first.bpk", "second.bpk"];

/// What is beside the records in a checkpoint.
#[derive(Serialize, Deserialize)]
struct Position {
    epochs_done: u32,
    /// Steps that the optimiser has taken.
    steps: usize,
    config: SimclrConfig,
    films: usize,
}

/// Steps in an epoch: the last films that do not fill a batch wait for the next epoch's order.
fn steps_per_epoch(films: usize, batch: usize) -> usize {
    films / batch
}

/// Order of the films in an epoch, cut into batches.
fn batches(films: usize, config: &SimclrConfig, epoch: u32) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..films).collect();
    rng::shuffle(&mut rng::stream(config.seed, "pretrain order", &[u64::from(epoch)]), &mut order);
    order.chunks_exact(config.batch).map(<[usize]>::to_vec).collect()
}

/// Pretrains on every film of `store`, with `threads` loader threads, and returns the network on the plain device.
///
/// A checkpoint is written after each epoch; a resumed run goes on from the last finished one and, on one device with one number of threads, ends as an uninterrupted one.
///
/// # Errors
/// Fails if there are fewer films than a batch holds, if the observer stops it, if the loss is no longer a number, or
/// if a checkpoint cannot be written or does not fit the configuration.
pub fn pretrain(
    config: &SimclrConfig,
    store: &Arc<PlaneStore>,
    device: &Device,
    threads: usize,
    checkpoints: Option<&Checkpoints>,
    observe: &mut dyn FnMut(&StepReport) -> Flow,
) -> Result<Pretrained, LearnError> {
    let per_epoch = steps_per_epoch(store.len(), config.batch);
    if per_epoch == 0 {
        let text = format!("{} films do not fill one batch of {}", store.len(), config.batch);
        return Err(LearnError::TooLittle(text));
    }
    let training = device.clone().inner().autodiff();
    let mut model = Pretrained::init(&config.architecture, config.seed, &training);
    let mut optimizer = ModuleAdamW::new(config.weight_decay, 1.0);
    let mut first = 0;
    if let Some(Checkpoints { folder, .. }) = checkpoints {
        fsutil::recover_dir(folder).map_err(|fault| checkpoint_error(folder)(fault.to_string()))?;
    }
    if let Some(checkpoints) = checkpoints
        && checkpoints.resume
        && checkpoints.folder.join("position.json").is_file()
    {
        (model, first) = resume(checkpoints, config, store.len(), model, &mut optimizer)?;
    }
    let schedule = WarmupCosine {
        peak: config.scaling.peak(config.rate, config.batch),
        warmup: u64::from(config.warmup_epochs) * per_epoch as u64,
        total: u64::from(config.epochs) * per_epoch as u64,
    };
    let mut step = u64::from(first) * per_epoch as u64;
    let mut pace = Pace::new(step);
    let mut accuracy = None;
    for epoch in first..config.epochs {
        let drawn = Epoch {
            batches: batches(store.len(), config, epoch),
            views: vec![config.augment.clone(); 2],
            size: config.size,
            seed: config.seed,
            epoch: u64::from(epoch),
        };
        for batch in Loader::start(Arc::clone(store), drawn, threads)? {
            let views = batch.count;
            let contrast = nt_xent(model.project(films(batch, &training)), config.temperature);
            let loss = read(contrast.loss.clone().inner())?[0];
            if !loss.is_finite() {
                return Err(LearnError::NotANumber { step });
            }
            if step.is_multiple_of(10) {
                let similarities = read(contrast.similarities.inner())?;
                accuracy = Some(contrastive_accuracy(&similarities, config.batch));
            }
            let gradients = GradientsParams::from_grads(contrast.loss.backward(), &model);
            model = optimizer.step(schedule.rate(step), model, gradients);
            step += 1;
            let (images_per_second, seconds_left) = pace.after(views, step, schedule.total);
            let report = StepReport {
                step,
                steps: schedule.total,
                epoch,
                epochs: config.epochs,
                loss,
                accuracy,
                images_per_second,
                seconds_left,
            };
            pace.tell(observe, &report)?;
        }
        if let Some(checkpoints) = checkpoints {
            save(&checkpoints.folder, config, store.len(), epoch + 1, &model, &optimizer)?;
        }
    }
    Ok(model.valid())
}

fn checkpoint_error(folder: &Path) -> impl Fn(String) -> LearnError + use<> {
    let path = folder.to_path_buf();
    move |fault| LearnError::Checkpoint { fault, path: path.clone() }
}

/// Writes a checkpoint beside the old one and puts it in its place when it is complete.
fn save(
    folder: &Path,
    config: &SimclrConfig,
    films: usize,
    epochs_done: u32,
    model: &Pretrained,
    optimizer: &ModuleAdamW,
) -> Result<(), LearnError> {
    let error = checkpoint_error(folder);
    let unfinished = folder.with_extension("unfinished");
    fs::remove_dir_all(&unfinished).ok();
    fs::create_dir_all(&unfinished).map_err(|fault| error(fault.to_string()))?;
    let moments = optimizer.moments(model);
    let position = Position { epochs_done, steps: moments.steps, config: config.clone(), films };
    let text = serde_json::to_vec_pretty(&position).map_err(|fault| error(fault.to_string()))?;
    // Batch norms hold back their last update until they are asked for a copy.
    let records = [model.valid(), moments.first, moments.second].map(Module::into_record);
    for (record, name) in records.into_iter().zip(RECORDS) {
        let path = unfinished.join(name);
        record.save(&path).map_err(|fault| error(fault.to_string()))?;
        let synced = fs::File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|fault| error(fault.to_string()))?;
    }
    fsutil::write_atomic(&unfinished.join("position.json"), &text)
        .map_err(|fault| error(fault.to_string()))?;
    fsutil::replace_dir(&unfinished, folder).map_err(|fault| error(fault.to_string()))
}

fn resume(
    checkpoints: &Checkpoints,
    config: &SimclrConfig,
    films: usize,
    model: Pretrained,
    optimizer: &mut ModuleAdamW,
) -> Result<(Pretrained, u32), LearnError> {
    let folder = &checkpoints.folder;
    let error = checkpoint_error(folder);
    let text =
        fsutil::read(&folder.join("position.json")).map_err(|fault| error(fault.to_string()))?;
    let position: Position =
        serde_json::from_slice(&text).map_err(|fault| error(fault.to_string()))?;
    if position.config != *config || position.films != films {
        let fault =
            "it was made with other settings or other films; give those, or start without --resume";
        return Err(error(fault.to_owned()));
    }
    // The optimiser's state is found by parameter ids, which come with the records.
    let load = |name: &str, model: Pretrained| {
        let record =
            ModuleRecord::load(folder.join(name)).map_err(|fault| error(fault.to_string()))?;
        model.try_load_record(record).map_err(|fault| error(fault.to_string()))
    };
    let [weights, first, second] = RECORDS;
    let plain = model.valid();
    let moments = Moments {
        first: load(first, plain.clone())?,
        second: load(second, plain.valid())?,
        steps: position.steps,
    };
    optimizer.restore(&moments);
    Ok((load(weights, model)?, position.epochs_done))
}
