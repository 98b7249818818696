//! What the reader enters: answers, changes of them, notes, changed files that are taken as they are.

use std::time::{Duration, Instant};

use super::reading::{LastFilm, Reading};
use super::record::{self, Reply};
use crate::dataset::FilmId;
use crate::engine::{QueuedFilm, QueuedSource};
use crate::imaging::Window;
use crate::session::{Entry, Event, Exposure, Opinion, Source};
use crate::ui::command::View;
use crate::ui::film_loader::Loaded;
use crate::ui::film_view::{Displayed, Orientation};
use crate::ui::why::Why;

/// Reasons for a change that are offered before the reader has given any.
const REASONS: [&str; 3] = ["Wrong key", "Second look", "Discussed with a colleague"];
/// Reasons that are offered.
const PICKS: usize = 6;

impl Reading {
    /// Answers for the film on screen, or in the gallery the selected one, and goes on; returns whether the answer was
    /// taken.
    ///
    /// It is refused while the last one is not yet durable, after a failed save, for a film whose file has changed unless
    /// the reader took it as it is, and as long as the film has not been drawn: no film is labelled unseen. A film that
    /// has an answer needs [`Self::relabel`].
    pub fn answer(&mut self, reply: Reply, now: f64, started: Instant) -> bool {
        let Some(film) = self.subject() else { return false };
        let Some((display, time)) = self.seen(&film, reply, started) else { return false };
        if !self.can_write() {
            return false;
        }
        if self.view == View::Review {
            return self.settle(film.row, reply, (display, time), now, started);
        }
        let Some(record) = self.workspace.films.get(film.row) else { return false };
        let model = self.ranking.as_ref().map(|ranking| ranking.model.as_str());
        let opinion = self.opinion_seen(record.id) || self.opinion_before().is_some();
        let seen =
            record::Seen { display, time, model, opinion, held: self.held_for_record(film.row) };
        let Some(event) = record::answered(record.id, reply, self.classes(), &film, seen) else {
            return false;
        };
        if !self.enter(event) {
            return false;
        }
        // The time on a film put off counts when it comes again.
        if reply != Reply::Later {
            self.times.remove(&film.row);
            self.pace.record(time);
        }
        // A film that is put off has no label yet: nothing may be said of it.
        self.last = (reply != Reply::Later).then(|| self.describe(&film, reply));
        self.go_on(reply, now, started);
        true
    }

    /// Returns the film that an answer is for, and why it is read.
    pub(super) fn subject(&self) -> Option<QueuedFilm> {
        match (self.view, self.browsed()) {
            (View::Review, _) => {
                let row = *self.disputed().first()?;
                Some(QueuedFilm { row, source: QueuedSource::Chosen, reason: None })
            }
            (View::Films, _) => Some(self.queue.chosen(self.gallery.selected()?)),
            (_, Some(row)) => Some(self.queue.chosen(row)),
            (_, None) => self.upcoming.first().cloned(),
        }
    }

    /// Returns the row that an answer, a note or a change is for.
    pub fn subject_row(&self) -> Option<usize> {
        self.subject().map(|film| film.row)
    }

    /// Returns how a film was displayed and for how long it was read, if it may be answered so.
    fn seen(&self, film: &QueuedFilm, reply: Reply, now: Instant) -> Option<(Displayed, Duration)> {
        const UNSEEN: Displayed = Displayed {
            window: Window { centre: 0.0, width: 1.0 },
            zoom: 0.0,
            inverted: false,
            orientation: Orientation { quarters: 0, mirrored: false },
        };
        let looked = self.on_screen.filter(|(row, _)| *row == film.row);
        let time = looked.map(|(_, sight)| sight.time(now));
        if self.view == View::Films {
            let (_, display, changed) = self.drawn_small.filter(|(row, ..)| *row == film.row)?;
            let foreign = reply != Reply::Later && self.is_foreign(film.row, changed);
            return Some((display, time?)).filter(|_| !foreign);
        }
        match self.loader.get(film.row) {
            // A film that is waited for, or that was changed and not taken as it is, can be put off, no more; one that
            // cannot be shown can also be called uninterpretable.
            None => (reply == Reply::Later).then_some((UNSEEN, Duration::ZERO)),
            Some(Err(_)) => (!matches!(reply, Reply::Class(_))).then_some((UNSEEN, Duration::ZERO)),
            Some(Ok(loaded))
                if reply != Reply::Later && self.is_foreign(film.row, loaded.changed) =>
            {
                None
            }
            Some(Ok(loaded)) => Some((self.film_view.displayed(&loaded), time?)),
        }
    }

