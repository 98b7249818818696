//! `penumbra fixmatch`: a classifier from labelled and unlabelled films.

use std::time::Instant;

use anyhow::bail;
use serde_json::json;

use super::films::{load, with_unlabelled};
use super::head::{head_fit, of_pretrained};
use super::progress::Progress;
use super::save::{Made, finish, new_folder};
use super::start;
use crate::cli::answer::Answer;
use crate::cli::args::FixmatchArgs;
use crate::cli::interrupt::{NOTHING_SAVED, STOPPING};
use crate::config::Home;
use crate::dataset::lesson::Lesson;
use crate::device::Compute;
use crate::learn::fixmatch::{FixMatchConfig, FixMatched, fixmatch};
use crate::learn::pseudo_labels::label_prior;
use crate::learn::{HeadFit, Setting, StepReport};
use crate::model::Start;

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
    let lesson = with_unlabelled(home, &args.stage, &args.unlabelled)?;
    let prior = prior(args, &lesson)?;
    let start = start::find(home, &args.start, args.stage.seed, compute)?;
    let store = load(&lesson, start.preprocess, threads)?;
    let config = config(args, &start);
    let (labels, films) = (lesson.labelled.rows.len(), store.len());
    eprintln!("{labels} labels, {films} films, {start}, on {compute}");
    let started = Instant::now();
    let (classes, device) = (lesson.classes(), &compute.device);
    let space = of_pretrained(&start, &lesson, &store, compute)?;
    let fit = head_fit(space.as_ref(), &lesson)?;
    let head = fit.as_ref().map(|fit| fit as &HeadFit<'_>);
    let setting = Setting { start: &start.network, classes, store: &store, device, head };
    let (rows, mut progress) = (lesson.rows(), Progress::watch(STOPPING)?);
    let observe = &mut |step: &StepReport| progress.step(step);
    let learnt = fixmatch(&setting, &rows, &lesson.labelled, Some(&prior), &config, observe);
    let Some(FixMatched { model, taken }) = progress.ended(learnt)? else {
        println!("{NOTHING_SAVED}");
        return Ok(Answer::No);
    };
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
