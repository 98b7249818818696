//! The magnifier: the film under the pointer, closer.

use egui::{Rect, Response, Stroke, StrokeKind, Ui, Vec2};

use super::FilmView;
use super::display::{Display, Shown, visible};
use super::geometry::Projection;
use super::texture::Textures;
use crate::ui::film_loader::LoadedFilm;
use crate::ui::theme;

/// The magnifier.
#[derive(Default)]
pub struct Loupe {
    shown: bool,
    /// When its key went down, until it is let go of.
    held: Option<f64>,
    /// How many times closer than the film, where the reader has turned the wheel.
    power: Option<f32>,
    textures: Textures,
}

impl Loupe {
    /// How many times closer than the film it is at least and at most, unless the wheel says otherwise.
    const POWERS: (f32, f32) = (2.0, 4.0);
    /// The most by the wheel.
    const MOST: f32 = 8.0;
    /// Seconds after which a key counts as held.
    const HELD: f64 = 0.3;

    /// Shows or hides it; `now` is the time in seconds.
    pub fn toggle(&mut self, now: f64) {
        self.shown = !self.shown;
        self.held = self.shown.then_some(now);
    }

    /// Hides it.
    pub fn hide(&mut self) {
        (self.shown, self.held) = (false, None);
    }

    /// Returns whether it is shown.
    pub const fn is_shown(&self) -> bool {
        self.shown
    }

    /// Takes in that its key is or is not down: letting go hides it, unless the key was only tapped.
    fn key(&mut self, down: bool, now: f64) {
        if let Some(since) = self.held.filter(|_| !down) {
            self.held = None;
            self.shown &= now - since < Self::HELD;
        }
    }

    /// Comes closer by a factor; `scale` is the film's, in screen pixels a film pixel.
    pub fn turn(&mut self, factor: f32, scale: f32) {
        let power = self.power(scale) * factor;
        self.power = Some(power.clamp(Self::POWERS.0, Self::MOST));
    }

    /// Returns how many times closer it shows the film: between two and four times, as near to all that the film has as
    /// that goes.
    fn power(&self, scale: f32) -> f32 {
        self.power.unwrap_or_else(|| scale.recip().clamp(Self::POWERS.0, Self::POWERS.1))
    }
}

impl FilmView {
    /// Draws the magnifier under the pointer.
    pub(super) fn paint_loupe(&mut self, ui: &Ui, response: &Response, film: &LoadedFilm) {
        let ctx = ui.ctx();
        let down = self.habits.magnifier.iter().any(|&key| ctx.input(|i| i.key_down(key)));
        self.loupe.key(down, ctx.input(|i| i.time));
        let pointer = response.hover_pos().or_else(|| response.interact_pointer_pos());
        let Some(pointer) = pointer.filter(|_| self.loupe.shown) else { return };
        let ppp = ctx.pixels_per_point();
        let view = self.projection(ctx, film, response.rect);
        let scale = (view.scale * ppp * self.loupe.power(view.scale * ppp)).min(Display::CLOSEST);
        let middle = view.to_film(pointer);
        let extent = Vec2::splat(theme::LOUPE * ppp);
        let (level, part) = visible(film, scale, middle, extent, ctx.input(|i| i.max_texture_side));
        let tone = self.display.tone.view(film);
        let squares = scale >= Display::SQUARES;
        let shown = Shown { level, part, view: tone, invert: self.display.invert, squares };
        self.loupe.textures.paint(ctx, 0, film, shown);
        let rect = Rect::from_center_size(pointer, Vec2::splat(theme::LOUPE));
        let painter = ui.painter_at(rect.intersect(response.rect));
        painter.rect_filled(rect, 0.0, theme::FILM);
        let closer = Projection { centre: pointer, middle, scale: scale / ppp, ..view };
        self.loupe.textures.draw(&painter, 0, &closer);
        let stroke = Stroke::new(1.0, theme::DARK.secondary);
        painter.rect_stroke(rect, 0.0, stroke, StrokeKind::Inside);
        let text = format!("{:.0} %", 100.0 * scale);
        let corner = rect.right_bottom() - Vec2::splat(theme::SPACE[1]);
        super::overlay::text(&painter, corner, egui::Align2::RIGHT_BOTTOM, &text, theme::DARK.text);
        ctx.set_cursor_icon(egui::CursorIcon::None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tapped_key_leaves_it_and_a_held_one_takes_it_away_again() {
        let mut loupe = Loupe::default();
        loupe.toggle(10.0);
        loupe.key(true, 10.05);
        loupe.key(false, 10.1);
        assert!(loupe.is_shown(), "a tap shows it until the next");
        loupe.toggle(20.0);
        assert!(!loupe.is_shown());
        loupe.toggle(30.0);
        loupe.key(true, 32.0);
        assert!(loupe.is_shown());
        loupe.key(false, 32.1);
        assert!(!loupe.is_shown(), "it stayed after a held key was let go of");
    }

    #[test]
    fn it_shows_the_film_itself_where_two_to_four_times_reach_it() {
        let loupe = Loupe::default();
        assert_eq!(loupe.power(0.25), 4.0, "3,000 rows on 750: each pixel is seen");
        assert_eq!(loupe.power(0.4), 2.5);
        assert_eq!((loupe.power(0.1), loupe.power(1.0)), (4.0, 2.0));
        let mut turned = Loupe::default();
        turned.turn(100.0, 0.25);
        assert_eq!(turned.power(0.25), Loupe::MOST);
        turned.turn(1e-3, 0.25);
        assert_eq!(turned.power(0.25), 2.0);
    }
}
