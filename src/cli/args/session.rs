//! Arguments of the commands that fill, write or check a session.

use std::path::PathBuf;

use super::values::{ClassSet, classes, share};
use crate::session::export::{Format, Shares};
use crate::study::workspace::AUDIT_SHARE;

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

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Session
    #[arg(long)]
    pub session: String,
    /// File to write [default: the session's name with .html, in the current folder]
    #[arg(long)]
    pub out: Option<PathBuf>,
}
