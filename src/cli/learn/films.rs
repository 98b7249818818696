//! The films of a stage, found and read with a bar on the terminal.

use std::sync::Arc;

use anyhow::bail;

use crate::cli::args::{StageArgs, UnlabelledArgs};
use crate::cli::films::{bar, find, load as read, name, progress};
use crate::config::Home;
use crate::dataset::lesson::{Lesson, LessonError};
use crate::dataset::planes::{PlaneStore, source_preprocess};
use crate::imaging::Preprocess;

/// Finds the labelled films.
///
/// # Errors
/// Fails if the labels file cannot be read or nothing is left.
pub fn labelled(home: &Home, args: &StageArgs) -> anyhow::Result<Lesson> {
    Ok(Lesson::of(find(home, &args.films())?))
}

/// Finds the labelled and the unlabelled films.
///
/// # Errors
/// Fails if the labels file or the folder cannot be read, or there is none without a label.
pub fn with_unlabelled(
    home: &Home,
    args: &StageArgs,
    unlabelled: &UnlabelledArgs,
) -> anyhow::Result<Lesson> {
    let (lesson, set) = (labelled(home, args)?, args.films());
    let split = unlabelled.unlabelled_split.as_deref();
    let bar = bar("indexing films");
    let found =
        lesson.and_unlabelled(home, &set, split, &|done, total| progress(&bar, done, total));
    bar.finish_and_clear();
    match found {
        Ok((lesson, refused)) => {
            name(&refused);
            Ok(lesson)
        }
        Err(LessonError::NoneUnlabelled(images)) => bail!(
            "there are no films without a label; name their split with --unlabelled-split: {}",
            images.display()
        ),
        Err(error) => Err(error.into()),
    }
}

/// Reads the films as a network of this input sees them.
///
/// # Errors
/// Fails if a film cannot be read.
pub fn load(
    lesson: &Lesson,
    preprocess: Preprocess,
    threads: usize,
) -> anyhow::Result<Arc<PlaneStore>> {
    Ok(read(&lesson.films, source_preprocess(preprocess), threads)?)
}
