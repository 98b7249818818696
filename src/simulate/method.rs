//! How a simulation learns from the labels bought so far: the methods by name, and the settings of each.
//!
//! A method is an entry of [`METHODS`] and an arm in [`Method::recipe`], which gives its settings; [`super::methods`] carries
//! them out. The settings are part of the name under which a cell is stored. What no method sets, such as the rule by which
//! penalties are chosen anew, is the program's code and stands for its build.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::learn::distill::DistillConfig;
use crate::learn::finetune::FinetuneConfig;
use crate::learn::fixmatch::FixMatchConfig;
use crate::learn::pseudo_labels::PseudoLabelConfig;
use crate::learn::supervised::SupervisedConfig;

/// Seed of the search for the hand-made features' components: they are the pool's, whatever the draw.
const HANDMADE_SEED: u64 = 0;
/// Films in a step of SimCLR v2's fine-tuning, as the published system had it.
const SIMCLR_BATCH: usize = 32;
/// Width of the small student over the encoder's.
const SMALL: f32 = 0.5;

/// How a simulation learns from the labels bought so far. A variant of a method is typed behind a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Logistic head on the pretrained features.
    Head,
    /// Fine-tuned encoder.
    Finetune(Finetuning),
    /// Student that is taught on the whole pool.
    Distill(Student),
    /// FixMatch on the whole pool.
    Fixmatch(PseudoLabels),
    /// Labels alone, from random weights.
    Supervised,
    /// Several of them together.
    Ensemble,
    /// Logistic head on hand-made features: the floor.
    LinearFloor,
}

/// How the encoder is fine-tuned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finetuning {
    /// As the program does it.
    Own,
    /// As SimCLR v2 does it.
    Simclr,
}

/// Who is taught, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Student {
    /// The fine-tuned network by itself.
    Tuned,
    /// The fine-tuned network by the ensemble.
    OfEnsemble,
    /// A narrower network from random weights by the ensemble's student.
    Small,
}

/// Which pseudo-labels are taken, and what learns from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PseudoLabels {
    /// The sure ones, from the encoder.
    Sure,
    /// Those above FreeMatch's threshold, from the encoder.
    Adaptive,
    /// The sure ones, from random weights.
    Scratch,
}

/// A method as it is typed.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// The method.
    pub method: Method,
    /// What it is.
    pub about: &'static str,
}

const fn named(name: &'static str, method: Method, about: &'static str) -> Named {
    Named { name, method, about }
}

/// Every method.
pub const METHODS: [Named; 12] = [
    named("head", Method::Head, "Logistic head on the pretrained features"),
    named(
        "finetune",
        Method::Finetune(Finetuning::Own),
        "Encoder fine-tuned beside the head, stopped and calibrated by cross-validation, half-way back to the start",
    ),
    named(
        "finetune:simclr",
        Method::Finetune(Finetuning::Simclr),
        "Fine-tuned as SimCLR v2 does it: no head, LARS, mirror images alone",
    ),
    named(
        "distill",
        Method::Distill(Student::Tuned),
        "Student taught by the fine-tuned network on the whole pool",
    ),
    named(
        "distill:ensemble",
        Method::Distill(Student::OfEnsemble),
        "Student that starts from the fine-tuned network, taught by the ensemble on the whole pool",
    ),
    named(
        "distill:small",
        Method::Distill(Student::Small),
        "Student of half the width from random weights, taught by the ensemble's student on the whole pool",
    ),
    named(
        "fixmatch",
        Method::Fixmatch(PseudoLabels::Sure),
        "FixMatch on the whole pool, from the pretrained encoder",
    ),
    named(
        "fixmatch:adaptive",
        Method::Fixmatch(PseudoLabels::Adaptive),
        "The same with FreeMatch's adaptive threshold",
    ),
    named(
        "fixmatch:scratch",
        Method::Fixmatch(PseudoLabels::Scratch),
        "FixMatch on the whole pool, from random weights; the head on the pretrained features estimates the prior",
    ),
    named("supervised", Method::Supervised, "Labels alone, from random weights"),
    named(
        "ensemble",
        Method::Ensemble,
        "The mean of the logits of the head, the fine-tuned network and labels alone, these brought to the head's shares",
    ),
    named(
        "linear-floor",
        Method::LinearFloor,
        "Logistic head on hand-made features, gradients and pixels: the floor",
    ),
];

impl Method {
    /// Returns the name used on the command line and in files.
    pub fn name(self) -> &'static str {
        METHODS.iter().find(|known| known.method == self).map_or("", |known| known.name)
    }

    /// Returns the method's settings for an encoder of this input size and an optimisation seed.
    pub fn recipe(self, size: u32, seed: u64) -> Recipe {
        match self {
            Self::Head => Recipe::Head,
            Self::Finetune(Finetuning::Own) => Recipe::Finetune(Tuning::own(size, seed)),
            Self::Finetune(Finetuning::Simclr) => Recipe::Finetune(Tuning::simclr(size, seed)),
            Self::Distill(student) => Recipe::Distill(Box::new(student.recipe(size, seed))),
            Self::Fixmatch(labels) => Recipe::Fixmatch(labels.recipe(size, seed)),
            Self::Supervised => Recipe::Supervised(SupervisedConfig::from_scratch(size, seed)),
            Self::Ensemble => Recipe::Ensemble(Box::new(Ensemble::new(size, seed))),
            Self::LinearFloor => Recipe::LinearFloor { seed: HANDMADE_SEED },
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = METHODS.iter().find(|known| known.name == text);
        known.map(|known| known.method).ok_or_else(|| format!("there is no method {text:?}"))
    }
}

