//! EPIG, expected predictive information gain (Bickford Smith, Kirsch, Farquhar, Gal, Foster and Rainforth, AISTATS 2023):
//! how much a film's label tells about the labels of the films that the model is for.
//!
//! `EPIG(x) = mean over x* of I(y; y* | x, x*)`, equation 3 there, with the committee's mixture for the joint distribution
//! of both labels. BALD asks for whatever settles the head; this only for what settles its answers.

use super::committee::{Committee, Opinions, surprise};
use super::pool::{Pool, Ranked};
use super::reason::Reason;
use crate::rng;

/// Films that stand for all that the model is for, drawn from the pool.
const TARGETS: usize = 100;

/// Ranks all candidates, those whose labels tell most first.
pub(crate) fn rank(pool: &Pool<'_>, seed: u64) -> Vec<Ranked> {
    let committee = Committee::fit(pool, seed);
    let targets = committee.opinions(pool, &draw_targets(pool.space.readable(), seed));
    let nats = epig(&committee.opinions(pool, pool.candidates), &targets);
    pool.by_urgency(pool.candidates.iter().zip(nats).map(|(&index, nats)| {
        let nats = nats as f32;
        (nats, Ranked { index, score: nats, reason: Reason::PredictiveInformation { nats } })
    }))
}

/// Draws target films, labelled or not, the same at every ranking; all if there are no more than are drawn.
fn draw_targets(films: Vec<usize>, seed: u64) -> Vec<usize> {
    if films.len() <= TARGETS {
        return films;
    }
    let mut draws = rng::stream(seed, "target films", &[]);
    (0..TARGETS).map(|_| films[rng::below(&mut draws, films.len())]).collect()
}

/// Returns the mean over `targets` of the mutual information of each film's label and the target's, in nats.
///
/// Both are opinions of the same members; computed as `H(y) + H(y*) - H(y, y*)`.
pub(super) fn epig(films: &Opinions, targets: &Opinions) -> Vec<f64> {
    let entropy = |of: &Opinions, film| of.mean(film).into_iter().map(surprise).sum::<f64>();
    let count = targets.films() as f64;
    let of_targets = (0..targets.films()).map(|film| entropy(targets, film)).sum::<f64>() / count;
    // Targets x classes, for each member, over the number of members.
    let share = |member| {
        let rows = (0..targets.films()).flat_map(move |film| targets.of(member, film));
        rows.map(|&p| f64::from(p) / targets.members() as f64).collect()
    };
    let shares: Vec<Vec<f64>> = (0..targets.members()).map(share).collect();
    let mut joint = vec![0.0; targets.films() * targets.class_count()];
    let mut information = |film: usize| {
        let mut of_both = 0.0;
        for class in 0..films.class_count() {
            joint.fill(0.0);
            for (member, shares) in shares.iter().enumerate() {
                let p = f64::from(films.of(member, film)[class]);
                joint.iter_mut().zip(shares).for_each(|(j, share)| *j += p * share);
            }
            of_both += joint.iter().map(|&j| surprise(j)).sum::<f64>();
        }
        // Rounding may leave a little below nothing.
        (entropy(films, film) + of_targets - of_both / count).max(0.0)
    };
    (0..films.films()).map(&mut information).collect()
}
