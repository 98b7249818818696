//! Networks: the ResNet encoder, the heads on it, and their folders on disk.

pub mod architecture;
mod block;
mod cpu;
mod embedding;
pub mod exchange;
pub mod folder;
mod grad_cam;
pub mod head;
mod memory_format;
pub mod onnx;
#[cfg(test)]
mod parity_tests;
pub mod resnet;
#[cfg(test)]
mod seeded;
mod selective_kernel;

pub use architecture::{Architecture, Layout, Network, Normalisation, Stem};
pub use cpu::release_buffers;
pub use folder::{ModelCard, ModelError, load_card};
pub use head::{ClassifierHead, LinearHead, Probe, ProjectionHead};
pub use resnet::Encoder;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use crate::rng;

/// An encoder with its projection head: what pretraining makes.
#[derive(Module, Debug)]
pub struct Pretrained {
    /// Films to features.
    pub encoder: Encoder,
    /// Features to the space in which views are compared.
    pub projection: ProjectionHead,
}

impl Pretrained {
    /// Makes a randomly initialised network; `seed` fixes its weights, which are the same on every device.
    ///
    /// Convolutions are scaled by their inputs (He et al., <https://arxiv.org/abs/1502.01852>), linear layers have a
    /// standard deviation of 0.01, as in the reference code. The backend's own generator, one for the process, would give
    /// others where anything else draws at the same time.
    pub fn init(architecture: &Architecture, seed: u64, device: &Device) -> Self {
        let random = rng::stream(seed, "weights", &[]);
        Self::blank(architecture, device).map(&mut Draw { random, device })
    }

    /// Makes a network whose weights are zero, to load weights into.
    pub fn blank(architecture: &Architecture, device: &Device) -> Self {
        let encoder = Encoder::blank(architecture, device);
        Self { encoder, projection: ProjectionHead::blank(architecture.features(), device) }
    }

    /// Projects films for the contrastive loss.
    ///
    /// # Shapes
    /// `[n, 1, size, size]` in 0..=1 to `[n, 128]`.
    pub fn project(&self, films: Tensor<4>) -> Tensor<2> {
        self.projection.forward(self.encoder.forward(films))
    }
}

/// Draws the weights of convolutions and linear layers; what batch norms start with stays.
struct Draw<'a> {
    random: ChaCha8Rng,
    device: &'a Device,
}

impl ModuleMapper for Draw<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let deviation = match &shape[..] {
            [_, inputs, height, width] => (2.0 / (inputs * height * width) as f32).sqrt(),
            [_, _] => 0.01,
            _ => return param,
        };
        let count = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|_| deviation * rng::normal(&mut self.random)).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }
}

/// An encoder that classifies: encoder, first layer of the projection head, linear classifier (SimCLR v2, section 2:
/// fine-tuning starts from the first layer of the projection head).
#[derive(Module, Debug)]
pub struct Classifier {
    /// Films to features.
    pub encoder: Encoder,
    /// First projection layer and the class scores.
    pub head: ClassifierHead,
    /// Scores straight from the films' embeddings, added to the head's; none in SimCLR v2's own form.
    pub probe: Option<Probe>,
}

impl Classifier {
    /// Starts from a pretrained network with a zero-initialised classifier.
    pub fn from_pretrained(pretrained: Pretrained, classes: usize, device: &Device) -> Self {
        let Pretrained { encoder, projection } = pretrained;
        let head = ClassifierHead::from_projection(projection, classes, device);
        Self { encoder, head, probe: None }
    }

    /// Adds a linear head on the embeddings; with a zero-initialised classifier the network then computes what it does.
    #[must_use]
    pub fn with_probe(self, head: &LinearHead, device: &Device) -> Self {
        Self { probe: Some(Probe::new(head, device)), ..self }
    }

    /// Makes a network whose weights are zero, to load weights into.
    pub fn blank(architecture: &Architecture, classes: usize, device: &Device) -> Self {
        Self::from_pretrained(Pretrained::blank(architecture, device), classes, device)
    }

    /// Multiplies all logits, as calibration asks for.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        self.head.scores = scaled(self.head.scores, factor);
        self.probe =
            self.probe.map(|probe| Probe { scores: scaled(probe.scores, factor), ..probe });
        self
    }

    /// Scores films.
    ///
    /// # Shapes
    /// `[n, 1, size, size]` in 0..=1 to logits `[n, classes]`.
    pub fn forward(&self, films: Tensor<4>) -> Tensor<2> {
        let Some(probe) = &self.probe else {
            return self.head.forward(self.encoder.forward(films));
        };
        let (features, embedding) = self.encoder.features_and_embedding(films);
        self.head.forward(features) + probe.forward(embedding)
    }
}

/// Multiplies what a linear layer gives.
fn scaled(layer: Linear, factor: f32) -> Linear {
    Linear {
        weight: layer.weight.map(|weight| weight.mul_scalar(factor)),
        bias: layer.bias.map(|bias| bias.map(|bias| bias.mul_scalar(factor))),
    }
}
