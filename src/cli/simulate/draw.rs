//! Buying labels: one strategy, one draw, one film after the other.

use super::bench::Bench;
use super::methods::fit_head;
use crate::learn::finetune::Labelled;
use crate::query::{ClusterCache, Head, Pool, Regularisation, Strategy, rank};

/// Labels bought by one strategy in one draw.
pub struct Draw {
    strategy: Strategy,
    seed: u64,
    round: usize,
    bought: Labelled,
    regularisation: Regularisation,
    clusters: ClusterCache,
    head: Option<Head>,
}

impl Draw {
    /// Starts without a label.
    pub fn new(strategy: Strategy, seed: u64, round: usize) -> Self {
        Self {
            strategy,
            seed,
            round: round.max(1),
            bought: Labelled::default(),
            regularisation: Regularisation::default(),
            clusters: ClusterCache::default(),
            head: None,
        }
    }

    /// Returns the first `budget` labels, buying those that are missing.
    pub fn labels(&mut self, bench: &Bench<'_>, budget: usize) -> Labelled {
        while self.bought.rows.len() < budget {
            self.buy(bench);
        }
        let mut labels = self.bought.clone();
        labels.rows.truncate(budget);
        labels.classes.truncate(budget);
        labels
    }

    fn buy(&mut self, bench: &Bench<'_>) {
        let fitted = fit_head(bench, &self.bought, &mut self.regularisation, self.head.as_ref());
        let probabilities = fitted.probabilities(&bench.features);
        self.head = Some(fitted);
        let mut open = vec![true; bench.pool_store.len()];
        self.bought.rows.iter().for_each(|&row| open[row] = false);
        let candidates: Vec<usize> = (0..open.len()).filter(|&row| open[row]).collect();
        let pool = Pool {
            ids: &bench.ids,
            embeddings: &bench.directions,
            probabilities: &probabilities,
            class_count: bench.classes(),
            labelled: &self.bought.rows,
            classes: &self.bought.classes,
            candidates: &candidates,
        };
        let ranked = rank(self.strategy, &pool, self.round, self.seed, &mut self.clusters);
        for film in ranked {
            self.bought.rows.push(film.index);
            self.bought.classes.push(bench.pool.labels[film.index]);
        }
    }
}
