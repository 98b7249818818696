//! Random views of a film: one sampling pass for the geometry, then brightness, contrast and blur.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Plane;
use super::rand_augment::RandAugment;
use crate::rng::{uniform, unit};

/// The distribution that random views are drawn from.
///
/// Source: the augmentation of SimCLR (google-research/simclr, `data_util.py`) as far as it applies to grey films,
/// with rotation and translation added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Least and greatest part of the plane's area that the crop keeps.
    pub crop_area: (f32, f32),
    /// Least and greatest width-to-height ratio of the crop, relative to the plane's own.
    pub aspect: (f32, f32),
    /// Probability of a left-right flip.
    pub flip: f32,
    /// Greatest rotation either way, in degrees.
    pub rotate_degrees: f32,
    /// Greatest shift of the crop either way, as a part of the plane's width and height.
    pub translate: f32,
    /// Probability that brightness and contrast change.
    pub jitter: f32,
    /// Brightness is multiplied by a factor from `1 - brightness` to `1 + brightness`.
    pub brightness: f32,
    /// The distance to the mean is multiplied by a factor from `1 - contrast` to `1 + contrast`.
    pub contrast: f32,
    /// Probability of a Gaussian blur.
    pub blur: f32,
    /// Least and greatest standard deviation of the blur, in pixels of the view.
    pub blur_sigma: (f32, f32),
    /// Strong operations after everything else; none in settings from before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strong: Option<RandAugment>,
}

impl Augment {
    /// Changes nothing: the view is the whole plane.
    pub fn none() -> Self {
        Self {
            crop_area: (1.0, 1.0),
            aspect: (1.0, 1.0),
            flip: 0.0,
            rotate_degrees: 0.0,
            translate: 0.0,
            jitter: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            blur: 0.0,
            blur_sigma: (0.1, 2.0),
            strong: None,
        }
    }

    /// Flips and shifts by up to an eighth, the weak views of FixMatch (google-research/fixmatch).
    pub fn weak() -> Self {
        Self { flip: 0.5, translate: 0.125, ..Self::none() }
    }

    /// Between the two: crops of three quarters and more, ±5°, jitter of 0.3, flips. Labels survive it, and unlike
    /// [`Self::simclr`] it leaves a film nearly as large as it is outside training.
    pub fn moderate() -> Self {
        Self {
            crop_area: (0.75, 1.0),
            aspect: (0.875, 8.0 / 7.0),
            flip: 0.5,
            rotate_degrees: 5.0,
            jitter: 0.8,
            brightness: 0.3,
            contrast: 0.3,
            ..Self::none()
        }
    }

    /// Weak views changed by [`RandAugment`], the strong views of FixMatch.
    pub fn strong() -> Self {
        Self { strong: Some(RandAugment::fixmatch()), ..Self::weak() }
    }

    /// The views that SimCLR is trained on: crops of half the film and more, ±10°, jitter of 0.4, blur.
    pub fn simclr() -> Self {
        Self {
            crop_area: (0.5, 1.0),
            aspect: (0.75, 4.0 / 3.0),
            flip: 0.5,
            rotate_degrees: 10.0,
            jitter: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            blur: 0.5,
            ..Self::none()
        }
    }

    /// Draws one view of `size` squared pixels; a source of about one and a half times that size keeps it sharp.
    pub fn apply(&self, source: &Plane, size: u32, rng: &mut ChaCha8Rng) -> Plane {
        // Every number is drawn whether it is used or not, so that one probability does not shift the other draws.
        let view = self.draw_view(source, rng);
        let (jitter, brightness_first) = (unit(rng) < self.jitter, unit(rng) < 0.5);
        let brightness = uniform(rng, (1.0 - self.brightness).max(0.0), 1.0 + self.brightness);
        let contrast = uniform(rng, (1.0 - self.contrast).max(0.0), 1.0 + self.contrast);
        let (blur, sigma) =
            (unit(rng) < self.blur, uniform(rng, self.blur_sigma.0, self.blur_sigma.1));
        let mut out = view.sample(source, size);
        if jitter && brightness_first {
            brighten(&mut out.pixels, brightness);
            stretch_contrast(&mut out.pixels, contrast);
        } else if jitter {
            stretch_contrast(&mut out.pixels, contrast);
            brighten(&mut out.pixels, brightness);
        }
        if blur {
            gaussian_blur(&mut out, &taps(size as usize / 10 / 2 * 2 + 1, sigma));
        }
        if let Some(strong) = &self.strong {
            strong.apply(&mut out, rng);
        }
        out
    }

