//! Figures of the cells, gathered over draws, seeds and splits.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::cells::Outcome;
use super::comparison::area_under_learning_curve;
use super::plan::{ArmName, Slot};
use super::settings::Budget;
use crate::learn::metrics::Metrics;

/// A cell with its figures.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Which one.
    pub slot: Slot,
    /// What was computed for it.
    pub outcome: Outcome,
    /// How good that is on the evaluation films.
    pub metrics: Metrics,
}

/// The labels that a cell learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Drawn {
    split: usize,
    films: [u8; 32],
}

impl Drawn {
    fn of(cell: &Cell) -> Self {
        let mut hasher = blake3::Hasher::new();
        for film in &cell.outcome.bought {
            hasher.update(film.to_string().as_bytes());
        }
        Self { split: cell.slot.split, films: *hasher.finalize().as_bytes() }
    }
}

/// A run: cells that learnt from the same labels and say the same of every film are one, as all are of a strategy and a
/// method that take no seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId {
    drawn: Drawn,
    probabilities: [u8; 32],
}

impl RunId {
    /// Tells a cell's run apart from others.
    pub fn of(cell: &Cell) -> Self {
        let mut hasher = blake3::Hasher::new();
        for probability in &cell.outcome.probabilities {
            hasher.update(&probability.to_le_bytes());
        }
        Self { drawn: Drawn::of(cell), probabilities: *hasher.finalize().as_bytes() }
    }
}

/// A run's figure, with the number of its draw.
type Value = (u64, RunId, f64);

fn value(cell: &Cell, figure: f64) -> Value {
    (cell.slot.draw, RunId::of(cell), figure)
}

/// Mean and spread of a figure over draws, each the mean of its seeds; over seeds if there is one draw only.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Sample standard deviation; none for a single value.
    pub sd: Option<f64>,
}

/// One arm at one budget: a line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Labels bought; the largest pool's, should the pools of several splits differ in size.
    pub labels: usize,
    /// Strategy; `all` for the whole pool.
    pub strategy: &'static str,
    /// Method.
    pub method: &'static str,
    /// The arm.
    #[serde(skip)]
    pub arm: ArmName,
    /// The most labels that a cell looked at.
    pub labels_looked_at: usize,
    /// Draws, over all splits; one of a split whose draws all bought the same films.
    pub draws: usize,
    /// Cells.
    pub runs: usize,
    /// Evaluation films, of one split.
    pub n: usize,
    /// Minutes that a reader is taken to need for the labels looked at.
    pub reader_minutes: f64,
    /// Share of films whose likeliest class is the true one.
    pub accuracy: Spread,
    /// Standard deviation of the accuracy between the seeds of a draw, pooled over draws.
    pub accuracy_sd_between_seeds: Option<f64>,
    /// Area under the ROC curve.
    pub auroc: Option<Spread>,
    /// Mean recall of the classes.
    pub balanced_accuracy: Spread,
    /// Recall of the positive class.
    pub sensitivity: Option<Spread>,
    /// Share of the other classes' films that were not called positive.
    pub specificity: Option<Spread>,
    /// Expected calibration error.
    pub ece: Spread,
    /// Mean time of a cell in seconds.
    pub seconds: f64,
}

/// Area under an arm's learning curve over a linear axis of labels, divided by its span.
#[derive(Clone, Debug, Serialize)]
pub struct Area {
    /// The arm.
    pub arm: ArmName,
    /// First and last budget.
    pub labels: [usize; 2],
    /// Of the accuracy.
    pub accuracy: Spread,
    /// Of the AUROC.
    pub auroc: Option<Spread>,
}

/// Gathers the cells of an arm at a budget, budgets ascending and arms in the order in which they were asked for.
pub fn groups(cells: &[Cell]) -> Vec<Vec<&Cell>> {
    let mut arms = Vec::new();
    let mut groups: BTreeMap<(Budget, usize), Vec<&Cell>> = BTreeMap::new();
    for cell in cells {
        let arm = cell.slot.arm;
        let place = arms.iter().position(|&known| known == arm).unwrap_or_else(|| {
            arms.push(arm);
            arms.len() - 1
        });
        groups.entry((cell.slot.budget(), place)).or_default().push(cell);
    }
    groups.into_values().collect()
}

