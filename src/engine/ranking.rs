//! The ranking thread: tier 1, a head on cached embeddings refitted after every label.

mod space;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use self::space::{Space, Views};
use super::analysis::{Basis, Question, Task};
use super::message::{Event, Foreseen, LabelSet, Opinions, Ranking};
use super::worker::{Job, panic_text};
use super::{Options, Shared, ToExplain};
use crate::learn::finetune::{FoldAssigner, Labelled};
use crate::learn::macro_auroc::macro_auroc;
use crate::learn::metrics::Metrics;
use crate::query::{
    Embeddings, Head, Pool, Ranked, Regularisation, Standardisation, Strategy, confident_learning,
    out_of_fold, rank,
};

/// Length of a ranking: far more than is read before the next one.
const RANKED: usize = 48;
/// Films that are foreseen for each possible answer to the film on screen.
const FORESEEN: usize = 4;
/// Milliseconds above which a ranking is not repeated for what may come.
const FORESIGHT: f32 = 250.0;
/// Labels below which cross-validated opinions are noise.
const FEWEST_LABELS: usize = 10;
/// Folds in which the head's regularisation is chosen.
pub const FOLDS: usize = 5;

/// Features of the pool and of the reference set from one model.
#[derive(Debug)]
pub struct Embedded {
    /// Name of the model.
    pub model: String,
    /// What the features were standardised with.
    pub scale: Standardisation,
    /// Features of the pool, standardised.
    pub pool: Embeddings,
    /// Features, standardised likewise, and classes of the reference set.
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
    /// Foresee what ranks first after each possible answer to this row.
    Foresee(usize),
    /// Compare labels with cross-validated opinions.
    Review,
    /// Have a row explained.
    Explain(usize),
    /// Have a question answered.
    Ask(Question),
    /// End the thread.
    Close,
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
    tasks: Sender<Task>,
    labels: Arc<LabelSet>,
    strategy: Strategy,
    space: Option<Space>,
    /// Features of the pretrained model, which no label has touched.
    base: Option<Basis>,
    /// The head's penalty. It is chosen on those features: on a learnt model's, which has seen the labels that are held
    /// out, a weak one would look good.
    regularisation: Regularisation,
    /// Labels that the last fine-tuning began with.
    learnt: usize,
    /// Whether the ranking is no longer that of the labels, features and strategy.
    stale: bool,
    /// Milliseconds that the last ranking took.
    took: f32,
    /// The film on screen, until what may follow it is foreseen.
    on_screen: Option<usize>,
    /// Whether opinions are asked for.
    review: bool,
    /// The row to be explained, until there is a head to explain.
    explain: Option<usize>,
    /// Questions that wait for the films to be embedded and ranked.
    questions: Vec<Question>,
}

/// What a ranking is made from beside features: labels that can be learnt from, rows answered without a class, and whether
/// a row is a candidate.
struct Known {
    rows: Vec<usize>,
    classes: Vec<usize>,
    answered: Vec<usize>,
    open: Vec<bool>,
}

impl Known {
    fn new(labels: &LabelSet, unreadable: &[usize], films: usize) -> Self {
        let Labelled { rows, classes } = labelled(labels, unreadable);
        let mut open = vec![true; films];
        labels
            .rows
            .iter()
            .chain(&labels.excluded)
            .chain(&labels.deferred)
            .chain(unreadable)
            .for_each(|&row| open[row] = false);
        let readable = |row: &&usize| !unreadable.contains(row);
        let answered = labels.excluded.iter().filter(readable).copied().collect();
        Self { rows, classes, answered, open }
    }
}

/// Runs until the channel ends or the flags close; a panic is reported and ends ranking, not the program.
pub(super) fn run(
    options: Options,
    shared: Shared,
    inbox: &Receiver<ToRanking>,
    outboxes: (Sender<Job>, Sender<Task>),
) {
    let failed = shared.clone();
    let work = AssertUnwindSafe(|| serve(options, shared, inbox, outboxes));
    if let Err(panic) = catch_unwind(work) {
        failed.stop(&panic_text(panic.as_ref()));
    }
}

fn serve(
    options: Options,
    shared: Shared,
    inbox: &Receiver<ToRanking>,
    (jobs, tasks): (Sender<Job>, Sender<Task>),
) {
    let strategy = options.strategy;
    let learnt = options.learnt_labels;
    let mut ranker = Ranker {
        options,
        shared,
        jobs,
        tasks,
        labels: Arc::default(),
        strategy,
        space: None,
        base: None,
        regularisation: Regularisation::default(),
        learnt,
        stale: true,
        took: 0.0,
        on_screen: None,
        review: false,
        explain: None,
        questions: Vec::new(),
    };
    while let Ok(message) = inbox.recv() {
        // Only the newest labels matter: several that wait are ranked once.
        for message in std::iter::once(message).chain(inbox.try_iter()) {
            ranker.take(message);
        }
        if ranker.shared.flags.closing() {
            return;
        }
        if ranker.stale {
            ranker.rank();
            ranker.ask_for_views();
            ranker.learn_if_due();
        }
        ranker.pass_question_on();
        if ranker.space.is_some() {
            for question in std::mem::take(&mut ranker.questions) {
                ranker.pass_on(question);
            }
        }
        // A label that comes meanwhile goes first.
        ranker.foresee(&|| !inbox.is_empty());
        if inbox.is_empty() {
            ranker.give_opinions();
        }
    }
}

