//! Shows one film: window, zoom, pan, the texts in its corners.

use std::collections::BTreeMap;

use egui::{
    Align2, Color32, Context, Key, PointerButton, Pos2, Rect, Response, Sense, TextureHandle, Ui,
    Vec2, pos2, vec2,
};

use super::film_loader::LoadedFilm;
use super::theme;
use crate::imaging::{self, Film, Window};

/// How large the film is shown and what lies in the middle.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Zoom {
    /// As large as fits.
    Fit,
    /// Screen pixels a film pixel, and the point of the film in the middle of the view, in film pixels.
    At { scale: f32, middle: Pos2 },
}

/// What a texture shows; as long as it stays equal, nothing is drawn anew.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shown {
    level: usize,
    /// Left, top, width and height on that level, in its pixels.
    part: [usize; 4],
    window: Window,
    invert: bool,
    /// Whether a pixel is shown as a square.
    squares: bool,
}

struct Painted {
    shown: Shown,
    texture: TextureHandle,
}

/// The viewer of films.
pub struct FilmView {
    row: Option<usize>,
    window: Option<Window>,
    zoom: Zoom,
    invert: bool,
    /// Size of the view in screen pixels when it was last drawn.
    viewport: Vec2,
    textures: BTreeMap<usize, Painted>,
    flash: Option<(Color32, f64)>,
    grey: Vec<u8>,
}

/// What stands in the corners beside window and zoom.
pub struct Corners<'a> {
    /// Upper left, such as "35 of 600".
    pub place: &'a str,
}

impl Default for FilmView {
    fn default() -> Self {
        Self {
            row: None,
            window: None,
            zoom: Zoom::Fit,
            invert: false,
            viewport: theme::WINDOW,
            textures: BTreeMap::new(),
            flash: None,
            grey: Vec::new(),
        }
    }
}

impl FilmView {
    /// Pixels of a level up to which it is drawn whole; of larger ones the visible part is.
    const WHOLE: usize = 1_500_000;
    /// Visible parts grow to multiples of this, so that a small move needs no new texture.
    const BLOCK: usize = 256;
    /// Screen pixels a film pixel from which its pixels are shown as squares.
    const SQUARES: f32 = 4.0;
    /// Largest scale.
    const CLOSEST: f32 = 32.0;
    /// Share of a film's range that a drag of one point moves the window by.
    const DRAG: f32 = 1.0 / 1024.0;

    /// Shows another film: automatic window, fitted; black and white stay swapped if they were.
    pub fn show_film(&mut self, row: usize) {
        if self.row != Some(row) {
            (self.row, self.window, self.zoom) = (Some(row), None, Zoom::Fit);
        }
    }

    /// Swaps black and white.
    pub fn toggle_invert(&mut self) {
        self.invert = !self.invert;
    }

    /// Goes back to the automatic window, fitted and not inverted.
    pub fn reset(&mut self) {
        (self.window, self.zoom, self.invert) = (None, Zoom::Fit, false);
    }

    /// Fits the film to the view.
    pub fn fit(&mut self) {
        self.zoom = Zoom::Fit;
    }

    /// Shows one film pixel as one screen pixel, about the middle of the film.
    pub fn one_to_one(&mut self, film: &LoadedFilm) {
        let middle = self.place(film).1;
        self.zoom = Zoom::At { scale: 1.0, middle };
    }

    /// Returns window centre and width, screen pixels a film pixel, and whether the film is inverted.
    pub fn display(&self, film: &LoadedFilm) -> (Window, f32, bool) {
        (self.window.unwrap_or(film.auto), self.place(film).0, self.invert)
    }

    /// Flashes the frame in a class's colour.
    pub fn flash(&mut self, colour: Color32, now: f64) {
        self.flash = Some((colour, now));
    }

    /// Returns whether the film's texture is uploaded.
    pub fn is_prepared(&self, row: usize) -> bool {
        self.textures.contains_key(&row)
    }

    /// Uploads the fitted texture of a film that comes soon; returns whether there was anything to do.
    pub fn prepare(&mut self, ctx: &Context, row: usize, film: &LoadedFilm) -> bool {
        let new = !self.is_prepared(row);
        if new {
            let scale = fit_scale(self.viewport, film);
            let shown = self.shown(ctx, film, film.auto, scale, centre(film));
            self.paint_texture(ctx, row, film, shown);
        }
        new
    }

    /// Forgets the textures of all films but these.
    pub fn keep(&mut self, rows: &[usize]) {
        self.textures.retain(|row, _| rows.contains(row));
    }

