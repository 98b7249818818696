//! Comparing ways of learning on the same evaluation films: differences with paired bootstrap intervals, McNemar's
//! test, and the area under a learning curve.

use crate::learn::metrics::{
    Estimate, MetricsError, RankedScores, bootstrap, check, percentile_interval,
};
use crate::stats::likeliest;

/// Resamples behind an interval.
const RESAMPLES: usize = 2000;
/// Seed of the resamples: all arms are resampled alike, which is what pairs them.
const SEED: u64 = 1;

/// What one run said of its evaluation films.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Number of each film among all evaluation films: runs on the same films have the same numbers.
    pub films: &'a [usize],
    /// Class of each film.
    pub truth: &'a [usize],
    /// Films x classes, row-major.
    pub probabilities: &'a [f32],
}

impl Run<'_> {
    /// Says of each film whether its likeliest class is the true one.
    fn correct(&self, class_count: usize) -> Vec<bool> {
        let rows = self.probabilities.chunks_exact(class_count);
        rows.zip(self.truth).map(|(row, &class)| likeliest(row) == class).collect()
    }
}

/// A figure and what it is on each resample of the patients; `None` where a resample leaves it undefined.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampled {
    /// The figure on the films as they are.
    pub value: Option<f64>,
    resamples: Vec<Option<f64>>,
}

impl Resampled {
    /// Returns by how much this figure is larger than `other`, with the 95 % percentile interval of the difference over
    /// the resamples, patient paired with patient (Efron and Tibshirani 1993, chapter 13); `None` where either is undefined,
    /// or nothing can be resampled, as where all films are of one patient.
    pub fn minus(&self, other: &Self) -> Option<Estimate> {
        let pairs = self.resamples.iter().zip(&other.resamples);
        let differences: Vec<f64> = pairs.filter_map(|(&a, &b)| Some(a? - b?)).collect();
        let value = self.value? - other.value?;
        (!differences.is_empty()).then(|| percentile_interval(value, differences))
    }
}

/// The runs of one way of learning at one budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Mean accuracy over the runs.
    pub accuracy: Resampled,
    /// Mean area under the ROC curve of the positive class over the runs; undefined where a run's is.
    pub auroc: Resampled,
}

impl Arm {
    /// Scores the runs on the films and on 2,000 resamples of the patients, whose numbers from 0 on `patients` holds for
    /// each film by its number.
    ///
    /// A resample draws patients with all their films, which are alike, with replacement (the cluster bootstrap; Field
    /// and Welsh, "Bootstrapping clustered data", 2007), and all runs of all arms see the same one: what is not resampled
    /// is the choice of labels and the optimisation, so an interval tells how far the patients leave the difference open
    /// for the runs as they were.
    ///
    /// # Errors
    /// When a run's parts do not fit together, a film has no patient, or a probability is not finite.
    pub fn of(
        runs: &[Run<'_>],
        patients: &[usize],
        class_count: usize,
        positive: usize,
    ) -> Result<Self, MetricsError> {
        let mut scored = Vec::with_capacity(runs.len());
        for run in runs {
            check(run.probabilities, run.truth, class_count, positive)?;
            let fits = run.films.len() == run.truth.len()
                && run.films.iter().all(|&film| film < patients.len());
            if !fits {
                let (probabilities, films) = (run.probabilities.len(), run.films.len());
                return Err(MetricsError::Shape { probabilities, films, class_count });
            }
            scored.push(Scored::new(run, class_count, positive));
        }
        let (mut of_films, mut local) = (Vec::new(), Vec::new());
        let mut score = |times: &[u32]| {
            of_films.clear();
            of_films.extend(patients.iter().map(|&patient| times[patient]));
            let figures = scored.iter().map(|run| run.score(&of_films, &mut local));
            mean_of_runs(figures.collect())
        };
        let patient_count = patients.iter().max().map_or(0, |&last| last + 1);
        let (accuracy, auroc) = score(&vec![1; patient_count]);
        // Every resample of one patient is that patient.
        let resamples = if patient_count > 1 { RESAMPLES } else { 0 };
        let resamples = bootstrap(patient_count, resamples, SEED, score);
        let (accuracies, aurocs) = resamples.into_iter().unzip();
        Ok(Self {
            accuracy: Resampled { value: accuracy, resamples: accuracies },
            auroc: Resampled { value: auroc, resamples: aurocs },
        })
    }
}

/// A run made ready to be scored on any resample in linear time.
struct Scored<'a> {
    films: &'a [usize],
    correct: Vec<bool>,
    ranked: RankedScores,
}

