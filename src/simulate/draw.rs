//! Buying labels: one strategy, one draw, one film after the other.

use anyhow::bail;

use super::bench::Bench;
use crate::dataset::Labelled;
use crate::learn::Flow;
use crate::query::{Films, Known, Selector, Strategy};

/// Labels per label of a round where no size of round was asked for: up to 500 labels the pool is ranked for each one.
const LABELS_PER_ROUND: usize = 250;

/// Labels bought by one strategy in one draw. The first labels are the same whatever is bought after them.
pub struct Draw {
    strategy: Strategy,
    round: Option<usize>,
    bought: Labelled,
    selector: Selector,
}

impl Draw {
    /// Starts without a label. `round` labels are bought between two rankings; without it one, and with 500 and more
    /// labels a 250th of them.
    pub fn new(strategy: Strategy, seed: u64, round: Option<usize>) -> Self {
        let selector = Selector::new(seed, round.unwrap_or(1));
        Self { strategy, round, bought: Labelled::default(), selector }
    }

    /// Returns the first `budget` labels, buying those that are missing.
    ///
    /// # Errors
    /// Fails as stopped, or if the pool has fewer films.
    pub fn labels(&mut self, bench: &Bench<'_>, budget: usize) -> anyhow::Result<Labelled> {
        if budget > bench.pool.files.len() {
            bail!("{budget} labels are more than the pool has films");
        }
        while self.bought.rows.len() < budget {
            if bench.flow() == Flow::Stop {
                bail!("stopped");
            }
            self.buy(bench)?;
        }
        Ok(self.bought.first(budget))
    }

    fn buy(&mut self, bench: &Bench<'_>) -> anyhow::Result<()> {
        let known = Known::new(&bench.space, &self.bought, &[], &[]);
        let films = Films { ids: &bench.ids, space: &bench.space, views: bench.views.as_deref() };
        let (l2, count) = (bench.round().penalty(&self.bought)?, self.count(&known));
        for film in self.selector.select(self.strategy, &films, &known, l2, count).order {
            self.bought.rows.push(film.index);
            self.bought.classes.push(bench.pool.labels[film.index]);
        }
        Ok(())
    }

    /// Labels to buy before the next ranking; a random order is known to its end.
    fn count(&self, known: &Known) -> usize {
        match (self.strategy, self.round) {
            (Strategy::Random, _) => known.candidates.len(),
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
