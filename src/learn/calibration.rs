//! Temperature scaling (Guo et al., ICML 2017, section 4.2) fitted on out-of-fold predictions.

/// Bounds of the temperature; beyond them probabilities are one-hot or even, and the labels too few to say so.
const BOUNDS: (f64, f64) = (0.1, 10.0);
/// Steps of the golden-section search: the interval shrinks to 1e-9 of its length.
const STEPS: usize = 44;

/// Returns the temperature with the least log-loss of `probabilities` (row-major, one row a film) against `truth`;
/// above 1 they were too sure, below 1 not sure enough. 1 without films.
///
/// A class of `n` films is taught with probability `(n + 1) / (n + 2)`, the others share the rest, as Platt scaling does
/// (Platt 1999, section 2.2): a few films told apart without error would otherwise ask for a temperature of 0.
pub fn fit_temperature(probabilities: &[f32], truth: &[usize], classes: usize) -> f64 {
    if truth.is_empty() || classes < 2 {
        return 1.0;
    }
    let logs: Vec<f64> = probabilities.iter().map(|&p| f64::from(p).max(1e-12).ln()).collect();
    let mut counts = vec![0usize; classes];
    for &class in truth {
        counts[class] += 1;
    }
    let sure = |class: usize| (counts[class] as f64 + 1.0) / (counts[class] as f64 + 2.0);
    let loss = |log_temperature: f64| -> f64 {
        let scale = (-log_temperature).exp();
        let of_film = |(row, &class): (&[f64], &usize)| {
            let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = row.iter().map(|z| ((z - top) * scale).exp()).sum();
            let target = sure(class);
            let other = (1.0 - target) / (classes - 1) as f64;
            let wanted = |k: usize| if k == class { target } else { other };
            let cross: f64 = row.iter().enumerate().map(|(k, z)| wanted(k) * (z - top)).sum();
            total.ln() - scale * cross
        };
        logs.chunks_exact(classes).zip(truth).map(of_film).sum()
    };
    golden_section(loss, BOUNDS.0.ln(), BOUNDS.1.ln()).exp()
}

/// Raises probabilities to `1 / temperature` and normalises them, row by row.
pub fn apply_temperature(probabilities: &mut [f32], classes: usize, temperature: f32) {
    for row in probabilities.chunks_exact_mut(classes) {
        for p in &mut *row {
            *p = p.max(1e-12).powf(temperature.recip());
        }
        let sum: f32 = row.iter().sum();
        for p in row {
            *p /= sum;
        }
    }
}

/// Returns the minimum of a function with a single one between `low` and `high`.
///
/// The loss is convex in the inverse temperature, so in its logarithm it falls and then rises.
fn golden_section(function: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_a, mut at_b) = (function(a), function(b));
    for _ in 0..STEPS {
        if at_a < at_b {
            (high, b, at_b) = (b, a, at_a);
            a = high - ratio * (high - low);
            at_a = function(a);
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = low + ratio * (high - low);
            at_b = function(b);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    /// A network that is 1 / T times too sure is cooled by T: 4,000 films whose classes are drawn from the probabilities.
    #[test]
    fn finds_the_temperature_that_was_applied() {
        for temperature in [0.5_f32, 2.0, 3.0] {
            let mut random = rng::stream(9, "films", &[]);
            let mut probabilities = Vec::new();
            let mut truth = Vec::new();
            for _ in 0..4000 {
                let p = rng::uniform(&mut random, 0.02, 0.98);
                truth.push(usize::from(rng::unit(&mut random) < p));
                probabilities.extend([1.0 - p, p]);
            }
            apply_temperature(&mut probabilities, 2, temperature.recip());
            let found = fit_temperature(&probabilities, &truth, 2) as f32;
            assert!((found / temperature - 1.0).abs() < 0.08, "{found} and not {temperature}");
        }
    }

    /// The minimum that `scipy.optimize.minimize_scalar` (SciPy 1.17.1) finds for the same loss over log T.
    #[test]
    fn agrees_with_scipy() {
        let probabilities = [
            0.7, 0.2, 0.1, 0.05, 0.9, 0.05, 0.3, 0.3, 0.4, 0.6, 0.3, 0.1, 0.1, 0.1, 0.8, 0.25, 0.5,
            0.25,
        ];
        let found = fit_temperature(&probabilities, &[0, 1, 0, 1, 2, 1], 3);
        assert!((found - 1.351_426_2).abs() < 1e-4, "{found}");
    }

    /// Without the smoothed targets the temperature would be at its lower bound.
    #[test]
    fn a_few_films_told_apart_do_not_make_it_certain() {
        let found = fit_temperature(&[0.9, 0.1, 0.1, 0.9, 0.8, 0.2, 0.2, 0.8], &[0, 1, 0, 1], 2);
        assert!(found > 0.5, "{found}");
        assert_eq!(fit_temperature(&[], &[], 2), 1.0);
    }

    #[test]
    fn a_temperature_follows_the_closed_form() {
        let mut probabilities = vec![0.8, 0.2, 0.5, 0.5];
        apply_temperature(&mut probabilities, 2, 0.5);
        for (found, expected) in probabilities.iter().zip([0.64 / 0.68, 0.04 / 0.68, 0.5, 0.5]) {
            assert!((found - expected).abs() < 1e-6);
        }
    }
}
