//! Fixed views of a film: small changes that should not change what is seen on it.

use super::{Plane, resize};
use crate::rng;

/// Part of the width or height that a crop takes off one edge.
const EDGE: f32 = 0.1;
/// Standard deviation of the noise.
const NOISE: f32 = 0.015;

/// A view of a film that is the same each time, besides the whole film.
///
/// Source: the views of TeamSemiSuperCV/semi-super (`Active_Learn/AL_Augment.ipynb`), but for the sixth, the whole: crops
/// that leave nine tenths, stretched to the square, and noise. There the noise is one number for a whole batch, and on a central crop; here
/// each pixel of the whole film has its own. The edges are those of the plane: of a film that was padded to a square, some
/// of the black goes with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedView {
    /// Without a tenth of its width on the left.
    WithoutLeft,
    /// Without a tenth of its width on the right.
    WithoutRight,
    /// Without a tenth of its height at the top.
    WithoutTop,
    /// Without a tenth of its height at the bottom.
    WithoutBottom,
    /// The whole film with Gaussian noise of standard deviation 0.015.
    Noise,
}

impl FixedView {
    /// All views.
    pub const ALL: [Self; 5] =
        [Self::WithoutLeft, Self::WithoutRight, Self::WithoutTop, Self::WithoutBottom, Self::Noise];

    /// Makes the view of `size` squared pixels; `key` is the film's, so that each has its own noise.
    pub fn apply(self, plane: Plane, size: u32, key: u64) -> Plane {
        let (width, height) = (plane.width, plane.height);
        // At least one row or column stays.
        let edge = |side: u32| ((side as f32 * EDGE).round() as u32).min(side.saturating_sub(1));
        let (across, down) = (edge(width), edge(height));
        match self {
            Self::WithoutLeft => resize(cut(&plane, (across, width), (0, height)), size),
            Self::WithoutRight => resize(cut(&plane, (0, width - across), (0, height)), size),
            Self::WithoutTop => resize(cut(&plane, (0, width), (down, height)), size),
            Self::WithoutBottom => resize(cut(&plane, (0, width), (0, height - down)), size),
            Self::Noise => {
                let mut plane = resize(plane, size);
                let mut draws = rng::stream(0, "noise view", &[key]);
                for pixel in &mut plane.pixels {
                    *pixel = (*pixel + NOISE * rng::normal(&mut draws)).clamp(0.0, 1.0);
                }
                plane
            }
        }
    }
}

/// Copies columns and rows from the first to before the second of each pair.
fn cut(plane: &Plane, columns: (u32, u32), rows: (u32, u32)) -> Plane {
    let (width, height) = (columns.1 - columns.0, rows.1 - rows.0);
    let mut pixels = Vec::with_capacity(width as usize * height as usize);
    for row in rows.0..rows.1 {
        let start = row as usize * plane.width as usize;
        let row = &plane.pixels[start + columns.0 as usize..start + columns.1 as usize];
        pixels.extend_from_slice(row);
    }
    Plane { width, height, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brightness that grows to the right and, more slowly, to the bottom.
    fn slope(size: u32) -> Plane {
        let value = |i: u32| 0.5 * (i % size) as f32 / size as f32 + (i / size) as f32 / 512.0;
        Plane { width: size, height: size, pixels: (0..size * size).map(value).collect() }
    }

    fn view(view: FixedView, size: u32) -> Vec<f32> {
        let made = view.apply(slope(60), size, 7);
        assert_eq!(
            (made.width, made.height, made.pixels.len()),
            (size, size, (size * size) as usize)
        );
        made.pixels
    }

    #[test]
    fn a_crop_takes_a_tenth_off_its_edge() {
        // Unresized: 54 of 60 columns to 54, the rows shrink.
        let whole = slope(60).pixels;
        let row =
            |pixels: &[f32], row: usize, width: usize| pixels[row * width..][..width].to_vec();
        let close = |a: &[f32], b: &[f32], what: &str| {
            for (a, b) in a.iter().zip(b) {
                assert!((a - b).abs() < 0.02, "{what}: {a} {b}");
            }
        };
        close(&row(&view(FixedView::WithoutLeft, 54), 0, 54), &row(&whole, 0, 60)[6..], "left");
        close(&row(&view(FixedView::WithoutRight, 54), 0, 54), &row(&whole, 0, 60)[..54], "right");
        let column = |pixels: &[f32], width: usize| -> Vec<f32> {
            pixels.iter().copied().step_by(width).collect()
        };
        close(&column(&view(FixedView::WithoutTop, 54), 54), &column(&whole, 60)[6..], "top");
        close(
            &column(&view(FixedView::WithoutBottom, 54), 54),
            &column(&whole, 60)[..54],
            "bottom",
        );
    }

    #[test]
    fn noise_is_the_films_own_and_as_strong_as_it_says() {
        let plane = Plane { width: 100, height: 100, pixels: vec![0.5; 10_000] };
        let noise = |key| FixedView::Noise.apply(plane.clone(), 100, key).pixels;
        assert_eq!(noise(1), noise(1));
        assert_ne!(noise(1), noise(2));
        let variance = noise(1).iter().map(|v| f64::from(v - 0.5).powi(2)).sum::<f64>() / 1e4;
        assert!((variance.sqrt() - 0.015).abs() < 0.0005, "{variance}");
        let white = Plane { width: 9, height: 9, pixels: vec![1.0; 81] };
        let pixels = FixedView::Noise.apply(white, 9, 3).pixels;
        assert!(pixels.iter().all(|v| (0.0..=1.0).contains(v)) && pixels.iter().any(|&v| v < 1.0));
    }

    #[test]
    fn the_smallest_planes_have_all_views() {
        for side in 1..4 {
            let plane =
                Plane { width: side, height: side, pixels: vec![0.5; (side * side) as usize] };
            for view in FixedView::ALL {
                assert_eq!(view.apply(plane.clone(), 4, 0).pixels.len(), 16);
            }
        }
    }
}
