//! Shows one film: window, zoom, turns, tools on it, the texts in its corners.

mod display;
mod geometry;
mod loupe;
mod mouse;
mod overlay;
mod texture;
pub mod tone;
pub mod tools;

use egui::{Color32, Context, Key, Pos2, Rect, Response, Sense, Ui, Vec2};

pub use self::display::Displayed;
pub use self::geometry::Orientation;
pub use self::overlay::text as overlay_text;
pub use self::tone::{Preset, Tone};
pub use self::tools::{Ruler, Tool};

use self::display::{Display, Measure, Zoom};
use self::geometry::Projection;
use self::loupe::Loupe;
use self::mouse::Drag;
use self::texture::Textures;
use super::command::UiCommand;
use super::film_loader::LoadedFilm;
use super::theme;
use crate::config::{DragDown, NextFilm, Settings, Wheel};

/// What the reader has set of the viewer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// What the wheel does.
    pub wheel: Wheel,
    /// What a drag downwards does.
    pub drag_down: DragDown,
    /// How the next film opens.
    pub next_film: NextFilm,
    /// Whether Space held with a left drag moves the film.
    pub space_moves: bool,
    /// Keys that show the magnifier as long as they are held.
    pub magnifier: Vec<Key>,
}

impl Habits {
    /// Takes from the settings and the keymap what concerns the viewer.
    pub fn new(settings: &Settings, keymap: &super::keymap::Keymap) -> Self {
        Self {
            wheel: settings.wheel,
            drag_down: settings.drag_down,
            next_film: settings.next_film,
            space_moves: keymap.space_moves(),
            magnifier: keymap.keys(UiCommand::Magnifier).iter().map(|keys| keys.key).collect(),
        }
    }
}

/// The viewer of films.
pub struct FilmView {
    /// What the reader has set.
    pub habits: Habits,
    row: Option<usize>,
    /// Whether the display is that of the film in the row, and not yet that of the film before.
    opened: bool,
    display: Display,
    /// Of the film that the display was made for.
    measure: Option<Measure>,
    tool: Tool,
    rulers: Vec<Ruler>,
    /// Where a ruler that is made by clicks begins.
    begun: Option<Pos2>,
    drag: Option<Drag>,
    loupe: Loupe,
    texts_hidden: bool,
    /// Points that the wheel has turned towards the next film.
    turned: f32,
    /// Size of the view in screen pixels when it was last drawn.
    viewport: Vec2,
    textures: Textures,
    flash: Option<(Color32, f64)>,
}

/// What stands in the corners beside window and zoom.
pub struct Corners<'a> {
    /// Upper left, such as "35 of 600".
    pub place: &'a str,
}

impl Default for FilmView {
    fn default() -> Self {
        Self {
            habits: Habits::default(),
            row: None,
            opened: false,
            display: Display::default(),
            measure: None,
            tool: Tool::Window,
            rulers: Vec::new(),
            begun: None,
            drag: None,
            loupe: Loupe::default(),
            texts_hidden: false,
            turned: 0.0,
            viewport: theme::WINDOW,
            textures: Textures::default(),
            flash: None,
        }
    }
}

impl FilmView {
    /// Factor of one step of zoom.
    const STEP: f32 = std::f32::consts::SQRT_2;

    /// Shows another film, displayed as the reader has set: by itself or as the film before. A film is never turned or
    /// mirrored when it opens, and has no rulers.
    pub fn show_film(&mut self, row: usize) {
        if self.row != Some(row) {
            (self.row, self.opened, self.drag, self.begun) = (Some(row), false, None, None);
            self.tool = Tool::Window;
            self.rulers.clear();
        }
    }

    /// Executes a command if it is about how the film is shown; `now` is the time in seconds.
    pub fn execute(&mut self, command: UiCommand, film: Option<&LoadedFilm>, now: f64) {
        if let Some(film) = film {
            self.open(film);
        }
        let turned = self.display.orientation;
        match command {
            UiCommand::Preset(preset) => self.display.tone = Tone::Preset(preset),
            UiCommand::ResetWindow => self.display.tone = Tone::Preset(Preset::Default),
            UiCommand::ToggleInvert => self.display.invert = !self.display.invert,
            UiCommand::RotateRight => self.display.orientation = turned.rotated(1),
            UiCommand::RotateLeft => self.display.orientation = turned.rotated(-1),
            UiCommand::FlipAcross => self.display.orientation = turned.flipped_across(),
            UiCommand::FlipDown => self.display.orientation = turned.flipped_down(),
            UiCommand::FitView => self.display.zoom = Zoom::Fit,
            UiCommand::ResetView => self.reset(),
            UiCommand::OneToOne | UiCommand::ZoomIn | UiCommand::ZoomOut => {
                let Some(film) = film else { return };
                match command {
                    UiCommand::ZoomIn => self.zoom_about(film, Self::STEP, Vec2::ZERO),
                    UiCommand::ZoomOut => self.zoom_about(film, Self::STEP.recip(), Vec2::ZERO),
                    _ => {
                        let middle = self.display.place(self.viewport, film).1;
                        self.display.zoom = Zoom::At { scale: 1.0, middle };
                    }
                }
            }
            UiCommand::Tool(tool) => {
                self.tool = if self.tool == tool { Tool::Window } else { tool };
                self.begun = None;
            }
            UiCommand::Magnifier => self.loupe.toggle(now),
            UiCommand::Overlay => self.texts_hidden = !self.texts_hidden,
            UiCommand::Clear => self.clear(),
            _ => {}
        }
    }

