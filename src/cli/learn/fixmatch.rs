//! `penumbra fixmatch`: a classifier from labelled and unlabelled films.

use std::time::Instant;

use anyhow::bail;
use serde_json::json;

use super::progress::Progress;
use super::{Embedded, Lesson, Made, Start, finish, new_folder};
use crate::cli::Answer;
use crate::cli::stage_args::FixmatchArgs;
use crate::config::Home;
use crate::device::Compute;
use crate::learn::finetune::Labelled;
use crate::learn::fixmatch::{FixMatchConfig, FixMatched, fixmatch};
use crate::learn::pseudo_labels::label_prior;
use crate::learn::{HeadFit, Setting};

/// Learns and saves the model under its name.
///
/// # Errors
/// Fails if the films cannot be read, if learning fails, or if the model cannot be written.
pub fn run(
    home: &Home,
    args: &FixmatchArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let folder = new_folder(home, &args.stage.out)?;
    let lesson =
        Lesson::labelled(home, &args.stage)?.and_unlabelled(home, &args.stage, &args.unlabelled)?;
    let prior = prior(args, &lesson)?;
    let start = Start::find(home, &args.start, args.stage.seed, compute)?;
    let store = lesson.load(start.preprocess, threads)?;
    let config = config(args, &start);
    let (labels, films) = (lesson.labelled.rows.len(), store.len());
    eprintln!("{labels} labels, {films} films, {start}, on {compute}");
    let started = Instant::now();
    let (classes, device) = (lesson.classes(), &compute.device);
    let embedded = Embedded::of_pretrained(&start, &lesson, &store, compute)?;
    let fit = embedded.as_ref().map(|embedded| |labelled: &Labelled| embedded.fit(labelled));
    let head = fit.as_ref().map(|fit| fit as &HeadFit<'_>);
    let setting = Setting { start: &start.network, classes, store: &store, device, head };
    let mut progress = Progress::new();
    let FixMatched { model, taken } = fixmatch(
        &setting,
        &lesson.rows(),
        &lesson.labelled,
        Some(&prior),
        &config,
        &mut |report| progress.step(report),
    )?;
    progress.finish();
    let made = Made {
        model,
        how: json!({
            "fixmatch": config,
            "prior": prior,
            "labels": labels,
            "films": films,
            "device": compute.name,
        }),
        metrics: json!({ "pseudo_labels_taken": taken }),
    };
    finish(made, &args.stage, &lesson, start, &folder, started)?;
    Ok(Answer::Yes)
}

/// Expected share of each class.
fn prior(args: &FixmatchArgs, lesson: &Lesson) -> anyhow::Result<Vec<f32>> {
    let Some(shares) = &args.prior else {
        return Ok(label_prior(&lesson.labelled, lesson.classes()));
    };
    if shares.len() != lesson.classes() {
        bail!("--prior has one share for each of the classes {:?}", lesson.films.classes);
    }
    let total: f64 = shares.iter().sum();
    Ok(shares.iter().map(|share| (share / total) as f32).collect())
}

fn config(args: &FixmatchArgs, start: &Start) -> FixMatchConfig {
    let (size, seed) = (start.preprocess.size, args.stage.seed);
    let mut config = if start.parent.is_some() {
        FixMatchConfig::from_encoder(size, seed)
    } else {
        FixMatchConfig::from_scratch(size, seed)
    };
    config.steps = args.steps.steps.unwrap_or(config.steps);
    config.batch = args.steps.batch.unwrap_or(config.batch);
    config.recipe.rate = args.steps.rate.unwrap_or(config.recipe.rate);
    config.unlabelled_ratio = args.ratio.unwrap_or(config.unlabelled_ratio);
    config.pseudo_labels.threshold = args.threshold;
    config.pseudo_labels.align = !args.unaligned;
    config.pseudo_labels.balance = !args.unbalanced;
    config
}
