//! Bringing a classifier's operating point and confidence back to what the linear head says of the pool.
//!
//! Labels that a strategy chose have other class shares than the pool and are its hard films. A network fitted to few of them
//! keeps its ranking of films long after its threshold has drifted, and a temperature fitted to them is too cautious. The means
//! of the linear head's probabilities over the pool estimate the pool's shares and how sure one may be there, without another
//! label (distribution alignment as Berthelot et al. have it, ICLR 2020, <https://arxiv.org/abs/1911.09785>, applied once, to
//! the logits' biases, and likewise to their scale).

use super::{Flow, LearnError, Setting, probabilities};
use crate::model::Classifier;

/// Films of the pool that are asked at most, at equal steps through it.
const FILMS: usize = 2_000;
/// Biases move by less than this in the end, and means are as near to their shares, relative to these.
const CLOSE: f64 = 1e-7;
/// Rounds through the classes after which the search for biases ends; with two classes two are enough.
const ROUNDS: usize = 100;
/// Steps and bound of the search for one bias.
const STEPS: usize = 60;
const FARTHEST: f64 = 2_000.0;
/// The coldest temperature that is searched: below it probabilities are one-hot.
pub const COLDEST: f64 = 0.05;
/// The hottest: above it they are the shares themselves.
const HOTTEST: f64 = 20.0;
/// Halvings of their range, on a logarithmic scale, which leave a millionth of it.
const HALVINGS: usize = 20;

/// What a classifier's probabilities over the pool come to in the mean.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolMeans {
    /// Mean probability of each class.
    pub shares: Vec<f32>,
    /// Mean probability of the likeliest class, in `1 / classes..=1`.
    pub confidence: f32,
}

impl PoolMeans {
    /// Returns the means of probabilities, films x classes, row-major; nothing without films.
    pub fn of(probabilities: &[f32], classes: usize) -> Option<Self> {
        let films = probabilities.len().checked_div(classes).filter(|&films| films > 0)? as f64;
        let top = |row: &[f32]| f64::from(row.iter().copied().fold(0.0, f32::max));
        let of = |class| probabilities.iter().skip(class).step_by(classes).map(|&p| f64::from(p));
        Some(Self {
            shares: (0..classes).map(|class| (of(class).sum::<f64>() / films) as f32).collect(),
            confidence: (probabilities.chunks_exact(classes).map(top).sum::<f64>() / films) as f32,
        })
    }
}

/// What a classifier's logits are divided by, and what is then added to those of each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    /// Above 1 where the classifier was surer than it is to be.
    pub temperature: f32,
    /// One a class, their sum 0.
    pub biases: Vec<f32>,
}

/// Returns what gives `probabilities`, films x classes, row-major, the means asked for, whose shares are above 0.
///
/// Where no temperature from `coldest`, which is [`COLDEST`] or more, to 20 reaches the confidence, the nearest is taken: with
/// 1 a classifier never becomes surer than it is.
pub fn alignment(probabilities: &[f32], means: &PoolMeans, coldest: f64) -> Alignment {
    let classes = means.shares.len();
    let logs: Vec<f64> = probabilities.iter().map(|&p| f64::from(p).max(1e-12).ln()).collect();
    let mut biases = vec![0.0; classes];
    let (mut low, mut high) = (coldest.ln(), HOTTEST.ln());
    let mut inverse = 1.0;
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        inverse = (-middle).exp();
        let logits: Vec<f64> = logs.iter().map(|log| log * inverse).collect();
        // The last ones are near.
        find_biases(&logits, &means.shares, &mut biases);
        // The hotter, the less sure.
        if confidence_with(&logits, &biases) > f64::from(means.confidence) {
            low = middle;
        } else {
            high = middle;
        }
    }
    // A sum of zero says the same.
    let middle = biases.iter().sum::<f64>() / classes.max(1) as f64;
    Alignment {
        temperature: inverse.recip() as f32,
        biases: biases.iter().map(|bias| (bias - middle) as f32).collect(),
    }
}

