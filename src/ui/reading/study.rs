//! The session as its reader knows it: the log, the films, what the reader has answered, what the model holds.
//!
//! All that is entered into the log goes through here; a refusal is kept until the log takes the next entry.

use std::path::Path;
use std::sync::Arc;

use crate::dataset::{FilmId, FilmRecord};
use crate::session::{
    Class, Entry, Event, Exposure, Opinion, Point, Protocol, Session, SessionError, Source, State,
};
use crate::stats::argmax;
use crate::study::workspace::RETURN_AFTER;
use crate::study::{AuditPoint, AuditStream, LabelSet, Ranking, Workspace};
use crate::ui::reply::Reply;

/// Reasons for a change that are offered before the reader has given any.
const REASONS: [&str; 3] = ["Wrong key", "Second look", "Discussed with a colleague"];
/// Reasons that are offered.
const PICKS: usize = 6;

/// A session and what one reader has made of it.
pub struct Study {
    workspace: Workspace,
    reader: String,
    /// What the reader has answered and is to read.
    labels: Arc<LabelSet>,
    /// Films after which one that was put off comes back; `None` for when all others are read.
    return_after: Option<usize>,
    ranking: Option<Arc<Ranking>>,
    audit: Vec<AuditPoint>,
    /// Entries of the log when what the reader entered last was in it.
    last_entered: u64,
    /// Why the log did not take the last event.
    refused: Option<String>,
    /// What the reader is to be told of the session, the latest last.
    notices: Vec<String>,
}

impl Study {
    /// Notices that are kept beside those of the opening.
    const NOTICES: usize = 20;

    /// Takes a session that `reader` reads.
    pub fn new(workspace: Workspace, reader: &str) -> Self {
        let mut study = Self {
            notices: workspace.warnings.clone(),
            workspace,
            reader: reader.to_owned(),
            labels: Arc::default(),
            return_after: Some(RETURN_AFTER),
            ranking: None,
            audit: Vec::new(),
            last_entered: 0,
            refused: None,
        };
        study.labels_changed();
        study
    }

    /// Returns the session with its films.
    pub const fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Returns the log.
    pub const fn session(&self) -> &Session {
        &self.workspace.session
    }

    /// Returns what the session has come to.
    pub const fn state(&self) -> &State {
        self.workspace.session.state()
    }

    /// Returns the classes of the session.
    pub fn classes(&self) -> &[Class] {
        &self.session().header().classes
    }

    /// Returns the films in row order.
    pub const fn films(&self) -> &Arc<Vec<FilmRecord>> {
        &self.workspace.films
    }

    /// Returns the folder that the films lie under.
    pub fn images(&self) -> &Path {
        &self.workspace.images
    }

    /// Returns the identity of the film of a row.
    pub fn film_id(&self, row: usize) -> Option<FilmId> {
        self.films().get(row).map(|film| film.id)
    }

    /// Returns the row of a film.
    pub fn row(&self, film: FilmId) -> Option<usize> {
        self.workspace.row(film)
    }

    /// Returns who reads.
    pub fn reader(&self) -> &str {
        &self.reader
    }

    /// Returns what the reader has answered and is to read.
    pub const fn labels(&self) -> &Arc<LabelSet> {
        &self.labels
    }

    /// Returns after how many films one that was put off comes back; `None` for when all others are read.
    pub const fn return_after(&self) -> Option<usize> {
        self.return_after
    }

    /// Returns the ranking in force.
    pub const fn ranking(&self) -> Option<&Arc<Ranking>> {
        self.ranking.as_ref()
    }

    /// Returns what the reader is to be told of the session, the latest last.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Returns why labelling has stopped, if it has.
    pub fn fault(&self) -> Option<String> {
        self.session().fault()
    }

    /// Returns why the last event is not in the log, if the log did not take it.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Returns whether what the reader entered last is on disk, and more can be entered.
    pub fn can_write(&self) -> bool {
        self.fault().is_none() && self.session().durable() >= self.last_entered
    }

    /// Returns films labelled and, of these, films whose label is safe on disk.
    pub fn counts(&self) -> (usize, usize) {
        let labelled = self.labels.rows.len() + self.labels.rereads;
        let unsaved = usize::from(self.session().durable() < self.last_entered);
        (labelled, labelled.saturating_sub(unsaved))
    }

    /// Returns how many films the reader has answered, those answered once more included, and how many there are for them.
    pub fn place(&self) -> (usize, usize) {
        let labels = &self.labels;
        let read = labels.rows.len() + labels.excluded.len() + labels.rereads;
        let second = labels.assigned.iter().filter(|film| labels.elsewhere.contains(&film.row));
        let all = self.films().len() - labels.elsewhere.len() + second.count();
        (read, all.max(read))
    }

