//! Labelled sets for other programs: a labels file, full records, films sorted into folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use super::event::{Answer, Shown, Source};
use super::state::{Labelled, Note, State};
use super::time::Time;
use crate::dataset::FilmId;
use crate::fsutil::{self, FsError};

/// How a labelled set is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `labels.csv`, which every command that takes a labels file reads; `uninterpretable.csv` and `notes.csv`, the notes
    /// on films with and without an answer, if there are any.
    Csv,
    /// `labels.jsonl`: one JSON object a film with all that is known of its label, uninterpretable films included; and
    /// `notes.jsonl` if there are notes.
    Jsonl,
    /// `films/<class>/`: copies of the films, uninterpretable ones left out.
    Folder,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Jsonl, Self::Folder];

    /// Returns the name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Folder => "folder",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
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
    /// Films that were left out or not copied, each with the reason.
    pub missing: Vec<String>,
}

/// Why a labelled set could not be exported, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// All is exported but for some films.
    #[error(
        "{} of {} labelled films could not be exported ({}); the others are in {}",
        report.missing.len(),
        report.labelled + report.uninterpretable,
        listed(&report.missing),
        path.display()
    )]
    Missing {
        /// What was exported and what not.
        report: ExportReport,
        /// Folder of the export.
        path: PathBuf,
    },
    /// There is something in the way.
    #[error("the export needs a folder that is new or empty: {}", path.display())]
    NotEmpty {
        /// Folder that the export was to go to.
        path: PathBuf,
    },
    /// A step on a file or folder failed; nothing is exported.
    #[error("cannot {what}: {source}: {}", path.display())]
    Io {
        /// Step that failed.
        what: &'static str,
        /// What the system says.
        source: io::Error,
        /// File or folder concerned.
        path: PathBuf,
    },
    /// A file could not be written durably; nothing is exported.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A record could not be written as CSV; nothing is exported.
    #[error("cannot write the labels as CSV: {0}")]
    Csv(#[from] csv::Error),
    /// A record could not be written as JSON; nothing is exported.
    #[error("cannot write the labels as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Joins the first reasons to one text that a window can show.
fn listed(missing: &[String]) -> String {
    let shown = missing.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("; ");
    let more = missing.len().saturating_sub(10);
    if more == 0 { shown } else { format!("{shown}; and {more} more") }
}

/// Exports the labels of a session to the folder `out`, which must be new or empty and appears only when complete.
///
/// # Errors
/// [`ExportError::Missing`] after all else is exported, if a labelled film is not among `films`, or, for
/// [`Format::Folder`], its file is gone or has changed since it was labelled; others leave `out` as it was.
pub fn export(
    state: &State,
    films: &BTreeMap<FilmId, ExportFilm>,
    formats: &[Format],
    out: &Path,
) -> Result<ExportReport, ExportError> {
    let at = |what, path: &Path| {
        let path = path.to_owned();
        move |source| ExportError::Io { what, source, path }
    };
    if !is_free(out).map_err(at("look into the export folder", out))? {
        return Err(ExportError::NotEmpty { path: out.to_owned() });
    }
    let parent =
        out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(at("make the folder for the export", parent))?;
    let mut unfinished = tempfile::Builder::new();
    unfinished.prefix(".export-");
    // Exports are handed on: tempfile's default would let nobody else in.
    #[cfg(unix)]
    unfinished.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let unfinished = unfinished.tempdir_in(parent).map_err(at("make a folder in", parent))?;

    let counts = state.counts();
    let (uninterpretable, labelled) = (counts.uninterpretable, counts.classes.iter().sum());
    let mut report = ExportReport { labelled, uninterpretable, ..ExportReport::default() };
    let records = records(state, films, &mut report);
    let notes = notes(state, films);
    let formats: BTreeSet<_> = formats.iter().copied().collect();
    for format in formats {
        match format {
            Format::Csv => write_csv(&records, &notes, unfinished.path())?,
            Format::Jsonl => {
                let full: Vec<_> = records.iter().map(Record::full).collect();
                write_lines(&full, &unfinished.path().join("labels.jsonl"))?;
                if !notes.is_empty() {
                    write_lines(&notes, &unfinished.path().join("notes.jsonl"))?;
                }
            }
            Format::Folder => {
                copy_films(&records, state, &unfinished.path().join("films"), &mut report)?;
            }
        }
    }
    fsutil::replace_dir(unfinished.path(), out)?;
    // It has moved: there is nothing left under its first name to be removed.
    let _ = unfinished.keep();
    if report.missing.is_empty() {
        Ok(report)
    } else {
        Err(ExportError::Missing { report, path: out.to_owned() })
    }
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

/// A labelled film that is to be exported.
struct Record<'a> {
    id: FilmId,
    film: &'a ExportFilm,
    label: &'a Labelled,
    note: Option<&'a str>,
}

/// A note as tables and records have it.
#[derive(Serialize)]
struct NoteRow<'a> {
    file: &'a str,
    note: &'a str,
    reader: &'a str,
    time: Time,
    film: FilmId,
}

/// A row of a labels file.
#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    label: String,
    patient: &'a str,
    reader: &'a str,
    time: Time,
    ms: u64,
    source: String,
    film: FilmId,
    reason: &'a str,
    note: &'a str,
}

/// All that is known of a label.
#[derive(Serialize)]
struct Full<'a> {
    file: &'a str,
    label: String,
    patient: &'a str,
    reader: &'a str,
    time: Time,
    ms: u64,
    source: &'a Source,
    shown: &'a Shown,
    relabel_reason: Option<&'a str>,
    note: Option<&'a str>,
    seq: u64,
    first_seq: u64,
    film: FilmId,
}