    /// Draws the film and answers the mouse; `film` is `None` while it is being decoded.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        film: Option<&LoadedFilm>,
        corners: &Corners<'_>,
    ) -> Response {
        let rect = ui.available_rect_before_wrap();
        let response = ui.allocate_rect(rect, Sense::click_and_drag());
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, 0.0, theme::FILM);
        self.viewport = rect.size() * ui.ctx().pixels_per_point();
        let mut texts = vec![corners.place.to_owned()];
        if let (Some(film), Some(row)) = (film, self.row) {
            self.mouse(ui, &response, film);
            self.paint_film(ui, row, film, rect);
            texts.extend(self.corner_texts(film));
        }
        for (text, (corner, inward)) in texts.iter().zip([
            (Align2::LEFT_TOP, vec2(1.0, 1.0)),
            (Align2::LEFT_BOTTOM, vec2(1.0, -1.0)),
            (Align2::RIGHT_BOTTOM, vec2(-1.0, -1.0)),
        ]) {
            let place = corner.pos_in_rect(&rect) + inward * theme::SPACE[1];
            // A dark twin keeps the text legible where the film is bright.
            painter.text(
                place + Vec2::splat(1.0),
                corner,
                text,
                theme::caption_font(),
                theme::FILM,
            );
            painter.text(place, corner, text, theme::caption_font(), theme::SECONDARY);
        }
        self.paint_flash(ui, rect);
        let label = format!("Film {}", texts.join(" · "));
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &label));
        response
    }

    fn corner_texts(&self, film: &LoadedFilm) -> [String; 2] {
        let (window, scale, invert) = self.display(film);
        let auto = if self.window.is_none() { " · auto" } else { "" };
        let inverted = if invert { " · inverted" } else { "" };
        [
            format!("C {:.0} W {:.0}{auto}", window.centre, window.width),
            format!("{:.0} %{inverted}", 100.0 * scale),
        ]
    }

    /// Returns the scale and the film point in the middle of the view.
    fn place(&self, film: &LoadedFilm) -> (f32, Pos2) {
        match self.zoom {
            Zoom::Fit => (fit_scale(self.viewport, film), centre(film)),
            Zoom::At { scale, middle } => (scale, middle),
        }
    }

    fn mouse(&mut self, ui: &Ui, response: &Response, film: &LoadedFilm) {
        let (control, shift, space, wheel, pinch) = ui.input(|i| {
            (
                i.modifiers.ctrl,
                i.modifiers.shift,
                i.key_down(Key::Space),
                i.smooth_scroll_delta.y,
                i.zoom_delta(),
            )
        });
        let ppp = ui.ctx().pixels_per_point();
        let drag = response.drag_delta();
        let left = response.dragged_by(PointerButton::Primary);
        if response.double_clicked() {
            self.zoom = Zoom::Fit;
        } else if response.dragged_by(PointerButton::Middle) || (left && (shift || space)) {
            let (scale, middle) = self.place(film);
            self.zoom = Zoom::At { scale, middle: middle - drag * ppp / scale };
        } else if left && drag != Vec2::ZERO {
            let window = self.window.unwrap_or(film.auto);
            let step = film.full.width * Self::DRAG * if control { 0.1 } else { 1.0 };
            self.window = Some(dragged(window, film.full, drag * step));
        } else if response.dragged_by(PointerButton::Secondary) {
            let origin = ui.input(|i| i.pointer.press_origin()).unwrap_or(response.rect.center());
            self.zoom_about(
                film,
                (-drag.y / 128.0).exp2(),
                (origin - response.rect.center()) * ppp,
            );
        }
        if let Some(pointer) = response.hover_pos()
            && (wheel != 0.0 || pinch != 1.0)
        {
            let factor = pinch * (wheel / 200.0).exp2();
            self.zoom_about(film, factor, (pointer - response.rect.center()) * ppp);
        }
    }

    /// Zooms so that the film point at `offset` screen pixels from the middle of the view stays where it is.
    fn zoom_about(&mut self, film: &LoadedFilm, factor: f32, offset: Vec2) {
        let (scale, middle) = self.place(film);
        let least = fit_scale(self.viewport, film).min(1.0) / 4.0;
        let new = (scale * factor).clamp(least, Self::CLOSEST);
        self.zoom = Zoom::At { scale: new, middle: middle + offset / scale - offset / new };
    }

    /// Works out which part of which level has to be drawn for a scale and a middle.
    fn shown(
        &self,
        ctx: &Context,
        film: &LoadedFilm,
        window: Window,
        scale: f32,
        middle: Pos2,
    ) -> Shown {
        let most = ctx.input(|i| i.max_texture_side);
        // The smallest level that still has a pixel for every pixel of the screen.
        let level =
            (1..film.levels.len()).rev().find(|&l| scale * (1 << l) as f32 <= 1.0).unwrap_or(0);
        let (width, height) =
            (film.levels[level].width as usize, film.levels[level].height as usize);
        let whole = [0, 0, width, height];
        let part = if width * height <= Self::WHOLE && width.max(height) <= most {
            whole
        } else {
            let factor = (1 << level) as f32;
            let half = self.viewport / scale / 2.0;
            let span = |middle: f32, half: f32, size: usize| {
                let low = ((middle - half) / factor).max(0.0) as usize / Self::BLOCK * Self::BLOCK;
                let high = (((middle + half) / factor).max(0.0) as usize + 1)
                    .next_multiple_of(Self::BLOCK)
                    .min(size);
                let low = low.min(size - 1);
                (low, high.saturating_sub(low).clamp(1, most))
            };
            let ((x, w), (y, h)) = (span(middle.x, half.x, width), span(middle.y, half.y, height));
            [x, y, w, h]
        };
        // At fit a small film is smoothed, however large its pixels are: squares are for who looks for them.
        let squares = self.zoom != Zoom::Fit
            && scale >= Self::SQUARES.max(2.0 * fit_scale(self.viewport, film));
        Shown { level, part, window, invert: self.invert, squares }
    }

    fn paint_texture(&mut self, ctx: &Context, row: usize, film: &LoadedFilm, shown: Shown) {
        if self.textures.get(&row).is_some_and(|painted| painted.shown == shown) {
            return;
        }
        let level = &film.levels[shown.level];
        let [_, _, width, height] = shown.part;
        let cut;
        let part = if (width, height) == (level.width as usize, level.height as usize) {
            level
        } else {
            cut = crop(level, shown.part);
            &cut
        };
        imaging::render(part, shown.window, shown.invert, &mut self.grey);
        let image = egui::ColorImage::from_gray([width, height], &self.grey);
        let options = if shown.squares {
            egui::TextureOptions::NEAREST
        } else {
            egui::TextureOptions::LINEAR
        };
        if let Some(painted) = self.textures.get_mut(&row) {
            painted.shown = shown;
            painted.texture.set(image, options);
        } else {
            let texture = ctx.load_texture(format!("film {row}"), image, options);
            self.textures.insert(row, Painted { shown, texture });
        }
    }

    fn paint_film(&mut self, ui: &Ui, row: usize, film: &LoadedFilm, rect: Rect) {
        let ctx = ui.ctx();
        let (scale, middle) = self.place(film);
        let window = self.window.unwrap_or(film.auto);
        let shown = self.shown(ctx, film, window, scale, middle);
        self.paint_texture(ctx, row, film, shown);
        let Some(painted) = self.textures.get(&row) else { return };
        let factor = (1 << shown.level) as f32;
        let [x, y, width, height] = shown.part.map(|pixels| pixels as f32 * factor);
        let ppp = ctx.pixels_per_point();
        let on_screen = |film: Pos2| rect.center() + (film - middle) * scale / ppp;
        // The last column of a halved odd film reaches half a pixel beyond it: no one can see that.
        let place =
            Rect::from_min_max(on_screen(pos2(x, y)), on_screen(pos2(x + width, y + height)));
        let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter_at(rect).image(painted.texture.id(), place, uv, Color32::WHITE);
    }

    fn paint_flash(&mut self, ui: &Ui, rect: Rect) {
        let Some((colour, since)) = self.flash else { return };
        let left = theme::FADE.as_secs_f64() - (ui.input(|i| i.time) - since);
        if left <= 0.0 {
            self.flash = None;
            return;
        }
        let stroke = egui::Stroke::new(theme::FLASH_WIDTH, colour);
        ui.painter_at(rect).rect_stroke(rect, 0.0, stroke, egui::StrokeKind::Inside);
        ui.ctx().request_repaint_after_secs(left as f32);
    }
}

