//! The compute thread: embeds the pool, fine-tunes, distils.

mod embedding;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::message::{Event, Progress, Stage};
use super::ranking::{FOLDS, ToRanking};
use super::{Options, ReferenceSet, Shared, Source};
use crate::dataset::Stopped;
use crate::dataset::planes::PlaneStore;
use crate::device;
use crate::imaging::Preprocess;
use crate::learn::calibration::{apply_temperature, fit_temperature};
use crate::learn::distill::{DistillConfig, Teacher, distill};
use crate::learn::finetune::{
    FineTuned, FinetuneConfig, FoldAssigner, Labelled, ensemble, finetune,
};
use crate::learn::metrics::log_loss;
use crate::learn::{Flow, HeadFit, LearnError, Setting, StepReport};
use crate::model::folder::{self, Kind, ModelCard, load_pretrained};
use crate::model::{Classifier, LinearHead, Pretrained, release_buffers};
use crate::predict::Predictor;
use crate::query::{
    Embeddings, Head, L2_GRID, Regularisation, Standardisation, choose_l2, out_of_fold,
};

/// Edge of a plane in memory, over the edge of the network's input: crops keep detail without each film staying whole.
const SOURCE_SCALE: f32 = 1.5;

/// What the compute thread is asked to do.
#[derive(Debug)]
pub enum Job {
    /// Fine-tune and distil, for the reason given.
    Learn {
        /// Why, as the researcher reads it.
        why: String,
        /// Whether somebody asked for it, new labels or not.
        asked: bool,
    },
    /// Embed further views of the pool with the model in use.
    EmbedViews,
}

/// Everything that the compute thread holds.
struct Worker {
    options: Options,
    shared: Shared,
    to_ranking: Sender<ToRanking>,
    base: Pretrained,
    base_card: ModelCard,
    pool: Arc<PlaneStore>,
    /// Rows of the pool that cannot be read: neither ranked nor learnt from.
    unreadable: Vec<usize>,
    reference: Option<(Arc<PlaneStore>, ReferenceSet)>,
    /// Features of the pool from the pretrained encoder, standardised, and how: what fine-tuning starts from and has to
    /// beat.
    base_features: Option<(Embeddings, Standardisation)>,
    /// What the last fine-tuning made: the next one starts from it.
    tuned: Option<FineTuned>,
    /// The student whose features are in use; `None` while the pretrained encoder's are.
    in_use: Option<String>,
}

/// Runs until the flags close or the job channel ends.
pub(super) fn run(
    options: Options,
    shared: Shared,
    jobs: &Receiver<Job>,
    to_ranking: Sender<ToRanking>,
) {
    let failed = shared.clone();
    let work = AssertUnwindSafe(|| -> anyhow::Result<()> {
        device::enter_compute_pool(options.compute.threads, true)?;
        let mut worker = Worker::prepare(options, shared, to_ranking)?;
        let mut seen = None;
        let mut put_back = None;
        while let Some(job) = put_back.take().or_else(|| jobs.recv().ok()) {
            if worker.shared.flags.closing() {
                break;
            }
            let (why, asked) = match job {
                Job::Learn { why, asked } => (why, asked),
                Job::EmbedViews => {
                    worker.embed_views();
                    continue;
                }
            };
            let now = worker.shared.labelled().without(&worker.unreadable);
            // The job before may have taken these labels in while this one waited.
            if !asked && seen.as_ref() == Some(&now) {
                continue;
            }
            seen = worker.learn(why);
            if seen.is_none() {
                // Cancelled or failed: learning that waited behind it is not to start at once.
                put_back = jobs.try_iter().find(|job| matches!(job, Job::EmbedViews));
            }
        }
        Ok(())
    });
    let text = match catch_unwind(work) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => panic_text(panic.as_ref()),
    };
    failed.stop(&text);
}

/// Returns what a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("an internal error").to_owned()
}

/// Returns how films are kept in memory for a model that sees them as `preprocess`.
pub fn source_preprocess(preprocess: Preprocess) -> Preprocess {
    Preprocess { size: (preprocess.size as f32 * SOURCE_SCALE).round() as u32, fit: preprocess.fit }
}

