//! What can go wrong with a session's files.

use std::io;
use std::path::{Path, PathBuf};

use super::header::HeaderError;
use super::state::FoldError;
use crate::fsutil::{FsError, remedy};

/// What is wrong with a line of the log.
#[derive(Debug, thiserror::Error)]
pub enum LineFault {
    /// The last line has no end.
    #[error(
        "it is unfinished, as a crash or a power cut leaves it; opening the session moves it aside"
    )]
    Torn,
    /// The bytes do not match the hash that they end with.
    #[error("it was changed after it was written, or damaged on disk")]
    Changed,
    /// The line is intact but was not written after the line before it.
    #[error(
        "it does not follow the line before it: one of the two was replaced, or, being the first, it belongs to another session.json"
    )]
    Unlinked,
    /// Lines are missing or out of order.
    #[error("it should be number {expected}, counted from 0, and is number {found}{}", why(*expected, *found, *elsewhere))]
    Misnumbered {
        /// Number by its place in the file.
        expected: u64,
        /// Number that it carries.
        found: u64,
        /// Line further down, counted from 1, that has the number that belongs here.
        elsewhere: Option<u64>,
    },
    /// A newer program wrote it.
    #[error(
        "it holds {what}, which Penumbra {here} does not know: use the newer program that wrote it",
        here = env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// What this program does not know.
        what: String,
    },
    /// The line is intact but no entry.
    #[error("it is no entry of a session: {0}")]
    Unreadable(String),
    /// The entry cannot have happened after those before it.
    #[error("it contradicts the lines before it: {0}")]
    Contradiction(#[from] FoldError),
}

/// Says how a line came to have another number than its place.
fn why(expected: u64, found: u64, elsewhere: Option<u64>) -> String {
    match elsewhere {
        Some(line) => {
            format!("; number {expected} stands in line {line}: lines were swapped or moved")
        }
        None if found < expected => {
            format!("; line {} has that number too: a line was copied or moved", found + 1)
        }
        None if found == expected + 1 => format!("; the line with number {expected} was removed"),
        None => format!("; the lines with numbers {expected} to {} were removed", found - 1),
    }
}

/// Why a session cannot be made, opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There is no session.
    #[error("there is no such session: {0}")]
    Missing(PathBuf),
    /// A file could not be read or written durably.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A step on a file of the session failed.
    #[error("cannot {what}: {fault}{}: {}", remedy(fault), path.display())]
    Io {
        /// Step that failed.
        what: &'static str,
        /// What the system says.
        fault: io::Error,
        /// File or folder concerned.
        path: PathBuf,
    },
    /// Another program has the session open.
    #[error("the session is open in another window or program; close it there first: {}", path.display())]
    InUse {
        /// Folder of the session.
        path: PathBuf,
    },
    /// A session is there already.
    #[error("there is a session of this name already; open it, or choose another name: {}", path.display())]
    Exists {
        /// Folder of the session.
        path: PathBuf,
    },
    /// The header cannot be used.
    #[error("the session header cannot be used: {fault}: {}", path.display())]
    Header {
        /// What is wrong with it.
        fault: HeaderError,
        /// The file `session.json`.
        path: PathBuf,
    },
    /// A line of the log cannot be used.
    #[error("line {line} of the session log cannot be used: {fault}; the lines before it are sound: {}", path.display())]
    BadLine {
        /// Number of the line, counted from 1.
        line: u64,
        /// What is wrong with it.
        fault: LineFault,
        /// The file `events.jsonl`.
        path: PathBuf,
    },
    /// The event does not fit the session as it stands; nothing was written.
    #[error("not entered: {0}")]
    Refused(FoldError),
    /// The event holds a figure that a log cannot hold; nothing was written.
    #[error("not entered, because it could not be read back: {0}")]
    Unstorable(#[from] serde_json::Error),
    /// The disk is behind; nothing was written.
    #[error("not entered: the disk is still busy with the events before; try again in a moment")]
    Busy,
    /// An earlier event could not be saved; the text says what is safe.
    #[error("{0}")]
    Faulted(String),
}

// The reason is in the text; as a source too it would be said twice.
impl From<FoldError> for SessionError {
    fn from(reason: FoldError) -> Self {
        Self::Refused(reason)
    }
}

impl SessionError {
    /// Returns the number of the line that is at fault, counted from 1.
    pub const fn line(&self) -> Option<u64> {
        match self {
            Self::BadLine { line, .. } => Some(*line),
            _ => None,
        }
    }

    pub(super) fn io(what: &'static str, path: &Path, fault: io::Error) -> Self {
        Self::Io { what, fault, path: path.to_owned() }
    }
}