fn centre(film: &LoadedFilm) -> Pos2 {
    let [width, height] = film.size();
    pos2(width as f32 / 2.0, height as f32 / 2.0)
}

/// Returns the screen pixels a film pixel at which the whole film fits.
fn fit_scale(viewport: Vec2, film: &LoadedFilm) -> f32 {
    let [width, height] = film.size();
    (viewport.x / width as f32).min(viewport.y / height as f32).max(f32::MIN_POSITIVE)
}

/// Moves a window: right widens it, down raises its centre and so darkens the film, as in OHIF.
fn dragged(window: Window, full: Window, by: Vec2) -> Window {
    let width = (window.width + by.x).clamp(1.0, (4.0 * full.width).max(1.0));
    let reach = full.width;
    let centre = (window.centre + by.y).clamp(full.centre - reach, full.centre + reach);
    Window { centre, width }
}

fn crop(film: &Film, [x, y, width, height]: [usize; 4]) -> Film {
    let rows = film.values.chunks_exact(film.width as usize).skip(y).take(height);
    let values = rows.flat_map(|row| &row[x..x + width]).copied().collect();
    Film {
        width: width as u32,
        height: height as u32,
        bits: film.bits,
        values,
        about: film.about.clone(),
    }
}

#[cfg(test)]
mod tests;