/// Makes the lines of the table.
pub fn lines(cells: &[Cell], seconds_per_film: f64) -> Vec<Line> {
    groups(cells).iter().map(|group| line(group, seconds_per_film)).collect()
}

fn line(group: &[&Cell], seconds_per_film: f64) -> Line {
    let of = |figure: fn(&Metrics) -> f64| {
        let values = group.iter().map(|cell| value(cell, figure(&cell.metrics)));
        spread(&values.collect::<Vec<_>>())
    };
    let perhaps = |figure: fn(&Metrics) -> Option<f64>| {
        let values = group.iter().map(|cell| Some(value(cell, figure(&cell.metrics)?)));
        values.collect::<Option<Vec<_>>>().as_deref().map(spread)
    };
    let arm = group[0].slot.arm;
    let largest =
        |figure: fn(&Cell) -> usize| group.iter().map(|cell| figure(cell)).max().unwrap_or(0);
    let labels_looked_at = largest(|cell| cell.outcome.labels_looked_at);
    let accuracies = group.iter().map(|cell| value(cell, cell.metrics.accuracy.value));
    let accuracies: Vec<Value> = accuracies.collect();
    Line {
        labels: largest(|cell| cell.slot.labels),
        strategy: arm.strategy_name(),
        method: arm.method.name(),
        arm,
        labels_looked_at,
        draws: by_draw(&accuracies).len(),
        runs: group.len(),
        n: largest(|cell| cell.metrics.n),
        reader_minutes: labels_looked_at as f64 * seconds_per_film / 60.0,
        accuracy: of(|metrics| metrics.accuracy.value),
        accuracy_sd_between_seeds: sd_between_seeds(&accuracies),
        auroc: perhaps(|metrics| Some(metrics.auroc?.value)),
        balanced_accuracy: of(|metrics| metrics.balanced_accuracy.value),
        sensitivity: perhaps(|metrics| Some(metrics.sensitivity?.value)),
        specificity: perhaps(|metrics| Some(metrics.specificity?.value)),
        ece: of(|metrics| metrics.ece),
        seconds: group.iter().map(|cell| f64::from(cell.outcome.seconds)).sum::<f64>()
            / group.len() as f64,
    }
}

/// Makes the areas of the arms that were measured at two budgets and more.
pub fn areas(cells: &[Cell]) -> Vec<Area> {
    let mut of_arm: Vec<(ArmName, Vec<Vec<&Cell>>)> = Vec::new();
    for group in groups(cells) {
        let arm = group[0].slot.arm;
        match of_arm.iter_mut().find(|(known, _)| *known == arm) {
            Some((_, groups)) => groups.push(group),
            None => of_arm.push((arm, vec![group])),
        }
    }
    let of_one = |(arm, groups): (ArmName, Vec<Vec<&Cell>>)| {
        // All groups of an arm have the same draws and seeds in the same order, unless a budget is all of some splits' pools.
        if groups.iter().any(|group| group.len() != groups[0].len()) {
            return None;
        }
        let area = |figure: fn(&Metrics) -> Option<f64>| -> Option<Spread> {
            let run = |run: usize| {
                let point = |group: &Vec<&Cell>| {
                    let cell = group.get(run)?;
                    Some((cell.slot.labels, figure(&cell.metrics)?))
                };
                let curve: Option<Vec<(usize, f64)>> = groups.iter().map(point).collect();
                Some(value(groups.last()?[run], area_under_learning_curve(&curve?)?))
            };
            (0..groups[0].len()).map(run).collect::<Option<Vec<_>>>().as_deref().map(spread)
        };
        Some(Area {
            arm,
            labels: [groups.first()?[0].slot.labels, groups.last()?[0].slot.labels],
            accuracy: area(|metrics| Some(metrics.accuracy.value))?,
            auroc: area(|metrics| Some(metrics.auroc?.value)),
        })
    };
    of_arm.into_iter().filter_map(of_one).collect()
}