    /// Returns whether a film's file holds something else than at import, which the reader has not taken for the film.
    fn is_foreign(&self, row: usize, changed: Option<FilmId>) -> bool {
        let id = self.workspace.films.get(row).map(|film| film.id);
        let accepted = id.and_then(|id| self.workspace.session.state().accepted_change(id));
        changed.is_some() && changed != accepted
    }

    /// Returns whether the film on screen waits to be taken as its file is now, or to be put off.
    pub fn waits_for_acceptance(&self) -> bool {
        match (self.row(), self.film()) {
            (Some(row), Some(Ok(loaded))) => self.is_foreign(row, loaded.changed),
            _ => false,
        }
    }

    /// Takes the film on screen as its file is now.
    pub fn accept_change(&mut self) {
        let film = self.row().and_then(|row| self.workspace.films.get(row)).map(|film| film.id);
        if let (true, Some(film), Some(Ok(loaded))) =
            (self.waits_for_acceptance() && self.can_write(), film, self.film())
            && let Some(now) = loaded.changed
        {
            self.enter(Event::FileChanged { film, now });
        }
    }

    /// Changes the answer of a film, for a reason that may be empty, and goes on; returns whether it was changed.
    pub fn relabel(
        &mut self,
        row: usize,
        to: Reply,
        reason: String,
        now: f64,
        started: Instant,
    ) -> bool {
        let Some(film) = self.workspace.films.get(row).map(|film| film.id) else { return false };
        let Some(to_answer) = record::answer(to, self.classes()) else { return false };
        let answer = self.workspace.session.state().of(&self.reader).answer(film);
        let Some(from) = answer.cloned().filter(|from| *from != to_answer) else {
            return false;
        };
        let looked = self.on_screen.filter(|(shown, _)| *shown == row);
        let Some(time) = looked.map(|(_, sight)| sight.time(started)).filter(|_| self.can_write())
        else {
            return false;
        };
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if !self.enter(Event::Relabel { film, from, to: to_answer, reason, ms }) {
            return false;
        }
        self.on_screen = None;
        self.times.remove(&row);
        self.last = Some(self.describe(&self.queue.chosen(row), to));
        self.go_on(to, now, started);
        true
    }

    /// Returns whether a reply to a film would change its answer: then a reason is asked for.
    pub fn changes_answer(&self, row: usize, reply: Reply) -> bool {
        self.answer_of(row).is_some_and(|answer| answer != reply && reply != Reply::Later)
    }

