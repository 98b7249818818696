//! Arguments of `report`.

use std::path::PathBuf;

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
