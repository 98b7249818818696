use super::*;
use crate::rng::stream;

fn ramp(width: u32, height: u32) -> Plane {
    let value = |i: u32| {
        0.2 + 0.6 * ((i % width) as f32 / width as f32 + (i / width) as f32 / height as f32) / 2.0
    };
    Plane { width, height, pixels: (0..width * height).map(value).collect() }
}

fn noise(size: u32, seed: u64) -> Plane {
    let mut rng = stream(seed, "noise", &[]);
    Plane { width: size, height: size, pixels: (0..size * size).map(|_| unit(&mut rng)).collect() }
}

#[test]
fn no_augmentation_is_the_identity() {
    let source = noise(33, 0);
    let view = Augment::none().apply(&source, 33, &mut stream(0, "t", &[]));
    for (a, b) in view.pixels.iter().zip(&source.pixels) {
        assert!((a - b).abs() < 1e-5);
    }
}

#[test]
fn a_certain_flip_mirrors() {
    let source = noise(8, 1);
    let view = Augment { flip: 1.0, ..Augment::none() }.apply(&source, 8, &mut stream(0, "t", &[]));
    for (i, pixel) in view.pixels.iter().enumerate() {
        assert!((pixel - source.pixels[i / 8 * 8 + 7 - i % 8]).abs() < 1e-5);
    }
}

#[test]
fn a_quarter_turn_moves_the_corner() {
    let mut source = Plane { width: 9, height: 9, pixels: vec![0.0; 81] };
    source.pixels[0] = 1.0;
    let (w, h) = (9.0, 9.0);
    let quarter = View { centre: (4.5, 4.5), right: (0.0, w), down: (-h, 0.0) };
    // The view's x axis runs down the source and its y axis to the left: the top-left corner lands bottom-left.
    let lit: Vec<usize> = (0..81).filter(|&i| quarter.sample(&source, 9).pixels[i] > 0.5).collect();
    assert_eq!(lit, [72]);
}

#[test]
fn what_lies_outside_the_film_is_black() {
    let white = Plane { width: 10, height: 10, pixels: vec![1.0; 100] };
    let beyond = View { centre: (10.0, 5.0), right: (10.0, 0.0), down: (0.0, 10.0) };
    let view = beyond.sample(&white, 10);
    for (i, &pixel) in view.pixels.iter().enumerate() {
        assert_eq!(pixel, if i % 10 < 5 { 1.0 } else { 0.0 }, "{i}");
    }
}

#[test]
fn sampling_agrees_with_a_slow_reference() {
    let source = noise(24, 2);
    let view = View { centre: (11.0, 13.0), right: (17.0, 4.0), down: (-5.0, 15.0) };
    let fast = view.sample(&source, 16);
    let at = |x: f64, y: f64| {
        f64::from(source.pixels[(y.clamp(0.0, 23.0) * 24.0 + x.clamp(0.0, 23.0)) as usize])
    };
    for (i, &pixel) in fast.pixels.iter().enumerate() {
        let (u, v) = (((i % 16) as f64 + 0.5) / 16.0 - 0.5, ((i / 16) as f64 + 0.5) / 16.0 - 0.5);
        let (x, y) = (11.0 + 17.0 * u - 5.0 * v - 0.5, 13.0 + 4.0 * u + 15.0 * v - 0.5);
        let (fx, fy) = (x - x.floor(), y - y.floor());
        let (x, y) = (x.floor(), y.floor());
        let expected = (1.0 - fy) * ((1.0 - fx) * at(x, y) + fx * at(x + 1.0, y))
            + fy * ((1.0 - fx) * at(x, y + 1.0) + fx * at(x + 1.0, y + 1.0));
        assert!((f64::from(pixel) - expected).abs() < 1e-4, "{i}: {pixel} {expected}");
    }
}

