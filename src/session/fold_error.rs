//! Why an entry cannot follow those before it.

use crate::dataset::FilmId;

/// Why an entry cannot follow those before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// Entries are missing or out of order.
    #[error("entry {expected} is next, not {found}")]
    OutOfOrder {
        /// Number that comes next.
        expected: u64,
        /// Number of the entry.
        found: u64,
    },
    /// The answer is none of the session's classes.
    #[error("the session has no class {0:?}")]
    UnknownClass(String),
    /// The model's opinion has not one probability a class.
    #[error("a film drawn for audit needs {expected} class probabilities, not {found}")]
    Predicted {
        /// Number of classes.
        expected: usize,
        /// Number of probabilities.
        found: usize,
    },
    /// A film that the reader has answered was to be labelled or put off.
    #[error("film {0} has an answer already: change it with a relabel")]
    AlreadyLabelled(FilmId),
    /// A film that the reader has not answered was to be read again.
    #[error(
        "film {0} has no answer of this reader yet that a second reading could be compared with"
    )]
    NotReadBefore(FilmId),
    /// A film that no reader has answered was to be settled.
    #[error("film {0} has no answer of a reader yet that could be settled")]
    NothingToAdjudicate(FilmId),
    /// A protocol has a value that cannot be worked with.
    #[error("the protocol cannot be used: {0}")]
    Protocol(&'static str),
    /// The answer to be changed is not the one that stands.
    #[error("film {film} has not the answer {from:?} that was to be changed")]
    NotTheAnswer {
        /// Film to be relabelled.
        film: FilmId,
        /// Answer that was thought to stand.
        from: String,
    },
    /// The entry to be taken back is no reading, or was taken back before.
    #[error("entry {0} is no label, relabel or skip that still stands")]
    NothingToUndo(u64),
    /// The film was read again since.
    #[error("entry {seq} cannot be taken back before entry {by}, which read the same film later")]
    Superseded {
        /// Entry to be taken back.
        seq: u64,
        /// Later reading of the same film.
        by: u64,
    },
}

/// An entry of a copy that contradicts what another copy holds; it is without effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The entry.
    pub seq: u64,
    /// What it contradicts.
    pub fault: FoldError,
}
