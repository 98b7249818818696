//! The compute thread: embeds the pool, fine-tunes, distils.

mod embedding;
mod explaining;
mod learning;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, select_biased};
use parking_lot::Mutex;

use self::learning::Ended;
use super::analysis::Insight;
use super::message::{Event, Progress, Stage, Training};
use super::ranking::{Embedded, ToRanking};
use super::{Options, ReferenceSet, Shared, Source};
use crate::dataset::Stopped;
use crate::dataset::planes::{KeepError, PlaneStore};
use crate::device;
use crate::fsutil::remedy;
use crate::imaging::Preprocess;
use crate::learn::finetune::{FineTuned, Labelled};
use crate::learn::{Flow, LearnError, StepReport};
use crate::model::folder::{ModelCard, load_card, load_pretrained};
use crate::model::{Pretrained, release_buffers};
use crate::predict::Predictor;
use crate::query::{Embeddings, Standardisation};

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
    /// Take a model into use that was made before, or the pretrained one.
    Use(String),
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
    /// What the last fine-tuning made: the next one starts between it and the encoder.
    tuned: Option<FineTuned>,
    /// The learnt model whose features are in use; `None` while the pretrained encoder's are.
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
        while let Some(job) = put_back.take().or_else(|| worker.next(jobs)) {
            if worker.shared.flags.closing() {
                break;
            }
            let (why, asked) = match job {
                Job::Learn { why, asked } => (why, asked),
                Job::EmbedViews => {
                    worker.embed_views();
                    continue;
                }
                Job::Use(name) => {
                    worker.use_model(name);
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
                put_back = jobs.try_iter().find(|job| !matches!(job, Job::Learn { .. }));
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
        let (pool, unreadable) =
            load(&options.cache, &options.pool, preprocess, "reading films", &shared)?;
        let reference = options.reference.as_ref();
        let reference = reference
            .map(|part| load_reference(&options.cache, part, preprocess, &shared))
            .transpose()?;
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
        worker.base_features = Some((embedded.pool.clone(), embedded.scale.clone()));
        worker.to_ranking.send(ToRanking::Embedded(embedded)).ok();
        let current = worker.options.current_model.as_ref();
        let taken_up = current.filter(|(name, path)| worker.take_up(name, path));
        worker.in_use = taken_up.map(|(name, _)| name.clone());
        let model = worker.in_use.clone().unwrap_or_else(|| worker.options.base_name.clone());
        let device = worker.options.compute.name.clone();
        worker.shared.send(Event::Ready { model, device });
        Ok(worker)
    }

    /// Goes on with the learnt model that the session used last; if it is gone, says so, and the pretrained encoder serves.
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

    /// Takes a model into use that was made before, or the pretrained one, and says so; if it cannot be used, the one in
    /// use stays.
    fn use_model(&mut self, name: String) {
        self.shared.flags.begin();
        let result = catch_unwind(AssertUnwindSafe(|| self.embed_for_use(&name)))
            .unwrap_or_else(|panic| Err(anyhow::anyhow!("{}", panic_text(panic.as_ref()))));
        *self.shared.progress.lock() = None;
        release_buffers();
        match result {
            Ok(embedded) => {
                self.in_use = Some(name.clone()).filter(|name| *name != self.options.base_name);
                self.to_ranking.send(ToRanking::Embedded(embedded)).ok();
                self.shared.send(Event::Insight(Insight::InUse(name)));
            }
            Err(error) => {
                let text = format!("The model {name} was not taken into use: {error:#}");
                self.shared.send(Event::Warning(text));
            }
        }
    }

    fn embed_for_use(&self, name: &str) -> anyhow::Result<Embedded> {
        if name == self.options.base_name {
            let observe = &mut self.showing(Stage::Embedding);
            return self.embed_all(None, name, &self.base_card.weights_hash, observe);
        }
        let path = self.options.models.join(name);
        if load_card(&path)?.preprocess != self.base_card.preprocess {
            let base = &self.options.base_name;
            anyhow::bail!("it sees films in another size or fit than {base}");
        }
        self.embed_learnt(name, &path)
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
        let (model, accepted, outcome, methods) = match result {
            Ok(Ended { model, accepted, outcome, methods, .. }) => {
                (Some(model), accepted, outcome, methods)
            }
            Err(error) => {
                let stopped = matches!(error.downcast_ref(), Some(LearnError::Stopped));
                let outcome = if stopped {
                    "Cancelled; the model in use stays".to_owned()
                } else {
                    let device = &self.options.compute;
                    format!("Learning failed on {device}; the model in use stays: {error:#}")
                };
                (None, false, outcome, Vec::new())
            }
        };
        if accepted {
            self.in_use.clone_from(&model);
        }
        self.shared.send(Event::LearningEnded { model, accepted, outcome, labels, methods });
        seen
    }

    fn observe(&self, stage: Stage, report: &StepReport) -> Flow {
        self.explain_if_asked();
        let speed = (report.images_per_second, report.seconds_left);
        let StepReport { epoch, epochs, loss, .. } = *report;
        let training = Some(Training { epoch, epochs, loss });
        self.show(stage, (report.step, report.steps), speed, training);
        let mut losses = self.shared.losses.lock();
        // A job that ends before its first step leaves the last one's losses to be looked at.
        if stage == Stage::FineTuning && report.step == 1 {
            losses.clear();
        }
        // Each stage counts its own steps; in the plot the later stage's follow the earlier one's.
        let step = losses.last().map_or(1, |&(last, _)| last + 1);
        losses.push((step, report.loss));
        drop(losses);
        self.flow()
    }

    /// Waits for the next job and answers meanwhile what is asked; `None` once there is nobody to ask for one.
    fn next(&self, jobs: &Receiver<Job>) -> Option<Job> {
        loop {
            select_biased! {
                recv(self.shared.to_explain.1) -> question => self.explain(question.ok()?),
                recv(jobs) -> job => return job.ok(),
            }
        }
    }

    /// Says whether to go on; what is asked while the job is paused is answered.
    fn flow(&self) -> Flow {
        self.shared.flags.check(&|| self.explain_if_asked())
    }

    /// Shows steps done of how many, films a second and seconds left, and where training stands, if it trains.
    fn show(
        &self,
        stage: Stage,
        (step, steps): (u64, u64),
        (images_per_second, seconds_left): (f32, f32),
        training: Option<Training>,
    ) {
        let labels = self.shared.labelled().rows.len();
        let memory = device::resident_memory();
        let mut shown = self.shared.progress.lock();
        let paused = self.shared.flags.paused();
        *shown = Some(Progress {
            stage,
            step,
            steps,
            images_per_second,
            seconds_left,
            labels,
            training,
            memory,
            paused,
        });
    }
}

/// Makes the films' planes, or finds those that were kept; returns the rows of films that cannot be read, which stay black and
/// are reported. Where planes cannot be kept, which is said, they are held in memory.
fn load(
    cache: &Path,
    source: &Source,
    preprocess: Preprocess,
    what: &'static str,
    shared: &Shared,
) -> Result<(Arc<PlaneStore>, Vec<usize>), Stopped> {
    let reporter = Mutex::new(0);
    let observe = |done, total| {
        // A report for each film would flood the queue.
        let mut last = reporter.lock();
        if done >= *last + 64 || done == total {
            *last = done;
            shared.send(Event::Preparing { what, done, total });
        }
        shared.flags.until_closed()
    };
    let Source { root, files, keys, .. } = source;
    let kept = PlaneStore::kept(cache, root, (files, keys), &preprocess, &mut { observe });
    let (store, refused) = match kept {
        Ok(kept) => kept,
        Err(KeepError::Stopped(stopped)) => return Err(stopped),
        Err(KeepError::Io(fault)) => {
            let remedy = remedy(&fault);
            let text = format!(
                "Films could not be kept for the next start ({fault}){remedy}: {}",
                cache.display()
            );
            shared.send(Event::Warning(text));
            *reporter.lock() = 0;
            PlaneStore::load(root, files, &preprocess, 1, &observe)?
        }
    };
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
    cache: &Path,
    reference: &ReferenceSet,
    preprocess: Preprocess,
    shared: &Shared,
) -> Result<(Arc<PlaneStore>, ReferenceSet), Stopped> {
    let what = "reading the reference set";
    let (store, unreadable) = load(cache, &reference.source, preprocess, what, shared)?;
    if unreadable.is_empty() {
        return Ok((store, reference.clone()));
    }
    let readable: Vec<usize> = (0..store.len()).filter(|row| !unreadable.contains(row)).collect();
    let pick = |all: &[String]| readable.iter().map(|&row| all[row].clone()).collect();
    let source = Source {
        root: reference.source.root.clone(),
        files: pick(&reference.source.files),
        keys: pick(&reference.source.keys),
        ..Source::default()
    };
    let classes = readable.iter().map(|&row| reference.classes[row]).collect();
    Ok((Arc::new(store.select(&readable)), ReferenceSet { source, classes }))
}
