//! ResNet with basic blocks (He et al., <https://arxiv.org/abs/1512.03385>), laid out as SimCLR v2's
//! (<https://arxiv.org/abs/2006.10029>, reference code `resnet.py`): a projection shortcut in the first block of
//! *every* group, the first group included, and the last batch norm of each block initialised to zero.
//!
//! Deviation: films are grey, so the stem has one input channel instead of three.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// First layers of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// 7×7 convolution of stride 2 and 3×3 max pooling of stride 2, for 128 pixels and more.
    Standard,
    /// 3×3 convolution of stride 2 without pooling, for small films: four times the positions, and the work, of
    /// [`Stem::Standard`] at the same size.
    Small,
}

/// Shape of an encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// 10, 18 or 34 weight layers.
    pub depth: u32,
    /// Multiplier of the channel counts 64, 128, 256 and 512.
    pub width: f32,
    /// First layers.
    pub stem: Stem,
}

impl Architecture {
    /// Blocks in each of the four groups; 10 layers are for tests.
    ///
    /// # Errors
    /// Fails, in words, for a depth or a width that is not supported.
    pub fn blocks(&self) -> Result<[usize; 4], String> {
        if !(1.0 / 16.0..=4.0).contains(&self.width) {
            return Err(format!("a width of {} is not supported; use 0.0625 to 4", self.width));
        }
        match self.depth {
            10 => Ok([1, 1, 1, 1]),
            18 => Ok([2, 2, 2, 2]),
            34 => Ok([3, 4, 6, 3]),
            depth => Err(format!("a depth of {depth} is not supported; use 10, 18 or 34")),
        }
    }

    /// Channels of a group that has `base` channels at width 1.
    fn channels(&self, base: usize) -> usize {
        ((base as f32 * self.width).round() as usize).max(1)
    }

    /// Length of the feature vector.
    pub fn features(&self) -> usize {
        self.channels(512)
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ResNet-{} ×{}", self.depth, self.width)
    }
}

fn convolution(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let padding = (kernel - 1) / 2;
    // Variance scaling by fan-in (He initialisation), as the reference code.
    let initializer =
        Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: false };
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_bias(false)
        .with_initializer(initializer)
        .init(device)
}

fn norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels).with_epsilon(1e-5).with_momentum(0.1).init(device)
}

/// Two 3×3 convolutions and a shortcut.
#[derive(Module, Debug)]
pub struct BasicBlock {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    shortcut: Option<Shortcut>,
}

/// 1×1 convolution and batch norm where a block changes its input's shape.
#[derive(Module, Debug)]
pub struct Shortcut {
    conv: Conv2d,
    norm: BatchNorm,
}

impl BasicBlock {
    fn init(channels: [usize; 2], stride: usize, first: bool, device: &Device) -> Self {
        let [input, output] = channels;
        let mut norm2 = norm(output, device);
        norm2.gamma = Param::from_tensor(Tensor::zeros([output], device));
        Self {
            conv1: convolution([input, output], 3, stride, device),
            norm1: norm(output, device),
            conv2: convolution([output, output], 3, 1, device),
            norm2,
            shortcut: first.then(|| Shortcut {
                conv: convolution([input, output], 1, stride, device),
                norm: norm(output, device),
            }),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let residual = match &self.shortcut {
            Some(shortcut) => shortcut.norm.forward(shortcut.conv.forward(input.clone())),
            None => input.clone(),
        };
        let hidden = relu(self.norm1.forward(self.conv1.forward(input)));
        relu(self.norm2.forward(self.conv2.forward(hidden)) + residual)
    }
}

/// Films to features.
#[derive(Module, Debug)]
pub struct Encoder {
    stem: Conv2d,
    stem_norm: BatchNorm,
    pool: Option<MaxPool2d>,
    blocks: Vec<BasicBlock>,
}

impl Encoder {
    /// Makes a randomly initialised encoder. An unsupported architecture is treated as the nearest that is: check
    /// [`Architecture::blocks`] where the architecture comes from outside.
    pub fn init(architecture: &Architecture, device: &Device) -> Self {
        let width = architecture.channels(64);
        let (stem, pool) = match architecture.stem {
            Stem::Small => (convolution([1, width], 3, 2, device), None),
            Stem::Standard => {
                // The reference pads the pooling "same": on even sizes one row and column at the end only.
                let pool = MaxPool2dConfig::new([3, 3])
                    .with_strides([2, 2])
                    .with_padding(PaddingConfig2d::Same);
                (convolution([1, width], 7, 2, device), Some(pool.init()))
            }
        };
        let mut blocks = Vec::new();
        let mut input = width;
        for (group, count) in architecture.blocks().unwrap_or([2, 2, 2, 2]).into_iter().enumerate()
        {
            let output = architecture.channels(64 << group);
            for block in 0..count {
                let stride = if block == 0 && group > 0 { 2 } else { 1 };
                blocks.push(BasicBlock::init([input, output], stride, block == 0, device));
                input = output;
            }
        }
        Self { stem, stem_norm: norm(width, device), pool, blocks }
    }

    /// Encodes films.
    ///
    /// # Shapes
    /// `[n, 1, size, size]` in 0..=1 to `[n, features]`.
    pub fn forward(&self, films: Tensor<4>) -> Tensor<2> {
        let mut hidden = relu(self.stem_norm.forward(self.stem.forward(films)));
        if let Some(pool) = &self.pool {
            hidden = pool.forward(hidden);
        }
        for block in &self.blocks {
            hidden = block.forward(hidden);
        }
        let [n, channels, _, _] = hidden.dims();
        hidden.mean_dims(&[2, 3]).reshape([n, channels])
    }
}
