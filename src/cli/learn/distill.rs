//! `penumbra distill`: a student that learns from classifiers on labelled and unlabelled films.

use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use serde_json::json;

use super::films::{load, with_unlabelled};
use super::head::{head_fit, of_pretrained};
use super::progress::Progress;
use super::save::{Made, finish, new_folder};
use super::start;
use crate::cli::answer::Answer;
use crate::cli::args::{DistillArgs, StartArgs};
use crate::cli::interrupt::NOTHING_TO_RESUME;
use crate::config::Home;
use crate::dataset::lesson::Lesson;
use crate::dataset::planes::PlaneStore;
use crate::device::Compute;
use crate::imaging::Preprocess;
use crate::learn::distill::{Checkpointed, DistillConfig, Teacher, distill, remove_checkpoint};
use crate::learn::{HeadFit, Setting, StepReport, checkpoint_exists};
use crate::model::{Classifier, Network, Start, Stem};
use crate::predict::{Model, Predictor};

/// What the first Ctrl-C is answered with.
const STOPPING: &str = "stopping; a checkpoint is written first, Ctrl-C again ends at once";

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
    let lesson = with_unlabelled(home, &args.stage, &args.unlabelled)?;
    let shape = if args.original { original(&args.start) } else { args.start.clone() };
    let start = start::find(home, &shape, args.stage.seed, compute)?;
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
    let teachers = teachers(home, args, compute, &lesson)?;
    let identity = identity(args, &teachers, &lesson, &start);
    let (networks, known);
    let teacher = if args.same_view || args.original {
        networks = same_size(teachers, start.preprocess)?;
        Teacher::Networks(&networks)
    } else {
        known = teach(&teachers, &lesson, (start.preprocess, &store), threads)?;
        Teacher::Probabilities(&known)
    };
    let checkpoint = home.models().join(format!("{}.checkpoint", args.stage.out));
    match (checkpoint_exists(&checkpoint)?, args.resume) {
        (true, false) => bail!(
            "an interrupted run has left a checkpoint; go on with --resume, or delete it: {}",
            checkpoint.display()
        ),
        (false, true) => eprintln!("{NOTHING_TO_RESUME}: {}", checkpoint.display()),
        _ => {}
    }
    let mut progress = Progress::watch(STOPPING)?;
    let student = setting.classifier(&lesson.labelled);
    let checkpointed = Some(Checkpointed { folder: &checkpoint, lesson: &identity });
    let (rows, observe) = (lesson.rows(), &mut |step: &StepReport| progress.step(step));
    let model = distill(&setting, &student, &rows, teacher, &config, checkpointed, observe);
    let Some(model) = progress.ended(model)? else {
        println!(
            "stopped; the same command with --resume goes on from here: {}",
            checkpoint.display()
        );
        return Ok(Answer::No);
    };
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
    remove_checkpoint(&checkpoint)?;
    Ok(Answer::Yes)
}

/// The published system's student: a ResNet-50 that sees 224 pixels.
fn original(start: &StartArgs) -> StartArgs {
    let arch = Network { depth: 50, selective: false };
    StartArgs { model: None, arch, width: 1.0, stem: Stem::Standard, size: 224, ..start.clone() }
}

/// Loads the teachers, which must know the classes of the labels file.
fn teachers(
    home: &Home,
    args: &DistillArgs,
    compute: &Compute,
    lesson: &Lesson,
) -> anyhow::Result<Vec<Predictor>> {
    let load = |name: &String| {
        let teacher = Predictor::load(&home.model(name), &compute.device)?;
        let (classes, expected) = (&teacher.card.classes, &lesson.films.classes);
        if matches!(teacher.model, Model::Pretrained(_)) {
            bail!("the model {name} embeds and does not classify; give a classifier as --teacher");
        }
        if classes != expected {
            bail!("the model {name} knows the classes {classes:?}, the labels file {expected:?}");
        }
        Ok(teacher)
    };
    args.teacher.iter().map(load).collect()
}

/// Returns what tells this lesson from others: its teachers, its films, and what the student is and begins as.
fn identity(
    args: &DistillArgs,
    teachers: &[Predictor],
    lesson: &Lesson,
    start: &Start,
) -> serde_json::Value {
    let mut films = blake3::Hasher::new();
    for file in &lesson.films.files {
        films.update(file.as_bytes()).update(b"\n");
    }
    let weights = teachers.iter().map(|teacher| teacher.card.weights_hash.clone());
    json!({
        "weights of teachers": weights.collect::<Vec<_>>(),
        "same view": args.same_view,
        "number of films": lesson.films.files.len(),
        "names of films": films.finalize().to_hex().as_str(),
        "architecture": start.architecture,
        "preprocessing": start.preprocess,
        "pretrained weights": start.weights_hash,
    })
}

/// Returns the teachers' networks, which must see films as the student does.
fn same_size(teachers: Vec<Predictor>, preprocess: Preprocess) -> anyhow::Result<Vec<Classifier>> {
    let network = |teacher: Predictor| match teacher.model {
        Model::Classifier(network) if teacher.card.preprocess == preprocess => Ok(*network),
        _ => bail!(
            "a teacher that is asked about the student's views sees films in its size and fit"
        ),
    };
    teachers.into_iter().map(network).collect()
}

/// Returns the mean of the teachers' class probabilities of all films, row-major. A teacher sees films as it was trained
/// to, which may be larger than the student's.
fn teach(
    teachers: &[Predictor],
    lesson: &Lesson,
    (preprocess, store): (Preprocess, &Arc<PlaneStore>),
    threads: usize,
) -> anyhow::Result<Vec<f32>> {
    let rows = lesson.rows();
    let mut mean = vec![0.0; rows.len() * lesson.classes()];
    for teacher in teachers {
        let own = if teacher.card.preprocess == preprocess {
            Arc::clone(store)
        } else {
            load(lesson, teacher.card.preprocess, threads)?
        };
        let found = teacher.probabilities(&own, &rows)?.unwrap_or_default();
        let share = (teachers.len() as f32).recip();
        mean.iter_mut().zip(found).for_each(|(sum, p)| *sum += share * p);
    }
    Ok(mean)
}

fn config(args: &DistillArgs, start: &Start) -> DistillConfig {
    let (size, seed) = (start.preprocess.size, args.stage.seed);
    let standard = if args.original {
        let batch = args.batch.unwrap_or(DistillConfig::ORIGINAL_BATCH);
        DistillConfig::original(size, batch, seed)
    } else if start.parent.is_some() {
        DistillConfig::standard(size, seed)
    } else {
        DistillConfig::from_scratch(size, seed)
    };
    DistillConfig {
        epochs: args.epochs.unwrap_or(standard.epochs),
        batch: args.batch.unwrap_or(standard.batch),
        temperature: args.temperature.map_or(standard.temperature, |value| value as f32),
        mixup: args.mixup.unwrap_or(standard.mixup),
        ..standard
    }
}
