//! What a network starts from.

use std::fmt;

use burn::tensor::Device;

use super::folder::load_pretrained;
use super::{Architecture, ModelCard, ModelError, Pretrained};
use crate::config::Home;
use crate::imaging::Preprocess;

/// A network to learn on from: a pretrained one, or random weights.
#[derive(Debug)]
pub struct Start {
    /// The network.
    pub network: Pretrained,
    /// Its shape.
    pub architecture: Architecture,
    /// How it sees films.
    pub preprocess: Preprocess,
    /// Name of the pretrained model; none for random weights.
    pub parent: Option<String>,
    /// Hash of its weights.
    pub weights_hash: Option<String>,
}

impl Start {
    /// Loads a pretrained model.
    ///
    /// # Errors
    /// Fails if it cannot be loaded or classifies.
    pub fn pretrained(home: &Home, name: &str, device: &Device) -> Result<Self, ModelError> {
        let (network, card) = load_pretrained(&home.model(name), &device.clone().inner())?;
        let ModelCard { architecture, preprocess, weights_hash, .. } = card;
        let (parent, weights_hash) = (Some(name.to_owned()), Some(weights_hash));
        Ok(Self { network, architecture, preprocess, parent, weights_hash })
    }

    /// Draws random weights for a shape that is supported.
    pub fn random(
        architecture: Architecture,
        preprocess: Preprocess,
        seed: u64,
        device: &Device,
    ) -> Self {
        let network = Pretrained::init(&architecture, seed, &device.clone().inner());
        Self { network, architecture, preprocess, parent: None, weights_hash: None }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} px", self.architecture, self.preprocess.size)
    }
}
