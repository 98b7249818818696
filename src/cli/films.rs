//! Films with a bar on the terminal while they are found and read.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Home;
use crate::dataset::films::{FilmSet, Films, FilmsError};
use crate::dataset::planes::PlaneStore;
use crate::dataset::{Flow, Refused};
use crate::imaging::Preprocess;

/// Finds films and names the files that are none.
///
/// # Errors
/// As [`Films::find`].
pub fn find(home: &Home, set: &FilmSet) -> Result<Films, FilmsError> {
    let bar = bar("indexing films");
    let found = Films::find(home, set, &|done, total| progress(&bar, done, total));
    bar.finish_and_clear();
    let (films, refused) = found?;
    name(&refused);
    Ok(films)
}

/// Names files that are no films.
pub fn name(refused: &[Refused]) {
    for film in refused {
        eprintln!("refused: {film}");
    }
}

/// Reads films into memory.
///
/// # Errors
/// As [`Films::load`].
pub fn load(
    films: &Films,
    preprocess: Preprocess,
    threads: usize,
) -> Result<Arc<PlaneStore>, FilmsError> {
    let bar = bar("reading films");
    let store = films.load(preprocess, threads, &|done, total| {
        progress(&bar, done, total);
        Flow::Continue
    });
    bar.finish_and_clear();
    store
}

/// Makes a progress bar that says what is done, of how much, and how long it still takes.
pub fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg:32} {bar:30} {pos}/{len}  {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Shows how many of how many films are done.
pub fn progress(bar: &ProgressBar, done: usize, total: usize) {
    bar.set_length(total as u64);
    bar.set_position(done as u64);
}
