//! What further labels would buy: a power law through the errors so far, `error(n) = a + b n^-c`, which is what learning
//! curves follow (Hestness et al. 2017; for active learning on images Mahmood et al., CVPR 2022), with a bootstrap interval.

use super::metrics::{Estimate, bootstrap, percentile_interval};
use crate::rng;

/// Exponents that are tried: 0.05 to 2 in steps of 0.01.
const EXPONENTS: (usize, usize) = (5, 200);
/// Resamples behind an interval.
const RESAMPLES: usize = 400;
/// Points of the curve below which nothing is foreseen.
pub const FEWEST_POINTS: usize = 6;

/// A falling curve that levels off: the error after `n` labels is `floor + scale * n^-exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerLaw {
    /// Error that no number of labels goes below, at least zero.
    pub floor: f64,
    /// Error above it after one label, at least zero.
    pub scale: f64,
    /// How fast it falls, in 0.05..=2.
    pub exponent: f64,
}

impl PowerLaw {
    /// Fits the law to errors after numbers of labels by least squares; for each exponent of a grid the two other
    /// parameters have a closed form with bounds at zero. `None` for fewer than three points, or one that is no number.
    pub fn fit(labels: &[f64], errors: &[f64]) -> Option<Self> {
        let n = labels.len().min(errors.len());
        let usable = labels.iter().zip(errors).all(|(n, e)| *n >= 1.0 && e.is_finite());
        if n < 3 || !usable {
            return None;
        }
        let at = |exponent: f64| {
            let basis: Vec<f64> = labels.iter().map(|labels| labels.powf(-exponent)).collect();
            let (floor, scale) = non_negative_line(&basis, errors);
            let residual = |(x, y): (&f64, &f64)| (floor + scale * x - y).powi(2);
            let loss: f64 = basis.iter().zip(errors).map(residual).sum();
            (loss, Self { floor, scale, exponent })
        };
        let fits = (EXPONENTS.0..=EXPONENTS.1).map(|step| at(step as f64 / 100.0));
        fits.min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, law)| law)
    }

    /// Returns the error that the law gives after `labels` labels, one or more.
    pub fn error(&self, labels: f64) -> f64 {
        self.floor + self.scale * labels.max(1.0).powf(-self.exponent)
    }
}

/// Returns intercept and slope, both at least zero, with the least squared residuals.
fn non_negative_line(x: &[f64], y: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let spread: f64 = x.iter().map(|x| (x - mean_x).powi(2)).sum();
    let joint: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = if spread > 0.0 { joint / spread } else { 0.0 };
    if slope <= 0.0 {
        return (mean_y.max(0.0), 0.0);
    }
    let intercept = mean_y - slope * mean_x;
    if intercept >= 0.0 {
        return (intercept, slope);
    }
    // Through the origin.
    let squares: f64 = x.iter().map(|x| x * x).sum();
    (0.0, (x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / squares).max(0.0))
}

/// A curve measured on the same films at every point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasuredCurve {
    /// Labels at each point, ascending.
    pub labels: Vec<usize>,
    /// For each point, whether each film was classified wrongly.
    pub wrong: Vec<Vec<bool>>,
}

/// What further labels are foreseen to buy.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The law through the errors.
    pub law: PowerLaw,
    /// Labels so far.
    pub labels: usize,
    /// Films that the errors were counted on.
    pub films: usize,
    /// Error foreseen after so many labels, with its interval: at the points of the curve and beyond it.
    pub errors: Vec<(usize, Estimate)>,
    /// Further labels that are asked about.
    pub more: usize,
    /// By how much the error is foreseen to fall with them.
    pub gain: Estimate,
}

