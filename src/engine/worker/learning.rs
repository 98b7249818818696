//! What the compute thread does with labels: fine-tune, judge, distil.

use std::path::Path;

use serde_json::json;

use super::super::message::Stage;
use super::super::ranking::{FOLDS, ToRanking};
use super::Worker;
use crate::learn::calibration::{apply_temperature, fit_temperature};
use crate::learn::distill::{DistillConfig, Teacher, distill};
use crate::learn::finetune::{FineTuned, FinetuneConfig, FoldAssigner, Labelled, finetune};
use crate::learn::metrics::log_loss;
use crate::learn::pool_means::{COLDEST, PoolMeans, aligned};
use crate::learn::{Flow, HeadFit, LearnError, Setting, probabilities};
use crate::model::folder::{self, Kind, ModelCard};
use crate::model::{Classifier, LinearHead};
use crate::query::confident_learning::likeliest;
use crate::query::{Head, L2_GRID, Regularisation, choose_l2, out_of_fold};
use crate::session::MethodFigures;

/// What background learning came to.
pub(super) struct Ended {
    pub(super) model: String,
    pub(super) accepted: bool,
    pub(super) outcome: String,
    pub(super) methods: Vec<MethodFigures>,
    pub(super) labelled: Labelled,
}

struct Verdict {
    better: bool,
    before: f64,
    after: f64,
    text: String,
}

impl Worker {
    /// Fine-tunes on the labels so far; if that helped, the network or a student of it is the new model.
    pub(super) fn learn_stages(&mut self) -> anyhow::Result<Ended> {
        let size = self.base_card.preprocess.size;
        let config = FinetuneConfig::standard(size, self.options.seed);
        let earlier = self.tuned.take();
        let tuned = match self.finetune(&config, earlier.as_ref()) {
            Ok(tuned) => tuned,
            Err(error) => {
                // What was cancelled leaves the next run the networks that it started from itself.
                self.tuned = earlier;
                return Err(error);
            }
        };
        let ended = self.judge_and_keep(&config, &tuned);
        self.tuned = Some(tuned);
        ended
    }

    /// Fine-tunes on the labels as they arrive, beside the head that serves now.
    fn finetune(
        &self,
        config: &FinetuneConfig,
        earlier: Option<&FineTuned>,
    ) -> anyhow::Result<FineTuned> {
        // The penalty may be paused over too, and then something is to be seen.
        self.show(Stage::FineTuning, (0, 1), (0.0, 0.0), None);
        let l2 = self.head_penalty(&self.labelled())?;
        let fit = |labelled: &Labelled| self.fit_head(labelled, l2);
        let setting = self.setting(&fit);
        let tuned = finetune(
            &setting,
            &self.options.pool.patients,
            &mut || self.labelled(),
            config,
            earlier,
            &mut |report| self.observe(Stage::FineTuning, report),
        )?;
        Ok(tuned)
    }

    /// The labels of films that can be read.
    fn labelled(&self) -> Labelled {
        self.shared.labelled().without(&self.unreadable)
    }

