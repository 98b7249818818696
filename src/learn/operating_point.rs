//! What a threshold on the probability of the positive class makes of a classifier: the confusion at one threshold, and
//! the ROC curve, which is all of them.

use super::metrics::{Estimate, wilson};

/// Films by what they are and by what a threshold calls them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatingPoint {
    /// Probability from which a film is called positive, in 0..=1.
    pub threshold: f32,
    /// Positive films that are called so.
    pub true_positives: usize,
    /// Other films that are called positive.
    pub false_positives: usize,
    /// Other films that are not called positive.
    pub true_negatives: usize,
    /// Positive films that are missed.
    pub false_negatives: usize,
}

impl OperatingPoint {
    /// Counts films whose score is at least `threshold` as called positive; a score that is no number never is.
    pub fn at(threshold: f32, scores: &[f32], positive: &[bool]) -> Self {
        let mut point = Self {
            threshold,
            true_positives: 0,
            false_positives: 0,
            true_negatives: 0,
            false_negatives: 0,
        };
        for (&score, &is_positive) in scores.iter().zip(positive) {
            let count = match (is_positive, score >= threshold) {
                (true, true) => &mut point.true_positives,
                (false, true) => &mut point.false_positives,
                (false, false) => &mut point.true_negatives,
                (true, false) => &mut point.false_negatives,
            };
            *count += 1;
        }
        point
    }

    /// Returns the number of films.
    pub const fn n(&self) -> usize {
        self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
    }

    /// Returns the share of films called what they are; Wilson interval, as of all shares here.
    pub fn accuracy(&self) -> Option<Estimate> {
        share(self.true_positives + self.true_negatives, self.n())
    }

