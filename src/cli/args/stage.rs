//! What can be typed about a stage of learning: its films, what it starts from, how it learns.

use std::path::PathBuf;

use super::values::{at_least_one, at_least_two, fit, positive, share};
use crate::dataset::films::FilmSet;
use crate::imaging::Fit;
use crate::learn::pseudo_labels::Threshold;
use crate::model::{Network, Stem};

/// Labelled films and the model that is made of them.
#[derive(Clone, Debug, clap::Args)]
pub struct StageArgs {
    /// Folder of films
    #[arg(long)]
    pub images: PathBuf,
    /// Labels file with the columns file and label; also patient and split, if there
    #[arg(long)]
    pub labels: PathBuf,
    /// Only labels of this split of the labels file
    #[arg(long)]
    pub split: Option<String>,
    /// Only the first N labels
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Name of the new model
    #[arg(long)]
    pub out: String,
    /// Seed of order and views, and of random weights
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

impl StageArgs {
    /// Returns which films have the labels that are wanted.
    pub fn films(&self) -> FilmSet {
        let Self { images, labels, split, limit, .. } = self.clone();
        FilmSet { images, labels: Some(labels), split, limit }
    }
}

/// Films without labels.
#[derive(Clone, Debug, clap::Args)]
pub struct UnlabelledArgs {
    /// Split of the labels file whose films take part without their labels [default: the films of --images that the
    /// labels file does not name]
    #[arg(long, value_name = "SPLIT")]
    pub unlabelled_split: Option<String>,
}

/// What a network starts from.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Start")]
pub struct StartArgs {
    /// Pretrained model to start from; without one, random weights of the shape that the next flags give
    #[arg(long, value_name = "NAME", conflicts_with_all = ["arch", "width", "stem", "size", "fit"])]
    pub model: Option<String>,
    /// Encoder: resnet18, 34, 50, 101 or 152; with -sk for selective kernels, as resnet50-sk
    #[arg(long, default_value = "resnet18")]
    pub arch: Network,
    /// Width multiplier of the encoder
    #[arg(long, default_value_t = 0.5)]
    pub width: f32,
    /// First layers of the encoder: standard, small or cifar
    #[arg(long, default_value = "standard")]
    pub stem: Stem,
    /// Edge of a film in pixels
    #[arg(long, default_value_t = 128)]
    pub size: u32,
    /// How a film that is not square is fitted: pad or crop
    #[arg(long, default_value = "pad", value_parser = fit)]
    pub fit: Fit,
}

/// Arguments of `finetune`.
#[derive(Clone, Debug, clap::Args)]
pub struct FinetuneArgs {
    #[command(flatten)]
    pub stage: StageArgs,
    /// Pretrained model to start from
    #[arg(long, default_value = "demo")]
    pub model: String,
    /// As SimCLR v2 does it: from the projection head's first layer alone, LARS, mirror images; without, a linear head is
    /// fitted first and learns on
    #[arg(long)]
    pub simclr: bool,
    /// The most passes over the labelled films; cross-validation says when to stop [default: 40, or 60 with --simclr, but
    /// no more than 2,000 steps of a network]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Cross-validation folds, patient by patient [default: 3]
    #[arg(long, value_name = "N", value_parser = at_least_two)]
    pub folds: Option<usize>,
    /// Each block of the encoder learns this many times as fast as the one after it, 0 to 1 [default: 1]
    #[arg(long, value_name = "D", value_parser = share, conflicts_with = "simclr")]
    pub layer_decay: Option<f32>,
}

/// Arguments of `distill`.
#[derive(Clone, Debug, clap::Args)]
pub struct DistillArgs {
    #[command(flatten)]
    pub stage: StageArgs,
    #[command(flatten)]
    pub unlabelled: UnlabelledArgs,
    /// Classifier to learn from; several with commas, whose mean teaches
    #[arg(long, value_name = "NAME", value_delimiter = ',', required = true)]
    pub teacher: Vec<String>,
    #[command(flatten)]
    pub start: StartArgs,
    /// The published system's student: a ResNet-50 from random weights, 224 px, asked about each view anew, 1,000 passes
    #[arg(long, conflicts_with_all = ["model", "arch", "width", "stem", "size", "same_view"])]
    pub original: bool,
    /// Passes over the films [default: 5 from a model, 12 from random weights, 1,000 with --original]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Films in a step [default: 32; 128 with --original]
    #[arg(long, value_name = "N", value_parser = at_least_two)]
    pub batch: Option<usize>,
    /// Temperature of teacher and student: below 1 sharper, above 1 softer [default: 1; 0.1 with --original]
    #[arg(long, value_name = "T", value_parser = positive)]
    pub temperature: Option<f64>,
    /// The greatest share of another film that is mixed into each, 0 to 1 [default: 0.5; 0 with --original]
    #[arg(long, value_name = "S", value_parser = share)]
    pub mixup: Option<f32>,
    /// Ask the teachers about the very view that the student sees, instead of once about each film
    #[arg(long)]
    pub same_view: bool,
    /// Go on from the checkpoint that an interrupted run has left
    #[arg(long)]
    pub resume: bool,
}

/// Arguments of `fixmatch`.
#[derive(Clone, Debug, clap::Args)]
pub struct FixmatchArgs {
    #[command(flatten)]
    pub stage: StageArgs,
    #[command(flatten)]
    pub unlabelled: UnlabelledArgs,
    #[command(flatten)]
    pub start: StartArgs,
    #[command(flatten)]
    pub steps: StepArgs,
    /// Unlabelled films in a step for each labelled one; 7 in the paper [default: 4]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub ratio: Option<usize>,
    /// Probability from which a pseudo-label is taught, .95 in the paper; or adaptive, FreeMatch's
    #[arg(long, value_name = "P|adaptive", default_value = "0.95", value_parser = threshold)]
    pub threshold: Threshold,
    /// Leave predictions as they are instead of aligning their mean with the prior; with --unbalanced, FixMatch as
    /// published
    #[arg(long)]
    pub unaligned: bool,
    /// Let all pseudo-labels weigh the same, also where one class has more of them than its share
    #[arg(long)]
    pub unbalanced: bool,
    /// Expected share of each class among all films, in alphabetical order [default: the labels' own, which is right for
    /// films labelled at random]
    #[arg(long, value_name = "P,P,…", value_delimiter = ',', value_parser = positive)]
    pub prior: Option<Vec<f64>>,
}

/// Arguments of `supervised`.
#[derive(Clone, Debug, clap::Args)]
pub struct SupervisedArgs {
    #[command(flatten)]
    pub stage: StageArgs,
    #[command(flatten)]
    pub start: StartArgs,
    #[command(flatten)]
    pub steps: StepArgs,
}

/// How long a network learns, and how fast.
#[derive(Clone, Debug, clap::Args)]
pub struct StepArgs {
    /// Steps [default: 500; of labels alone 1,500 or forty passes, whichever is more]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// Labelled films in a step [default: 16; of labels alone 32]
    #[arg(long, value_name = "N", value_parser = at_least_two)]
    pub batch: Option<usize>,
    /// Peak learning rate of the encoder [default: 0.0003 with AdamW from a model, 0.03 with momentum from random weights]
    #[arg(long, value_parser = positive)]
    pub rate: Option<f64>,
}

fn threshold(text: &str) -> Result<Threshold, String> {
    if text == "adaptive" {
        return Ok(Threshold::Adaptive);
    }
    let least = text.parse().ok().filter(|least| (0.0..=1.0).contains(least));
    least.map(Threshold::Fixed).ok_or_else(|| "a threshold is adaptive or in 0..=1".to_owned())
}
