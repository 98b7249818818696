//! Unsure films within class quotas, so that rare classes get their share of the labels.
//!
//! The quotas are those of Bengar, van de Weijer, Fuentes and Raducanu (WACV 2022): class `c` is to get
//! `max(0, (labels + batch) / classes - labels of c)` of the batch. They fill them by an integer programme over soft
//! predictions that trades uncertainty against balance by a weight to be tuned; here each film counts as its likeliest
//! class, and the least sure films of a class fill its quota. The quotas are filled one film at a time, always of the class
//! with the fewest labels so far, so that the first films of a batch are a smaller batch.

use super::pool::{Pool, Ranked};
use super::reason::Reason;
use super::uncertainty;
use crate::stats::argmax;

/// Ranks all candidates; those without usable probabilities come last.
pub(crate) fn rank(pool: &Pool<'_>) -> Vec<Ranked> {
    let mut counts = vec![0usize; pool.space.classes()];
    for &class in pool.classes.iter().filter(|&&class| class < pool.space.classes()) {
        counts[class] += 1;
    }
    let mut queues: Vec<Vec<Ranked>> = vec![Vec::new(); pool.space.classes()];
    let mut rest = Vec::new();
    // The surest first, to take the least sure off the end.
    for film in uncertainty::rank_by_margin(pool).into_iter().rev() {
        match likeliest(pool.probabilities_of(film.index)) {
            Some(class) => queues[class].push(film),
            None => rest.push(film),
        }
    }
    let mut ranked = Vec::with_capacity(pool.candidates.len());
    while let Some(class) = neediest(&counts, &queues) {
        if let Some(film) = queues[class].pop() {
            let reason = Reason::BalancedMargin { margin: film.score, labels: counts[class] };
            ranked.push(Ranked { reason, ..film });
            counts[class] += 1;
        }
    }
    ranked.extend(rest.into_iter().rev());
    ranked
}

/// Returns the class of the fewest labels that has films left; of equals the one whose next film is less sure.
fn neediest(counts: &[usize], queues: &[Vec<Ranked>]) -> Option<usize> {
    let next = |class: &usize| queues[*class].last().map(|film| film.score);
    let with_films = (0..counts.len()).filter(|class| next(class).is_some());
    with_films.min_by(|a, b| {
        let scores = || next(a).unwrap_or(0.0).total_cmp(&next(b).unwrap_or(0.0));
        counts[*a].cmp(&counts[*b]).then_with(scores)
    })
}

/// Returns the class of the largest probability, the first of equals; `None` if any is not a number.
fn likeliest(probabilities: &[f32]) -> Option<usize> {
    if probabilities.iter().any(|p| p.is_nan()) {
        return None;
    }
    argmax(probabilities)
}