impl Student {
    fn recipe(self, size: u32, seed: u64) -> Teaching {
        let (tuning, ensemble) = (Tuning::own(size, seed), Ensemble::new(size, seed));
        let distill = DistillConfig::standard(size, seed);
        let (teacher, start) = match self {
            Self::Tuned => (Teacher::Tuned(tuning.clone()), StudentStart::Tuned(tuning)),
            Self::OfEnsemble => {
                (Teacher::Ensemble(Box::new(ensemble)), StudentStart::Tuned(tuning))
            }
            Self::Small => {
                let distill = DistillConfig::from_scratch(size, seed);
                let teacher = Teacher::Student(Box::new(Self::OfEnsemble.recipe(size, seed)));
                return Teaching { teacher, start: StudentStart::Random { width: SMALL }, distill };
            }
        };
        Teaching { teacher, start, distill }
    }
}

impl PseudoLabels {
    fn recipe(self, size: u32, seed: u64) -> PseudoLabelling {
        let from_encoder = FixMatchConfig::from_encoder(size, seed);
        match self {
            Self::Sure => PseudoLabelling { encoder: true, fixmatch: from_encoder },
            Self::Adaptive => {
                let pseudo_labels = PseudoLabelConfig::adaptive();
                let fixmatch = FixMatchConfig { pseudo_labels, ..from_encoder };
                PseudoLabelling { encoder: true, fixmatch }
            }
            Self::Scratch => {
                let fixmatch = FixMatchConfig::from_scratch(size, seed);
                PseudoLabelling { encoder: false, fixmatch }
            }
        }
    }
}

/// A method's settings, the seed of the optimisation among them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// The head has none of its own.
    Head,
    /// Of the floor.
    LinearFloor {
        /// Seed of the hand-made features' components.
        seed: u64,
    },
    /// Of fine-tuning.
    Finetune(Tuning),
    /// Of a student.
    Distill(Box<Teaching>),
    /// Of FixMatch.
    Fixmatch(PseudoLabelling),
    /// Of labels alone.
    Supervised(SupervisedConfig),
    /// Of the ensemble.
    Ensemble(Box<Ensemble>),
}

/// How the encoder is fine-tuned.
#[derive(Clone, Debug, Serialize)]
pub struct Tuning {
    /// The stage's own settings.
    pub finetune: FinetuneConfig,
    /// Brings the class shares and the confidence over the pool to the head's.
    pub pool_means_of_head: bool,
}

impl Tuning {
    fn own(size: u32, seed: u64) -> Self {
        let finetune = FinetuneConfig::standard(size, seed);
        Self { finetune, pool_means_of_head: true }
    }

    fn simclr(size: u32, seed: u64) -> Self {
        let finetune = FinetuneConfig::simclr(size, SIMCLR_BATCH, seed);
        Self { finetune, pool_means_of_head: false }
    }
}

/// Which networks stand beside the head in an ensemble.
#[derive(Clone, Debug, Serialize)]
pub struct Ensemble {
    /// The fine-tuned one.
    pub tuning: Tuning,
    /// The one that learns from labels alone.
    pub labels_alone: SupervisedConfig,
}

impl Ensemble {
    fn new(size: u32, seed: u64) -> Self {
        let labels_alone = SupervisedConfig::from_scratch(size, seed);
        Self { tuning: Tuning::own(size, seed), labels_alone }
    }
}

/// How a student is taught on the whole pool.
#[derive(Clone, Debug, Serialize)]
pub struct Teaching {
    /// Whose opinion it learns.
    pub teacher: Teacher,
    /// What it starts from.
    pub start: StudentStart,
    /// The stage's own settings.
    pub distill: DistillConfig,
}

/// Whose opinion a student learns.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Teacher {
    /// The fine-tuned network's.
    Tuned(Tuning),
    /// The ensemble's.
    Ensemble(Box<Ensemble>),
    /// Another student's.
    Student(Box<Teaching>),
}

/// What a student starts from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StudentStart {
    /// The fine-tuned network.
    Tuned(Tuning),
    /// Random weights.
    Random {
        /// Width over the encoder's.
        width: f32,
    },
}

/// How pseudo-labels are learnt from.
#[derive(Clone, Debug, Serialize)]
pub struct PseudoLabelling {
    /// Starts from the pretrained encoder and the head; else from random weights.
    pub encoder: bool,
    /// The stage's own settings.
    pub fixmatch: FixMatchConfig,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_its_method_and_no_settings_are_shared() {
        let mut settings = std::collections::BTreeSet::new();
        for Named { name, method, .. } in METHODS {
            assert_eq!(name.parse(), Ok(method));
            assert_eq!(method.to_string(), name);
            settings.insert(serde_json::to_string(&method.recipe(64, 1)).unwrap());
        }
        assert_eq!(settings.len(), METHODS.len());
        assert!("propagation".parse::<Method>().is_err());
    }
}
