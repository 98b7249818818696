//! Which unlabelled films are sure enough to be taught, and as what: FixMatch's fixed threshold, FreeMatch's adaptive
//! one, and the alignment of what is predicted with a prior.
//!
//! Where one class is rare a fixed threshold lets the frequent one run away: it passes first, is taught, and passes more.
//! Alignment holds the predictions' mean to the prior; what FreeMatch adds for that, a loss that pulls towards equal
//! classes, would be wrong for classes that are not, and is left out.

use serde::{Deserialize, Serialize};

use crate::dataset::Labelled;
use crate::stats::argmax;

/// Prior and means are kept above this, so that a class never vanishes for good.
const LEAST: f64 = 1e-6;

/// When a pseudo-label is sure enough.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// From this largest probability on (Sohn et al. 2020, <https://arxiv.org/abs/2001.07685>: .95).
    Fixed(f64),
    /// From the running mean of largest probabilities on, less for classes that are predicted less than they should be
    /// (Wang et al. 2023, <https://arxiv.org/abs/2205.07246>).
    ///
    /// Starts at 1, as the authors' code does, and not at one over the classes as the paper: a network that knows
    /// nothing yet teaches itself nothing. The paper's learning status of a class, its mean probability, is here taken
    /// relative to its prior, and starts at the same for all classes; with equal classes that is the authors' code.
    Adaptive,
}

/// How pseudo-labels are chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PseudoLabelConfig {
    /// When one is sure enough.
    pub threshold: Threshold,
    /// Whether probabilities are first multiplied by prior over running mean and normalised (distribution alignment;
    /// Berthelot et al. 2020, <https://arxiv.org/abs/1911.09785>, and `AdaMatch`).
    pub align: bool,
    /// Whether a class's pseudo-labels weigh less in the measure in which more of them are taken, relative to its prior,
    /// than of the class of which the fewest are, so that no class teaches more than its share (after the adaptive
    /// thresholds' purpose; this weighing is ours). While some class has none, the others' weigh nothing.
    pub balance: bool,
    /// Decay of the running means, a step.
    pub momentum: f64,
}

impl PseudoLabelConfig {
    /// FixMatch's threshold, for predictions that are aligned and classes that are balanced. The decay is for runs of some
    /// hundred steps; the published .999 is for a million.
    pub fn fixed() -> Self {
        Self { threshold: Threshold::Fixed(0.95), align: true, balance: true, momentum: 0.99 }
    }

    /// The adaptive threshold, otherwise as [`Self::fixed`].
    pub fn adaptive() -> Self {
        Self { threshold: Threshold::Adaptive, ..Self::fixed() }
    }
}

/// Returns the classes' shares among the labels by Laplace's rule, (n + 1) / (all + classes).
///
/// An estimate of the pool's shares only if the films were drawn at random.
pub fn label_prior(labelled: &Labelled, classes: usize) -> Vec<f32> {
    let total = (labelled.classes.len() + classes) as f32;
    let count = |class| labelled.classes.iter().filter(|&&label| label == class).count();
    (0..classes).map(|class| (count(class) + 1) as f32 / total).collect()
}

/// The chooser with its running means.
#[derive(Clone, Debug)]
pub struct PseudoLabels {
    config: PseudoLabelConfig,
    prior: Vec<f64>,
    /// Running mean of the probabilities as they are predicted. It follows fast at first: one that lags behind a network
    /// that is learning would count the prior twice.
    predicted: Vec<f64>,
    /// Running mean of the films taken for each class, a share of the batch.
    taken: Vec<f64>,
    /// Batches seen.
    batches: u32,
    /// Running mean of the probabilities as they are used, `p_model` in the reference, from the prior times the number of
    /// classes on.
    used: Vec<f64>,
    /// Running mean of their largest, `time_p` in the reference.
    confidence: f64,
}

impl PseudoLabels {
    /// Starts before the first batch. `prior` holds the expected share of each class.
    pub fn new(config: &PseudoLabelConfig, prior: &[f32]) -> Self {
        let prior: Vec<f64> = prior.iter().map(|&share| f64::from(share).max(LEAST)).collect();
        let total: f64 = prior.iter().sum();
        let prior: Vec<f64> = prior.iter().map(|share| share / total).collect();
        let classes = prior.len() as f64;
        Self {
            config: config.clone(),
            predicted: vec![0.0; prior.len()],
            taken: vec![0.0; prior.len()],
            batches: 0,
            used: prior.iter().map(|share| classes * share).collect(),
            confidence: 1.0,
            prior,
        }
    }

