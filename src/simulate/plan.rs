//! Which cells a simulation has, and what each of them is determined by.

use std::fmt;

use rand_core::Rng as _;
use serde::{Serialize, Serializer};

use super::method::{Method, Recipe};
use super::methods::shared_settings;
use super::parts::Parts;
use super::settings::{Budget, Settings};
use crate::learn::LearnError;
use crate::query::Strategy;
use crate::rng;

/// One way of choosing films and learning from them. Without a strategy all labels of the pool are bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArmName {
    /// How films are chosen.
    pub strategy: Option<Strategy>,
    /// How is learnt.
    pub method: Method,
}

impl ArmName {
    /// Returns the strategy's name; `all` for the whole pool.
    pub fn strategy_name(self) -> &'static str {
        self.strategy.map_or("all", Strategy::name)
    }
}

impl fmt::Display for ArmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.strategy_name(), self.method)
    }
}

impl Serialize for ArmName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A row of the table that is left out, because one of its cells had too little to learn from: a mean over the other draws
/// would be of the kind ones.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// The arm.
    pub arm: ArmName,
    /// Its budget.
    #[serde(skip)]
    pub budget: Budget,
    labels: usize,
    split: usize,
    draw: u64,
    reason: String,
}

impl LeftOut {
    /// Leaves a cell's row out.
    ///
    /// # Errors
    /// Fails as the cell did if that is not for having too little to learn from.
    pub fn of(slot: &Slot, error: anyhow::Error) -> anyhow::Result<Self> {
        let of_cell = || format!("{} at {} labels, draw {}", slot.arm, slot.labels, slot.draw);
        let cause = error.downcast_ref::<LearnError>();
        if !matches!(cause, Some(LearnError::TooLittle(_))) {
            return Err(error.context(of_cell()));
        }
        let &Slot { split, draw, arm, labels, .. } = slot;
        let reason = format!("{error:#}");
        Ok(Self { arm, budget: slot.budget(), labels, split, draw, reason })
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arm, labels, split, draw, reason, .. } = self;
        write!(
            f,
            "{arm} with {labels} labels is left out, for split {split}, draw {draw}: {reason}"
        )
    }
}

/// A cell: one method at one budget of one draw, with one optimisation seed, on one split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Number of the split.
    pub split: usize,
    /// Number of the draw; 0 for the whole pool.
    pub draw: u64,
    /// Strategy and method.
    pub arm: ArmName,
    /// Labels bought.
    pub labels: usize,
    /// Number of the optimisation seed.
    pub seed: u64,
}

impl Slot {
    /// Returns what cells of the same row of the table share beside the arm.
    pub fn budget(&self) -> Budget {
        if self.arm.strategy.is_none() { Budget::All } else { Budget::Labels(self.labels) }
    }

    /// Returns the seed that the strategy draws with.
    pub fn draw_seed(&self) -> u64 {
        // Splits share most of their pools; their draws must not share the order of films.
        self.draw | (self.split as u64) << 32
    }

    /// Returns the method's settings.
    pub fn recipe(&self, size: u32) -> Recipe {
        let keys = [self.split as u64, self.draw];
        let seed = rng::stream(self.seed, "optimisation", &keys).next_u64();
        self.arm.method.recipe(size, seed)
    }
}

/// Returns all cells in the order in which they are computed: methods innermost, so that they can share work, and draws
/// outermost, so that an unfinished run has whole tables of fewer draws.
///
/// # Errors
/// Fails if a budget is larger than a pool.
pub fn slots(settings: &Settings, parts: &Parts) -> anyhow::Result<Vec<Slot>> {
    let mut slots = Vec::new();
    let (strategies, methods) = (distinct(&settings.strategies), distinct(&settings.methods));
    for (split, part) in parts.splits.iter().enumerate() {
        let pool = part.pool.len();
        let (budgets, whole) = budgets(&settings.budgets, pool)?;
        let mut push = |draw, strategy, labels| {
            for seed in 0..settings.seeds {
                slots.extend(methods.iter().map(|&method| {
                    let arm = ArmName { strategy, method };
                    Slot { split, draw, arm, labels, seed }
                }));
            }
        };
        for draw in 0..settings.draws {
            for &strategy in &strategies {
                for &labels in &budgets {
                    push(draw, Some(strategy), labels);
                }
            }
        }
        if whole {
            push(0, None, pool);
        }
    }
    Ok(slots)
}

/// Sorts the budgets and says whether the whole pool is one of them.
fn budgets(asked: &[Budget], pool: usize) -> anyhow::Result<(Vec<usize>, bool)> {
    let mut budgets = Vec::new();
    for &budget in asked {
        match budget {
            Budget::Labels(labels) if labels < pool => budgets.push(labels),
            Budget::Labels(labels) if labels > pool => {
                anyhow::bail!(
                    "a budget is between 1 and the {pool} films of the pool, not {labels}"
                )
            }
            _ => {}
        }
    }
    budgets.sort_unstable();
    budgets.dedup();
    let whole = asked.iter().any(|&b| b == Budget::All || b == Budget::Labels(pool));
    Ok((budgets, whole))
}

/// Leaves out what stands in a list twice.
fn distinct<T: Copy + PartialEq>(of: &[T]) -> Vec<T> {
    let mut kept = Vec::new();
    for &item in of {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

/// Digests of a split's films, with their classes and patients.
pub struct Digests {
    /// Of the pool.
    pub pool: String,
    /// Of the evaluation films.
    pub evaluation: String,
}

/// What all cells are determined by, whatever is in them.
pub struct Setup {
    /// Hash of the encoder's weights.
    pub weights: String,
    /// Edge of the encoder's input in pixels.
    pub size: u32,
    /// The encoder's shape, and how a film becomes its input.
    pub encoder: serde_json::Value,
    /// What computes: GPUs give other last digits than the CPU, any number of whose threads gives the same.
    pub device: String,
    /// Digests of each split's films.
    pub digests: Vec<Digests>,
}

impl Setup {
    /// Writes down what determines a cell, the program's code apart.
    pub fn describe(&self, slot: &Slot, classes: &[String], round: Option<usize>) -> String {
        let Digests { pool, evaluation } = &self.digests[slot.split];
        let ranked = slot.arm.strategy.is_some_and(|strategy| strategy != Strategy::Random);
        let all = serde_json::json!({
            "program": env!("CARGO_PKG_VERSION"),
            "device": self.device,
            "weights": self.weights,
            "encoder": self.encoder,
            "classes": classes,
            "pool": pool,
            "evaluation": evaluation,
            "strategy": slot.arm.strategy_name(),
            "draw_seed": slot.arm.strategy.map(|_| slot.draw_seed()),
            "round": round.filter(|_| ranked),
            "labels": slot.labels,
            "head": shared_settings(),
            "method": slot.arm.method.name(),
            "settings": slot.recipe(self.size),
        });
        all.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_ascend_once_each_and_the_whole_pool_is_no_choice() {
        let parse =
            |text: &str| text.split(',').map(|b| b.parse().unwrap()).collect::<Vec<Budget>>();
        assert_eq!(budgets(&parse("9,3,9"), 10).unwrap(), (vec![3, 9], false));
        assert_eq!(budgets(&parse("10,3"), 10).unwrap(), (vec![3], true));
        assert_eq!(budgets(&parse("all"), 10).unwrap(), (vec![], true));
        assert!(budgets(&parse("11"), 10).is_err());
        assert!("0".parse::<Budget>().is_err() && "-1".parse::<Budget>().is_err());
    }
}
