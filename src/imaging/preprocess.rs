//! Resizing with the aspect ratio kept: films to square planes for the network, and thumbnails.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U16;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};

use super::{Film, Plane};

/// How a film that is not square becomes square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The whole film, centred, with black beside or above and below it.
    Pad,
    /// The middle of the film, filling the square.
    Crop,
}

/// How every film is made ready for a network; a model keeps it, so that films are read as they were in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Columns and rows of the result, at least 1.
    pub size: u32,
    /// What happens to films that are not square.
    pub fit: Fit,
}

impl Preprocess {
    /// Makes the square plane of a film: 0 is black, 1 is white.
    ///
    /// White is [`Film::white`]; of a DICOM film, what its default view shows white, with its inversion, padding black.
    /// A reader's own window is never seen.
    pub fn apply(&self, film: &Film) -> Plane {
        let size = self.size.max(1);
        let source = if film.about.dicom { shown(film) } else { stretched(film) };
        let (width, height) = (f64::from(film.width), f64::from(film.height));
        if self.fit == Fit::Crop {
            let side = width.min(height);
            let crop = [(width - side) / 2.0, (height - side) / 2.0, side, side];
            let pixels = convolve(&source, (film.width, film.height), crop, (size, size));
            return Plane { width: size, height: size, pixels };
        }
        let scale = f64::from(size) / width.max(height);
        let fitted = |side: f64| ((side * scale).round() as u32).clamp(1, size);
        let (columns, rows) = (fitted(width), fitted(height));
        let inner = convolve(
            &source,
            (film.width, film.height),
            [0.0, 0.0, width, height],
            (columns, rows),
        );
        let mut pixels = vec![0.0; size as usize * size as usize];
        let (left, top) = (((size - columns) / 2) as usize, ((size - rows) / 2) as usize);
        let targets = pixels.chunks_exact_mut(size as usize).skip(top);
        for (target, row) in targets.zip(inner.chunks_exact(columns as usize)) {
            target[left..left + row.len()].copy_from_slice(row);
        }
        Plane { width: size, height: size, pixels }
    }
}

/// Brightness of a film whose values are brightness already, up to its white.
fn stretched(film: &Film) -> Vec<U16> {
    let white = u32::from(film.white());
    let stretch = |&value: &u16| U16::new(((u32::from(value) * 65535 + white / 2) / white) as u16);
    film.values.iter().map(stretch).collect()
}

/// Brightness of a film at its default view.
fn shown(film: &Film) -> Vec<U16> {
    let view = film.default_view();
    let brightness = |value: u16| {
        let brightness = (view.brightness(value) * 65535.0).round() as u16;
        let brightness = if film.about.inverted { 65535 - brightness } else { brightness };
        U16::new(if film.about.is_padding(value) { 0 } else { brightness })
    };
    let table: Vec<U16> = (0..=u16::MAX).map(brightness).collect();
    film.values.iter().map(|&value| table[usize::from(value)]).collect()
}

/// Resizes a plane to `size` squared, antialiased; a plane of that size already is returned as it is.
pub fn resize(plane: Plane, size: u32) -> Plane {
    if plane.width == size && plane.height == size {
        return plane;
    }
    let source: Vec<U16> =
        plane.pixels.iter().map(|&pixel| U16::new((pixel * 65535.0).round() as u16)).collect();
    let whole = [0.0, 0.0, f64::from(plane.width), f64::from(plane.height)];
    let pixels = convolve(&source, (plane.width, plane.height), whole, (size, size));
    Plane { width: size, height: size, pixels }
}

/// Resizes the box `[left, top, width, height]` of an image by bicubic convolution (Catmull-Rom) with antialiasing.
///
/// Returns brightness in `0..=1`; all zeros if `source` has not `from.0 * from.1` values or the box leaves the image.
fn convolve(source: &[U16], from: (u32, u32), crop: [f64; 4], to: (u32, u32)) -> Vec<f32> {
    let mut resized = TypedImage::<U16>::new(to.0, to.1);
    if let Ok(image) = TypedImageRef::new(from.0, from.1, source) {
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
            .crop(crop[0], crop[1], crop[2], crop[3])
            .use_alpha(false);
        let done = Resizer::new().resize_typed(&image, &mut resized, &options);
        debug_assert!(done.is_ok(), "{done:?}");
    }
    resized.pixels().iter().map(|pixel| f32::from(pixel.0) / 65535.0).collect()
}

