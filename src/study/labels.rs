//! The labels of a session as ranking and learning take them.

use super::queue::QueuedSource;

/// The labels as they stand, by row of the pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSet {
    /// Number of events in the log when this set was taken; a ranking carries it back.
    pub version: u64,
    /// Labelled rows of the pool, in the order in which they were labelled.
    pub rows: Vec<usize>,
    /// Class index of each labelled row.
    pub classes: Vec<usize>,
    /// Rows that were answered without a class: uninterpretable.
    pub excluded: Vec<usize>,
    /// Rows that the reader put off, in the order in which they come back when all others are read.
    pub deferred: Vec<usize>,
    /// Films that are still to be passed before each of `deferred` comes back; one without such a number comes back when
    /// all others are read.
    pub returns: Vec<usize>,
    /// Rows that only other readers have answered, in the set of one reader.
    pub elsewhere: Vec<usize>,
    /// Rows that the reader has answered and others too.
    pub shared: usize,
    /// Films that the reader has answered once more.
    pub rereads: usize,
    /// Films that the reader is given beside those that nobody has answered.
    pub assigned: Vec<Assigned>,
}

/// A film that a reader is given although it has an answer, of others or of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Assigned {
    /// Row of the pool.
    pub row: usize,
    /// Why: [`QueuedSource::Second`] or [`QueuedSource::Reread`].
    pub source: QueuedSource,
}
