//! Since when the film on screen has been read, and how soon films follow keys.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::ui::latency::{Latency, Pace, Sight};

/// The times of reading.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Row that was drawn, and how long it has been read.
    on_screen: Option<(usize, Sight)>,
    /// For how long films without an answer were read when they were left.
    left: BTreeMap<usize, Duration>,
    /// Start of the pass whose key changed the film, until that film is drawn.
    key: Option<Instant>,
    /// The key press whose film the last pass drew.
    drawn_for: Option<Instant>,
    pace: Pace,
    latency: Latency,
}

impl Clock {
    /// Returns the reader's pace.
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Returns the times from keys to films.
    pub const fn latency(&self) -> &Latency {
        &self.latency
    }

    /// Returns for how long a film has been read, if it is on screen.
    pub fn time(&self, row: usize, now: Instant) -> Option<Duration> {
        let looked = self.on_screen.filter(|(shown, _)| *shown == row);
        looked.map(|(_, sight)| sight.time(now))
    }

    /// Starts the clock of a film; that of the film before goes on if it comes again without an answer.
    pub fn look_at(&mut self, row: usize, answered: impl Fn(usize) -> bool) {
        if self.on_screen.is_some_and(|(shown, _)| shown == row) {
            return;
        }
        if let Some((before, sight)) = self.on_screen.take()
            && !answered(before)
        {
            self.left.insert(before, sight.time(Instant::now()));
        }
        let before = self.left.remove(&row).unwrap_or_default();
        self.on_screen = Some((row, Sight::after(before)));
    }

    /// Notes whether the reader can see the film on screen: reading time is the time in sight.
    pub fn in_sight(&mut self, in_sight: bool) {
        if let Some((_, sight)) = &mut self.on_screen {
            sight.set(in_sight, Instant::now());
        }
    }

    /// Notes that the reader did something: a long time without is no reading time.
    pub fn input(&mut self, now: Instant) {
        if let Some((_, sight)) = &mut self.on_screen {
            sight.input(now);
        }
    }

    /// Notes that a film got its answer after a time.
    pub fn answered(&mut self, row: usize, time: Duration) {
        self.left.remove(&row);
        self.pace.record(time);
    }

    /// Lets the film on screen begin anew; of `row` the time before is forgotten too.
    pub fn begin_anew(&mut self, row: Option<usize>) {
        self.on_screen = None;
        if let Some(row) = row {
            self.left.remove(&row);
        }
    }

    /// Notes that a key changes the film; the time to the film counts from the start of the pass that carried it.
    pub const fn key(&mut self, started: Instant) {
        self.key = Some(started);
    }

    /// Forgets a key whose film is not waited for.
    pub const fn forget_key(&mut self) {
        self.key = None;
    }

    /// Notes that the pass drew the film on screen; returns whether a key waited for it.
    pub const fn drawn(&mut self) -> bool {
        let key = self.key.take();
        if key.is_some() {
            self.drawn_for = key;
        }
        key.is_some()
    }

    /// Takes the time of a key whose film was drawn in the pass before: now that pass has been painted and presented.
    pub fn presented(&mut self) {
        if let Some(key) = self.drawn_for.take() {
            self.latency.record(key.elapsed());
        }
    }

    /// Starts anew for another reader.
    pub fn hand_over(&mut self) {
        let Self { key, drawn_for, latency, .. } = std::mem::take(self);
        *self = Self { key, drawn_for, latency, ..Self::default() };
    }
}
