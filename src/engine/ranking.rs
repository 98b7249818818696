//! The ranking thread: tier 1, a head on cached embeddings refitted after every label.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::inbox::{self, Inbox, Job, Ranked, panic_text};
use super::options::Options;
use super::protocol::{Event, Foreseen, ModelChange, Opinions};
use crate::dataset::Labelled;
use crate::features::{DEFAULT_L2, Embeddings, Head};
use crate::learn::macro_auroc::macro_auroc;
use crate::learn::metrics::Metrics;
use crate::query::{Films, Known, Selection, Selector, Strategy, confident_learning};
use crate::stats;
use crate::study::{Embedded, LabelSet, Ranking};

/// Length of a ranking: far more than is read before the next one.
const RANKED: usize = 48;
/// Films that are read between two rankings.
const BATCH: usize = 1;
/// Films that are foreseen for each possible answer to the film on screen.
const FORESEEN: usize = 4;
/// Milliseconds above which a ranking is not repeated for what may come.
const FORESIGHT: f32 = 250.0;

/// What a ranking is made from.
#[derive(Clone)]
struct Basis {
    labels: Arc<LabelSet>,
    strategy: Strategy,
    choices: u64,
    base: Embedded,
    in_use: Embedded,
    views: Option<Arc<Vec<Embeddings>>>,
}

impl Basis {
    /// Returns what there is now, and the changes of model that led to it and are still to be told; `None` until the films
    /// are embedded.
    fn now(inbox: &Inbox) -> Option<(Self, Vec<ModelChange>)> {
        let mut state = inbox.state();
        let (base, in_use) = (state.base.clone()?, state.in_use.clone()?);
        let views = state.views.as_ref().filter(|(model, _)| *model == in_use.model);
        let basis = Self {
            labels: Arc::clone(&state.labels),
            strategy: state.strategy,
            choices: state.choices,
            views: views.map(|(_, views)| Arc::clone(views)),
            base,
            in_use,
        };
        Some((basis, std::mem::take(&mut state.changes)))
    }

    fn is(&self, other: &Self) -> bool {
        let views = |basis: &Self| basis.views.as_ref().map(Arc::as_ptr);
        Arc::ptr_eq(&self.labels, &other.labels)
            && self.choices == other.choices
            && Arc::ptr_eq(&self.in_use.space, &other.in_use.space)
            && views(self) == views(other)
    }

    fn labelled(&self) -> Labelled {
        Labelled { rows: self.labels.rows.clone(), classes: self.labels.classes.clone() }
    }

    fn known(&self) -> Known {
        let LabelSet { excluded, deferred, .. } = &*self.labels;
        Known::new(&self.in_use.space, &self.labelled(), excluded, deferred)
    }

    fn films<'a>(&'a self, options: &'a Options) -> Films<'a> {
        let views = self.views.as_deref().map(Vec::as_slice);
        Films { ids: &options.pool.ids, space: &self.in_use.space, views }
    }
}

/// The thread's state.
struct Ranker<'a> {
    options: &'a Options,
    inbox: &'a Inbox,
    selector: Selector,
    /// What the last ranking was made from.
    basis: Option<Basis>,
    /// The head's penalty. It is chosen on the pretrained features: on a learnt model's, which has seen the labels that are
    /// held out, a weak one would look good.
    l2: f32,
    /// Milliseconds that the last ranking took.
    took: f32,
    /// Strategy's choice and model that views have been asked for.
    views_asked: Option<(u64, String)>,
}

/// Runs until the flags close; a panic is reported and ends ranking, not the program.
pub(super) fn run(options: &Arc<Options>, inbox: &Arc<Inbox>) {
    let work = AssertUnwindSafe(|| {
        let mut ranker = Ranker {
            options,
            inbox,
            selector: Selector::new(options.seed, BATCH),
            basis: None,
            l2: DEFAULT_L2,
            took: 0.0,
            views_asked: None,
        };
        loop {
            inbox.ranking.wait();
            if inbox.flags.closing() {
                return;
            }
            ranker.catch_up();
        }
    });
    if let Err(panic) = catch_unwind(work) {
        inbox.stop(&panic_text(panic.as_ref()));
    }
}

