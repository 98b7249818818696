//! What the compute thread does with labels: fine-tune, judge, distil.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde_json::json;

use super::state::Worker;
use crate::dataset::Labelled;
use crate::engine::inbox::panic_text;
use crate::engine::protocol::{Change, Event, Learnt, ModelChange, Stage};
use crate::learn::distill::DistillConfig;
use crate::learn::finetune::{FineTuned, FinetuneConfig};
use crate::learn::pool_means::COLDEST;
use crate::learn::round::{Judgement, Round};
use crate::learn::{Flow, LearnError};
use crate::model::folder::{self, Kind, ModelCard};
use crate::model::{Classifier, release_buffers};
use crate::session::MethodFigures;
use crate::stats::likeliest;
use crate::study::Embedded;

/// What background learning came to.
struct Ended {
    /// Name of the model.
    model: String,
    /// Its features, where it is better.
    better: Option<Embedded>,
    learnt: Learnt,
    labelled: Labelled,
}

impl Worker {
    /// Fine-tunes, and distils if that helped; says what came of it either way. Returns the labels that it learnt from.
    pub(super) fn learn(&mut self, why: String) -> Option<Labelled> {
        self.inbox.flags.begin();
        let labels = self.inbox.labelled().rows.len();
        self.inbox.send(Event::LearningStarted { labels, why });
        let result = catch_unwind(AssertUnwindSafe(|| self.learn_stages()))
            .unwrap_or_else(|panic| Err(anyhow::anyhow!("{}", panic_text(panic.as_ref()))));
        *self.inbox.progress.lock() = None;
        release_buffers();
        match result {
            Ok(Ended { model, better: Some(embedded), learnt, labelled }) => {
                let change = ModelChange { model, change: Change::Learnt(learnt) };
                self.inbox.change_model(embedded, change);
                Some(labelled)
            }
            Ok(Ended { model, better: None, learnt, labelled }) => {
                self.inbox.send(Event::LearningEnded { model: Some(model), learnt });
                Some(labelled)
            }
            Err(error) => {
                let stopped = matches!(error.downcast_ref(), Some(LearnError::Stopped));
                let outcome = if stopped {
                    "Cancelled; the model in use stays".to_owned()
                } else {
                    let device = &self.options.compute;
                    format!("Learning failed on {device}; the model in use stays: {error:#}")
                };
                let learnt = Learnt { outcome, labels, methods: Vec::new() };
                self.inbox.send(Event::LearningEnded { model: None, learnt });
                None
            }
        }
    }

    /// Fine-tunes on the labels so far; if that helped, the network or a student of it is the new model.
    fn learn_stages(&mut self) -> anyhow::Result<Ended> {
        let config = FinetuneConfig::standard(self.base_card.preprocess.size, self.options.seed);
        let earlier = self.tuned.take();
        let tuned = match self.tune(&config, earlier.as_ref()) {
            Ok(tuned) => tuned,
            Err(error) => {
                // What was cancelled leaves the next run the networks that it started from itself.
                self.tuned = earlier;
                return Err(error.into());
            }
        };
        let ended = self.judge_and_keep(&config, &tuned);
        self.tuned = Some(tuned);
        ended
    }

    /// Fine-tunes on the labels as they arrive, beside the head that serves now.
    fn tune(
        &self,
        config: &FinetuneConfig,
        earlier: Option<&FineTuned>,
    ) -> Result<FineTuned, LearnError> {
        // The penalty may be paused over too, and then something is to be seen.
        self.show(Stage::FineTuning, (0, 1), (0.0, 0.0), None);
        let flow = || self.flow();
        self.round(&[], &flow).tune(config, &mut || self.labelled(), earlier, &mut |report| {
            self.observe(Stage::FineTuning, report)
        })
    }

