//! Films in a fixed order: found in a folder or listed in a labels file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::labels::{LabelRow, LabelsError, read_labels};
use super::planes::PlaneStore;
use super::{Flow, PatientRule, Refused, ScanError, Stopped, scan};
use crate::config::Home;
use crate::fsutil::FsError;
use crate::imaging::{self, Preprocess};

/// Which films are wanted.
#[derive(Clone, Debug)]
pub struct FilmSet {
    /// Folder of films.
    pub images: PathBuf,
    /// Labels file. Without one all films of the folder are taken.
    pub labels: Option<PathBuf>,
    /// Only films of this split of the labels file.
    pub split: Option<String>,
    /// Only the first films.
    pub limit: Option<usize>,
}

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

/// Why films could not be found or read.
#[derive(Debug, thiserror::Error)]
pub enum FilmsError {
    /// The folder is not there.
    #[error("there is no such folder of films: {}", .0.display())]
    NoFolder(PathBuf),
    /// The labels file has no row of the split.
    #[error("no row is of the split {split:?}: {}", path.display())]
    NoSplit {
        /// The split.
        split: String,
        /// The labels file.
        path: PathBuf,
    },
    /// Nothing is left.
    #[error("there are no films to work on: {}", .0.display())]
    NoFilms(PathBuf),
    /// Films cannot be read: a figure over fewer films than it says would mislead.
    #[error("films that cannot be read: {count}; the first: {first}")]
    Unreadable {
        /// How many.
        count: usize,
        /// The first of them.
        first: Refused,
    },
    /// The labels file cannot be used.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// The folder cannot be scanned.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The key that patients are hashed with cannot be used.
    #[error(transparent)]
    PatientKey(#[from] FsError),
    /// Who watched asked for it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Films {
    /// Finds the films that are wanted, and the files of a folder that are none. `observe` is told, on other threads, how
    /// many of how many files are indexed.
    ///
    /// # Errors
    /// Fails if the folder or the labels file cannot be read, or if nothing is left.
    pub fn find(
        home: &Home,
        set: &FilmSet,
        observe: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Self, Vec<Refused>), FilmsError> {
        if !set.images.is_dir() {
            return Err(FilmsError::NoFolder(set.images.clone()));
        }
        let rule = PatientRule::default().with_home(home.root());
        let (mut films, refused) = match &set.labels {
            Some(labels) => (Self::listed(set, labels, &rule)?, Vec::new()),
            None => Self::scanned(&set.images, &rule, observe)?,
        };
        let limit = set.limit.unwrap_or(usize::MAX);
        films.files.truncate(limit);
        films.labels.truncate(limit);
        films.patients.truncate(limit);
        if films.files.is_empty() {
            return Err(FilmsError::NoFilms(set.images.clone()));
        }
        Ok((films, refused))
    }

    fn listed(set: &FilmSet, labels: &Path, rule: &PatientRule) -> Result<Self, FilmsError> {
        let mut rows = read_labels(labels)?;
        let names: BTreeSet<String> = rows.iter().map(|row| row.label.clone()).collect();
        let classes: Vec<String> = names.into_iter().collect();
        if let Some(split) = &set.split {
            rows.retain(|row| row.split.as_ref() == Some(split));
            if rows.is_empty() {
                let (split, path) = (split.clone(), labels.to_owned());
                return Err(FilmsError::NoSplit { split, path });
            }
        }
        let mut films = Self { root: set.images.clone(), classes, ..Self::default() };
        for row in rows {
            films.patients.push(patient_of(&row, &set.images, rule)?);
            // The classes are the labels' own, so each is among them.
            films.labels.extend(films.classes.binary_search(&row.label).ok());
            films.files.push(row.file);
        }
        Ok(films)
    }

    fn scanned(
        images: &Path,
        rule: &PatientRule,
        observe: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Self, Vec<Refused>), FilmsError> {
        let found = scan(images, rule, observe)?;
        let films = Self {
            root: images.to_owned(),
            files: found.films.iter().map(|film| film.file.clone()).collect(),
            patients: found.films.into_iter().map(|film| film.patient).collect(),
            ..Self::default()
        };
        Ok((films, found.refused))
    }

    /// Returns the films in `rows`, in that order.
    ///
    /// # Panics
    /// When there is no such film, or there are no labels.
    #[must_use]
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

    /// Reads the films into memory. `observe` is told, on other threads, how many of how many are done.
    ///
    /// # Errors
    /// Fails if a film cannot be read, or as stopped when `observe` says so.
    pub fn load(
        &self,
        preprocess: Preprocess,
        threads: usize,
        observe: &(dyn Fn(usize, usize) -> Flow + Sync),
    ) -> Result<Arc<PlaneStore>, FilmsError> {
        let (store, refused) =
            PlaneStore::load(&self.root, &self.files, &preprocess, threads, observe)?;
        let count = refused.len();
        match refused.into_iter().next() {
            Some(first) => Err(FilmsError::Unreadable { count, first }),
            None => Ok(Arc::new(store)),
        }
    }
}

/// Returns the patient of a film as the labels file gives it, else as the film or its name does.
pub(super) fn patient_of(
    row: &LabelRow,
    images: &Path,
    rule: &PatientRule,
) -> Result<String, FsError> {
    match &row.patient {
        Some(patient) => Ok(patient.clone()),
        None => rule.group(&row.file, imaging::patient(&images.join(&row.file)).as_ref()),
    }
}
