//! What can be typed about a simulation.

use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum;

use super::values::{at_least_one, methods, seconds_per_film, share};
use crate::dataset::films::FilmSet;
use crate::query::Strategy;
use crate::simulate::{Budget, Cut, Method, Settings, Source, SplitKind};

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
pub struct SimulateArgs {
    /// Folder of films
    #[arg(long, required_unless_present = "demo")]
    pub images: Option<PathBuf>,
    /// Labels file; the simulated reader's answers
    #[arg(long, required_unless_present = "demo")]
    pub labels: Option<PathBuf>,
    /// Split to buy labels from
    #[arg(long)]
    pub split: Option<String>,
    /// Split to measure on
    #[arg(long)]
    pub eval_split: Option<String>,
    /// Films to measure on, if they are in another folder
    #[arg(long, requires = "eval_labels")]
    pub eval_images: Option<PathBuf>,
    /// Their labels file
    #[arg(long, requires = "eval_images")]
    pub eval_labels: Option<PathBuf>,
    /// The shipped demo films
    #[arg(long, conflicts_with_all = ["images", "labels", "split", "eval_split", "eval_images", "eval_labels"])]
    pub demo: bool,
    /// Pretrained model
    #[arg(long, default_value = "demo")]
    pub model: String,
    /// Numbers of labels to measure at; all for the whole pool
    #[arg(long, value_delimiter = ',', default_value = "52,104,260")]
    pub budgets: Vec<Budget>,
    /// Query strategies
    #[arg(long, value_delimiter = ',', default_value = "random,typiclust+margin")]
    pub strategy: Vec<Strategy>,
    /// Learning methods
    #[arg(long, value_delimiter = ',', default_value = "head", value_parser = methods())]
    pub method: Vec<Method>,
    /// Draws of labels, each with a seed of its own
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..1 << 32))]
    pub draws: u64,
    /// Optimisation seeds for each draw
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Labels bought between two rankings [default: 1, and a 250th of the labels from 500 labels on]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub round: Option<usize>,
    /// How films are cut into the pool and those to measure on; patient and random mix both parts if two are given
    /// [default: file if films to measure on are given, else patient]
    #[arg(long, value_enum)]
    pub splits: Option<SplitChoice>,
    /// Seed of the cuts
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub split_seed: u64,
    /// Number of cuts, each with draws of its own
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub repeats: u64,
    /// Share of films to measure on after a cut [default: as given, else 0.2]
    #[arg(long, value_name = "S", value_parser = share)]
    pub eval_share: Option<f32>,
    /// Seconds that a reader is taken to need for a film
    #[arg(long, value_name = "S", default_value_t = 6.0, value_parser = seconds_per_film)]
    pub seconds_per_film: f64,
    /// Folder for the results and for every cell, from which the same command goes on after an interruption
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// How films are cut into the pool and the evaluation films.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SplitChoice {
    /// As --split and --eval-split, or the folders, say
    File,
    /// Anew by patient: none is in both parts
    Patient,
    /// Anew film by film: a patient may be in both parts
    Random,
}

impl SimulateArgs {
    /// Returns what the simulation is asked to do.
    ///
    /// # Errors
    /// Fails if no films are named.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings {
            films: self.films()?,
            cut: Cut {
                kind: self.splits.map(|choice| match choice {
                    SplitChoice::File => SplitKind::File,
                    SplitChoice::Patient => SplitKind::Patient,
                    SplitChoice::Random => SplitKind::Random,
                }),
                seed: self.split_seed,
                repeats: self.repeats,
                evaluation_share: self.eval_share,
            },
            model: self.model.clone(),
            budgets: self.budgets.clone(),
            strategies: self.strategy.clone(),
            methods: self.method.clone(),
            draws: self.draws,
            seeds: self.seeds,
            round: self.round,
            seconds_per_film: self.seconds_per_film,
            out: self.out.clone(),
        })
    }

    fn films(&self) -> anyhow::Result<Source> {
        if self.demo {
            return Ok(Source::Demo);
        }
        let (Some(images), Some(labels)) = (&self.images, &self.labels) else {
            bail!("simulating needs --images and --labels, or --demo");
        };
        let set = |images: &PathBuf, labels: &PathBuf, split: &Option<String>| FilmSet {
            images: images.clone(),
            labels: Some(labels.clone()),
            split: split.clone(),
            limit: None,
        };
        let evaluation = match (&self.eval_images, &self.eval_labels, &self.eval_split) {
            (Some(images), Some(labels), split) => Some(set(images, labels, split)),
            (_, _, split @ Some(_)) => Some(set(images, labels, split)),
            _ => None,
        };
        Ok(Source::Listed { pool: set(images, labels, &self.split), evaluation })
    }
}
