//! The engine: ranks after every label, learns in the background.
//!
//! Three threads. `ranking` holds the tier-1 head and answers within milliseconds whatever else goes on; `compute` owns
//! every tensor and embeds, fine-tunes and distils; `analysis` answers what the researcher asks. The window sends
//! [`Command`]s, drains [`Event`]s, and reads the latest [`Progress`]; neither side ever waits for the other.

pub mod analysis;
pub mod cache;
pub mod course;
pub mod flags;
pub mod message;
pub mod queue;
pub mod ranking;
mod readers;
pub mod worker;
pub mod workspace;

pub use flags::Flags;
pub use message::{
    Assigned, Command, Event, Explanation, Foreseen, LabelSet, Opinions, Progress, Ranking, Stage,
    Training,
};
pub use queue::{QueuedFilm, QueuedSource, ReadingQueue};
pub use workspace::Workspace;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use self::ranking::ToRanking;
use crate::dataset::FilmId;
use crate::device::Compute;
use crate::learn::finetune::Labelled;
use crate::model::LinearHead;
use crate::query::Strategy;

/// Films to work on, in row order.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Folder that the files are relative to.
    pub root: PathBuf,
    /// Files, relative to the root.
    pub files: Vec<String>,
    /// What identifies each film in the cache.
    pub keys: Vec<String>,
    /// Identity of each film; empty for a reference set.
    pub ids: Vec<FilmId>,
    /// Patient of each film; empty for a reference set.
    pub patients: Vec<String>,
}

/// Films whose labels are known, to measure on.
#[derive(Clone, Debug)]
pub struct ReferenceSet {
    /// The films.
    pub source: Source,
    /// Class index of each film.
    pub classes: Vec<usize>,
}

/// When models are trained in the background, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearningPlan {
    /// New labels after which learning starts; 0 for only when asked.
    pub every: usize,
    /// Whether a student is taught on the whole pool after fine-tuning and used in place of its teacher. It takes minutes
    /// more and was no better where it was measured.
    pub distill: bool,
}

impl Default for LearningPlan {
    fn default() -> Self {
        Self { every: workspace::LABELS_PER_LEARNING, distill: false }
    }
}

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Device that learns.
    pub compute: Compute,
    /// Name of the session; new models are named after it.
    pub session: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Index of the class that AUROC and sensitivity are about.
    pub positive: usize,
    /// Films to be labelled.
    pub pool: Source,
    /// Films to measure on.
    pub reference: Option<ReferenceSet>,
    /// Name of the pretrained model.
    pub base_name: String,
    /// Folder of the pretrained model.
    pub base_model: PathBuf,
    /// Name and folder of the model in use that was learnt, if the session has one.
    pub current_model: Option<(String, PathBuf)>,
    /// Labels that it has seen.
    pub learnt_labels: usize,
    /// Folder that new models go into.
    pub models: PathBuf,
    /// Folder that keeps films as a network sees them, and their embeddings, for the next start.
    pub cache: PathBuf,
    /// How to rank.
    pub strategy: Strategy,
    /// When to learn, and how far.
    pub plan: LearningPlan,
    /// Labels that each class must have before it starts.
    pub labels_per_class: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// What the threads share with the handle.
#[derive(Clone)]
pub(crate) struct Shared {
    events: Sender<Event>,
    wake: Arc<dyn Fn() + Send + Sync>,
    flags: Flags,
    progress: Arc<Mutex<Option<Progress>>>,
    losses: Arc<Mutex<Vec<(u64, f32)>>>,
    labels: Arc<Mutex<Arc<LabelSet>>>,
    /// What is to be explained next.
    to_explain: (Sender<ToExplain>, Receiver<ToExplain>),
}

/// A film to explain, and the head that ranks with the name of the model whose features it is on.
#[derive(Debug)]
pub(crate) struct ToExplain {
    row: usize,
    model: String,
    head: LinearHead,
}

impl Shared {
    fn send(&self, event: Event) {
        self.events.send(event).ok();
        (self.wake)();
    }