/// Returns the mean probability of the likeliest class once biases are added to the logits.
fn confidence_with(logits: &[f64], biases: &[f64]) -> f64 {
    let rows = logits.chunks_exact(biases.len().max(1));
    let films = rows.len().max(1) as f64;
    let top = |row: &[f64]| {
        let shifted = || row.iter().zip(biases).map(|(logit, bias)| logit + bias);
        let top = shifted().fold(f64::NEG_INFINITY, f64::max);
        shifted().map(|logit| (logit - top).exp()).sum::<f64>().recip()
    };
    rows.map(top).sum::<f64>() / films
}

/// Moves biases until, added to the logits, they make the mean probabilities `shares`: class by class, each exactly while the
/// others stand still, which raises a concave function of all of them.
fn find_biases(logits: &[f64], shares: &[f32], biases: &mut [f64]) {
    let (classes, all) = (shares.len(), shares.iter().map(|&share| f64::from(share)).sum::<f64>());
    for _ in 0..ROUNDS {
        let mut moved = 0.0f64;
        for (class, &share) in shares.iter().enumerate() {
            // The log-odds of the class against the others together.
            let odds = |row: &[f64]| {
                let shifted = |other: usize| row[other] + biases[other];
                let others = || (0..classes).filter(|&other| other != class).map(shifted);
                let top = others().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = others().map(|logit| (logit - top).exp()).sum();
                shifted(class) - top - total.ln()
            };
            let odds: Vec<f64> = logits.chunks_exact(classes).map(odds).collect();
            let shift = shift_to(&odds, f64::from(share) / all);
            biases[class] += shift;
            moved = moved.max(shift.abs());
        }
        if moved < CLOSE {
            break;
        }
    }
}

/// Returns what to add to log-odds so that the mean of their probabilities is `share`: Newton's method between bounds.
fn shift_to(odds: &[f64], share: f64) -> f64 {
    let films = odds.len().max(1) as f64;
    let (mut low, mut high, mut shift) = (-FARTHEST, FARTHEST, 0.0);
    for _ in 0..STEPS {
        let probability = |odds: &f64| ((-odds - shift).exp() + 1.0).recip();
        let (mean, slope) = odds
            .iter()
            .map(probability)
            .fold((0.0, 0.0), |(mean, slope), p| (mean + p / films, slope + p * (1.0 - p) / films));
        if (mean - share).abs() < CLOSE * share.min(1.0 - share) {
            break;
        }
        if mean < share {
            low = shift;
        } else {
            high = shift;
        }
        let next = shift + (share - mean) / slope;
        // Of probabilities of 0 and 1 alone the slope says nothing.
        shift = if next > low && next < high { next } else { f64::midpoint(low, high) };
    }
    shift
}

