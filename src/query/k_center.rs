//! Greedy k-center (Sener and Savarese, ICLR 2018): the film farthest from all labelled ones, again and again.

use super::cluster::{ClusterCache, lower_distances};
use super::pool::{Pool, Ranked};
use super::reason::Reason;
use crate::features::dot;

/// Selects up to `count` candidates, each the farthest from the labelled, the answered and the already selected films.
///
/// With no label yet the first is the most central candidate, whose product with the candidates' sum is largest.
pub(crate) fn select(pool: &Pool<'_>, count: usize, cache: &mut ClusterCache) -> Vec<Ranked> {
    let x = pool.space.directions();
    cache.follow(x);
    let reach = &mut cache.reach;
    // Labels mostly only grow; then the distances to the earlier ones still stand.
    if !pool.labelled.starts_with(&reach.centres) || reach.nearest.len() != x.len() {
        reach.centres.clear();
        reach.nearest = vec![f32::INFINITY; x.len()];
    }
    for &film in &pool.labelled[reach.centres.len()..] {
        lower_distances(x, film, &mut reach.nearest);
    }
    reach.centres = pool.labelled.to_vec();

    let mut nearest = reach.nearest.clone();
    for &film in pool.answered {
        lower_distances(x, film, &mut nearest);
    }
    let mut left = pool.candidates.to_vec();
    let mut selected = Vec::with_capacity(count.min(left.len()));
    while selected.len() < count && !left.is_empty() {
        let first = pool.labelled.is_empty() && pool.answered.is_empty() && selected.is_empty();
        let best = if first {
            most_central(pool, &left)
        } else {
            pool.best_of(&left, |film| nearest[film])
        };
        let index = left.swap_remove(best);
        let distance = if first { 0.0 } else { nearest[index].sqrt() };
        selected.push(Ranked { index, score: distance, reason: Reason::Distance { distance } });
        lower_distances(x, index, &mut nearest);
    }
    selected
}

/// Returns the position in `films` of the one nearest in direction to their sum.
fn most_central(pool: &Pool<'_>, films: &[usize]) -> usize {
    let x = pool.space.directions();
    let mut sum = vec![0.0f32; x.dim()];
    for &film in films {
        sum.iter_mut().zip(&*x.row(film)).filter(|(_, v)| v.is_finite()).for_each(|(s, v)| *s += v);
    }
    pool.best_of(films, |film| dot(&x.row(film), &sum))
}
