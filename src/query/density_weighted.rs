//! Information density (Settles and Craven, EMNLP 2008, equation 13): unsure films that stand for many.
//!
//! `H(p) * (mean similarity to the unlabelled films)^beta` with `beta = 1`, as there. The mean over all films is one product
//! with the sum of their normalised embeddings.
//!
//! Deviation: the similarity is `(1 + cosine) / 2`. Directions are measured from the pool's mean, so that cosines are
//! negative for about half of the films, and by the cosine itself these would never be asked for.

use super::pool::{Pool, Ranked};
use super::reason::Reason;
use super::uncertainty;
use crate::features::dot;

/// Ranks all candidates, the largest density-weighted entropy first.
pub(crate) fn rank(pool: &Pool<'_>) -> Vec<Ranked> {
    let centre = mean_direction(pool);
    pool.by_score(|film| {
        let nats = uncertainty::entropy(pool.probabilities_of(film));
        let cosine = dot(&pool.space.directions().row(film), &centre);
        let similarity =
            if cosine.is_nan() { 0.0 } else { f32::midpoint(1.0, cosine).clamp(0.0, 1.0) };
        (nats * similarity, Reason::DenseEntropy { nats, similarity })
    })
}

/// Returns the mean of the candidates' embeddings, those that are not finite left out.
fn mean_direction(pool: &Pool<'_>) -> Vec<f32> {
    let mut sum = vec![0.0f32; pool.space.directions().dim()];
    let rows = pool.candidates.iter().map(|&film| pool.space.directions().row(film));
    for row in rows.filter(|row| dot(row, row).is_finite()) {
        sum.iter_mut().zip(&*row).for_each(|(s, v)| *s += v);
    }
    let films = pool.candidates.len().max(1) as f32;
    sum.into_iter().map(|s| s / films).collect()
}
