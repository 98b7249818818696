//! Reliability diagrams: of the films that were given a probability, how many are what was said (Guo et al., ICML 2017),
//! and the calibration error with its interval.

use super::metrics::{
    Estimate, bootstrap, confidence_gaps, expected_calibration_error, percentile_interval, wilson,
};

/// Bins of the calibration error, as in [`super::metrics::Metrics`].
pub(super) const BINS: usize = 15;
/// Resamples behind its interval.
const RESAMPLES: usize = 1000;

/// A bin of the diagram with films in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReliabilityBin {
    /// Mean probability of the positive class.
    pub predicted: f64,
    /// Share of films that are positive; Wilson interval.
    pub observed: Estimate,
    /// Films.
    pub n: usize,
}

/// Returns the occupied ones of `bins` equal bins of the positive class's probability, lowest first: scikit-learn's
/// `calibration_curve` with `strategy="uniform"`, with intervals and counts.
pub fn reliability(scores: &[f32], positive: &[bool], bins: usize) -> Vec<ReliabilityBin> {
    let mut sums = vec![(0.0f64, 0usize, 0usize); bins.max(1)];
    for (&score, &is_positive) in scores.iter().zip(positive).filter(|film| !film.0.is_nan()) {
        let bin = (f64::from(score) * bins as f64) as usize;
        let (sum, positives, n) = &mut sums[bin.min(bins.max(1) - 1)];
        *sum += f64::from(score);
        *positives += usize::from(is_positive);
        *n += 1;
    }
    sums.into_iter()
        .filter(|&(_, _, n)| n > 0)
        .map(|(sum, positives, n)| ReliabilityBin {
            predicted: sum / n as f64,
            observed: wilson(positives, n),
            n,
        })
        .collect()
}

/// Returns the expected calibration error over 15 bins with a bootstrap interval over films.
///
/// The error is a sum of absolute gaps, which chance alone makes positive: on few films it is too high, and so is its
/// interval (Kumar, Liang and Ma, 2019, <https://arxiv.org/abs/1909.10155>, section 4).
pub fn calibration_error(probabilities: &[f32], truth: &[usize], class_count: usize) -> Estimate {
    let value = expected_calibration_error(probabilities, truth, class_count, BINS);
    let films: Vec<(usize, f64)> =
        confidence_gaps(probabilities, truth, class_count, BINS).collect();
    let resampled = bootstrap(films.len(), RESAMPLES, 0, |times| {
        let mut gaps = [0.0f64; BINS];
        for (&(bin, gap), &n) in films.iter().zip(times) {
            gaps[bin] += f64::from(n) * gap;
        }
        gaps.iter().map(|gap| gap.abs()).sum::<f64>() / films.len().max(1) as f64
    });
    percentile_interval(value, resampled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_scikit_learns() {
        let scores: Vec<f32> = (0..30).map(|i| ((i * 37) % 23) as f32 / 22.0).collect();
        let positive: Vec<bool> = (0..30).map(|i| (i * 37) % 23 + (i % 5) * 3 > 17).collect();
        // scikit-learn 1.9.1: calibration_curve(y, s, n_bins=5).
        let golden = [
            (0.071_428_57, 0.0),
            (0.281_818_19, 0.0),
            (0.492_424_24, 0.666_666_67),
            (0.689_393_94, 0.833_333_33),
            (0.901_515_16, 1.0),
        ];
        let bins = reliability(&scores, &positive, 5);
        assert_eq!(bins.len(), 5);
        assert_eq!(bins.iter().map(|bin| bin.n).sum::<usize>(), 30);
        for (bin, (predicted, observed)) in bins.iter().zip(golden) {
            assert!((bin.predicted - predicted).abs() < 1e-6, "{bin:?}");
            assert!((bin.observed.value - observed).abs() < 1e-6, "{bin:?}");
            assert!(bin.observed.low <= observed + 1e-8 && observed <= bin.observed.high + 1e-8);
        }
        assert!(reliability(&[], &[], 5).is_empty());
    }

    #[test]
    fn the_calibration_error_is_that_of_the_metrics_and_narrows_with_films() {
        let films = |n: usize| -> (Vec<f32>, Vec<usize>) {
            let p = |i: usize| 0.5 + 0.49 * ((i * 7 % 50) as f32 / 50.0);
            let rows = (0..n).flat_map(|i| [p(i), 1.0 - p(i)]).collect();
            (rows, (0..n).map(|i| usize::from(i % 3 == 0)).collect())
        };
        let of = |n| {
            let (rows, truth) = films(n);
            let error = calibration_error(&rows, &truth, 2);
            assert_eq!(error.value, expected_calibration_error(&rows, &truth, 2, 15));
            assert!(error.low <= error.value && error.value <= error.high);
            error.high - error.low
        };
        assert!(of(900) < 0.6 * of(100));
    }
}