/// Values of the seeds of each draw of each split, each run's once.
///
/// Where all draws of a split bought the same films, as with a strategy that takes no seed, they are one draw. Of others
/// each counts, though two of them may have come to the same films: a mean over those that differ would be biased.
fn by_draw(values: &[Value]) -> Vec<Vec<f64>> {
    let mut films = BTreeMap::<usize, BTreeSet<[u8; 32]>>::new();
    for (_, RunId { drawn, .. }, _) in values {
        films.entry(drawn.split).or_default().insert(drawn.films);
    }
    let (mut known, mut draws) = (BTreeSet::new(), BTreeMap::<_, Vec<f64>>::new());
    for &(draw, run, value) in values {
        let split = run.drawn.split;
        let draw = if films[&split].len() == 1 { 0 } else { draw };
        if known.insert((draw, run)) {
            draws.entry((split, draw)).or_default().push(value);
        }
    }
    draws.into_values().collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

fn spread(values: &[Value]) -> Spread {
    let draws = by_draw(values);
    let values: Vec<f64> = match draws.as_slice() {
        [seeds] => seeds.clone(),
        draws => draws.iter().map(|seeds| mean(seeds)).collect(),
    };
    let free = values.len().saturating_sub(1);
    let sd = (free > 0).then(|| (squares(&values) / free as f64).sqrt());
    Spread { mean: mean(&values), sd }
}

fn sd_between_seeds(values: &[Value]) -> Option<f64> {
    let draws = by_draw(values);
    let free: usize = draws.iter().map(|seeds| seeds.len() - 1).sum();
    (free > 0).then(|| (draws.iter().map(|seeds| squares(seeds)).sum::<f64>() / free as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of a draw that bought the films number `films` and has learnt with this seed.
    fn run(split: usize, draw: u64, films: u8, seed: u8, value: f64) -> Value {
        let drawn = Drawn { split, films: [films; 32] };
        (draw, RunId { drawn, probabilities: [seed; 32] }, value)
    }

    #[test]
    fn spread_is_over_draws_and_over_seeds_if_there_is_one_draw() {
        let two = [
            run(0, 0, 0, 0, 0.1),
            run(0, 0, 0, 1, 0.3),
            run(0, 1, 1, 0, 0.5),
            run(0, 1, 1, 1, 0.7),
        ];
        let close = |found: f64, expected| {
            approx::assert_abs_diff_eq!(found, expected, epsilon = 1e-12);
        };
        // NumPy: np.std([.2, .6], ddof=1); np.sqrt((.02 + .02) / 2).
        close(spread(&two).mean, 0.4);
        close(spread(&two).sd.unwrap(), 0.282_842_712_474_619);
        close(sd_between_seeds(&two).unwrap(), 0.141_421_356_237_309_5);
        close(spread(&two[..2]).sd.unwrap(), 0.141_421_356_237_309_5);
        assert_eq!(spread(&two[..1]), Spread { mean: 0.1, sd: None });
        assert_eq!(sd_between_seeds(&[two[0], two[2]]), None);
        assert_eq!(by_draw(&[two[0], run(1, 0, 0, 0, 0.2)]).len(), 2, "two splits");
    }

    #[test]
    fn draws_are_one_only_where_all_bought_the_same_films() {
        // What is the same every time has not varied.
        let same = [0, 1, 2].map(|draw| run(0, draw, 0, 0, 0.1));
        assert_eq!((spread(&same).sd, sd_between_seeds(&same)), (None, None));
        let two_of_three = [run(0, 0, 0, 0, 0.1), run(0, 1, 0, 0, 0.1), run(0, 2, 1, 1, 0.4)];
        approx::assert_abs_diff_eq!(spread(&two_of_three).mean, 0.2, epsilon = 1e-12);
        assert_eq!(by_draw(&two_of_three).len(), 3);
    }
}
