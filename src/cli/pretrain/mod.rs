//! `penumbra pretrain`: a new encoder from unlabelled films.

mod curves;
mod log;
mod probe;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::bail;

use self::log::Log;
use self::probe::Looks;
use super::answer::Answer;
use super::args::PretrainArgs;
use super::films::{find, load};
use super::interrupt::{NOTHING_TO_RESUME, stop_on_ctrl_c};
use crate::config::{Home, check_name};
use crate::dataset::planes::source_preprocess;
use crate::device::{self, Compute};
use crate::fsutil;
use crate::imaging::Preprocess;
use crate::learn::pretrain::{Checkpoints, History, PretrainConfig, Watch, pretrain};
use crate::learn::{Flow, LearnError, checkpoint_exists};
use crate::model::folder::{self, Kind, ModelCard, SIZES};

/// What the first Ctrl-C is answered with.
const STOPPING: &str =
    "writing a checkpoint after this step; Ctrl-C again ends at once without one";

/// Pretrains and saves the model under its name.
///
/// # Errors
/// Fails if the films cannot be read, if learning fails, or if the model cannot be written.
pub fn run(
    home: &Home,
    args: &PretrainArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let config = config(args)?;
    let (folder, checkpoint) = folders(home, args)?;
    let films = find(home, &args.films.set())?;
    let preprocess = Preprocess { size: args.size, fit: args.fit };
    let source = source_preprocess(preprocess);
    let store = load(&films, source, threads)?;
    let probe = Looks::find(home, args, &config.architecture, source, compute, threads)?;
    let devices = device::several(compute, args.running.devices)?;
    println!("{} films, {}, {} px, on {compute}", store.len(), config.architecture, config.size);
    if let Some(probe) = &probe {
        println!("looking on with {} labels, which nothing is chosen by", probe.labels());
    }
    let stop = stop_on_ctrl_c(STOPPING)?;
    let checkpoints = Checkpoints {
        folder: checkpoint.clone(),
        resume: args.running.resume,
        every: args.running.checkpoint_steps,
    };
    let log = RefCell::new(Log::new(&config));
    let started = Instant::now();
    let result = {
        let mut watch = Watch {
            step: &mut |report| {
                log.borrow_mut().step(report);
                if stop.load(Ordering::Relaxed) { Flow::Stop } else { Flow::Continue }
            },
            epoch: &mut |network, epoch| {
                let point = probe.as_ref().map_or(Ok(None), |probe| probe.look(network, epoch))?;
                if let Some(point) = &point {
                    log.borrow().probe(point);
                }
                Ok(point)
            },
        };
        pretrain(&config, &store, &devices, threads, Some(&checkpoints), &mut watch)
    };
    log.borrow().finish();
    let trained = match result {
        Ok(trained) => trained,
        Err(LearnError::Stopped) => {
            println!(
                "stopped; the same command with --resume goes on from here: {}",
                checkpoint.display()
            );
            return Ok(Answer::No);
        }
        Err(error) => return Err(error.into()),
    };
    let epochs = &trained.history.epochs;
    let card = ModelCard {
        version: folder::VERSION,
        kind: Kind::Pretrained,
        architecture: config.architecture.clone(),
        preprocess,
        classes: Vec::new(),
        parent: None,
        seed: config.seed,
        made_by: serde_json::json!({
            "pretrain": config,
            "films": store.len(),
            "split": args.films.split,
            "device": compute.name,
            "devices": devices.len(),
            "threads": threads,
            "seconds_of_last_run": started.elapsed().as_secs(),
            "labels_looked_at_by_probe": probe.as_ref().map_or(0, Looks::labels),
            "rollbacks": trained.history.rollbacks,
        }),
        metrics: serde_json::json!({
            "loss": epochs.last().map(|point| point.loss),
            "contrastive_accuracy": epochs.iter().rev().find_map(|point| point.accuracy),
            "probe": trained.history.probes.last(),
        }),
        weights_hash: String::new(),
    };
    folder::save(&trained.network, card, &folder)?;
    write_curves(&trained.history, &folder)?;
    std::fs::remove_dir_all(&checkpoint).ok();
    println!("saved {}", folder.display());
    Ok(Answer::Yes)
}

/// Folders of the model and of its checkpoint; says so where there is none to resume.
///
/// # Errors
/// Fails if the name cannot be a folder's, or if a model or a checkpoint would be overwritten.
fn folders(home: &Home, args: &PretrainArgs) -> anyhow::Result<(PathBuf, PathBuf)> {
    check_name(&args.out).map_err(anyhow::Error::msg)?;
    let folder = home.models().join(&args.out);
    let checkpoint = home.models().join(format!("{}.checkpoint", args.out));
    let resumable = checkpoint_exists(&checkpoint)?;
    if folder.join("model.json").is_file() && !(args.running.resume && resumable) {
        bail!("there is a model of this name already; choose another --out: {}", folder.display());
    }
    if checkpoint.is_dir() && !args.running.resume {
        bail!(
            "there is a checkpoint of this name; give --resume to go on, or remove it: {}",
            checkpoint.display()
        );
    }
    if args.running.resume && !resumable {
        eprintln!("{NOTHING_TO_RESUME}: {}", checkpoint.display());
    }
    Ok((folder, checkpoint))
}

/// Writes the curves beside the model: `pretrain.csv`, `pretrain.svg`, and `probe.csv` if there were probes.
fn write_curves(history: &History, folder: &Path) -> anyhow::Result<()> {
    fsutil::write_atomic(&folder.join("pretrain.csv"), history.epochs_csv().as_bytes())?;
    if !history.probes.is_empty() {
        fsutil::write_atomic(&folder.join("probe.csv"), history.probes_csv().as_bytes())?;
    }
    fsutil::write_atomic(&folder.join("pretrain.svg"), curves::svg(history)?.as_bytes())?;
    Ok(())
}

fn config(args: &PretrainArgs) -> anyhow::Result<PretrainConfig> {
    let architecture = args.arch.architecture(args.width, args.stem);
    architecture.blocks().map_err(anyhow::Error::msg)?;
    args.recipe.check()?;
    if !SIZES.contains(&args.size) || args.batch < 2 || args.epochs == 0 {
        bail!("--size is in 16..=1024, --batch is at least 2 and --epochs at least 1");
    }
    let micro_batches = args.running.accumulate * args.running.devices;
    if !args.batch.is_multiple_of(micro_batches) || args.batch / micro_batches < 2 {
        bail!("--batch is cut into --accumulate × --devices equal parts of at least 2 films");
    }
    Ok(PretrainConfig {
        architecture,
        size: args.size,
        epochs: args.epochs,
        batch: args.batch,
        micro_batches,
        objective: args.recipe.objective(),
        optimizer: args.recipe.optimizer(),
        rate: args.recipe.rate(),
        scaling: args.recipe.scaling(),
        warmup_epochs: args.recipe.warmup,
        augment: args.views.augment(),
        seed: args.seed,
    })
}
