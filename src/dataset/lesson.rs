//! The films of a stage of learning: those with a label and those without.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::films::{FilmSet, Films, FilmsError, patient_of};
use super::labels::read_labels;
use super::{Labelled, PatientRule, Refused, scan};
use crate::config::Home;

/// Films to learn from, the labelled ones first.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// Every film; only the first ones have a label.
    pub films: Films,
    /// The labels.
    pub labelled: Labelled,
}

/// Why there are no unlabelled films.
#[derive(Debug, thiserror::Error)]
pub enum LessonError {
    /// Every film has a label.
    #[error("there are no films without a label: {}", .0.display())]
    NoneUnlabelled(PathBuf),
    /// Films cannot be found.
    #[error(transparent)]
    Films(#[from] FilmsError),
}

impl Lesson {
    /// Takes films that all have a label.
    pub fn of(films: Films) -> Self {
        let classes = films.labels.clone();
        Self { labelled: Labelled { rows: (0..classes.len()).collect(), classes }, films }
    }

    /// Adds the films of a split of the labels file, whose labels are not looked at; without a split those of the folder
    /// that the labels file does not name. Returns the files that are no films too; `observe` is told, on other threads, how
    /// many of how many files are indexed.
    ///
    /// # Errors
    /// Fails if the labels file or the folder cannot be read, or there is no such film.
    pub fn and_unlabelled(
        mut self,
        home: &Home,
        set: &FilmSet,
        split: Option<&str>,
        observe: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Self, Vec<Refused>), LessonError> {
        let rule = PatientRule::default().with_home(home.root());
        let rows = match &set.labels {
            Some(labels) => read_labels(labels).map_err(FilmsError::from)?,
            None => Vec::new(),
        };
        let (before, mut refused) = (self.films.files.len(), Vec::new());
        if let Some(split) = split {
            let known: BTreeSet<String> = self.films.files.iter().cloned().collect();
            let of_split = |row: &super::labels::LabelRow| row.split.as_deref() == Some(split);
            for row in rows.into_iter().filter(of_split).filter(|row| !known.contains(&row.file)) {
                let patient = patient_of(&row, &set.images, &rule).map_err(FilmsError::from)?;
                self.films.patients.push(patient);
                self.films.files.push(row.file);
            }
        } else {
            let named: BTreeSet<String> = rows.into_iter().map(|row| row.file).collect();
            let found = scan(&set.images, &rule, observe).map_err(FilmsError::from)?;
            refused = found.refused;
            for film in found.films.into_iter().filter(|film| !named.contains(&film.file)) {
                self.films.patients.push(film.patient);
                self.films.files.push(film.file);
            }
        }
        if self.films.files.len() == before {
            return Err(LessonError::NoneUnlabelled(set.images.clone()));
        }
        Ok((self, refused))
    }

    /// Returns the rows of all films.
    pub fn rows(&self) -> Vec<usize> {
        (0..self.films.files.len()).collect()
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.films.classes.len()
    }
}
