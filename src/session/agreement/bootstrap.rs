//! Intervals by resampling.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::rng;

/// Resamples of an interval.
const RESAMPLES: u64 = 1000;

/// A figure with the interval that holds it with a confidence of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Items that are resampled together, as films of one patient: what they say is not independent.
#[derive(Clone, Debug)]
pub(super) struct Clusters<T> {
    clusters: Vec<Vec<T>>,
}

impl<T> Clusters<T> {
    /// Puts items with the same key together.
    pub(super) fn new<K: Ord>(items: impl Iterator<Item = (K, T)>) -> Self {
        let mut clusters = BTreeMap::<K, Vec<T>>::new();
        items.for_each(|(key, item)| clusters.entry(key).or_default().push(item));
        Self { clusters: clusters.into_values().collect() }
    }

    /// Returns the number of items.
    pub(super) fn len(&self) -> usize {
        self.clusters.iter().map(Vec::len).sum()
    }

    /// Adds those of another set, which stay apart from these.
    pub(super) fn with(mut self, others: Self) -> Self {
        self.clusters.extend(others.clusters);
        self
    }

    /// Returns the items.
    pub(super) fn all(&self) -> Vec<&T> {
        self.clusters.iter().flatten().collect()
    }

    fn drawn(&self, random: &mut ChaCha8Rng) -> Vec<&T> {
        let n = self.clusters.len();
        (0..n).flat_map(|_| &self.clusters[rng::below(random, n)]).collect()
    }

    /// Returns a figure of the items with its percentile interval; `None` where it is undefined. Resamples in which it is
    /// undefined are left out.
    pub(super) fn estimate(&self, figure: impl Fn(&[&T]) -> Option<f64>) -> Option<Estimate> {
        let value = figure(&self.all())?;
        Some(interval(value, |random| figure(&self.drawn(random))))
    }

    /// Returns a figure of the items less the same figure of others, with its percentile interval.
    pub(super) fn difference(
        &self,
        others: &Self,
        figure: impl Fn(&[&T]) -> Option<f64>,
    ) -> Option<Estimate> {
        let value = figure(&self.all())? - figure(&others.all())?;
        let less = |random: &mut ChaCha8Rng| {
            Some(figure(&self.drawn(random))? - figure(&others.drawn(random))?)
        };
        Some(interval(value, less))
    }
}

/// The 2.5th and 97.5th percentile of resampled figures (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
/// 13.3).
fn interval(value: f64, resampled: impl Fn(&mut ChaCha8Rng) -> Option<f64>) -> Estimate {
    let draw = |resample| resampled(&mut rng::stream(0, "agreement", &[resample]));
    let mut figures: Vec<f64> = (0..RESAMPLES).filter_map(draw).collect();
    figures.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * figures.len().saturating_sub(1) as f64).round() as usize;
        figures.get(place).copied().unwrap_or(value)
    };
    Estimate { value, low: at(0.025), high: at(0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(items: &[&f64]) -> Option<f64> {
        (!items.is_empty()).then(|| items.iter().copied().sum::<f64>() / items.len() as f64)
    }

    fn clusters(n: u32, each: u32) -> Clusters<f64> {
        let value = |item: u32| f64::from((item / each) % 2);
        Clusters::new((0..n).map(|item| (item / each, value(item))))
    }

    #[test]
    fn the_interval_of_a_mean_has_the_width_of_theory() {
        // Standard error of a share of one half among 400: 0.025, so ±0.049.
        let estimate = clusters(400, 1).estimate(mean).unwrap();
        assert!((estimate.value - 0.5).abs() < 1e-12, "{estimate:?}");
        let half = (estimate.high - estimate.low) / 2.0;
        assert!((half - 0.049).abs() < 0.006, "{estimate:?}");
        // Four films a patient that are all alike tell as much as one.
        let estimate = clusters(400, 4).estimate(mean).unwrap();
        let half = (estimate.high - estimate.low) / 2.0;
        assert!((half - 0.098).abs() < 0.012, "{estimate:?}");
    }

    #[test]
    fn a_difference_adds_both_variances_and_nothing_has_no_figure() {
        let estimate = clusters(400, 1).difference(&clusters(400, 1), mean).unwrap();
        let half = (estimate.high - estimate.low) / 2.0;
        assert!((half - 0.049 * 2.0_f64.sqrt()).abs() < 0.009, "{estimate:?}");
        assert_eq!(clusters(0, 1).estimate(mean), None);
        assert_eq!(clusters(4, 1).difference(&clusters(0, 1), mean), None);
    }
}