    /// Draws where a view lies on its source.
    fn draw_view(&self, source: &Plane, rng: &mut ChaCha8Rng) -> View {
        let (width, height) = (source.width as f32, source.height as f32);
        let (w, h) = draw_box(self.crop_area, self.aspect, rng);
        let mirrored = unit(rng) < self.flip;
        let (sin, cos) =
            uniform(rng, -self.rotate_degrees, self.rotate_degrees).to_radians().sin_cos();
        let mut centre = |crop: f32| 0.5 + uniform(rng, crop - 1.0, 1.0 - crop) / 2.0;
        let (mut x, mut y) = (centre(w), centre(h));
        x += uniform(rng, -self.translate, self.translate);
        y += uniform(rng, -self.translate, self.translate);
        let across = if mirrored { -w * width } else { w * width };
        View {
            centre: (x * width, y * height),
            right: (across * cos, across * sin),
            down: (-h * height * sin, h * height * cos),
        }
    }
}

/// Draws width and height, as parts of the whole, of a box with an area uniform and a ratio log-uniform in its bounds.
///
/// Boxes that do not fit are drawn again, a hundred times at most; then it is the whole.
fn draw_box(area: (f32, f32), aspect: (f32, f32), rng: &mut ChaCha8Rng) -> (f32, f32) {
    for _ in 0..100 {
        let area = uniform(rng, area.0, area.1);
        let ratio = uniform(rng, aspect.0.ln(), aspect.1.ln()).exp();
        let (w, h) = ((area * ratio).sqrt(), (area / ratio).sqrt());
        if w <= 1.0 && h <= 1.0 {
            return (w, h);
        }
    }
    (1.0, 1.0)
}

/// A parallelogram on the source, in its pixels, that becomes the square view.
pub(super) struct View {
    pub(super) centre: (f32, f32),
    /// From the left to the right edge of the view.
    pub(super) right: (f32, f32),
    /// From the top to the bottom edge of the view.
    pub(super) down: (f32, f32),
}

impl View {
    /// Samples the view bilinearly; what lies outside the source is black.
    pub(super) fn sample(&self, source: &Plane, size: u32) -> Plane {
        let count = size as usize;
        let mut pixels = vec![0.0; count * count];
        let width = source.width as usize;
        if source.pixels.is_empty() || count == 0 {
            return Plane { width: size, height: size, pixels };
        }
        let step = |whole: f32| fixed(f64::from(whole) / f64::from(size));
        let (right, down) =
            ((step(self.right.0), step(self.right.1)), (step(self.down.0), step(self.down.1)));
        // Pixel centres lie at halves: the first is half a step in, and taking one half off turns places into indices.
        let first = |centre: f32, right: f32, down: f32| {
            let inset = 0.5 - 0.5 / f64::from(size);
            fixed(f64::from(centre) - (f64::from(right) + f64::from(down)) * inset - 0.5)
        };
        let mut start = (
            first(self.centre.0, self.right.0, self.down.0),
            first(self.centre.1, self.right.1, self.down.1),
        );
        let last = ((i64::from(source.width) - 1) << 32, (i64::from(source.height) - 1) << 32);
        for out in pixels.chunks_exact_mut(count) {
            let (mut x, mut y) = start;
            for pixel in out {
                // Seen as unsigned, what is negative is beyond the end too.
                if (x as u64) < last.0 as u64 && (y as u64) < last.1 as u64 {
                    let place = (y >> 32) as usize * width + (x >> 32) as usize;
                    let (above, below) =
                        (&source.pixels[place..][..2], &source.pixels[place + width..][..2]);
                    *pixel = mix(mix(above[0], above[1], x), mix(below[0], below[1], x), y);
                } else if x >= -HALF && y >= -HALF && x <= last.0 + HALF && y <= last.1 + HALF {
                    *pixel = at_the_edge(source, x.clamp(0, last.0), y.clamp(0, last.1));
                }
                (x, y) = (x + right.0, y + right.1);
            }
            start = (start.0 + down.0, start.1 + down.1);
        }
        Plane { width: size, height: size, pixels }
    }
}