impl Ranker<'_> {
    /// Ranks if something has changed, then does what may wait, unless a newer label comes meanwhile.
    fn catch_up(&mut self) {
        let Some((now, changes)) = Basis::now(self.inbox) else { return };
        for change in changes {
            self.inbox.send(Event::ModelChanged(change));
        }
        if self.basis.as_ref().is_none_or(|before| !before.is(&now)) {
            self.basis = Some(now.clone());
            self.rank(&now);
            self.ask_for_views(&now);
            self.learn_if_due();
        }
        self.foresee(&now);
        if !self.inbox.ranking.is_ringing() {
            self.give_opinions(&now);
        }
    }

    /// Ranks. Where the labels call for another penalty, a ranking with the last one comes first: cross-validation takes
    /// longer than a reader should wait.
    fn rank(&mut self, basis: &Basis) {
        let space = &basis.base.space;
        let labelled = space.learnable(&basis.labelled());
        let known = space.known_penalty(&labelled);
        if let Some(l2) = known {
            self.l2 = l2;
        }
        self.send_ranking(basis, known.is_some());
        if known.is_none()
            && let Ok(l2) = space.penalty(&labelled, &mut || self.inbox.flags.until_closed())
        {
            self.l2 = l2;
            self.send_ranking(basis, true);
        }
    }

    fn send_ranking(&mut self, basis: &Basis, settled: bool) {
        let started = Instant::now();
        let known = basis.known();
        let films = basis.films(self.options);
        let Selection { head, probabilities, order } =
            self.selector.select(basis.strategy, &films, &known, self.l2, RANKED);
        let measured = settled && !known.labelled.rows.is_empty();
        let reference = measured.then(|| self.measure(basis, &head)).flatten();
        let model = basis.in_use.model.clone();
        let mut state = self.inbox.state();
        state.ranked = Some(Ranked { model: model.clone(), head: Arc::new(head) });
        let explain = state.explain.is_some();
        drop(state);
        if explain {
            self.inbox.worker.ring();
        }
        self.inbox.analysis.ring();
        self.took = started.elapsed().as_secs_f32() * 1e3;
        self.inbox.send(Event::Ranking(Arc::new(Ranking {
            version: basis.labels.version,
            labels: basis.labels.rows.len(),
            model,
            asked: basis.strategy,
            strategy: basis.strategy.in_force(basis.views.is_some()),
            settled,
            penalty: self.l2,
            order,
            probabilities,
            reference,
            milliseconds: self.took,
        })));
    }

    fn measure(&self, basis: &Basis, head: &Head) -> Option<Metrics> {
        let (features, truth) = &**basis.in_use.reference.as_ref()?;
        let (classes, held) = (self.options.classes.len(), head.probabilities(features));
        let mut metrics = Metrics::of(&held, truth, classes, self.options.positive).ok()?;
        // With more than two classes no single one is what the session is about.
        if classes > 2 {
            metrics.auroc = macro_auroc(&held, truth, classes);
        }
        Some(metrics)
    }

    /// Has further views of the pool embedded if the strategy goes by them and nobody has been asked since it was chosen.
    fn ask_for_views(&mut self, basis: &Basis) {
        let needed = basis.strategy.in_force(basis.views.is_some()) != basis.strategy;
        let wanted = (basis.choices, basis.in_use.model.clone());
        if needed && self.views_asked.as_ref() != Some(&wanted) {
            self.inbox.wish(Job::EmbedViews);
            self.views_asked = Some(wanted);
        }
    }

    /// Ranks as if the film on screen had been answered, once for each class, unless something else is to be done; then it
    /// is taken up again after that.
    fn foresee(&mut self, basis: &Basis) {
        let Some(row) = self.inbox.state().on_screen.take() else { return };
        let known = basis.known();
        if self.took > FORESIGHT || !known.is_candidate(row) {
            return;
        }
        let films = basis.films(self.options);
        let mut heads = Vec::new();
        for class in 0..self.options.classes.len() {
            if self.inbox.ranking.is_ringing() {
                self.inbox.state().on_screen.get_or_insert(row);
                return;
            }
            let known = known.with(row, class);
            let next = self.selector.select(basis.strategy, &films, &known, self.l2, FORESEEN);
            heads.push(next.order.into_iter().map(|ranked| ranked.index).collect());
        }
        self.inbox.send(Event::Foreseen(Foreseen { row, version: basis.labels.version, heads }));
    }

    /// Reports what the head holds of each labelled film when it has not seen the labels of its patient. On the pretrained
    /// model's features: a learnt model has seen every label, the wrong ones too.
    fn give_opinions(&self, basis: &Basis) {
        if !std::mem::take(&mut self.inbox.state().review) {
            return;
        }
        let space = &basis.base.space;
        let labelled = space.learnable(&basis.labelled());
        let mut opinions = Opinions { version: basis.labels.version, ..Opinions::default() };
        let observe = &mut || self.inbox.flags.until_closed();
        let Ok(l2) = space.penalty(&labelled, observe) else { return };
        if let Some(held) = space.cross_validated(&labelled, l2) {
            let classes = space.classes();
            let suspects = confident_learning::suspects(&held, &labelled.classes, classes);
            opinions.suspects =
                suspects.iter().map(|suspect| labelled.rows[suspect.place]).collect();
            opinions.likeliest = held.chunks_exact(classes).map(stats::likeliest).collect();
            (opinions.rows, opinions.labels) = (labelled.rows, labelled.classes);
        }
        self.inbox.send(Event::Opinions(Arc::new(opinions)));
    }

    /// Starts background learning when enough labels are new and every class has enough.
    fn learn_if_due(&self) {
        let every = self.options.plan.every;
        let state = self.inbox.state();
        let new = state.labels.rows.len().saturating_sub(state.learnt);
        let due = every > 0 && new >= every && inbox::has_enough(&state.labels, self.options);
        drop(state);
        if due {
            self.inbox.wish_to_learn(self.options, format!("{new} new labels"), false);
        }
    }
}