impl<'a> Scored<'a> {
    fn new(run: &Run<'a>, class_count: usize, positive: usize) -> Self {
        let scores: Vec<f32> =
            run.probabilities.iter().skip(positive).step_by(class_count).copied().collect();
        let is_positive: Vec<bool> = run.truth.iter().map(|&class| class == positive).collect();
        Self {
            films: run.films,
            correct: run.correct(class_count),
            ranked: RankedScores::new(&scores, &is_positive),
        }
    }

    /// Accuracy and AUROC with each film counted as often as `times` says.
    fn score(&self, times: &[u32], local: &mut Vec<u32>) -> (Option<f64>, Option<f64>) {
        local.clear();
        local.extend(self.films.iter().map(|&film| times[film]));
        let films: u32 = local.iter().sum();
        let right = local.iter().zip(&self.correct).filter(|&(_, &correct)| correct);
        let right: u32 = right.map(|(&n, _)| n).sum();
        let accuracy = (films > 0).then(|| f64::from(right) / f64::from(films));
        (accuracy, self.ranked.area(Some(local.as_slice())))
    }
}

fn mean_of_runs(figures: Vec<(Option<f64>, Option<f64>)>) -> (Option<f64>, Option<f64>) {
    let mean = |values: Option<Vec<f64>>| {
        let values = values.filter(|values| !values.is_empty())?;
        Some(values.iter().sum::<f64>() / values.len() as f64)
    };
    let (accuracies, aurocs): (Vec<_>, Vec<_>) = figures.into_iter().unzip();
    (mean(accuracies.into_iter().collect()), mean(aurocs.into_iter().collect()))
}

/// McNemar's test of two runs on the same films.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct McNemar {
    /// Films that only the first run got right.
    pub only_first: usize,
    /// Films that only the second run got right.
    pub only_second: usize,
    /// Chance of a split at least as uneven if both are right equally often.
    pub p: f64,
}

impl McNemar {
    /// Compares two runs, film by film, as if no two films were of one patient.
    ///
    /// # Errors
    /// When a run's parts do not fit together or the runs are not of the same films.
    pub fn of(a: &Run<'_>, b: &Run<'_>, class_count: usize) -> Result<Self, MetricsError> {
        for run in [a, b] {
            check(run.probabilities, run.truth, class_count, 0)?;
        }
        if a.films != b.films || a.truth != b.truth {
            let (probabilities, films) = (b.probabilities.len(), a.truth.len());
            return Err(MetricsError::Shape { probabilities, films, class_count });
        }
        let (first, second) = (a.correct(class_count), b.correct(class_count));
        let count = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|&(&a, &b)| a && !b).count();
        Ok(Self::of_counts(count(&first, &second), count(&second, &first)))
    }

    /// The exact two-sided test: twice the binomial tail of the smaller count at one half, at most 1 (McNemar 1947,
    /// with the binomial in place of chi-square).
    pub fn of_counts(only_first: usize, only_second: usize) -> Self {
        let (fewer, all) = (only_first.min(only_second), only_first + only_second);
        // In logarithms: one half to the power of some thousand is no number any more.
        let mut term = -(all as f64) * std::f64::consts::LN_2;
        let mut tail = term.exp();
        for k in 1..=fewer {
            term += ((all - k + 1) as f64 / k as f64).ln();
            tail += term.exp();
        }
        Self { only_first, only_second, p: (2.0 * tail).min(1.0) }
    }
}

