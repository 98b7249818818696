//! The films to choose from, and what every ranking of them shares.

use super::reason::Reason;
use crate::dataset::FilmId;
use crate::features::{Embeddings, Head, Space};

/// The films to choose from and what is known of them; films are numbered by their row in `space`.
///
/// All rows take part in clustering, so films kept back for evaluation do not belong in it.
#[derive(Clone, Copy, Debug)]
pub struct Pool<'a> {
    /// The films' identities, which break ties.
    pub ids: &'a [FilmId],
    /// Their features, standardised for the head, and the directions in which distances are measured.
    pub space: &'a Space,
    /// Standardised features of further views of the films, as many rows and of the same width; only
    /// [`Strategy::AugmentationVariance`](super::Strategy::AugmentationVariance) asks for them.
    pub views: Option<&'a [Embeddings]>,
    /// The head, fitted to the labels.
    pub head: &'a Head,
    /// Films x classes, by the head; may be empty for strategies that ask no head.
    pub probabilities: &'a [f32],
    /// Labelled films, in the order in which they were labelled.
    pub labelled: &'a [usize],
    /// The class of each labelled film.
    pub classes: &'a [usize],
    /// Films that were answered without a class; they are no candidates, and no more of their like is asked for than of a
    /// labelled film's.
    pub answered: &'a [usize],
    /// Films that may be chosen; none of them labelled or answered, none twice.
    pub candidates: &'a [usize],
    /// Films of a batch, which `TypiClust` makes its clusters by, whether or not the pool is ranked again within it.
    pub batch: usize,
}

/// A film in its place of the ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The film's row in its space.
    pub index: usize,
    /// What the strategy measured: see [`Reason`] for the meaning; not comparable between strategies.
    pub score: f32,
    /// Why it stands where it stands; for the reader's eyes only after the label, as it tells the model's opinion.
    pub reason: Reason,
}

impl Pool<'_> {
    /// Returns the probabilities of film `index`; empty when there are none.
    pub(crate) fn probabilities_of(&self, index: usize) -> &[f32] {
        self.probabilities
            .get(index * self.space.classes()..(index + 1) * self.space.classes())
            .unwrap_or(&[])
    }

    /// Returns the candidates in the order of their ids.
    pub(crate) fn candidates_by_id(&self) -> Vec<usize> {
        let mut films = self.candidates.to_vec();
        films.sort_unstable_by_key(|&film| self.ids[film]);
        films
    }

    /// Returns the position in `films` of the largest value; equals by film id, NaN below all else.
    pub(crate) fn best_of(&self, films: &[usize], value: impl Fn(usize) -> f32) -> usize {
        let key = |film: usize| {
            let value = value(film);
            if value.is_nan() { f32::NEG_INFINITY } else { value }
        };
        let better = |a: &(usize, f32, FilmId), b: &(usize, f32, FilmId)| {
            a.1.total_cmp(&b.1).then_with(|| b.2.cmp(&a.2))
        };
        let keyed =
            films.iter().enumerate().map(|(position, &film)| (position, key(film), self.ids[film]));
        keyed.max_by(better).map_or(0, |best| best.0)
    }

    /// Ranks films, the most urgent first; equals by film id, NaN below all else.
    pub(crate) fn by_urgency(&self, films: impl Iterator<Item = (f32, Ranked)>) -> Vec<Ranked> {
        let usable = |urgency: f32| if urgency.is_nan() { f32::NEG_INFINITY } else { urgency };
        let mut films: Vec<(f32, Ranked)> =
            films.map(|(urgency, ranked)| (usable(urgency), ranked)).collect();
        films.sort_unstable_by(|a, b| {
            b.0.total_cmp(&a.0).then_with(|| self.ids[a.1.index].cmp(&self.ids[b.1.index]))
        });
        films.into_iter().map(|(_, ranked)| ranked).collect()
    }

    /// Ranks all candidates by a score, the largest first, and its reason.
    pub(crate) fn by_score(&self, measure: impl Fn(usize) -> (f32, Reason)) -> Vec<Ranked> {
        self.by_urgency(self.candidates.iter().map(|&index| {
            let (score, reason) = measure(index);
            (score, Ranked { index, score, reason })
        }))
    }
}
