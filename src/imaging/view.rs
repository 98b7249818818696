//! How film values become grey: through a window or through a table of the file's own, inverted once, padding black.

use std::sync::Arc;

use super::{DisplayTable, Film, VoiLut, Window};

/// How film values become brightness.
#[derive(Clone, Debug, PartialEq)]
pub enum View {
    /// Through a window.
    Window(Window),
    /// Through the VOI LUT that the file gives.
    Lut(Arc<VoiLut>),
}

impl From<Window> for View {
    fn from(window: Window) -> Self {
        Self::Window(window)
    }
}

impl View {
    /// Maps a film value to 0, black, to 1, white, before any inversion.
    pub fn brightness(&self, value: u16) -> f64 {
        match self {
            Self::Window(window) => window.brightness(value),
            Self::Lut(lut) => f64::from(lut.map(value)) / 65535.0,
        }
    }
}

/// Renders a film as 8-bit grey of its own size into `out`, which is cleared first and keeps its memory.
///
/// `invert` swaps black and white of what is shown, which is swapped already where [`About::inverted`](super::About)
/// says so. Padding is black in any case.
pub fn render(film: &Film, view: impl Into<View>, invert: bool, out: &mut Vec<u8>) {
    let mut table = DisplayTable::default();
    table.set(film, &view.into(), invert);
    let whole = [0, 0, film.width as usize, film.height as usize];
    table.render(film, whole, |grey| grey, out);
}