#[test]
fn crops_keep_the_area_and_ratio_that_they_are_given() {
    let mut rng = stream(3, "crop", &[]);
    let n = 40_000;
    let boxes: Vec<(f32, f32)> =
        (0..n).map(|_| draw_box((0.5, 1.0), (0.75, 4.0 / 3.0), &mut rng)).collect();
    for &(w, h) in &boxes {
        assert!(w <= 1.0 && h <= 1.0 && (0.499..=1.0001).contains(&(w * h)));
        assert!((0.749..1.334).contains(&(w / h)));
    }
    // Fitting w = sqrt(a r) and h = sqrt(a / r) into the whole needs |ln r| <= -ln a. With L = ln(4/3), area a is
    // therefore kept in proportion to min(L, -ln a) / L; the mean area follows by integrating over 0.5..1.
    let keep = |a: f64| (-a.ln()).min((4.0f64 / 3.0).ln());
    let steps = 100_000;
    let points = (0..steps).map(|i| 0.5 + 0.5 * (f64::from(i) + 0.5) / f64::from(steps));
    let (mass, moment) =
        points.fold((0.0, 0.0), |(mass, moment), a| (mass + keep(a), moment + a * keep(a)));
    let mean = boxes.iter().map(|&(w, h)| f64::from(w * h)).sum::<f64>() / f64::from(n);
    assert!((mean - moment / mass).abs() < 0.003, "{mean} {}", moment / mass);
    let tilt = boxes.iter().map(|&(w, h)| f64::from(w / h).ln()).sum::<f64>() / f64::from(n);
    assert!(tilt.abs() < 0.004, "{tilt}");
    assert_eq!(draw_box((1.5, 2.0), (1.0, 1.0), &mut rng), (1.0, 1.0));
}

