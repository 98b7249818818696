//! Flags of `penumbra model`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::values::fit;
use crate::imaging::Fit;
use crate::model::Normalisation;

/// Arguments of `model`.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    pub command: ModelCommand,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// List the models that can be loaded
    List {
        /// Report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a model is and how it was made
    Show {
        /// Model
        name: String,
        /// Report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a model from the weights of a ResNet in torchvision's layout, .safetensors or .pt
    Import(ModelImportArgs),
    /// Write a model's weights for other programs
    Export(ModelExportArgs),
}

/// Arguments of `model import`.
#[derive(Debug, clap::Args)]
pub struct ModelImportArgs {
    /// State dict
    pub file: PathBuf,
    /// Name of the new model
    #[arg(long)]
    pub out: String,
    /// Edge of the films in pixels
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u32).range(16..=1024))]
    pub size: u32,
    /// How a film that is not square is fitted: pad or crop
    #[arg(long, default_value = "pad", value_parser = fit)]
    pub fit: Fit,
    /// What the weights expect of a film: none (0 to 1) or imagenet (its mean and deviation) [default: imagenet for
    /// three input channels, none for one]
    #[arg(long)]
    pub normalise: Option<Normalisation>,
    /// Seed of the projection head, which the file does not have
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// What weights are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WeightsFormat {
    /// torchvision's names
    Safetensors,
    /// The whole network, for any ONNX runtime
    Onnx,
}

/// Arguments of `model export`.
#[derive(Debug, clap::Args)]
pub struct ModelExportArgs {
    /// Model
    pub name: String,
    /// What to write
    #[arg(long, value_enum)]
    pub format: WeightsFormat,
    /// File to write
    #[arg(long)]
    pub out: PathBuf,
}
