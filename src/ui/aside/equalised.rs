//! The film that was answered last, equalised, in place of the one on screen.
//!
//! Only after the label, and never of the film to be read: equalisation makes noise look like structure.

use std::sync::Arc;

use egui::{Color32, ColorImage, Context, Ui};

use super::picture::{Picture, captions, fitted, room};
use crate::imaging::{self, Film, View};
use crate::ui::film_loader::LoadedFilm;

/// The film that was answered last, equalised.
pub struct Equalised {
    picture: Picture,
}

impl Equalised {
    /// Share of a tile's pixels that one grey may have, as usual.
    const CLIP: f32 = 0.01;

    /// Starts to equalise a film.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(ctx: &Context, film: Arc<LoadedFilm>) -> std::io::Result<Self> {
        Ok(Self { picture: Picture::start(ctx, "equalise", move || equalised(&film))? })
    }

    /// Draws the film; returns whether the reader goes back to the one that waits.
    pub fn ui(&mut self, ui: &mut Ui) -> bool {
        let texture = self.picture.texture(ui).cloned();
        let title = if self.picture.failed {
            "The last film could not be equalised"
        } else {
            "Last film, equalised (CLAHE) · not diagnostic"
        };
        let (response, painter) = room(ui, title);
        if let Some(texture) = &texture {
            fitted(&painter, texture, response.rect, Color32::WHITE);
        }
        captions(&painter, response.rect, title);
        response.clicked()
    }
}

/// Returns the largest copy of a film that is all seen at once.
pub(super) fn level(film: &LoadedFilm) -> Option<&Film> {
    const PIXELS: usize = 1_500_000;
    let small = |level: &&Film| level.values.len() <= PIXELS;
    film.levels.iter().find(small).or_else(|| film.levels.last())
}

/// Equalises what the film opens with.
fn equalised(film: &LoadedFilm) -> ColorImage {
    let Some(level) = level(film) else { return ColorImage::default() };
    let values = brightness(level, &film.first);
    let pixels = imaging::clahe(&values, level.width as usize, Equalised::CLIP)
        .into_iter()
        .map(|value| Color32::from_gray((value * 255.0).round() as u8))
        .collect();
    ColorImage::new([level.width as usize, level.height as usize], pixels)
}

/// Returns what a film's values look like through a view, from 0, black, to 65535, white.
fn brightness(film: &Film, view: &View) -> Vec<u16> {
    let bright = |value: u16| {
        if film.about.is_padding(value) {
            return 0;
        }
        let seen = (view.brightness(value) * 65535.0).round() as u16;
        if film.about.inverted { u16::MAX - seen } else { seen }
    };
    let table: Vec<u16> = (0..=u16::MAX).map(bright).collect();
    film.values.iter().map(|&value| table[usize::from(value)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::About;

    #[test]
    fn a_dark_half_and_a_bright_half_gain_the_contrast_that_scikit_image_gives_them() {
        let value = |x: u32, y: u32| y % 8 * 20 + if x < 128 { 100 } else { 3000 };
        let values = (0..256 * 256).map(|i| value(i % 256, i / 256) as u16).collect();
        let mut film = Film { width: 256, height: 256, bits: 16, values, about: About::default() };
        film.about.inverted = true;
        let image = equalised(&LoadedFilm::new(film));
        let grey = |x: usize, y: usize| i32::from(image.pixels[y * 256 + x].r());
        // 140 of some 3,000 values are 12 greys of 255 before; scikit-image makes 22 of them in the dark and 14 in the
        // bright.
        for (x, greys) in [(220, 22), (40, 14)] {
            let contrast = (grey(x, 64) - grey(x, 71)).abs();
            assert!((contrast - greys).abs() <= 1, "{contrast} at {x}");
        }
        assert!(grey(40, 100) > grey(220, 100), "low values are bright on this film");
    }
}
