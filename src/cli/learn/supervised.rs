//! `penumbra supervised`: a classifier from labels alone.

use std::time::Instant;

use serde_json::json;

use super::films::{labelled, load};
use super::progress::Progress;
use super::save::{Made, finish, new_folder};
use super::start;
use crate::cli::answer::Answer;
use crate::cli::args::SupervisedArgs;
use crate::cli::interrupt::{NOTHING_SAVED, STOPPING};
use crate::config::Home;
use crate::device::Compute;
use crate::learn::Setting;
use crate::learn::supervised::{SupervisedConfig, supervised};
use crate::model::Start;

/// Learns and saves the model under its name.
///
/// # Errors
/// Fails if the films cannot be read, if learning fails, or if the model cannot be written.
pub fn run(
    home: &Home,
    args: &SupervisedArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let folder = new_folder(home, &args.stage.out)?;
    let lesson = labelled(home, &args.stage)?;
    let start = start::find(home, &args.start, args.stage.seed, compute)?;
    let store = load(&lesson, start.preprocess, threads)?;
    let config = config(args, &start);
    eprintln!("{} labels, {start}, on {compute}", store.len());
    let started = Instant::now();
    let (classes, device) = (lesson.classes(), &compute.device);
    let setting = Setting { start: &start.network, classes, store: &store, device, head: None };
    let mut progress = Progress::watch(STOPPING)?;
    let model = supervised(&setting, &lesson.labelled, &config, &mut |step| progress.step(step));
    let Some(model) = progress.ended(model)? else {
        println!("{NOTHING_SAVED}");
        return Ok(Answer::No);
    };
    let made = Made {
        model,
        how: json!({ "supervised": config, "labels": store.len(), "device": compute.name }),
        metrics: json!({}),
    };
    finish(made, &args.stage, &lesson, start, &folder, started)?;
    Ok(Answer::Yes)
}

fn config(args: &SupervisedArgs, start: &Start) -> SupervisedConfig {
    let (size, seed) = (start.preprocess.size, args.stage.seed);
    let mut config = match start.parent {
        Some(_) => SupervisedConfig::from_encoder(size, seed),
        None => SupervisedConfig::from_scratch(size, seed),
    };
    if let Some(steps) = args.steps.steps {
        (config.steps, config.passes) = (steps, 0);
    }
    config.batch = args.steps.batch.unwrap_or(config.batch);
    config.recipe.rate = args.steps.rate.unwrap_or(config.recipe.rate);
    config
}
