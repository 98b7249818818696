//! Finds the films in a folder: every file is hashed and decoded once, and what is no film is reported with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{FilmId, PatientRule, current};
use crate::imaging;

/// Files that stand beside films without being meant as films: they are passed over without a word.
const COMPANIONS: [&str; 13] =
    ["csv", "db", "htm", "html", "ini", "json", "jsonl", "md", "npy", "pdf", "tsv", "txt", "xml"];

/// What is known of a film without opening it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilmRecord {
    /// Identity by content.
    pub id: FilmId,
    /// Path relative to the scanned folder, with `/` between folders.
    pub file: String,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bits of a stored value: 8 or 16.
    pub bits: u8,
    /// Size of the file.
    pub bytes: u64,
    /// The patient, as far as the file or its name tells; never an identifier that a file holds.
    pub patient: String,
    /// Whether the file says that text is burned into the picture.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub burned_in: bool,
    /// When the file was last written to, in nanoseconds since 1970; indices of early versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<u64>,
}

/// A file with the bytes of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The file that is left out.
    pub file: String,
    /// The film that it repeats: the first of the equal files by name.
    pub of: String,
}

/// A file that is not taken as a film.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Path relative to the scanned folder.
    pub file: String,
    /// Why, as one sentence.
    pub reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.file)
    }
}

/// What a folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scan {
    /// The films, sorted by file, no two with equal bytes.
    pub films: Vec<FilmRecord>,
    /// Files left out because a film has the same bytes, sorted by file.
    pub duplicates: Vec<Duplicate>,
    /// Files and folders that could not be read, sorted by file.
    pub refused: Vec<Refused>,
}

/// Why a folder could not be scanned at all.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The folder is missing, is no folder, or may not be read.
    #[error("could not open the folder of films ({fault}): {}", path.display())]
    Root {
        /// The operating system's reason.
        fault: io::Error,
        /// The folder.
        path: PathBuf,
    },
    /// The operating system gave no thread.
    #[error("could not start a thread to read films with ({fault}): {}", path.display())]
    Thread {
        /// The operating system's reason.
        fault: io::Error,
        /// The folder.
        path: PathBuf,
    },
}

/// Scans a folder and those below it; `progress` is told, on other threads, how many of how many files are done.
///
/// Hidden files are passed over, and so are tables, texts and the like. Links are followed, but no folder is entered
/// twice. Pipes, sockets and devices are refused without being opened. One bad film never ends a scan.
///
/// # Errors
/// When the folder cannot be opened or no thread can be started.
pub fn scan(
    root: &Path,
    rule: &PatientRule,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Scan, ScanError> {
    let unreadable = |fault| ScanError::Root { fault, path: root.to_path_buf() };
    let canonical = fs::canonicalize(root).map_err(unreadable)?;
    fs::read_dir(root).map_err(unreadable)?;
    let mut scan = Scan::default();
    let mut files = Vec::new();
    walk(root, String::new(), &mut BTreeSet::from([canonical]), &mut files, &mut scan.refused);
    files.sort();
    let total = files.len();
    let (next, done, found) =
        (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::with_capacity(total)));
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = examine(root, file, rule);
            found.lock().push(outcome);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(total);
    thread::scope(|scope| {
        (0..threads).try_for_each(|n| {
            thread::Builder::new().name(format!("scan-{n}")).spawn_scoped(scope, work).map(|_| ())
        })
    })
    .map_err(|fault| ScanError::Thread { fault, path: root.to_path_buf() })?;
    scan.sort_in(found.into_inner());
    Ok(scan)
}

impl Scan {
    /// Sorts what was found into films, duplicates and refusals.
    fn sort_in(&mut self, found: Vec<Result<FilmRecord, Refused>>) {
        let mut films = Vec::new();
        for outcome in found {
            match outcome {
                Ok(film) => films.push(film),
                Err(refused) => self.refused.push(refused),
            }
        }
        films.sort_by(|a, b| a.file.cmp(&b.file));
        self.refused.sort_by(|a, b| a.file.cmp(&b.file));
        let mut first = BTreeMap::<FilmId, String>::new();
        for film in films {
            if let Some(of) = first.get(&film.id) {
                self.duplicates.push(Duplicate { file: film.file, of: of.clone() });
            } else {
                first.insert(film.id, film.file.clone());
                self.films.push(film);
            }
        }
    }
}

/// Collects the candidates of a folder as relative paths; `entered` holds the folders that were, links resolved.
fn walk(
    dir: &Path,
    prefix: String,
    entered: &mut BTreeSet<PathBuf>,
    files: &mut Vec<String>,
    refused: &mut Vec<Refused>,
) {
    let mut pending = vec![(dir.to_path_buf(), prefix)];
    while let Some((dir, prefix)) = pending.pop() {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) => {
                refused.push(Refused {
                    file: prefix,
                    reason: format!("the folder could not be opened ({error})"),
                });
                continue;
            }
        };
        // Sorted, so that of two links to one folder the same one is always entered.
        let mut paths: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            let file =
                if prefix.is_empty() { name.to_string() } else { format!("{prefix}/{name}") };
            if path.to_str().is_none() {
                refused.push(Refused {
                    file,
                    reason: "its name is not valid Unicode, rename it".to_owned(),
                });
                continue;
            }
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => match fs::canonicalize(&path) {
                    Ok(canonical) if entered.insert(canonical.clone()) => {
                        pending.push((path, file));
                    }
                    Ok(_) => {}
                    Err(error) => refused.push(Refused {
                        file,
                        reason: format!("it could not be opened ({error})"),
                    }),
                },
                Ok(_) if is_companion(&path) => {}
                Ok(found) if found.is_file() => files.push(file),
                Ok(_) => refused.push(Refused {
                    file,
                    reason: "it is a pipe, a socket or a device, and no file".to_owned(),
                }),
                Err(error) => refused
                    .push(Refused { file, reason: format!("it could not be opened ({error})") }),
            }
        }
    }
}

fn is_companion(path: &Path) -> bool {
    let extension =
        path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| COMPANIONS.contains(&extension.as_str()))
}

/// Hashes and decodes one file.
fn examine(root: &Path, file: &str, rule: &PatientRule) -> Result<FilmRecord, Refused> {
    let path = root.join(file);
    // Before the bytes: a change between the two is then seen as one.
    let modified = fs::metadata(&path).ok().and_then(|found| current::modified(&found));
    let refuse =
        |error: imaging::DecodeError| Refused { file: file.to_owned(), reason: error.reason() };
    let bytes = imaging::read_limited(&path).map_err(refuse)?;
    let (film, id) = imaging::decode_with_patient(&bytes, &path).map_err(refuse)?;
    let patient = rule
        .group(file, id.as_ref())
        .map_err(|error| Refused { file: file.to_owned(), reason: error.to_string() })?;
    Ok(FilmRecord {
        id: FilmId::of(&bytes),
        file: file.to_owned(),
        width: film.width,
        height: film.height,
        bits: film.bits,
        bytes: bytes.len() as u64,
        patient,
        burned_in: film.about.burned_in,
        modified,
    })
}