    /// Takes the probabilities of a batch, films x classes, into the running means and returns, for each film that is sure
    /// enough, its class and what it weighs, in 0..=1.
    pub fn choose(&mut self, probabilities: &[f32]) -> Vec<Option<(usize, f32)>> {
        let classes = self.prior.len();
        let mut rows: Vec<Vec<f64>> = probabilities
            .chunks_exact(classes)
            .map(|row| row.iter().map(|&p| f64::from(p)).collect())
            .collect();
        if rows.is_empty() {
            return Vec::new();
        }
        if self.config.align {
            self.align(&mut rows);
        }
        let best: Vec<(usize, f64)> = rows.iter().map(|row| largest(row)).collect();
        let thresholds = match self.config.threshold {
            Threshold::Fixed(least) => vec![least; classes],
            Threshold::Adaptive => self.adapt(&rows, &best),
        };
        let taken: Vec<Option<usize>> =
            best.into_iter().map(|(class, p)| (p >= thresholds[class]).then_some(class)).collect();
        let weights = self.weigh(&taken);
        self.batches += 1;
        taken.into_iter().map(|class| class.map(|class| (class, weights[class] as f32))).collect()
    }

    /// Decay of the means that begin with the first batch: a plain mean of the first ones, then the configured decay. The
    /// ramp is that of averages of weights (TensorFlow's `ExponentialMovingAverage` with `num_updates`).
    fn ramped(&self) -> f64 {
        match self.batches {
            0 => 0.0,
            t => self.config.momentum.min((1.0 + f64::from(t)) / (10.0 + f64::from(t))),
        }
    }

    /// Returns the weight of each class: the smallest of the shares taken, relative to the priors, over its own.
    fn weigh(&mut self, taken: &[Option<usize>]) -> Vec<f64> {
        let classes = self.prior.len();
        if !self.config.balance {
            return vec![1.0; classes];
        }
        let share = |class| {
            taken.iter().filter(|&&found| found == Some(class)).count() as f64 / taken.len() as f64
        };
        let batch: Vec<f64> = (0..classes).map(share).collect();
        self.taken = follow(&self.taken, &batch, self.ramped());
        let relative: Vec<f64> =
            self.taken.iter().zip(&self.prior).map(|(taken, prior)| taken / prior).collect();
        let least = relative.iter().copied().fold(f64::INFINITY, f64::min);
        relative.iter().map(|&own| if own > 0.0 { least / own } else { 1.0 }).collect()
    }

    fn align(&mut self, rows: &mut [Vec<f64>]) {
        self.predicted = follow(&self.predicted, &mean(rows), self.ramped());
        for row in rows {
            for ((p, share), mean) in row.iter_mut().zip(&self.prior).zip(&self.predicted) {
                *p *= share / mean.max(LEAST);
            }
            let total: f64 = row.iter().sum();
            for p in row {
                *p /= total;
            }
        }
    }

    /// Moves the running means on and returns each class's threshold.
    fn adapt(&mut self, rows: &[Vec<f64>], best: &[(usize, f64)]) -> Vec<f64> {
        let momentum = self.config.momentum;
        let surest = best.iter().map(|(_, p)| p).sum::<f64>() / best.len() as f64;
        self.confidence = momentum * self.confidence + (1.0 - momentum) * surest;
        self.used = follow(&self.used, &mean(rows), momentum);
        let status: Vec<f64> =
            self.used.iter().zip(&self.prior).map(|(mean, share)| mean / share).collect();
        let furthest = status.iter().copied().fold(0.0, f64::max);
        status.iter().map(|status| self.confidence * status / furthest).collect()
    }
}

fn largest(row: &[f64]) -> (usize, f64) {
    argmax(row).map_or((0, f64::NEG_INFINITY), |class| (class, row[class]))
}

fn mean(rows: &[Vec<f64>]) -> Vec<f64> {
    let classes = rows.first().map_or(0, Vec::len);
    (0..classes)
        .map(|class| rows.iter().map(|row| row[class]).sum::<f64>() / rows.len() as f64)
        .collect()
}

