//! What a session has come to: a pure fold of its header and entries.

use std::collections::BTreeMap;

use super::consensus::Adjudicated;
use super::event::{Answer, Entry, Event, Source};
pub use super::fold_error::{Conflict, FoldError};
use super::header::Header;
use super::protocol::Protocol;
pub use super::reading::{Labelled, Reread};
use super::reading::{Reading, Track};
use super::time::Time;
use super::view::View;
use crate::dataset::FilmId;

/// What a session has come to after its entries so far.
///
/// Of a film it keeps each reader's readings that stand, oldest first; a reader's last answer counts, and undoing takes
/// only the last reading away. Readers do not touch each other's readings. What is asked of the state itself is about all
/// readers together: of several answers to a film that of its first reader.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub(super) classes: Vec<String>,
    next: u64,
    pub(super) films: BTreeMap<FilmId, Vec<Track>>,
    pub(super) standing: BTreeMap<u64, FilmId>,
    /// Those of `standing` that put a film off or read it once more, which are few.
    pub(super) beside: BTreeMap<u64, FilmId>,
    readers: Vec<String>,
    model: Option<String>,
    strategy: Option<String>,
    curve: Vec<Point>,
    /// Notes on each film, one a reader, the last written at the end.
    notes: BTreeMap<FilmId, Vec<Note>>,
    changed: BTreeMap<FilmId, FilmId>,
    /// What adjudicators said of each film and did not take back, oldest first.
    pub(super) adjudicated: BTreeMap<FilmId, Vec<Adjudicated>>,
    protocol: Option<Protocol>,
    /// Entries before this one come from copies that were joined and may contradict each other.
    joined: u64,
    conflicts: Vec<Conflict>,
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

impl State {
    /// Starts a session that nothing has happened in.
    pub fn new(header: &Header) -> Self {
        Self {
            classes: header.classes.iter().map(|class| class.name.clone()).collect(),
            next: 0,
            films: BTreeMap::new(),
            standing: BTreeMap::new(),
            beside: BTreeMap::new(),
            readers: Vec::new(),
            model: None,
            strategy: None,
            curve: Vec::new(),
            notes: BTreeMap::new(),
            changed: BTreeMap::new(),
            adjudicated: BTreeMap::new(),
            protocol: None,
            joined: 0,
            conflicts: Vec::new(),
        }
    }

