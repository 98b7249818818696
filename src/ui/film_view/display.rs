//! How a film is displayed, and what of it has to be drawn for that.

use egui::{Context, Pos2, Vec2, pos2, vec2};

use super::geometry::Orientation;
use super::tone::{Preset, Tone};
use crate::imaging::{View, Window};
use crate::ui::film_loader::LoadedFilm;

/// How large the film is shown and what lies in the middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Zoom {
    /// As large as fits.
    Fit,
    /// Screen pixels a film pixel, and the point of the film in the middle of the view, in film pixels.
    At { scale: f32, middle: Pos2 },
}

/// How a film is displayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Display {
    pub tone: Tone,
    pub invert: bool,
    pub zoom: Zoom,
    pub orientation: Orientation,
}

impl Default for Display {
    fn default() -> Self {
        Self {
            tone: Tone::Preset(Preset::Default),
            invert: false,
            zoom: Zoom::Fit,
            orientation: Orientation::default(),
        }
    }
}

/// How a film was displayed, as the session's log has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Displayed {
    /// The grey window, in values of the film.
    pub window: Window,
    /// Screen pixels a film pixel.
    pub zoom: f32,
    /// Whether black and white were swapped.
    pub inverted: bool,
    /// How it was turned.
    pub orientation: Orientation,
}

/// What has to be known of a film to display the next one alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    auto: Window,
    size: Vec2,
    fit: f32,
}

impl Measure {
    /// Takes the measure of a film in a view, neither turned nor mirrored.
    pub fn new(viewport: Vec2, film: &LoadedFilm) -> Self {
        let fit = fit_scale(viewport, film, Orientation::default());
        Self { auto: film.auto, size: size(film), fit }
    }
}

/// What a texture shows; as long as it stays equal, nothing is drawn anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Which of the film's copies.
    pub level: usize,
    /// Left, top, width and height on that level, in its pixels.
    pub part: [usize; 4],
    pub view: View,
    pub invert: bool,
    /// Whether a pixel is shown as a square.
    pub squares: bool,
}

impl Display {
    /// Largest scale, in screen pixels a film pixel.
    pub const CLOSEST: f32 = 32.0;
    /// Screen pixels a film pixel from which its pixels are shown as squares.
    pub const SQUARES: f32 = 4.0;

    /// Returns screen pixels a film pixel, and the film point in the middle of the view, of `viewport` screen pixels.
    pub fn place(&self, viewport: Vec2, film: &LoadedFilm) -> (f32, Pos2) {
        match self.zoom {
            Zoom::Fit => (fit_scale(viewport, film, self.orientation), centre(film)),
            Zoom::At { scale, middle } => (scale, middle),
        }
    }

    /// Zooms so that the film point at `offset` screen pixels from the middle of the view stays where it is.
    pub fn zoom_about(&mut self, viewport: Vec2, film: &LoadedFilm, factor: f32, offset: Vec2) {
        let (scale, middle) = self.place(viewport, film);
        let least = fit_scale(viewport, film, self.orientation).min(1.0) / 4.0;
        let new = (scale * factor).clamp(least, Self::CLOSEST);
        let offset = self.orientation.undo(offset);
        self.zoom = Zoom::At { scale: new, middle: middle + offset / scale - offset / new };
    }

    /// Moves the film by so many screen pixels.
    pub fn move_by(&mut self, viewport: Vec2, film: &LoadedFilm, by: Vec2) {
        let (scale, middle) = self.place(viewport, film);
        self.zoom = Zoom::At { scale, middle: middle - self.orientation.undo(by) / scale };
    }

    /// Returns the display of a film that follows: window, zoom and swapped black and white as they are, not the turns,
    /// because a film that lies wrong must say so itself.
    pub fn carried(&self, before: Measure, after: Measure) -> Self {
        let zoom = match self.zoom {
            Zoom::Fit => Zoom::Fit,
            Zoom::At { scale, middle } => {
                let share = middle.to_vec2() / before.size;
                let scale = (scale / before.fit * after.fit).min(Self::CLOSEST);
                Zoom::At { scale, middle: (share * after.size).to_pos2() }
            }
        };
        let tone = self.tone.carried(before.auto, after.auto);
        Self { tone, invert: self.invert, zoom, orientation: Orientation::default() }
    }

    /// Works out what has to be drawn.
    pub fn shown(&self, ctx: &Context, viewport: Vec2, film: &LoadedFilm) -> Shown {
        let (scale, middle) = self.place(viewport, film);
        // At fit a small film is smoothed, however large its pixels are: squares are for who looks for them.
        let fit = fit_scale(viewport, film, self.orientation);
        let squares = self.zoom != Zoom::Fit && scale >= Self::SQUARES.max(2.0 * fit);
        let most = ctx.input(|i| i.max_texture_side);
        let (level, part) = visible(film, scale, middle, self.orientation.extent(viewport), most);
        Shown { level, part, view: self.tone.view(film), invert: self.invert, squares }
    }
}

/// Returns the level to draw at a scale and the part of it that covers `extent` screen pixels about a middle, both along
/// the film's own axes; no side of the part exceeds `most`.
pub fn visible(
    film: &LoadedFilm,
    scale: f32,
    middle: Pos2,
    extent: Vec2,
    most: usize,
) -> (usize, [usize; 4]) {
    /// Pixels of a level up to which it is drawn whole; of larger ones the visible part is.
    const WHOLE: usize = 1_500_000;
    /// Visible parts grow to multiples of this, so that a small move needs no new texture.
    const BLOCK: usize = 256;
    // The smallest level that still has a pixel for every pixel of the screen.
    let level = (1..film.levels.len()).rev().find(|&l| scale * (1 << l) as f32 <= 1.0).unwrap_or(0);
    let (width, height) = (film.levels[level].width as usize, film.levels[level].height as usize);
    if width * height <= WHOLE && width.max(height) <= most {
        return (level, [0, 0, width, height]);
    }
    let factor = (1 << level) as f32;
    let half = extent / scale / 2.0;
    let span = |middle: f32, half: f32, size: usize| {
        let low = ((middle - half) / factor).max(0.0) as usize / BLOCK * BLOCK;
        let high =
            (((middle + half) / factor).max(0.0) as usize + 1).next_multiple_of(BLOCK).min(size);
        let low = low.min(size - 1);
        (low, high.saturating_sub(low).clamp(1, most))
    };
    let ((x, w), (y, h)) = (span(middle.x, half.x, width), span(middle.y, half.y, height));
    (level, [x, y, w, h])
}

/// Returns a film's size in its pixels.
pub fn size(film: &LoadedFilm) -> Vec2 {
    let [width, height] = film.size();
    vec2(width as f32, height as f32)
}

/// Returns the middle of a film.
pub fn centre(film: &LoadedFilm) -> Pos2 {
    let size = size(film);
    pos2(size.x / 2.0, size.y / 2.0)
}

/// Returns the screen pixels a film pixel at which the whole film fits.
pub fn fit_scale(viewport: Vec2, film: &LoadedFilm, orientation: Orientation) -> f32 {
    let size = orientation.extent(size(film));
    (viewport / size).min_elem().max(f32::MIN_POSITIVE)
}
