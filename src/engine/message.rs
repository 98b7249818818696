//! What the window asks of the engine and what the engine reports.

use std::sync::Arc;

use super::analysis::{Insight, Question};
use super::queue::QueuedSource;
use crate::imaging::Fit;
use crate::learn::metrics::Metrics;
use crate::predict::Explained;
use crate::query::{Ranked, Strategy};
use crate::session::MethodFigures;

/// The labels as they stand, by row of the pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSet {
    /// Number of events in the log when this set was taken; a ranking carries it back.
    pub version: u64,
    /// Labelled rows of the pool, in the order in which they were labelled.
    pub rows: Vec<usize>,
    /// Class index of each labelled row.
    pub classes: Vec<usize>,
    /// Rows that were answered without a class: uninterpretable.
    pub excluded: Vec<usize>,
    /// Rows that the reader put off, in the order in which they come back when all others are read.
    pub deferred: Vec<usize>,
    /// Films that are still to be passed before each of `deferred` comes back; one without such a number comes back when
    /// all others are read.
    pub returns: Vec<usize>,
    /// Rows that only other readers have answered, in the set of one reader.
    pub elsewhere: Vec<usize>,
    /// Rows that the reader has answered and others too.
    pub shared: usize,
    /// Films that the reader has answered once more.
    pub rereads: usize,
    /// Films that the reader is given beside those that nobody has answered.
    pub assigned: Vec<Assigned>,
}

/// A film that a reader is given although it has an answer, of others or of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Assigned {
    /// Row of the pool.
    pub row: usize,
    /// Why: [`QueuedSource::Second`] or [`QueuedSource::Reread`].
    pub source: QueuedSource,
}

/// What ranks first after each possible answer to the film on screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// The film on screen.
    pub row: usize,
    /// [`LabelSet::version`] that it was foreseen from.
    pub version: u64,
    /// For each class the rows that would rank first if the film had it, best first.
    pub heads: Vec<Vec<usize>>,
}

/// What models that have not seen a film's label hold of it: the head, cross-validated by patient.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opinions {
    /// [`LabelSet::version`] that they were formed from.
    pub version: u64,
    /// Labelled rows of the pool; none as long as there are too few labels, or only of one class.
    pub rows: Vec<usize>,
    /// Class of each by its label.
    pub labels: Vec<usize>,
    /// Class of each that the model holds most likely.
    pub likeliest: Vec<usize>,
    /// Rows whose label is probably wrong by confident learning, the most suspect first.
    pub suspects: Vec<usize>,
}

/// Where in a film the head that ranks finds each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The film.
    pub row: usize,
    /// Name of the model whose features the head is on.
    pub model: String,
    /// How the film was fitted into the square that the maps lie over.
    pub fit: Fit,
    /// Probabilities and maps.
    pub found: Explained,
}

/// What the window or a command asks of the engine. Cancelling is not a message: see [`super::Engine::cancel`].
#[derive(Clone, Debug)]
pub enum Command {
    /// The labels changed: refit the head, re-rank, and start background learning when it is due.
    Labels(Arc<LabelSet>),
    /// Ranks by another strategy from now on.
    Strategy(Strategy),
    /// Starts background learning now, whether or not it is due.
    TrainNow,
    /// Foresees what ranks first after each possible answer to this row, which is on screen.
    Foresee(usize),
    /// Compares every label with what the model holds of the film without it.
    Review,
    /// Explains what the model holds of this row. Only the last row asked about is answered for.
    Explain(usize),
    /// Answers what the researcher asks, when there is time.
    Ask(Question),
}

/// What the engine reports. Rare and lossless; per-step figures go through [`super::Engine::progress`].
#[derive(Clone, Debug)]
pub enum Event {
    /// The pool is being decoded or embedded.
    Preparing {
        /// What is being done, as the reader reads it.
        what: &'static str,
        /// Films done.
        done: usize,
        /// Films in all.
        total: usize,
    },
    /// The pool is embedded and rankings follow.
    Ready {
        /// Name of the model in use.
        model: String,
        /// Device that learning runs on.
        device: String,
    },
    /// The pool ranked anew.
    Ranking(Arc<Ranking>),
    /// What may rank first after the film on screen.
    Foreseen(Foreseen),
    /// What the model holds of labelled films.
    Opinions(Arc<Opinions>),
    /// Where in a film the model finds its classes.
    Explained(Arc<Explanation>),
    /// Fine-tuning began.
    LearningStarted {
        /// Labels it starts with.
        labels: usize,
        /// Why it started, as the researcher reads it.
        why: String,
    },
    /// Fine-tuning and distillation ended.
    LearningEnded {
        /// Name of the new model, if it came to one that could be weighed against the one in use.
        model: Option<String>,
        /// Whether it is in use from here on.
        accepted: bool,
        /// What came out and why, as the researcher reads it.
        outcome: String,
        /// Labels it had seen.
        labels: usize,
        /// What each way of learning came to on them.
        methods: Vec<MethodFigures>,
    },
    /// What the researcher asked.
    Insight(Insight),
    /// A film could not be used, a cache not written: the work goes on.
    Warning(String),
    /// The engine cannot go on.
    Failed(String),
}

/// The unlabelled pool in the order in which it is to be read, with what the model holds of it.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// [`LabelSet::version`] that this ranking was made from.
    pub version: u64,
    /// Labels with a class that it was made from.
    pub labels: usize,
    /// Name of the model whose embeddings it was made from.
    pub model: String,
    /// Strategy that was asked for.
    pub asked: Strategy,
    /// Strategy that made it: another one as long as what that needs is not there.
    pub strategy: Strategy,
    /// Rows in reading order, best first; at most a few hundred.
    pub order: Vec<Ranked>,
    /// Class probabilities of every row of the pool, row-major.
    pub probabilities: Vec<f32>,
    /// How the head does on the reference set, where there is one; with more than two classes AUROC is the mean of each
    /// class against the others.
    pub reference: Option<Metrics>,
    /// Milliseconds that refit and re-rank took.
    pub milliseconds: f32,
}

/// Stage of background learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The encoder is fine-tuned on the labels, one model a cross-validation fold.
    FineTuning,
    /// The fine-tuned network teaches a student on the whole pool.
    Distilling,
    /// The pool is embedded anew.
    Embedding,
    /// The pool is embedded in fixed views, for a strategy that compares them.
    Views,
}

impl Stage {
    /// Returns the stage in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FineTuning => "fine-tuning",
            Self::Distilling => "distilling",
            Self::Embedding => "embedding films",
            Self::Views => "embedding views",
        }
    }
}

/// Where a stage stands that trains a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Current epoch, from 0.
    pub epoch: u32,
    /// Epochs of the stage.
    pub epochs: u32,
    /// Loss of the last step.
    pub loss: f32,
}

/// Where background learning stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Current stage.
    pub stage: Stage,
    /// Steps done in this stage; where films are embedded, films.
    pub step: u64,
    /// Steps of this stage as foreseen now.
    pub steps: u64,
    /// Films a second.
    pub images_per_second: f32,
    /// Seconds that this stage still takes.
    pub seconds_left: f32,
    /// Labels in use.
    pub labels: usize,
    /// Where training stands, in stages that train.
    pub training: Option<Training>,
    /// Bytes that the program holds, where the system tells.
    pub memory: Option<u64>,
    /// Whether the reader has paused it.
    pub paused: bool,
}
