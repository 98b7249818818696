//! What can happen in a session.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::merge::{MergeRun, MergeSource};
use super::protocol::{Exposure, Protocol};
use super::time::Time;
use crate::dataset::FilmId;

/// The answer for a film that shows too little to be read, as exports and lists write it.
pub(super) const UNINTERPRETABLE: &str = "uninterpretable";

/// One thing that happened, with its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Place in the log, counted from 0 without gaps.
    pub seq: u64,
    /// When it happened by the clock of the machine, which may have been set back since the entry before.
    pub time: Time,
    /// Who was reading.
    pub reader: String,
    /// What happened.
    pub event: Event,
}

/// What can happen in a session; the JSON field `kind` tells the variants apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The reader gave a film that they had not answered an answer; with [`Source::Reread`], one that they had, without
    /// being told so.
    Label {
        /// Film that was read.
        film: FilmId,
        /// What the reader saw.
        answer: Answer,
        /// Reading time: milliseconds from the film on screen to the answer.
        ms: u64,
        /// Why this film was read.
        source: Source,
        /// What was on screen.
        shown: Shown,
    },
    /// The reader changed the answer of a film.
    Relabel {
        /// Film that was read again.
        film: FilmId,
        /// Answer that stood.
        from: Answer,
        /// Answer that stands now.
        to: Answer,
        /// Why it was changed, in the reader's words; may be empty.
        reason: String,
        /// Milliseconds of this reading.
        ms: u64,
    },
    /// The reader put a film without an answer off until later.
    Skip {
        /// Film that was put off.
        film: FilmId,
        /// Why this film was to be read; logs of early versions do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<Source>,
    },
    /// The reader took back a label, a relabel or a skip.
    Undo {
        /// Entry that is taken back.
        seq: u64,
    },
    /// A newly trained model was weighed against the one in use.
    ModelSwap {
        /// Name of the new model.
        model: String,
        /// Whether it is in use from here on.
        accepted: bool,
        /// Figures that decided it.
        reason: String,
        /// Labels that it was trained on.
        labels: usize,
        /// What each way of learning came to on these labels, as far as it was measured; earlier programs did not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        methods: Vec<MethodFigures>,
    },
    /// Films are ranked by another strategy from here on.
    Strategy {
        /// Name of the strategy.
        name: String,
    },
    /// The model was measured on the reference films: a point of the live curve. Figures that are undefined are no point.
    Measure {
        /// Labels that the model had learnt from.
        labels: usize,
        /// Share of reference films classified rightly, in 0..=1.
        accuracy: f32,
        /// Area under the receiver operating characteristic, in 0..=1; with more than two classes the mean of each class
        /// against the others.
        auroc: f32,
        /// Reference films.
        n: usize,
        /// Name of the model.
        model: String,
    },
    /// The reader wrote a note on a film, in place of the one before; an empty one removes it.
    Note {
        /// Film that it is on.
        film: FilmId,
        /// What the reader wrote.
        text: String,
    },
    /// The reader took the contents that a film's file has now for the film, though they are not those of the import.
    FileChanged {
        /// Film, by its contents at import.
        film: FilmId,
        /// Identity of the contents that the file has now.
        now: FilmId,
    },
    /// An adjudicator settled what a film shows on which readers disagree, without knowing who said what. The readers'
    /// labels stay.
    Adjudicate {
        /// Film that was settled.
        film: FilmId,
        /// What it is taken to show.
        answer: Answer,
        /// The readers' answers at that time, in the order of the answers.
        between: Vec<Answer>,
        /// Milliseconds of this reading.
        ms: u64,
        /// What was on screen.
        shown: Shown,
    },
    /// How several readers work on the session from here on.
    Protocol(Protocol),
    /// Copies of the session that were read apart were joined: where the entries after this one come from. Those that
    /// contradict what another copy holds stay without effect.
    Merge {
        /// The sessions that were joined.
        sources: Vec<MergeSource>,
        /// Whose entries follow, in order.
        runs: Vec<MergeRun>,
    },
}

