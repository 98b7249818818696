//! Figures of merit of a classifier on labelled films, with 95 % intervals.
//!
//! Probabilities come as films x classes, row-major, the truth as a class per film. Sums are in double precision.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rng;
use crate::stats::likeliest;

/// The standard normal's 97.5 % point.
const Z_95: f64 = 1.959_963_984_540_054;
/// Equal-width confidence bins of the calibration error.
const BINS: usize = 15;
/// Resamples behind a bootstrap interval.
const RESAMPLES: usize = 1000;
/// Seed of the intervals in [`Metrics`]: the same predictions always have the same figures.
const SEED: u64 = 0;

/// Probabilities and truth that cannot be scored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricsError {
    /// There is no film.
    #[error("no labelled film to evaluate on; label some films first")]
    Empty,
    /// The two do not have the same number of films, or there is no class.
    #[error("{probabilities} probabilities do not fit {films} films of {class_count} classes")]
    Shape {
        /// Length of the probabilities.
        probabilities: usize,
        /// Length of the truth.
        films: usize,
        /// Number of classes.
        class_count: usize,
    },
    /// A true class, or the positive class, is not one of the classes.
    #[error("class {class} is not one of {class_count} classes")]
    Class {
        /// The class.
        class: usize,
        /// Number of classes.
        class_count: usize,
    },
    /// A prediction is NaN or infinite: a fault of the model, which a figure must not hide.
    #[error(
        "the model gave a probability that is not finite; train it again (film {film} of those evaluated)"
    )]
    NotFinite {
        /// Position of the film.
        film: usize,
    },
}

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// How well a classifier did; `None` where the films leave a figure undefined, for want of a class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Number of films.
    pub n: usize,
    /// Share of films whose likeliest class is the true one; Wilson interval.
    pub accuracy: Estimate,
    /// Mean of the classes' recalls, over the classes that occur; bootstrap interval.
    pub balanced_accuracy: Estimate,
    /// Area under the ROC curve of the positive class against the others; bootstrap interval. In a ranking with more than
    /// two classes the mean of each class against the others.
    pub auroc: Option<Estimate>,
    /// Recall of the positive class; Wilson interval.
    pub sensitivity: Option<Estimate>,
    /// Share of the films of other classes that were not called positive; Wilson interval.
    pub specificity: Option<Estimate>,
    /// Expected calibration error, 15 bins.
    pub ece: f64,
    /// Brier score.
    pub brier: f64,
    /// Log-loss in nats.
    pub log_loss: f64,
}

impl Metrics {
    /// Scores `probabilities` against `truth`; the bootstrap has 1,000 resamples and the same ones each time.
    ///
    /// # Errors
    /// When the arguments do not fit together or a probability is not finite.
    pub fn of(
        probabilities: &[f32],
        truth: &[usize],
        class_count: usize,
        positive: usize,
    ) -> Result<Self, MetricsError> {
        check(probabilities, truth, class_count, positive)?;
        let confusion = Confusion::new(probabilities, truth, class_count);
        let predicted: Vec<usize> =
            probabilities.chunks_exact(class_count).map(likeliest).collect();
        let scores: Vec<f32> =
            probabilities.iter().skip(positive).step_by(class_count).copied().collect();
        let is_positive: Vec<bool> = truth.iter().map(|&class| class == positive).collect();
        let roc = RankedScores::new(&scores, &is_positive);
        let resampled_balance = bootstrap(truth.len(), RESAMPLES, SEED, |times| {
            let mut resample = Confusion::empty(class_count);
            for (i, &n) in times.iter().enumerate() {
                resample.add(truth[i], predicted[i], n as usize);
            }
            resample.balanced_accuracy()
        });
        let balance = confusion.balanced_accuracy().unwrap_or_default();
        Ok(Self {
            n: truth.len(),
            accuracy: wilson(confusion.correct(), truth.len()),
            balanced_accuracy: percentile_interval(balance, defined(resampled_balance)),
            auroc: roc.area(None).map(|area| {
                let areas = bootstrap(truth.len(), RESAMPLES, SEED, |times| roc.area(Some(times)));
                percentile_interval(area, defined(areas))
            }),
            sensitivity: confusion.sensitivity(positive),
            specificity: confusion.specificity(positive),
            ece: expected_calibration_error(probabilities, truth, class_count, BINS),
            brier: brier(probabilities, truth, class_count),
            log_loss: log_loss(probabilities, truth, class_count),
        })
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, figure: Option<Estimate>| match figure {
            Some(Estimate { value, low, high }) => {
                writeln!(f, "{name:<18} {value:.3} ({low:.3} to {high:.3})")
            }
            None => writeln!(f, "{name:<18} undefined: a class has no film"),
        };
        line("accuracy", Some(self.accuracy))?;
        line("balanced accuracy", Some(self.balanced_accuracy))?;
        line("AUROC", self.auroc)?;
        line("sensitivity", self.sensitivity)?;
        line("specificity", self.specificity)?;
        writeln!(f, "{:<18} {:.3}", "calibration error", self.ece)?;
        writeln!(f, "{:<18} {:.3}", "Brier score", self.brier)?;
        writeln!(f, "{:<18} {:.3}", "log-loss", self.log_loss)?;
        write!(f, "{:<18} {}", "films", self.n)
    }
}

