//! What can be typed: one file a group of commands. Nothing here knows the commands themselves.

mod films;
mod label;
mod machine;
mod model;
mod predict;
mod pretrain;
mod readers;
mod recipe;
mod serve;
mod session;
mod simulate;
mod stage;
mod values;
mod view;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub use self::label::LabelArgs;
pub use self::machine::{BenchArgs, BenchWork, DoctorArgs, RenderArgs};
pub use self::model::{ModelArgs, ModelCommand, ModelExportArgs, ModelImportArgs, WeightsFormat};
pub use self::predict::{EmbedArgs, EvaluateArgs, PredictArgs, SaliencyMethod};
pub use self::pretrain::PretrainArgs;
pub use self::readers::{AgreementArgs, MergeArgs, ProtocolArgs};
pub use self::serve::ServeArgs;
pub use self::session::{ExportArgs, ImportArgs, ReportArgs, VerifyArgs};
pub use self::simulate::SimulateArgs;
pub use self::stage::{
    DistillArgs, FinetuneArgs, FixmatchArgs, StageArgs, StartArgs, SupervisedArgs, UnlabelledArgs,
};
use crate::device::DeviceChoice;

/// Label chest X-rays where each label teaches the model most.
///
/// Without a command it opens the window. Research software, not a medical device.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
pub struct Args {
    /// Folder of `sessions/` and `models/` [default: `PENUMBRA_HOME`, else this checkout, else the user's data folder]
    #[arg(long, global = true)]
    pub home: Option<PathBuf>,
    /// Where to compute: auto, gpu or cpu
    #[arg(long, global = true, default_value = "auto")]
    pub device: DeviceChoice,
    /// Threads that compute on the CPU [default: all cores; beside the window one is left free]
    #[arg(long, global = true)]
    pub threads: Option<usize>,
    /// What draws the window
    #[arg(long, global = true, value_enum, default_value_t = RendererChoice::Auto)]
    pub renderer: RendererChoice,
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What draws the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RendererChoice {
    /// The graphics card; without one OpenGL, which is faster in software
    Auto,
    /// Vulkan, Metal or DirectX
    Wgpu,
    /// OpenGL, for machines whose Vulkan driver is broken
    Glow,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open the window on a session; --images makes a new one
    Label(LabelArgs),
    /// Show devices, folders and models, and test that the devices compute correctly
    Doctor(DoctorArgs),
    /// Index a folder of films into a new session, or enter labels of another program; says what was refused and why
    Import(ImportArgs),
    /// Pretrain an encoder without labels (SimCLR v2, VICReg or BYOL)
    Pretrain(PretrainArgs),
    /// Fine-tune a pretrained encoder on labelled films, and say by cross-validation what that is worth
    Finetune(FinetuneArgs),
    /// Teach a student what classifiers say of labelled and unlabelled films
    Distill(DistillArgs),
    /// Learn from labelled and unlabelled films (FixMatch)
    Fixmatch(FixmatchArgs),
    /// Learn from labels alone
    Supervised(SupervisedArgs),
    /// Write the features of films as .npy
    Embed(EmbedArgs),
    /// Classify films, and draw what speaks for each answer
    Predict(PredictArgs),
    /// Write a film as the window shows it, as 8-bit grey PNG of its own size
    Render(RenderArgs),
    /// Serve a page in the browser that classifies films, and its JSON API
    Serve(ServeArgs),
    /// Measure a classifier on labelled films
    Evaluate(EvaluateArgs),
    /// Replay active learning with labels that are known
    Simulate(SimulateArgs),
    /// Write the labelled set of a session
    Export(ExportArgs),
    /// Write a session as one HTML file: data, readers, curves, model card, head of the log
    Report(ReportArgs),
    /// List, show, import or export models
    Model(ModelArgs),
    /// Say or show how several readers work on a session: second readings, consensus, when the model's opinion is shown
    Protocol(ProtocolArgs),
    /// Join copies of a session that were read apart
    Merge(MergeArgs),
    /// Measure how far readers agree with each other, with themselves and with the model
    Agreement(AgreementArgs),
    /// Check that a session's log, or a release bundle, is whole and unaltered
    Verify(VerifyArgs),
    /// Measure how fast this machine trains or runs an encoder
    Bench(BenchArgs),
}
