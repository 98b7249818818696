//! Strong views: two random operations and a square cut out, as FixMatch has them.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Plane;
use super::augment::{View, brighten, stretch_contrast};
use crate::rng::{below, unit};

/// Grey that takes the place of what is cut out: the middle of the range, 0 in the reference's range of -1 to 1.
const CUT: f32 = 0.5;
/// Greatest rotation in degrees, shear, and shift as a part of the edge (10 of 32 pixels); a level takes a part of them.
const ROTATION: f32 = 30.0;
const SHEAR: f32 = 0.3;
const SHIFT: f32 = 10.0 / 32.0;

/// The distribution of strong views.
///
/// Source: RandAugment with cutout in FixMatch's code (google-research/fixmatch, `AugmentPoolRAMC` in
/// `libml/augment.py`, ranges in `third_party/auto_augment/augmentations.py`). Of its 14 operations three are left out:
/// colour does nothing to grey films; solarising inverts the bright parts, so that bone and consolidation come out dark
/// and the cue that a reader goes by is turned round; posterising to few grey levels draws edges into smooth lung.
///
/// Deviations: films are sampled bilinearly and not by the nearest neighbour; what comes in from outside is black, as in
/// every other view, and not mid-grey; grey levels are kept as fractions between operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandAugment {
    /// Operations that are drawn, with replacement.
    pub operations: u32,
    /// Probability that an operation that was drawn is applied, at a level of its own.
    pub probability: f32,
    /// Edge of the square that is cut out, as a part of the view's edge; its centre is anywhere on the view.
    pub cutout: f32,
}

impl RandAugment {
    /// The reference's: two operations, each applied half the time, and a square of half the edge.
    pub fn fixmatch() -> Self {
        Self { operations: 2, probability: 0.5, cutout: 0.5 }
    }

    /// Changes a square view.
    pub(super) fn apply(&self, view: &mut Plane, rng: &mut ChaCha8Rng) {
        for _ in 0..self.operations {
            let operation = OPERATIONS[below(rng, OPERATIONS.len())];
            let applied = unit(rng) < self.probability;
            // Tenths from .1 to .9.
            let level = (1 + below(rng, 9)) as f32 / 10.0;
            let side = if unit(rng) < 0.5 { -1.0 } else { 1.0 };
            if applied {
                operation.apply(view, level, side);
            }
        }
        let edge = view.width as usize;
        let centre = (below(rng, edge), below(rng, edge));
        cut_out(view, centre, (edge as f32 * self.cutout / 2.0) as usize);
    }
}

const OPERATIONS: [Operation; 11] = [
    Operation::Identity,
    Operation::AutoContrast,
    Operation::Equalize,
    Operation::Rotate,
    Operation::Contrast,
    Operation::Brightness,
    Operation::Sharpness,
    Operation::ShearX,
    Operation::ShearY,
    Operation::TranslateX,
    Operation::TranslateY,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Identity,
    AutoContrast,
    Equalize,
    Rotate,
    Contrast,
    Brightness,
    Sharpness,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
}

impl Operation {
    /// Changes a view at a level in 0..=1; geometry goes to one `side`, 1 or -1.
    fn apply(self, view: &mut Plane, level: f32, side: f32) {
        let edge = view.width as f32;
        let middle = (edge / 2.0, edge / 2.0);
        // "Going to 0 just destroys it", says the reference.
        let factor = 0.1 + 1.8 * level;
        let shear = side * SHEAR * level * edge;
        let shift = side * SHIFT * level * edge;
        match self {
            Self::Identity => {}
            Self::AutoContrast => auto_contrast(&mut view.pixels),
            Self::Equalize => equalize(&mut view.pixels),
            Self::Contrast => stretch_contrast(&mut view.pixels, factor),
            Self::Brightness => brighten(&mut view.pixels, factor),
            Self::Sharpness => sharpen(view, factor),
            Self::Rotate => {
                let (sin, cos) = (side * ROTATION * level).to_radians().sin_cos();
                let (right, down) = ((edge * cos, edge * sin), (-edge * sin, edge * cos));
                sample(view, &View { centre: middle, right, down });
            }
            // About the top left corner, as in the reference.
            Self::ShearX => {
                let centre = (middle.0 + shear / 2.0, middle.1);
                sample(view, &View { centre, right: (edge, 0.0), down: (shear, edge) });
            }
            Self::ShearY => {
                let centre = (middle.0, middle.1 + shear / 2.0);
                sample(view, &View { centre, right: (edge, shear), down: (0.0, edge) });
            }
            Self::TranslateX => {
                let centre = (middle.0 + shift, middle.1);
                sample(view, &View { centre, right: (edge, 0.0), down: (0.0, edge) });
            }
            Self::TranslateY => {
                let centre = (middle.0, middle.1 + shift);
                sample(view, &View { centre, right: (edge, 0.0), down: (0.0, edge) });
            }
        }
    }
}

