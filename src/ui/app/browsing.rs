//! Going back to films that were read, and to films of the gallery, while the queue stays where it is.

use super::reading::Reading;
use super::record::{self, Reply};
use crate::ui::command::View;
use crate::ui::gallery::filter::Filter;

/// Films that the reader goes through instead of the queue.
#[derive(Clone, Debug)]
pub struct Browsing {
    rows: Vec<usize>,
    place: usize,
    /// The view that it began in and ends in.
    from: View,
}

impl Reading {
    /// Returns the row on screen that is not the queue's, if the reader looks at one.
    pub fn browsed(&self) -> Option<usize> {
        self.browsing.as_ref().and_then(|browsing| browsing.rows.get(browsing.place).copied())
    }

    /// Goes to a view; films that were looked back at stay behind when films are to be settled.
    pub fn go_to(&mut self, view: View) {
        if view == View::Review && !self.has_review() {
            return;
        }
        if (view == View::Review) != (self.view == View::Review) {
            (self.last, self.aside, self.browsing) = (None, None, None);
            self.disputes_changed();
        }
        self.view = view;
        self.queue_changed();
    }

    /// Goes back to the film that was passed, else to the one read before, or, in the gallery's list, to the one before.
    pub fn previous_film(&mut self) {
        if self.view == View::Review {
            return;
        }
        match &mut self.browsing {
            Some(browsing) => browsing.place = browsing.place.saturating_sub(1),
            None if !self.passed.is_empty() => return self.back_to_passed(),
            None => self.browsing = self.look_back(),
        }
        self.queue_changed();
    }

    /// Goes to the film read after the one on screen; after the last one comes the queue, in which films can be passed.
    pub fn next_film(&mut self) {
        if self.view == View::Review {
            return;
        }
        if self.browsing.is_none() {
            return self.look_at_next();
        }
        self.browse_on();
        self.queue_changed();
    }

    /// Returns to the film that the queue stands at.
    pub fn back_to_queue(&mut self) {
        self.browsing = None;
        self.view = View::Read;
        self.queue_changed();
    }

    /// Opens a film of the gallery.
    pub fn open(&mut self, row: usize) {
        let rows = self.gallery.shown().to_vec();
        let place = rows.iter().position(|&other| other == row);
        let from = View::Films;
        let queued = self.upcoming.first().is_some_and(|film| film.row == row);
        self.browsing = place.filter(|_| !queued).map(|place| Browsing { rows, place, from });
        self.view = View::Read;
        self.queue_changed();
    }

    /// Shows the gallery with the films put off.
    pub fn show_later(&mut self) {
        self.gallery.choose(Filter::Later);
        self.view = View::Films;
    }

    /// Has films put off come back after so many others, or, for `None`, when all others are read.
    pub fn return_after(&mut self, films: Option<usize>) {
        self.return_after = films;
        self.labels_changed();
        self.queue.labels_changed(&self.labels);
        self.queue_changed();
    }

    /// Goes to the next of the films that the reader goes through; after the last one back to where that began.
    pub(super) fn browse_on(&mut self) {
        let Some(browsing) = &mut self.browsing else { return };
        browsing.place += 1;
        if browsing.place < browsing.rows.len() {
            return;
        }
        if browsing.from == View::Films {
            self.view = View::Films;
        }
        self.browsing = None;
    }

    /// Goes on after an answer to a film that was looked back at: to the queue, or through the films of the gallery.
    pub(super) fn browse_after_answer(&mut self) {
        if self.browsing.as_ref().is_some_and(|browsing| browsing.from == View::Films) {
            self.browse_on();
        } else {
            self.browsing = None;
        }
    }

    /// Shows a film with an answer among those that were read.
    pub(super) fn look_at_answered(&mut self, row: usize) {
        if let Some(mut browsing) = self.look_back()
            && let Some(place) = browsing.rows.iter().position(|&other| other == row)
        {
            browsing.place = place;
            self.browsing = Some(browsing);
        }
    }

    /// The films that were read, in order, the last one on screen.
    fn look_back(&self) -> Option<Browsing> {
        let queued = self.upcoming.first().map(|film| film.row);
        let state = self.workspace.session.state();
        let rows: Vec<usize> = state
            .of(&self.reader)
            .read_order()
            .filter_map(|film| self.workspace.row(film))
            .filter(|&row| Some(row) != queued)
            .collect();
        let place = rows.len().checked_sub(1)?;
        Some(Browsing { rows, place, from: View::Read })
    }

    /// Returns the films before and after the one that the reader looks back at.
    pub(super) fn browsing_neighbours(&self) -> impl Iterator<Item = usize> {
        let around = |browsing: &Browsing| {
            let at = |place: Option<usize>| browsing.rows.get(place?).copied();
            [at(browsing.place.checked_add(1)), at(browsing.place.checked_sub(1))]
        };
        self.browsing.as_ref().map(around).into_iter().flatten().flatten()
    }

    /// Returns the reader's answer to a film.
    pub fn answer_of(&self, row: usize) -> Option<Reply> {
        let film = self.workspace.films.get(row)?;
        let answer = self.workspace.session.state().of(&self.reader).answer(film.id)?;
        record::reply(answer, self.classes())
    }

    /// Says what the reader said of a film: the answer, the reason where it was changed, the time for which it was read.
    pub fn answer_in_words(&self, row: usize) -> Vec<String> {
        let Some(film) = self.workspace.films.get(row) else { return Vec::new() };
        let own = self.workspace.session.state().of(&self.reader);
        let Some(label) = own.label(film.id) else {
            let later = self.labels.deferred.contains(&row);
            return later.then(|| "Put off".to_owned()).into_iter().collect();
        };
        let mut words: Vec<String> =
            self.answer_of(row).map(|reply| self.words(reply)).into_iter().collect();
        if let Some(reason) = label.reason.as_ref().filter(|reason| !reason.is_empty()) {
            words.push(format!("changed: {reason}"));
        }
        words.push(format!("read for {} s", (label.ms + 500) / 1000));
        words
    }
}