    fn round<'a>(&'a self, pool: &'a [usize], flow: &'a dyn Fn() -> Flow) -> Round<'a> {
        Round {
            start: &self.base,
            space: &self.space,
            store: &self.pool,
            pool,
            size: self.base_card.preprocess.size,
            device: &self.options.compute.device,
            flow,
        }
    }

    /// Films that the model is brought to the head's shares on: all that can be read and have not been called
    /// uninterpretable.
    fn usable(&self) -> Vec<usize> {
        let left_out = self.inbox.state().labels.excluded.clone();
        let usable = |row: &usize| !self.unreadable.contains(row) && !left_out.contains(row);
        (0..self.pool.len()).filter(usable).collect()
    }

    fn judge_and_keep(&self, config: &FinetuneConfig, tuned: &FineTuned) -> anyhow::Result<Ended> {
        let (rows, flow) = (self.usable(), || self.flow());
        let round = self.round(&rows, &flow);
        let labelled = tuned.labelled.clone();
        let judgement = round.judge(tuned)?;
        let name = self.free_name(labelled.rows.len());
        let head = round.head_fit(&labelled)?;
        let head = round.setting(Some(&head)).classifier(&labelled);
        let mut model = round.align(tuned.model.clone(), &labelled, COLDEST)?;
        let mut methods = vec![
            self.figures(&round, "head", Some(judgement.head), &head)?,
            self.figures(&round, "finetune", Some(judgement.tuned), &model)?,
        ];
        let labels = labelled.rows.len();
        let mut outcome = text(&judgement, labels);
        if !judgement.is_better() {
            outcome += "; the model in use stays";
            let learnt = Learnt { outcome, labels, methods };
            return Ok(Ended { model: name, better: None, learnt, labelled });
        }
        let mut made_by = json!({ "finetune": config });
        let mut metrics = json!({
            "cross_validated_log_loss": judgement.tuned,
            "cross_validated_log_loss_of_head": judgement.head,
        });
        if self.options.plan.distill {
            let config = DistillConfig::standard(config.size, self.options.seed);
            let teacher = round.predicted(&model, &self.pool, &rows)?;
            model = round.distil(&model, &teacher, &labelled, &config, &mut |report| {
                self.observe(Stage::Distilling, report)
            })?;
            methods.push(self.figures(&round, "distill", None, &model)?);
            made_by["distill"] = json!(config);
            // Of the student nothing is cross-validated.
            metrics = json!({ "teacher": metrics });
        }
        metrics["labels"] = json!(labels);
        let path = self.options.models.join(&name);
        self.save(&path, &model, made_by, metrics)?;
        let embedded = self.embed_learnt(&name, &path).inspect_err(|_| {
            // Nothing would ever speak of it.
            std::fs::remove_dir_all(&path).ok();
        })?;
        let learnt = Learnt { outcome, labels, methods };
        Ok(Ended { model: name, better: Some(embedded), learnt, labelled })
    }

    /// What a method came to: on the reference films by a network, if there are any, and by cross-validation.
    fn figures(
        &self,
        round: &Round<'_>,
        method: &str,
        log_loss: Option<f64>,
        network: &Classifier,
    ) -> Result<MethodFigures, LearnError> {
        let reference = match &self.reference {
            Some((store, set)) => {
                let rows: Vec<usize> = (0..store.len()).collect();
                let found = round.predicted(network, store, &rows)?;
                let right = found.chunks_exact(round.space.classes()).map(likeliest);
                let right = right.zip(&set.classes).filter(|(called, truth)| called == *truth);
                Some((right.count() as f64 / rows.len() as f64, rows.len()))
            }
            None => None,
        };
        let log_loss = log_loss.filter(|loss| loss.is_finite());
        Ok(MethodFigures { method: method.to_owned(), log_loss, reference })
    }

    /// Returns a name for a model that learnt from this many labels; the log may speak of earlier ones for ever.
    fn free_name(&self, labels: usize) -> String {
        let name = |turn: u32| match turn {
            1 => format!("{}-{labels}", self.options.session),
            turn => format!("{}-{labels}-{turn}", self.options.session),
        };
        let taken = |name: &String| self.options.models.join(name).exists();
        (1..u32::MAX).map(name).find(|name| !taken(name)).unwrap_or_default()
    }

    fn save(
        &self,
        path: &Path,
        model: &Classifier,
        made_by: serde_json::Value,
        metrics: serde_json::Value,
    ) -> anyhow::Result<()> {
        let card = ModelCard {
            version: folder::VERSION,
            kind: Kind::Classifier,
            architecture: self.base_card.architecture.clone(),
            preprocess: self.base_card.preprocess,
            classes: self.options.classes.clone(),
            parent: Some(self.options.base_name.clone()),
            seed: self.options.seed,
            made_by,
            metrics,
            weights_hash: String::new(),
        };
        folder::save(model, card, path)?;
        Ok(())
    }
}

/// Says how fine-tuning did against the head.
fn text(judgement: &Judgement, labels: usize) -> String {
    let relation = if judgement.is_better() { "better than" } else { "not better than" };
    let Judgement { head, tuned } = judgement;
    format!(
        "Fine-tuned on {labels} labels: cross-validated log-loss {tuned:.3}, {relation} the {head:.3} of the head on \
         pretrained features"
    )
}
