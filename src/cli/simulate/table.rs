//! What is told of the cells: the table and the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::query::Strategy;

/// One method at one budget of one draw.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    pub strategy: Strategy,
    pub method: String,
    pub labels: usize,
    pub labels_looked_at: usize,
    pub seed: u64,
    pub of_class: Vec<usize>,
    pub accuracy: f64,
    pub auroc: Option<f64>,
    pub balanced_accuracy: f64,
    pub ece: f64,
    pub seconds: f32,
}

/// Mean and spread of a figure over seeds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    mean: f64,
    /// Sample standard deviation; 0 for a single seed.
    sd: f64,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    strategy: Strategy,
    method: String,
    labels: usize,
    seeds: usize,
    n: usize,
    accuracy: Spread,
    auroc: Option<Spread>,
    balanced_accuracy: Spread,
    ece: Spread,
    seconds: f64,
}

fn spread(values: &[f64]) -> Spread {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Spread { mean, sd: if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 } }
}

/// Gathers the cells of one method at one budget.
pub fn summarise(cells: &[Cell], n: usize) -> Vec<Line> {
    let mut groups: BTreeMap<(usize, String, String), Vec<&Cell>> = BTreeMap::new();
    for cell in cells {
        groups
            .entry((cell.labels, cell.method.clone(), cell.strategy.to_string()))
            .or_default()
            .push(cell);
    }
    let line = |group: Vec<&Cell>| {
        let of = |figure: fn(&Cell) -> f64| {
            spread(&group.iter().map(|cell| figure(cell)).collect::<Vec<_>>())
        };
        let aurocs: Option<Vec<f64>> = group.iter().map(|cell| cell.auroc).collect();
        Line {
            strategy: group[0].strategy,
            method: group[0].method.clone(),
            labels: group[0].labels,
            seeds: group.len(),
            n,
            accuracy: of(|cell| cell.accuracy),
            auroc: aurocs.map(|aurocs| spread(&aurocs)),
            balanced_accuracy: of(|cell| cell.balanced_accuracy),
            ece: of(|cell| cell.ece),
            seconds: of(|cell| f64::from(cell.seconds)).mean,
        }
    };
    groups.into_values().map(line).collect()
}

/// The table in Markdown.
pub fn table(lines: &[Line]) -> String {
    let mut text =
        "| labels | strategy | method | seeds | n | accuracy | AUROC | balanced | ECE | s |\n\
                    |---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for line in lines {
        let figure = |spread: Spread| format!("{:.3} ± {:.3}", spread.mean, spread.sd);
        let auroc = line.auroc.map_or_else(|| "–".to_owned(), figure);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {auroc} | {} | {} | {:.0} |",
            line.labels,
            line.strategy,
            line.method,
            line.seeds,
            line.n,
            figure(line.accuracy),
            figure(line.balanced_accuracy),
            figure(line.ece),
            line.seconds
        )
        .ok();
    }
    text
}

/// One row a cell.
pub fn csv(cells: &[Cell]) -> String {
    let mut text =
        "labels,strategy,method,seed,accuracy,auroc,balanced_accuracy,ece,seconds\n".to_owned();
    for cell in cells {
        let auroc = cell.auroc.map_or_else(String::new, |auroc| format!("{auroc:.6}"));
        writeln!(
            text,
            "{},{},{},{},{:.6},{auroc},{:.6},{:.6},{:.1}",
            cell.labels,
            cell.strategy,
            cell.method,
            cell.seed,
            cell.accuracy,
            cell.balanced_accuracy,
            cell.ece,
            cell.seconds
        )
        .ok();
    }
    text
}
