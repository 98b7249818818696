//! `penumbra simulate`: active learning replayed with labels that are known.
//!
//! For each seed and strategy labels are bought one after the other up to the largest budget, each chosen by the head on
//! the pretrained features, refitted after every round. The window ranks 48 films ahead and so cuts the pool into more
//! clusters at the start than a simulation, which ranks no more than it buys. At each budget every method learns from
//! the labels bought so far and is measured on the evaluation films. Nothing but the bought labels is looked at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::Answer;
use super::args::{FilmsArgs, Method, SimulateArgs};
use super::films::Films;
use crate::config::Home;
use crate::dataset::FilmId;
use crate::dataset::planes::PlaneStore;
use crate::device::Compute;
use crate::engine::ranking::FOLDS;
use crate::engine::worker::source_preprocess;
use crate::fsutil;
use crate::learn::distill::{DistillConfig, distill};
use crate::learn::finetune::{
    FineTuned, FinetuneConfig, FoldAssigner, Labelled, ensemble, finetune,
};
use crate::learn::metrics::Metrics;
use crate::learn::{Flow, Setting, probabilities};
use crate::model::Pretrained;
use crate::model::folder::load_pretrained;
use crate::predict::{embed, embed_views};
use crate::query::{
    ClusterCache, Embeddings, Head, Pool, Regularisation, Standardisation, Strategy, rank,
};

/// Everything that the cells share.
struct Bench<'a> {
    args: &'a SimulateArgs,
    compute: &'a Compute,
    base: Pretrained,
    size: u32,
    pool: Films,
    pool_store: Arc<PlaneStore>,
    eval: Films,
    eval_store: Arc<PlaneStore>,
    ids: Vec<FilmId>,
    features: Embeddings,
    directions: Embeddings,
    /// Features of further views of the pool, if a strategy asks for them.
    views: Option<Vec<Embeddings>>,
    eval_features: Embeddings,
}

/// One method at one budget of one draw.
#[derive(Clone, Debug, Serialize)]
struct Cell {
    strategy: Strategy,
    method: String,
    labels: usize,
    seed: u64,
    of_class: Vec<usize>,
    accuracy: f64,
    auroc: Option<f64>,
    balanced_accuracy: f64,
    ece: f64,
    seconds: f32,
}

/// Mean and spread of a figure over seeds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Spread {
    mean: f64,
    /// Sample standard deviation; 0 for a single seed.
    sd: f64,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
struct Line {
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
            bench.run_draw(strategy, seed, &mut cells)?;
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

impl<'a> Bench<'a> {
    fn load(
        home: &Home,
        args: &'a SimulateArgs,
        compute: &'a Compute,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let (pool, eval) = films(home, args)?;
        if pool.classes != eval.classes {
            bail!(
                "the pool has the classes {:?}, the evaluation films {:?}",
                pool.classes,
                eval.classes
            );
        }
        let shared = pool.patients.iter().collect::<std::collections::BTreeSet<_>>();
        let crossing = eval.patients.iter().filter(|patient| shared.contains(patient)).count();
        if crossing > 0 {
            eprintln!(
                "warning: {crossing} evaluation films are of patients who are in the pool too"
            );
        }
        if args.budgets.iter().any(|&budget| budget == 0 || budget > pool.files.len()) {
            bail!("a budget is between 1 and the {} films of the pool", pool.files.len());
        }
        let plain = compute.device.clone().inner();
        let (base, card) = load_pretrained(&home.model(&args.model), &plain)?;
        let source = source_preprocess(card.preprocess);
        let pool_store = pool.load(source, threads)?;
        let eval_store = eval.load(source, threads)?;
        let size = card.preprocess.size;
        let all = |store: &PlaneStore| {
            let rows: Vec<usize> = (0..store.len()).collect();
            embed(&base.encoder, store, &rows, size, &plain, &mut |_| Flow::Continue)
        };
        let (embedded, eval_embedded) = (all(&pool_store)?, all(&eval_store)?);
        let scale = Standardisation::measure(&embedded);
        let ids = identities(&pool)?;
        let views = args
            .strategy
            .contains(&Strategy::AugmentationVariance)
            .then(|| {
                let go_on = &mut |_, _| Flow::Continue;
                embed_views(&base.encoder, &pool_store, &ids, size, &plain, go_on)
            })
            .transpose()?
            .map(|views| views.iter().map(|view| scale.apply(view)).collect());
        Ok(Self {
            args,
            compute,
            size,
            ids,
            views,
            features: scale.apply(&embedded),
            directions: embedded.normalised(),
            eval_features: scale.apply(&eval_embedded),
            base,
            pool,
            pool_store,
            eval,
            eval_store,
        })
    }

