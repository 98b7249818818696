//! Progress on the terminal, apart from what is reported.

use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::learn::{Flow, StepReport};

/// Lines that a stage prints where there is no terminal to draw a bar on.
const LINES: u64 = 10;

/// A bar on a terminal; elsewhere a line a tenth.
pub struct Progress {
    bar: ProgressBar,
    losses: Vec<f32>,
}

impl Progress {
    /// Starts without a step.
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}") {
            bar.set_style(style);
        }
        Self { bar, losses: Vec::new() }
    }

    /// Shows a step, with the mean loss since the last tenth of the stage began.
    pub fn step(&mut self, report: &StepReport) -> Flow {
        self.losses.push(report.loss);
        self.bar.set_length(report.steps);
        self.bar.set_position(report.step);
        let left = Duration::try_from_secs_f32(report.seconds_left.max(0.0)).unwrap_or_default();
        let line = format!(
            "epoch {}/{}  {:.0} images/s  loss {:.3}  {} left",
            report.epoch + 1,
            report.epochs,
            report.images_per_second,
            self.losses.iter().sum::<f32>() / self.losses.len() as f32,
            HumanDuration(left),
        );
        if report.step.is_multiple_of((report.steps / LINES).max(1)) {
            if self.bar.is_hidden() {
                eprintln!("{}/{}  {line}", report.step, report.steps);
            }
            self.losses.clear();
        }
        self.bar.set_message(line);
        Flow::Continue
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