impl Worker {
    /// Loads the model and the films and embeds the pool.
    fn prepare(
        options: Options,
        shared: Shared,
        to_ranking: Sender<ToRanking>,
    ) -> anyhow::Result<Self> {
        let plain = options.compute.device.clone().inner();
        let (base, base_card) = load_pretrained(&options.base_model, &plain)?;
        let preprocess = source_preprocess(base_card.preprocess);
        let (pool, unreadable) = load(&options.pool, preprocess, "reading films", &shared)?;
        let reference = options.reference.as_ref();
        let reference =
            reference.map(|part| load_reference(part, preprocess, &shared)).transpose()?;
        if reference.as_ref().is_some_and(|(store, _)| store.is_empty()) {
            let text = "No film of the reference set can be read; there is no accuracy curve";
            shared.send(Event::Warning(text.to_owned()));
        }
        let reference = reference.filter(|(store, _)| !store.is_empty());
        let mut worker = Self {
            options,
            shared,
            to_ranking,
            base,
            base_card,
            pool,
            unreadable,
            reference,
            base_features: None,
            tuned: None,
            in_use: None,
        };
        let name = worker.options.base_name.clone();
        let hash = worker.base_card.weights_hash.clone();
        let embedded = worker
            .embed_all(None, &name, &hash, &mut |done, total| worker.preparing(done, total))?;
        let scale = Standardisation::measure(&embedded.pool, &embedded.blocks);
        worker.base_features = Some((scale.apply(&embedded.pool), scale));
        worker.to_ranking.send(ToRanking::Embedded(embedded)).ok();
        let current = worker.options.current_model.as_ref();
        let taken_up = current.filter(|(name, path)| worker.take_up(name, path));
        worker.in_use = taken_up.map(|(name, _)| name.clone());
        let model = worker.in_use.clone().unwrap_or_else(|| worker.options.base_name.clone());
        let device = worker.options.compute.name.clone();
        worker.shared.send(Event::Ready { model, device });
        Ok(worker)
    }

    /// Goes on with the student that the session used last; if it is gone, says so, and the pretrained encoder serves.
    fn take_up(&self, name: &str, path: &Path) -> bool {
        let embedded = Predictor::load(path, &self.options.compute.device)
            .map_err(anyhow::Error::from)
            .and_then(|student| {
                if student.card.preprocess != self.base_card.preprocess {
                    let base = &self.options.base_name;
                    anyhow::bail!("it sees films in another size or fit than {base}");
                }
                let hash = &student.card.weights_hash;
                let observe = &mut |done, total| self.preparing(done, total);
                self.embed_all(Some(&student), name, hash, observe)
            });
        match embedded {
            Ok(embedded) => self.to_ranking.send(ToRanking::Embedded(embedded)).is_ok(),
            Err(error) => {
                let text = format!(
                    "The model {name} cannot be used, the pretrained one serves instead: {error:#}"
                );
                self.shared.send(Event::Warning(text));
                false
            }
        }
    }

    /// Fine-tunes, and distils if that helped; says what came of it either way. Returns the labels that it learnt from.
    fn learn(&mut self, why: String) -> Option<Labelled> {
        self.shared.flags.begin();
        let labels = self.shared.labelled().rows.len();
        self.shared.send(Event::LearningStarted { labels, why });
        let result = catch_unwind(AssertUnwindSafe(|| self.learn_stages()))
            .unwrap_or_else(|panic| Err(anyhow::anyhow!("{}", panic_text(panic.as_ref()))));
        *self.shared.progress.lock() = None;
        release_buffers();
        let seen = result.as_ref().ok().map(|ended| ended.labelled.clone());
        let labels = seen.as_ref().map_or(labels, |seen| seen.rows.len());
        let (model, accepted, outcome) = match result {
            Ok(Ended { model, accepted, outcome, .. }) => (Some(model), accepted, outcome),
            Err(error) if matches!(error.downcast_ref(), Some(LearnError::Stopped)) => {
                (None, false, "Cancelled; the model in use stays".to_owned())
            }
            Err(error) => (
                None,
                false,
                format!(
                    "Learning failed on {}; the model in use stays: {error:#}",
                    self.options.compute
                ),
            ),
        };
        if accepted {
            self.in_use.clone_from(&model);
        }
        self.shared.send(Event::LearningEnded { model, accepted, outcome, labels });
        seen
    }

