//! How film values become grey: through a window or through a table of the file's own, inverted once, padding black.

use std::sync::Arc;

use super::{Film, VoiLut, Window};

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
    let view = view.into();
    let mask = if invert == film.about.inverted { 0 } else { 255 };
    let last = if film.bits <= 8 { 255 } else { u16::MAX };
    let grey = |value: u16| (view.brightness(value) * 255.0).round() as u8 ^ mask;
    let mut table: Vec<u8> = (0..=last).map(grey).collect();
    if let Some((first, end)) = film.about.padding {
        table.iter_mut().take(usize::from(end) + 1).skip(usize::from(first)).for_each(|v| *v = 0);
    }
    out.clear();
    if let Ok(table) = <&[u8; 1 << 16]>::try_from(table.as_slice()) {
        out.extend(film.values.iter().map(|&value| table[usize::from(value)]));
    } else {
        out.extend(film.values.iter().map(|&value| table[usize::from(value.min(255))]));
    }
}
