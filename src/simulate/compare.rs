//! Every two arms at every budget: by how much they differ, and whether the evaluation films' patients leave that open.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::comparison::{Arm, McNemar, Run, combined_p};
use super::parts::Parts;
use super::plan::ArmName;
use super::summary::{Cell, RunId, groups};
use crate::learn::metrics::Estimate;

/// Two arms at one budget.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Labels bought.
    pub labels: usize,
    /// The arm compared with.
    pub first: ArmName,
    /// The arm compared.
    pub second: ArmName,
    /// Mean accuracy of the second less that of the first, with a 95 % interval over the evaluation films' patients.
    pub accuracy: Option<Estimate>,
    /// Mean AUROC of the second less that of the first.
    pub auroc: Option<Estimate>,
    /// McNemar's test of each pair of runs of one split, draw and seed; once where draws or seeds have changed nothing.
    pub mcnemar: Vec<McNemar>,
    /// One p-value for all of them.
    pub p: Option<f64>,
}

/// Compares every two arms at each budget.
///
/// # Errors
/// Fails if predictions cannot be scored.
pub fn comparisons(cells: &[Cell], parts: &Parts) -> anyhow::Result<Vec<Comparison>> {
    let films = Numbered::new(parts);
    let mut all = Vec::new();
    let groups = groups(cells);
    for groups in groups.chunk_by(|a, b| a[0].slot.budget() == b[0].slot.budget()) {
        let arms = groups
            .iter()
            .map(|group| films.arm(group, parts))
            .collect::<anyhow::Result<Vec<Arm>>>()?;
        for second in 1..groups.len() {
            for first in 0..second {
                let mcnemar = films.tests(&groups[first], &groups[second], parts)?;
                let p: Vec<f64> = mcnemar.iter().map(|test| test.p).collect();
                all.push(Comparison {
                    labels: groups[first][0].slot.labels,
                    first: groups[first][0].slot.arm,
                    second: groups[second][0].slot.arm,
                    accuracy: arms[second].accuracy.minus(&arms[first].accuracy),
                    auroc: arms[second].auroc.minus(&arms[first].auroc),
                    p: combined_p(&p),
                    mcnemar,
                });
            }
        }
    }
    Ok(all)
}

/// Evaluation films of all splits, numbered from 0: a film that several splits measure on is one.
struct Numbered {
    of_split: Vec<Vec<usize>>,
    /// Number of the patient of each film.
    patients: Vec<usize>,
    truth: Vec<Vec<usize>>,
}

impl Numbered {
    fn new(parts: &Parts) -> Self {
        let (mut films, mut numbers) = (BTreeMap::new(), BTreeMap::new());
        let (mut of_split, mut patients) = (Vec::new(), Vec::new());
        for split in &parts.splits {
            let number = |&row: &usize| {
                *films.entry(row).or_insert_with(|| {
                    let next = numbers.len();
                    let patient = &parts.films.patients[row];
                    patients.push(*numbers.entry(patient).or_insert(next));
                    patients.len() - 1
                })
            };
            of_split.push(split.evaluation.iter().map(number).collect());
        }
        let truth = (0..parts.splits.len()).map(|split| parts.truth(split)).collect();
        Self { of_split, patients, truth }
    }

    fn run<'a>(&'a self, cell: &'a Cell) -> Run<'a> {
        Run {
            films: &self.of_split[cell.slot.split],
            truth: &self.truth[cell.slot.split],
            probabilities: &cell.outcome.probabilities,
        }
    }

    fn arm(&self, group: &[&Cell], parts: &Parts) -> anyhow::Result<Arm> {
        let runs: Vec<Run<'_>> = group.iter().map(|cell| self.run(cell)).collect();
        Ok(Arm::of(&runs, &self.patients, parts.classes(), parts.positive())?)
    }

    /// Tests the runs of two arms in pairs; both have them in the same order.
    fn tests(&self, a: &[&Cell], b: &[&Cell], parts: &Parts) -> anyhow::Result<Vec<McNemar>> {
        let mut known = BTreeSet::new();
        let pairs = a.iter().zip(b).filter(|(a, b)| known.insert((RunId::of(a), RunId::of(b))));
        let test = |(a, b): (&&Cell, &&Cell)| {
            McNemar::of(&self.run(a), &self.run(b), parts.classes()).map_err(anyhow::Error::from)
        };
        pairs.map(test).collect()
    }
}
