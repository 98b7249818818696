//! The ranking thread: tier 1, a head on cached embeddings refitted after every label.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::message::{Event, LabelSet, Ranking};
use super::worker::{Job, panic_text};
use super::{Options, Shared};
use crate::learn::finetune::{FoldAssigner, Labelled};
use crate::learn::metrics::Metrics;
use crate::query::{
    ClusterCache, Embeddings, Head, Pool, Regularisation, Standardisation, Strategy, rank,
};

/// Length of a ranking: far more than is read before the next one.
const RANKED: usize = 48;
/// Folds in which the head's regularisation is chosen.
pub const FOLDS: usize = 5;

/// Features of the pool and of the reference set from one model.
#[derive(Debug)]
pub struct Embedded {
    /// Name of the model.
    pub model: String,
    /// Dimensions of each block of the features.
    pub blocks: [usize; 3],
    /// Features of the pool.
    pub pool: Embeddings,
    /// Features and classes of the reference set.
    pub reference: Option<(Embeddings, Vec<usize>)>,
    /// Rows of the pool that cannot be read.
    pub unreadable: Vec<usize>,
}

/// What the ranking thread is told.
#[derive(Debug)]
pub enum ToRanking {
    /// New embeddings; everything is ranked anew.
    Embedded(Embedded),
    /// Features of further views of the pool.
    Views {
        /// Name of the model that they are from.
        model: String,
        /// Features, view by view.
        views: Vec<Embeddings>,
    },
    /// New labels.
    Labels(Arc<LabelSet>),
    /// Another strategy.
    Strategy(Strategy),
    /// Learn now.
    TrainNow,
    /// End the thread.
    Close,
}

/// Standardised features to fit on, normalised ones to measure distances in.
struct Space {
    model: String,
    scale: Standardisation,
    features: Embeddings,
    views: Views,
    directions: Embeddings,
    reference: Option<(Embeddings, Vec<usize>)>,
    unreadable: Vec<usize>,
    head: Option<Head>,
    regularisation: Regularisation,
    clusters: ClusterCache,
}

/// Features of further views of the pool.
enum Views {
    /// Nobody needed them.
    Unasked,
    /// The compute thread makes them.
    Asked,
    /// Standardised.
    There(Vec<Embeddings>),
}

impl Views {
    fn get(&self) -> Option<&[Embeddings]> {
        match self {
            Self::Unasked | Self::Asked => None,
            Self::There(views) => Some(views),
        }
    }
}

impl Space {
    fn new(embedded: Embedded) -> Self {
        let scale = Standardisation::measure(&embedded.pool, &embedded.blocks);
        let features = scale.apply(&embedded.pool);
        Self {
            model: embedded.model,
            directions: features.normalised(),
            features,
            reference: embedded
                .reference
                .map(|(features, classes)| (scale.apply(&features), classes)),
            unreadable: embedded.unreadable,
            head: None,
            regularisation: Regularisation::default(),
            clusters: ClusterCache::default(),
            views: Views::Unasked,
            scale,
        }
    }

    /// Takes views in; those of other films or another model are of no use.
    fn take_views(&mut self, model: &str, views: &[Embeddings]) {
        let fits = |view: &Embeddings| {
            (view.len(), view.dim()) == (self.features.len(), self.features.dim())
        };
        if model == self.model && views.iter().all(fits) {
            self.views = Views::There(views.iter().map(|view| self.scale.apply(view)).collect());
        }
    }
}

/// The labels that can be learnt from.
fn labelled(labels: &LabelSet, unreadable: &[usize]) -> Labelled {
    Labelled { rows: labels.rows.clone(), classes: labels.classes.clone() }.without(unreadable)
}

/// The thread's state.
struct Ranker {
    options: Options,
    shared: Shared,
    jobs: Sender<Job>,
    labels: Arc<LabelSet>,
    strategy: Strategy,
    space: Option<Space>,
    /// Labels that the last fine-tuning began with.
    learnt: usize,
}

/// Runs until the channel ends or the flags close; a panic is reported and ends ranking, not the program.
pub(super) fn run(
    options: Options,
    shared: Shared,
    inbox: &Receiver<ToRanking>,
    jobs: Sender<Job>,
) {
    let failed = shared.clone();
    let work = AssertUnwindSafe(|| serve(options, shared, inbox, jobs));
    if let Err(panic) = catch_unwind(work) {
        failed.stop(&panic_text(panic.as_ref()));
    }
}

fn serve(options: Options, shared: Shared, inbox: &Receiver<ToRanking>, jobs: Sender<Job>) {
    let strategy = options.strategy;
    let learnt = options.learnt_labels;
    let mut ranker =
        Ranker { options, shared, jobs, labels: Arc::default(), strategy, space: None, learnt };
    while let Ok(message) = inbox.recv() {
        // Only the newest labels matter: several that wait are ranked once.
        for message in std::iter::once(message).chain(inbox.try_iter()) {
            ranker.take(message);
        }
        if ranker.shared.flags.closing() {
            return;
        }
        ranker.rank();
        ranker.ask_for_views();
        ranker.learn_if_due();
    }
}