impl Ranker {
    fn take(&mut self, message: ToRanking) {
        let asks = matches!(
            message,
            ToRanking::Foresee(_) | ToRanking::Review | ToRanking::Explain(_) | ToRanking::Ask(_)
        );
        self.stale |= !asks;
        match message {
            ToRanking::Embedded(embedded) => {
                let space = Space::new(embedded);
                if space.model == self.options.base_name {
                    self.base = Some(space.basis());
                }
                self.space = Some(space);
            }
            ToRanking::Views { model, views } => {
                if let Some(space) = &mut self.space {
                    space.take_views(&model, views);
                }
            }
            ToRanking::Labels(labels) => {
                // Labels that were taken back do not have to be given twice.
                self.learnt = self.learnt.min(labels.rows.len());
                self.labels = labels;
            }
            ToRanking::Strategy(strategy) => self.choose(strategy),
            ToRanking::TrainNow => self.ask("asked for".to_owned(), true),
            ToRanking::Foresee(row) => self.on_screen = Some(row),
            ToRanking::Review => self.review = true,
            ToRanking::Explain(row) => self.explain = Some(row),
            ToRanking::Ask(question) => self.questions.push(question),
            ToRanking::Close => {}
        }
    }

    /// Hands a question with all that its answer needs to the thread that answers it.
    fn pass_on(&mut self, question: Question) {
        let (labels, asked) = (Arc::clone(&self.labels), question.clone());
        let task = match (question, &self.base, &self.space) {
            (Question::Cards(names), ..) => Task::Cards(names),
            (Question::Use(name), ..) => {
                if self.jobs.try_send(Job::Use(name)).is_err() {
                    let text = "Another model can be taken into use when what runs now has ended";
                    self.shared.send(Event::Warning(text.to_owned()));
                }
                return;
            }
            (Question::Analyse(audit), Some(base), Some(space)) => Task::Analyse {
                audit,
                base: Box::new(base.clone()),
                in_use: Box::new((space.basis(), space.head.clone())),
                labels,
            },
            (Question::Counterfactual, Some(base), _) => {
                Task::Counterfactual { base: base.clone(), labels }
            }
            (Question::Map, _, Some(space)) => Task::Map { basis: space.basis() },
            (Question::Analyse(_) | Question::Counterfactual | Question::Map, ..) => return,
        };
        if self.tasks.try_send(task).is_err() {
            // Asked once more with the next label.
            self.questions.push(asked);
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

    /// Ranks, and chooses the head's penalty, which counts from the next ranking on. Where none has been chosen yet, as after
    /// a restart with many labels, that one follows at once, and only it is measured.
    fn rank(&mut self) {
        let Some(space) = &self.space else { return };
        let labels = labelled(&self.labels, &space.unreadable).rows.len();
        let first = !self.regularisation.is_chosen() && self.regularisation.is_due(labels);
        self.send_ranking(!first);
        self.regularise();
        if first && !self.shared.flags.closing() {
            self.send_ranking(true);
        }
    }

    fn send_ranking(&mut self, measured: bool) {
        let Some(space) = &mut self.space else { return };
        let started = Instant::now();
        let labels = &self.labels;
        let known = Known::new(labels, &space.unreadable, self.options.pool.files.len());
        let l2 = self.regularisation.l2();
        let (head, probabilities, order) = order(space, &self.options, self.strategy, l2, &known);
        let classes = self.options.classes.len();
        let reference = space.reference.as_ref().filter(|_| measured && !known.rows.is_empty());
        let reference = reference.and_then(|reference| {
            let (features, truth) = &**reference;
            let held = head.probabilities(features);
            let mut metrics = Metrics::of(&held, truth, classes, self.options.positive).ok()?;
            // With more than two classes no single one is what the session is about.
            if classes > 2 {
                metrics.auroc = macro_auroc(&held, truth, classes);
            }
            Some(metrics)
        });
        space.head = Some(head);
        self.took = started.elapsed().as_secs_f32() * 1e3;
        self.stale = false;
        let ranking = Ranking {
            version: labels.version,
            labels: labels.rows.len(),
            model: space.model.clone(),
            asked: self.strategy,
            strategy: self.strategy.in_force(space.views.get().is_some()),
            order,
            probabilities,
            reference,
            milliseconds: self.took,
        };
        self.shared.send(Event::Ranking(Arc::new(ranking)));
    }

    /// Asks the compute thread about the row to be explained; where it is busy it looks between two steps.
    fn pass_question_on(&mut self) {
        let Some(space) = &self.space else { return };
        let (Some(head), Some(row)) = (&space.head, self.explain.take()) else { return };
        let (model, head) = (space.model.clone(), head.linear(&space.scale));
        let (asked, waiting) = &self.shared.to_explain;
        // Of two questions the newer one is of use.
        waiting.try_recv().ok();
        asked.try_send(ToExplain { row, model, head }).ok();
    }

    /// Ranks as if the film on screen had been answered, once for each class, unless `interrupted` says that something
    /// else is to be done. The head's penalty is already that of the next ranking.
    fn foresee(&mut self, interrupted: &dyn Fn() -> bool) {
        let (Some(row), Some(space)) = (self.on_screen, &mut self.space) else { return };
        let films = self.options.pool.files.len();
        let known = Known::new(&self.labels, &space.unreadable, films);
        if self.took > FORESIGHT || !known.open.get(row).is_some_and(|&open| open) {
            self.on_screen = None;
            return;
        }
        let mut heads = Vec::new();
        for class in 0..self.options.classes.len() {
            if interrupted() {
                return;
            }
            let (rows, classes) = ([&*known.rows, &[row]], [&*known.classes, &[class]]);
            let mut open = known.open.clone();
            open[row] = false;
            let (rows, classes) = (rows.concat(), classes.concat());
            let next = Known { rows, classes, answered: known.answered.clone(), open };
            let l2 = self.regularisation.l2();
            let (_, _, order) = order(space, &self.options, self.strategy, l2, &next);
            heads.push(order.iter().take(FORESEEN).map(|ranked| ranked.index).collect());
        }
        self.on_screen = None;
        self.shared.send(Event::Foreseen(Foreseen { row, version: self.labels.version, heads }));
    }

    /// Reports what the head holds of each labelled film when it has not seen the labels of its patient. On the pretrained
    /// model's features: a learnt model has seen every label, the wrong ones too.
    fn give_opinions(&mut self) {
        let (true, Some(base)) = (self.review, &self.base) else { return };
        self.review = false;
        let labelled = labelled(&self.labels, &base.unreadable);
        let folds = FoldAssigner::new(FOLDS).assign_all(&labelled, &self.options.pool.patients);
        let Labelled { rows, classes } = labelled;
        let mut opinions = Opinions { version: self.labels.version, ..Opinions::default() };
        let differ = |ids: &[usize]| ids.windows(2).any(|pair| pair[0] != pair[1]);
        if rows.len() >= FEWEST_LABELS && differ(&classes) && differ(&folds) {
            let (x, count) = (&base.features, self.options.classes.len());
            let flags = &self.shared.flags;
            let observe = &mut || flags.until_closed();
            let l2 = self.regularisation.refresh(x, &rows, &classes, count, &folds, observe);
            let held = out_of_fold(x, &rows, &classes, count, &folds, l2);
            let suspects = confident_learning::suspects(&held, &classes, count);
            opinions.suspects = suspects.iter().map(|suspect| rows[suspect.place]).collect();
            opinions.likeliest =
                held.chunks_exact(count).map(confident_learning::likeliest).collect();
            (opinions.rows, opinions.labels) = (rows, classes);
        }
        self.shared.send(Event::Opinions(Arc::new(opinions)));
    }

    /// Chooses the head's regularisation anew when it is due. Cross-validation takes longer than a reader should wait, so it
    /// follows a ranking.
    fn regularise(&mut self) {
        let Some(base) = &self.base else { return };
        let labelled = labelled(&self.labels, &base.unreadable);
        let folds = FoldAssigner::new(FOLDS).assign_all(&labelled, &self.options.pool.patients);
        let Labelled { rows, classes } = &labelled;
        let count = self.options.classes.len();
        let flags = &self.shared.flags;
        let observe = &mut || flags.until_closed();
        self.regularisation.refresh(&base.features, rows, classes, count, &folds, observe);
    }

    /// Starts background learning when enough labels are new and every class has enough.
    fn learn_if_due(&mut self) {
        let every = self.options.plan.every;
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

/// Fits the head to what is known, at a penalty of `l2`, and ranks the candidates: the head, its probabilities of the pool,
/// and the order.
fn order(
    space: &mut Space,
    options: &Options,
    strategy: Strategy,
    l2: f32,
    known: &Known,
) -> (Head, Vec<f32>, Vec<Ranked>) {
    let Known { rows, classes, answered, open } = known;
    let class_count = options.classes.len();
    let head = Head::fit(&space.features, rows, classes, class_count, l2, space.head.as_ref());
    let probabilities = head.probabilities(&space.features);
    let candidates: Vec<usize> = (0..open.len()).filter(|&row| open[row]).collect();
    let pool = Pool {
        ids: &options.pool.ids,
        embeddings: &space.directions,
        features: &space.features,
        views: space.views.get(),
        head: &head,
        probabilities: &probabilities,
        class_count,
        labelled: rows,
        classes,
        answered,
        candidates: &candidates,
        // They are ranked anew after each answer, but fewer and larger groups than films in the list would take seconds.
        batch: RANKED,
    };
    let order = rank(strategy, &pool, RANKED, options.seed, &mut space.clusters);
    (head, probabilities, order)
}