#[cfg(test)]
mod tests {
    use super::super::About;
    use super::*;

    fn film(width: u32, height: u32, value: impl Fn(u32, u32) -> u16) -> Film {
        let values = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| value(x, y))
            .collect();
        Film { width, height, bits: 8, values, about: About::default() }
    }

    #[test]
    fn padding_keeps_the_aspect_ratio_and_crops_nothing() {
        for (width, height) in [(300, 200), (200, 300), (1000, 10), (3, 2), (1, 4000)] {
            let plane =
                Preprocess { size: 60, fit: Fit::Pad }.apply(&film(width, height, |_, _| 255));
            let lit = |x: usize, y: usize| plane.pixels[y * 60 + x] > 0.5;
            let columns = (0..60).filter(|&x| (0..60).any(|y| lit(x, y))).count();
            let rows = (0..60).filter(|&y| (0..60).any(|x| lit(x, y))).count();
            let longest = f64::from(width.max(height));
            let expected = |side: u32| ((60.0 * f64::from(side) / longest).round() as usize).max(1);
            assert_eq!((columns, rows), (expected(width), expected(height)), "{width}x{height}");
        }
    }

    #[test]
    fn cropping_takes_the_middle_square() {
        // Columns 50..150 of a 200-wide film are white.
        let plane = Preprocess { size: 50, fit: Fit::Crop }
            .apply(&film(200, 100, |x, _| if (50..150).contains(&x) { 255 } else { 0 }));
        assert!(plane.pixels.iter().all(|&pixel| pixel > 0.9), "{:?}", &plane.pixels[..50]);
    }

    #[test]
    fn a_film_of_the_right_size_passes_unchanged() {
        let source = film(16, 16, |x, y| (x * 16 + y) as u16);
        for fit in [Fit::Pad, Fit::Crop] {
            let plane = Preprocess { size: 16, fit }.apply(&source);
            for (pixel, value) in plane.pixels.iter().zip(&source.values) {
                assert!((pixel - f32::from(*value) / 255.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn shrinking_averages_instead_of_skipping() {
        let plane = Preprocess { size: 32, fit: Fit::Pad }
            .apply(&film(512, 512, |x, _| (x % 2 * 255) as u16));
        assert!(plane.pixels.iter().all(|pixel| (pixel - 0.5).abs() < 0.02));
    }

    #[test]
    fn twelve_bits_in_sixteen_reach_white() {
        let film = Film {
            width: 2,
            height: 2,
            bits: 16,
            values: vec![4095, 0, 0, 2048],
            about: About::default(),
        };
        let plane = Preprocess { size: 2, fit: Fit::Pad }.apply(&film);
        assert_eq!(plane.pixels[0], 1.0);
        assert!((plane.pixels[3] - 0.5001).abs() < 1e-4);
    }

    /// Values of torchvision v2, bicubic with antialiasing, made by `tests/golden/views.py`.
    #[test]
    fn resizing_matches_torchvision() {
        let value = |i: u32| {
            let (x, y) = (i % 64, i / 64);
            ((7 * x * x + 13 * y + 3 * x * y) % 251) as f32 / 500.0 + 0.25
        };
        let source = Plane { width: 64, height: 64, pixels: (0..64 * 64).map(value).collect() };
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/views.json")).unwrap();
        for size in [24_u32, 96] {
            let found = resize(source.clone(), size).pixels;
            let expected = golden[format!("resize_{size}")].as_array().unwrap();
            assert_eq!(expected.len(), found.len().div_ceil(29));
            for (found, expected) in found.iter().step_by(29).zip(expected) {
                let expected = expected.as_f64().unwrap() as f32;
                // Weights are rounded to fixed point: an eighth of an 8-bit film's grey level is allowed.
                assert!((found - expected).abs() < 5e-4, "{size}: {found} {expected}");
            }
        }
    }
}
