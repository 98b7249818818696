//! What the window asks of the engine and what the engine reports.

use std::sync::Arc;

use crate::imaging::Fit;
use crate::model::folder::ModelCard;
use crate::predict::Explained;
use crate::query::Strategy;
use crate::session::MethodFigures;
use crate::study::analysis::{Analysis, Counterfactual, FilmMap};
use crate::study::{AuditStream, LabelSet, Ranking};

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
    /// Takes a model into use that was made before, or the pretrained one, once nothing else runs.
    Use(String),
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
    /// Another model ranks from the next ranking on; told before that.
    ModelChanged(ModelChange),
    /// Fine-tuning and distillation ended, and the model in use stays.
    LearningEnded {
        /// Name of the model that it came to, if that could be weighed against the one in use.
        model: Option<String>,
        /// What came out.
        learnt: Learnt,
    },
    /// What the researcher asked.
    Insight(Insight),
    /// A film could not be used, a cache not written: the work goes on.
    Warning(String),
    /// The engine cannot go on.
    Failed(String),
}

/// A change of the model in use.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelChange {
    /// Name of the model that is in use from here on.
    pub model: String,
    /// How it came into use.
    pub change: Change,
}

/// How a model came into use.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The session was opened with it.
    Opened,
    /// It was made before, and the reader chose it.
    Chosen,
    /// It was learnt and found better.
    Learnt(Learnt),
}

/// What background learning came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learnt {
    /// What came out and why, as the researcher reads it.
    pub outcome: String,
    /// Labels that were seen.
    pub labels: usize,
    /// What each way of learning came to on them.
    pub methods: Vec<MethodFigures>,
}

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
}

/// The card of each model asked about, or why it cannot be read.
pub type Cards = Vec<(String, Result<Box<ModelCard>, String>)>;

/// What the engine answers.
#[derive(Clone, Debug)]
pub enum Insight {
    /// To [`Question::Analyse`].
    Analysis(Arc<Analysis>),
    /// To [`Question::Counterfactual`].
    Counterfactual(Arc<Counterfactual>),
    /// To [`Question::Map`]: at first without the neighbour embedding, then with it.
    Map(Arc<FilmMap>),
    /// To [`Question::Cards`].
    Cards(Cards),
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
