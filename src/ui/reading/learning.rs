//! What is known of the engine, folded from its events.

use crate::engine::{Change, Event, Learnt, ModelChange, Progress};
use crate::query::Strategy;
use crate::study::Ranking;
use crate::ui::figures;
use crate::ui::words::sentence;

/// What the engine does and did, as the views show it.
#[derive(Clone, Debug, Default)]
pub struct Learning {
    /// What is being prepared, films done and films in all.
    pub preparing: Option<(&'static str, usize, usize)>,
    /// Name of the model in use.
    pub model: Option<String>,
    /// Device that learning runs on.
    pub device: Option<String>,
    /// Strategy in force or asked for.
    pub strategy: Option<Strategy>,
    /// Strategy that ranked in its place, as what it needs was not there.
    pub stand_in: Option<Strategy>,
    /// Milliseconds that the last ranking took.
    pub ranked_in: Option<f32>,
    /// Why the running job started.
    pub why: Option<String>,
    /// Where the running job stands.
    pub progress: Option<Progress>,
    /// What came of the last job, and the labels that it saw.
    pub outcome: Option<(String, usize)>,
    /// What went wrong without stopping the work, the latest last.
    pub warnings: Vec<String>,
    /// Why the engine cannot go on.
    pub failed: Option<String>,
}

impl Learning {
    /// Warnings that are kept.
    const WARNINGS: usize = 20;

    /// Takes an event in.
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Preparing { what, done, total } => {
                self.preparing = (done < total).then_some((what, done, total));
            }
            Event::Ready { device } => {
                self.preparing = None;
                self.device = Some(device);
            }
            Event::Ranking(ranking) => self.ranked(&ranking),
            Event::Foreseen(_) | Event::Opinions(_) | Event::Explained(_) | Event::Insight(_) => {}
            Event::LearningStarted { why, .. } => self.why = Some(why),
            Event::ModelChanged(ModelChange { model, change }) => {
                self.model = Some(model);
                if let Change::Learnt(learnt) = change {
                    self.ended(learnt);
                }
            }
            Event::LearningEnded { learnt, .. } => self.ended(learnt),
            Event::Warning(warning) => {
                if self.warnings.len() == Self::WARNINGS {
                    self.warnings.remove(0);
                }
                self.warnings.push(warning);
            }
            Event::Failed(reason) => self.failed = Some(reason),
        }
    }

    fn ended(&mut self, learnt: Learnt) {
        self.why = None;
        self.outcome = Some((learnt.outcome, learnt.labels));
    }

    /// Notes what a ranking says of itself.
    pub fn ranked(&mut self, ranking: &Ranking) {
        self.preparing = None;
        self.strategy = Some(ranking.asked);
        self.stand_in = Some(ranking.strategy).filter(|&made_it| made_it != ranking.asked);
        self.ranked_in = Some(ranking.milliseconds);
    }

    /// Returns what runs now in a few words, for the top bar; `None` when nothing runs.
    pub fn chip(&self) -> Option<String> {
        if self.failed.is_some() {
            return Some("Learning has stopped".to_owned());
        }
        if let Some(progress) = &self.progress {
            let Progress { stage, step, steps, seconds_left, paused, .. } = progress;
            let rest = match (*paused, *step) {
                (true, _) => " · paused".to_owned(),
                // Nothing is known of the pace yet.
                (false, 0) => String::new(),
                (false, _) => format!(" · {}", figures::time(*seconds_left)),
            };
            return Some(format!("{} {step}/{steps}{rest}", sentence(stage.name())));
        }
        self.preparing.map(|(what, done, total)| format!("{} {done}/{total}", sentence(what)))
    }

    /// Returns the share in 0..=1 that is done of what runs now.
    pub fn done(&self) -> Option<f32> {
        let share = |done: f64, of: f64| (done / of.max(1.0)).clamp(0.0, 1.0) as f32;
        let running = self.progress.as_ref().map(|p| share(p.step as f64, p.steps as f64));
        running.or_else(|| self.preparing.map(|(_, done, total)| share(done as f64, total as f64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Stage;

    #[test]
    fn the_chip_says_what_runs_and_for_how_long() {
        let mut learning = Learning::default();
        assert_eq!(learning.chip(), None, "an idle engine says nothing");
        learning.take(Event::Preparing { what: "reading films", done: 3, total: 6 });
        assert_eq!(
            (learning.chip().as_deref(), learning.done()),
            (Some("Reading films 3/6"), Some(0.5))
        );
        learning.take(Event::Ready { device: "CPU".to_owned() });
        assert_eq!(learning.chip(), None);
        let mut progress = Progress {
            stage: Stage::FineTuning,
            step: 7,
            steps: 20,
            images_per_second: 10.0,
            seconds_left: 40.0,
            labels: 52,
            training: None,
            memory: None,
            paused: false,
        };
        learning.progress = Some(progress.clone());
        assert_eq!(learning.chip().as_deref(), Some("Fine-tuning 7/20 · 40 s"));
        learning.progress = Some(Progress { stage: Stage::Embedding, step: 0, ..progress.clone() });
        assert_eq!(learning.chip().as_deref(), Some("Embedding films 0/20"));
        progress.paused = true;
        learning.progress = Some(progress);
        assert_eq!(learning.chip().as_deref(), Some("Fine-tuning 7/20 · paused"));
    }

    #[test]
    fn a_strategy_that_cannot_rank_yet_stays_the_one_that_was_asked_for() {
        let mut learning = Learning::default();
        let mut ranking = Ranking {
            version: 0,
            labels: 0,
            model: "demo".to_owned(),
            asked: Strategy::AugmentationVariance,
            strategy: Strategy::Margin,
            settled: true,
            penalty: 1.0,
            order: Vec::new(),
            probabilities: Vec::new(),
            reference: None,
            milliseconds: 1.0,
        };
        learning.ranked(&ranking);
        let asked = Some(Strategy::AugmentationVariance);
        assert_eq!((learning.strategy, learning.stand_in), (asked, Some(Strategy::Margin)));
        ranking.strategy = ranking.asked;
        learning.ranked(&ranking);
        assert_eq!((learning.strategy, learning.stand_in), (asked, None));
    }

    #[test]
    fn a_job_that_made_no_model_leaves_the_model_in_use() {
        let mut learning = Learning::default();
        let opened = ModelChange { model: "demo".to_owned(), change: Change::Opened };
        learning.take(Event::ModelChanged(opened));
        let outcome = "not better".to_owned();
        let learnt = Learnt { outcome, labels: 52, methods: Vec::new() };
        learning.take(Event::LearningEnded { model: Some("demo-52".to_owned()), learnt });
        assert_eq!(learning.model.as_deref(), Some("demo"));
        assert_eq!(learning.outcome, Some(("not better".to_owned(), 52)));
        for number in 0..30 {
            learning.take(Event::Warning(number.to_string()));
        }
        assert_eq!(learning.warnings.len(), Learning::WARNINGS);
        assert_eq!(learning.warnings.last().map(String::as_str), Some("29"));
    }
}