    /// Takes in the next entry.
    ///
    /// # Errors
    /// [`FoldError`] if the entry cannot follow; the state is then as before.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), FoldError> {
        if entry.seq != self.next {
            return Err(FoldError::OutOfOrder { expected: self.next, found: entry.seq });
        }
        match self.take(entry) {
            Err(fault) if entry.seq < self.joined => {
                self.conflicts.push(Conflict { seq: entry.seq, fault });
            }
            other => other?,
        }
        self.next += 1;
        Ok(())
    }

    fn take(&mut self, entry: &Entry) -> Result<(), FoldError> {
        let Entry { seq, time, reader, event } = entry;
        match event {
            Event::Label { .. } | Event::Relabel { .. } | Event::Skip { .. } => self.read(entry)?,
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
            Event::Note { film, text } => self.write_note(*film, text, reader, *time),
            Event::FileChanged { film, now } => _ = self.changed.insert(*film, *now),
            Event::Adjudicate { film, answer, ms, .. } => {
                self.check_answer(answer)?;
                if self.label(*film).is_none() {
                    return Err(FoldError::NothingToAdjudicate(*film));
                }
                let (answer, reader) = (answer.clone(), reader.clone());
                let settled = Adjudicated { answer, seq: *seq, reader, time: *time, ms: *ms };
                self.adjudicated.entry(*film).or_default().push(settled);
            }
            Event::Protocol(protocol) => {
                if let Some(fault) = protocol.fault() {
                    return Err(FoldError::Protocol(fault));
                }
                self.protocol = Some(protocol.clone());
            }
            Event::Merge { runs, .. } => {
                let lines: u64 = runs.iter().map(|run| run.lines).sum();
                self.joined = self.joined.max(seq.saturating_add(1).saturating_add(lines));
            }
        }
        Ok(())
    }

    /// Takes in an answer, a change of one or a putting off.
    fn read(&mut self, entry: &Entry) -> Result<(), FoldError> {
        let Entry { seq, time, reader, event } = entry;
        let (seq, time, mine) = (*seq, *time, self.of(reader));
        match event {
            Event::Label { film, answer, ms, source: source @ Source::Reread, shown } => {
                self.check_answer(answer)?;
                self.check_source(source)?;
                let before = mine.label(*film).ok_or(FoldError::NotReadBefore(*film))?;
                let (before, answer) = (before.answer.clone(), answer.clone());
                let (reader, ms, shown) = (reader.clone(), *ms, shown.clone());
                let reading = Reread { seq, reader, time, ms, before, answer, shown };
                self.stand(*film, entry, Reading::Reread(reading));
            }
            Event::Label { film, answer, ms, source, shown } => {
                self.check_answer(answer)?;
                self.check_source(source)?;
                mine.label(*film).map_or(Ok(()), |_| Err(FoldError::AlreadyLabelled(*film)))?;
                let reading = Labelled {
                    answer: answer.clone(),
                    seq,
                    first: seq,
                    reader: reader.clone(),
                    time,
                    ms: *ms,
                    source: source.clone(),
                    shown: shown.clone(),
                    reason: None,
                };
                self.stand(*film, entry, Reading::Labelled(reading));
            }
            Event::Relabel { film, from, to, reason, ms } => {
                self.check_answer(to)?;
                let (owner, before) = self.to_be_changed(*film, reader, from)?;
                let reading = Labelled {
                    answer: to.clone(),
                    seq,
                    reader: reader.clone(),
                    time,
                    ms: *ms,
                    reason: Some(reason.clone()),
                    ..before.clone()
                };
                let owner = owner.to_owned();
                self.stand_for(*film, &owner, Reading::Labelled(reading));
            }
            Event::Skip { film, source } => {
                source.as_ref().map_or(Ok(()), |source| self.check_source(source))?;
                let again = matches!(source, Some(Source::Reread));
                match mine.label(*film) {
                    Some(_) if !again => return Err(FoldError::AlreadyLabelled(*film)),
                    None if again => return Err(FoldError::NotReadBefore(*film)),
                    _ => {}
                }
                let reading = Reading::Skipped { seq, reader: reader.clone() };
                self.stand(*film, entry, reading);
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the label that a relabel changes and whose it is: the reader's own or, as early versions let them, that of
    /// another reader of a film that they have not answered themselves.
    fn to_be_changed(
        &self,
        film: FilmId,
        reader: &str,
        from: &Answer,
    ) -> Result<(&str, &Labelled), FoldError> {
        let tracks = self.films.get(&film).map_or(&[][..], Vec::as_slice);
        let own = tracks.iter().find(|track| track.reader == reader && track.label().is_some());
        let seq = |track: &&Track| track.label().map(|label| label.seq);
        let track = own.or_else(|| tracks.iter().max_by_key(seq));
        let changed = track.filter(|track| track.answer() == Some(from));
        changed
            .and_then(|track| Some((track.reader.as_str(), track.label()?)))
            .ok_or_else(|| FoldError::NotTheAnswer { film, from: from.to_string() })
    }

    fn write_note(&mut self, film: FilmId, text: &str, reader: &str, time: Time) {
        let notes = self.notes.entry(film).or_default();
        notes.retain(|note| note.reader != reader);
        if text.is_empty() {
            if notes.is_empty() {
                self.notes.remove(&film);
            }
        } else {
            notes.push(Note { text: text.to_owned(), reader: reader.to_owned(), time });
        }
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

    fn stand(&mut self, film: FilmId, entry: &Entry, reading: Reading) {
        self.stand_for(film, &entry.reader, reading);
    }

    fn stand_for(&mut self, film: FilmId, owner: &str, reading: Reading) {
        if !self.readers.iter().any(|reader| reader == owner) {
            self.readers.push(owner.to_owned());
        }
        self.standing.insert(reading.seq(), film);
        if !matches!(reading, Reading::Labelled(_)) {
            self.beside.insert(reading.seq(), film);
        }
        let tracks = self.films.entry(film).or_default();
        if let Some(track) = tracks.iter_mut().find(|track| track.reader == owner) {
            track.readings.push(reading);
        } else {
            // Nearly every film has one reader: room for four would be most of the memory of a large session.
            tracks.reserve_exact(1);
            tracks.push(Track { reader: owner.to_owned(), readings: vec![reading] });
        }
    }

    fn undo(&mut self, seq: u64) -> Result<(), FoldError> {
        let Some(&film) = self.standing.get(&seq) else { return self.undo_adjudication(seq) };
        let nothing = FoldError::NothingToUndo(seq);
        let tracks = self.films.get_mut(&film).ok_or(nothing.clone())?;
        let has = |track: &Track| track.readings.iter().any(|reading| reading.seq() == seq);
        let place = tracks.iter().position(has).ok_or(nothing)?;
        let readings = &mut tracks[place].readings;
        if let Some(by) = readings.last().map(Reading::seq).filter(|&by| by != seq) {
            return Err(FoldError::Superseded { seq, by });
        }
        readings.pop();
        if readings.is_empty() {
            tracks.remove(place);
        }
        if tracks.is_empty() {
            self.films.remove(&film);
        }
        self.standing.remove(&seq);
        self.beside.remove(&seq);
        Ok(())
    }

    fn undo_adjudication(&mut self, seq: u64) -> Result<(), FoldError> {
        let mut settled = self.adjudicated.iter_mut();
        let (&film, settled) = settled
            .find(|(_, settled)| settled.iter().any(|settled| settled.seq == seq))
            .ok_or(FoldError::NothingToUndo(seq))?;
        if let Some(by) = settled.last().map(|last| last.seq).filter(|&by| by != seq) {
            return Err(FoldError::Superseded { seq, by });
        }
        settled.pop();
        if settled.is_empty() {
            self.adjudicated.remove(&film);
        }
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

    /// Returns the session as one reader knows it.
    pub const fn of<'a>(&'a self, reader: &'a str) -> View<'a> {
        View { state: self, reader: Some(reader) }
    }

    /// Returns the session as all readers together have brought it.
    pub const fn all(&self) -> View<'_> {
        View { state: self, reader: None }
    }

    /// Returns who has read films, in the order of their first reading.
    pub fn readers(&self) -> &[String] {
        &self.readers
    }

    /// Returns the answers of all readers that stand for a film, each with its reader, in the order of first readings.
    pub fn labels(&self, film: FilmId) -> impl Iterator<Item = (&str, &Labelled)> {
        let tracks = self.films.get(&film).map_or(&[][..], Vec::as_slice);
        tracks.iter().filter_map(|track| Some((track.reader.as_str(), track.label()?)))
    }

    /// Returns what each reader said of a film at first, before any change of mind, in the order of first readings.
    pub fn first_labels(&self, film: FilmId) -> impl Iterator<Item = (&str, &Labelled)> {
        let tracks = self.films.get(&film).map_or(&[][..], Vec::as_slice);
        tracks.iter().filter_map(|track| Some((track.reader.as_str(), track.first_label()?)))
    }

    /// Returns how several readers work on the session; `None` as long as no one has said so.
    pub const fn protocol(&self) -> Option<&Protocol> {
        self.protocol.as_ref()
    }

    /// Returns the entries of joined copies that are without effect because they contradict another copy.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Returns [`View::label`] of all readers together.
    pub fn label(&self, film: FilmId) -> Option<&Labelled> {
        self.all().label(film)
    }

    /// Returns [`View::in_order`] of all readers together.
    pub fn in_order(&self) -> impl Iterator<Item = (FilmId, &Labelled)> {
        self.all().in_order()
    }

    /// Returns [`View::skipped`] of all readers together.
    pub fn skipped(&self) -> impl Iterator<Item = FilmId> {
        self.all().skipped()
    }

    /// Returns [`View::read_order`] of all readers together.
    pub fn read_order(&self) -> impl Iterator<Item = FilmId> {
        self.all().read_order()
    }

    /// Returns [`View::passed_since_skipped`] of all readers together.
    pub fn passed_since_skipped(&self) -> impl Iterator<Item = (FilmId, usize)> {
        self.all().passed_since_skipped()
    }

    /// Returns the note on a film that was written last.
    pub fn note(&self, film: FilmId) -> Option<&Note> {
        self.notes.get(&film)?.last()
    }

    /// Returns a reader's note on a film.
    pub fn note_of(&self, film: FilmId, reader: &str) -> Option<&Note> {
        self.notes.get(&film)?.iter().find(|note| note.reader == reader)
    }

    /// Returns all notes, by film, of one film in the order in which they were written.
    pub fn notes(&self) -> impl Iterator<Item = (FilmId, &Note)> {
        self.notes.iter().flat_map(|(&film, notes)| notes.iter().map(move |note| (film, note)))
    }

    /// Returns the contents that the reader took for a film in place of those at import.
    pub fn accepted_change(&self, film: FilmId) -> Option<FilmId> {
        self.changed.get(&film).copied()
    }

    /// Returns the latest reading of `reader` that can be taken back, with its film.
    pub fn last_undoable(&self, reader: &str) -> Option<(u64, FilmId)> {
        self.of(reader).last_undoable()
    }

    /// Returns the readings of films that were drawn at random, in the order of their first answers.
    pub fn audit(&self) -> impl Iterator<Item = Audited<'_>> {
        self.in_order().filter_map(|(film, label)| match &label.source {
            Source::Audit { predicted, probability } => {
                Some(Audited { film, predicted, probability: *probability, answer: &label.answer })
            }
            _ => None,
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
        for &film in self.films.keys() {
            match self.label(film).map(|label| &label.answer) {
                Some(Answer::Class(name)) => {
                    if let Some(class) = self.class_index(name) {
                        counts.classes[class] += 1;
                    }
                }
                Some(Answer::Uninterpretable) => counts.uninterpretable += 1,
                None => counts.skipped += 1,
            }
        }
        counts
    }
}
