//! Why a labelled set could not be exported, or not wholly.

use std::io;
use std::path::{Path, PathBuf};

use super::ExportReport;
use crate::dataset::index::IndexError;
use crate::fsutil::{FsError, remedy};
use crate::session::SessionError;

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
    #[error("cannot {what}: {fault}{}: {}", remedy(fault), path.display())]
    Io {
        /// Step that failed.
        what: &'static str,
        /// What the system says.
        fault: io::Error,
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
    /// The archive of arrays could not be written; nothing is exported.
    #[error("cannot write the archive: {fault}: {}", path.display())]
    Zip {
        /// What went wrong.
        fault: rawzip::Error,
        /// The archive.
        path: PathBuf,
    },
    /// The session to be sealed cannot be read.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The index of the session's films cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl ExportError {
    /// Builds the closure that says which step on which path failed.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |fault| Self::Io { what, fault, path }
    }
}

/// Joins the first reasons to one text that a window can show.
fn listed(missing: &[String]) -> String {
    let shown = missing.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("; ");
    let more = missing.len().saturating_sub(10);
    if more == 0 { shown } else { format!("{shown}; and {more} more") }
}