impl Record<'_> {
    fn row(&self) -> Row<'_> {
        let Self { id, film: ExportFilm { relative, patient, .. }, label, note } = self;
        let Labelled { answer, reader, time, ms, source, reason, .. } = label;
        Row {
            file: relative,
            label: answer.to_string(),
            patient,
            reader,
            time: *time,
            ms: *ms,
            source: source.to_string(),
            film: *id,
            reason: reason.as_deref().unwrap_or_default(),
            note: note.unwrap_or_default(),
        }
    }

    fn full(&self) -> Full<'_> {
        let Self { id, film: ExportFilm { relative, patient, .. }, label, note } = self;
        let Labelled { answer, seq, first, reader, time, ms, source, shown, reason } = label;
        Full {
            file: relative,
            label: answer.to_string(),
            patient,
            reader,
            time: *time,
            ms: *ms,
            source,
            shown,
            relabel_reason: reason.as_deref(),
            note: *note,
            seq: *seq,
            first_seq: *first,
            film: *id,
        }
    }
}

/// Pairs labels with films in the order of labelling, and notes labels whose film is not known.
fn records<'a>(
    state: &'a State,
    films: &'a BTreeMap<FilmId, ExportFilm>,
    report: &mut ExportReport,
) -> Vec<Record<'a>> {
    let mut records = Vec::new();
    for (id, label) in state.in_order() {
        match films.get(&id) {
            Some(film) => {
                let note = state.note(id).map(|note| note.text.as_str());
                records.push(Record { id, film, label, note });
            }
            None => report.missing.push(format!("film {id} is not among the session's films")),
        }
    }
    records
}

/// Returns the notes on the session's films, by file.
fn notes<'a>(state: &'a State, films: &'a BTreeMap<FilmId, ExportFilm>) -> Vec<NoteRow<'a>> {
    let row = |(film, Note { text, reader, time }): (FilmId, &'a Note)| {
        let file = &films.get(&film)?.relative;
        Some(NoteRow { file, note: text, reader, time: *time, film })
    };
    let mut notes: Vec<_> = state.notes().filter_map(row).collect();
    notes.sort_by_key(|note| note.file);
    notes
}

fn write_lines<T: Serialize>(records: &[T], file: &Path) -> Result<(), ExportError> {
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, record)?;
        lines.push(b'\n');
    }
    Ok(fsutil::write_atomic(file, &lines)?)
}

fn write_csv(
    records: &[Record<'_>],
    notes: &[NoteRow<'_>],
    folder: &Path,
) -> Result<(), ExportError> {
    let (classes, uninterpretable): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record.label.answer != Answer::Uninterpretable);
    let rows = |records: &[&Record<'_>]| csv_of(&LABELS, records.iter().map(|record| record.row()));
    fsutil::write_atomic(&folder.join("labels.csv"), &rows(&classes)?)?;
    if !uninterpretable.is_empty() {
        fsutil::write_atomic(&folder.join("uninterpretable.csv"), &rows(&uninterpretable)?)?;
    }
    if !notes.is_empty() {
        fsutil::write_atomic(&folder.join("notes.csv"), &csv_of(&NOTES, notes.iter())?)?;
    }
    Ok(())
}

const LABELS: [&str; 10] =
    ["file", "label", "patient", "reader", "time", "ms", "source", "film", "reason", "note"];
const NOTES: [&str; 5] = ["file", "note", "reader", "time", "film"];

fn csv_of<T: Serialize>(
    columns: &[&str],
    rows: impl Iterator<Item = T>,
) -> Result<Vec<u8>, ExportError> {
    let mut table = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    table.write_record(columns)?;
    for row in rows {
        table.serialize(row)?;
    }
    table.into_inner().map_err(|error| csv::Error::from(error.into_error()).into())
}

/// Copies films into a folder a class, and notes those that are gone or no longer what was labelled.
fn copy_films(
    records: &[Record<'_>],
    state: &State,
    folder: &Path,
    report: &mut ExportReport,
) -> Result<(), ExportError> {
    let mut taken = BTreeSet::new();
    for Record { id, film, label, .. } in records {
        let Some(class) = label.answer.class() else { continue };
        let bytes = match fsutil::read(&film.file) {
            Ok(bytes) if is_film(state, *id, FilmId::of(&bytes)) => bytes,
            Ok(_) => {
                report.missing.push(format!(
                    "the file has changed since it was labelled: {}",
                    film.file.display()
                ));
                continue;
            }
            Err(error) => {
                report.missing.push(error.to_string());
                continue;
            }
        };
        let class = folder.join(class);
        let plain = class.join(film.file.file_name().unwrap_or_default());
        let free = taken.insert(plain.to_string_lossy().to_lowercase());
        let target = if free { plain } else { class.join(name_with_id(&film.file, *id)) };
        fsutil::write_atomic(&target, &bytes)?;
        report.copied += 1;
    }
    Ok(())
}

/// Returns whether contents are the film's at import, or those that the reader took in their place.
fn is_film(state: &State, film: FilmId, now: FilmId) -> bool {
    now == film || state.accepted_change(film) == Some(now)
}

/// Returns a name for the film that no other film has.
fn name_with_id(file: &Path, id: FilmId) -> String {
    let part =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, extension) = (part(file.file_stem()), part(file.extension()));
    if extension.is_empty() { format!("{stem}-{id}") } else { format!("{stem}-{id}.{extension}") }
}
