//! `penumbra distill`: a student that learns from classifiers on labelled and unlabelled films.

use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use serde_json::json;

use super::progress::Progress;
use super::{Lesson, Made, Start, finish, new_folder};
use crate::cli::Answer;
use crate::cli::stage_args::DistillArgs;
use crate::config::Home;
use crate::dataset::planes::PlaneStore;
use crate::device::Compute;
use crate::imaging::Preprocess;
use crate::learn::Setting;
use crate::learn::distill::{DistillConfig, distill};
use crate::predict::Predictor;

/// Learns and saves the model under its name.
///
/// # Errors
/// Fails if a teacher does not classify or knows other classes, if the films cannot be read, if learning fails, or if the
/// model cannot be written.
pub fn run(
    home: &Home,
    args: &DistillArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let folder = new_folder(home, &args.stage.out)?;
    let lesson = Lesson::labelled(&args.stage)?.and_unlabelled(&args.stage, &args.unlabelled)?;
    let start = Start::find(home, &args.start, args.stage.seed, compute)?;
    let store = lesson.load(start.preprocess, threads)?;
    let config = config(args, &start);
    let (labels, films) = (lesson.labelled.rows.len(), store.len());
    eprintln!(
        "{labels} labels, {films} films, {}, {} px, on {compute}",
        start.architecture, config.size
    );
    let started = Instant::now();
    let (classes, device) = (lesson.classes(), &compute.device);
    let setting = Setting { start: &start.network, classes, store: &store, device };
    let teacher = teach(home, args, compute, &lesson, (start.preprocess, &store), threads)?;
    let (rows, mut progress) = (lesson.rows(), Progress::new());
    let model = distill(&setting, &rows, teacher, &lesson.labelled, &config, &mut |report| {
        progress.step(report)
    })?;
    progress.finish();
    let made = Made {
        model,
        how: json!({
            "distill": config,
            "teachers": args.teacher,
            "labels": labels,
            "films": films,
            "device": compute.name,
        }),
        metrics: json!({}),
    };
    finish(made, &args.stage, &lesson, start, &folder, started)?;
    Ok(Answer::Yes)
}

/// Returns the mean of the teachers' class probabilities of all films, row-major. A teacher sees films as it was trained
/// to, which may be larger than the student's.
fn teach(
    home: &Home,
    args: &DistillArgs,
    compute: &Compute,
    lesson: &Lesson,
    (preprocess, store): (Preprocess, &Arc<PlaneStore>),
    threads: usize,
) -> anyhow::Result<Vec<f32>> {
    let rows = lesson.rows();
    let mut mean = vec![0.0; rows.len() * lesson.classes()];
    for name in &args.teacher {
        let teacher = Predictor::load(&home.model(name), &compute.device)?;
        let own = if teacher.card.preprocess == preprocess {
            Arc::clone(store)
        } else {
            lesson.load(teacher.card.preprocess, threads)?
        };
        let Some(found) = teacher.probabilities(&own, &rows)? else {
            bail!("the model {name} embeds and does not classify; give a classifier as --teacher");
        };
        let (classes, expected) = (&teacher.card.classes, &lesson.films.classes);
        if classes != expected {
            bail!("the model {name} knows the classes {classes:?}, the labels file {expected:?}");
        }
        let share = (args.teacher.len() as f32).recip();
        mean.iter_mut().zip(found).for_each(|(sum, p)| *sum += share * p);
    }
    Ok(mean)
}

fn config(args: &DistillArgs, start: &Start) -> DistillConfig {
    let mut config = DistillConfig::standard(start.preprocess.size, args.stage.seed);
    config.epochs = args.epochs.unwrap_or(config.epochs);
    config.temperature = args.temperature.map_or(config.temperature, |value| value as f32);
    config
}