/// Scales and shifts a classifier's logits so that its probabilities over the films `rows` of the store, or up to 2,000 of
/// them at equal steps, nearly have the means given, by an [`alignment`] at `coldest` or above: it is found for the mean of
/// a film and its mirror image and applied to each.
///
/// # Errors
/// Fails if the device failed, or as stopped when `observe`, which is told the films done, says so.
pub fn aligned(
    model: Classifier,
    setting: &Setting<'_>,
    rows: &[usize],
    size: u32,
    means: &PoolMeans,
    coldest: f64,
    observe: &mut dyn FnMut(usize) -> Flow,
) -> Result<Classifier, LearnError> {
    let step = rows.len().div_ceil(FILMS).max(1);
    let asked: Vec<usize> = rows.iter().copied().step_by(step).collect();
    let found = probabilities(&model, setting.store, &asked, size, setting.device, observe)?;
    let Alignment { temperature, biases } = alignment(&found, means, coldest);
    Ok(model.scaled(temperature.recip()).shifted(&biases))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::calibration::apply_temperature;
    use crate::rng;

    fn films(classes: usize) -> Vec<f32> {
        let mut random = rng::stream(4, "films", &[classes as u64]);
        let mut all: Vec<f32> =
            (0..300 * classes).map(|_| rng::uniform(&mut random, 0.01, 1.0)).collect();
        apply_temperature(&mut all, classes, 0.3);
        all
    }

    /// What a classifier with these probabilities says after the alignment.
    fn after(films: &[f32], Alignment { temperature, biases }: &Alignment) -> PoolMeans {
        let raised = |row: &[f32]| -> Vec<f32> {
            let raised: Vec<f32> = row
                .iter()
                .zip(biases)
                .map(|(p, b)| p.powf(temperature.recip()) * b.exp())
                .collect();
            let total: f32 = raised.iter().sum();
            raised.into_iter().map(|p| p / total).collect()
        };
        let all: Vec<f32> = films.chunks(biases.len()).flat_map(raised).collect();
        PoolMeans::of(&all, biases.len()).unwrap()
    }

    #[test]
    fn means_become_those_asked_for() {
        for (shares, confidence) in [
            (vec![0.3, 0.7], 0.95),
            (vec![0.3, 0.7], 0.75),
            (vec![0.99, 0.01], 0.995),
            (vec![0.1, 0.2, 0.7], 0.8),
        ] {
            let films = films(shares.len());
            let means = PoolMeans { shares, confidence };
            let alignment = alignment(&films, &means, COLDEST);
            let found = after(&films, &alignment);
            for (found, share) in found.shares.iter().zip(&means.shares) {
                assert!((found - share).abs() < 1e-4, "{found} and not {share}");
            }
            assert!((found.confidence - confidence).abs() < 1e-4, "{found:?} of {means:?}");
            assert!(alignment.biases.iter().sum::<f32>().abs() < 1e-4);
        }
        assert!(PoolMeans::of(&[], 2).is_none());
    }

    #[test]
    fn what_has_the_means_stays_as_it_is() {
        let films = films(3);
        let Alignment { temperature, biases } =
            alignment(&films, &PoolMeans::of(&films, 3).unwrap(), COLDEST);
        assert!((temperature - 1.0).abs() < 1e-3, "{temperature}");
        assert!(biases.iter().all(|bias| bias.abs() < 1e-3), "{biases:?}");
    }

    /// As sure as nobody can be: the coldest that is searched.
    #[test]
    fn a_confidence_out_of_reach_is_neared() {
        let means = PoolMeans { shares: vec![0.5, 0.5], confidence: 1.0 };
        let found = alignment(&[0.5, 0.5, 0.6, 0.4, 0.4, 0.6], &means, COLDEST);
        assert!(found.temperature < 0.06 && found.biases.iter().all(|bias| bias.is_finite()));
    }

    #[test]
    fn what_is_unsure_may_stay_so_and_has_the_shares_all_the_same() {
        let films = films(2);
        let own = PoolMeans::of(&films, 2).unwrap().confidence;
        let asked = |confidence| {
            let means = PoolMeans { shares: vec![0.4, 0.6], confidence };
            let found = alignment(&films, &means, 1.0);
            (found.temperature, after(&films, &found))
        };
        let (temperature, found) = asked(0.5 + 0.5 * own);
        assert!((temperature - 1.0).abs() < 1e-4, "{temperature}");
        assert!((found.shares[0] - 0.4).abs() < 1e-4 && found.confidence < own + 0.05);
        let (temperature, found) = asked(0.7);
        assert!(temperature > 1.1 && (found.confidence - 0.7).abs() < 1e-4, "{temperature}");
    }

    /// The root that `scipy.optimize.fsolve` (SciPy 1.17.1) finds.
    #[test]
    fn agrees_with_scipy() {
        let films = [0.9, 0.1, 0.6, 0.4, 0.3, 0.7, 0.2, 0.8, 0.55, 0.45];
        let means = PoolMeans { shares: vec![0.25, 0.75], confidence: 0.9 };
        let found = alignment(&films, &means, COLDEST);
        assert!((found.temperature - 0.536_122_2).abs() < 1e-4, "{found:?}");
        assert!((found.biases[1] - found.biases[0] - 2.152_454_9).abs() < 1e-3, "{found:?}");
    }
}
