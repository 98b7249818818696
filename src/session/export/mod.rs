//! Labelled sets for other programs, one file a format, and the sealed release bundle.

mod bundle;
mod coco;
mod error;
mod folder;
mod lines;
mod npy;
mod npz;
mod parquet;
mod record;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tempfile::TempDir;

pub use self::bundle::{
    BundleCheck, InvalidShares, Model, SPLITS, Sealed, Shares, Split, check_bundle, write_bundle,
};
pub use self::error::ExportError;
pub use self::npy::npy;
use super::state::State;
use crate::dataset::FilmId;
use crate::fsutil;

/// Edges of the films in arrays, in pixels.
const SIZES: RangeInclusive<u32> = 8..=2048;

/// How a labelled set is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `labels.csv`, which every command that takes a labels file reads; `uninterpretable.csv` and `notes.csv`, the notes
    /// on films with and without an answer, if there are any.
    Csv,
    /// `labels.jsonl`: one JSON object a film with all that is known of its label, uninterpretable films included; and
    /// `notes.jsonl` if there are notes.
    Jsonl,
    /// `labels.parquet`: a table like that of [`Format::Csv`] with the types of its columns, uninterpretable films
    /// included.
    Parquet,
    /// `labels.coco.json`: a category a class and an annotation a film, uninterpretable ones left out.
    Coco,
    /// `labels.npz`: films as squares of `size` pixels, labels, files, patients, hashes; uninterpretable ones left out.
    Npz {
        /// Columns and rows of a film, in 8..=2048.
        size: u32,
    },
    /// `films/<class>/`: copies of the films, uninterpretable ones left out.
    Folder,
}

impl Format {
    /// Every format, arrays at the size that most networks take.
    pub const ALL: [Self; 6] =
        [Self::Csv, Self::Jsonl, Self::Parquet, Self::Coco, Self::Npz { size: 224 }, Self::Folder];

    /// Returns the name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
            Self::Coco => "coco",
            Self::Npz { .. } => "npz",
            Self::Folder => "folder",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    /// Reads a name; `npz:64` is [`Format::Npz`] at 64 pixels.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(size) = text.strip_prefix("npz:") {
            let size = size.parse().ok().filter(|size| SIZES.contains(size));
            let (low, high) = (SIZES.start(), SIZES.end());
            let wrong = || format!("films in arrays have {low} to {high} pixels, not {text:?}");
            return size.map(|size| Self::Npz { size }).ok_or_else(wrong);
        }
        let found = Self::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| {
            format!("exports are written as {}, not {text:?}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

/// Where the film of a label is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFilm {
    /// The film's file, absolute.
    pub file: PathBuf,
    /// The same relative to the session's films, with `/` between folders.
    pub relative: String,
    /// Patient that the film shows.
    pub patient: String,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Films with a class.
    pub labelled: usize,
    /// Films that show too little to be read.
    pub uninterpretable: usize,
    /// Films copied into class folders.
    pub copied: usize,
    /// Films in arrays.
    pub arrays: usize,
    /// Films that were left out or not copied, each with the reason.
    pub missing: Vec<String>,
}

impl ExportReport {
    /// Notes a film that could not be exported, once for all formats.
    fn miss(&mut self, reason: String) {
        if !self.missing.contains(&reason) {
            self.missing.push(reason);
        }
    }
}

/// Exports the labels of a session to the folder `out`, which must be new or empty and appears only when complete.
///
/// # Errors
/// [`ExportError::Missing`] after all else is exported, if a labelled film is not among `films`, or, for
/// [`Format::Folder`] and [`Format::Npz`], its file is gone or has changed since it was labelled; others leave `out` as it
/// was.
pub fn export(
    state: &State,
    films: &BTreeMap<FilmId, ExportFilm>,
    formats: &[Format],
    out: &Path,
) -> Result<ExportReport, ExportError> {
    let unfinished = begin(out)?;
    let counts = state.counts();
    let (uninterpretable, labelled) = (counts.uninterpretable, counts.classes.iter().sum());
    let mut report = ExportReport { labelled, uninterpretable, ..ExportReport::default() };
    let records = record::records(state, films, &mut report);
    let notes = record::notes(state, films);
    let formats: BTreeSet<_> = formats.iter().copied().collect();
    let folder = unfinished.path();
    for format in formats {
        match format {
            Format::Csv => table::write(&records, &notes, folder)?,
            Format::Jsonl => lines::write(&records, &notes, folder)?,
            Format::Parquet => parquet::write(&records, folder)?,
            Format::Coco => coco::write(&records, state, folder)?,
            Format::Npz { size } => {
                npz::write(&records, state, size, &folder.join("labels.npz"), &mut report)?;
            }
            Format::Folder => {
                folder::write(&records, state, &folder.join("films"), &mut report)?;
            }
        }
    }
    finish(unfinished, out)?;
    if report.missing.is_empty() {
        Ok(report)
    } else {
        Err(ExportError::Missing { report, path: out.to_owned() })
    }
}

/// Makes a folder beside `out`, which must be new or empty, for an export that is not complete.
fn begin(out: &Path) -> Result<TempDir, ExportError> {
    if !is_free(out).map_err(ExportError::io("look into the export folder", out))? {
        return Err(ExportError::NotEmpty { path: out.to_owned() });
    }
    let parent =
        out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent)
        .map_err(ExportError::io("make the folder for the export", parent))?;
    let mut unfinished = tempfile::Builder::new();
    unfinished.prefix(".export-");
    // Exports are handed on: tempfile's default would let nobody else in.
    #[cfg(unix)]
    unfinished.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    unfinished.tempdir_in(parent).map_err(ExportError::io("make a folder in", parent))
}

/// Moves a complete export to its place.
fn finish(complete: TempDir, out: &Path) -> Result<(), ExportError> {
    fsutil::replace_dir(complete.path(), out)?;
    // It has moved: there is nothing left under its first name to be removed.
    let _ = complete.keep();
    Ok(())
}

/// Returns whether nothing is lost when an export appears at `out`.
fn is_free(out: &Path) -> io::Result<bool> {
    match fs::read_dir(out) {
        Ok(mut inside) => Ok(inside.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error),
    }
}
