//! What a session has come to: a pure fold of its header and entries.

use std::collections::BTreeMap;

use super::event::{Answer, Entry, Event, Shown, Source};
use super::header::Header;
use super::time::Time;
use crate::dataset::FilmId;

/// What a session has come to after its entries so far.
///
/// A film keeps all readings that stand, oldest first; the last one counts, and undoing takes only the last one away.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    classes: Vec<String>,
    next: u64,
    films: BTreeMap<FilmId, Vec<Reading>>,
    standing: BTreeMap<u64, FilmId>,
    model: Option<String>,
    strategy: Option<String>,
    curve: Vec<Point>,
    notes: BTreeMap<FilmId, Note>,
    changed: BTreeMap<FilmId, FilmId>,
}

/// What a reader wrote on a film.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The words, never empty.
    pub text: String,
    /// Who wrote them.
    pub reader: String,
    /// When.
    pub time: Time,
}

/// A label, relabel or skip that has not been taken back.
#[derive(Clone, Debug, PartialEq)]
enum Reading {
    Labelled(Labelled),
    Skipped { seq: u64, reader: String },
}

impl Reading {
    const fn seq(&self) -> u64 {
        match self {
            Self::Labelled(Labelled { seq, .. }) | Self::Skipped { seq, .. } => *seq,
        }
    }

    fn reader(&self) -> &str {
        match self {
            Self::Labelled(Labelled { reader, .. }) | Self::Skipped { reader, .. } => reader,
        }
    }
}

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

/// A reading of a film that was drawn at random: what the model held of it before, and what the reader says.
#[derive(Clone, Debug, PartialEq)]
pub struct Audited<'a> {
    /// Film that was drawn.
    pub film: FilmId,
    /// Class probabilities of the model before the answer was known.
    pub predicted: &'a [f32],
    /// Probability with which the film was drawn.
    pub probability: f32,
    /// Answer that stands.
    pub answer: &'a Answer,
}

/// Model figures on the reference films after so many labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Entry that recorded it.
    pub seq: u64,
    /// When it was measured.
    pub time: Time,
    /// Labels that the model had learnt from.
    pub labels: usize,
    /// Share classified rightly, in 0..=1.
    pub accuracy: f32,
    /// Area under the receiver operating characteristic, in 0..=1.
    pub auroc: f32,
    /// Reference films.
    pub n: usize,
    /// Name of the model.
    pub model: String,
}

/// How many films have which answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Films of each class, in the order of the header.
    pub classes: Vec<usize>,
    /// Films that show too little to be read.
    pub uninterpretable: usize,
    /// Films put off until later.
    pub skipped: usize,
}

impl Counts {
    /// Returns the number of films with an answer.
    pub fn labelled(&self) -> usize {
        self.classes.iter().sum::<usize>() + self.uninterpretable
    }
}

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
    /// A film with an answer was to be labelled or put off.
    #[error("film {0} has an answer already: change it with a relabel")]
    AlreadyLabelled(FilmId),
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

impl State {
    /// Starts a session that nothing has happened in.
    pub fn new(header: &Header) -> Self {
        Self {
            classes: header.classes.iter().map(|class| class.name.clone()).collect(),
            next: 0,
            films: BTreeMap::new(),
            standing: BTreeMap::new(),
            model: None,
            strategy: None,
            curve: Vec::new(),
            notes: BTreeMap::new(),
            changed: BTreeMap::new(),
        }
    }

