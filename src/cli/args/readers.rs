//! Arguments of the commands for several readers.

use super::values::share;
use crate::session::{OpinionRule, Rule};

/// Arguments of `agreement`.
#[derive(Debug, clap::Args)]
pub struct AgreementArgs {
    /// Session
    #[arg(long)]
    pub session: String,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `merge`.
#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// Sessions, by name or folder
    #[arg(required = true, num_args = 2..)]
    pub sessions: Vec<String>,
    /// Name of the new session
    #[arg(long)]
    pub out: String,
}

/// Arguments of `protocol`. What is not given stays as it is.
#[derive(Debug, clap::Args)]
pub struct ProtocolArgs {
    /// Session
    #[arg(long)]
    pub session: String,
    /// Share of films that several readers read, drawn by chance; above 0 all films of the random stream too
    #[arg(long, value_name = "S", value_parser = share)]
    pub double_share: Option<f32>,
    /// Share of the other films that a further reader reads because the model doubts the answer
    #[arg(long, value_name = "S", value_parser = share)]
    pub doubt_share: Option<f32>,
    /// Readers of a film that several read; 0 for all
    #[arg(long, value_name = "N")]
    pub readers: Option<u32>,
    /// Share of their own films that readers are given again, without being told
    #[arg(long, value_name = "S", value_parser = share)]
    pub reread_share: Option<f32>,
    /// Films that a reader answers before one comes again
    #[arg(long, value_name = "N")]
    pub reread_after: Option<u32>,
    /// Days that pass before a film comes again
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..36_500))]
    pub reread_days: Option<u32>,
    /// What counts where several have read a film: unanimous, majority or adjudicator
    #[arg(long)]
    pub consensus: Option<Rule>,
    /// When readers are shown the model's opinion: before, after, never, or randomised by film and reader
    #[arg(long)]
    pub opinion: Option<OpinionRule>,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}
