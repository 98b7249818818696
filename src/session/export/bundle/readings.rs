//! What each reader says of each film.

use crate::dataset::FilmId;
use crate::session::event::{Answer, Source};
use crate::session::state::State;
use crate::session::time::Time;

/// The answer of one reader on one film.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading<'a> {
    pub film: FilmId,
    pub reader: &'a str,
    pub answer: &'a Answer,
    pub seq: u64,
    pub time: Time,
    pub ms: u64,
    /// Why the film was read; a change of an answer has none.
    pub source: Option<&'a Source>,
    /// Why an answer was changed.
    pub reason: &'a str,
}

/// Returns the answer that stands of every reader of a film, by their names.
pub(super) fn readings(state: &State, film: FilmId) -> Vec<Reading<'_>> {
    let mut readings: Vec<_> = state
        .labels(film)
        .map(|(reader, label)| Reading {
            film,
            reader,
            answer: &label.answer,
            seq: label.seq,
            time: label.time,
            ms: label.ms,
            source: (label.seq == label.first).then_some(&label.source),
            reason: label.reason.as_deref().unwrap_or_default(),
        })
        .collect();
    readings.sort_by_key(|reading| reading.reader);
    readings
}
