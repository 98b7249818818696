//! Labelled films of a session that are most like a film, by the first model's embeddings.

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::compute::Served;
use super::decoding::Preview;
use crate::dataset::planes::PlaneStore;
use crate::engine::Workspace;
use crate::engine::worker::source_preprocess;
use crate::imaging::decode;
use crate::learn::Flow;
use crate::query::{Embeddings, Standardisation, nearest};

/// Films that are shown.
const COUNT: usize = 4;
/// Longest edge of such a film, in pixels.
const EDGE: u32 = 160;

/// The labelled films of a session, embedded.
pub struct Neighbours {
    scale: Standardisation,
    directions: Embeddings,
    /// Label and picture of each.
    films: Vec<(String, Preview)>,
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
        let embeddings = model.predictor.embed(&store, &rows, &mut |_| Flow::Continue)?;
        let blocks = model.predictor.card.architecture.embedding_blocks();
        let scale = Standardisation::measure(&embeddings, &blocks);
        let films = files.iter().zip(&labels.classes).map(|(file, &class)| {
            let film = decode(&workspace.images.join(file))?;
            let preview = Preview::of(&film, EDGE).context("a film cannot be made small")?;
            Ok((classes[class].clone(), preview))
        });
        let films = films.collect::<anyhow::Result<_>>()?;
        Ok(Self { directions: scale.apply(embeddings).normalised(), scale, films })
    }

    /// Returns how many films there are.
    pub(super) fn len(&self) -> usize {
        self.films.len()
    }

    /// Returns the films most like an embedding, the most alike first; none for one of another length.
    pub(super) fn of(&self, embedding: Vec<f32>) -> Vec<Neighbour> {
        let Ok(query) = Embeddings::new(self.directions.dim(), embedding) else {
            return Vec::new();
        };
        let query = self.scale.apply(query).normalised();
        let found = nearest(&self.directions, &query, COUNT, false);
        let neighbour = |place: usize| {
            let row = self.directions.row(place);
            let similarity = row.iter().zip(&*query.row(0)).map(|(a, b)| a * b).sum();
            let (label, preview) = self.films[place].clone();
            Neighbour { label, similarity, preview }
        };
        found.into_iter().map(neighbour).collect()
    }
}
