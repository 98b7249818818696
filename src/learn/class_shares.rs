//! Bringing a classifier's operating point back to the classes' shares in the pool.
//!
//! Labels that a strategy chose have other class shares than the pool, and a network fitted to few of them keeps its ranking
//! of films long after its threshold has drifted. The mean of the linear head's probabilities over the pool estimates the
//! pool's shares without another label (distribution alignment as Berthelot et al. have it, ICLR 2020,
//! <https://arxiv.org/abs/1911.09785>, applied once, to the logits' biases).

use super::{Flow, LearnError, Setting, probabilities};
use crate::model::Classifier;

/// Films of the pool that are asked at most, at equal steps through it.
const FILMS: usize = 2_000;
/// A class's mean and its share differ by less than this in the end.
const CLOSE: f64 = 1e-6;
/// Rounds after which the search ends; each brings every mean nearer, in practice tenfold in a few.
const ROUNDS: usize = 1_000;

/// Returns the mean of probabilities, row-major, of each class; nothing without films.
pub fn mean_shares(probabilities: &[f32], classes: usize) -> Option<Vec<f32>> {
    let films = probabilities.len().checked_div(classes).filter(|&films| films > 0)?;
    let of = |class| probabilities.iter().skip(class).step_by(classes).map(|&p| f64::from(p));
    Some((0..classes).map(|class| (of(class).sum::<f64>() / films as f64) as f32).collect())
}

/// Returns what to add to the logits of each class so that the mean of probabilities, row-major, becomes `shares`, one a class
/// and above 0.
pub fn biases(probabilities: &[f32], shares: &[f32]) -> Vec<f32> {
    let classes = shares.len();
    let logs: Vec<f64> = probabilities.iter().map(|&p| f64::from(p).max(1e-12).ln()).collect();
    let films = (logs.len() / classes.max(1)).max(1) as f64;
    let mut added = vec![0.0; classes];
    for _ in 0..ROUNDS {
        let mut mean = vec![0.0; classes];
        for row in logs.chunks_exact(classes) {
            let raised: Vec<f64> = row.iter().zip(&added).map(|(log, b)| (log + b).exp()).collect();
            let total: f64 = raised.iter().sum();
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
    added.iter().map(|b| (b - middle) as f32).collect()
}

/// Shifts a classifier's logits so that its mean probabilities over the films `rows` of the store, or up to 2,000 of them at
/// equal steps, are `shares`.
///
/// # Errors
/// Fails if the device failed, or as stopped when `observe`, which is told the films done, says so.
pub fn aligned(
    model: Classifier,
    setting: &Setting<'_>,
    rows: &[usize],
    size: u32,
    shares: &[f32],
    observe: &mut dyn FnMut(usize) -> Flow,
) -> Result<Classifier, LearnError> {
    let step = rows.len().div_ceil(FILMS).max(1);
    let asked: Vec<usize> = rows.iter().copied().step_by(step).collect();
    let found = probabilities(&model, setting.store, &asked, size, setting.device, observe)?;
    Ok(model.shifted(&biases(&found, shares)))
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

    #[test]
    fn means_become_the_shares() {
        for shares in [vec![0.3, 0.7], vec![0.99, 0.01], vec![0.1, 0.2, 0.7]] {
            let films = films(shares.len());
            let added = biases(&films, &shares);
            let shifted: Vec<f32> = films
                .chunks(shares.len())
                .flat_map(|row| {
                    let raised: Vec<f32> =
                        row.iter().zip(&added).map(|(p, b)| p * b.exp()).collect();
                    let total: f32 = raised.iter().sum();
                    raised.into_iter().map(move |p| p / total)
                })
                .collect();
            let found = mean_shares(&shifted, shares.len()).unwrap();
            for (found, share) in found.iter().zip(&shares) {
                assert!((found - share).abs() < 1e-4, "{found} and not {share}");
            }
            assert!(added.iter().sum::<f32>().abs() < 1e-4);
        }
        assert!(mean_shares(&[], 2).is_none());
    }

    /// The root that `scipy.optimize.brentq` (SciPy 1.17.1) finds.
    #[test]
    fn agrees_with_scipy() {
        let found = biases(&[0.9, 0.1, 0.6, 0.4, 0.3, 0.7, 0.2, 0.8, 0.55, 0.45], &[0.25, 0.75]);
        let expected = 1.532_278_8;
        assert!((found[1] - found[0] - expected).abs() < 1e-4, "{found:?}");
    }
}
