//! Settling films on which readers disagree, without knowing who said what.

use std::time::{Duration, Instant};

use super::reading::{LastFilm, Reading};
use super::record::{self, Reply};
use crate::session::Event;
use crate::ui::command::{View, sentence};
use crate::ui::film_view::Displayed;
use crate::ui::why::Why;

impl Reading {
    /// Returns whether several have read the session, so that there may be something to settle.
    pub fn has_review(&self) -> bool {
        self.workspace.session.state().readers().len() > 1
    }

    /// Returns the films that the reader can settle, those put off at the end.
    pub fn disputed(&self) -> &[usize] {
        &self.disputed
    }

    /// Returns how many films readers disagree on that the reader has read and that somebody else has to settle.
    pub const fn left_to_others(&self) -> usize {
        self.left_to_others
    }

    /// Brings the films to be settled up to date.
    pub(super) fn disputes_changed(&mut self) {
        let state = self.workspace.session.state();
        let films: Vec<_> = if self.has_review() { state.disputed().collect() } else { Vec::new() };
        let own = state.of(&self.reader);
        let open = films.iter().filter(|&&film| own.label(film).is_none());
        let mut rows: Vec<usize> = open.filter_map(|&film| self.workspace.row(film)).collect();
        self.left_to_others = films.len() - rows.len();
        let put_off = &mut self.disputes_put_off;
        put_off.retain(|row| rows.contains(row));
        rows.retain(|row| !put_off.contains(row));
        rows.extend(&*put_off);
        self.disputed = rows;
    }

    /// Settles the film on screen, or puts it behind the others; returns whether that was entered.
    pub(super) fn settle(
        &mut self,
        row: usize,
        reply: Reply,
        (display, time): (Displayed, Duration),
        now: f64,
        started: Instant,
    ) -> bool {
        let Some(film) = self.workspace.films.get(row).map(|film| film.id) else { return false };
        if reply == Reply::Later {
            self.disputes_put_off.retain(|&other| other != row);
            self.disputes_put_off.push(row);
            (self.last, self.key) = (None, Some(started));
            self.disputes_changed();
            self.queue_changed();
            return true;
        }
        let Some(answer) = record::answer(reply, self.classes()) else { return false };
        let between = self.workspace.session.state().answers(film);
        let said = between.iter().filter_map(|answer| record::reply(answer, self.classes()));
        let said: Vec<String> = said.map(|reply| self.words(reply)).collect();
        let model = self.ranking.as_ref().map(|ranking| ranking.model.as_str());
        let seen = record::Seen { display, time, model, opinion: false, held: None };
        let (shown, ms) = record::shown(seen);
        if !self.enter(Event::Adjudicate { film, answer, between, ms, shown }) {
            return false;
        }
        let phrase = sentence(&said.join(", ").to_lowercase());
        let picture = self.film().and_then(Result::ok);
        let why = Why { phrase, figure: None };
        self.last = Some(LastFilm { row, reply, opinion: None, why, film: picture });
        self.film_view.flash(self.colour(reply), now);
        self.key = Some(started);
        self.labels_changed();
        self.queue.labels_changed(&self.labels);
        self.queue_changed();
        true
    }

    /// Takes the reader's last adjudication back and shows its film again.
    pub(super) fn unsettle(&mut self, started: Instant) {
        let last = self.workspace.session.state().last_adjudication(&self.reader);
        let Some((seq, film)) = last else { return };
        if !self.can_write() || !self.enter(Event::Undo { seq }) {
            return;
        }
        (self.last, self.key) = (None, Some(started));
        self.labels_changed();
        if let Some(row) = self.workspace.row(film) {
            self.disputed.retain(|&other| other != row);
            self.disputed.insert(0, row);
        }
        self.queue_changed();
    }

    /// Returns whether an answer to the film on screen is a first one, whatever was said of the film before: to settle it,
    /// or because the film is given once more.
    pub fn answers_afresh(&self) -> bool {
        self.view == View::Review || self.subject().is_some_and(|film| film.is_reread())
    }
}
