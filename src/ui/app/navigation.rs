//! Going to views, back to films that were read, and through films of the Films view, while the queue stays where it is.

use super::sitting::Sitting;
use crate::ui::command::View;
use crate::ui::gallery::filter::Filter;
use crate::ui::reading::Reading;

impl Sitting {
    /// Goes to a view; films that were looked back at stay behind when films are to be settled.
    pub fn go_to(&mut self, view: View) {
        let Reading { study, worklist, last, .. } = &mut self.reading;
        let before = worklist.view();
        if view == View::Review && !study.has_review() {
            return;
        }
        if view == View::Films
            && before == View::Read
            && let Some(row) = worklist.row()
        {
            self.panels.gallery.select(row);
        }
        if (view == View::Review) != (before == View::Review) {
            (*last, self.panels.read.aside) = (None, None);
            worklist.stop_browsing();
            worklist.disputes_changed(study);
        }
        worklist.set_view(view);
        self.queue_changed();
    }

    /// Goes back to the film before the one on screen.
    pub fn previous_film(&mut self) {
        if self.reading.view() != View::Review {
            let Reading { study, worklist, .. } = &mut self.reading;
            worklist.previous(study);
            self.queue_changed();
        }
    }

    /// Goes to the film after the one on screen.
    pub fn next_film(&mut self) {
        if self.reading.view() != View::Review {
            self.reading.worklist.next();
            self.queue_changed();
        }
    }

    /// Returns to the film that the queue stands at.
    pub fn back_to_queue(&mut self) {
        self.reading.worklist.back_to_queue();
        self.queue_changed();
    }

    /// Opens a film of the Films view.
    pub fn open(&mut self, row: usize) {
        self.reading.worklist.open(row, self.panels.gallery.shown());
        self.queue_changed();
    }

    /// Shows the films put off.
    pub fn show_later(&mut self) {
        self.panels.gallery.choose(Filter::Later);
        self.reading.worklist.set_view(View::Films);
    }

    /// Has films put off come back after so many others, or, for `None`, when all others are read.
    pub fn return_after(&mut self, films: Option<usize>) {
        self.reading.study.set_return_after(films);
        self.labels_changed();
        let Reading { study, worklist, .. } = &mut self.reading;
        worklist.labels_changed(study);
        self.queue_changed();
    }

    /// Puts films that were picked on the map in front of the queue, and goes back to it.
    pub fn read_next(&mut self, rows: &[usize]) {
        self.reading.worklist.read_next(rows);
        self.back_to_queue();
    }

    /// Shows films that were picked on the map alone.
    pub fn show_picked(&mut self, rows: Vec<usize>) {
        self.panels.gallery.pick(rows);
        self.go_to(View::Films);
    }

    /// Shows a film that was pointed at on the map, among all films.
    pub fn show_in_films(&mut self, row: usize) {
        let gallery = &mut self.panels.gallery;
        gallery.choose(Filter::All);
        gallery.select(row);
        self.reading.worklist.set_view(View::Films);
    }
}