pub(crate) fn check(
    probabilities: &[f32],
    truth: &[usize],
    class_count: usize,
    positive: usize,
) -> Result<(), MetricsError> {
    let films = truth.len();
    if films == 0 {
        return Err(MetricsError::Empty);
    }
    if class_count == 0 || probabilities.len() != films * class_count {
        return Err(MetricsError::Shape { probabilities: probabilities.len(), films, class_count });
    }
    if let Some(&class) = truth.iter().chain([&positive]).find(|&&class| class >= class_count) {
        return Err(MetricsError::Class { class, class_count });
    }
    match probabilities.iter().position(|p| !p.is_finite()) {
        Some(at) => Err(MetricsError::NotFinite { film: at / class_count }),
        None => Ok(()),
    }
}

/// How many films of each class were called what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    class_count: usize,
    /// True class x predicted class.
    counts: Vec<usize>,
}

impl Confusion {
    /// Counts the films by true class and by likeliest class, the first of equals.
    pub fn new(probabilities: &[f32], truth: &[usize], class_count: usize) -> Self {
        let mut confusion = Self::empty(class_count);
        for (row, &class) in probabilities.chunks_exact(class_count).zip(truth) {
            confusion.add(class, likeliest(row), 1);
        }
        confusion
    }

    /// Returns how many films of class `truth` were called `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> usize {
        self.counts[truth * self.class_count + predicted]
    }

    /// Returns the number of films whose class was predicted.
    pub fn correct(&self) -> usize {
        (0..self.class_count).map(|class| self.count(class, class)).sum()
    }

    /// Returns the mean recall of the classes that occur; `None` without films.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        let recalls: Vec<f64> = (0..self.class_count)
            .filter(|&class| self.films_of(class) > 0)
            .map(|class| self.count(class, class) as f64 / self.films_of(class) as f64)
            .collect();
        (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }

    /// Returns the recall of class `positive` with its Wilson interval; `None` without films of the class.
    pub fn sensitivity(&self, positive: usize) -> Option<Estimate> {
        let films = self.films_of(positive);
        (films > 0).then(|| wilson(self.count(positive, positive), films))
    }

    /// Returns the share of the films of other classes that were not called `positive`, with its Wilson interval.
    pub fn specificity(&self, positive: usize) -> Option<Estimate> {
        let others = || (0..self.class_count).filter(|&class| class != positive);
        let films: usize = others().map(|class| self.films_of(class)).sum();
        let called: usize = others().map(|class| self.count(class, positive)).sum();
        (films > 0).then(|| wilson(films - called, films))
    }

    fn empty(class_count: usize) -> Self {
        Self { class_count, counts: vec![0; class_count * class_count] }
    }

    fn add(&mut self, truth: usize, predicted: usize, films: usize) {
        self.counts[truth * self.class_count + predicted] += films;
    }

    fn films_of(&self, class: usize) -> usize {
        self.counts[class * self.class_count..][..self.class_count].iter().sum()
    }
}

