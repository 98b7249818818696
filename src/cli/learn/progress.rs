//! Progress on the terminal, apart from what is reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::cli::interrupt::stop_on_ctrl_c;
use crate::learn::{Flow, LearnError, StepReport};

/// Lines that a stage prints where there is no terminal to draw a bar on.
const LINES: u64 = 10;

/// A bar on a terminal; elsewhere a line a tenth. Ctrl-C stops the stage after the step in hand.
pub struct Progress {
    bar: ProgressBar,
    losses: Vec<f32>,
    stop: Arc<AtomicBool>,
}

impl Progress {
    /// Starts without a step. From now on the first Ctrl-C is answered with `message`.
    ///
    /// # Errors
    /// Fails if Ctrl-C cannot be waited for.
    pub fn watch(message: &'static str) -> anyhow::Result<Self> {
        let stop = stop_on_ctrl_c(message)?;
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}") {
            bar.set_style(style);
        }
        Ok(Self { bar, losses: Vec::new(), stop })
    }

    /// Shows a step, with the mean loss since the last tenth of the stage began, unless the stage is to stop.
    pub fn step(&mut self, report: &StepReport) -> Flow {
        if self.stop.load(Ordering::Relaxed) {
            return Flow::Stop;
        }
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

    /// Takes the bar away and returns what was learnt; nothing where Ctrl-C has stopped it.
    ///
    /// # Errors
    /// Fails if learning did.
    pub fn ended<T>(&self, learnt: Result<T, LearnError>) -> Result<Option<T>, LearnError> {
        self.bar.finish_and_clear();
        match learnt {
            Err(LearnError::Stopped) => Ok(None),
            learnt => learnt.map(Some),
        }
    }
}
