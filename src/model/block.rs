//! Residual blocks: basic (two 3×3 convolutions) and bottleneck (1×1, 3×3, 1×1).

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use super::architecture::{Architecture, Layout};
use super::memory_format::MemoryFormat;
use super::selective_kernel::{AveragePool, SelectiveKernel};

/// A convolution without bias, padded by half its kernel, with a random weight.
pub fn convolution(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Conv2d {
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

/// A batch norm with the reference's settings.
pub fn norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels).with_epsilon(1e-5).with_momentum(0.1).init(device)
}

/// A convolution and its batch norm.
#[derive(Module, Debug)]
pub struct ConvNorm {
    pub(super) conv: Conv2d,
    pub(super) norm: BatchNorm,
}

impl ConvNorm {
    /// Makes a randomly initialised pair.
    pub fn init(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Self {
        Self {
            conv: convolution(channels, kernel, stride, device),
            norm: norm(channels[1], device),
        }
    }
}

/// A residual block. Its first layers are numbered as torchvision's: a basic block's are 3×3 and 3×3, a bottleneck's
/// 1×1, 3×3 and, as `last`, 1×1. The first 3×3 layer carries the stride ("v1.5").
#[derive(Module, Debug)]
pub struct Block {
    pub(super) conv1: Conv2d,
    pub(super) norm1: BatchNorm,
    pub(super) conv2: Conv2d,
    pub(super) norm2: BatchNorm,
    /// Behind the second layer, which then has twice the channels.
    pub(super) selective: Option<SelectiveKernel>,
    /// Third layer of a bottleneck.
    pub(super) last: Option<ConvNorm>,
    /// Before the shortcut, in nets with selective kernels.
    pub(super) shortcut_pool: Option<AveragePool>,
    pub(super) shortcut: Option<ConvNorm>,
}

/// Where a block stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Group, from 0.
    pub group: usize,
    /// Block of the group, from 0.
    pub block: usize,
    /// Channels of its input.
    pub inputs: usize,
}

impl Block {
    /// Makes a randomly initialised block. The scale of its last batch norm is zero, so that it starts as its shortcut.
    pub(super) fn init(architecture: &Architecture, place: Place, device: &Device) -> Self {
        let Place { group, block, inputs } = place;
        let (channels, outputs) = (architecture.channels(64 << group), architecture.outputs(group));
        let stride = if block == 0 && group > 0 { 2 } else { 1 };
        let selective = architecture.selective();
        let second = if selective { 2 * channels } else { channels };
        // Kernel of the first convolution, strides of the first two.
        let (kernel, first, then) =
            if architecture.bottleneck() { (1, 1, stride) } else { (3, stride, 1) };
        let projected = block == 0
            && (architecture.layout == Layout::Simclr || stride > 1 || inputs != outputs);
        let pooled = projected && selective;
        let mut made = Self {
            conv1: convolution([inputs, channels], kernel, first, device),
            norm1: norm(channels, device),
            conv2: convolution([channels, second], 3, then, device),
            norm2: norm(second, device),
            selective: selective
                .then(|| SelectiveKernel::init(channels, architecture.sk_ratio, device)),
            last: architecture
                .bottleneck()
                .then(|| ConvNorm::init([channels, outputs], 1, 1, device)),
            shortcut_pool: pooled.then_some(AveragePool { stride }),
            shortcut: projected.then(|| {
                ConvNorm::init([inputs, outputs], 1, if pooled { 1 } else { stride }, device)
            }),
        };
        let last = made.last.as_mut().map_or(&mut made.norm2, |last| &mut last.norm);
        last.gamma = Param::from_tensor(Tensor::zeros([outputs], device));
        made
    }

    /// The block's output.
    pub(super) fn forward(&self, input: Tensor<4>, format: MemoryFormat) -> Tensor<4> {
        let residual = match &self.shortcut_pool {
            Some(pool) => pool.forward(input.clone(), format),
            None => input.clone(),
        };
        let residual = match &self.shortcut {
            Some(ConvNorm { conv, norm }) => format.layer(conv, norm, residual, None, false),
            None => residual,
        };
        let hidden = format.layer(&self.conv1, &self.norm1, input, None, true);
        let Some(last) = &self.last else {
            return format.layer(&self.conv2, &self.norm2, hidden, Some(residual), true);
        };
        let hidden = format.layer(&self.conv2, &self.norm2, hidden, None, true);
        let hidden = match &self.selective {
            Some(selective) => selective.forward(hidden, format),
            None => hidden,
        };
        format.layer(&last.conv, &last.norm, hidden, Some(residual), true)
    }
}
