//! What the reader enters: answers, changes of them, notes, changed files that are taken as they are.

use std::time::{Duration, Instant};

use super::record;
use super::sitting::Sitting;
use crate::imaging::Window;
use crate::session::{Event, Exposure};
use crate::study::{QueuedFilm, QueuedSource};
use crate::ui::command::View;
use crate::ui::film_view::{Displayed, Orientation};
use crate::ui::prompt::Prompt;
use crate::ui::reading::{LastFilm, Reading, opinion_of};
use crate::ui::reply::Reply;
use crate::ui::why::Why;

/// How a film counts as displayed that could not be.
const UNSEEN: Displayed = Displayed {
    window: Window { centre: 0.0, width: 1.0 },
    zoom: 0.0,
    inverted: false,
    orientation: Orientation { quarters: 0, mirrored: false },
};

impl Sitting {
    /// Answers for the film on screen; for one that has another answer, returns the question why.
    pub fn reply(&mut self, reply: Reply, now: f64, started: Instant) -> Option<Prompt> {
        let row = self.subject_row()?;
        let study = &self.reading.study;
        let Some(from) = study.answer_of(row).filter(|_| !self.answers_afresh()) else {
            self.answer(reply, now, started);
            return None;
        };
        (from != reply && reply != Reply::Later).then(|| {
            let [from, to] = [from, reply].map(|reply| reply.words(study.classes()));
            let reasons = study.reasons();
            Prompt::relabel(row, reply, format!("Why {to} instead of {from}?"), reasons)
        })
    }

    /// Answers for the film on screen, or in the Films view the selected one, and goes on; returns whether the answer was
    /// taken.
    ///
    /// It is refused while the last one is not yet durable, after a failed save, for a film whose file has changed unless
    /// the reader took it as it is, and as long as the film has not been drawn: no film is labelled unseen. A film that
    /// has an answer needs [`Self::relabel`].
    fn answer(&mut self, reply: Reply, now: f64, started: Instant) -> bool {
        let Some(film) = self.subject() else { return false };
        let Some((display, time)) = self.seen(&film, reply, started) else { return false };
        let Reading { study, .. } = &self.reading;
        if !study.can_write() {
            return false;
        }
        if self.reading.view() == View::Review {
            return self.settle(film.row, reply, (display, time), now, started);
        }
        let Some(id) = study.film_id(film.row) else { return false };
        let model = study.ranking().map(|ranking| ranking.model.as_str());
        let opinion = study.opinion_seen(film.row) || self.reading.opinion_before().is_some();
        let held = study.opinion_to_record(film.row);
        let seen = record::Seen { display, time, model, opinion, held };
        let Some(event) = record::answered(id, reply, study.classes(), &film, seen) else {
            return false;
        };
        if !self.enter_by_key(event, started) {
            return false;
        }
        // The time on a film put off counts when it comes again.
        if reply != Reply::Later {
            self.reading.clock.answered(film.row, time);
        }
        // A film that is put off has no label yet: nothing may be said of it.
        self.reading.last = (reply != Reply::Later).then(|| self.describe(&film, reply));
        self.go_on(reply, now);
        true
    }

    /// Returns the film that an answer is for, and why it is read.
    pub(super) fn subject(&self) -> Option<QueuedFilm> {
        self.reading.worklist.subject(self.panels.gallery.selected())
    }

    /// Returns the row that an answer, a note or a change is for.
    pub fn subject_row(&self) -> Option<usize> {
        self.subject().map(|film| film.row)
    }

