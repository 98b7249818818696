//! Models on disk: a folder with `model.safetensors` and `model.json`.

use std::path::{Path, PathBuf};

use burn::store::{
    FloatCastAdapter, HalfPrecisionAdapter, ModuleSnapshot, ModuleStore as _, SafetensorsStore,
};
use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};

use super::{Architecture, Classifier, Pretrained, Probe};
use crate::fsutil::{self, FsError};
use crate::imaging::Preprocess;

/// File name of the weights.
pub const WEIGHTS: &str = "model.safetensors";
/// Layout of model folders that this program writes and reads.
pub const VERSION: u32 = 1;
/// Edges of a network's input that are supported, in pixels.
pub const SIZES: std::ops::RangeInclusive<u32> = 16..=1024;
/// File name of the card.
pub const CARD: &str = "model.json";

/// What the weights are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Encoder and projection head; it embeds and does not classify.
    Pretrained,
    /// Encoder and classifier.
    Classifier,
}

/// Everything about a model but its weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Format of this file.
    pub version: u32,
    /// What the weights are of.
    pub kind: Kind,
    /// Shape of the encoder.
    pub architecture: Architecture,
    /// How a film becomes the network's input.
    pub preprocess: Preprocess,
    /// Class names in the order of the scores; empty for a pretrained encoder.
    pub classes: Vec<String>,
    /// Name of the model this one was made from.
    pub parent: Option<String>,
    /// Seed of weights, order and augmentation.
    pub seed: u64,
    /// How it was made: the stage and its whole configuration.
    pub made_by: serde_json::Value,
    /// What was measured on it and on which films.
    pub metrics: serde_json::Value,
    /// BLAKE3 hash of the weights file, 64 hexadecimal digits; filled in when the model is saved.
    #[serde(default)]
    pub weights_hash: String,
}

/// Why a model cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// There is no model.
    #[error("there is no such model; `penumbra model list` names those there are: {0}")]
    Missing(PathBuf),
    /// The card is not valid.
    #[error("the model card is not valid: {fault}: {path}")]
    Card {
        /// What is wrong.
        fault: serde_json::Error,
        /// The card's file.
        path: PathBuf,
    },
    /// The architecture is not supported.
    #[error("{fault}: {path}")]
    Architecture {
        /// What is not supported.
        fault: String,
        /// The card's file.
        path: PathBuf,
    },
    /// The weights do not fit the card, or are damaged.
    #[error("the weights cannot be used: {fault}: {path}")]
    Weights {
        /// What is wrong.
        fault: String,
        /// The weights' file.
        path: PathBuf,
    },
    /// The model is of another kind than is needed.
    #[error("this model {found}, which is not what is needed here: {path}")]
    Kind {
        /// What it is.
        found: &'static str,
        /// The model's folder.
        path: PathBuf,
    },
}

/// Reads the card of the model in `folder`.
///
/// # Errors
/// Fails if the card is missing or invalid, or names an architecture that is not supported.
pub fn load_card(folder: &Path) -> Result<ModelCard, ModelError> {
    fsutil::recover_dir(folder)?;
    let path = folder.join(CARD);
    if path.try_exists().is_ok_and(|there| !there) {
        return Err(ModelError::Missing(folder.to_owned()));
    }
    let card: ModelCard = serde_json::from_slice(&fsutil::read(&path)?)
        .map_err(|fault| ModelError::Card { fault, path: path.clone() })?;
    let fault = match card.architecture.blocks() {
        Err(fault) => Some(fault),
        _ if card.version != VERSION => {
            Some(format!("layout {} is not known; use a newer program", card.version))
        }
        _ if !SIZES.contains(&card.preprocess.size) => {
            Some(format!("films of {} pixels are not supported", card.preprocess.size))
        }
        Ok(_) => None,
    };
    if let Some(fault) = fault {
        return Err(ModelError::Architecture { fault, path });
    }
    Ok(card)
}

/// Loads a pretrained encoder with its projection head.
///
/// # Errors
/// Fails if a file is missing, damaged, or of a classifier.
pub fn load_pretrained(
    folder: &Path,
    device: &Device,
) -> Result<(Pretrained, ModelCard), ModelError> {
    let card = load_card(folder)?;
    if card.kind != Kind::Pretrained {
        return Err(ModelError::Kind { found: "is a classifier", path: folder.to_path_buf() });
    }
    let mut model = Pretrained::init(&card.architecture, 0, device);
    load_weights(&mut model, weights(&card, folder)?, folder.join(WEIGHTS))?;
    Ok((model, card))
}

