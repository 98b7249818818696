//! The features of the films of a stage, which a head is fitted on.

use crate::dataset::Labelled;
use crate::dataset::lesson::Lesson;
use crate::dataset::planes::PlaneStore;
use crate::device::Compute;
use crate::features::{Block, Space, SpaceFilms};
use crate::learn::Flow;
use crate::model::{LinearHead, Start};
use crate::predict::embed;

/// Embeds the films with what the stage starts from.
///
/// # Errors
/// Fails if the device failed.
pub fn embedded(
    start: &Start,
    lesson: &Lesson,
    store: &PlaneStore,
    compute: &Compute,
) -> anyhow::Result<Space> {
    let (size, device, go_on) = (start.preprocess.size, &compute.device, &mut |_| Flow::Continue);
    let features = embed(&start.network.encoder, store, &lesson.rows(), size, device, go_on)?;
    let block = Block { features, parts: start.architecture.embedding_blocks().to_vec() };
    let films = SpaceFilms {
        patients: lesson.films.patients.clone(),
        classes: lesson.classes(),
        unreadable: Vec::new(),
    };
    Ok(Space::new(vec![block], films)?)
}

/// [`embedded`], or nothing where the start has random weights: a head on their features says little.
///
/// # Errors
/// Fails if the device failed.
pub fn of_pretrained(
    start: &Start,
    lesson: &Lesson,
    store: &PlaneStore,
    compute: &Compute,
) -> anyhow::Result<Option<Space>> {
    start.parent.as_ref().map(|_| embedded(start, lesson, store, compute)).transpose()
}

/// Returns what fits a head to some of the labels, where there are features for it.
///
/// # Errors
/// Fails as stopped, which nothing asks for.
pub fn head_fit<'s>(
    space: Option<&'s Space>,
    lesson: &Lesson,
) -> anyhow::Result<Option<impl Fn(&Labelled) -> LinearHead + use<'s>>> {
    let fit = |space: &'s Space| space.head_fit(&lesson.labelled, &mut || Flow::Continue);
    Ok(space.map(fit).transpose()?)
}
