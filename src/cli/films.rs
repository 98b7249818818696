//! Films that a command works on: found on disk or listed in a labels file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::args::FilmsArgs;
use crate::config::Home;
use crate::dataset::labels::{LabelRow, read_labels};
use crate::dataset::planes::PlaneStore;
use crate::dataset::{Flow, PatientRule, scan};
use crate::imaging::{self, Preprocess};
use crate::learn::metrics::positive_class;

/// Films in a fixed order, with what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Films {
    /// Folder that the files are relative to.
    pub root: PathBuf,
    /// Files, relative to the root.
    pub files: Vec<String>,
    /// Class index of each, if a labels file was given.
    pub labels: Vec<usize>,
    /// Patient of each.
    pub patients: Vec<String>,
    /// Class names in alphabetical order, if a labels file was given.
    pub classes: Vec<String>,
}

impl Films {
    /// Finds the films that the arguments ask for.
    ///
    /// # Errors
    /// Fails if the folder or the labels file cannot be read, or if nothing is left.
    pub fn find(home: &Home, args: &FilmsArgs) -> anyhow::Result<Self> {
        if !args.images.is_dir() {
            bail!("there is no such folder of films: {}", args.images.display());
        }
        let rule = PatientRule::default().with_home(home.root());
        let mut films = match &args.labels {
            Some(labels) => Self::listed(args, labels, &rule)?,
            None => Self::scanned(args, &rule)?,
        };
        let limit = args.limit.unwrap_or(usize::MAX);
        films.files.truncate(limit);
        films.labels.truncate(limit);
        films.patients.truncate(limit);
        if films.files.is_empty() {
            bail!("there are no films to work on: {}", args.images.display());
        }
        Ok(films)
    }

    fn listed(args: &FilmsArgs, labels: &Path, rule: &PatientRule) -> anyhow::Result<Self> {
        let mut rows = read_labels(labels)?;
        let names: BTreeSet<String> = rows.iter().map(|row| row.label.clone()).collect();
        let classes: Vec<String> = names.into_iter().collect();
        if let Some(split) = &args.split {
            rows.retain(|row| row.split.as_ref() == Some(split));
            if rows.is_empty() {
                bail!("no row is of the split {split:?}: {}", labels.display());
            }
        }
        let label =
            |name: &String| classes.binary_search(name).ok().context("a label without a class");
        Ok(Self {
            root: args.images.clone(),
            labels: rows.iter().map(|row| label(&row.label)).collect::<anyhow::Result<_>>()?,
            patients: rows
                .iter()
                .map(|row| patient_of(row, &args.images, rule))
                .collect::<anyhow::Result<_>>()?,
            files: rows.into_iter().map(|row| row.file).collect(),
            classes,
        })
    }

    fn scanned(args: &FilmsArgs, rule: &PatientRule) -> anyhow::Result<Self> {
        let bar = bar("indexing films");
        let found = scan(&args.images, rule, &|done, total| {
            progress(&bar, done, total);
        })?;
        bar.finish_and_clear();
        for film in &found.refused {
            eprintln!("refused: {film}");
        }
        Ok(Self {
            root: args.images.clone(),
            files: found.films.iter().map(|film| film.file.clone()).collect(),
            patients: found.films.into_iter().map(|film| film.patient).collect(),
            ..Self::default()
        })
    }

    /// Returns the films in `rows`, in that order.
    ///
    /// # Panics
    /// When there is no such film, or there are no labels.
    pub fn select(&self, rows: &[usize]) -> Self {
        let texts = |of: &[String]| rows.iter().map(|&row| of[row].clone()).collect();
        Self {
            root: self.root.clone(),
            files: texts(&self.files),
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            patients: texts(&self.patients),
            classes: self.classes.clone(),
        }
    }

    /// Reads the films into memory.
    ///
    /// # Errors
    /// Fails if a film cannot be read: a figure over fewer films than it says would mislead.
    pub fn load(&self, preprocess: Preprocess, threads: usize) -> anyhow::Result<Arc<PlaneStore>> {
        let bar = bar("reading films");
        let report = |done, total| {
            progress(&bar, done, total);
            Flow::Continue
        };
        let (store, refused) =
            PlaneStore::load(&self.root, &self.files, &preprocess, threads, &report)?;
        bar.finish_and_clear();
        if let Some(film) = refused.first() {
            let count = refused.len();
            bail!("films that cannot be read: {count}; the first: {film}");
        }
        Ok(Arc::new(store))
    }

    /// Index of the class that figures are about.
    pub fn positive(&self) -> usize {
        positive_class(&self.classes)
    }
}

/// Returns the patient of a film as the labels file gives it, else as the film or its name does.
///
/// # Errors
/// Fails if the key that patients are hashed with cannot be used.
pub fn patient_of(row: &LabelRow, images: &Path, rule: &PatientRule) -> anyhow::Result<String> {
    match &row.patient {
        Some(patient) => Ok(patient.clone()),
        None => Ok(rule.group(&row.file, imaging::patient(&images.join(&row.file)).as_ref())?),
    }
}

/// Makes a progress bar that says what is done, of how much, and how long it still takes.
pub fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg:32} {bar:30} {pos}/{len}  {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Shows how many of how many films are done.
pub fn progress(bar: &ProgressBar, done: usize, total: usize) {
    bar.set_length(total as u64);
    bar.set_position(done as u64);
}