fn sample(view: &mut Plane, place: &View) {
    *view = place.sample(view, view.width);
}

/// Stretches the range of greys to `0..=1`; a view of one grey stays.
fn auto_contrast(pixels: &mut [f32]) {
    let low = pixels.iter().copied().fold(f32::INFINITY, f32::min);
    let high = pixels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if high > low {
        for pixel in pixels {
            *pixel = (*pixel - low) / (high - low);
        }
    }
}

/// Makes the 256 grey levels about equally frequent, by Pillow's rule.
fn equalize(pixels: &mut [f32]) {
    let bin = |pixel: f32| (pixel * 255.0).round() as usize;
    let mut counts = [0usize; 256];
    for &pixel in &*pixels {
        counts[bin(pixel).min(255)] += 1;
    }
    // The brightest level is left out of the steps.
    let brightest = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
    let step = (pixels.len() - counts[brightest]) / 255;
    if step == 0 {
        return;
    }
    let mut below = step / 2;
    let levels = counts.map(|count| {
        let level = (below / step).min(255);
        below += count;
        level as f32 / 255.0
    });
    for pixel in pixels {
        *pixel = levels[bin(*pixel).min(255)];
    }
}

/// Multiplies the distance to the smoothed view, whose border is the view's own, and clips to `0..=1`.
fn sharpen(view: &mut Plane, factor: f32) {
    let (width, height) = (view.width as usize, view.height as usize);
    let source = view.pixels.clone();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let rows = [y - 1, y, y + 1].map(|row| &source[row * width + x - 1..][..3]);
            let around: f32 = rows.into_iter().flatten().sum();
            let own = source[y * width + x];
            // The kernel has 1 in each of its nine places and 5 in the middle.
            let smooth = (around + 4.0 * own) / 13.0;
            view.pixels[y * width + x] = (smooth + (own - smooth) * factor).clamp(0.0, 1.0);
        }
    }
}

