//! The analysis thread: what the researcher asks of a session, computed from cached embeddings beside ranking and
//! learning, at low priority and on one core.

mod counterfactual;
mod film_map;
mod replay;

pub use counterfactual::{Arm, Counterfactual, Outcome};
pub use film_map::FilmMap;
pub use replay::{Analysis, Checkpoint, Held};

use std::mem::discriminant;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::course::AuditStream;
use super::message::{Event, LabelSet};
use super::worker::panic_text;
use super::{Options, Shared};
use crate::device;
use crate::learn::finetune::Labelled;
use crate::model::folder::{ModelCard, load_card};
use crate::query::{Embeddings, Head};

/// What the researcher asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// How good the model is, from each source, after how many labels; with the random stream, which the log has.
    Analyse(AuditStream),
    /// What other strategies would have come to.
    Counterfactual,
    /// Where the films lie beside one another.
    Map,
    /// What the cards of these models say.
    Cards(Vec<String>),
    /// Takes a model into use that was made before, or the pretrained one.
    Use(String),
}

/// What the engine answers.
#[derive(Clone, Debug)]
pub enum Insight {
    /// To [`Question::Analyse`].
    Analysis(Arc<Analysis>),
    /// To [`Question::Counterfactual`].
    Counterfactual(Arc<Counterfactual>),
    /// To [`Question::Map`]: at first without the neighbour embedding, then with it.
    Map(Arc<FilmMap>),
    /// To [`Question::Cards`]: the card of each model, or why it cannot be read.
    Cards(Vec<(String, Result<Box<ModelCard>, String>)>),
    /// To [`Question::Use`]: the model that is in use now.
    InUse(String),
}

/// Features of the films from one model, shared with the ranking thread.
#[derive(Clone, Debug)]
pub struct Basis {
    /// Name of the model.
    pub model: String,
    /// Standardised features, to fit on.
    pub features: Arc<Embeddings>,
    /// Normalised features, to measure distances in.
    pub directions: Arc<Embeddings>,
    /// Standardised features and classes of the reference set.
    pub reference: Option<Arc<(Embeddings, Vec<usize>)>>,
    /// Rows of the pool that cannot be read.
    pub unreadable: Vec<usize>,
}

/// A question with all that its answer is made from.
#[derive(Debug)]
pub(super) enum Task {
    Analyse {
        base: Box<Basis>,
        in_use: Box<(Basis, Option<Head>)>,
        labels: Arc<LabelSet>,
        audit: AuditStream,
    },
    Counterfactual {
        base: Basis,
        labels: Arc<LabelSet>,
    },
    Map {
        basis: Basis,
    },
    Cards(Vec<String>),
}

/// The labels that can be learnt from, in the order in which they came.
fn learnable(labels: &LabelSet, basis: &Basis) -> Labelled {
    let labelled = Labelled { rows: labels.rows.clone(), classes: labels.classes.clone() };
    labelled.without(&basis.unreadable)
}

/// Runs until the channel ends or the flags close; a panic ends the analysis that it was in.
pub(super) fn run(options: &Options, shared: &Shared, tasks: &Receiver<Task>) {
    // Its own pool of one thread: the process's global one would run beside the window.
    if let Err(error) = device::enter_compute_pool(1, true) {
        tracing::warn!("no analysis: {error}");
        return;
    }
    let mut waiting: Vec<Task> = Vec::new();
    loop {
        let next = if waiting.is_empty() { tasks.recv().ok() } else { None };
        // Of questions of one kind that came while another was answered only the newest is of use.
        for task in next.into_iter().chain(tasks.try_iter()) {
            waiting.retain(|other| discriminant(other) != discriminant(&task));
            waiting.push(task);
        }
        if waiting.is_empty() || shared.flags.closing() {
            return;
        }
        let task = waiting.remove(0);
        let work = AssertUnwindSafe(|| answer(options, shared, task));
        if let Err(panic) = catch_unwind(work) {
            let text = format!("An analysis failed: {}", panic_text(panic.as_ref()));
            shared.send(Event::Warning(text));
        }
    }
}

fn answer(options: &Options, shared: &Shared, task: Task) {
    let observe = &mut || shared.flags.until_closed();
    let tell = |insight: Insight| shared.send(Event::Insight(insight));
    match task {
        Task::Analyse { base, in_use, labels, audit } => {
            let analysis = replay::analyse(options, &base, &in_use, &labels, observe);
            if let Some(mut analysis) = analysis {
                analysis.audit = audit.curve(options.classes.len(), options.positive);
                analysis.held_before_the_label = audit.held;
                tell(Insight::Analysis(Arc::new(analysis)));
            }
        }
        Task::Counterfactual { base, labels } => {
            let found = counterfactual::replay(options, &base, &labels, observe);
            if let Some(found) = found {
                tell(Insight::Counterfactual(Arc::new(found)));
            }
        }
        Task::Map { basis } => {
            film_map::draw(&basis, options.seed, observe, &mut |map| {
                tell(Insight::Map(Arc::new(map)));
            });
        }
        Task::Cards(names) => {
            let card = |name: String| {
                let folder = if name == options.base_name {
                    options.base_model.clone()
                } else {
                    options.models.join(&name)
                };
                let card = load_card(&folder).map(Box::new).map_err(|error| error.to_string());
                (name, card)
            };
            tell(Insight::Cards(names.into_iter().map(card).collect()));
        }
    }
}