/// Loads a classifier.
///
/// # Errors
/// Fails if a file is missing, damaged, or of a pretrained encoder.
pub fn load_classifier(
    folder: &Path,
    device: &Device,
) -> Result<(Classifier, ModelCard), ModelError> {
    let card = load_card(folder)?;
    if card.kind != Kind::Classifier {
        return Err(ModelError::Kind { found: "does not classify", path: folder.to_path_buf() });
    }
    let classes = card.classes.len();
    let mut model = Classifier::init(&card.architecture, classes, device);
    let mut store = weights(&card, folder)?;
    let path = folder.join(WEIGHTS);
    let names = store
        .keys()
        .map_err(|error| ModelError::Weights { fault: error.to_string(), path: path.clone() })?;
    if names.iter().any(|name| name.starts_with("probe.")) {
        let blocks = card.architecture.embedding_blocks();
        model.probe = Some(Probe::init(&blocks, classes, device));
    }
    load_weights(&mut model, store, path)?;
    Ok((model, card))
}

/// Reads the weights file, which must be the one that the card was written for.
fn weights(card: &ModelCard, folder: &Path) -> Result<SafetensorsStore, ModelError> {
    let path = folder.join(WEIGHTS);
    let bytes = fsutil::read(&path)?;
    if !card.weights_hash.is_empty() && card.weights_hash != blake3::hash(&bytes).to_hex().as_str()
    {
        let fault = "they are not the ones that the card was written for".to_owned();
        return Err(ModelError::Weights { fault, path });
    }
    let store = SafetensorsStore::from_bytes(Some(bytes));
    Ok(store.with_from_adapter(FloatCastAdapter::to(DType::F32)))
}

fn load_weights<M: ModuleSnapshot>(
    model: &mut M,
    mut store: SafetensorsStore,
    path: PathBuf,
) -> Result<(), ModelError> {
    let fault = match model.load_from(&mut store) {
        Err(error) => error.to_string(),
        Ok(applied) if applied.missing.is_empty() && applied.errors.is_empty() => return Ok(()),
        Ok(applied) => format!(
            "{} tensors are missing and {} do not fit",
            applied.missing.len(),
            applied.errors.len()
        ),
    };
    Err(ModelError::Weights { fault, path })
}

/// Saves a model in `folder`, replacing what is there only when the new files are complete and on disk.
///
/// Weights are stored in half precision, batch-norm statistics in single precision.
///
/// # Errors
/// Fails if a file cannot be written; what was in `folder` is then still there.
pub fn save<M: ModuleSnapshot>(
    model: &M,
    card: ModelCard,
    folder: &Path,
) -> Result<(), ModelError> {
    save_from(model, card, folder, |store| store.with_to_adapter(HalfPrecisionAdapter::new()))
}

/// [`save`] with weights in single precision, for those that came from outside and must stay as they are.
///
/// # Errors
/// Fails if a file cannot be written; what was in `folder` is then still there.
pub fn save_in_single_precision<M: ModuleSnapshot>(
    model: &M,
    card: ModelCard,
    folder: &Path,
) -> Result<(), ModelError> {
    save_from(model, card, folder, |store| store)
}

fn save_from<M: ModuleSnapshot>(
    model: &M,
    mut card: ModelCard,
    folder: &Path,
    adapt: impl FnOnce(SafetensorsStore) -> SafetensorsStore,
) -> Result<(), ModelError> {
    let fault = |error: String| ModelError::Weights { fault: error, path: folder.join(WEIGHTS) };
    let mut store = adapt(SafetensorsStore::from_bytes(None).clear_metadata());
    model.save_into(&mut store).map_err(|error| fault(error.to_string()))?;
    let bytes = store.get_bytes().map_err(|error| fault(error.to_string()))?;
    card.weights_hash = blake3::hash(&bytes).to_hex().to_string();
    let name =
        folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let unfinished = folder.with_file_name(format!(".{name}.unfinished-{}", std::process::id()));
    let written = write_files(&unfinished, &bytes, &card)
        .and_then(|()| fsutil::replace_dir(&unfinished, folder).map_err(ModelError::from));
    if written.is_err() {
        std::fs::remove_dir_all(&unfinished).ok();
    }
    written
}

fn write_files(folder: &Path, weights: &[u8], card: &ModelCard) -> Result<(), ModelError> {
    let path = folder.join(CARD);
    let text = serde_json::to_vec_pretty(card)
        .map_err(|fault| ModelError::Card { fault, path: path.clone() })?;
    fsutil::write_atomic(&folder.join(WEIGHTS), weights)?;
    fsutil::write_atomic(&path, &text)?;
    Ok(())
}
