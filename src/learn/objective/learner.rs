//! What the optimiser moves while an encoder is pretrained.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use super::ObjectiveConfig;
use crate::model::head::PROJECTION;
use crate::model::{Architecture, Pretrained};
use crate::rng;

/// Hidden width of BYOL's predictor, 8 times the projection; in the paper it is 16 times (4096 for 256).
const PREDICTOR: usize = 8 * PROJECTION;
/// Greatest width of VICReg's expander, the paper's.
const EXPANDER: usize = 8192;

/// A perceptron with one hidden layer: linear, batch norm, ReLU, linear.
#[derive(Module, Debug)]
pub struct Perceptron {
    pub(super) hidden: Linear,
    norm: BatchNorm,
    pub(super) output: Linear,
}

/// Makes a linear layer with weights from N(0, 1 / inputs).
fn linear(sizes: [usize; 2], bias: bool, random: (u64, &str), device: &Device) -> Linear {
    let mut stream = rng::stream(random.0, random.1, &[]);
    let scale = 1.0 / (sizes[0] as f32).sqrt();
    let values: Vec<f32> =
        (0..sizes[0] * sizes[1]).map(|_| scale * rng::normal(&mut stream)).collect();
    let weight = Tensor::from_data(TensorData::new(values, sizes), device);
    let bias = bias.then(|| Param::from_tensor(Tensor::zeros([sizes[1]], device)));
    Linear { weight: Param::from_tensor(weight), bias }
}

impl Perceptron {
    /// Makes a randomly initialised one, for inputs, hidden units and outputs of these numbers.
    pub fn init(sizes: [usize; 3], seed: u64, device: &Device) -> Self {
        let [input, hidden, output] = sizes;
        Self {
            // A bias before a batch norm has no effect.
            hidden: linear([input, hidden], false, (seed, "perceptron hidden"), device),
            norm: BatchNormConfig::new(hidden).with_epsilon(1e-5).init(device),
            output: linear([hidden, output], true, (seed, "perceptron output"), device),
        }
    }

    /// Computes `[n, output]` of `[n, input]`.
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.norm.forward(self.hidden.forward(input))))
    }
}

/// The network and what an objective puts on it; only the network is kept after pretraining.
#[derive(Module, Debug)]
pub struct Learner {
    /// Encoder and projection head.
    pub network: Pretrained,
    /// BYOL's predictor, on the projection: 128 → 1024 → 128.
    ///
    /// Deviation: the paper's is 256 → 4096 → 256, and its projection has two layers and no last batch norm.
    pub predictor: Option<Perceptron>,
    /// VICReg's expander, on the first layer of the projection head: two layers, four times as wide as the features but
    /// 8192 at most, the second without batch norm.
    ///
    /// The projection head itself would not do, because its last batch norm fixes the variance that the loss is to hold
    /// up. With the head's first layer, from which fine-tuning starts, it is the paper's three layers; the head's other
    /// two stay as they were drawn. Deviation: the first of the three is only as wide as the features.
    pub expander: Option<Perceptron>,
}

impl Learner {
    /// Makes a randomly initialised learner; `seed` fixes its weights.
    pub fn init(
        config: &ObjectiveConfig,
        architecture: &Architecture,
        seed: u64,
        device: &Device,
    ) -> Self {
        let network = Pretrained::init(architecture, seed, device);
        let features = architecture.features();
        let wide = (4 * features).min(EXPANDER);
        let made = |sizes| Some(Perceptron::init(sizes, seed, device));
        let (predictor, expander) = match config {
            ObjectiveConfig::Simclr { .. } => (None, None),
            ObjectiveConfig::Vicreg { .. } => (None, made([features, wide, wide])),
            ObjectiveConfig::Byol { .. } => (made([PROJECTION, PREDICTOR, PROJECTION]), None),
        };
        Self { network, predictor, expander }
    }

    /// Predicts the target's projections: `[n, 1, size, size]` to `[n, 128]`.
    pub(super) fn predict(&self, films: Tensor<4>) -> Tensor<2> {
        let projections = self.network.project(films);
        match &self.predictor {
            Some(predictor) => predictor.forward(projections),
            None => projections,
        }
    }

    /// Embeds films for VICReg: `[n, 1, size, size]` to `[n, width of the expander]`.
    pub(super) fn expand(&self, films: Tensor<4>) -> Tensor<2> {
        let Pretrained { encoder, projection } = &self.network;
        let hidden = projection.first_layer(encoder.forward(films));
        match &self.expander {
            Some(expander) => expander.forward(hidden),
            None => hidden,
        }
    }
}