    /// Returns the reasons that were given for changes, the last one first, and some to begin with.
    pub fn reasons(&self) -> Vec<String> {
        let entries = self.workspace.session.entries().iter().rev();
        let own = entries.filter(|entry| entry.reader == self.reader);
        let given = own.filter_map(|entry| match &entry.event {
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
        let film = self.workspace.films.get(row)?;
        let note = self.workspace.session.state().note_of(film.id, &self.reader);
        note.map(|note| note.text.as_str())
    }

    /// Returns the rows of films with a note.
    pub fn noted(&self) -> impl Iterator<Item = usize> {
        let notes = self.workspace.session.state().notes();
        let own = notes.filter(|(_, note)| note.reader == self.reader);
        own.filter_map(|(film, _)| self.workspace.row(film))
    }

    /// Puts a note on a film; an empty one removes it.
    pub fn set_note(&mut self, row: usize, text: String) -> bool {
        let Some(film) = self.workspace.films.get(row).map(|film| film.id) else { return false };
        let same = self.note(row).unwrap_or_default() == text;
        !same && self.can_write() && self.enter(Event::Note { film, text })
    }

    /// Takes the last answer back and shows its film again.
    pub fn undo(&mut self, started: Instant) {
        if self.view == View::Review {
            return self.unsettle(started);
        }
        let Some((seq, film)) = self.workspace.session.state().last_undoable(&self.reader) else {
            return;
        };
        let again = self.is_reread(seq);
        if !self.can_write() || !self.enter(Event::Undo { seq }) {
            return;
        }
        (self.last, self.aside) = (None, None);
        self.key = Some(started);
        self.labels_changed();
        self.queue.labels_changed(&self.labels);
        if let Some(row) = self.workspace.row(film) {
            self.gallery.select(row);
            if self.answer_of(row).is_some() && !again {
                // A change was taken back: the film has the answer from before it, and the queue stays where it is.
                if self.view == View::Read {
                    self.look_at_answered(row);
                }
            } else {
                self.browsing = None;
                self.queue.show(row);
            }
        }
        self.queue_changed();
    }

    /// Returns whether an entry answered a film once more, or put it off then.
    fn is_reread(&self, seq: u64) -> bool {
        let entry =
            usize::try_from(seq).ok().and_then(|seq| self.workspace.session.entries().get(seq));
        entry.is_some_and(|entry| match &entry.event {
            Event::Label { source, .. } | Event::Skip { source: Some(source), .. } => {
                *source == Source::Reread
            }
            _ => false,
        })
    }

    /// Enters an event; says so if it cannot be.
    pub(super) fn enter(&mut self, event: Event) -> bool {
        if let Err(error) = self.workspace.session.append(&self.reader, event) {
            self.learning.take(crate::engine::Event::Warning(error.to_string()));
            return false;
        }
        self.last_label = self.workspace.session.entered();
        true
    }

    pub(super) fn can_write(&self) -> bool {
        let session = &self.workspace.session;
        session.fault().is_none() && session.durable() >= self.last_label
    }

    /// Shows the next film after an answer.
    fn go_on(&mut self, reply: Reply, now: f64, started: Instant) {
        self.film_view.flash(self.colour(reply), now);
        self.key = Some(started);
        let browsed = self.browsed();
        self.passed.clear();
        self.labels_changed();
        match (self.view, browsed) {
            (View::Films, _) => {
                self.queue.labels_changed(&self.labels);
                self.gallery.go_on();
            }
            (_, Some(_)) => {
                self.queue.labels_changed(&self.labels);
                self.browse_after_answer();
            }
            (_, None) => self.queue.advance(&self.labels),
        }
        self.queue_changed();
    }

    /// Returns whether the reader may know the model's opinion of a film: it is shown after a first label, and an undo
    /// does not unsee it.
    fn opinion_seen(&self, id: FilmId) -> bool {
        let shown = self.workspace.row(id).map(|row| self.exposure(row));
        let labels = |event: &Event| matches!(event, Event::Label { film, .. } if *film == id);
        let mine = |entry: &&Entry| entry.reader == self.reader;
        let mut entries = self.workspace.session.entries().iter().filter(mine);
        shown != Some(Exposure::Never) && entries.any(|entry| labels(&entry.event))
    }

    /// Returns what the log is to hold of the model's opinion of a film: nothing where the session has no protocol.
    fn held_for_record(&self, row: usize) -> Option<Opinion> {
        self.workspace.session.state().protocol()?;
        let (class, probability) = self.held(row)?;
        let class = self.classes().get(class)?.name.clone();
        Some(Opinion { exposure: self.exposure(row), class, probability })
    }

    fn describe(&self, film: &QueuedFilm, reply: Reply) -> LastFilm {
        let opinion = match &film.source {
            QueuedSource::Audit { predicted, .. } => super::course::most_likely(predicted),
            _ => self.held(film.row),
        };
        let opinion = opinion.filter(|_| self.exposure(film.row) != Exposure::Never);
        let picture = self.loader.get(film.row).and_then(Result::ok);
        LastFilm { row: film.row, reply, opinion, why: Why::of(film), film: picture }
    }

    /// Returns the film on screen, or why it cannot be shown; `None` while it is being decoded.
    pub fn film(&self) -> Option<Loaded> {
        self.row().and_then(|row| self.loader.get(row))
    }
}
