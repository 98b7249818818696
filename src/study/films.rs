//! The films of a session as the engine takes them.

use std::path::PathBuf;

use crate::dataset::FilmId;

/// Films to work on, in row order.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Folder that the files are relative to.
    pub root: PathBuf,
    /// Files, relative to the root.
    pub files: Vec<String>,
    /// What identifies each film in the cache.
    pub keys: Vec<String>,
    /// Identity of each film; empty for a reference set.
    pub ids: Vec<FilmId>,
    /// Patient of each film; empty for a reference set.
    pub patients: Vec<String>,
}

/// Films whose labels are known, to measure on.
#[derive(Clone, Debug)]
pub struct ReferenceSet {
    /// The films.
    pub source: Source,
    /// Class index of each film.
    pub classes: Vec<usize>,
}
