//! What each reader says of each film, and what they say together.

use std::collections::BTreeMap;

use crate::dataset::FilmId;
use crate::session::event::{Answer, Entry, Event, Source};
use crate::session::time::Time;

/// Name of the rule by which [`consensus`] goes.
pub(super) const RULE: &str = "unanimous";

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

/// Returns the last answer that stands of every reader on every film.
pub(super) fn readings(entries: &[Entry]) -> BTreeMap<FilmId, BTreeMap<&str, Reading<'_>>> {
    let mut standing = BTreeMap::new();
    for Entry { seq, time, reader, event } in entries {
        let (seq, time) = (*seq, *time);
        match event {
            Event::Label { film, answer, ms, source, .. } => {
                let (film, ms, source) = (*film, *ms, Some(source));
                let reading = Reading { film, reader, answer, seq, time, ms, source, reason: "" };
                standing.insert(seq, reading);
            }
            Event::Relabel { film, to, reason, ms, .. } => {
                let (film, answer, ms) = (*film, to, *ms);
                let reading = Reading { film, reader, answer, seq, time, ms, source: None, reason };
                standing.insert(seq, reading);
            }
            Event::Undo { seq } => _ = standing.remove(seq),
            _ => {}
        }
    }
    let mut films = BTreeMap::<_, BTreeMap<_, _>>::new();
    for reading in standing.into_values() {
        films.entry(reading.film).or_default().insert(reading.reader, reading);
    }
    films
}

/// Returns the answer that all readers of a film give; none if they differ, or if there are none.
pub fn consensus<'a>(answers: &[&'a Answer]) -> Option<&'a Answer> {
    let (first, others) = answers.split_first()?;
    others.iter().all(|other| other == first).then_some(*first)
}
