//! Bringing a classifier's operating point and confidence back to what the linear head says of the pool.
//!
//! Labels that a strategy chose have other class shares than the pool and are its hard films. A network fitted to few of them
//! keeps its ranking of films long after its threshold has drifted, and a temperature fitted to them is too cautious. The means
//! of the linear head's probabilities over the pool estimate the pool's shares and how sure one may be there, without another
//! label (distribution alignment as Berthelot et al. have it, ICLR 2020, <https://arxiv.org/abs/1911.09785>, applied once, to
//! the logits' biases, and likewise to their scale).

use super::calibration::apply_temperature;
use super::{Flow, LearnError, Setting, probabilities};
use crate::model::Classifier;

/// Films of the pool that are asked at most, at equal steps through it.
const FILMS: usize = 2_000;
/// A class's mean and its share differ by less than this in the end.
const CLOSE: f64 = 1e-6;
/// Rounds after which the search for biases ends; each brings every mean nearer, in practice tenfold in a few.
const ROUNDS: usize = 1_000;
/// Temperatures that are searched; beyond them probabilities are one-hot or the shares themselves.
const TEMPERATURES: (f64, f64) = (0.05, 20.0);
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
        let of = |class| probabilities.iter().skip(class).step_by(classes).map(|&p| f64::from(p));
        Some(Self {
            shares: (0..classes).map(|class| (of(class).sum::<f64>() / films) as f32).collect(),
            confidence: confidence(probabilities, classes) as f32,
        })
    }
}

fn confidence(probabilities: &[f32], classes: usize) -> f64 {
    let top = |row: &[f32]| row.iter().copied().fold(0.0, f32::max);
    let rows = probabilities.chunks_exact(classes.max(1));
    let films = rows.len().max(1) as f64;
    rows.map(|row| f64::from(top(row))).sum::<f64>() / films
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
/// Where no temperature in 0.05..=20 reaches the confidence, the nearest is taken.
pub fn alignment(probabilities: &[f32], means: &PoolMeans) -> Alignment {
    let (classes, wanted) = (means.shares.len(), f64::from(means.confidence));
    let at = |log_temperature: f64| {
        let temperature = log_temperature.exp() as f32;
        let mut scaled = probabilities.to_vec();
        apply_temperature(&mut scaled, classes, temperature);
        let (biases, confidence) = shifted(&scaled, &means.shares);
        (Alignment { temperature, biases }, confidence)
    };
    let (mut low, mut high) = (TEMPERATURES.0.ln(), TEMPERATURES.1.ln());
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        // The hotter, the less sure.
        if at(middle).1 > wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    at(f64::midpoint(low, high)).0
}

/// Returns what to add to the logits of each class so that the mean of probabilities becomes `shares`, and the confidence then.
fn shifted(probabilities: &[f32], shares: &[f32]) -> (Vec<f32>, f64) {
    let classes = shares.len();
    let logs: Vec<f64> = probabilities.iter().map(|&p| f64::from(p).max(1e-12).ln()).collect();
    let films = (logs.len() / classes.max(1)).max(1) as f64;
    let (mut added, mut confidence) = (vec![0.0; classes], 0.0);
    for _ in 0..ROUNDS {
        let mut mean = vec![0.0; classes];
        confidence = 0.0;
        for row in logs.chunks_exact(classes) {
            let raised: Vec<f64> = row.iter().zip(&added).map(|(log, b)| (log + b).exp()).collect();
            let total: f64 = raised.iter().sum();
            confidence += raised.iter().copied().fold(0.0, f64::max) / total / films;
            mean.iter_mut().zip(raised).for_each(|(sum, p)| *sum += p / total / films);
        }
        let share = |class: usize| f64::from(shares[class]);
        for class in 0..classes {
            added[class] += (share(class).max(1e-12) / mean[class].max(1e-12)).ln();
        }
        if (0..classes).all(|class| (mean[class] - share(class)).abs() < CLOSE) {
            break;
        }
    }
    // A sum of zero says the same.
    let middle = added.iter().sum::<f64>() / classes.max(1) as f64;
    (added.iter().map(|b| (b - middle) as f32).collect(), confidence)
}

/// Scales and shifts a classifier's logits so that its probabilities over the films `rows` of the store, or up to 2,000 of
/// them at equal steps, have the means given.
///
/// # Errors
/// Fails if the device failed, or as stopped when `observe`, which is told the films done, says so.
pub fn aligned(
    model: Classifier,
    setting: &Setting<'_>,
    rows: &[usize],
    size: u32,
    means: &PoolMeans,
    observe: &mut dyn FnMut(usize) -> Flow,
) -> Result<Classifier, LearnError> {
    let step = rows.len().div_ceil(FILMS).max(1);
    let asked: Vec<usize> = rows.iter().copied().step_by(step).collect();
    let found = probabilities(&model, setting.store, &asked, size, setting.device, observe)?;
    let Alignment { temperature, biases } = alignment(&found, means);
    Ok(model.scaled(temperature.recip()).shifted(&biases))
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let alignment = alignment(&films, &means);
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
            alignment(&films, &PoolMeans::of(&films, 3).unwrap());
        assert!((temperature - 1.0).abs() < 1e-3, "{temperature}");
        assert!(biases.iter().all(|bias| bias.abs() < 1e-3), "{biases:?}");
    }

    /// As sure as nobody can be: the coldest that is searched.
    #[test]
    fn a_confidence_out_of_reach_is_neared() {
        let means = PoolMeans { shares: vec![0.5, 0.5], confidence: 1.0 };
        let found = alignment(&[0.5, 0.5, 0.6, 0.4, 0.4, 0.6], &means);
        assert!(found.temperature < 0.06 && found.biases.iter().all(|bias| bias.is_finite()));
    }

    /// The root that `scipy.optimize.fsolve` (SciPy 1.17.1) finds.
    #[test]
    fn agrees_with_scipy() {
        let films = [0.9, 0.1, 0.6, 0.4, 0.3, 0.7, 0.2, 0.8, 0.55, 0.45];
        let found = alignment(&films, &PoolMeans { shares: vec![0.25, 0.75], confidence: 0.9 });
        assert!((found.temperature - 0.536_122_2).abs() < 1e-4, "{found:?}");
        assert!((found.biases[1] - found.biases[0] - 2.152_454_9).abs() < 1e-3, "{found:?}");
    }
}
