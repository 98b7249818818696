//! What can be typed about the films of a command.

use std::path::PathBuf;

use crate::dataset::films::FilmSet;

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

impl FilmsArgs {
    /// Returns which films are wanted.
    pub fn set(&self) -> FilmSet {
        let Self { images, labels, split, limit } = self.clone();
        FilmSet { images, labels, split, limit }
    }
}