/// Half a pixel in the fixed-point numbers of [`fixed`].
const HALF: i64 = 1 << 31;

/// Turns a place into a number with 32 fractional bits: steps add up without error, and its index is a shift away.
fn fixed(place: f64) -> i64 {
    (place * (1u64 << 32) as f64) as i64
}

/// Interpolates between two neighbours at the fraction of a fixed-point place.
fn mix(a: f32, b: f32, place: i64) -> f32 {
    a + (place as u32 >> 8) as f32 * (1.0 / (1 << 24) as f32) * (b - a)
}

/// Samples where a neighbour may be missing: the last row and column stand in for the next.
fn at_the_edge(source: &Plane, x: i64, y: i64) -> f32 {
    let (left, top) = ((x >> 32) as usize, (y >> 32) as usize);
    let right = (left + 1).min(source.width as usize - 1);
    let bottom = (top + 1).min(source.height as usize - 1);
    let value = |row: usize, column: usize| source.pixels[row * source.width as usize + column];
    mix(
        mix(value(top, left), value(top, right), x),
        mix(value(bottom, left), value(bottom, right), x),
        y,
    )
}

/// Multiplies brightness and clips to `0..=1`.
pub(super) fn brighten(pixels: &mut [f32], factor: f32) {
    for pixel in pixels {
        *pixel = (*pixel * factor).clamp(0.0, 1.0);
    }
}

/// Multiplies the distance to the mean and clips to `0..=1`.
pub(super) fn stretch_contrast(pixels: &mut [f32], factor: f32) {
    let total: f64 = pixels.chunks(64).map(|run| f64::from(run.iter().sum::<f32>())).sum();
    let mean = (total / pixels.len().max(1) as f64) as f32;
    for pixel in pixels {
        *pixel = (mean + (*pixel - mean) * factor).clamp(0.0, 1.0);
    }
}

/// Returns the weights of a Gaussian at the integers around 0, scaled to sum to 1; `count` is odd.
fn taps(count: usize, sigma: f32) -> Vec<f32> {
    let radius = (count / 2) as f32;
    let spread = 2.0 * sigma.max(1e-3).powi(2);
    let mut taps: Vec<f32> =
        (0..count).map(|i| (-(i as f32 - radius).powi(2) / spread).exp()).collect();
    let total: f32 = taps.iter().sum();
    for tap in &mut taps {
        *tap /= total;
    }
    taps
}

/// Convolves rows, then columns, with symmetric taps; what lies outside the plane counts as black.
fn gaussian_blur(plane: &mut Plane, taps: &[f32]) {
    let (width, height, radius) = (plane.width as usize, plane.height as usize, taps.len() / 2);
    if width == 0 {
        return;
    }
    let mut across = vec![0.0; plane.pixels.len()];
    for (out, row) in across.chunks_exact_mut(width).zip(plane.pixels.chunks_exact(width)) {
        for (i, &tap) in taps.iter().enumerate() {
            // out[x] += tap * row[x + i - radius], where both are there.
            let (to, from) =
                (radius.saturating_sub(i).min(width), i.saturating_sub(radius).min(width));
            for (out, pixel) in out[to..].iter_mut().zip(&row[from..]) {
                *out += tap * pixel;
            }
        }
    }
    plane.pixels.fill(0.0);
    for (y, out) in plane.pixels.chunks_exact_mut(width).enumerate() {
        for (i, &tap) in taps.iter().enumerate() {
            let Some(from) = (y + i).checked_sub(radius).filter(|&from| from < height) else {
                continue;
            };
            let row = &across[from * width..][..width];
            for (out, pixel) in out.iter_mut().zip(row) {
                *out += tap * pixel;
            }
        }
    }
}

#[cfg(test)]
#[path = "augment_tests.rs"]
mod tests;
