//! Arguments of the commands that look at the machine or at one film.

use std::path::PathBuf;

use clap::ValueEnum;

use super::values::window;
use crate::model::{Network, Stem};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `render`.
#[derive(Debug, clap::Args)]
pub struct RenderArgs {
    /// Film to show
    pub file: PathBuf,
    /// Picture to write
    #[arg(long, value_name = "PNG")]
    pub out: PathBuf,
    /// Centre and width of the window, in the file's own units [default: the file's VOI LUT or window, else percentiles]
    #[arg(long, value_name = "C,W", value_parser = window, allow_hyphen_values = true)]
    pub window: Option<(f64, f64)>,
}

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// What to measure
    #[arg(value_enum)]
    pub work: BenchWork,
    /// Encoder: resnet18, 34, 50, 101 or 152; resnet50-sk has selective kernels
    #[arg(long, default_value = "resnet18")]
    pub arch: Network,
    /// Multiplier of the channel counts
    #[arg(long, default_value_t = 1.0)]
    pub width: f32,
    /// First layers: standard, small or cifar
    #[arg(long, default_value = "standard")]
    pub stem: Stem,
    /// Edge of the films in pixels
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=1024))]
    pub size: u32,
    /// Films in a step
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch: u32,
    /// Steps measured, after three that are not
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// What `bench` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchWork {
    /// Forward, backward and a step of gradient descent
    Train,
    /// Forward alone
    Infer,
}