fn follow(before: &[f64], batch: &[f64], momentum: f64) -> Vec<f64> {
    before
        .iter()
        .zip(batch)
        .map(|(before, now)| momentum * before + (1.0 - momentum) * now)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The logits of `tests/golden/pseudo_labels.py`: noise that grows surer, with a lean to the last class.
    fn probabilities(batch: usize, films: usize, classes: usize) -> Vec<f32> {
        let logit = |film: usize, class: usize| {
            let k = (batch * films + film) * classes + class;
            let noise = ((7919 * k + 31 * k * k) % 2003) as f64 / 1001.5 - 1.0;
            noise * (0.5 + batch as f64 / 40.0) + if class + 1 == classes { 0.8 } else { 0.0 }
        };
        let row = |film: usize| {
            let odds: Vec<f64> = (0..classes).map(|class| logit(film, class).exp()).collect();
            let total: f64 = odds.iter().sum();
            odds.into_iter().map(move |odds| (odds / total) as f32)
        };
        (0..films).flat_map(row).collect()
    }

    /// 200 batches through a NumPy rendering of the published formulas, `tests/golden/pseudo_labels.py`.
    #[test]
    fn choices_and_running_means_follow_the_formulas() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/pseudo_labels.json")).unwrap();
        let cases = golden.as_array().unwrap();
        for case in cases {
            let numbers = |value: &serde_json::Value| -> Vec<f64> {
                value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
            };
            let prior: Vec<f32> =
                numbers(&case["prior"]).iter().map(|&share| share as f32).collect();
            let config: PseudoLabelConfig = serde_json::from_value(case["config"].clone()).unwrap();
            let (films, classes) = (case["films"].as_u64().unwrap() as usize, prior.len());
            let mut chooser = PseudoLabels::new(&config, &prior);
            let chosen = case["chosen"].as_array().unwrap();
            assert_eq!(chosen.len(), 200);
            for (batch, expected) in chosen.iter().enumerate() {
                let found = chooser.choose(&probabilities(batch, films, classes));
                let text: String = found
                    .iter()
                    .map(|taken| taken.map_or("-".to_owned(), |(class, _)| class.to_string()))
                    .collect();
                assert_eq!(text, expected.as_str().unwrap(), "{config:?} batch {batch}");
                if let Some(state) = case["states"].get(batch.to_string()) {
                    let state = numbers(state);
                    assert!((chooser.confidence - state[0]).abs() < 1e-6);
                    let means = chooser.used.iter().chain(&chooser.taken);
                    for (found, expected) in means.zip(&state[1..]) {
                        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
                    }
                }
            }
        }
        assert_eq!(cases.len(), 5);
    }

    #[test]
    fn alignment_brings_the_mean_to_the_prior() {
        let config = PseudoLabelConfig { momentum: 0.0, ..PseudoLabelConfig::adaptive() };
        let mut chooser = PseudoLabels::new(&config, &[0.3, 0.7]);
        // Everything leans to the first class; the prior turns the least sure of them round.
        let batch = [0.9_f32, 0.1, 0.9, 0.1, 0.9, 0.1, 0.6, 0.4];
        chooser.choose(&batch);
        assert!((chooser.predicted[0] - 0.825).abs() < 1e-6);
        let odds = |p: f64| p / (1.0 - p) * (0.3 / 0.825) / (0.7 / 0.175);
        let expected = (3.0 * odds(0.9) / (1.0 + odds(0.9)) + odds(0.6) / (1.0 + odds(0.6))) / 4.0;
        assert!((chooser.used[0] - expected).abs() < 1e-6, "{} {expected}", chooser.used[0]);
    }

    #[test]
    fn a_network_that_knows_nothing_teaches_itself_nothing() {
        let mut chooser = PseudoLabels::new(&PseudoLabelConfig::adaptive(), &[0.3, 0.7]);
        // It says the prior of every film: neither class is ahead, and both thresholds are near 1.
        for _ in 0..5 {
            assert_eq!(chooser.choose(&[0.3, 0.7, 0.3, 0.7]), [None, None]);
        }
    }

    #[test]
    fn a_class_that_is_taken_too_often_weighs_less() {
        let mut chooser = PseudoLabels::new(&PseudoLabelConfig::fixed(), &[0.5, 0.5]);
        // Aligned, all of these stay sure: the classes' means are those of the prior.
        let batch = [0.999_f32, 0.001, 0.999, 0.001, 0.001, 0.999, 0.5, 0.5];
        let found = chooser.choose(&batch);
        assert_eq!(found.len(), 4);
        let weights: Vec<f32> = found.iter().flatten().map(|&(_, weight)| weight).collect();
        assert_eq!(weights, [0.5, 0.5, 1.0], "two films of the one class, one of the other");
    }

    #[test]
    fn priors_follow_laplace_and_empty_batches_pass() {
        let labelled = Labelled { rows: vec![3, 4, 9], classes: vec![1, 1, 0] };
        assert_eq!(label_prior(&labelled, 2), [0.4, 0.6]);
        assert_eq!(label_prior(&Labelled::default(), 2), [0.5, 0.5]);
        let mut chooser = PseudoLabels::new(&PseudoLabelConfig::adaptive(), &[0.0, 1.0]);
        assert!(chooser.choose(&[]).is_empty());
        assert_eq!(chooser.batches, 0);
        chooser.choose(&[0.5, 0.5]);
        assert!(chooser.used.iter().all(|value| value.is_finite()));
    }
}
