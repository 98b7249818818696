//! Arguments of `pretrain`.

use std::path::PathBuf;

use super::films::FilmsArgs;
use super::recipe::RecipeArgs;
use super::values::{at_least_one, fit};
use super::view::ViewArgs;
use crate::imaging::Fit;
use crate::model::{Network, Stem};

/// Arguments of `pretrain`.
#[derive(Debug, clap::Args)]
pub struct PretrainArgs {
    #[command(flatten)]
    pub films: FilmsArgs,
    /// Name of the new model
    #[arg(long)]
    pub out: String,
    /// Encoder: resnet18, 34, 50, 101 or 152; with -sk for selective kernels, as resnet50-sk
    #[arg(long, default_value = "resnet18")]
    pub arch: Network,
    /// Width multiplier of the encoder
    #[arg(long, default_value_t = 0.5)]
    pub width: f32,
    /// First layers of the encoder: standard, small or cifar
    #[arg(long, default_value = "small")]
    pub stem: Stem,
    /// Edge of a view in pixels
    #[arg(long, default_value_t = 64)]
    pub size: u32,
    /// How a film that is not square is fitted: pad or crop
    #[arg(long, default_value = "pad", value_parser = fit)]
    pub fit: Fit,
    /// Passes over the films
    #[arg(long, default_value_t = 100)]
    pub epochs: u32,
    /// Films in a step
    #[arg(long, default_value_t = 128)]
    pub batch: usize,
    /// Seed of weights, order and views
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub views: ViewArgs,
    #[command(flatten)]
    pub running: RunningArgs,
}

/// How `pretrain` runs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Running")]
pub struct RunningArgs {
    /// Go on from the last checkpoint, as if there had been no interruption
    #[arg(long)]
    pub resume: bool,
    /// Steps between checkpoints [default: five minutes]; there is one at the end of each epoch in any case
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub checkpoint_steps: Option<u64>,
    /// Compute a batch in N parts one after the other, for want of memory; gradients are averaged, batch norms and
    /// contrastive losses see one part at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub accumulate: usize,
    /// Compute the parts of a batch on N GPUs of this machine side by side; they are cut as by --accumulate, and both
    /// multiply
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub devices: usize,
    /// Look on with the labels of this split: accuracy and AUROC of frozen features, cross-validated by patient. Nothing
    /// is learnt from or chosen by them; without a --probe flag no label is looked at
    #[arg(long, value_name = "SPLIT")]
    pub probe_split: Option<String>,
    /// Labels file to look on with [default: --labels]
    #[arg(long, value_name = "CSV")]
    pub probe_labels: Option<PathBuf>,
    /// Folder of the films to look on with [default: --images]
    #[arg(long, value_name = "DIR")]
    pub probe_images: Option<PathBuf>,
    /// Epochs between two looks [default: a twentieth of --epochs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub probe_every: Option<u32>,
}
