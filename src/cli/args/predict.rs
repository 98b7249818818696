//! Arguments of the commands that use a model.

use std::path::PathBuf;

use clap::ValueEnum;

use super::films::FilmsArgs;
use super::values::share;

/// Arguments of `embed`.
#[derive(Debug, clap::Args)]
pub struct EmbedArgs {
    #[command(flatten)]
    pub films: FilmsArgs,
    /// Model
    #[arg(long, default_value = "demo")]
    pub model: String,
    /// Features as .npy; the row order goes beside it as .csv
    #[arg(long)]
    pub out: PathBuf,
}

/// Arguments of `predict`.
#[derive(Debug, clap::Args)]
pub struct PredictArgs {
    /// Classifier
    #[arg(long)]
    pub model: String,
    /// Films
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Folder for maps of what speaks for each film's likeliest class: the film under the map as .png, the map alone,
    /// of the film's size, as .npy
    #[arg(long, value_name = "DIR")]
    pub saliency: Option<PathBuf>,
    /// How maps are made; occlusion needs no gradient and takes hundreds of times as long
    #[arg(long, value_enum, default_value_t = SaliencyMethod::GradCam, requires = "saliency")]
    pub method: SaliencyMethod,
    /// Class to draw instead of the likeliest
    #[arg(long, requires = "saliency")]
    pub class: Option<String>,
    /// How much of the film the map's brightest place hides, 0 to 1
    #[arg(long, default_value_t = 0.5, value_parser = share, requires = "saliency")]
    pub opacity: f32,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// How maps are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SaliencyMethod {
    /// Gradients of the class's score with respect to the network's last maps
    GradCam,
    /// What a grey square, moved over the film, takes from the class's score
    Occlusion,
}

/// Arguments of `evaluate`.
#[derive(Debug, clap::Args)]
pub struct EvaluateArgs {
    #[command(flatten)]
    pub films: FilmsArgs,
    /// Classifier
    #[arg(long)]
    pub model: String,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}
