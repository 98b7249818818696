//! Heads on the encoder (SimCLR v2, reference code `model_util.py`).

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

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

/// A linear classifier of embeddings, as plain numbers: `scores = weights · x + bias`, with `x` the embedding less `centre`,
/// its blocks brought to equal lengths and all of it to √dim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinearHead {
    /// What is taken from an embedding first, `dim` numbers.
    pub centre: Vec<f32>,
    /// Dimensions of each block.
    pub blocks: Vec<usize>,
    /// One row of `dim` weights a class.
    pub weights: Vec<f32>,
    /// One number a class.
    pub bias: Vec<f32>,
}

/// A [`LinearHead`] on embeddings ([`Encoder::embed`](super::Encoder::embed)) of films without their mirror images, as a
/// layer that learns on.
///
/// The order is that of LP-FT (Kumar et al., ICLR 2022, <https://arxiv.org/abs/2202.10054>): fine-tuning that begins with a
/// fitted linear head distorts the features less than one that begins with no head. SimCLR v2 has no such part.
#[derive(Module, Debug)]
pub struct Probe {
    pub(super) centre: Param<Tensor<1>>,
    pub(super) blocks: Vec<usize>,
    pub(super) scores: Linear,
}

/// Added to the squared length of a block of a film's embedding, which may be at the centre.
pub(super) const LENGTH_OFFSET: f32 = 1e-9;

impl Probe {
    /// Starts where `head` is.
    pub fn new(head: &LinearHead, device: &Device) -> Self {
        let (dim, classes) = (head.centre.len(), head.bias.len());
        let vector = |values: &[f32]| {
            Param::from_tensor(Tensor::from_data(
                TensorData::new(values.to_vec(), [values.len()]),
                device,
            ))
        };
        let rows = TensorData::new(head.weights.clone(), [classes, dim]);
        let weight = Param::from_tensor(Tensor::<2>::from_data(rows, device).transpose());
        let scores = Linear { weight, bias: Some(vector(&head.bias)) };
        Self { centre: vector(&head.centre), blocks: head.blocks.clone(), scores }
    }

    /// Makes one that adds nothing, to load weights into.
    pub fn init(blocks: &[usize], classes: usize, device: &Device) -> Self {
        let dim: usize = blocks.iter().sum();
        let nothing = LinearHead {
            blocks: blocks.to_vec(),
            centre: vec![0.0; dim],
            weights: vec![0.0; dim * classes],
            bias: vec![0.0; classes],
        };
        Self::new(&nothing, device)
    }

    /// Scores embeddings.
    ///
    /// # Shapes
    /// `[n, dim]` to logits `[n, classes]`.
    pub fn forward(&self, embedding: Tensor<2>) -> Tensor<2> {
        let dim = embedding.dims()[1];
        // The centre belongs to the features' definition and does not learn.
        let centre = self.centre.val().detach().reshape([1, dim]);
        let centred = embedding - centre;
        let share = (self.blocks.len() as f32) / dim as f32;
        let mut from = 0;
        let mut parts = Vec::new();
        for &block in &self.blocks {
            let part = centred.clone().narrow(1, from, block);
            let squares = part.clone().powi_scalar(2).sum_dim(1).add_scalar(LENGTH_OFFSET);
            parts.push(part / squares.mul_scalar(share).sqrt());
            from += block;
        }
        self.scores.forward(Tensor::cat(parts, 1))
    }
}