    /// Takes in the next entry.
    ///
    /// # Errors
    /// [`FoldError`] if the entry cannot follow; the state is then as before.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), FoldError> {
        let Entry { seq, time, reader, event } = entry;
        if *seq != self.next {
            return Err(FoldError::OutOfOrder { expected: self.next, found: *seq });
        }
        match event {
            Event::Label { film, answer, ms, source, shown } => {
                self.check_answer(answer)?;
                self.check_source(source)?;
                self.check_unlabelled(*film)?;
                let reading = Labelled {
                    answer: answer.clone(),
                    seq: *seq,
                    first: *seq,
                    reader: reader.clone(),
                    time: *time,
                    ms: *ms,
                    source: source.clone(),
                    shown: shown.clone(),
                    reason: None,
                };
                self.stand(*film, Reading::Labelled(reading));
            }
            Event::Relabel { film, from, to, reason, ms } => {
                self.check_answer(to)?;
                let before = self.label(*film).filter(|label| label.answer == *from);
                let before = before.ok_or_else(|| FoldError::NotTheAnswer {
                    film: *film,
                    from: from.to_string(),
                })?;
                let reading = Labelled {
                    answer: to.clone(),
                    seq: *seq,
                    reader: reader.clone(),
                    time: *time,
                    ms: *ms,
                    reason: Some(reason.clone()),
                    ..before.clone()
                };
                self.stand(*film, Reading::Labelled(reading));
            }
            Event::Skip { film, source } => {
                source.as_ref().map_or(Ok(()), |source| self.check_source(source))?;
                self.check_unlabelled(*film)?;
                self.stand(*film, Reading::Skipped { seq: *seq, reader: reader.clone() });
            }
            Event::Undo { seq } => self.undo(*seq)?,
            Event::ModelSwap { model, accepted: true, .. } => self.model = Some(model.clone()),
            Event::ModelSwap { accepted: false, .. } => {}
            Event::Strategy { name } => self.strategy = Some(name.clone()),
            Event::Measure { labels, accuracy, auroc, n, model } => self.curve.push(Point {
                seq: *seq,
                time: *time,
                labels: *labels,
                accuracy: *accuracy,
                auroc: *auroc,
                n: *n,
                model: model.clone(),
            }),
            Event::Note { film, text } if text.is_empty() => _ = self.notes.remove(film),
            Event::Note { film, text } => {
                let note = Note { text: text.clone(), reader: reader.clone(), time: *time };
                self.notes.insert(*film, note);
            }
            Event::FileChanged { film, now } => _ = self.changed.insert(*film, *now),
        }
        self.next += 1;
        Ok(())
    }

    fn check_answer(&self, answer: &Answer) -> Result<(), FoldError> {
        match answer.class() {
            Some(name) if self.class_index(name).is_none() => {
                Err(FoldError::UnknownClass(name.to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn check_source(&self, source: &Source) -> Result<(), FoldError> {
        match source {
            Source::Audit { predicted, .. } if predicted.len() != self.classes.len() => {
                Err(FoldError::Predicted { expected: self.classes.len(), found: predicted.len() })
            }
            _ => Ok(()),
        }
    }

    fn check_unlabelled(&self, film: FilmId) -> Result<(), FoldError> {
        self.label(film).map_or(Ok(()), |_| Err(FoldError::AlreadyLabelled(film)))
    }

    fn stand(&mut self, film: FilmId, reading: Reading) {
        self.standing.insert(reading.seq(), film);
        let readings = self.films.entry(film).or_default();
        // Nearly every film has one: room for four would be most of the memory of a large session.
        readings.reserve_exact(1);
        readings.push(reading);
    }

    fn undo(&mut self, seq: u64) -> Result<(), FoldError> {
        let film = *self.standing.get(&seq).ok_or(FoldError::NothingToUndo(seq))?;
        let readings = self.films.get_mut(&film).ok_or(FoldError::NothingToUndo(seq))?;
        if let Some(by) = readings.last().map(Reading::seq).filter(|&by| by != seq) {
            return Err(FoldError::Superseded { seq, by });
        }
        readings.pop();
        if readings.is_empty() {
            self.films.remove(&film);
        }
        self.standing.remove(&seq);
        Ok(())
    }

    /// Returns the classes in the order of the header.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Returns the place of a class in the order of the header.
    pub fn class_index(&self, name: &str) -> Option<usize> {
        self.classes.iter().position(|class| class == name)
    }

    /// Returns the number of entries taken in, which is the number of the next one.
    pub const fn entries(&self) -> u64 {
        self.next
    }

    /// Returns the answer that stands for a film.
    pub fn label(&self, film: FilmId) -> Option<&Labelled> {
        match self.films.get(&film)?.last()? {
            Reading::Labelled(label) => Some(label),
            Reading::Skipped { .. } => None,
        }
    }

    /// Returns the films with an answer in the order in which they got their first one.
    pub fn in_order(&self) -> impl Iterator<Item = (FilmId, &Labelled)> {
        self.standing.iter().filter_map(|(&seq, &film)| {
            self.label(film).filter(|label| label.first == seq).map(|label| (film, label))
        })
    }

    /// Returns the films put off, the one that was put off first at the front.
    pub fn skipped(&self) -> impl Iterator<Item = FilmId> {
        self.standing
            .iter()
            .filter(|(seq, film)| self.last(**film, **seq).is_some_and(is_skip))
            .map(|(_, &film)| film)
    }

    /// Returns the films with an answer or put off, each at the place of its first answer or of its last putting off.
    pub fn read_order(&self) -> impl Iterator<Item = FilmId> {
        let stands_here = |seq: u64, film: FilmId| match self.films.get(&film)?.last()? {
            Reading::Labelled(label) => Some(label.first == seq),
            Reading::Skipped { seq: last, .. } => Some(*last == seq),
        };
        self.standing
            .iter()
            .filter(move |(seq, film)| stands_here(**seq, **film) == Some(true))
            .map(|(_, &film)| film)
    }

    /// Returns the films put off as [`Self::skipped`] does, each with the number of films passed since: answered for the
    /// first time, or put off.
    pub fn passed_since_skipped(&self) -> impl Iterator<Item = (FilmId, usize)> {
        let passes = |seq: u64, film: FilmId| match self.films.get(&film).map(Vec::as_slice) {
            Some(readings) => readings.iter().any(|reading| match reading {
                Reading::Labelled(label) => label.seq == seq && label.first == seq,
                Reading::Skipped { seq: skipped, .. } => *skipped == seq,
            }),
            None => false,
        };
        let passed: Vec<u64> = self
            .standing
            .iter()
            .filter(|(seq, film)| passes(**seq, **film))
            .map(|(&seq, _)| seq)
            .collect();
        self.standing.iter().filter_map(move |(&seq, &film)| {
            let skipped = self.last(film, seq).is_some_and(is_skip);
            let since = passed.len() - passed.partition_point(|&other| other <= seq);
            skipped.then_some((film, since))
        })
    }

    /// Returns the note on a film.
    pub fn note(&self, film: FilmId) -> Option<&Note> {
        self.notes.get(&film)
    }

    /// Returns all notes, by film.
    pub fn notes(&self) -> impl Iterator<Item = (FilmId, &Note)> {
        self.notes.iter().map(|(&film, note)| (film, note))
    }

    /// Returns the contents that the reader took for a film in place of those at import.
    pub fn accepted_change(&self, film: FilmId) -> Option<FilmId> {
        self.changed.get(&film).copied()
    }

    /// Returns the last reading of a film if it is the entry `seq`.
    fn last(&self, film: FilmId, seq: u64) -> Option<&Reading> {
        self.films.get(&film)?.last().filter(|reading| reading.seq() == seq)
    }

    /// Returns the latest reading of `reader` that can be taken back, with its film.
    pub fn last_undoable(&self, reader: &str) -> Option<(u64, FilmId)> {
        let mine = |(seq, film): &(&u64, &FilmId)| {
            self.last(**film, **seq).is_some_and(|last| last.reader() == reader)
        };
        self.standing.iter().rev().find(mine).map(|(&seq, &film)| (seq, film))
    }

    /// Returns the readings of films that were drawn at random, in the order of their first answers.
    pub fn audit(&self) -> impl Iterator<Item = Audited<'_>> {
        self.in_order().filter_map(|(film, label)| match &label.source {
            Source::Audit { predicted, probability } => {
                Some(Audited { film, predicted, probability: *probability, answer: &label.answer })
            }
            Source::Queue { .. } | Source::Browse | Source::Import { .. } => None,
        })
    }

    /// Returns the live curve: the model's figures on the reference films, oldest first.
    pub fn curve(&self) -> &[Point] {
        &self.curve
    }

    /// Returns the name of the model that was taken into use last.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Returns the name of the strategy that was chosen last.
    pub fn strategy(&self) -> Option<&str> {
        self.strategy.as_deref()
    }

    /// Counts the films by answer.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { classes: vec![0; self.classes.len()], ..Counts::default() };
        for reading in self.films.values().filter_map(|readings| readings.last()) {
            match reading {
                Reading::Labelled(Labelled { answer: Answer::Class(name), .. }) => {
                    if let Some(class) = self.class_index(name) {
                        counts.classes[class] += 1;
                    }
                }
                Reading::Labelled(_) => counts.uninterpretable += 1,
                Reading::Skipped { .. } => counts.skipped += 1,
            }
        }
        counts
    }
}

const fn is_skip(reading: &Reading) -> bool {
    matches!(reading, Reading::Skipped { .. })
}
