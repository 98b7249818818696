//! The model that a stage makes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::cli::args::StageArgs;
use crate::config::{Home, check_name};
use crate::dataset::lesson::Lesson;
use crate::model::folder::{self, Kind, ModelCard};
use crate::model::{Classifier, Start};

/// Returns the folder of the new model.
///
/// # Errors
/// Fails if the name cannot be a folder's or is taken.
pub fn new_folder(home: &Home, name: &str) -> anyhow::Result<PathBuf> {
    check_name(name).map_err(anyhow::Error::msg)?;
    let folder = home.models().join(name);
    if folder.join(folder::CARD).is_file() {
        bail!("there is a model of this name already; choose another --out: {}", folder.display());
    }
    Ok(folder)
}

/// What a stage made and how.
pub struct Made {
    /// The classifier.
    pub model: Classifier,
    /// The stage with its configuration, for the card.
    pub how: Value,
    /// Figures that were measured on the way.
    pub metrics: Value,
}

/// Saves the classifier and says so.
///
/// # Errors
/// Fails if the folder cannot be written.
pub fn finish(
    made: Made,
    args: &StageArgs,
    lesson: &Lesson,
    start: Start,
    folder: &Path,
    started: Instant,
) -> anyhow::Result<()> {
    let card = ModelCard {
        version: folder::VERSION,
        kind: Kind::Classifier,
        architecture: start.architecture,
        preprocess: start.preprocess,
        classes: lesson.films.classes.clone(),
        parent: start.parent,
        seed: args.seed,
        made_by: made.how,
        metrics: made.metrics.clone(),
        weights_hash: String::new(),
    };
    folder::save(&made.model, card, folder).context("the model could not be saved")?;
    let seconds = started.elapsed().as_secs_f32();
    if args.json {
        let report = json!({
            "model": args.out,
            "labels": lesson.labelled.rows.len(),
            "films": lesson.films.files.len(),
            "seconds": seconds,
            "metrics": made.metrics,
        });
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("saved {} ({seconds:.0} s)", folder.display());
    }
    Ok(())
}
