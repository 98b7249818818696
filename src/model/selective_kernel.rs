//! Selective kernels (SK, Li et al., <https://arxiv.org/abs/1903.06586>) in the reduced form of SimCLR v2's reference
//! code (`resnet.py`, `sk_conv2d`): both branches are 3×3, so one convolution of twice the channels serves both. And the
//! average pooling that comes with them in ResNet-D's shortcut.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

use super::block::{ConvNorm, convolution};
use super::memory_format::MemoryFormat;

/// Fewest channels of the squeezed layer.
const LEAST: usize = 32;

/// Mixes the two halves of a feature map's channels, channel by channel, by what the whole map holds.
#[derive(Module, Debug)]
pub struct SelectiveKernel {
    pub(super) squeeze: ConvNorm,
    pub(super) excite: Conv2d,
}

impl SelectiveKernel {
    /// Mixes 2 · `channels` to `channels`.
    pub(super) fn init(channels: usize, ratio: f32, device: &Device) -> Self {
        let squeezed = ((channels as f32 * ratio) as usize).max(LEAST);
        Self {
            squeeze: ConvNorm::init([channels, squeezed], 1, 1, device),
            excite: convolution([squeezed, 2 * channels], 1, 1, device),
        }
    }

    /// Softmax over two branches is the sigmoid of their difference.
    pub(super) fn forward(&self, input: Tensor<4>, format: MemoryFormat) -> Tensor<4> {
        let halves = |tensor: Tensor<4>| {
            let dimension = format.channels();
            let half = tensor.dims()[dimension] / 2;
            (tensor.clone().narrow(dimension, 0, half), tensor.narrow(dimension, half, half))
        };
        let (first, second) = halves(input);
        let whole = format.global_average(first.clone() + second.clone());
        let ConvNorm { conv, norm } = &self.squeeze;
        let squeezed = format.layer(conv, norm, whole, None, true);
        let (for_first, for_second) = halves(format.convolve(&self.excite, squeezed));
        let share = sigmoid(for_first - for_second);
        (first - second.clone()) * share + second
    }
}

/// Average pooling over 2×2 windows of stride 1 or 2.
///
/// At stride 1 the last row and column average what is there (TensorFlow's "same"); at stride 2 an odd row or column is
/// averaged with zeros, as the reference code pads before it pools.
#[derive(Module, Debug)]
pub struct AveragePool {
    pub(super) stride: usize,
}

impl AveragePool {
    pub(super) fn forward(&self, input: Tensor<4>, format: MemoryFormat) -> Tensor<4> {
        // The mean over a window is the mean over its columns' means.
        format.spatial().into_iter().fold(input, |input, dimension| self.along(input, dimension))
    }

    fn along(&self, input: Tensor<4>, dimension: usize) -> Tensor<4> {
        let shape = input.dims();
        let size = shape[dimension];
        if self.stride == 1 && size == 1 {
            return input;
        }
        if self.stride == 1 {
            let next = input.clone().narrow(dimension, 1, size - 1);
            let last = input.clone().narrow(dimension, size - 1, 1);
            return (input + Tensor::cat(vec![next, last], dimension)) * 0.5;
        }
        let input = if size.is_multiple_of(2) {
            input
        } else {
            let mut edge = shape;
            edge[dimension] = 1;
            let zeros = Tensor::zeros(edge, &input.device());
            Tensor::cat(vec![input, zeros], dimension)
        };
        let mut pooled = shape;
        pooled[dimension] = size.div_ceil(2);
        let [a, b, c, d] = pooled;
        // Pairs along the dimension become a dimension of their own.
        let pairs: [usize; 5] = match dimension {
            1 => [a, b, 2, c, d],
            2 => [a, b, c, 2, d],
            _ => [a, b, c, d, 2],
        };
        input.reshape(pairs).mean_dim(dimension + 1).reshape(pooled)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    fn pooled(stride: usize, size: [usize; 2], format: MemoryFormat) -> Vec<f32> {
        let [height, width] = size;
        let values: Vec<f32> = (0..height * width).map(|i| i as f32).collect();
        let shape = match format {
            MemoryFormat::ChannelsLast => [1, height, width, 1],
            MemoryFormat::ChannelsFirst => [1, 1, height, width],
        };
        let input = Tensor::from_data(TensorData::new(values, shape), &Device::flex());
        AveragePool { stride }.forward(input, format).into_data().try_to_vec().unwrap()
    }

    /// By hand, on 0, 1, 2 … in rows.
    #[test]
    fn average_pooling_pads_as_the_reference() {
        for format in [MemoryFormat::ChannelsLast, MemoryFormat::ChannelsFirst] {
            assert_eq!(pooled(2, [2, 4], format), [2.5, 4.5]);
            // Zeros count at stride 2.
            assert_eq!(pooled(2, [3, 3], format), [2.0, 1.75, 3.25, 2.0]);
            // Nothing outside counts at stride 1.
            assert_eq!(pooled(1, [2, 3], format), [2.0, 3.0, 3.5, 3.5, 4.5, 5.0]);
            assert_eq!(pooled(1, [1, 2], format), [0.5, 1.0]);
        }
    }
}
