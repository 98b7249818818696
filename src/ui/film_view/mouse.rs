//! What the mouse does to a film.

use egui::{Key, PointerButton, Pos2, Rect, Response, Ui, Vec2};

use super::display::{Zoom, size};
use super::{FilmView, Ruler, Tone, Tool};
use crate::config::{DragDown, Wheel};
use crate::imaging::Window;
use crate::ui::command::UiCommand;
use crate::ui::film_loader::LoadedFilm;

/// What a drag does, decided when it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drag {
    /// Changes the window.
    Window,
    /// Moves the film.
    Move,
    /// Zooms about this point of the screen.
    Zoom(Pos2),
    /// Measures from this film point.
    Ruler(Pos2),
    /// Spans a rectangle from this film point.
    Region(Pos2),
}

impl FilmView {
    /// Share of a film's range that a drag of one point moves the window by.
    const DRAG: f32 = 1.0 / 1024.0;
    /// How much coarser it is with Shift and finer with Ctrl.
    const COARSER: f32 = 10.0;
    /// Points by which the wheel turns in one notch.
    const NOTCH: f32 = 40.0;
    /// Film pixels below which a rectangle is none.
    const SMALLEST: f32 = 2.0;

    pub(super) fn mouse(
        &mut self,
        ui: &Ui,
        response: &Response,
        film: &LoadedFilm,
        commands: &mut Vec<UiCommand>,
    ) {
        self.wheel(ui, response, film, commands);
        self.clicks(ui, response, film);
        if response.drag_started() {
            self.drag = self.begin(ui, response, film);
        }
        let Some(drag) = self.drag else { return };
        let pointer = response.interact_pointer_pos();
        let film_point =
            pointer.map(|pointer| self.projection(ui.ctx(), film, response.rect).to_film(pointer));
        let delta = response.drag_delta();
        match drag {
            Drag::Window if delta != Vec2::ZERO => {
                let modifiers = ui.input(|i| i.modifiers);
                let finer = if modifiers.ctrl { Self::COARSER.recip() } else { 1.0 };
                let coarser = if modifiers.shift { Self::COARSER } else { 1.0 };
                self.change_window(film, delta * finer * coarser);
            }
            Drag::Move => {
                self.display.move_by(self.viewport, film, delta * ui.ctx().pixels_per_point());
            }
            Drag::Zoom(origin) => {
                let offset = (origin - response.rect.center()) * ui.ctx().pixels_per_point();
                self.zoom_about(film, (-delta.y / 128.0).exp2(), offset);
            }
            Drag::Window | Drag::Ruler(_) | Drag::Region(_) => {}
        }
        if response.drag_stopped() {
            self.drag = None;
            match (drag, film_point) {
                (Drag::Ruler(from), Some(to)) => self.rulers.push(Ruler { from, to }),
                (Drag::Region(from), Some(to)) => self.window_from(film, from, to),
                _ => {}
            }
        }
    }

    /// Returns what a drag does that begins now.
    fn begin(&self, ui: &Ui, response: &Response, film: &LoadedFilm) -> Option<Drag> {
        let (modifiers, space) = ui.input(|i| (i.modifiers, i.key_down(Key::Space)));
        let origin = ui.input(|i| i.pointer.press_origin())?;
        let point = self.projection(ui.ctx(), film, response.rect).to_film(origin);
        let space = space && self.habits.space_moves;
        if response.drag_started_by(PointerButton::Middle) {
            Some(Drag::Move)
        } else if response.drag_started_by(PointerButton::Secondary) {
            Some(Drag::Zoom(origin))
        } else if !response.drag_started_by(PointerButton::Primary) {
            None
        } else if modifiers.ctrl && modifiers.shift {
            Some(Drag::Region(point))
        } else {
            Some(match self.tool {
                Tool::Window if space => Drag::Move,
                Tool::Window => Drag::Window,
                Tool::Move => Drag::Move,
                Tool::Zoom => Drag::Zoom(origin),
                // From a first click on, a drag is a second one that slipped.
                Tool::Ruler if self.begun.is_some() => return None,
                Tool::Ruler => Drag::Ruler(point),
                Tool::Region => Drag::Region(point),
            })
        }
    }

