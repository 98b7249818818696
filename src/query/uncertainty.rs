//! Uncertainty of a film from its class probabilities (Settles, Active Learning Literature Survey, 2009, §3.1).
//!
//! In a task of two classes all three order films alike, since each is a monotone function of `|p - 1/2|`. There films are
//! ordered by the margin for all three: near even probabilities, where those that matter lie, the entropy is flat, so that
//! rounding, not the model, would choose.

use super::pool::{Pool, Ranked};
use super::reason::Reason;

/// Ranks all candidates of `pool`, the least confident first.
pub(crate) fn rank_by_least_confidence(pool: &Pool<'_>) -> Vec<Ranked> {
    by_urgency(pool, |probabilities| {
        let score = least_confidence(probabilities);
        let urgency = if probabilities.len() == 2 { -margin(probabilities) } else { score };
        (urgency, score, Reason::LeastConfidence { confidence: 1.0 - score })
    })
}

/// Ranks all candidates of `pool`, the smallest margin first.
pub(crate) fn rank_by_margin(pool: &Pool<'_>) -> Vec<Ranked> {
    by_urgency(pool, |probabilities| {
        let margin = margin(probabilities);
        (-margin, margin, Reason::Margin { margin })
    })
}

/// Ranks all candidates of `pool`, the largest entropy first.
pub(crate) fn rank_by_entropy(pool: &Pool<'_>) -> Vec<Ranked> {
    by_urgency(pool, |probabilities| {
        let nats = entropy(probabilities);
        let urgency = if probabilities.len() == 2 { -margin(probabilities) } else { nats };
        (urgency, nats, Reason::Entropy { nats })
    })
}

/// Ranks all candidates by what their probabilities come to: urgency, score and reason.
fn by_urgency(pool: &Pool<'_>, measure: impl Fn(&[f32]) -> (f32, f32, Reason)) -> Vec<Ranked> {
    pool.by_urgency(pool.candidates.iter().map(|&index| {
        let (urgency, score, reason) = measure(pool.probabilities_of(index));
        (urgency, Ranked { index, score, reason })
    }))
}

/// Returns one less the largest probability; NaN if any value is NaN.
pub fn least_confidence(probabilities: &[f32]) -> f32 {
    1.0 - top_two(probabilities).0
}

/// Returns the largest probability less the second largest: small means unsure; NaN if any value is NaN.
pub fn margin(probabilities: &[f32]) -> f32 {
    let (first, second) = top_two(probabilities);
    first - second
}

/// Returns the entropy in nats, 0 log 0 being 0; NaN if any value is NaN.
pub fn entropy(probabilities: &[f32]) -> f32 {
    if probabilities.is_empty() {
        return f32::NAN;
    }
    let term = |&p: &f32| if p == 0.0 { 0.0 } else { f64::from(p) * f64::from(p).ln() };
    -probabilities.iter().map(term).sum::<f64>() as f32
}

fn top_two(probabilities: &[f32]) -> (f32, f32) {
    if probabilities.is_empty() || probabilities.iter().any(|p| p.is_nan()) {
        return (f32::NAN, f32::NAN);
    }
    probabilities.iter().fold((0.0, 0.0), |(first, second), &p| {
        if p > first { (p, first) } else { (first, p.max(second)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn published_values() {
        // scikit-activeml, pool/tests/test_uncertainty_sampling.py; its margin is one less ours.
        let table =
            [([0.2, 0.5, 0.3], 0.5, 0.2, 1.029_653), ([0.1, 0.7, 0.2], 0.3, 0.5, 0.801_818_55)];
        for (p, least, gap, nats) in table {
            assert_abs_diff_eq!(least_confidence(&p), least, epsilon = 1e-6);
            assert_abs_diff_eq!(margin(&p), gap, epsilon = 1e-6);
            assert_abs_diff_eq!(entropy(&p), nats, epsilon = 1e-6);
        }
    }

    #[test]
    fn binary_values() {
        let table = [
            ([0.2, 0.8], 0.2, 0.6, 0.500_402_4),
            ([0.5, 0.5], 0.5, 0.0, std::f32::consts::LN_2),
            ([0.9, 0.1], 0.1, 0.8, 0.325_082_97),
            ([1.0, 0.0], 0.0, 1.0, 0.0),
        ];
        for (p, least, gap, nats) in table {
            assert_abs_diff_eq!(least_confidence(&p), least, epsilon = 1e-6);
            assert_abs_diff_eq!(margin(&p), gap, epsilon = 1e-6);
            assert_abs_diff_eq!(entropy(&p), nats, epsilon = 1e-6);
        }
    }

    #[test]
    fn not_a_number_stays_visible() {
        for p in [[f32::NAN, 0.5], [0.5, f32::NAN]] {
            assert!(least_confidence(&p).is_nan() && margin(&p).is_nan() && entropy(&p).is_nan());
        }
        assert!(margin(&[]).is_nan() && entropy(&[]).is_nan());
    }
}