/// Greys the part within `radius` of `centre`, before it inclusive and after it exclusive, on both axes.
fn cut_out(view: &mut Plane, centre: (usize, usize), radius: usize) {
    let (width, height) = (view.width as usize, view.height as usize);
    let span =
        |middle: usize, end: usize| middle.saturating_sub(radius)..(middle + radius).min(end);
    let columns = span(centre.0, width);
    for y in span(centre.1, height) {
        view.pixels[y * width..][columns.clone()].fill(CUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Augment;
    use crate::rng::stream;

    /// The image of `tests/golden/rand_augment.py`: grey levels from 30 to 218, more dark ones than bright ones.
    fn formula() -> Plane {
        let value = |i: u32| {
            let (x, y) = (i % 64, i / 64);
            let wave = (7 * x * x + 13 * y + 3 * x * y) % 251;
            (30 + wave * wave / 331) as f32 / 255.0
        };
        Plane { width: 64, height: 64, pixels: (0..64 * 64).map(value).collect() }
    }

    /// Pillow rounds to whole grey levels, and the mean and the smoothed image before its enhancers too; that much is
    /// allowed.
    #[test]
    fn operations_match_pillow_to_its_rounding() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/rand_augment.json")).unwrap();
        let cases = golden.as_array().unwrap();
        for case in cases {
            let name = case["operation"].as_str().unwrap();
            let operation = OPERATIONS.into_iter().find(|known| format!("{known:?}") == name);
            let number = |key: &str| case[key].as_f64().unwrap() as f32;
            let mut found = formula();
            operation.unwrap().apply(&mut found, number("level"), number("side"));
            let expected = case["levels"].as_array().unwrap();
            assert_eq!(expected.len(), found.pixels.len().div_ceil(13));
            let exact = ["Identity", "Equalize"].contains(&name);
            let allowed = if exact { 1e-3 } else { 1.5 };
            for (found, expected) in found.pixels.iter().step_by(13).zip(expected) {
                let (found, expected) = (found * 255.0, expected.as_f64().unwrap() as f32);
                assert!((found - expected).abs() < allowed, "{name}: {found} {expected}");
            }
        }
        let tested = |operation: &Operation| {
            cases.iter().any(|case| case["operation"] == format!("{operation:?}"))
        };
        assert!(OPERATIONS.iter().all(tested));
    }

    #[test]
    fn the_cut_has_the_asked_edge_and_stops_at_the_border() {
        let grey = |view: &Plane| view.pixels.iter().filter(|&&pixel| pixel == CUT).count();
        let mut view = Plane { width: 8, height: 8, pixels: vec![0.0; 64] };
        cut_out(&mut view, (4, 4), 2);
        assert_eq!(grey(&view), 16);
        assert_eq!((view.pixels[2 * 8 + 2], view.pixels[6 * 8 + 6]), (CUT, 0.0));
        let mut view = Plane { width: 8, height: 8, pixels: vec![0.0; 64] };
        cut_out(&mut view, (0, 7), 2);
        assert_eq!(grey(&view), 6);
    }

    /// Without the cut a view stays as it is if neither operation is applied or both are the identity.
    #[test]
    fn views_change_as_often_as_their_probability_says() {
        let source = formula();
        let n: u32 = 3000;
        let share = |probability: f32| {
            let strong = RandAugment { probability, cutout: 0.0, ..RandAugment::fixmatch() };
            let unchanged = |i: u64| {
                let mut view = source.clone();
                strong.apply(&mut view, &mut stream(0, "strong", &[i]));
                view == source
            };
            (0..u64::from(n)).filter(|&i| unchanged(i)).count() as f64 / f64::from(n)
        };
        for probability in [0.0, 0.5, 1.0] {
            let expected = (1.0 - f64::from(probability) * 10.0 / 11.0).powi(2);
            let found = share(probability);
            assert!((found - expected).abs() < 0.03, "{probability}: {found} {expected}");
        }
    }

    #[test]
    fn strong_views_stay_in_range_repeat_and_are_cut() {
        let source = formula();
        for key in 0..300 {
            let draw = || Augment::strong().apply(&source, 32, &mut stream(3, "strong", &[key]));
            let view = draw();
            assert_eq!(view, draw());
            assert!(view.pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
            // A quarter of the square remains even in a corner.
            assert!(view.pixels.iter().filter(|&&pixel| pixel == CUT).count() >= 8 * 8);
        }
    }

    #[test]
    fn settings_from_before_there_were_strong_views_stay_as_they_are() {
        let weak = serde_json::to_value(Augment::weak()).unwrap();
        assert!(weak.get("strong").is_none());
        assert_eq!(serde_json::from_value::<Augment>(weak).unwrap(), Augment::weak());
        let strong = serde_json::to_value(Augment::strong()).unwrap();
        assert_eq!(serde_json::from_value::<Augment>(strong).unwrap(), Augment::strong());
    }

    #[test]
    fn degenerate_views_do_not_panic() {
        for edge in [0, 1, 2] {
            let mut view =
                Plane { width: edge, height: edge, pixels: vec![0.4; (edge * edge) as usize] };
            for operation in OPERATIONS {
                operation.apply(&mut view, 0.9, -1.0);
            }
            RandAugment::fixmatch().apply(&mut view, &mut stream(0, "t", &[]));
            assert_eq!(view.pixels.len(), (edge * edge) as usize);
        }
    }
}
