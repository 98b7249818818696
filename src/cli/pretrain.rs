//! `penumbra pretrain`: a new encoder from unlabelled films.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::Answer;
use super::args::PretrainArgs;
use super::films::Films;
use crate::config::{Home, check_name};
use crate::device::Compute;
use crate::engine::worker::source_preprocess;
use crate::fsutil;
use crate::imaging::Preprocess;
use crate::learn::schedule::Scaling;
use crate::learn::simclr::{Checkpoints, SimclrConfig, pretrain};
use crate::learn::{Flow, LearnError, StepReport};
use crate::model::Architecture;
use crate::model::folder::{self, Kind, ModelCard, SIZES};

/// Pretrains and saves the model under its name.
///
/// # Errors
/// Fails if the films cannot be read, if learning fails, or if the model cannot be written.
pub fn run(
    home: &Home,
    args: &PretrainArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let config = config(args)?;
    check_name(&args.out).map_err(anyhow::Error::msg)?;
    let folder = home.models().join(&args.out);
    let checkpoint = home.models().join(format!("{}.checkpoint", args.out));
    if folder.join("model.json").is_file() && !(args.resume && checkpoint.is_dir()) {
        bail!("there is a model of this name already; choose another --out: {}", folder.display());
    }
    if checkpoint.is_dir() && !args.resume {
        bail!(
            "there is a checkpoint of this name; give --resume to go on, or remove it: {}",
            checkpoint.display()
        );
    }
    let films = Films::find(&args.films)?;
    let preprocess = Preprocess { size: args.size, fit: args.fit };
    let store = films.load(source_preprocess(preprocess), threads)?;
    println!("{} films, {}, {} px, on {compute}", store.len(), config.architecture, config.size);
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))
        .context("cannot wait for Ctrl-C")?;
    let mut log = Log::new(&config);
    let checkpoints = Checkpoints { folder: checkpoint.clone(), resume: args.resume };
    let started = Instant::now();
    let result =
        pretrain(&config, &store, &compute.device, threads, Some(&checkpoints), &mut |report| {
            log.step(report);
            if stop.load(Ordering::Relaxed) { Flow::Stop } else { Flow::Continue }
        });
    log.bar.finish_and_clear();
    let model = match result {
        Ok(model) => model,
        Err(LearnError::Stopped) => {
            println!(
                "stopped; --resume goes on from the last finished epoch: {}",
                checkpoint.display()
            );
            return Ok(Answer::No);
        }
        Err(error) => return Err(error.into()),
    };
    let card = ModelCard {
        version: folder::VERSION,
        kind: Kind::Pretrained,
        architecture: config.architecture.clone(),
        preprocess,
        classes: Vec::new(),
        parent: None,
        seed: config.seed,
        made_by: serde_json::json!({
            "pretrain": config,
            "films": store.len(),
            "split": args.films.split,
            "device": compute.name,
            "threads": threads,
            "seconds_of_last_run": started.elapsed().as_secs(),
        }),
        metrics: serde_json::json!({
            "nt_xent": (!log.losses.is_empty()).then(|| log.mean_loss()),
            "contrastive_accuracy": log.accuracy,
        }),
        weights_hash: String::new(),
    };
    folder::save(&model, card, &folder)?;
    fsutil::write_atomic(&folder.join("pretrain.csv"), log.csv.as_bytes())?;
    std::fs::remove_dir_all(&checkpoint).ok();
    println!("saved {}", folder.display());
    Ok(Answer::Yes)
}

fn config(args: &PretrainArgs) -> anyhow::Result<SimclrConfig> {
    let architecture = Architecture { depth: args.depth, width: args.width, stem: args.stem };
    architecture.blocks().map_err(anyhow::Error::msg)?;
    let positive = |value: f64| value.is_finite() && value > 0.0;
    if !SIZES.contains(&args.size) {
        bail!("--size is in 16..=1024");
    }
    if !positive(args.rate)
        || !positive(args.temperature.into())
        || args.batch < 2
        || args.epochs == 0
    {
        bail!(
            "--rate and --temperature are above 0, --batch is at least 2 and --epochs at least 1"
        );
    }
    Ok(SimclrConfig {
        architecture,
        size: args.size,
        epochs: args.epochs,
        batch: args.batch,
        rate: args.rate,
        scaling: Scaling::None,
        warmup_epochs: args.warmup,
        weight_decay: args.weight_decay,
        temperature: args.temperature,
        augment: args.views.augment(),
        seed: args.seed,
    })
}

/// Progress on the terminal and, epoch by epoch, as CSV.
struct Log {
    bar: ProgressBar,
    csv: String,
    epoch: Option<u32>,
    losses: Vec<f32>,
    accuracy: Option<f32>,
    printed: Instant,
}

impl Log {
    fn new(config: &SimclrConfig) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}") {
            bar.set_style(style);
        }
        bar.set_message(format!("epoch 1/{}", config.epochs));
        let csv = "epoch,nt_xent,contrastive_accuracy,images_per_second\n".to_owned();
        Self { bar, csv, epoch: None, losses: Vec::new(), accuracy: None, printed: Instant::now() }
    }

    fn mean_loss(&self) -> f32 {
        self.losses.iter().sum::<f32>() / self.losses.len().max(1) as f32
    }

    fn step(&mut self, report: &StepReport) {
        if self.epoch.is_some_and(|epoch| epoch != report.epoch) {
            self.losses.clear();
        }
        self.epoch = Some(report.epoch);
        self.losses.push(report.loss);
        self.accuracy = report.accuracy.or(self.accuracy);
        self.bar.set_length(report.steps);
        self.bar.set_position(report.step);
        let left = Duration::try_from_secs_f32(report.seconds_left.max(0.0)).unwrap_or_default();
        let line = format!(
            "epoch {}/{}  {:.0} images/s  loss {:.3}  contrastive accuracy {:.2}  {} left",
            report.epoch + 1,
            report.epochs,
            report.images_per_second,
            self.mean_loss(),
            self.accuracy.unwrap_or(0.0),
            indicatif::HumanDuration(left),
        );
        let last = report.step.is_multiple_of((report.steps / u64::from(report.epochs)).max(1));
        if last {
            let accuracy = self.accuracy.unwrap_or(0.0);
            writeln!(
                self.csv,
                "{},{:.5},{accuracy:.4},{:.1}",
                report.epoch + 1,
                self.mean_loss(),
                report.images_per_second
            )
            .ok();
        }
        // Where there is no terminal to draw a bar on, a line an epoch tells as much.
        if self.bar.is_hidden() && last {
            println!("{line}  ({:.0} s)", self.printed.elapsed().as_secs_f32());
        }
        self.bar.set_message(line);
    }
}