impl Event {
    /// Values of `kind` that this program reads.
    pub(super) const KINDS: [&str; 12] = [
        "label",
        "relabel",
        "skip",
        "undo",
        "model_swap",
        "strategy",
        "measure",
        "note",
        "file_changed",
        "adjudicate",
        "protocol",
        "merge",
    ];
}

/// What a way of learning came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodFigures {
    /// `head`, `finetune` or `distill`.
    pub method: String,
    /// Log-loss in nats of the labelled films, each by a model that has not seen its patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_loss: Option<f64>,
    /// Accuracy in 0..=1 on the reference films, and their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<(f64, usize)>,
}

/// What the reader says that a film shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// One of the session's classes, by name.
    Class(String),
    /// The film shows too little to be read; it is left out of training.
    Uninterpretable,
}

impl Answer {
    /// Returns the name of the class, if the answer is one.
    pub fn class(&self) -> Option<&str> {
        match self {
            Self::Class(name) => Some(name),
            Self::Uninterpretable => None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class().unwrap_or(UNINTERPRETABLE))
    }
}

/// Why a film was put before the reader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A strategy ranked it.
    Queue {
        /// Name of the strategy.
        strategy: String,
        /// Place in the ranking, 0 the best.
        rank: u32,
    },
    /// It was drawn at random from the films not yet read, for an unbiased estimate.
    Audit {
        /// The model's class probabilities before the answer was known, in the order of the classes.
        predicted: Vec<f32>,
        /// Probability with which it was drawn: 1 / number of films that could have been.
        probability: f32,
    },
    /// The reader chose it.
    Browse,
    /// Others had read it, and it was drawn to be read by this reader too.
    Second {
        /// Whether the model's doubt of the others' answer drew it; otherwise chance did.
        doubted: bool,
    },
    /// The reader had read it before, and chance drew it to be read again.
    Reread,
    /// The answer was given in another program and came from a file.
    Import {
        /// Name of the file, without its folder.
        file: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue { strategy, .. } => write!(f, "queue:{strategy}"),
            Self::Audit { .. } => f.write_str("audit"),
            Self::Browse => f.write_str("browse"),
            Self::Second { doubted: false } => f.write_str("second"),
            Self::Second { doubted: true } => f.write_str("second:doubted"),
            Self::Reread => f.write_str("reread"),
            Self::Import { file } => write!(f, "import:{file}"),
        }
    }
}

/// What was on the reader's screen at the moment of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Name of the model that ranked the film.
    pub model: String,
    /// Centre of the grey window, in values of the film.
    pub window_centre: f32,
    /// Width of the grey window, in values of the film.
    pub window_width: f32,
    /// Screen pixels for a pixel of the film.
    pub zoom: f32,
    /// Whether black and white were exchanged.
    pub inverted: bool,
    /// Whether left and right of the stored film were swapped; logs of early versions do not say.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mirrored: bool,
    /// Quarter turns clockwise after that, 0 to 3; logs of early versions do not say.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quarter_turns: u8,
    /// Whether the model's opinion of the film could be seen.
    pub opinion_visible: bool,
    /// What the model held of the film, and when the reader is shown it; only where the session has a protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opinion: Option<Opinion>,
}

/// What the model held of a film at the moment of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opinion {
    /// When the reader is shown it.
    pub exposure: Exposure,
    /// The most likely class.
    pub class: String,
    /// Its probability, in 0..=1.
    pub probability: f32,
}

impl Shown {
    /// Nothing: the film was not read in this program.
    pub const NOTHING: Self = Self {
        model: String::new(),
        window_centre: 0.0,
        window_width: 0.0,
        zoom: 0.0,
        inverted: false,
        mirrored: false,
        quarter_turns: 0,
        opinion_visible: false,
        opinion: None,
    };
}

/// Returns whether a film lay as stored in this respect, which needs no words.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
