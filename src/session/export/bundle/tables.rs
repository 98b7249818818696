//! The files of a bundle that follow from the others.

use super::readings::{Reading, readings};
use super::{Facts, card};
use crate::dataset::FilmRecord;
use crate::session::event::Answer;
use crate::session::export::ExportError;
use crate::session::export::table::table;

/// Files that follow from the session, and what they hold.
pub(super) struct Derived {
    pub files: Vec<(&'static str, Vec<u8>)>,
    pub labelled: usize,
    pub left_out: usize,
}

/// A film of the session with what was said of it, and what its readers agree on.
pub(super) struct Read<'a> {
    pub film: &'a FilmRecord,
    pub split: &'static str,
    pub readings: Vec<Reading<'a>>,
    pub agreed: Option<&'a Answer>,
}

/// Derives tables and card; rows come in the order of the index, readers in that of their names.
pub(super) fn derive(facts: &Facts<'_>) -> Result<Derived, ExportError> {
    let state = &facts.snapshot.state;
    let split = |film: &FilmRecord| facts.splits.split(&film.patient).name();
    let read: Vec<Read<'_>> = facts
        .films
        .iter()
        .filter_map(|film| {
            let readings = readings(state, film.id);
            let agreed = state.consensus(film.id, state.rule()).answer();
            (!readings.is_empty()).then(|| Read { film, split: split(film), agreed, readings })
        })
        .collect();
    let readers = |read: &Read<'_>| {
        let names: Vec<_> = read.readings.iter().map(|reading| reading.reader).collect();
        names.join(" ")
    };
    let class = |read: &Read<'_>| read.agreed.and_then(Answer::class).map(str::to_owned);
    let labels = read.iter().filter_map(|read| {
        let Read { film, split, .. } = read;
        let (id, patient) = (film.id.to_string(), film.patient.clone());
        Some([film.file.clone(), class(read)?, patient, (*split).to_owned(), readers(read), id])
    });
    let left_out = read.iter().filter(|read| class(read).is_none()).map(|read| {
        let Read { film, split, agreed, .. } = read;
        let why = agreed.map_or_else(|| "unresolved".to_owned(), ToString::to_string);
        let (id, patient) = (film.id.to_string(), film.patient.clone());
        [film.file.clone(), why, patient, (*split).to_owned(), readers(read), id]
    });
    let all = read.iter().flat_map(|read| read.readings.iter().map(|reading| row(read, reading)));
    let splits = facts.films.iter().map(|film| {
        let (id, part) = (film.id.to_string(), split(film).to_owned());
        [film.file.clone(), film.patient.clone(), part, id]
    });
    let files = vec![
        ("MODEL_CARD.md", card::card(facts, &read).into_bytes()),
        ("labels.csv", table(&["file", "label", "patient", "split", "readers", "film"], labels)?),
        ("left_out.csv", table(&["file", "why", "patient", "split", "readers", "film"], left_out)?),
        ("readers.csv", table(&READERS, all)?),
        ("splits.csv", table(&["file", "patient", "split", "film"], splits)?),
    ];
    let labelled = read.iter().filter(|read| class(read).is_some()).count();
    Ok(Derived { files, labelled, left_out: read.len() - labelled })
}

const READERS: [&str; 11] = [
    "file", "reader", "label", "patient", "split", "time", "ms", "source", "seq", "film", "reason",
];

fn row(Read { film, split, .. }: &Read<'_>, reading: &Reading<'_>) -> [String; READERS.len()] {
    let Reading { reader, answer, seq, time, ms, source, reason, .. } = reading;
    [
        film.file.clone(),
        (*reader).to_owned(),
        answer.to_string(),
        film.patient.clone(),
        (*split).to_owned(),
        time.to_string(),
        ms.to_string(),
        source.map_or_else(|| "change".to_owned(), ToString::to_string),
        seq.to_string(),
        film.id.to_string(),
        (*reason).to_owned(),
    ]
}
