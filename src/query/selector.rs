//! What is to be read next, from what is known: the one place that scores the pool and ranks it.

use std::collections::BTreeSet;

use super::cluster::ClusterCache;
use super::pool::{Pool, Ranked};
use super::strategy::{Strategy, rank};
use crate::dataset::{FilmId, Labelled};
use crate::features::{Embeddings, Head, Space};

/// Films to choose from.
#[derive(Clone, Copy, Debug)]
pub struct Films<'a> {
    /// The films' identities, which break ties.
    pub ids: &'a [FilmId],
    /// The films' features.
    pub space: &'a Space,
    /// Features of further views of the films, on the same scale, where they are there.
    pub views: Option<&'a [Embeddings]>,
}

/// What is known of the films.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Labels that can be learnt from, in the order in which they came.
    pub labelled: Labelled,
    /// Rows answered without a class: no more of their like is asked for than of a labelled film's.
    pub answered: Vec<usize>,
    /// Rows that may be chosen, ascending.
    pub candidates: Vec<usize>,
}

impl Known {
    /// Sorts the films of `space` out: `answered` rows have an answer without a class, `deferred` ones are not to come now.
    /// What cannot be read is neither learnt from nor chosen.
    pub fn new(space: &Space, labelled: &Labelled, answered: &[usize], deferred: &[usize]) -> Self {
        let mut open = vec![true; space.len()];
        let closed = labelled.rows.iter().chain(answered).chain(deferred);
        closed.chain(space.unreadable()).for_each(|&row| open[row] = false);
        let unreadable: BTreeSet<usize> = space.unreadable().iter().copied().collect();
        let readable = |row: &&usize| !unreadable.contains(row);
        Self {
            labelled: space.learnable(labelled),
            answered: answered.iter().filter(readable).copied().collect(),
            candidates: (0..open.len()).filter(|&row| open[row]).collect(),
        }
    }

    /// Says whether a row may be chosen.
    pub fn is_candidate(&self, row: usize) -> bool {
        self.candidates.binary_search(&row).is_ok()
    }

    /// Returns what would be known if a row had this class.
    #[must_use]
    pub fn with(&self, row: usize, class: usize) -> Self {
        let mut more = self.clone();
        more.labelled = self.labelled.with(row, class);
        more.candidates.retain(|&candidate| candidate != row);
        more
    }
}

/// The pool as it stands after an answer.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The head, fitted to the labels.
    pub head: Head,
    /// Its class probabilities of every film, films x classes, row-major.
    pub probabilities: Vec<f32>,
    /// Candidates in reading order, with the reasons.
    pub order: Vec<Ranked>,
}

/// Ranks the films of one pool again and again. What it remembers saves time and changes no ranking.
#[derive(Debug)]
pub struct Selector {
    seed: u64,
    batch: usize,
    clusters: ClusterCache,
}

impl Selector {
    /// Starts with the seed of everything random, for films that are read in batches of `batch` between two rankings.
    pub fn new(seed: u64, batch: usize) -> Self {
        Self { seed, batch, clusters: ClusterCache::default() }
    }

    /// Fits the head to what is known, at a penalty of `l2`, and ranks up to `count` candidates, the best first.
    pub fn select(
        &mut self,
        strategy: Strategy,
        films: &Films<'_>,
        known: &Known,
        l2: f32,
        count: usize,
    ) -> Selection {
        let space = films.space;
        let head = space.head(&known.labelled, l2);
        let probabilities = head.probabilities(space.features());
        let pool = Pool {
            ids: films.ids,
            space,
            views: films.views,
            head: &head,
            probabilities: &probabilities,
            labelled: &known.labelled.rows,
            classes: &known.labelled.classes,
            answered: &known.answered,
            candidates: &known.candidates,
            batch: self.batch,
        };
        let order = rank(strategy, &pool, count, self.seed, &mut self.clusters);
        Selection { head, probabilities, order }
    }
}
