//! One layer of a network in either memory format: channels last by the CPU's own kernels, channels first by burn's
//! operations on any device.

use burn::nn::BatchNorm;
use burn::nn::conv::Conv2d;
use burn::nn::pool::MaxPool2d;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::cpu;

/// Order of a feature map's dimensions, and who computes on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryFormat {
    /// `[n, height, width, channels]`, the CPU's kernels.
    ChannelsLast,
    /// `[n, channels, height, width]`, burn's operations.
    ChannelsFirst,
}

impl MemoryFormat {
    /// Dimensions of height and width.
    pub fn spatial(self) -> [usize; 2] {
        match self {
            Self::ChannelsLast => [1, 2],
            Self::ChannelsFirst => [2, 3],
        }
    }

    /// Dimension of the channels.
    pub fn channels(self) -> usize {
        match self {
            Self::ChannelsLast => 3,
            Self::ChannelsFirst => 1,
        }
    }

    /// Brings films of one channel, `[n, 1, height, width]`, into this format.
    pub fn films(self, films: Tensor<4>) -> Tensor<4> {
        match self {
            // With one channel the two formats are the same memory.
            Self::ChannelsLast => {
                let [n, channels, height, width] = films.dims();
                films.reshape([n, height, width, channels])
            }
            Self::ChannelsFirst => films,
        }
    }

    /// Convolves without bias.
    pub fn convolve(self, convolution: &Conv2d, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::ChannelsLast => cpu::convolve(convolution, input),
            Self::ChannelsFirst => convolution.forward(input),
        }
    }

    /// Convolves, normalises, adds the residual if there is one and applies the ReLU if `rectify`.
    pub fn layer(
        self,
        convolution: &Conv2d,
        norm: &BatchNorm,
        input: Tensor<4>,
        residual: Option<Tensor<4>>,
        rectify: bool,
    ) -> Tensor<4> {
        match self {
            Self::ChannelsLast => {
                cpu::convolve_and_normalise(convolution, norm, input, residual, rectify)
            }
            Self::ChannelsFirst => {
                let output = norm.forward(convolution.forward(input));
                let output = match residual {
                    Some(residual) => output + residual,
                    None => output,
                };
                if rectify { relu(output) } else { output }
            }
        }
    }

    /// Max pooling over 3×3 windows of stride 2.
    pub fn max_pool(self, pool: &MaxPool2d, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::ChannelsLast => cpu::max_pool(pool, input),
            Self::ChannelsFirst => pool.forward(input),
        }
    }

    /// Mean over height and width, which keep the length 1.
    pub fn global_average(self, input: Tensor<4>) -> Tensor<4> {
        input.mean_dims(&self.spatial())
    }
}