    /// Returns how a film was displayed and for how long it was read, if it may be answered so.
    fn seen(&self, film: &QueuedFilm, reply: Reply, now: Instant) -> Option<(Displayed, Duration)> {
        let Reading { study, films, clock, .. } = &self.reading;
        let time = clock.time(film.row, now);
        let taken = |changed| reply == Reply::Later || !study.is_foreign(film.row, changed);
        if self.reading.view() == View::Films {
            let drawn = self.panels.gallery.drawn().filter(|drawn| drawn.row == film.row)?;
            return Some((drawn.display, time?)).filter(|_| taken(drawn.changed));
        }
        match films.get(film.row) {
            // A film that is waited for, or that was changed and not taken as it is, can be put off, no more; one that
            // cannot be shown can also be called uninterpretable.
            None => (reply == Reply::Later).then_some((UNSEEN, Duration::ZERO)),
            Some(Err(_)) => (!matches!(reply, Reply::Class(_))).then_some((UNSEEN, Duration::ZERO)),
            Some(Ok(loaded)) if !taken(loaded.changed) => None,
            Some(Ok(loaded)) => Some((self.panels.read.viewer.displayed(&loaded), time?)),
        }
    }

    /// Takes the film on screen as its file is now.
    pub fn accept_change(&mut self) {
        let reading = &mut self.reading;
        let film = reading.row().and_then(|row| reading.study.film_id(row));
        if let (true, Some(film), Some(Ok(loaded))) =
            (reading.waits_for_acceptance() && reading.study.can_write(), film, reading.film())
            && let Some(now) = loaded.changed
        {
            reading.study.enter(Event::FileChanged { film, now });
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
        let Reading { study, clock, .. } = &self.reading;
        let answer = to.answer(study.classes());
        let Some((film, to_answer)) = study.film_id(row).zip(answer) else { return false };
        let before = study.state().of(study.reader()).answer(film).cloned();
        let Some(from) = before.filter(|from| *from != to_answer) else { return false };
        let Some(time) = clock.time(row, started).filter(|_| study.can_write()) else {
            return false;
        };
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let event = Event::Relabel { film, from, to: to_answer, reason, ms };
        if !self.enter_by_key(event, started) {
            return false;
        }
        self.reading.clock.begin_anew(Some(row));
        let film = self.reading.worklist.chosen(row);
        self.reading.last = Some(self.describe(&film, to));
        self.go_on(to, now);
        true
    }

    /// Puts a note on a film; an empty one removes it.
    pub fn set_note(&mut self, row: usize, text: String) -> bool {
        let study = &mut self.reading.study;
        let Some(film) = study.film_id(row) else { return false };
        let same = study.note(row).unwrap_or_default() == text;
        !same && study.can_write() && study.enter(Event::Note { film, text })
    }

    /// Takes the last answer back and shows its film again.
    pub fn undo(&mut self, started: Instant) {
        if self.reading.view() == View::Review {
            return self.unsettle(started);
        }
        let study = &self.reading.study;
        let Some((seq, film)) = study.state().last_undoable(study.reader()) else { return };
        let again = study.is_reread(seq);
        if !study.can_write() || !self.enter_by_key(Event::Undo { seq }, started) {
            return;
        }
        (self.reading.last, self.panels.read.aside) = (None, None);
        self.labels_changed();
        let Reading { study, worklist, .. } = &mut self.reading;
        worklist.labels_changed(study);
        if let Some(row) = study.row(film) {
            self.panels.gallery.select(row);
            let answered = study.answer_of(row).is_some() && !again;
            worklist.show_again(row, answered, study);
        }
        self.queue_changed();
    }

    /// Shows the next film after an answer.
    fn go_on(&mut self, reply: Reply, now: f64) {
        let colour = reply.colour(self.reading.classes());
        self.panels.read.viewer.flash(colour, now);
        self.labels_changed();
        let Reading { study, worklist, .. } = &mut self.reading;
        if worklist.view() == View::Films {
            self.panels.gallery.go_on();
        }
        worklist.go_on(study);
        self.queue_changed();
    }

    fn describe(&self, film: &QueuedFilm, reply: Reply) -> LastFilm {
        let Reading { study, films, .. } = &self.reading;
        let opinion = match &film.source {
            QueuedSource::Audit { predicted, .. } => opinion_of(predicted),
            _ => study.held(film.row),
        };
        let opinion = opinion.filter(|_| study.exposure(film.row) != Exposure::Never);
        let picture = films.get(film.row).and_then(Result::ok);
        LastFilm { row: film.row, reply, opinion, why: Why::of(film), film: picture }
    }
}