    /// Shows the film as at first.
    fn reset(&mut self) {
        self.display = Display::default();
        self.rulers.clear();
        (self.tool, self.begun) = (Tool::Window, None);
        self.loupe.hide();
    }

    /// Ends or removes what was done last: a ruler, then the tool, then the magnifier.
    fn clear(&mut self) {
        if self.begun.take().is_some() || self.rulers.pop().is_some() {
            return;
        }
        if self.tool == Tool::Window {
            self.loupe.hide();
        }
        self.tool = Tool::Window;
    }

    /// Returns how a film is displayed. One seen through a table of its file's has the window that
    /// shows mid-greys alike.
    pub fn displayed(&self, film: &LoadedFilm) -> Displayed {
        let display = self.display_of(film);
        Displayed {
            window: display.tone.view(film).equivalent(),
            zoom: display.place(self.viewport, film).0,
            inverted: display.invert,
            orientation: display.orientation,
        }
    }

    /// Returns what the left button does.
    pub const fn tool(&self) -> Tool {
        self.tool
    }

    /// Returns the lines measured on the film.
    #[cfg(test)]
    pub fn rulers(&self) -> &[Ruler] {
        &self.rulers
    }

    /// Flashes the frame in a class's colour.
    pub fn flash(&mut self, colour: Color32, now: f64) {
        self.flash = Some((colour, now));
    }

    /// Returns whether the film's texture is uploaded.
    pub fn is_prepared(&self, row: usize) -> bool {
        self.textures.contains(row)
    }

    /// Uploads the texture of a film that comes soon, as it will open; returns whether there was anything to do.
    pub fn prepare(&mut self, ctx: &Context, row: usize, film: &LoadedFilm) -> bool {
        let here = self.textures.contains(row);
        // What follows a drag is not worth keeping up with it.
        if here && (Some(row) == self.row || ctx.input(|i| i.pointer.any_down())) {
            return false;
        }
        let display =
            if Some(row) == self.row { self.display_of(film) } else { self.opening(film) };
        let shown = display.shown(ctx, self.viewport, film);
        self.textures.paint(ctx, row, film, shown)
    }

    /// Forgets the textures of all films but these.
    pub fn keep(&mut self, rows: &[usize]) {
        self.textures.keep(rows);
    }

    /// Draws the film and answers the mouse; `film` is `None` while it is being decoded.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        film: Option<&LoadedFilm>,
        corners: &Corners<'_>,
        commands: &mut Vec<UiCommand>,
    ) -> Response {
        let rect = ui.available_rect_before_wrap();
        let response = ui.allocate_rect(rect, Sense::click_and_drag());
        ui.painter_at(rect).rect_filled(rect, 0.0, theme::FILM);
        self.viewport = rect.size() * ui.ctx().pixels_per_point();
        let mut said = vec![corners.place.to_owned()];
        if let (Some(film), Some(row)) = (film, self.row) {
            self.open(film);
            self.mouse(ui, &response, film, commands);
            self.paint_film(ui, row, film, rect);
            self.paint_tools(ui, &response, film);
            said = self.paint_texts(ui, &response, film, corners);
            self.paint_loupe(ui, &response, film);
        } else {
            overlay::paint_place(ui, rect, corners);
        }
        self.paint_flash(ui, rect);
        let label = format!("Film {}", said.join(" · "));
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &label));
        response
    }

    /// Makes the display that of the film, once it is decoded.
    fn open(&mut self, film: &LoadedFilm) {
        if !self.opened {
            (self.display, self.opened) = (self.opening(film), true);
        }
        self.measure = Some(Measure::new(self.viewport, film));
    }

    fn display_of(&self, film: &LoadedFilm) -> Display {
        if self.opened { self.display } else { self.opening(film) }
    }

    /// Returns how a film opens after the one that is displayed.
    fn opening(&self, film: &LoadedFilm) -> Display {
        match (self.habits.next_film, self.measure) {
            (NextFilm::Sticky, Some(before)) => {
                self.display.carried(before, Measure::new(self.viewport, film))
            }
            // Black and white stay swapped: who reads inverted reads all films inverted.
            _ => Display { invert: self.display.invert, ..Display::default() },
        }
    }

    /// Zooms so that the film point at `offset` screen pixels from the middle of the view stays where it is.
    fn zoom_about(&mut self, film: &LoadedFilm, factor: f32, offset: Vec2) {
        self.display.zoom_about(self.viewport, film, factor, offset);
    }

    fn projection(&self, ctx: &Context, film: &LoadedFilm, rect: Rect) -> Projection {
        let (scale, middle) = self.display.place(self.viewport, film);
        Projection {
            centre: rect.center(),
            middle,
            scale: scale / ctx.pixels_per_point(),
            orientation: self.display.orientation,
        }
    }

    fn paint_film(&mut self, ui: &Ui, row: usize, film: &LoadedFilm, rect: Rect) {
        let shown = self.display.shown(ui.ctx(), self.viewport, film);
        self.textures.paint(ui.ctx(), row, film, shown);
        let projection = self.projection(ui.ctx(), film, rect);
        self.textures.draw(&ui.painter_at(rect), row, &projection);
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

#[cfg(test)]
mod tests;