/// Returns one p-value for several tests of the same question that may depend on each other in any way, as those on the
/// same films do: the median times `n / k`, where it is the `k`th smallest of `n`, at most 1 (Rüger 1978; Vovk and Wang,
/// "Combining p-values via averaging", Biometrika 2020). `None` without a test.
pub fn combined_p(p: &[f64]) -> Option<f64> {
    let mut sorted = p.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let k = sorted.len().div_ceil(2);
    let median = sorted.get(k.checked_sub(1)?)?;
    Some((sorted.len() as f64 / k as f64 * median).min(1.0))
}

/// Returns the normalised area under a learning curve: that under the straight lines between its points, labels and
/// figure, over the number of labels (not its logarithm), divided by the span of labels. It is the curve's mean height.
///
/// `None` for fewer than two points or where the numbers of labels do not ascend.
pub fn area_under_learning_curve(curve: &[(usize, f64)]) -> Option<f64> {
    let span = curve.last()?.0.checked_sub(curve.first()?.0)?;
    let ascending = curve.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let area = |pair: &[(usize, f64)]| {
        (pair[1].0.saturating_sub(pair[0].0)) as f64 * (pair[0].1 + pair[1].1) / 2.0
    };
    (span > 0 && ascending).then(|| curve.windows(2).map(area).sum::<f64>() / span as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::metrics::Metrics;
    use proptest::prelude::*;

    #[test]
    fn a_resample_scores_as_the_films_drawn_written_out() {
        let truth: Vec<usize> = (0..30).map(|film| (film * 7 + film / 4) % 2).collect();
        let scores = |shift: usize| -> Vec<f32> {
            let of = |film: usize| ((film * 13 + shift * 5) % 29) as f32 / 28.0;
            (0..30).flat_map(|film| [1.0 - of(film), of(film)]).collect()
        };
        let (films, first, second) = ((0..30).collect::<Vec<_>>(), scores(1), scores(2));
        let run = |probabilities| Run { films: &films, truth: &truth, probabilities };
        let runs = [run(&first), run(&second)];
        let mut found = Vec::new();
        // Patients of one to three films.
        let patients: Vec<usize> =
            (0..30).map(|film| [0, 0, 0, 1, 1, 2][film % 6] + film / 6 * 3).collect();
        let arm = Arm::of(&runs, &patients, 2, 1).unwrap();
        bootstrap(15, 40, SEED, |times| {
            let drawn: Vec<usize> = (0..30)
                .flat_map(|film| std::iter::repeat_n(film, times[patients[film]] as usize))
                .collect();
            let one = |probabilities: &[f32]| {
                let rows: Vec<f32> = drawn
                    .iter()
                    .flat_map(|&film| probabilities[2 * film..][..2].to_vec())
                    .collect();
                let truth: Vec<usize> = drawn.iter().map(|&film| truth[film]).collect();
                let metrics = Metrics::of(&rows, &truth, 2, 1).unwrap();
                (metrics.accuracy.value, metrics.auroc.unwrap().value)
            };
            let (a, b) = (one(&first), one(&second));
            found.push((f64::midpoint(a.0, b.0), f64::midpoint(a.1, b.1)));
        });
        for (slow, (accuracy, auroc)) in
            found.iter().zip(arm.accuracy.resamples.iter().zip(&arm.auroc.resamples))
        {
            approx::assert_abs_diff_eq!(slow.0, accuracy.unwrap(), epsilon = 1e-12);
            approx::assert_abs_diff_eq!(slow.1, auroc.unwrap(), epsilon = 1e-12);
        }
    }

    #[test]
    fn a_patient_counts_once_however_many_films_are_alike() {
        // Two runs that differ on a fourth of the films, which are of as many patients or eight of each.
        let truth: Vec<usize> = (0..64).map(|film| film / 8 % 2).collect();
        let said = |wrong: &dyn Fn(usize) -> bool| -> Vec<f32> {
            let of = |film: usize| {
                if (truth[film] == 1) == wrong(film) { [0.9, 0.1] } else { [0.1, 0.9] }
            };
            (0..64).flat_map(of).collect()
        };
        let (never, sometimes) = (said(&|_| false), said(&|film| film / 8 % 4 == 0));
        let films: Vec<usize> = (0..64).collect();
        let width = |patients: &[usize]| {
            let arm = |probabilities| {
                let run = Run { films: &films, truth: &truth, probabilities };
                Arm::of(&[run], patients, 2, 1).unwrap()
            };
            let difference = arm(&never).accuracy.minus(&arm(&sometimes).accuracy).unwrap();
            approx::assert_abs_diff_eq!(difference.value, 0.25, epsilon = 1e-12);
            difference.high - difference.low
        };
        let eights: Vec<usize> = (0..64).map(|film| film / 8).collect();
        // A share of p among n patients has a standard error of sqrt(p (1 - p) / n): sqrt(8) times as much.
        let ratio = width(&eights) / width(&films);
        assert!((2.2..3.4).contains(&ratio), "{ratio}");
    }

    #[test]
    fn runs_on_other_films_are_weighed_by_their_own() {
        // Film 2 is wrong in the only run that has it.
        let (truth, p) = ([0, 1], [0.9, 0.1, 0.2, 0.8]);
        let wrong = [0.9, 0.1, 0.8, 0.2];
        let first = Run { films: &[0, 1], truth: &truth, probabilities: &p };
        let second = Run { films: &[0, 2], truth: &truth, probabilities: &wrong };
        let arm = Arm::of(&[first, second], &[0, 1, 2], 2, 1).unwrap();
        assert_eq!(arm.accuracy.value, Some(0.75));
        let outside = Run { films: &[0, 3], ..first };
        assert!(Arm::of(&[outside], &[0, 1, 2], 2, 1).is_err());
        assert!(McNemar::of(&first, &second, 2).is_err(), "other films were compared");
    }

    proptest! {
        #[test]
        fn an_arm_does_not_differ_from_itself_and_differences_change_sign(
            p in prop::collection::vec(0f32..1.0, 24), q in prop::collection::vec(0f32..1.0, 24)
        ) {
            let films: Vec<usize> = (0..24).collect();
            let truth: Vec<usize> = (0..24).map(|film| film % 2).collect();
            let rows = |p: &[f32]| p.iter().flat_map(|&p| [1.0 - p, p]).collect::<Vec<f32>>();
            let (p, q) = (rows(&p), rows(&q));
            let arm = |probabilities: &[f32]| {
                let run = Run { films: &films, truth: &truth, probabilities };
                Arm::of(&[run], &films, 2, 1).unwrap()
            };
            let (a, b) = (arm(&p), arm(&q));
            for (a, b) in [(&a.accuracy, &b.accuracy), (&a.auroc, &b.auroc)] {
                let none = a.minus(a).unwrap();
                prop_assert_eq!((none.value, none.low, none.high), (0.0, 0.0, 0.0));
                let (forth, back) = (a.minus(b).unwrap(), b.minus(a).unwrap());
                prop_assert!((forth.value + back.value).abs() < 1e-12);
                prop_assert!((forth.low + back.high).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn dependent_tests_are_combined_by_their_median() {
        assert_eq!(combined_p(&[]), None);
        assert_eq!(combined_p(&[0.03]), Some(0.03));
        assert_eq!(combined_p(&[0.5, 0.01]), Some(0.02));
        assert_eq!(combined_p(&[0.9, 0.02, 0.04]), Some(0.06));
        assert_eq!(combined_p(&[0.9, 0.8, 0.7]), Some(1.0));
    }

    #[test]
    fn a_curve_of_no_span_has_no_area() {
        assert_eq!(area_under_learning_curve(&[]), None);
        assert_eq!(area_under_learning_curve(&[(5, 0.5)]), None);
        assert_eq!(area_under_learning_curve(&[(5, 0.5), (5, 0.6)]), None);
        assert_eq!(area_under_learning_curve(&[(5, 0.5), (9, 0.6), (7, 0.6)]), None);
        assert_eq!(area_under_learning_curve(&[(10, 0.5), (20, 1.0)]), Some(0.75));
    }
}
