//! Heads on the encoder (SimCLR v2, reference code `model_util.py`).

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// Length of the projected vector.
pub const PROJECTION: usize = 128;

fn layer(input: usize, output: usize, device: &Device) -> ProjectionLayer {
    let initializer = Initializer::Normal { mean: 0.0, std: 0.01 };
    ProjectionLayer {
        linear: LinearConfig::new(input, output)
            .with_bias(false)
            .with_initializer(initializer)
            .init(device),
        norm: BatchNormConfig::new(output).with_epsilon(1e-5).init(device),
    }
}

/// A linear layer without bias and its batch norm.
#[derive(Module, Debug)]
pub struct ProjectionLayer {
    pub(super) linear: Linear,
    pub(super) norm: BatchNorm,
}

impl ProjectionLayer {
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.norm.forward(self.linear.forward(input))
    }
}

/// The 3-layer projection head: features → features → features → 128, batch norm after each, ReLU between.
///
/// Deviation: the last batch norm keeps its shift, which the reference leaves out; the loss normalises rows, and a
/// shift that helps nothing stays at zero.
#[derive(Module, Debug)]
pub struct ProjectionHead {
    first: ProjectionLayer,
    second: ProjectionLayer,
    third: ProjectionLayer,
}

impl ProjectionHead {
    /// Makes a randomly initialised head for features of this length.
    pub fn init(features: usize, device: &Device) -> Self {
        Self {
            first: layer(features, features, device),
            second: layer(features, features, device),
            third: layer(features, PROJECTION, device),
        }
    }

    /// Computes the first layer and its ReLU, the part that fine-tuning keeps.
    ///
    /// # Shapes
    /// `[n, features]`, unchanged.
    pub fn first_layer(&self, features: Tensor<2>) -> Tensor<2> {
        relu(self.first.forward(features))
    }

    /// Projects features.
    ///
    /// # Shapes
    /// `[n, features]` to `[n, 128]`.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let hidden = self.first_layer(features);
        let hidden = relu(self.second.forward(hidden));
        self.third.forward(hidden)
    }
}

/// The first layer of a projection head and a linear classifier on it.
#[derive(Module, Debug)]
pub struct ClassifierHead {
    pub(super) first: ProjectionLayer,
    pub(super) scores: Linear,
}

impl ClassifierHead {
    /// Keeps the first layer of `projection` and adds a zero-initialised classifier.
    pub fn from_projection(projection: ProjectionHead, classes: usize, device: &Device) -> Self {
        let features = projection.first.linear.weight.dims()[1];
        let scores =
            LinearConfig::new(features, classes).with_initializer(Initializer::Zeros).init(device);
        Self { first: projection.first, scores }
    }

    /// Scores features.
    ///
    /// # Shapes
    /// `[n, features]` to logits `[n, classes]`.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.scores.forward(relu(self.first.forward(features)))
    }
}