    fn setting<'a>(&'a self, fit: &'a HeadFit<'a>) -> Setting<'a> {
        Setting {
            start: &self.base,
            classes: self.options.classes.len(),
            store: &self.pool,
            device: &self.options.compute.device,
            head: self.base_features.is_some().then_some(fit),
        }
    }

    /// Fits the tier-1 head on the pretrained features.
    fn fit_head(&self, Labelled { rows, classes }: &Labelled, l2: f32) -> LinearHead {
        let count = self.options.classes.len();
        let fitted = self.base_features.as_ref().map(|(features, scale)| {
            Head::fit(features, rows, classes, count, l2, None).linear(scale)
        });
        fitted.unwrap_or_default()
    }

    /// Returns the means, over the films `rows`, of the probabilities of the head on the pretrained features.
    fn pool_means(&self, labelled: &Labelled, l2: f32, rows: &[usize]) -> Option<PoolMeans> {
        let (features, _) = self.base_features.as_ref()?;
        let (Labelled { rows: known, classes: truth }, count) =
            (labelled, self.options.classes.len());
        let head = Head::fit(features, known, truth, count, l2, None);
        PoolMeans::of(&head.probabilities_of(features, rows), count)
    }

    /// Chooses the penalty of the head on the pretrained features.
    fn head_penalty(&self, labelled: &Labelled) -> Result<f32, LearnError> {
        let Some((features, _)) = &self.base_features else {
            return Ok(Regularisation::default().l2());
        };
        let Labelled { rows, classes: truth } = labelled;
        let folds = FoldAssigner::new(FOLDS).assign_all(labelled, &self.options.pool.patients);
        let (classes, observe) = (self.options.classes.len(), &mut || self.flow());
        let l2 = choose_l2(features, rows, truth, classes, &folds, &L2_GRID, observe)
            .unwrap_or_else(|| Regularisation::default().l2());
        match self.flow() {
            Flow::Continue => Ok(l2),
            // Then the penalty was not chosen, and what starts from the head or is compared with it would be worse.
            Flow::Stop => Err(LearnError::Stopped),
        }
    }

    fn judge_and_keep(&self, config: &FinetuneConfig, tuned: &FineTuned) -> anyhow::Result<Ended> {
        let size = config.size;
        let labelled = tuned.labelled.clone();
        let l2 = self.head_penalty(&labelled)?;
        let verdict = self.compare(tuned, l2);
        let name = self.free_name(labelled.rows.len());
        let left_out = self.shared.labels.lock().excluded.clone();
        let usable = |row: &usize| !self.unreadable.contains(row) && !left_out.contains(row);
        let rows: Vec<usize> = (0..self.pool.len()).filter(usable).collect();
        let fit = |labelled: &Labelled| self.fit_head(labelled, l2);
        let setting = self.setting(&fit);
        let means = self.pool_means(&labelled, l2, &rows);
        let ask = |_| self.flow();
        let align = |model: Classifier| match &means {
            Some(means) => aligned(model, &setting, &rows, size, means, COLDEST, &mut { ask }),
            None => Ok(model),
        };
        let mut model = align(tuned.model.clone())?;
        let mut methods = vec![
            self.figures("head", Some(verdict.before), &setting.classifier(&labelled))?,
            self.figures("finetune", Some(verdict.after), &model)?,
        ];
        if !verdict.better {
            let outcome = format!("{}; the model in use stays", verdict.text);
            return Ok(Ended { model: name, accepted: false, outcome, methods, labelled });
        }
        let mut made_by = json!({ "finetune": config });
        if self.options.plan.distill {
            let config = DistillConfig::standard(size, self.options.seed);
            model = align(self.student(&setting, &model, &rows, &config)?)?;
            methods.push(self.figures("distill", None, &model)?);
            made_by["distill"] = json!(config);
        }
        let path = self.options.models.join(&name);
        let mut metrics = json!({
            "cross_validated_log_loss": verdict.after,
            "cross_validated_log_loss_of_head": verdict.before,
        });
        if self.options.plan.distill {
            // Of the student nothing is cross-validated.
            metrics = json!({ "teacher": metrics });
        }
        metrics["labels"] = json!(labelled.rows.len());
        self.save(&path, &model, made_by, metrics)?;
        let embedded = self.embed_learnt(&name, &path).inspect_err(|_| {
            // Nothing would ever speak of it.
            std::fs::remove_dir_all(&path).ok();
        })?;
        self.to_ranking.send(ToRanking::Embedded(embedded)).ok();
        Ok(Ended { model: name, accepted: true, outcome: verdict.text, methods, labelled })
    }

    /// Teaches a student of a network, which it starts from, on the films `rows`.
    fn student(
        &self,
        setting: &Setting<'_>,
        teacher: &Classifier,
        rows: &[usize],
        config: &DistillConfig,
    ) -> Result<Classifier, LearnError> {
        let device = &self.options.compute.device;
        let ask = &mut |_| self.flow();
        let known = probabilities(teacher, &self.pool, rows, config.size, device, ask)?;
        let known = Teacher::Probabilities(&known);
        distill(setting, teacher, rows, known, config, None, &mut |report| {
            self.observe(Stage::Distilling, report)
        })
    }

    /// What a method came to: on the reference films by a network, if there are any, and by cross-validation.
    fn figures(
        &self,
        method: &str,
        log_loss: Option<f64>,
        network: &Classifier,
    ) -> Result<MethodFigures, LearnError> {
        let reference = match &self.reference {
            Some((store, set)) => {
                let rows: Vec<usize> = (0..store.len()).collect();
                let (size, device) = (self.base_card.preprocess.size, &self.options.compute.device);
                let ask = &mut |_| self.flow();
                let found = probabilities(network, store, &rows, size, device, ask)?;
                let classes = self.options.classes.len();
                let right = found.chunks_exact(classes).map(likeliest).zip(&set.classes);
                let right = right.filter(|(called, truth)| called == *truth).count();
                Some((right as f64 / rows.len() as f64, rows.len()))
            }
            None => None,
        };
        let log_loss = log_loss.filter(|loss| loss.is_finite());
        Ok(MethodFigures { method: method.to_owned(), log_loss, reference })
    }

    /// Compares fine-tuning, by its probabilities of films unseen by the network asked, with the linear head of
    /// penalty `l2` on the pretrained features, likewise on films that it has not seen.
    fn compare(&self, tuned: &FineTuned, l2: f32) -> Verdict {
        let Labelled { rows, classes: truth } = &tuned.labelled;
        let classes = self.options.classes.len();
        let before = self.base_features.as_ref().map_or(f64::INFINITY, |(features, _)| {
            let mut found = out_of_fold(features, rows, truth, classes, &tuned.folds, l2);
            // As fine-tuning's: a head that is only too sure is not a worse one.
            let temperature = fit_temperature(&found, truth, classes);
            apply_temperature(&mut found, classes, temperature as f32);
            log_loss(&found, truth, classes)
        });
        let after = log_loss(&tuned.out_of_fold, truth, classes);
        let n = rows.len();
        let relation = if after < before { "better than" } else { "not better than" };
        Verdict {
            better: after < before,
            before,
            after,
            text: format!(
                "Fine-tuned on {n} labels: cross-validated log-loss {after:.3}, {relation} the {before:.3} of the head \
                 on pretrained features"
            ),
        }
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
