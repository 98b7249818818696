//! The film that was answered last, equalised, in place of the one on screen.
//!
//! Only after the label, and never of the film to be read: equalisation makes noise look like structure.

use std::sync::Arc;
use std::thread::JoinHandle;

use egui::{Align2, Color32, ColorImage, Context, Rect, Sense, TextureHandle, Ui, pos2};

use super::film_loader::LoadedFilm;
use super::film_view::overlay_text;
use super::theme;
use crate::imaging::{self, Film, View};

/// An equalised film, or the thread that makes it.
pub struct Equalised {
    thread: Option<JoinHandle<ColorImage>>,
    texture: Option<TextureHandle>,
    failed: bool,
}

impl Equalised {
    /// Share of a tile's pixels that one grey may have, as usual.
    const CLIP: f32 = 0.01;
    /// Pixels up to which a copy of the film is taken: more are not seen at once.
    const PIXELS: usize = 1_500_000;

    /// Starts to equalise a film.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(ctx: &Context, film: Arc<LoadedFilm>) -> std::io::Result<Self> {
        let waker = ctx.clone();
        let work = move || {
            let image = equalised(&film);
            waker.request_repaint();
            image
        };
        let thread = std::thread::Builder::new().name("equalise".to_owned()).spawn(work)?;
        Ok(Self { thread: Some(thread), texture: None, failed: false })
    }

    /// Draws the film; returns whether the reader goes back to the one that waits.
    pub fn ui(&mut self, ui: &mut Ui) -> bool {
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) {
            let load =
                |image| ui.ctx().load_texture("equalised", image, egui::TextureOptions::LINEAR);
            self.texture = thread.join().ok().map(load);
            self.failed = self.texture.is_none();
        } else if self.thread.is_some() {
            // The thread wakes the window just before it is finished.
            ui.ctx().request_repaint_after(theme::FADE);
        }
        let rect = ui.available_rect_before_wrap();
        let response = ui.allocate_rect(rect, Sense::click());
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, 0.0, theme::FILM);
        if let Some(texture) = &self.texture {
            let size = texture.size_vec2();
            let size = size * (rect.size() / size).min_elem();
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            let place = Rect::from_center_size(rect.center(), size);
            painter.image(texture.id(), place, whole, Color32::WHITE);
        }
        let title = if self.failed {
            "The last film could not be equalised"
        } else {
            "Last film, equalised (CLAHE) · not diagnostic"
        };
        let hint = "Click to go back to the film that waits";
        for (anchor, text, colour) in [
            (Align2::CENTER_TOP, title, theme::DARK.warning),
            (Align2::CENTER_BOTTOM, hint, theme::DARK.secondary),
        ] {
            let inward = -anchor.to_sign() * theme::SPACE[1];
            let place = anchor.pos_in_rect(&rect) + inward;
            overlay_text(&painter, place, anchor, text, colour);
        }
        let label = format!("{title} · {hint}");
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &label));
        response.clicked()
    }
}

/// Equalises what the film opens with.
fn equalised(film: &LoadedFilm) -> ColorImage {
    let small = |level: &&Film| level.values.len() <= Equalised::PIXELS;
    let Some(level) = film.levels.iter().find(small).or_else(|| film.levels.last()) else {
        return ColorImage::default();
    };
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