    fn classes(&self) -> usize {
        self.pool.classes.len()
    }

    /// Share of the most frequent class among the evaluation films: what guessing scores.
    fn majority(&self) -> f64 {
        let count = |class| self.eval.labels.iter().filter(|&&label| label == class).count();
        let most = (0..self.classes()).map(count).max().unwrap_or(0);
        most as f64 / self.eval.labels.len() as f64
    }

    /// Buys labels by one strategy and measures every method at every budget.
    fn run_draw(&self, strategy: Strategy, seed: u64, cells: &mut Vec<Cell>) -> anyhow::Result<()> {
        let mut budgets = self.args.budgets.clone();
        budgets.sort_unstable();
        budgets.dedup();
        let mut bought = Labelled::default();
        let mut regularisation = Regularisation::default();
        let mut clusters = ClusterCache::default();
        let mut head: Option<Head> = None;
        for budget in budgets {
            while bought.rows.len() < budget {
                let fitted = self.fit(&bought, &mut regularisation, head.as_ref());
                let count = self.args.round.max(1).min(budget - bought.rows.len());
                self.buy(strategy, &fitted, count, seed, &mut bought, &mut clusters);
                head = Some(fitted);
            }
            self.measure(strategy, seed, &bought, &mut regularisation, head.as_ref(), cells)?;
        }
        Ok(())
    }

    fn fit(
        &self,
        bought: &Labelled,
        regularisation: &mut Regularisation,
        warm: Option<&Head>,
    ) -> Head {
        let folds = FoldAssigner::new(FOLDS).assign_all(bought, &self.pool.patients);
        let classes = self.classes();
        let Labelled { rows, classes: truth } = bought;
        let go_on = &mut || Flow::Continue;
        let l2 = regularisation.refresh(&self.features, rows, truth, classes, &folds, go_on);
        Head::fit(&self.features, rows, truth, classes, l2, warm)
    }

    fn buy(
        &self,
        strategy: Strategy,
        head: &Head,
        count: usize,
        seed: u64,
        bought: &mut Labelled,
        clusters: &mut ClusterCache,
    ) {
        let mut open = vec![true; self.pool_store.len()];
        bought.rows.iter().for_each(|&row| open[row] = false);
        let candidates: Vec<usize> = (0..open.len()).filter(|&row| open[row]).collect();
        let pool = Pool {
            ids: &self.ids,
            embeddings: &self.directions,
            features: &self.features,
            views: self.views.as_deref(),
            head,
            probabilities: &head.probabilities(&self.features),
            class_count: self.classes(),
            labelled: &bought.rows,
            classes: &bought.classes,
            candidates: &candidates,
        };
        for ranked in rank(strategy, &pool, count, seed, clusters) {
            bought.rows.push(ranked.index);
            bought.classes.push(self.pool.labels[ranked.index]);
        }
    }

