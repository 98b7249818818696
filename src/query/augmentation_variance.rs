//! Variance of the head's probabilities over fixed views of a film: small changes that change the answer.
//!
//! Source: the first selection of TeamSemiSuperCV/semi-super (`Active_Learn/AL_Augment.ipynb`), which takes the films of
//! largest `np.var` of the pneumonia probability over six views, top-k, without a rule of diversity. Its head had been
//! fitted to all labels; this one knows those that were given.

use super::pool::{Pool, Ranked};
use super::reason::Reason;
use crate::features::Embeddings;

/// Ranks all candidates, the largest variance first; `views` are those besides the whole film.
pub(crate) fn rank(pool: &Pool<'_>, views: &[Embeddings]) -> Vec<Ranked> {
    let probabilities: Vec<Vec<f32>> =
        views.iter().map(|view| pool.head.probabilities_of(view, pool.candidates)).collect();
    let ranked = pool.candidates.iter().enumerate().map(|(place, &index)| {
        let of_view =
            |p: &Vec<f32>| p[place * pool.space.classes()..][..pool.space.classes()].to_vec();
        let mut rows = vec![pool.probabilities_of(index).to_vec()];
        rows.extend(probabilities.iter().map(of_view));
        let score = variance(&rows, pool.space.classes());
        (score, Ranked { index, score, reason: Reason::ViewVariance { deviation: score.sqrt() } })
    });
    pool.by_urgency(ranked)
}

/// Returns half of the sum over classes of the population variances; for two classes that of either's probability.
fn variance(rows: &[Vec<f32>], classes: usize) -> f32 {
    let n = rows.len() as f64;
    let of_class = |class: usize| {
        let value = |row: &Vec<f32>| row.get(class).map_or(f64::NAN, |&p| f64::from(p));
        let mean = rows.iter().map(value).sum::<f64>() / n;
        rows.iter().map(|row| (value(row) - mean).powi(2)).sum::<f64>() / n
    };
    ((0..classes).map(of_class).sum::<f64>() / 2.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_classes_the_variance_is_numpys() {
        // np.var([.1, .4, .4, .7])
        let rows: Vec<Vec<f32>> = [0.1, 0.4, 0.4, 0.7].map(|p| vec![1.0 - p, p]).to_vec();
        assert!((variance(&rows, 2) - 0.045).abs() < 1e-7);
        assert!(variance(&[vec![f32::NAN, 0.5]], 2).is_nan() && variance(&[vec![]], 2).is_nan());
    }
}
