//! Pixels of one film on the CPU: decoding, window and level, preprocessing, augmentation. No threads, no tensors.

use std::sync::Arc;

mod about;
mod augment;
mod clahe;
mod decode;
mod dicom;
mod display_table;
mod fixed_view;
mod hog;
mod preprocess;
mod rand_augment;
mod view;
mod window;

pub use about::{About, NamedWindow, Spacing, VoiLut};
pub use augment::Augment;
pub use clahe::clahe;
pub(crate) use decode::read_limited;
pub use decode::{
    DecodeError, MAX_DECODED_BYTES, MAX_FILE_BYTES, MAX_PIXELS, decode, decode_bytes,
    decode_with_patient, patient,
};
pub use dicom::PatientId;
pub use display_table::DisplayTable;
pub use fixed_view::FixedView;
pub use hog::{HOG_EDGE, hog};
pub use preprocess::{Fit, Preprocess, resize};
pub use rand_augment::RandAugment;
pub use view::{View, render};
pub use window::Window;

/// A film as stored: grey values, row by row from the top left.
#[derive(Clone, Debug, PartialEq)]
pub struct Film {
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Bits of a stored value: 8 or 16.
    pub bits: u8,
    /// `width * height` values; bright is high unless [`About::inverted`].
    pub values: Vec<u16>,
    /// What the file says beside the values.
    pub about: About,
}

impl Film {
    /// Returns the value that stands for white.
    ///
    /// Detectors of 10, 12 or 14 bits write into 16-bit files: white is the least of 2⁸-1, 2¹⁰-1, 2¹²-1, 2¹⁴-1 and
    /// 2¹⁶-1 that no value of the film exceeds, and 255 for 8-bit films.
    pub fn white(&self) -> u16 {
        if self.bits <= 8 {
            return 255;
        }
        let brightest = self.values.iter().copied().max().unwrap_or(0);
        [8, 10, 12, 14]
            .into_iter()
            .map(|bits| (1 << bits) - 1)
            .find(|&white| brightest <= white)
            .unwrap_or(u16::MAX)
    }

    /// Returns what is shown first: the file's VOI LUT, else its first window, else the percentile window.
    pub fn default_view(&self) -> View {
        if let Some(lut) = &self.about.voi_lut {
            return View::Lut(Arc::clone(lut));
        }
        let window = self.about.windows.first().map(|named| named.window);
        View::Window(window.unwrap_or_else(|| Window::percentile(self)))
    }
}

/// Brightness of a film at some size, row by row from the top left, 0 black to 1 white.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height` values in `0..=1`.
    pub pixels: Vec<f32>,
}
