//! `penumbra finetune`: a classifier from a pretrained encoder and labels.
//!
//! Networks of the folds say, on films that they have not seen, when to stop and what fine-tuning is worth; the model that
//! is saved learns from all labels for as long.

use std::time::Instant;

use anyhow::Context as _;
use serde_json::json;

use super::films::{labelled, load};
use super::head::embedded;
use super::progress::Progress;
use super::save::{Made, finish, new_folder};
use crate::cli::answer::Answer;
use crate::cli::args::FinetuneArgs;
use crate::cli::interrupt::{NOTHING_SAVED, STOPPING};
use crate::config::Home;
use crate::device::Compute;
use crate::learn::finetune::FinetuneConfig;
use crate::learn::metrics::{Metrics, positive_class};
use crate::learn::round::Round;
use crate::learn::{Flow, Recipe, StepReport};
use crate::model::Start;

/// Films in a step of SimCLR v2's own recipe, as the published system had it.
const REFERENCE_BATCH: usize = 32;

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
    let lesson = labelled(home, &args.stage)?;
    let start = Start::pretrained(home, &args.model, &compute.device)?;
    let store = load(&lesson, start.preprocess, threads)?;
    let config = config(args, &start);
    let labels = store.len();
    eprintln!("{labels} labels, {start}, on {compute}");
    let started = Instant::now();
    let space = embedded(&start, &lesson, &store, compute)?;
    let rows = lesson.rows();
    let round = Round {
        start: &start.network,
        space: &space,
        store: &store,
        pool: &rows,
        size: start.preprocess.size,
        device: &compute.device,
        flow: &|| Flow::Continue,
    };
    let mut progress = Progress::watch(STOPPING)?;
    let labelled = &lesson.labelled;
    let observe = &mut |step: &StepReport| progress.step(step);
    let tuned = round.tune(&config, &mut || labelled.clone(), None, observe);
    let Some(tuned) = progress.ended(tuned)? else {
        println!("{NOTHING_SAVED}");
        return Ok(Answer::No);
    };
    let positive = positive_class(&lesson.films.classes);
    let metrics = Metrics::of(&tuned.out_of_fold, &labelled.classes, lesson.classes(), positive)
        .context("cross-validation gave no figures")?;
    if !args.stage.json {
        let (folds, epochs) = (config.folds, tuned.epochs);
        println!(
            "by cross-validation in {folds} folds, patient by patient, after {epochs} passes:\n{metrics}"
        );
    }
    let made = Made {
        model: tuned.model,
        how: json!({
            "finetune": config,
            "epochs": tuned.epochs,
            "temperature": tuned.temperature,
            "labels": labels,
            "device": compute.name,
        }),
        metrics: json!({ "cross_validated": metrics }),
    };
    finish(made, &args.stage, &lesson, start, &folder, started)?;
    Ok(Answer::Yes)
}

fn config(args: &FinetuneArgs, start: &Start) -> FinetuneConfig {
    let (size, seed) = (start.preprocess.size, args.stage.seed);
    let standard = if args.simclr {
        FinetuneConfig::simclr(size, REFERENCE_BATCH, seed)
    } else {
        FinetuneConfig::standard(size, seed)
    };
    FinetuneConfig {
        epochs: args.epochs.unwrap_or(standard.epochs),
        // Who names the passes wants no other bound.
        steps: if args.epochs.is_some() { u64::MAX } else { standard.steps },
        folds: args.folds.unwrap_or(standard.folds),
        recipe: Recipe {
            layer_decay: args.layer_decay.map_or(standard.recipe.layer_decay, f64::from),
            ..standard.recipe
        },
        ..standard
    }
}