    /// Returns whether several have read the session, so that there may be something to settle.
    pub fn has_review(&self) -> bool {
        self.state().readers().len() > 1
    }

    /// Returns the model's figures on the reference films, oldest first.
    pub fn measures(&self) -> &[Point] {
        self.state().curve()
    }

    /// Returns how the random stream went, film by film.
    pub fn audit_course(&self) -> &[AuditPoint] {
        &self.audit
    }

    /// Returns how many films of the random stream the model had right before their label, and how many there were.
    pub fn audit(&self) -> (usize, usize) {
        self.audit.last().map_or((0, 0), |point| (point.correct, point.n))
    }

    /// Returns after how many labels which model was taken into use.
    pub fn swaps(&self) -> Vec<(usize, String)> {
        let swap = |event: &Event| match event {
            Event::ModelSwap { model, accepted: true, labels, .. } => {
                Some((*labels, model.clone()))
            }
            _ => None,
        };
        self.session().entries().iter().filter_map(|entry| swap(&entry.event)).collect()
    }

    /// Returns the labels that a model had learnt from when it was weighed last.
    pub fn labels_of_model(&self, name: &str) -> Option<usize> {
        let swap = |event: &Event| match event {
            Event::ModelSwap { model, labels, .. } if model == name => Some(*labels),
            _ => None,
        };
        self.session().entries().iter().filter_map(|entry| swap(&entry.event)).next_back()
    }

    /// Returns the reader's answer to a film.
    pub fn answer_of(&self, row: usize) -> Option<Reply> {
        let answer = self.state().of(&self.reader).answer(self.film_id(row)?)?;
        Reply::of(answer, self.classes())
    }

    /// Says what the reader said of a film: the answer, the reason where it was changed, the time for which it was read.
    pub fn answer_in_words(&self, row: usize) -> Vec<String> {
        let Some(film) = self.film_id(row) else { return Vec::new() };
        let Some(label) = self.state().of(&self.reader).label(film) else {
            let later = self.labels.deferred.contains(&row);
            return later.then(|| "Put off".to_owned()).into_iter().collect();
        };
        let reply = self.answer_of(row);
        let mut words: Vec<String> =
            reply.map(|reply| reply.words(self.classes())).into_iter().collect();
        if let Some(reason) = label.reason.as_ref().filter(|reason| !reason.is_empty()) {
            words.push(format!("changed: {reason}"));
        }
        words.push(format!("read for {} s", (label.ms + 500) / 1000));
        words
    }

