//! The film that was answered last, equalised or explained, beside the film on screen.

use std::sync::Arc;

use egui::Context;

use super::sitting::Sitting;
use crate::engine::Explanation;
use crate::ui::aside::{Aside, Equalised, HeatMap};
use crate::ui::reading::Reading;

impl Sitting {
    /// Shows the film that was answered last, equalised, or the film on screen again.
    pub fn toggle_equalised(&mut self, ctx: &Context) {
        let film = self.reading.last.as_ref().and_then(|last| last.film.as_ref());
        let aside = &mut self.panels.read.aside;
        *aside = match (aside.take(), film) {
            (Some(Aside::Equalised(_)), _) => None,
            (_, Some(film)) if self.reading.view().shows_film() => {
                let started = Equalised::new(ctx, Arc::clone(film)).map(Aside::Equalised);
                started.inspect_err(|error| tracing::warn!("no equalised film: {error}")).ok()
            }
            _ => None,
        };
    }

    /// Asks where in the film that was answered last the model finds its class, and shows that when it comes; or shows
    /// the film on screen again.
    pub fn toggle_heat_map(&mut self, ctx: &Context) {
        let shows_film = self.reading.view().shows_film();
        let Reading { learner, last, .. } = &mut self.reading;
        if !learner.is_on() {
            return;
        }
        let last = last.as_ref().and_then(|last| Some((last.row, last.film.as_ref()?)));
        let aside = &mut self.panels.read.aside;
        *aside = match (aside.take(), last) {
            (Some(Aside::HeatMap(_)), _) => None,
            (_, Some((row, film))) if shows_film => {
                learner.explain(row);
                let started = HeatMap::new(ctx, row, Arc::clone(film)).map(Aside::HeatMap);
                started.inspect_err(|error| tracing::warn!("no heat map: {error}")).ok()
            }
            _ => None,
        };
    }

    /// Takes what the engine found, if it is still looked for.
    pub(super) fn take_explanation(&mut self, ctx: &Context, explanation: &Explanation) {
        if let Some(Aside::HeatMap(map)) = &mut self.panels.read.aside {
            map.take(ctx, explanation, self.reading.classes());
        }
    }
}
