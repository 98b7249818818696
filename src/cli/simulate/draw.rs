//! Buying labels: one strategy, one draw, one film after the other.

use anyhow::bail;

use super::bench::Bench;
use super::heads::fit_head;
use crate::learn::Flow;
use crate::learn::finetune::Labelled;
use crate::query::{ClusterCache, Head, Pool, Regularisation, Strategy, rank};

/// Labels per label of a round where no size of round was asked for: up to 500 labels the pool is ranked for each one.
const LABELS_PER_ROUND: usize = 250;

/// Labels bought by one strategy in one draw. The first labels are the same whatever is bought after them.
pub struct Draw {
    strategy: Strategy,
    seed: u64,
    round: Option<usize>,
    bought: Labelled,
    regularisation: Regularisation,
    clusters: ClusterCache,
    head: Option<Head>,
}

impl Draw {
    /// Starts without a label. `round` labels are bought between two rankings; without it one, and with 500 and more
    /// labels a 250th of them.
    pub fn new(strategy: Strategy, seed: u64, round: Option<usize>) -> Self {
        Self {
            strategy,
            seed,
            round,
            bought: Labelled::default(),
            regularisation: Regularisation::default(),
            clusters: ClusterCache::default(),
            head: None,
        }
    }

    /// Returns the first `budget` labels, buying those that are missing.
    ///
    /// # Errors
    /// Fails as stopped after Ctrl-C, or if the pool has fewer films.
    pub fn labels(&mut self, bench: &Bench<'_>, budget: usize) -> anyhow::Result<Labelled> {
        if budget > bench.pool.files.len() {
            bail!("{budget} labels are more than the pool has films");
        }
        while self.bought.rows.len() < budget {
            if bench.flow() == Flow::Stop {
                bail!("stopped");
            }
            self.buy(bench);
        }
        let mut labels = self.bought.clone();
        labels.rows.truncate(budget);
        labels.classes.truncate(budget);
        Ok(labels)
    }

    fn buy(&mut self, bench: &Bench<'_>) {
        let warm = self.head.as_ref();
        let head = fit_head(bench, &self.bought, &mut self.regularisation, warm);
        let mut open = vec![true; bench.pool.files.len()];
        self.bought.rows.iter().for_each(|&row| open[row] = false);
        let candidates: Vec<usize> = (0..open.len()).filter(|&row| open[row]).collect();
        let count = self.count(candidates.len());
        let pool = Pool {
            ids: &bench.ids,
            embeddings: &bench.directions,
            features: &bench.features,
            views: bench.views.as_deref(),
            head: &head,
            probabilities: &head.probabilities(&bench.features),
            class_count: bench.classes(),
            labelled: &self.bought.rows,
            classes: &self.bought.classes,
            answered: &[],
            candidates: &candidates,
            batch: count,
        };
        for film in rank(self.strategy, &pool, count, self.seed, &mut self.clusters) {
            self.bought.rows.push(film.index);
            self.bought.classes.push(bench.pool.labels[film.index]);
        }
        self.head = Some(head);
    }

    /// Labels to buy before the next ranking; a random order is known to its end.
    fn count(&self, candidates: usize) -> usize {
        match (self.strategy, self.round) {
            (Strategy::Random, _) => candidates,
            (_, Some(round)) => round,
            _ => (self.bought.rows.len() / LABELS_PER_ROUND).max(1),
        }
    }
}

/// Returns the labels of the whole pool: there is nothing to choose.
pub fn whole_pool(bench: &Bench<'_>) -> Labelled {
    let classes = bench.pool.labels.clone();
    Labelled { rows: (0..classes.len()).collect(), classes }
}