    fn learn_stages(&mut self) -> anyhow::Result<Ended> {
        let size = self.base_card.preprocess.size;
        let config = FinetuneConfig::standard(size, self.options.seed);
        let earlier = self.tuned.take();
        let tuned = self.finetune(&config, earlier.as_ref())?;
        let ended = self.judge_and_distill(&config, &tuned);
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
        self.show(Stage::FineTuning, (0, 1), (0.0, 0.0));
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

    /// Chooses the penalty of the head on the pretrained features.
    fn head_penalty(&self, labelled: &Labelled) -> Result<f32, LearnError> {
        let Some((features, _)) = &self.base_features else {
            return Ok(Regularisation::default().l2());
        };
        let Labelled { rows, classes: truth } = labelled;
        let folds = FoldAssigner::new(FOLDS).assign_all(labelled, &self.options.pool.patients);
        let (classes, observe) = (self.options.classes.len(), &mut || self.shared.flags.check());
        let l2 = choose_l2(features, rows, truth, classes, &folds, &L2_GRID, observe)
            .unwrap_or_else(|| Regularisation::default().l2());
        match self.shared.flags.check() {
            Flow::Continue => Ok(l2),
            // Then the penalty was not chosen, and what starts from the head or is compared with it would be worse.
            Flow::Stop => Err(LearnError::Stopped),
        }
    }

    fn judge_and_distill(
        &self,
        config: &FinetuneConfig,
        tuned: &FineTuned,
    ) -> anyhow::Result<Ended> {
        let (size, device) = (config.size, &self.options.compute.device);
        let mut observe = |_| self.shared.flags.check();
        let verdict = self.compare(tuned)?;
        let labelled = tuned.labelled.clone();
        let name = self.free_name(labelled.rows.len());
        if !verdict.better {
            let outcome = format!("{}; the model in use stays", verdict.text);
            return Ok(Ended { model: name, accepted: false, outcome, labelled });
        }
        let left_out = self.shared.labels.lock().excluded.clone();
        let usable = |row: &usize| !self.unreadable.contains(row) && !left_out.contains(row);
        let rows: Vec<usize> = (0..self.pool.len()).filter(usable).collect();
        let teacher = ensemble(&tuned.models, &self.pool, &rows, size, device, &mut observe)?;
        let distilling = DistillConfig::standard(size, self.options.seed);
        let l2 = self.head_penalty(&labelled)?;
        let fit = |labelled: &Labelled| self.fit_head(labelled, l2);
        let (setting, teacher) = (self.setting(&fit), Teacher::Probabilities(&teacher));
        let student =
            distill(&setting, &rows, teacher, &labelled, &distilling, None, &mut |report| {
                self.observe(Stage::Distilling, report)
            })?;
        let path = self.options.models.join(&name);
        self.save(&path, &student, tuned, (config, &distilling), &verdict)?;
        let embedded = self.embed_student(&name, &path).inspect_err(|_| {
            // Nothing would ever speak of it.
            std::fs::remove_dir_all(&path).ok();
        })?;
        self.to_ranking.send(ToRanking::Embedded(embedded)).ok();
        Ok(Ended { model: name, accepted: true, outcome: verdict.text, labelled })
    }

    /// Compares fine-tuning, by its probabilities of films unseen by the network asked, with the linear head on the
    /// pretrained features, likewise on films that it has not seen.
    fn compare(&self, tuned: &FineTuned) -> Result<Verdict, LearnError> {
        let Labelled { rows, classes: truth } = &tuned.labelled;
        let classes = self.options.classes.len();
        let l2 = self.head_penalty(&tuned.labelled)?;
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
        Ok(Verdict {
            better: after < before,
            before,
            after,
            text: format!(
                "Fine-tuned on {n} labels: cross-validated log-loss {after:.3}, {relation} the {before:.3} of the head \
                 on pretrained features"
            ),
        })
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
        student: &Classifier,
        tuned: &FineTuned,
        (finetuning, distilling): (&FinetuneConfig, &DistillConfig),
        verdict: &Verdict,
    ) -> anyhow::Result<()> {
        let card = ModelCard {
            version: folder::VERSION,
            kind: Kind::Classifier,
            architecture: self.base_card.architecture.clone(),
            preprocess: self.base_card.preprocess,
            classes: self.options.classes.clone(),
            parent: Some(self.options.base_name.clone()),
            seed: self.options.seed,
            made_by: serde_json::json!({ "finetune": finetuning, "distill": distilling }),
            metrics: serde_json::json!({
                "labels": tuned.labelled.rows.len(),
                "cross_validated_log_loss": verdict.after,
                "cross_validated_log_loss_of_head": verdict.before,
            }),
            weights_hash: String::new(),
        };
        folder::save(student, card, path)?;
        Ok(())
    }

    fn observe(&self, stage: Stage, report: &StepReport) -> Flow {
        let speed = (report.images_per_second, report.seconds_left);
        self.show(stage, (report.step, report.steps), speed);
        let mut losses = self.shared.losses.lock();
        // A job that ends before its first step leaves the last one's losses to be looked at.
        if stage == Stage::FineTuning && report.step == 1 {
            losses.clear();
        }
        // Each stage counts its own steps; in the plot the later stage's follow the earlier one's.
        let step = losses.last().map_or(1, |&(last, _)| last + 1);
        losses.push((step, report.loss));
        drop(losses);
        self.shared.flags.check()
    }

    /// Shows steps done of how many, and films a second and seconds left.
    fn show(
        &self,
        stage: Stage,
        (step, steps): (u64, u64),
        (images_per_second, seconds_left): (f32, f32),
    ) {
        let labels = self.shared.labelled().rows.len();
        let mut shown = self.shared.progress.lock();
        let paused = self.shared.flags.paused();
        *shown =
            Some(Progress { stage, step, steps, images_per_second, seconds_left, labels, paused });
    }
}

/// What background learning came to.
struct Ended {
    model: String,
    accepted: bool,
    outcome: String,
    labelled: Labelled,
}

struct Verdict {
    better: bool,
    before: f64,
    after: f64,
    text: String,
}

/// Reads films into memory; returns the rows of those that cannot be read, which stay black and are reported.
fn load(
    source: &Source,
    preprocess: Preprocess,
    what: &'static str,
    shared: &Shared,
) -> Result<(Arc<PlaneStore>, Vec<usize>), Stopped> {
    let reporter = Mutex::new(0);
    let (store, refused) =
        PlaneStore::load(&source.root, &source.files, &preprocess, 1, &|done, total| {
            // A report for each film would flood the queue.
            let mut last = reporter.lock();
            if done >= *last + 64 || done == total {
                *last = done;
                shared.send(Event::Preparing { what, done, total });
            }
            shared.flags.until_closed()
        })?;
    let files: BTreeSet<&str> = refused.iter().map(|film| film.file.as_str()).collect();
    let rows =
        (0..source.files.len()).filter(|&row| files.contains(source.files[row].as_str())).collect();
    for film in &refused {
        shared.send(Event::Warning(format!("A film is left out, it cannot be read: {film}")));
    }
    Ok((Arc::new(store), rows))
}

/// Reads the reference set; films that cannot be read are left out of it.
fn load_reference(
    reference: &ReferenceSet,
    preprocess: Preprocess,
    shared: &Shared,
) -> Result<(Arc<PlaneStore>, ReferenceSet), Stopped> {
    let what = "reading the reference set";
    let (store, unreadable) = load(&reference.source, preprocess, what, shared)?;
    if unreadable.is_empty() {
        return Ok((store, reference.clone()));
    }
    let readable: Vec<usize> = (0..store.len()).filter(|row| !unreadable.contains(row)).collect();
    let planes = readable.iter().map(|&row| store.plane(row));
    let pick = |all: &[String]| readable.iter().map(|&row| all[row].clone()).collect();
    let source = Source {
        root: reference.source.root.clone(),
        files: pick(&reference.source.files),
        keys: pick(&reference.source.keys),
        ..Source::default()
    };
    let classes = readable.iter().map(|&row| reference.classes[row]).collect();
    let store = PlaneStore::from_planes(store.size, planes);
    Ok((Arc::new(store), ReferenceSet { source, classes }))
}
