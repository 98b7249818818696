//! Settling films on which readers disagree, without knowing who said what.

use std::time::{Duration, Instant};

use super::record;
use super::sitting::Sitting;
use crate::session::Event;
use crate::ui::command::View;
use crate::ui::film_view::Displayed;
use crate::ui::reading::{LastFilm, Reading};
use crate::ui::reply::Reply;
use crate::ui::why::Why;
use crate::ui::words::sentence;

impl Sitting {
    /// Settles the film on screen, or puts it behind the others; returns whether that was entered.
    pub(super) fn settle(
        &mut self,
        row: usize,
        reply: Reply,
        (display, time): (Displayed, Duration),
        now: f64,
        started: Instant,
    ) -> bool {
        if reply == Reply::Later {
            let Reading { study, worklist, last, clock, .. } = &mut self.reading;
            worklist.put_dispute_off(row, study);
            *last = None;
            clock.key(started);
            self.queue_changed();
            return true;
        }
        let study = &self.reading.study;
        let classes = study.classes();
        let Some((film, answer)) = study.film_id(row).zip(reply.answer(classes)) else {
            return false;
        };
        let colour = reply.colour(classes);
        let between = study.state().answers(film);
        let said = between.iter().filter_map(|answer| Reply::of(answer, classes));
        let said: Vec<String> = said.map(|reply| reply.words(classes)).collect();
        let model = study.ranking().map(|ranking| ranking.model.as_str());
        let seen = record::Seen { display, time, model, opinion: false, held: None };
        let (shown, ms) = record::shown(seen);
        if !self.enter_by_key(Event::Adjudicate { film, answer, between, ms, shown }, started) {
            return false;
        }
        let phrase = sentence(&said.join(", ").to_lowercase());
        let why = Why { phrase, figure: None };
        let film = self.reading.film().and_then(Result::ok);
        self.reading.last = Some(LastFilm { row, reply, opinion: None, why, film });
        self.panels.read.viewer.flash(colour, now);
        self.labels_changed();
        let Reading { study, worklist, .. } = &mut self.reading;
        worklist.labels_changed(study);
        self.queue_changed();
        true
    }

    /// Takes the reader's last adjudication back and shows its film again.
    pub(super) fn unsettle(&mut self, started: Instant) {
        let study = &self.reading.study;
        let Some((seq, film)) = study.state().last_adjudication(study.reader()) else { return };
        if !study.can_write() || !self.enter_by_key(Event::Undo { seq }, started) {
            return;
        }
        self.reading.last = None;
        self.labels_changed();
        if let Some(row) = self.reading.study.row(film) {
            self.reading.worklist.show_dispute(row);
        }
        self.queue_changed();
    }

    /// Returns whether an answer to the film on screen is a first one, whatever was said of the film before: to settle it,
    /// or because the film is given once more.
    pub fn answers_afresh(&self) -> bool {
        self.reading.view() == View::Review || self.subject().is_some_and(|film| film.is_reread())
    }
}