/// Foresees what `more` labels would buy; `None` for a curve of fewer than [`FEWEST_POINTS`] points or without films.
///
/// Each of 400 resamples draws films with replacement, the same ones at every point, and points of the curve with
/// replacement, and fits the law anew. The interval thus holds what the films leave open and how the curve wobbles, and
/// that the labels to come are chosen as those before; not that the law may not hold.
pub fn foresee(curve: &MeasuredCurve, more: usize, seed: u64) -> Option<Forecast> {
    let points = curve.labels.len();
    let films = curve.wrong.first().map_or(0, Vec::len);
    let now = *curve.labels.last()?;
    if points < FEWEST_POINTS || films == 0 || curve.wrong.iter().any(|w| w.len() != films) {
        return None;
    }
    let labels: Vec<f64> = curve.labels.iter().map(|&labels| labels as f64).collect();
    let errors_of = |times: Option<&[u32]>| -> Vec<f64> {
        let weight = |film: usize| times.map_or(1.0, |times| f64::from(times[film]));
        let sum = |wrong: &Vec<bool>| {
            wrong
                .iter()
                .enumerate()
                .filter(|(_, wrong)| **wrong)
                .map(|(film, _)| weight(film))
                .sum::<f64>()
        };
        curve.wrong.iter().map(|wrong| sum(wrong) / films as f64).collect()
    };
    let law = PowerLaw::fit(&labels, &errors_of(None))?;
    let mut resample = 0;
    let laws: Vec<PowerLaw> = bootstrap(films, RESAMPLES, seed, |times| {
        let errors = errors_of(Some(times));
        let mut draws = rng::stream(seed, "points of the curve", &[resample]);
        resample += 1;
        let drawn: Vec<usize> = (0..points).map(|_| rng::below(&mut draws, points)).collect();
        let pick = |from: &[f64]| drawn.iter().map(|&point| from[point]).collect::<Vec<_>>();
        PowerLaw::fit(&pick(&labels), &pick(&errors))
    })
    .into_iter()
    .flatten()
    .collect();
    let estimate = |figure: &dyn Fn(&PowerLaw) -> f64| {
        percentile_interval(figure(&law), laws.iter().map(figure).collect())
    };
    let ahead = [now + more / 2, now + more];
    let at = |&labels: &usize| (labels, estimate(&|law| law.error(labels as f64)));
    let gain = |law: &PowerLaw| law.error(now as f64) - law.error((now + more) as f64);
    Some(Forecast {
        law,
        labels: now,
        films,
        errors: curve.labels.iter().chain(&ahead).map(at).collect(),
        more,
        gain: estimate(&gain),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_is_scipys() {
        let labels = [10.0, 20.0, 40.0, 80.0, 160.0, 260.0];
        let errors = [0.31, 0.235, 0.171, 0.141, 0.118, 0.108];
        // SciPy 1.17.1: curve_fit(lambda n, a, b, c: a + b * n**-c, …) with the same bounds.
        let law = PowerLaw::fit(&labels, &errors).unwrap();
        assert!((law.floor - 0.074_684).abs() < 1e-3, "{law:?}");
        assert!((law.scale - 0.970_764).abs() < 1e-2, "{law:?}");
        assert!((law.exponent - 0.612_601).abs() < 0.005, "{law:?}");
        assert!((law.error(310.0) - 0.103_584).abs() < 2e-4, "{law:?}");
    }

    #[test]
    fn a_law_that_made_the_errors_is_found_and_one_that_rises_is_level() {
        let labels: Vec<f64> = (1..20).map(|n| 5.0 * f64::from(n)).collect();
        let made = PowerLaw { floor: 0.02, scale: 0.9, exponent: 0.75 };
        let errors: Vec<f64> = labels.iter().map(|&n| made.error(n)).collect();
        let found = PowerLaw::fit(&labels, &errors).unwrap();
        assert!((found.floor - 0.02).abs() < 1e-9 && (found.exponent - 0.75).abs() < 1e-9);
        let rising: Vec<f64> = labels.iter().map(|n| 0.001 * n).collect();
        let level = PowerLaw::fit(&labels, &rising).unwrap();
        assert_eq!(level.scale, 0.0);
        assert!((level.error(1.0) - level.error(900.0)).abs() < 1e-12);
        assert_eq!(PowerLaw::fit(&labels[..2], &errors[..2]), None);
        assert_eq!(PowerLaw::fit(&labels[..3], &[0.1, f64::NAN, 0.1]), None);
    }

    /// Curves drawn from a known law: the interval of the gain holds the law's gain mostly, and it is wider on fewer films.
    #[test]
    fn the_interval_holds_the_gain_that_the_law_has() {
        let law = PowerLaw { floor: 0.05, scale: 1.0, exponent: 0.6 };
        let curve = |films: usize, seed: u64| {
            let labels: Vec<usize> = (1..=12).map(|k| 10 * k).collect();
            // A film has one difficulty: errors at neighbouring points go together, as on real films.
            let mut draws = rng::stream(seed, "difficulty", &[]);
            let hard: Vec<f32> = (0..films).map(|_| rng::unit(&mut draws)).collect();
            let wrong = labels.iter().map(|&n| {
                let error = law.error(n as f64) as f32;
                hard.iter().map(|&h| h < error).collect()
            });
            MeasuredCurve { wrong: wrong.collect(), labels }
        };
        let gain = law.error(120.0) - law.error(170.0);
        let mut held = 0;
        for seed in 0..10 {
            let forecast = foresee(&curve(200, seed), 50, seed).unwrap();
            held += usize::from(forecast.gain.low <= gain && gain <= forecast.gain.high);
        }
        assert!(held >= 8, "{held} of 10");
        let width = |films| {
            let gain = foresee(&curve(films, 3), 50, 3).unwrap().gain;
            gain.high - gain.low
        };
        assert!(width(2000) < width(60));
        assert_eq!(foresee(&MeasuredCurve::default(), 50, 0), None);
    }
}