    fn measure(
        &self,
        strategy: Strategy,
        seed: u64,
        bought: &Labelled,
        regularisation: &mut Regularisation,
        warm: Option<&Head>,
        cells: &mut Vec<Cell>,
    ) -> anyhow::Result<()> {
        let mut tuned: Option<FineTuned> = None;
        let mut methods = self.args.method.clone();
        methods.sort_unstable();
        methods.dedup();
        for method in methods {
            let started = Instant::now();
            let found = match method {
                Method::Head => {
                    self.fit(bought, regularisation, warm).probabilities(&self.eval_features)
                }
                Method::Finetune => {
                    let networks = self.finetune(bought, seed)?;
                    let found = self.evaluate(&networks)?;
                    tuned = Some(networks);
                    found
                }
                Method::Distill => {
                    let networks = match tuned.take() {
                        Some(networks) => networks,
                        None => self.finetune(bought, seed)?,
                    };
                    self.distill(&networks, seed)?
                }
            };
            let metrics =
                Metrics::of(&found, &self.eval.labels, self.classes(), self.pool.positive())?;
            let count = |class| bought.classes.iter().filter(|&&label| label == class).count();
            let cell = Cell {
                strategy,
                method: format!("{method:?}").to_lowercase(),
                labels: bought.rows.len(),
                seed,
                of_class: (0..self.classes()).map(count).collect(),
                accuracy: metrics.accuracy.value,
                auroc: metrics.auroc.map(|auroc| auroc.value),
                balanced_accuracy: metrics.balanced_accuracy.value,
                ece: metrics.ece,
                seconds: started.elapsed().as_secs_f32(),
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
        Ok(())
    }

    fn setting(&self) -> Setting<'_> {
        let (classes, device) = (self.classes(), &self.compute.device);
        Setting { start: &self.base, classes, store: &self.pool_store, device }
    }

    fn finetune(&self, bought: &Labelled, seed: u64) -> anyhow::Result<FineTuned> {
        let config = FinetuneConfig::standard(self.size, seed);
        let tuned = finetune(
            &self.setting(),
            &self.pool.patients,
            &mut || bought.clone(),
            &config,
            &mut |_| Flow::Continue,
        );
        tuned.with_context(|| format!("cannot fine-tune on {} labels", bought.rows.len()))
    }

    fn evaluate(&self, tuned: &FineTuned) -> anyhow::Result<Vec<f32>> {
        let rows: Vec<usize> = (0..self.eval_store.len()).collect();
        let device = &self.compute.device;
        let go_on = &mut |_| Flow::Continue;
        Ok(ensemble(&tuned.models, &self.eval_store, &rows, self.size, device, go_on)?)
    }

    fn distill(&self, tuned: &FineTuned, seed: u64) -> anyhow::Result<Vec<f32>> {
        let device = &self.compute.device;
        let pool: Vec<usize> = (0..self.pool_store.len()).collect();
        let go_on = &mut |_| Flow::Continue;
        let teacher = ensemble(&tuned.models, &self.pool_store, &pool, self.size, device, go_on)?;
        let config = DistillConfig::standard(self.size, seed);
        let student =
            distill(&self.setting(), &pool, teacher, &tuned.labelled, &config, &mut |_| {
                Flow::Continue
            })?;
        let rows: Vec<usize> = (0..self.eval_store.len()).collect();
        Ok(probabilities(&student, &self.eval_store, &rows, self.size, device, go_on)?)
    }
}

/// Identifies films by their content, which breaks ties; names may give the class away and are not looked at.
fn identities(films: &Films) -> anyhow::Result<Vec<FilmId>> {
    let identify = |file: &String| Ok(FilmId::of(&fsutil::read(&films.root.join(file))?));
    films.files.iter().map(identify).collect()
}

/// Finds the pool and the evaluation films.
fn films(home: &Home, args: &SimulateArgs) -> anyhow::Result<(Films, Films)> {
    let part = |images: &std::path::Path, labels: &std::path::Path, split: &Option<String>| {
        let labels = Some(labels.to_path_buf());
        Films::find(&FilmsArgs {
            images: images.to_path_buf(),
            labels,
            split: split.clone(),
            limit: None,
        })
    };
    if args.demo {
        let demo = home.demo_films().context("the demo's films are not there")?;
        let (pool, reference) = (demo.join("pool"), demo.join("reference"));
        let pool = part(&pool, &pool.join("labels.csv"), &None)?;
        return Ok((pool, part(&reference, &reference.join("labels.csv"), &None)?));
    }
    let (Some(images), Some(labels)) = (&args.images, &args.labels) else {
        bail!("simulating needs --images and --labels, or --demo");
    };
    let pool = part(images, labels, &args.split)?;
    let eval = match (&args.eval_images, &args.eval_labels, &args.eval_split) {
        (Some(images), Some(labels), split) => part(images, labels, split)?,
        (_, _, Some(split)) => part(images, labels, &Some(split.clone()))?,
        _ => bail!(
            "simulating needs films to measure on: --eval-split, or --eval-images and --eval-labels"
        ),
    };
    Ok((pool, eval))
}

fn spread(values: &[f64]) -> Spread {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Spread { mean, sd: if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 } }
}

fn summarise(cells: &[Cell], n: usize) -> Vec<Line> {
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
fn table(lines: &[Line]) -> String {
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

fn csv(cells: &[Cell]) -> String {
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