    fn clicks(&mut self, ui: &Ui, response: &Response, film: &LoadedFilm) {
        if self.tool == Tool::Ruler {
            let place = response.interact_pointer_pos().filter(|_| response.clicked());
            if let Some(place) = place {
                let point = self.projection(ui.ctx(), film, response.rect).to_film(place);
                match self.begun.take() {
                    Some(from) => self.rulers.push(Ruler { from, to: point }),
                    None => self.begun = Some(point),
                }
            }
        } else if response.double_clicked() {
            self.display.zoom = Zoom::Fit;
        }
    }

    fn wheel(
        &mut self,
        ui: &Ui,
        response: &Response,
        film: &LoadedFilm,
        commands: &mut Vec<UiCommand>,
    ) {
        let Some(pointer) = response.hover_pos() else { return };
        let (wheel, pinch) = ui.input(|i| (i.smooth_scroll_delta.y, i.zoom_delta()));
        let ppp = ui.ctx().pixels_per_point();
        let offset = (pointer - response.rect.center()) * ppp;
        if pinch != 1.0 {
            self.zoom_about(film, pinch, offset);
        }
        if wheel == 0.0 {
            return;
        }
        let factor = (wheel / 200.0).exp2();
        if self.loupe.is_shown() {
            let scale = self.display.place(self.viewport, film).0;
            self.loupe.turn(factor, scale);
            return;
        }
        match self.habits.wheel {
            Wheel::Zoom => self.zoom_about(film, factor, offset),
            Wheel::Width => {
                let window = self.display.tone.view(film).equivalent();
                let width = window.width * factor.recip();
                self.display.tone = Tone::Hand(limited(Window { width, ..window }, film.full));
            }
            Wheel::Films => {
                self.turned -= wheel;
                if self.turned.abs() >= Self::NOTCH {
                    let next = self.turned > 0.0;
                    commands.push(if next { UiCommand::NextFilm } else { UiCommand::PreviousFilm });
                    self.turned = 0.0;
                }
            }
        }
    }

    /// Changes the window by a drag of so many points: right is wider, down is darker or brighter as the reader has set,
    /// whichever values are bright.
    pub(super) fn change_window(&mut self, film: &LoadedFilm, points: Vec2) {
        let window = self.display.tone.view(film).equivalent();
        let step = film.auto.width.max(1.0) * Self::DRAG;
        let darker = if self.habits.drag_down == DragDown::Darker { 1.0 } else { -1.0 };
        let bright_is_high = film.about().inverted == self.display.invert;
        let raised = if bright_is_high { darker } else { -darker };
        let width = window.width + points.x * step;
        let centre = window.centre + points.y * step * raised;
        self.display.tone = Tone::Hand(limited(Window { centre, width }, film.full));
    }

    /// Takes the window from the percentiles of a rectangle between two film points.
    fn window_from(&mut self, film: &LoadedFilm, one: Pos2, other: Pos2) {
        let whole = Rect::from_min_size(Pos2::ZERO, size(film));
        let rect = Rect::from_two_pos(one, other).intersect(whole);
        self.tool = Tool::Window;
        if rect.width() >= Self::SMALLEST && rect.height() >= Self::SMALLEST {
            self.display.tone = Tone::Region(percentiles(film, rect));
        }
    }
}

/// Returns the percentile window of a part of a film, given in its pixels and inside it.
fn percentiles(film: &LoadedFilm, rect: Rect) -> Window {
    /// Pixels that suffice: the smaller copies hold the same values, averaged.
    const ENOUGH: f32 = 500_000.0;
    let last = film.levels.len() - 1;
    let level = (0..last).find(|&l| rect.area() / (1 << (2 * l)) as f32 <= ENOUGH).unwrap_or(last);
    let copy = &film.levels[level];
    let factor = (1 << level) as f32;
    let span = |low: f32, high: f32, size: u32| {
        let low = ((low / factor) as usize).min(size as usize - 1);
        (low, (((high / factor).ceil() as usize).min(size as usize)).saturating_sub(low).max(1))
    };
    let (x, width) = span(rect.min.x, rect.max.x, copy.width);
    let (y, height) = span(rect.min.y, rect.max.y, copy.height);
    Window::percentile_within(copy, [x, y, width, height])
}

/// Keeps a window within reach of a film's values, so that no drag loses the film for good.
fn limited(window: Window, full: Window) -> Window {
    Window {
        width: window.width.clamp(1.0, (4.0 * full.width).max(1.0)),
        centre: window.centre.clamp(full.centre - full.width, full.centre + full.width),
    }
}
