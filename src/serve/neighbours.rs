//! Labelled films of a session: which are most like a film, and where it lies among them, by the first model's embeddings.

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::compute::Served;
use super::decoding::Preview;
use crate::dataset::planes::PlaneStore;
use crate::dataset::planes::source_preprocess;
use crate::features::{Block, Embeddings, Pca, Space, SpaceFilms, nearest};
use crate::imaging::decode;
use crate::learn::Flow;
use crate::study::Workspace;

/// Films that are shown as the most alike.
const COUNT: usize = 4;
/// Longest edge of such a film, in pixels.
const EDGE: u32 = 160;

/// The labelled films of a session, embedded.
pub struct Neighbours {
    space: Space,
    /// Widths of the parts that a row of features is made of.
    parts: Vec<usize>,
    directions: Embeddings,
    /// Label and picture of each.
    films: Vec<(String, Preview)>,
    axes: Pca,
    map: FilmMap,
}

/// Where the labelled films lie along the first two principal components of their directions from the mean.
#[derive(Debug, Serialize)]
pub(super) struct FilmMap {
    /// Share of the films' variance that the two hold, in 0..=1.
    explained: f32,
    films: Vec<MapFilm>,
}

#[derive(Debug, Serialize)]
struct MapFilm {
    label: String,
    place: [f32; 2],
}

/// What the labelled films say of a film.
#[derive(Debug, Serialize)]
pub(super) struct Among {
    /// The most alike, first the nearest.
    pub neighbours: Vec<Neighbour>,
    /// Where the film lies on the map.
    pub place: [f32; 2],
}

/// A labelled film that is like the one asked for.
#[derive(Debug, Serialize)]
pub(super) struct Neighbour {
    label: String,
    /// Cosine of the angle between the embeddings, centred on the session's labelled films.
    similarity: f32,
    preview: Preview,
}

impl Neighbours {
    /// Embeds the labelled films of a session with a model; `threads` decode.
    ///
    /// # Errors
    /// Fails if there are fewer than two, or if one cannot be read any more.
    pub fn of_session(
        workspace: &Workspace,
        model: &Served,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let (labels, classes) = (workspace.label_set(None), workspace.class_names());
        ensure!(labels.rows.len() > 1, "the session has fewer than two labelled films");
        let file = |&row: &usize| workspace.films[row].file.clone();
        let files: Vec<String> = labels.rows.iter().map(file).collect();
        let preprocess = source_preprocess(model.predictor.card.preprocess);
        let go_on = &|_, _| Flow::Continue;
        let (store, refused) =
            PlaneStore::load(&workspace.images, &files, &preprocess, threads, go_on)?;
        if let Some(film) = refused.first() {
            anyhow::bail!("a labelled film cannot be read: {film}");
        }
        let rows: Vec<usize> = (0..store.len()).collect();
        let features = model.predictor.embed(&store, &rows, &mut |_| Flow::Continue)?;
        let parts = model.predictor.card.architecture.embedding_blocks().to_vec();
        // Nothing is learnt here, so it does not matter who the patients are.
        let (patients, block) = (files.clone(), Block { features, parts: parts.clone() });
        let films = SpaceFilms { patients, classes: classes.len(), unreadable: Vec::new() };
        let space = Space::new(vec![block], films)?;
        let films = files.iter().zip(&labels.classes).map(|(file, &class)| {
            let film = decode(&workspace.images.join(file))?;
            let preview = Preview::of(&film, EDGE).context("a film cannot be made small")?;
            Ok((classes[class].clone(), preview))
        });
        let films: Vec<(String, Preview)> = films.collect::<anyhow::Result<_>>()?;
        let directions = space.features().normalised();
        let axes = Pca::fit(&directions, 2, 0);
        let places = places(&axes, &directions).into_iter();
        let on_map = |(place, (label, _)): ([f32; 2], &(String, Preview))| MapFilm {
            label: label.clone(),
            place,
        };
        let map = FilmMap {
            explained: axes.explained(&directions, 2) as f32,
            films: places.zip(&films).map(on_map).collect(),
        };
        Ok(Self { space, parts, directions, films, axes, map })
    }

    /// Returns where the labelled films lie.
    pub(super) fn map(&self) -> &FilmMap {
        &self.map
    }

    /// Returns how many films there are.
    pub(super) fn len(&self) -> usize {
        self.films.len()
    }

    /// Returns the films most like an embedding, and where it lies among all; nothing for one of another length.
    pub(super) fn of(&self, embedding: Vec<f32>) -> Option<Among> {
        let query = Embeddings::new(self.directions.dim(), embedding).ok()?;
        let block = Block { features: query, parts: self.parts.clone() };
        let query = self.space.place(vec![block]).ok()?.normalised();
        let found = nearest(&self.directions, &query, COUNT, false);
        let neighbour = |place: usize| {
            let row = self.directions.row(place);
            let similarity = row.iter().zip(&*query.row(0)).map(|(a, b)| a * b).sum();
            let (label, preview) = self.films[place].clone();
            Neighbour { label, similarity, preview }
        };
        let neighbours = found.into_iter().map(neighbour).collect();
        Some(Among { neighbours, place: places(&self.axes, &query).into_iter().next()? })
    }
}

/// Returns where films lie along two axes, 0 along one that there is not.
fn places(axes: &Pca, directions: &Embeddings) -> Vec<[f32; 2]> {
    let scores = axes.apply(directions);
    let of = |film: usize| {
        let axis = |axis: usize| (axis < axes.count()).then(|| scores[film * axes.count() + axis]);
        [0, 1].map(|number| axis(number).unwrap_or_default())
    };
    (0..directions.len()).map(of).collect()
}
