//! What one reader has said of one film.

use super::event::{Answer, Shown, Source};
use super::time::Time;

/// The answer that stands for a film.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// What the film shows.
    pub answer: Answer,
    /// Entry that gave this answer: the label or the last relabel.
    pub seq: u64,
    /// Entry that labelled the film first.
    pub first: u64,
    /// Who gave this answer.
    pub reader: String,
    /// When this answer was given.
    pub time: Time,
    /// Milliseconds of the reading that gave this answer.
    pub ms: u64,
    /// Why the film was read the first time.
    pub source: Source,
    /// What was on screen at the first answer.
    pub shown: Shown,
    /// Reason of the last relabel, if there was one.
    pub reason: Option<String>,
}

/// What a reader said of a film that they were given again without being told. Their label stays what it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Reread {
    /// Entry of this reading.
    pub seq: u64,
    /// Who read.
    pub reader: String,
    /// When.
    pub time: Time,
    /// Milliseconds of this reading.
    pub ms: u64,
    /// The answer that stood.
    pub before: Answer,
    /// The answer this time.
    pub answer: Answer,
    /// What was on screen.
    pub shown: Shown,
}

/// A label, relabel, skip or second reading that has not been taken back.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    Labelled(Labelled),
    Reread(Reread),
    Skipped { seq: u64, reader: String },
}

impl Reading {
    pub(super) const fn seq(&self) -> u64 {
        match self {
            Self::Labelled(Labelled { seq, .. })
            | Self::Reread(Reread { seq, .. })
            | Self::Skipped { seq, .. } => *seq,
        }
    }

    pub(super) fn reader(&self) -> &str {
        match self {
            Self::Labelled(Labelled { reader, .. })
            | Self::Reread(Reread { reader, .. })
            | Self::Skipped { reader, .. } => reader,
        }
    }

    /// Returns whether a film was passed with it: put off, or answered for the first time or again unawares.
    pub(super) const fn passes(&self) -> bool {
        match self {
            Self::Labelled(label) => label.seq == label.first,
            Self::Reread(_) | Self::Skipped { .. } => true,
        }
    }
}

/// The readings of one film by one reader, oldest first; there is at least one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Track {
    /// Whose readings they are. In logs of early versions others may have changed the answer.
    pub reader: String,
    pub readings: Vec<Reading>,
}

impl Track {
    /// Returns the answer that stands.
    pub(super) fn label(&self) -> Option<&Labelled> {
        self.readings.iter().rev().find_map(|reading| match reading {
            Reading::Labelled(label) => Some(label),
            _ => None,
        })
    }

    /// Returns the answer that the reader gave first.
    pub(super) fn first_label(&self) -> Option<&Labelled> {
        self.readings.iter().find_map(|reading| match reading {
            Reading::Labelled(label) => Some(label),
            _ => None,
        })
    }

    /// Returns the answer that the reader gave last, which after a second reading need not be the one that stands.
    pub(super) fn answer(&self) -> Option<&Answer> {
        self.readings.iter().rev().find_map(|reading| match reading {
            Reading::Labelled(label) => Some(&label.answer),
            Reading::Reread(reread) => Some(&reread.answer),
            Reading::Skipped { .. } => None,
        })
    }

    /// Returns the second readings, oldest first.
    pub(super) fn rereads(&self) -> impl Iterator<Item = &Reread> {
        self.readings.iter().filter_map(|reading| match reading {
            Reading::Reread(reread) => Some(reread),
            _ => None,
        })
    }

    /// Returns the entry that put the film off, if that is what the reader did last.
    pub(super) fn put_off(&self) -> Option<u64> {
        match self.readings.last()? {
            Reading::Skipped { seq, .. } => Some(*seq),
            _ => None,
        }
    }
}
