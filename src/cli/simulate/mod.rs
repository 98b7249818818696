//! `penumbra simulate`: active learning replayed with labels that are known.
//!
//! For each seed and strategy labels are bought one after the other up to the largest budget, each chosen by the head on
//! the pretrained features, refitted after every round. The window ranks 48 films ahead and so cuts the pool into more
//! clusters at the start than a simulation, which ranks no more than it buys. At each budget every method learns from
//! the labels bought so far and is measured on the evaluation films. Nothing but the bought labels is looked at.

mod bench;
mod draw;
mod methods;
mod table;

use std::time::Instant;

use self::bench::Bench;
use self::draw::Draw;
pub use self::methods::Method;
use self::table::{Cell, csv, summarise, table};
use super::Answer;
use super::args::SimulateArgs;
use crate::config::Home;
use crate::device::Compute;
use crate::fsutil;
use crate::learn::metrics::Metrics;
use crate::query::Strategy;

/// Runs every cell and prints the table.
///
/// # Errors
/// Fails if films or the model cannot be read, a budget is larger than the pool, or learning fails.
pub fn run(
    home: &Home,
    args: &SimulateArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let bench = Bench::load(home, args, compute, threads)?;
    let mut cells = Vec::new();
    for seed in 0..args.seeds {
        for &strategy in &args.strategy {
            run_draw(&bench, args, strategy, seed, &mut cells)?;
        }
    }
    let lines = summarise(&cells, bench.eval_store.len());
    let report = serde_json::json!({
        "model": args.model,
        "device": compute.name,
        "pool": bench.pool_store.len(),
        "n": bench.eval_store.len(),
        "classes": bench.pool.classes,
        "majority": bench.majority(),
        "seeds": args.seeds,
        "round": args.round,
        "table": lines,
        "cells": cells,
    });
    if let Some(out) = &args.out {
        fsutil::write_atomic(
            &out.join("results.json"),
            serde_json::to_string_pretty(&report)?.as_bytes(),
        )?;
        fsutil::write_atomic(&out.join("results.csv"), csv(&cells).as_bytes())?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", table(&lines));
    }
    Ok(Answer::Yes)
}

/// Buys labels by one strategy and measures every method at every budget.
fn run_draw(
    bench: &Bench<'_>,
    args: &SimulateArgs,
    strategy: Strategy,
    seed: u64,
    cells: &mut Vec<Cell>,
) -> anyhow::Result<()> {
    let mut budgets = args.budgets.clone();
    budgets.sort_unstable();
    budgets.dedup();
    let mut methods = args.method.clone();
    methods.sort_unstable();
    methods.dedup();
    let mut draw = Draw::new(strategy, seed, args.round);
    for budget in budgets {
        let bought = draw.labels(bench, budget);
        for &method in &methods {
            let started = Instant::now();
            let learnt = method.recipe(bench.size, seed)?.learn(bench, &bought)?;
            let seconds = started.elapsed().as_secs_f32() + learnt.seconds_before;
            let (classes, positive) = (bench.classes(), bench.pool.positive());
            let metrics =
                Metrics::of(&learnt.probabilities, &bench.eval.labels, classes, positive)?;
            let count = |class| bought.classes.iter().filter(|&&label| label == class).count();
            let cell = Cell {
                strategy,
                method: method.name(),
                labels: bought.rows.len(),
                labels_looked_at: learnt.labels_looked_at,
                seed,
                of_class: (0..classes).map(count).collect(),
                accuracy: metrics.accuracy.value,
                auroc: metrics.auroc.map(|auroc| auroc.value),
                balanced_accuracy: metrics.balanced_accuracy.value,
                ece: metrics.ece,
                seconds,
            };
            eprintln!(
                "seed {seed} {strategy} {} {} labels {:?}: accuracy {:.3}, AUROC {:.3} ({:.0} s)",
                cell.method,
                cell.labels,
                cell.of_class,
                cell.accuracy,
                cell.auroc.unwrap_or(f64::NAN),
                cell.seconds
            );
            cells.push(cell);
        }
    }
    Ok(())
}
