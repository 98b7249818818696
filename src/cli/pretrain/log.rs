//! Progress on the terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::learn::StepReport;
use crate::learn::pretrain::{PretrainConfig, ProbePoint, Score};

/// A bar on a terminal; elsewhere a line an epoch.
pub struct Log {
    bar: ProgressBar,
    epoch: Option<u32>,
    losses: Vec<f32>,
    accuracy: Option<f32>,
    printed: Instant,
}

impl Log {
    /// Starts without a step.
    pub fn new(config: &PretrainConfig) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}") {
            bar.set_style(style);
        }
        bar.set_message(format!("epoch 1/{}", config.epochs));
        Self { bar, epoch: None, losses: Vec::new(), accuracy: None, printed: Instant::now() }
    }

    /// Shows a step.
    pub fn step(&mut self, report: &StepReport) {
        if self.epoch.is_some_and(|epoch| epoch != report.epoch) {
            self.losses.clear();
        }
        self.epoch = Some(report.epoch);
        self.losses.push(report.loss);
        self.accuracy = report.accuracy.or(self.accuracy);
        self.bar.set_length(report.steps);
        self.bar.set_position(report.step);
        let left = Duration::try_from_secs_f32(report.seconds_left.max(0.0)).unwrap_or_default();
        let accuracy = self.accuracy.map(|value| format!("  contrastive accuracy {value:.2}"));
        let line = format!(
            "epoch {}/{}  {:.0} images/s  loss {:.3}{}  {} left",
            report.epoch + 1,
            report.epochs,
            report.images_per_second,
            self.losses.iter().sum::<f32>() / self.losses.len() as f32,
            accuracy.unwrap_or_default(),
            indicatif::HumanDuration(left),
        );
        let last = report.step.is_multiple_of((report.steps / u64::from(report.epochs)).max(1));
        if self.bar.is_hidden() && last {
            println!("{line}  ({:.0} s)", self.printed.elapsed().as_secs_f32());
        }
        self.bar.set_message(line);
    }

    /// Shows a look at the features.
    pub fn probe(&self, point: &ProbePoint) {
        let line = format!(
            "epoch {}: on {} labels by cross-validation, linear {}, 20 nearest {}",
            point.epoch,
            point.labels,
            figures(point.linear),
            figures(point.knn)
        );
        self.bar.suspend(|| println!("{line}"));
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Accuracy and AUROC as they are printed.
fn figures(score: Score) -> String {
    let auroc = score.auroc.map_or_else(|| "–".to_owned(), |auroc| format!("{auroc:.3}"));
    format!("{:.3} (AUROC {auroc})", score.accuracy)
}
