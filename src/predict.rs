//! Inference: films to features, class probabilities and maps of what decided.

mod overlay;
mod saliency;

pub use overlay::{colour, overlay};
pub use saliency::{Explained, on_film};

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use crate::dataset::FilmId;
use crate::dataset::batches::{Batch, eval_batch, view_batch};
use crate::dataset::planes::PlaneStore;
use crate::features::{EmbeddingRows, Embeddings};
use crate::imaging::FixedView;
use crate::learn::{EVAL_BATCH, Flow, LearnError, films, probabilities, read};
use crate::model::folder::{Kind, load_classifier, load_pretrained};
use crate::model::{Classifier, Encoder, ModelCard, ModelError, Pretrained, load_card};

/// A model loaded for inference, on the plain device.
#[derive(Debug)]
pub enum Model {
    /// Embeds only.
    Pretrained(Box<Pretrained>),
    /// Embeds and classifies.
    Classifier(Box<Classifier>),
}

impl Model {
    /// Returns the encoder.
    pub fn encoder(&self) -> &Encoder {
        match self {
            Self::Pretrained(model) => &model.encoder,
            Self::Classifier(model) => &model.encoder,
        }
    }
}

/// A model with its card and the device it runs on.
#[derive(Debug)]
pub struct Predictor {
    /// The network.
    pub model: Model,
    /// Its card.
    pub card: ModelCard,
    device: Device,
}

impl Predictor {
    /// Takes a model that is at hand; `device` is the one that it is on.
    pub fn new(model: Model, card: ModelCard, device: &Device) -> Self {
        Self { model, card, device: device.clone().inner() }
    }

    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// Fails if the model cannot be loaded.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let device = device.clone().inner();
        let (model, card) = match load_card(folder)?.kind {
            Kind::Pretrained => load_pretrained(folder, &device)
                .map(|(m, card)| (Model::Pretrained(Box::new(m)), card))?,
            Kind::Classifier => load_classifier(folder, &device)
                .map(|(m, card)| (Model::Classifier(Box::new(m)), card))?,
        };
        Ok(Self { model, card, device })
    }

    /// Embeds the given rows of a store: one row of features each, in the order given.
    ///
    /// # Errors
    /// Fails if the device failed, or as stopped when `observe`, which is told the films done, says so.
    pub fn embed(
        &self,
        store: &PlaneStore,
        rows: &[usize],
        observe: &mut dyn FnMut(usize) -> Flow,
    ) -> Result<Embeddings, LearnError> {
        embed(self.model.encoder(), store, rows, self.card.preprocess.size, &self.device, observe)
    }

    /// Returns class probabilities of the given rows, row-major; `None` if the model does not classify.
    ///
    /// # Errors
    /// Fails if the device failed.
    pub fn probabilities(
        &self,
        store: &PlaneStore,
        rows: &[usize],
    ) -> Result<Option<Vec<f32>>, LearnError> {
        let size = self.card.preprocess.size;
        match &self.model {
            Model::Pretrained(_) => Ok(None),
            Model::Classifier(model) => {
                probabilities(model, store, rows, size, &self.device, &mut |_| Flow::Continue)
                    .map(Some)
            }
        }
    }
}

/// Embeds rows of a store with an encoder: [`Encoder::embed`].
///
/// # Errors
/// Fails if the device failed, or as stopped when `observe`, which is told the films done, says so.
pub fn embed(
    encoder: &Encoder,
    store: &PlaneStore,
    rows: &[usize],
    size: u32,
    device: &Device,
    observe: &mut dyn FnMut(usize) -> Flow,
) -> Result<Embeddings, LearnError> {
    let batch = |chunk: &[usize]| eval_batch(store, chunk, size);
    embed_batches(encoder, rows, &batch, device, observe)
}

/// Embeds every film of a store in each of [`FixedView::ALL`], as [`embed`] does the whole; `ids` are the films'.
///
/// # Errors
/// Fails if the device failed, or as stopped when `observe`, which is told how many of how many views are done, says so.
///
/// # Panics
/// When there are fewer ids than films.
pub fn embed_views(
    encoder: &Encoder,
    store: &PlaneStore,
    ids: &[FilmId],
    size: u32,
    device: &Device,
    observe: &mut dyn FnMut(usize, usize) -> Flow,
) -> Result<Vec<Embeddings>, LearnError> {
    let rows: Vec<usize> = (0..store.len()).collect();
    let total = rows.len() * FixedView::ALL.len();
    let embed_view = |(place, view)| {
        let batch = |chunk: &[usize]| view_batch(store, ids, chunk, view, size);
        let before = place * rows.len();
        embed_batches(encoder, &rows, &batch, device, &mut |done| observe(before + done, total))
    };
    FixedView::ALL.into_iter().enumerate().map(embed_view).collect()
}

/// Embeds the films that `batch` makes of rows.
fn embed_batches(
    encoder: &Encoder,
    rows: &[usize],
    batch: &dyn Fn(&[usize]) -> Batch,
    device: &Device,
    observe: &mut dyn FnMut(usize) -> Flow,
) -> Result<Embeddings, LearnError> {
    let encoder = encoder.valid();
    let device = device.clone().inner();
    let mut found: Option<EmbeddingRows> = None;
    let mut done = 0;
    for chunk in rows.chunks(EVAL_BATCH) {
        let films = films(batch(chunk), &device);
        let values = read(encoder.embed(films))?;
        let begin = || EmbeddingRows::new(values.len() / chunk.len(), rows.len());
        found.get_or_insert_with(begin).push(&values);
        done += chunk.len();
        if observe(done) == Flow::Stop {
            return Err(LearnError::Stopped);
        }
    }
    let found =
        found.ok_or_else(|| LearnError::TooLittle("there is no film to embed".to_owned()))?;
    found.finish().map_err(|fault| LearnError::Device(fault.to_string()))
}
