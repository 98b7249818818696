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
mod start;

pub use architecture::{Architecture, Layout, Network, Normalisation, Stem};
pub use cpu::release_buffers;
pub use folder::{ModelCard, ModelError, load_card};
pub use head::{ClassifierHead, LinearHead, Probe, ProjectionHead};
pub use resnet::Encoder;
pub use start::Start;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use parking_lot::Mutex;

/// An encoder with its projection head: what pretraining makes.
#[derive(Module, Debug)]
pub struct Pretrained {
    /// Films to features.
    pub encoder: Encoder,
    /// Features to the space in which views are compared.
    pub projection: ProjectionHead,
}

impl Pretrained {
    /// Makes a randomly initialised network; `seed` fixes its weights.
    ///
    /// The backend's generator is one for the process, and weights are drawn when they are first used: a lock and
    /// drawing at once keep networks that are made at the same time apart. Nothing else draws from it, tests included.
    pub fn init(architecture: &Architecture, seed: u64, device: &Device) -> Self {
        static DRAWING: Mutex<()> = Mutex::new(());
        let _drawing = DRAWING.lock();
        device.seed(seed);
        let encoder = Encoder::init(architecture, device);
        let projection = ProjectionHead::init(architecture.features(), device);
        let model = Self { encoder, projection };
        model.visit(&mut Draw);
        model
    }

    /// Projects films for the contrastive loss.
    ///
    /// # Shapes
    /// `[n, 1, size, size]` in 0..=1 to `[n, 128]`.
    pub fn project(&self, films: Tensor<4>) -> Tensor<2> {
        self.projection.forward(self.encoder.forward(films))
    }
}

/// Draws every weight that has not been drawn yet.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
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

    /// Makes a randomly initialised network, to load weights into.
    pub fn init(architecture: &Architecture, classes: usize, device: &Device) -> Self {
        Self::from_pretrained(Pretrained::init(architecture, 0, device), classes, device)
    }

    /// Multiplies all logits, as calibration asks for.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        self.head.scores = scaled(self.head.scores, factor);
        self.probe =
            self.probe.map(|probe| Probe { scores: scaled(probe.scores, factor), ..probe });
        self
    }

    /// Adds a number to the logits of each class.
    #[must_use]
    pub fn shifted(mut self, by: &[f32]) -> Self {
        let shift = |bias: Tensor<1>| {
            let device = bias.device();
            bias + Tensor::from_floats(by, &device)
        };
        self.head.scores.bias = self.head.scores.bias.map(|bias| bias.map(shift));
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