impl Ranker {
    fn take(&mut self, message: ToRanking) {
        match message {
            ToRanking::Embedded(embedded) => self.space = Some(Space::new(embedded)),
            ToRanking::Views { model, views } => {
                if let Some(space) = &mut self.space {
                    space.take_views(&model, &views);
                }
            }
            ToRanking::Labels(labels) => self.labels = labels,
            ToRanking::Strategy(strategy) => self.choose(strategy),
            ToRanking::TrainNow => self.ask("asked for".to_owned(), true),
            ToRanking::Close => {}
        }
    }

    fn choose(&mut self, strategy: Strategy) {
        self.strategy = strategy;
        // Views that could not be made the last time are asked for again.
        if let Some(space) = self.space.as_mut().filter(|space| space.views.get().is_none()) {
            space.views = Views::Unasked;
        }
    }

    /// Has further views of the pool embedded if the strategy goes by them and nobody has been asked yet.
    fn ask_for_views(&mut self) {
        let Some(space) = &mut self.space else { return };
        let needed = self.strategy.in_force(false) != self.strategy;
        if needed && matches!(space.views, Views::Unasked) {
            // If another job waits already, the next label asks again.
            if self.jobs.try_send(Job::EmbedViews).is_ok() {
                space.views = Views::Asked;
            }
        }
    }

    fn rank(&mut self) {
        let Some(space) = &mut self.space else { return };
        let started = Instant::now();
        let labels = &self.labels;
        let Labelled { rows, classes: truth } = labelled(labels, &space.unreadable);
        let classes = self.options.classes.len();
        let l2 = space.regularisation.l2();
        let head = Head::fit(&space.features, &rows, &truth, classes, l2, space.head.as_ref());
        let probabilities = head.probabilities(&space.features);
        let mut open = vec![true; self.options.pool.files.len()];
        labels
            .rows
            .iter()
            .chain(&labels.excluded)
            .chain(&labels.deferred)
            .chain(&space.unreadable)
            .for_each(|&row| open[row] = false);
        let candidates: Vec<usize> = (0..open.len()).filter(|&row| open[row]).collect();
        let pool = Pool {
            ids: &self.options.pool.ids,
            embeddings: &space.directions,
            features: &space.features,
            views: space.views.get(),
            head: &head,
            probabilities: &probabilities,
            class_count: classes,
            labelled: &rows,
            classes: &truth,
            candidates: &candidates,
        };
        let order = rank(self.strategy, &pool, RANKED, self.options.seed, &mut space.clusters);
        let reference = space.reference.as_ref().filter(|_| !rows.is_empty());
        let reference = reference.and_then(|(features, truth)| {
            Metrics::of(&head.probabilities(features), truth, classes, self.options.positive).ok()
        });
        space.head = Some(head);
        let ranking = Ranking {
            version: labels.version,
            labels: labels.rows.len(),
            model: space.model.clone(),
            asked: self.strategy,
            strategy: self.strategy.in_force(space.views.get().is_some()),
            order,
            probabilities,
            reference,
            milliseconds: started.elapsed().as_secs_f32() * 1e3,
        };
        self.shared.send(Event::Ranking(Arc::new(ranking)));
        self.regularise();
    }

    /// Chooses the head's regularisation anew when it is due. Cross-validation takes longer than a reader should wait,
    /// so it follows the ranking and counts from the next one on.
    fn regularise(&mut self) {
        let Some(space) = &mut self.space else { return };
        let labelled = labelled(&self.labels, &space.unreadable);
        let folds = FoldAssigner::new(FOLDS).assign_all(&labelled, &self.options.pool.patients);
        let Labelled { rows, classes } = &labelled;
        let count = self.options.classes.len();
        let flags = &self.shared.flags;
        let observe = &mut || flags.until_closed();
        space.regularisation.refresh(&space.features, rows, classes, count, &folds, observe);
    }

    /// Starts background learning when enough labels are new and every class has enough.
    fn learn_if_due(&mut self) {
        let every = self.options.labels_per_learning;
        let new = self.labels.rows.len().saturating_sub(self.learnt);
        if every > 0 && new >= every && self.enough() && self.space.is_some() {
            self.ask(format!("{new} new labels"), false);
        }
    }

    fn enough(&self) -> bool {
        let of_class = |class| self.labels.classes.iter().filter(|&&c| c == class).count();
        (0..self.options.classes.len())
            .all(|class| of_class(class) >= self.options.labels_per_class)
    }

    fn ask(&mut self, why: String, asked: bool) {
        if !self.enough() {
            let text = format!(
                "Fine-tuning waits for {} labels of each class",
                self.options.labels_per_class
            );
            self.shared.send(Event::Warning(text));
            return;
        }
        match self.jobs.try_send(Job::Learn { why, asked }) {
            Ok(()) => self.learnt = self.labels.rows.len(),
            // One runs and one waits already; the labels join the one that runs at its next epoch.
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => {
                self.shared.send(Event::Warning("Learning has stopped in this session".to_owned()));
            }
        }
    }
}
