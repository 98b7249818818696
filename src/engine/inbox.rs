//! What the threads have for one another: the latest state and wishes, in slots, and a bell for each thread.

use std::any::Any;
use std::mem::discriminant;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Mutex, MutexGuard};

use super::flags::Flags;
use super::options::Options;
use super::protocol::{Event, ModelChange, Progress, Question};
use crate::dataset::Labelled;
use crate::features::{Embeddings, Head};
use crate::query::Strategy;
use crate::study::{Embedded, LabelSet};

/// Wakes a thread; however often it is rung before the thread listens, that wakes it once.
pub(super) struct Bell {
    ring: Sender<()>,
    heard: Receiver<()>,
}

impl Bell {
    fn new() -> Self {
        let (ring, heard) = bounded(1);
        Self { ring, heard }
    }

    pub(super) fn ring(&self) {
        // A full channel is a bell that rings already.
        self.ring.try_send(()).ok();
    }

    /// Waits until it is rung.
    pub(super) fn wait(&self) {
        self.heard.recv().ok();
    }

    /// Says whether it has been rung since the last wait.
    pub(super) fn is_ringing(&self) -> bool {
        !self.heard.is_empty()
    }
}

/// What the worker is wished to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Take a model into use that was made before, or the pretrained one.
    Use(String),
    /// Fine-tune and distil.
    Learn {
        /// Why, as the researcher reads it.
        why: String,
        /// Whether somebody asked for it, new labels or not.
        asked: bool,
    },
    /// Embed further views of the pool with the model in use.
    EmbedViews,
}

/// The head that ranks, and the model whose features it is on.
#[derive(Clone)]
pub(super) struct Ranked {
    pub(super) model: String,
    pub(super) head: Arc<Head>,
}

/// The latest state.
pub(super) struct State {
    pub(super) labels: Arc<LabelSet>,
    pub(super) strategy: Strategy,
    /// How often a strategy has been chosen: the same one chosen again asks for its views again.
    pub(super) choices: u64,
    /// Features of the pretrained model, which no label has touched.
    pub(super) base: Option<Embedded>,
    /// Features of the model in use. That is the one place that says which model this is.
    pub(super) in_use: Option<Embedded>,
    /// Changes of the model in use that have not been told yet.
    pub(super) changes: Vec<ModelChange>,
    /// Features of further views of the pool by the model named.
    pub(super) views: Option<(String, Arc<Vec<Embeddings>>)>,
    pub(super) ranked: Option<Ranked>,
    /// Labels that the last fine-tuning began with.
    pub(super) learnt: usize,
    /// The film on screen, until what may follow it is foreseen.
    pub(super) on_screen: Option<usize>,
    /// Whether opinions are asked for.
    pub(super) review: bool,
    /// The row to be explained.
    pub(super) explain: Option<usize>,
    jobs: Vec<Job>,
    pub(super) questions: Vec<Question>,
}

/// What the threads and the handle share.
pub(super) struct Inbox {
    events: Sender<Event>,
    wake: Arc<dyn Fn() + Send + Sync>,
    pub(super) flags: Flags,
    pub(super) progress: Mutex<Option<Progress>>,
    pub(super) losses: Mutex<Vec<(u64, f32)>>,
    state: Mutex<State>,
    pub(super) ranking: Bell,
    pub(super) worker: Bell,
    pub(super) analysis: Bell,
}

impl Inbox {
    /// Starts with no label; `wake` is called after every event, on the sender's side.
    pub(super) fn new(
        options: &Options,
        events: Sender<Event>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let state = State {
            labels: Arc::default(),
            strategy: options.strategy,
            choices: 0,
            base: None,
            in_use: None,
            changes: Vec::new(),
            views: None,
            ranked: None,
            learnt: options.learnt_labels,
            on_screen: None,
            review: false,
            explain: None,
            jobs: Vec::new(),
            questions: Vec::new(),
        };
        Self {
            events,
            wake,
            flags: Flags::default(),
            progress: Mutex::default(),
            losses: Mutex::default(),
            state: Mutex::new(state),
            ranking: Bell::new(),
            worker: Bell::new(),
            analysis: Bell::new(),
        }
    }

    /// Returns the state, locked: to be let go before anything long.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Reports an event.
    pub(super) fn send(&self, event: Event) {
        self.events.send(event).ok();
        (self.wake)();
    }

    /// Reports what goes wrong without stopping the work.
    pub(super) fn warn(&self, text: String) {
        self.send(Event::Warning(text));
    }

    /// Reports that a thread has ended for the reason given.
    pub(super) fn stop(&self, reason: &str) {
        if !self.flags.closing() {
            let text =
                format!("Ranking and learning have stopped, labels are still saved: {reason}");
            self.send(Event::Failed(text));
        }
    }

    /// Ends the threads after the step that they are in.
    pub(super) fn close(&self) {
        self.flags.close();
        for bell in [&self.ranking, &self.worker, &self.analysis] {
            bell.ring();
        }
    }

    /// Returns the labels with a class.
    pub(super) fn labelled(&self) -> Labelled {
        let labels = Arc::clone(&self.state().labels);
        Labelled { rows: labels.rows.clone(), classes: labels.classes.clone() }
    }

    /// Takes a model into use. The ranking thread tells of it before it ranks by the model.
    pub(super) fn change_model(&self, embedded: Embedded, change: ModelChange) {
        let mut state = self.state();
        state.in_use = Some(embedded);
        state.changes.push(change);
        drop(state);
        self.ranking.ring();
        self.analysis.ring();
    }

    /// Wishes for a job. One that waits already is replaced by a newer one of its kind.
    pub(super) fn wish(&self, job: Job) {
        let mut state = self.state();
        state.jobs.retain(|other| discriminant(other) != discriminant(&job));
        state.jobs.push(job);
        drop(state);
        self.worker.ring();
    }

    /// Wishes for background learning, if each class has labels enough; else says what is missing.
    pub(super) fn wish_to_learn(&self, options: &Options, why: String, asked: bool) {
        let mut state = self.state();
        if !has_enough(&state.labels, options) {
            drop(state);
            let needed = options.labels_per_class;
            self.warn(format!("Fine-tuning waits for {needed} labels of each class"));
            return;
        }
        state.learnt = state.labels.rows.len();
        // Somebody's wish stays one when new labels wish the same.
        let asked =
            asked || state.jobs.iter().any(|job| matches!(job, Job::Learn { asked: true, .. }));
        drop(state);
        self.wish(Job::Learn { why, asked });
    }

    /// Returns the job that waits longest.
    pub(super) fn next_job(&self) -> Option<Job> {
        let jobs = &mut self.state().jobs;
        (!jobs.is_empty()).then(|| jobs.remove(0))
    }

    /// Forgets learning that waits.
    pub(super) fn forget_learning(&self) {
        self.state().jobs.retain(|job| !matches!(job, Job::Learn { .. }));
    }
}

/// Says whether each class has the labels that fine-tuning needs.
pub(super) fn has_enough(labels: &LabelSet, options: &Options) -> bool {
    let of_class = |class| labels.classes.iter().filter(|&&c| c == class).count();
    (0..options.classes.len()).all(|class| of_class(class) >= options.labels_per_class)
}

/// Returns what a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("an internal error").to_owned()
}
