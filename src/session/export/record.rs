//! Labelled films and notes, as every format has them.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Serialize, Serializer};

use super::{ExportFilm, ExportReport};
use crate::dataset::FilmId;
use crate::fsutil;
use crate::session::consensus::Adjudicated;
use crate::session::event::{Answer, Shown, Source};
use crate::session::state::{Labelled, Note, State};
use crate::session::time::Time;

/// A labelled film: its fields in the order in which JSON has them.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    pub file: &'a str,
    #[serde(rename = "label", serialize_with = "as_text")]
    pub answer: &'a Answer,
    pub patient: &'a str,
    pub reader: &'a str,
    pub time: Time,
    pub ms: u64,
    pub source: &'a Source,
    pub shown: &'a Shown,
    #[serde(rename = "relabel_reason")]
    pub reason: Option<&'a str>,
    pub note: Option<&'a str>,
    pub seq: u64,
    pub first_seq: u64,
    pub film: FilmId,
    #[serde(skip)]
    pub of: &'a ExportFilm,
    /// Place of the class in the session's order; none for an uninterpretable film.
    #[serde(skip)]
    pub class: Option<usize>,
}

fn as_text<S: Serializer>(value: impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&value)
}

impl Record<'_> {
    /// Reads the film's file.
    ///
    /// # Errors
    /// Says that it is gone, or holds neither what it held at import nor what the reader took in its place.
    pub fn contents(&self, state: &State) -> Result<Vec<u8>, String> {
        let bytes = fsutil::read(&self.of.file).map_err(|error| error.to_string())?;
        let now = FilmId::of(&bytes);
        if now == self.film || state.accepted_change(self.film) == Some(now) {
            return Ok(bytes);
        }
        let path = self.of.file.display();
        Err(format!("the file has changed since it was labelled: {path}"))
    }
}

/// What counts for a film.
struct Agreed<'a> {
    answer: &'a Answer,
    /// The first label that says so; where an adjudicator said so alone, the first label.
    label: &'a Labelled,
    /// The adjudication, where it decided.
    settled: Option<&'a Adjudicated>,
}

/// Returns what counts for a film by the session's rule; `first` is its first label. None if readers differ.
fn agreed<'a>(state: &'a State, film: FilmId, first: &'a Labelled) -> Option<Agreed<'a>> {
    let answer = state.consensus(film, state.rule()).answer()?;
    let said = state.labels(film).map(|(_, label)| label).find(|label| label.answer == *answer);
    let settled =
        state.adjudicated(film).filter(|settled| said.is_none() && settled.answer == *answer);
    Some(Agreed { answer, label: said.unwrap_or(first), settled })
}

/// Pairs labels with films in the order of labelling, and notes labels whose film is not known.
pub(super) fn records<'a>(
    state: &'a State,
    films: &'a BTreeMap<FilmId, ExportFilm>,
    report: &mut ExportReport,
) -> Vec<Record<'a>> {
    let mut records = Vec::new();
    for (id, label) in state.in_order() {
        let Some(of) = films.get(&id) else {
            report.miss(format!("film {id} is not among the session's films"));
            continue;
        };
        let Some(label) = agreed(state, id, label) else {
            report.miss(format!("readers differ on the film, which is left out: {}", of.relative));
            continue;
        };
        let Agreed { answer, label, settled } = label;
        let Labelled { seq, first, reader, time, ms, source, shown, reason, .. } = label;
        let (reader, time, ms, seq) = settled.map_or((reader, time, ms, seq), |settled| {
            (&settled.reader, &settled.time, &settled.ms, &settled.seq)
        });
        records.push(Record {
            file: &of.relative,
            answer,
            patient: &of.patient,
            reader,
            time: *time,
            ms: *ms,
            source,
            shown,
            reason: reason.as_deref(),
            note: state.note(id).map(|note| note.text.as_str()),
            seq: *seq,
            first_seq: *first,
            film: id,
            of,
            class: answer.class().and_then(|name| state.class_index(name)),
        });
    }
    records
}

/// A note as tables and records have it.
#[derive(Serialize)]
pub(super) struct NoteRow<'a> {
    pub file: &'a str,
    pub note: &'a str,
    pub reader: &'a str,
    pub time: Time,
    pub film: FilmId,
}

/// Returns the notes on the session's films, by file.
pub(super) fn notes<'a>(
    state: &'a State,
    films: &'a BTreeMap<FilmId, ExportFilm>,
) -> Vec<NoteRow<'a>> {
    let row = |(film, Note { text, reader, time }): (FilmId, &'a Note)| {
        let file = &films.get(&film)?.relative;
        Some(NoteRow { file, note: text, reader, time: *time, film })
    };
    let mut notes: Vec<_> = state.notes().filter_map(row).collect();
    notes.sort_by_key(|note| note.file);
    notes
}