    /// Reports that a thread has ended for the reason given.
    fn stop(&self, reason: &str) {
        if !self.flags.closing() {
            let text =
                format!("Ranking and learning have stopped, labels are still saved: {reason}");
            self.send(Event::Failed(text));
        }
    }

    fn labelled(&self) -> Labelled {
        let labels = self.labels.lock().clone();
        Labelled { rows: labels.rows.clone(), classes: labels.classes.clone() }
    }
}

/// A running engine. Dropping it stops its threads after the step they are in.
pub struct Engine {
    shared: Shared,
    inbox: Sender<ToRanking>,
    events: Receiver<Event>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts the threads; `wake` is called after every event, on their side.
    ///
    /// # Errors
    /// Fails if a thread cannot be started.
    pub fn start(options: Options, wake: Arc<dyn Fn() + Send + Sync>) -> std::io::Result<Self> {
        let (event_sender, events) = bounded(4096);
        let (inbox, ranking_receiver) = bounded(256);
        let (job_sender, job_receiver) = bounded(1);
        let (task_sender, task_receiver) = bounded(64);
        let shared = Shared {
            events: event_sender,
            wake,
            flags: Flags::default(),
            progress: Arc::default(),
            losses: Arc::default(),
            labels: Arc::default(),
            to_explain: bounded(1),
        };
        let ranking = {
            let (options, shared) = (options.clone(), shared.clone());
            let outboxes = (job_sender, task_sender);
            Builder::new()
                .name("ranking".to_owned())
                .spawn(move || ranking::run(options, shared, &ranking_receiver, outboxes))?
        };
        let analysis = {
            let (options, shared) = (options.clone(), shared.clone());
            Builder::new()
                .name("analysis".to_owned())
                .spawn(move || analysis::run(&options, &shared, &task_receiver))?
        };
        let compute = {
            let (shared, inbox) = (shared.clone(), inbox.clone());
            // Deep networks recurse on the way back.
            Builder::new()
                .name("compute".to_owned())
                .stack_size(64 << 20)
                .spawn(move || worker::run(options, shared, &job_receiver, inbox))?
        };
        Ok(Self { shared, inbox, events, threads: vec![ranking, compute, analysis] })
    }

    /// Sends a command; never waits.
    pub fn send(&self, command: Command) {
        let message = match command {
            Command::Labels(labels) => {
                *self.shared.labels.lock() = Arc::clone(&labels);
                ToRanking::Labels(labels)
            }
            Command::Strategy(strategy) => ToRanking::Strategy(strategy),
            Command::TrainNow => ToRanking::TrainNow,
            Command::Foresee(row) => ToRanking::Foresee(row),
            Command::Review => ToRanking::Review,
            Command::Explain(row) => ToRanking::Explain(row),
            Command::Ask(question) => ToRanking::Ask(question),
        };
        if self.inbox.try_send(message).is_err() {
            tracing::warn!("the engine does not keep up; a command was dropped");
        }
    }

    /// Returns what was reported since the last call; never waits.
    pub fn events(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// Returns where background learning stands; `None` if nothing runs.
    pub fn progress(&self) -> Option<Progress> {
        self.shared.progress.lock().clone()
    }

    /// Returns step and loss of the job that runs or ran last; the steps run on from stage to stage.
    pub fn losses(&self) -> Vec<(u64, f32)> {
        self.shared.losses.lock().clone()
    }

    /// Pauses background learning or goes on with it.
    pub fn pause(&self, on: bool) {
        self.shared.flags.pause(on);
        if let Some(progress) = self.shared.progress.lock().as_mut() {
            progress.paused = on;
        }
    }

    /// Ends the background learning that runs; the model in use stays.
    pub fn cancel(&self) {
        self.shared.flags.cancel();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.flags.close();
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            // Wakes the ranking thread, whose end closes the compute thread's job channel.
            self.inbox.try_send(ToRanking::Close).ok();
            // A thread that waits for room in the event queue goes on when the queue is emptied.
            self.events.try_iter().for_each(drop);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}
