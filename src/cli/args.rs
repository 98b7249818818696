//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::model_args::ModelArgs;
use super::readers_args::{AgreementArgs, MergeArgs, ProtocolArgs};
use super::recipe_args::RecipeArgs;
use super::report_args::ReportArgs;
use super::serve_args::ServeArgs;
use super::simulate_args::SimulateArgs;
use super::stage_args::{DistillArgs, FinetuneArgs, FixmatchArgs, SupervisedArgs};
use super::view_args::ViewArgs;
use crate::device::DeviceChoice;
use crate::engine::workspace::{AUDIT_SHARE, LABELS_PER_LEARNING, RETURN_AFTER};
use crate::imaging::Fit;
use crate::model::{Network, Stem};
use crate::session::Class;
use crate::session::export::{Format, Shares};

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

/// Films and, where needed, their labels.
#[derive(Clone, Debug, clap::Args)]
pub struct FilmsArgs {
    /// Folder of films
    #[arg(long)]
    pub images: PathBuf,
    /// Labels file with the columns file and label; also patient and split, if there
    #[arg(long)]
    pub labels: Option<PathBuf>,
    /// Only films of this split of the labels file
    #[arg(long, requires = "labels")]
    pub split: Option<String>,
    /// Only the first N films, for a quick look
    #[arg(long)]
    pub limit: Option<usize>,
}

/// Arguments of `label`.
#[derive(Debug, clap::Args)]
pub struct LabelArgs {
    /// Session to open
    #[arg(long, default_value = "demo")]
    pub session: String,
    /// Folder of films, for a new session, which --session names
    #[arg(long)]
    pub images: Option<PathBuf>,
    /// Pretrained model to embed films with [default: the one that the session has been read with, at first demo]
    #[arg(long)]
    pub model: Option<String>,
    /// Share of films drawn at random for an unbiased accuracy, for a new session
    #[arg(long, default_value_t = AUDIT_SHARE, value_parser = share)]
    pub audit_share: f32,
    /// What a film can show, for a new session: binary (normal, pneumonia), who (the WHO's conclusions) or
    /// NAME=KEY[:#RRGGBB],…; uninterpretable is an answer beside them
    #[arg(long, default_value = "binary", value_parser = classes)]
    pub classes: ClassSet,
    /// Who reads [default: who read last on this machine; where several have, the window asks]
    #[arg(long, value_name = "NAME", value_parser = reader)]
    pub reader: Option<String>,
    /// Films after which one that was put off comes back; 0 for when all others are read
    #[arg(long, value_name = "N", default_value_t = RETURN_AFTER)]
    pub later_after: usize,
    /// New labels after which models are trained in the background; 0 for only when asked
    #[arg(long, default_value_t = LABELS_PER_LEARNING)]
    pub learn_every: usize,
    /// Teach a student on the whole pool after fine-tuning, and use it in place of its teacher: minutes more, and no better
    /// where it was measured
    #[arg(long)]
    pub distill: bool,
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

fn window(text: &str) -> Result<(f64, f64), String> {
    let (centre, width) = text.split_once(',').ok_or("give centre and width, as in 2048,4096")?;
    match (centre.trim().parse::<f64>(), width.trim().parse::<f64>()) {
        (Ok(centre), Ok(width)) if centre.is_finite() && width.is_finite() && width >= 1.0 => {
            Ok((centre, width))
        }
        _ => Err("centre and width are numbers, the width at least 1".to_owned()),
    }
}

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// Folder of films, for a new session
    #[arg(required_unless_present = "labels")]
    pub images: Option<PathBuf>,
    /// Session to make; without a folder of films, the one that labels are entered in
    #[arg(long)]
    pub session: String,
    /// Labels to enter: a CSV with the columns file and label, perhaps reader, or a JSON export of Label Studio
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Reader of labels that name none
    #[arg(long, default_value = "import", requires = "labels")]
    pub reader: String,
    /// Enter the labels that can be, where others cannot
    #[arg(long, requires = "labels")]
    pub keep_going: bool,
    /// Labelled films to measure on: their folder
    #[arg(long, requires = "reference_labels")]
    pub reference_images: Option<PathBuf>,
    /// Labelled films to measure on: their labels file
    #[arg(long, requires = "reference_images")]
    pub reference_labels: Option<PathBuf>,
    /// Regular expression whose first group is the patient, matched against the file's path
    #[arg(long)]
    pub patient: Option<String>,
    /// Share of films drawn at random for an unbiased accuracy
    #[arg(long, default_value_t = AUDIT_SHARE, value_parser = share)]
    pub audit_share: f32,
    /// What a film can show: binary (normal, pneumonia), who (the WHO's conclusions) or NAME=KEY[:#RRGGBB],…;
    /// uninterpretable is an answer beside them
    #[arg(long, default_value = "binary", value_parser = classes)]
    pub classes: ClassSet,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

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

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Session
    #[arg(long)]
    pub session: String,
    /// csv, jsonl, parquet, coco, npz (224 pixels; npz:64 for 64), folder; several with commas
    #[arg(long, value_delimiter = ',', default_value = "csv")]
    pub format: Vec<Format>,
    /// Write a sealed release instead: labels of each reader and their consensus, splits, card, log, checksums
    #[arg(long, conflicts_with = "format")]
    pub bundle: bool,
    /// Percent of the patients for training, validation and test
    #[arg(long, value_name = "P,P,P", default_value_t = Shares::default(), requires = "bundle")]
    pub splits: Shares,
    /// Seed of the splits
    #[arg(long, value_name = "N", default_value_t = 0, requires = "bundle")]
    pub split_seed: u64,
    /// Folder to write
    #[arg(long)]
    pub out: PathBuf,
}

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Session
    #[arg(long, required_unless_present = "bundle")]
    pub session: Option<String>,
    /// Bundle of `export --bundle`; with --session, the log must hold every line that was sealed
    #[arg(long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Head noted earlier: the log must hold every line up to it
    #[arg(long, value_name = "HASH", requires = "session")]
    pub head: Option<String>,
}

/// What a film can show.
#[derive(Clone, Debug)]
pub struct ClassSet(pub Vec<Class>);

fn classes(text: &str) -> Result<ClassSet, String> {
    Class::parse_set(text).map(ClassSet)
}

fn reader(text: &str) -> Result<String, String> {
    crate::config::readers::check(text).map(str::to_owned)
}

pub(super) fn share(text: &str) -> Result<f32, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is between 0 and 1".to_owned())
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "this is a number from 1".to_owned())
}

pub(super) fn at_least_two(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 1).ok_or_else(|| "this is a number from 2".to_owned())
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number =
        text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "this is a number above 0".to_owned())
}

pub(super) fn fit(text: &str) -> Result<Fit, String> {
    match text {
        "pad" => Ok(Fit::Pad),
        "crop" => Ok(Fit::Crop),
        _ => Err("a film is fitted by pad or crop".to_owned()),
    }
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
