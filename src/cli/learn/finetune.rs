//! `penumbra finetune`: a classifier from a pretrained encoder and labels.
//!
//! The fold networks say, on films that they have not seen, what fine-tuning is worth; the model that is saved learns from
//! all labels.

use std::time::Instant;

use anyhow::Context as _;
use serde_json::json;

use super::progress::Progress;
use super::{Lesson, Made, Start, finish, new_folder};
use crate::cli::Answer;
use crate::cli::stage_args::FinetuneArgs;
use crate::config::Home;
use crate::device::Compute;
use crate::learn::finetune::{FinetuneConfig, finetune};
use crate::learn::metrics::Metrics;
use crate::learn::optimizer::OptimizerConfig;
use crate::learn::supervised::{SupervisedConfig, supervised};
use crate::learn::{Flow, Recipe, Setting};

/// Learns and saves the model under its name.
///
/// # Errors
/// Fails if the films cannot be read, if learning fails, or if the model cannot be written.
pub fn run(
    home: &Home,
    args: &FinetuneArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let folder = new_folder(home, &args.stage.out)?;
    let lesson = Lesson::labelled(&args.stage)?;
    let start = Start::pretrained(home, &args.model, compute)?;
    let store = lesson.load(start.preprocess, threads)?;
    let config = config(args, &start);
    let labels = store.len();
    eprintln!("{labels} labels, {}, {} px, on {compute}", start.architecture, config.size);
    let started = Instant::now();
    let (classes, device) = (lesson.classes(), &compute.device);
    let setting = Setting { start: &start.network, classes, store: &store, device };
    let mut progress = Progress::new();
    eprintln!("cross-validation in {} folds", config.folds);
    let (patients, labelled) = (&lesson.films.patients, &lesson.labelled);
    let folds = finetune(&setting, patients, &mut || labelled.clone(), &config, &mut |report| {
        progress.step(report)
    })?;
    let unseen = folds.out_of_fold(&setting, config.size, &mut |_| Flow::Continue)?;
    let metrics = Metrics::of(&unseen, &labelled.classes, classes, lesson.films.positive())
        .context("cross-validation gave no figures")?;
    let whole = whole(&config, labels);
    eprintln!("all labels");
    let model = supervised(&setting, labelled, &whole, &mut |report| progress.step(report))?;
    progress.finish();
    if !args.stage.json {
        println!("by cross-validation in {} folds, patient by patient:\n{metrics}", config.folds);
    }
    let made = Made {
        model,
        how: json!({
            "finetune": config,
            "all_labels": whole,
            "labels": labels,
            "device": compute.name,
        }),
        metrics: json!({ "cross_validated": metrics }),
    };
    finish(made, &args.stage, &lesson, start, &folder, started)?;
    Ok(Answer::Yes)
}

fn config(args: &FinetuneArgs, start: &Start) -> FinetuneConfig {
    let mut config = FinetuneConfig::standard(start.preprocess.size, args.stage.seed);
    config.epochs = args.epochs.unwrap_or(config.epochs);
    config.folds = args.folds.unwrap_or(config.folds);
    config
}

/// The same for one network on all labels: as many passes over them.
fn whole(config: &FinetuneConfig, labels: usize) -> SupervisedConfig {
    SupervisedConfig {
        size: config.size,
        steps: u64::from(config.epochs) * labels.div_ceil(config.batch) as u64,
        batch: config.batch,
        recipe: Recipe {
            optimizer: OptimizerConfig::Adamw { weight_decay: 0.0 },
            rate: config.rate,
            head_factor: config.head_factor,
            ema: config.ema,
            freeze_statistics: true,
        },
        augment: config.augment.clone(),
        seed: config.seed,
    }
}
