//! What a simulation says while it runs, and how it is stopped.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::learn::Flow;

/// What a simulation has to say while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Something that may mislead whoever reads the figures.
    Warning(String),
    /// What has happened.
    Note(String),
    /// So many of so many films are read.
    Reading {
        /// Films read.
        done: usize,
        /// All films.
        total: usize,
    },
}

/// Who looks on.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Is told the news, also on other threads.
    pub tell: &'a (dyn Fn(News) + Sync),
    /// Ends the run between two steps once it is true.
    pub stop: &'a AtomicBool,
}

impl Watch<'_> {
    /// Passes on a warning.
    pub fn warn(&self, warning: impl Into<String>) {
        (self.tell)(News::Warning(warning.into()));
    }

    /// Passes on what has happened.
    pub fn note(&self, note: impl Into<String>) {
        (self.tell)(News::Note(note.into()));
    }

    /// Says whether the run was asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Says whether to go on: what long work asks between its steps.
    pub fn flow(&self) -> Flow {
        if self.is_stopped() { Flow::Stop } else { Flow::Continue }
    }
}