/// Films in order of score, cut into groups of equal score: sorted once, then resampled in linear time.
pub(crate) struct RankedScores {
    /// Film and whether it is positive, by ascending score; the last element says whether a tie group ends here.
    films: Vec<(usize, bool, bool)>,
}

impl RankedScores {
    pub(crate) fn new(scores: &[f32], positive: &[bool]) -> Self {
        let mut order: Vec<usize> = (0..scores.len().min(positive.len())).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let group_ends =
            |k: usize| order.get(k + 1).is_none_or(|&next| scores[next] != scores[order[k]]);
        let films =
            order.iter().enumerate().map(|(k, &film)| (film, positive[film], group_ends(k)));
        Self { films: films.collect() }
    }

    /// Returns the area under the ROC curve, each film counted as often as `times` says (once without): the chance that a
    /// positive film scores above a negative one, ties by half. `None` if either kind is absent.
    pub(crate) fn area(&self, times: Option<&[u32]>) -> Option<f64> {
        let (mut wins, mut positives, mut negatives) = (0.0, 0.0, 0.0);
        let (mut tied_positives, mut tied_negatives) = (0.0, 0.0);
        for &(film, positive, group_ends) in &self.films {
            let weight = times.map_or(1.0, |times| f64::from(times[film]));
            if positive {
                tied_positives += weight;
            } else {
                tied_negatives += weight;
            }
            if group_ends {
                wins += tied_positives * (negatives + 0.5 * tied_negatives);
                positives += tied_positives;
                negatives += tied_negatives;
                (tied_positives, tied_negatives) = (0.0, 0.0);
            }
        }
        (positives > 0.0 && negatives > 0.0).then(|| wins / (positives * negatives))
    }
}

/// Returns the index of the class that AUROC and sensitivity are about: `pneumonia` if there is one, else
/// `consolidation`, the end-point of the WHO's standard, else the last.
pub fn positive_class(classes: &[String]) -> usize {
    let last = classes.len().saturating_sub(1);
    let named = |name: &str| classes.iter().position(|class| class == name);
    named("pneumonia").or_else(|| named("consolidation")).unwrap_or(last)
}

/// Returns the mean negative logarithm of the true class's probability, in nats; probabilities are clipped to at least
/// 2.2e-16, as scikit-learn does. A NaN makes the result NaN, which no comparison calls better.
pub fn log_loss(probabilities: &[f32], truth: &[usize], class_count: usize) -> f64 {
    mean_of_rows(probabilities, truth, class_count, |row, class| {
        -f64::from(row[class]).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
    })
}

/// Returns the mean squared distance between the probabilities and the truth as a one-hot row (Brier 1950); for two
/// classes half of that, the usual score of one probability.
pub fn brier(probabilities: &[f32], truth: &[usize], class_count: usize) -> f64 {
    let share = if class_count == 2 { 0.5 } else { 1.0 };
    mean_of_rows(probabilities, truth, class_count, |row, class| {
        let squares =
            row.iter().enumerate().map(|(k, &p)| (f64::from(p) - f64::from(k == class)).powi(2));
        share * squares.sum::<f64>()
    })
}