    /// Returns the share of positive films called so; `None` without positive films.
    pub fn sensitivity(&self) -> Option<Estimate> {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// Returns the share of other films not called positive; `None` without others.
    pub fn specificity(&self) -> Option<Estimate> {
        share(self.true_negatives, self.true_negatives + self.false_positives)
    }

    /// Returns the share of films called positive that are; it depends on how common positive films are.
    pub fn positive_predictive_value(&self) -> Option<Estimate> {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Returns the share of films not called positive that are others; it too depends on how common they are.
    pub fn negative_predictive_value(&self) -> Option<Estimate> {
        share(self.true_negatives, self.true_negatives + self.false_negatives)
    }
}

fn share(of: usize, n: usize) -> Option<Estimate> {
    (n > 0).then(|| wilson(of, n))
}

/// A point of the ROC curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    /// Probability from which films are called positive; infinite at the first point, where none is.
    pub threshold: f32,
    /// Share of other films called positive.
    pub false_positive_rate: f64,
    /// Share of positive films called so.
    pub true_positive_rate: f64,
}

/// Returns the ROC curve, a point for each distinct score and one at the origin: scikit-learn's `roc_curve` with
/// `drop_intermediate=False`. Empty if either kind of film is absent.
pub fn roc_curve(scores: &[f32], positive: &[bool]) -> Vec<RocPoint> {
    let mut films: Vec<(f32, bool)> =
        scores.iter().copied().zip(positive.iter().copied()).filter(|f| !f.0.is_nan()).collect();
    films.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = films.iter().filter(|film| film.1).count();
    let others = films.len() - positives;
    if positives == 0 || others == 0 {
        return Vec::new();
    }
    let mut curve = vec![RocPoint {
        threshold: f32::INFINITY,
        false_positive_rate: 0.0,
        true_positive_rate: 0.0,
    }];
    let (mut hits, mut alarms) = (0usize, 0usize);
    for group in films.chunk_by(|a, b| a.0 == b.0) {
        hits += group.iter().filter(|film| film.1).count();
        alarms += group.iter().filter(|film| !film.1).count();
        curve.push(RocPoint {
            threshold: group[0].0,
            false_positive_rate: alarms as f64 / others as f64,
            true_positive_rate: hits as f64 / positives as f64,
        });
    }
    curve
}

/// Returns the threshold of the curve with the largest sum of sensitivity and specificity (Youden 1950), the highest of
/// equals; `None` for an empty curve.
///
/// It is chosen on the films that it is shown on, so that the figures there are flattering.
pub fn youden_threshold(curve: &[RocPoint]) -> Option<f32> {
    let gain = |point: &RocPoint| point.true_positive_rate - point.false_positive_rate;
    // Rates are quotients: equal sums may differ in their last digit.
    let better = |best: RocPoint, next: RocPoint| {
        if gain(&next) > gain(&best) + 1e-12 { next } else { best }
    };
    let finite = curve.iter().copied().filter(|point| point.threshold.is_finite());
    finite.reduce(better).map(|point| point.threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn films() -> (Vec<f32>, Vec<bool>) {
        let score = |i: usize| ((i * 37) % 23) as f32 / 22.0;
        let positive = |i: usize| (i * 37) % 23 + (i % 5) * 3 > 17;
        ((0..30).map(score).collect(), (0..30).map(positive).collect())
    }

    #[test]
    fn the_curve_is_scikit_learns() {
        // scikit-learn 1.9.1: roc_curve(y, s, drop_intermediate=False); every second point.
        let golden = [
            (0.0, 0.0, f64::INFINITY),
            (0.0, 2.0 / 15.0, 0.954_545),
            (0.0, 5.0 / 15.0, 0.863_636),
            (0.0, 7.0 / 15.0, 0.772_727),
            (0.0, 10.0 / 15.0, 0.681_818),
            (1.0 / 15.0, 12.0 / 15.0, 0.590_909),
            (1.0 / 15.0, 14.0 / 15.0, 0.5),
            (3.0 / 15.0, 1.0, 0.409_091),
            (5.0 / 15.0, 1.0, 0.318_182),
            (8.0 / 15.0, 1.0, 0.227_273),
            (10.0 / 15.0, 1.0, 0.136_364),
            (13.0 / 15.0, 1.0, 0.045_455),
        ];
        let (scores, positive) = films();
        let curve = roc_curve(&scores, &positive);
        assert_eq!(curve.len(), 24);
        for (point, (alarms, hits, threshold)) in curve.iter().step_by(2).zip(golden) {
            assert!((point.false_positive_rate - alarms).abs() < 1e-9, "{point:?}");
            assert!((point.true_positive_rate - hits).abs() < 1e-9, "{point:?}");
            let threshold_is = f64::from(point.threshold);
            assert!(threshold_is == threshold || (threshold_is - threshold).abs() < 1e-6);
        }
        assert_eq!(youden_threshold(&curve), Some(0.5));
    }

    #[test]
    fn counts_at_a_threshold_are_scikit_learns_and_lie_on_the_curve() {
        // scikit-learn 1.9.1: confusion_matrix(y, s >= 0.5) is [[14, 1], [1, 14]].
        let (scores, positive) = films();
        let point = OperatingPoint::at(0.5, &scores, &positive);
        let counts = [
            point.true_negatives,
            point.false_positives,
            point.false_negatives,
            point.true_positives,
        ];
        assert_eq!(counts, [14, 1, 1, 14]);
        for on_curve in roc_curve(&scores, &positive) {
            let point = OperatingPoint::at(on_curve.threshold, &scores, &positive);
            assert_eq!(point.sensitivity().unwrap().value, on_curve.true_positive_rate);
            let specificity = point.specificity().unwrap().value;
            assert!((1.0 - specificity - on_curve.false_positive_rate).abs() < 1e-12);
        }
    }

    #[test]
    fn of_one_kind_of_film_there_is_no_curve() {
        assert!(roc_curve(&[0.1, 0.9], &[true, true]).is_empty());
        assert_eq!(youden_threshold(&[]), None);
        // 2/3 - 0 and 1 - 1/3.
        let tied =
            roc_curve(&[0.1, 0.3, 0.45, 0.55, 0.7, 0.9], &[false, false, true, false, true, true]);
        assert_eq!(youden_threshold(&tied), Some(0.7));
        let point = OperatingPoint::at(0.5, &[0.1, f32::NAN], &[true, true]);
        assert_eq!((point.false_negatives, point.specificity()), (2, None));
        assert_eq!(point.positive_predictive_value(), None);
    }
}
