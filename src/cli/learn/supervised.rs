//! `penumbra supervised`: a classifier from labels alone.

use std::time::Instant;

use serde_json::json;

use super::progress::Progress;
use super::{Lesson, Made, Start, finish, new_folder};
use crate::cli::Answer;
use crate::cli::stage_args::SupervisedArgs;
use crate::config::Home;
use crate::device::Compute;
use crate::learn::Setting;
use crate::learn::supervised::{SupervisedConfig, supervised};

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
    let lesson = Lesson::labelled(home, &args.stage)?;
    let start = Start::find(home, &args.start, args.stage.seed, compute)?;
    let store = lesson.load(start.preprocess, threads)?;
    let config = config(args, &start);
    eprintln!("{} labels, {start}, on {compute}", store.len());
    let started = Instant::now();
    let (classes, device) = (lesson.classes(), &compute.device);
    let setting = Setting { start: &start.network, classes, store: &store, device, head: None };
    let mut progress = Progress::new();
    let model =
        supervised(&setting, &lesson.labelled, &config, &mut |report| progress.step(report))?;
    progress.finish();
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
