//! What can be looked at beside the film on screen: films ahead, the last one equalised or explained.

use std::sync::Arc;

use super::reading::Reading;
use crate::engine::{Command, Explanation};
use crate::ui::aside::Aside;
use crate::ui::command::View;
use crate::ui::equalised::Equalised;
use crate::ui::gallery::filter::Filter;
use crate::ui::heat_map::HeatMap;

impl Reading {
    /// Returns whether the film on screen is what is shown.
    pub fn shows_film(&self) -> bool {
        self.view.shows_film() && self.aside.is_none()
    }

    /// Returns whether a film is in sight that keys can answer for.
    pub fn takes_answers(&self) -> bool {
        self.shows_film() || self.view == View::Films
    }

    /// Shows the film that was answered last, equalised, or the film on screen again.
    pub fn toggle_equalised(&mut self, ctx: &egui::Context) {
        let film = self.last.as_ref().and_then(|last| last.film.as_ref());
        self.aside = match (self.aside.take(), film) {
            (Some(Aside::Equalised(_)), _) => None,
            (_, Some(film)) if self.view.shows_film() => {
                let started = Equalised::new(ctx, Arc::clone(film)).map(Aside::Equalised);
                started.inspect_err(|error| tracing::warn!("no equalised film: {error}")).ok()
            }
            _ => None,
        };
    }

    /// Asks where in the film that was answered last the model finds its class, and shows that when it comes; or shows
    /// the film on screen again.
    pub fn toggle_heat_map(&mut self, ctx: &egui::Context) {
        let Some(engine) = &self.engine else { return };
        let last = self.last.as_ref().and_then(|last| Some((last.row, last.film.as_ref()?)));
        self.aside = match (self.aside.take(), last) {
            (Some(Aside::HeatMap(_)), _) => None,
            (_, Some((row, film))) if self.view.shows_film() => {
                engine.send(Command::Explain(row));
                let started = HeatMap::new(ctx, row, Arc::clone(film)).map(Aside::HeatMap);
                started.inspect_err(|error| tracing::warn!("no heat map: {error}")).ok()
            }
            _ => None,
        };
    }

    /// Takes what the engine found, if it is still looked for.
    pub fn take_explanation(&mut self, ctx: &egui::Context, explanation: &Explanation) {
        let classes = self.classes().to_vec();
        if let Some(Aside::HeatMap(map)) = &mut self.aside {
            map.take(ctx, explanation, &classes);
        }
    }

    /// Puts films without an answer in front of the queue, the first of them first. They were chosen, whatever the ranking
    /// says of them; those of the random stream stay its own.
    pub fn read_next(&mut self, rows: &[usize]) {
        for &row in rows.iter().rev() {
            let film = self.queue.chosen(row);
            self.queue.remember(film);
            self.queue.show(row);
        }
        self.queue_changed();
    }

    /// Shows a film that was pointed at on the map, among all films.
    pub fn open_from_map(&mut self, row: usize) {
        self.gallery.choose(Filter::All);
        self.gallery.select(row);
        self.view = View::Films;
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