#[test]
fn brightness_and_contrast_follow_their_formulas() {
    let mut pixels = [0.1, 0.5, 0.9];
    brighten(&mut pixels, 1.4);
    assert!(pixels.iter().zip([0.14, 0.7, 1.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{pixels:?}");
    let mut pixels = [0.2, 0.4, 0.9];
    stretch_contrast(&mut pixels, 0.6);
    assert!(pixels.iter().zip([0.32, 0.44, 0.74]).all(|(a, b)| (a - b).abs() < 1e-6), "{pixels:?}");
    stretch_contrast(&mut pixels, 0.0);
    assert!(pixels.iter().all(|pixel| (pixel - 0.5).abs() < 1e-6));
}

#[test]
fn jitter_happens_as_often_as_asked_and_in_both_orders() {
    let source = ramp(12, 12);
    let augment = Augment { jitter: 0.8, brightness: 0.4, contrast: 0.4, ..Augment::none() };
    let plain = Augment::none().apply(&source, 12, &mut stream(0, "t", &[]));
    let n = 4000;
    let changed = (0..n)
        .filter(|&i| augment.apply(&source, 12, &mut stream(0, "jitter", &[i])) != plain)
        .count();
    assert!((changed as f64 / n as f64 - 0.8).abs() < 0.025, "{changed}");
}

#[test]
fn blur_taps_match_the_reference() {
    // torchvision's and SimCLR's kernels for a standard deviation of 1 and 7 taps.
    let golden = [0.004_433_048, 0.054_005_583, 0.242_036_23, 0.399_050_28];
    let taps = taps(7, 1.0);
    for (i, expected) in golden.into_iter().enumerate() {
        assert!(
            (taps[i] - expected).abs() < 1e-7 && (taps[6 - i] - expected).abs() < 1e-7,
            "{taps:?}"
        );
    }
}

#[test]
fn blur_agrees_with_a_slow_reference() {
    for (width, height, count) in [(13u32, 9u32, 5usize), (3, 4, 9), (6, 6, 1)] {
        let source = ramp(width, height);
        let taps = taps(count, 1.3);
        let mut fast = source.clone();
        gaussian_blur(&mut fast, &taps);
        let radius = count as i64 / 2;
        for y in 0..i64::from(height) {
            for x in 0..i64::from(width) {
                let mut expected = 0.0;
                for (j, i) in (0..count).flat_map(|j| (0..count).map(move |i| (j, i))) {
                    let (sx, sy) = (x + i as i64 - radius, y + j as i64 - radius);
                    if (0..i64::from(width)).contains(&sx) && (0..i64::from(height)).contains(&sy) {
                        let pixel = source.pixels[(sy * i64::from(width) + sx) as usize];
                        expected += f64::from(taps[i]) * f64::from(taps[j]) * f64::from(pixel);
                    }
                }
                let pixel = fast.pixels[(y * i64::from(width) + x) as usize];
                assert!((f64::from(pixel) - expected).abs() < 1e-6, "{x} {y}");
            }
        }
    }
}

#[test]
fn views_stay_in_range_and_repeat_with_their_stream() {
    let source = noise(48, 5);
    let augment = Augment { translate: 0.1, ..Augment::simclr() };
    let mut views = Vec::new();
    for key in 0..200 {
        let view = augment.apply(&source, 32, &mut stream(1, "augment", &[key]));
        assert!(
            view.pixels.len() == 1024
                && view.pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel))
        );
        assert_eq!(view, augment.apply(&source, 32, &mut stream(1, "augment", &[key])));
        views.push(view);
    }
    assert!(views.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn degenerate_planes_and_sizes_do_not_panic() {
    for (width, height, size) in [(1, 1, 1), (1, 7, 4), (7, 1, 9), (2, 2, 0)] {
        let plane = Plane { width, height, pixels: vec![0.5; (width * height) as usize] };
        let augment = Augment { blur: 1.0, ..Augment::simclr() };
        assert_eq!(
            augment.apply(&plane, size, &mut stream(0, "t", &[])).pixels.len(),
            (size * size) as usize
        );
    }
}

/// Values of torchvision v2, made by `tests/golden/objectives.py`.
#[test]
fn brightness_contrast_and_blur_match_torchvision() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/objectives.json")).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
    };
    let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
    let image = &golden["image"];
    let (width, height) = (16_u32, 14_u32);
    let source = Plane { width, height, pixels: numbers(&image["pixels"]) };
    for name in ["brightness", "contrast"] {
        for case in image[name].as_array().unwrap() {
            let mut pixels = source.pixels.clone();
            let factor = number(&case[0]);
            if name == "contrast" {
                stretch_contrast(&mut pixels, factor);
            } else {
                brighten(&mut pixels, factor);
            }
            for (found, expected) in pixels.iter().zip(numbers(&case[1])) {
                assert!((found - expected).abs() < 1e-6, "{name} {case}: {found} {expected}");
            }
        }
    }
    for case in image["blur"].as_array().unwrap() {
        let count = number(&case[0]) as usize;
        let mut plane = source.clone();
        gaussian_blur(&mut plane, &taps(count, number(&case[1])));
        let expected = numbers(&case[2]);
        // Torchvision mirrors at the edges, as SimCLR's code does not: the inside is compared.
        let margin = count / 2;
        for y in margin..height as usize - margin {
            for x in margin..width as usize - margin {
                let place = y * width as usize + x;
                let (found, expected) = (plane.pixels[place], expected[place]);
                assert!((found - expected).abs() < 1e-6, "{count} {x} {y}: {found} {expected}");
            }
        }
    }
}

/// The image of `tests/golden/views.py`.
fn formula() -> Plane {
    let value = |i: u32| {
        let (x, y) = (i % 64, i / 64);
        ((7 * x * x + 13 * y + 3 * x * y) % 251) as f32 / 250.0
    };
    Plane { width: 64, height: 64, pixels: (0..64 * 64).map(value).collect() }
}

/// Compares each 29th pixel that `inside` keeps, by column and row, with torchvision's.
fn matches_torchvision(name: &str, view: &Plane, inside: impl Fn(f32, f32) -> bool) {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/views.json")).unwrap();
    let expected = golden[name].as_array().unwrap();
    assert_eq!(expected.len(), view.pixels.len().div_ceil(29));
    let mut compared = 0;
    for (i, expected) in (0..).step_by(29).zip(expected) {
        let (x, y) = (i as u32 % view.width, i as u32 / view.width);
        if inside(x as f32, y as f32) {
            let (found, expected) = (view.pixels[i], expected.as_f64().unwrap() as f32);
            assert!((found - expected).abs() < 2e-5, "{name} {x} {y}: {found} {expected}");
            compared += 1;
        }
    }
    assert!(compared > expected.len() / 2);
}

#[test]
fn crops_flips_and_turns_match_torchvision() {
    let source = formula();
    let view = |centre, right, down, size| View { centre, right, down }.sample(&source, size);
    let crop = view((35.0, 25.0), (52.0, 0.0), (0.0, 40.0), 32);
    matches_torchvision("crop", &crop, |_, _| true);
    let flip = view((32.0, 32.0), (-64.0, 0.0), (0.0, 64.0), 64);
    matches_torchvision("flip", &flip, |_, _| true);
    let (sin, cos) = 10.0_f32.to_radians().sin_cos();
    let turned = view((32.0, 32.0), (64.0 * cos, 64.0 * sin), (-64.0 * sin, 64.0 * cos), 64);
    // At the border torchvision fades to black over a pixel, where here the last pixel holds: the inside is compared.
    matches_torchvision("rotate", &turned, |x, y| (x - 31.5).hypot(y - 31.5) < 30.0);
}

/// Greatest distance between the distribution of `values` and the one of `density` on `low..high`.
fn kolmogorov_smirnov(
    mut values: Vec<f64>,
    low: f64,
    high: f64,
    density: impl Fn(f64) -> f64,
) -> f64 {
    values.sort_by(f64::total_cmp);
    let steps = 20_000;
    let width = (high - low) / f64::from(steps);
    let masses: Vec<f64> =
        (0..steps).map(|i| density(low + (f64::from(i) + 0.5) * width)).collect();
    let whole: f64 = masses.iter().sum();
    let (mut below, mut passed, mut worst) = (0.0, 0, 0.0_f64);
    for (i, mass) in masses.iter().enumerate() {
        below += mass / whole;
        let end = low + (i + 1) as f64 * width;
        while passed < values.len() && values[passed] < end {
            passed += 1;
        }
        worst = worst.max((passed as f64 / values.len() as f64 - below).abs());
    }
    worst
}

/// A box of area a and ratio r fits where |ln r| ≤ −ln a: areas have the density of min(ln 4/3, −ln a), and logarithms u
/// of ratios that of e^−|u| − ½.
#[test]
fn areas_and_ratios_of_crops_have_the_distribution_of_what_fits() {
    let mut rng = stream(8, "crop", &[]);
    let boxes: Vec<(f64, f64)> = (0..40_000)
        .map(|_| draw_box((0.5, 1.0), (0.75, 4.0 / 3.0), &mut rng))
        .map(|(w, h)| (f64::from(w), f64::from(h)))
        .collect();
    let bound = (4.0_f64 / 3.0).ln();
    let areas = boxes.iter().map(|(w, h)| w * h).collect();
    let area = kolmogorov_smirnov(areas, 0.5, 1.0, |a| bound.min(-a.ln()));
    let ratios = boxes.iter().map(|(w, h)| (w / h).ln()).collect();
    let ratio = kolmogorov_smirnov(ratios, -bound, bound, |u| (-u.abs()).exp() - 0.5);
    // One sample in a hundred of this size is further off.
    let limit = 1.628 / (boxes.len() as f64).sqrt();
    assert!(area < limit && ratio < limit, "{area} {ratio} {limit}");
}