/// Returns the expected calibration error: over `bins` equal bins of the largest probability (a bin owns its upper
/// edge), the mean gap between confidence and accuracy (Guo et al., ICML 2017).
pub fn expected_calibration_error(
    probabilities: &[f32],
    truth: &[usize],
    class_count: usize,
    bins: usize,
) -> f64 {
    let mut gaps = vec![0.0f64; bins.max(1)];
    for (bin, gap) in confidence_gaps(probabilities, truth, class_count, bins) {
        gaps[bin] += gap;
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / truth.len().max(1) as f64
}

/// Returns for each film the bin of its largest probability and by how much that is above what came true, 1 or 0.
pub(super) fn confidence_gaps(
    probabilities: &[f32],
    truth: &[usize],
    class_count: usize,
    bins: usize,
) -> impl Iterator<Item = (usize, f64)> {
    probabilities.chunks_exact(class_count).zip(truth).map(move |(row, &class)| {
        let predicted = likeliest(row);
        let confidence = f64::from(row[predicted]);
        let bin = (confidence * bins as f64).ceil() as usize;
        (bin.clamp(1, bins.max(1)) - 1, confidence - f64::from(predicted == class))
    })
}

/// Returns the share `successes / trials` with its 95 % Wilson score interval (Wilson 1927).
///
/// Without trials nothing is known: the value is zero, the interval all of 0..=1.
pub fn wilson(successes: usize, trials: usize) -> Estimate {
    if trials == 0 {
        return Estimate { value: 0.0, low: 0.0, high: 1.0 };
    }
    let n = trials as f64;
    let share = successes as f64 / n;
    let z_squared = Z_95 * Z_95;
    let centre = (share + z_squared / (2.0 * n)) / (1.0 + z_squared / n);
    let half = Z_95 * (share * (1.0 - share) / n + z_squared / (4.0 * n * n)).sqrt()
        / (1.0 + z_squared / n);
    // Rounding must not push an end past the share itself.
    Estimate {
        value: share,
        low: (centre - half).clamp(0.0, share),
        high: (centre + half).clamp(share, 1.0),
    }
}

/// Evaluates `statistic` on `resamples` resamples of `units` films or patients, each given as how often one was drawn.
pub(crate) fn bootstrap<T>(
    units: usize,
    resamples: usize,
    seed: u64,
    mut statistic: impl FnMut(&[u32]) -> T,
) -> Vec<T> {
    let mut times = vec![0u32; units];
    let draw = |resample: usize| {
        times.fill(0);
        let mut draws = rng::stream(seed, "bootstrap", &[resample as u64]);
        (0..units).for_each(|_| times[rng::below(&mut draws, units)] += 1);
        statistic(&times)
    };
    (0..resamples).map(draw).collect()
}

/// Leaves out the resamples on which a figure is undefined.
fn defined(resampled: Vec<Option<f64>>) -> Vec<f64> {
    resampled.into_iter().flatten().collect()
}

/// Returns `value` with the 2.5 % and 97.5 % points of `resampled`, linearly interpolated.
///
/// The ends are drawn out to `value` should it lie outside, as it can when few resamples are usable.
pub(crate) fn percentile_interval(value: f64, mut resampled: Vec<f64>) -> Estimate {
    resampled.sort_unstable_by(f64::total_cmp);
    let point = |share: f64| {
        let at = share * resampled.len().saturating_sub(1) as f64;
        let (below, above) = (at.floor() as usize, at.ceil() as usize);
        match (resampled.get(below), resampled.get(above)) {
            (Some(low), Some(high)) => low + (high - low) * (at - at.floor()),
            _ => value,
        }
    };
    Estimate { value, low: point(0.025).min(value), high: point(0.975).max(value) }
}

fn mean_of_rows(
    probabilities: &[f32],
    truth: &[usize],
    class_count: usize,
    of_row: impl Fn(&[f32], usize) -> f64,
) -> f64 {
    let rows = probabilities.chunks_exact(class_count).zip(truth);
    rows.map(|(row, &class)| of_row(row, class)).sum::<f64>() / truth.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampled_area_is_that_of_the_films_drawn() {
        let scores: Vec<f32> = (0..40).map(|i| ((i * 37) % 17) as f32 / 10.0).collect();
        let positive: Vec<bool> = (0..40).map(|i| (i * 37) % 17 + i % 7 > 10).collect();
        let ranked = RankedScores::new(&scores, &positive);
        bootstrap(40, 50, 3, |times| {
            let drawn = |i: usize| std::iter::repeat_n(i, times[i] as usize);
            let films: Vec<usize> = (0..40).flat_map(drawn).collect();
            assert_eq!(films.len(), 40);
            let s: Vec<f32> = films.iter().map(|&i| scores[i]).collect();
            let p: Vec<bool> = films.iter().map(|&i| positive[i]).collect();
            let (fast, slow) = (ranked.area(Some(times)), RankedScores::new(&s, &p).area(None));
            approx::assert_abs_diff_eq!(fast.unwrap(), slow.unwrap(), epsilon = 1e-12);
            fast
        });
    }
}
