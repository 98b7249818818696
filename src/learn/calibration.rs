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
    truth.iter().for_each(|&class| counts[class] += 1);
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
