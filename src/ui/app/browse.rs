//! What can be looked at beside the film on screen: films ahead, the last one equalised.

use std::sync::Arc;

use super::reading::Reading;
use crate::ui::command::View;
use crate::ui::equalised::Equalised;

impl Reading {
    /// Returns whether the film on screen is what is shown.
    pub fn shows_film(&self) -> bool {
        self.view.shows_film() && self.equalised.is_none()
    }

    /// Returns whether a film is in sight that keys can answer for.
    pub fn takes_answers(&self) -> bool {
        self.shows_film() || self.view == View::Films
    }

    /// Shows the film that was answered last, equalised, or the film on screen again.
    pub fn toggle_equalised(&mut self, ctx: &egui::Context) {
        let film = self.last.as_ref().and_then(|last| last.film.as_ref());
        self.equalised = match (self.equalised.take(), film) {
            (None, Some(film)) if self.view.shows_film() => {
                let started = Equalised::new(ctx, Arc::clone(film));
                started.inspect_err(|error| tracing::warn!("no equalised film: {error}")).ok()
            }
            _ => None,
        };
    }

    /// Shows the film after the one on screen, which stays unread; what it is in the queue for stays what it was.
    pub fn look_at_next(&mut self) {
        let unseen = |film: &&crate::engine::QueuedFilm| !self.passed.contains(&film.row);
        let next = self.upcoming.iter().skip(1).find(unseen).cloned();
        let (Some(shown), Some(next)) = (self.upcoming.first().cloned(), next) else { return };
        self.passed.push(shown.row);
        let row = next.row;
        self.queue.remember(shown);
        self.queue.remember(next);
        self.queue.show(row);
        self.queue_changed();
    }

    /// Goes back to the film that was passed last.
    pub(super) fn back_to_passed(&mut self) {
        if let Some(row) = self.passed.pop() {
            self.queue.show(row);
            self.queue_changed();
        }
    }
}