    /// Returns the reasons that were given for changes, the last one first, and some to begin with.
    pub fn reasons(&self) -> Vec<String> {
        let given = self.own_entries().rev().filter_map(|entry| match &entry.event {
            Event::Relabel { reason, .. } if !reason.is_empty() => Some(reason.clone()),
            _ => None,
        });
        let mut reasons: Vec<String> = Vec::new();
        for reason in given.chain(REASONS.map(str::to_owned)) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
            if reasons.len() == PICKS {
                break;
            }
        }
        reasons
    }

    /// Returns the note on a film.
    pub fn note(&self, row: usize) -> Option<&str> {
        let note = self.state().note_of(self.film_id(row)?, &self.reader);
        note.map(|note| note.text.as_str())
    }

    /// Returns the rows of films with a note.
    pub fn noted(&self) -> impl Iterator<Item = usize> {
        let own = self.state().notes().filter(|(_, note)| note.reader == self.reader);
        own.filter_map(|(film, _)| self.row(film))
    }

    /// Returns whether a film's file holds something else than at import, which the reader has not taken for the film.
    pub fn is_foreign(&self, row: usize, changed: Option<FilmId>) -> bool {
        let accepted = self.film_id(row).and_then(|id| self.state().accepted_change(id));
        changed.is_some() && changed != accepted
    }

    /// Returns whether an entry answered a film once more, or put it off then.
    pub fn is_reread(&self, seq: u64) -> bool {
        let entry = usize::try_from(seq).ok().and_then(|seq| self.session().entries().get(seq));
        entry.is_some_and(|entry| match &entry.event {
            Event::Label { source, .. } | Event::Skip { source: Some(source), .. } => {
                *source == Source::Reread
            }
            _ => false,
        })
    }

    /// Returns when the reader is shown the model's opinion of a film, by the session's protocol; after the answer where
    /// there is none.
    pub fn exposure(&self, row: usize) -> Exposure {
        let seed = self.session().header().seed;
        let drawn =
            |(protocol, film): (&Protocol, FilmId)| protocol.exposure(seed, film, &self.reader);
        self.state().protocol().zip(self.film_id(row)).map_or(Exposure::After, drawn)
    }

    /// Returns the class that the model holds most likely for a film, and its probability.
    pub fn held(&self, row: usize) -> Option<(usize, f32)> {
        let classes = self.classes().len();
        let held = self.ranking.as_ref()?.probabilities.get(row * classes..)?.get(..classes)?;
        opinion_of(held)
    }

    /// Returns whether the reader may know the model's opinion of a film: it is shown after a first label, and an undo
    /// does not unsee it.
    pub fn opinion_seen(&self, row: usize) -> bool {
        let labels = |event: &Event| matches!(event, Event::Label { film, .. } if Some(*film) == self.film_id(row));
        self.exposure(row) != Exposure::Never
            && self.own_entries().any(|entry| labels(&entry.event))
    }

    /// Returns what the log is to hold of the model's opinion of a film: nothing where the session has no protocol.
    pub fn opinion_to_record(&self, row: usize) -> Option<Opinion> {
        self.state().protocol()?;
        let (class, probability) = self.held(row)?;
        let class = self.classes().get(class)?.name.clone();
        Some(Opinion { exposure: self.exposure(row), class, probability })
    }

    /// Returns the labels that a model is to learn from: the consensus where others have read too.
    pub fn labels_to_learn_from(&self) -> Arc<LabelSet> {
        let state = self.state();
        let alone = state.readers().iter().all(|reader| *reader == self.reader)
            && state.adjudications().next().is_none();
        if alone {
            return Arc::clone(&self.labels);
        }
        Arc::new(self.workspace.label_set_for(&self.reader, self.return_after))
    }

    /// Enters what the reader says; returns whether the log took it.
    pub fn enter(&mut self, event: Event) -> bool {
        let entered = self.log(event);
        if entered {
            self.last_entered = self.session().entered();
        }
        entered
    }

    /// Enters what the program reports, as of a model; returns whether the log took it.
    pub fn log(&mut self, event: Event) -> bool {
        let appended = self.workspace.session.append(&self.reader, event);
        self.refused = appended.as_ref().err().map(ToString::to_string);
        match &appended {
            // The fault has its own bar for as long as it lasts.
            Ok(_) | Err(SessionError::Faulted(_)) => self.refused = None,
            Err(error) => self.notice(error.to_string()),
        }
        appended.is_ok()
    }

    fn notice(&mut self, notice: String) {
        let given = self.workspace.warnings.len();
        if self.notices.len() == given + Self::NOTICES {
            self.notices.remove(given);
        }
        self.notices.push(notice);
    }

    /// Takes in what the writer of the log has done; returns whether it still has something to do.
    pub fn poll(&mut self) -> bool {
        self.workspace.session.poll_acks();
        !self.session().ready() && self.fault().is_none()
    }

    /// Collects anew what the reader has answered and is to read.
    pub fn labels_changed(&mut self) {
        self.reading_list_changed();
        self.audit = AuditStream::of(self.state()).course();
    }

    fn reading_list_changed(&mut self) {
        let ranking = self.ranking.as_deref();
        let labels = self.workspace.reader_set(&self.reader, self.return_after, ranking);
        self.labels = Arc::new(labels);
    }

    /// Has films put off come back after so many others, or, for `None`, when all others are read.
    pub fn set_return_after(&mut self, films: Option<usize>) {
        self.return_after = films;
        self.labels_changed();
    }

    /// Takes a new ranking; returns whether another model made it than the one before.
    pub fn take_ranking(&mut self, ranking: Arc<Ranking>) -> bool {
        let model = ranking.model.clone();
        let before = self.ranking.replace(ranking);
        // The model's doubt of others' answers goes by the ranking.
        if self.state().protocol().is_some_and(|protocol| protocol.doubt_share > 0.0) {
            self.reading_list_changed();
        }
        before.is_some_and(|before| before.model != model)
    }

    /// Gives the session to another reader.
    pub fn hand_over(&mut self, reader: &str) {
        reader.clone_into(&mut self.reader);
        self.labels_changed();
    }

    fn own_entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.session().entries().iter().filter(|entry| entry.reader == self.reader)
    }
}

/// Returns the class that probabilities hold most likely, the first of equals, with its own.
pub fn opinion_of(probabilities: &[f32]) -> Option<(usize, f32)> {
    let class = argmax(probabilities)?;
    Some((class, *probabilities.get(class)?))
}
