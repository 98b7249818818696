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

use super::cpu;
use crate::device;

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

    /// The block's output for channels-last maps on the CPU.
    fn forward_on_cpu(&self, input: Tensor<4>) -> Tensor<4> {
        let layer = cpu::convolve_and_normalise;
        let residual = match &self.shortcut {
            Some(Shortcut { conv, norm }) => layer(conv, norm, input.clone(), None, false),
            None => input.clone(),
        };
        let hidden = layer(&self.conv1, &self.norm1, input, None, true);
        layer(&self.conv2, &self.norm2, hidden, Some(residual), true)
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
        if device::is_cpu(&films.device()) {
            self.forward_on_cpu(films)
        } else {
            self.forward_by_burn(films)
        }
    }

    fn forward_on_cpu(&self, films: Tensor<4>) -> Tensor<2> {
        let [n, channels, height, width] = films.dims();
        // With one channel the two layouts are the same.
        let films = films.reshape([n, height, width, channels]);
        let mut hidden =
            cpu::convolve_and_normalise(&self.stem, &self.stem_norm, films, None, true);
        if self.pool.is_some() {
            hidden = cpu::max_pool(hidden);
        }
        for block in &self.blocks {
            hidden = block.forward_on_cpu(hidden);
        }
        let [n, _, _, channels] = hidden.dims();
        hidden.mean_dims(&[1, 2]).reshape([n, channels])
    }

    /// The same by burn's own operations, on any device.
    fn forward_by_burn(&self, films: Tensor<4>) -> Tensor<2> {
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

#[cfg(test)]
mod tests {
    use burn::module::{ModuleVisitor, Param};
    use burn::optim::{GradientsParams, SgdConfig};
    use burn::tensor::TensorData;

    use super::*;
    use crate::model::Pretrained;
    use crate::rng;

    fn encoder(architecture: &Architecture, device: &Device) -> Encoder {
        Pretrained::init(architecture, 2, device).encoder
    }

    fn films(count: usize, size: usize, device: &Device) -> Tensor<4> {
        let mut random = rng::stream(4, "films", &[size as u64]);
        let pixels = (0..count * size * size).map(|_| rng::unit(&mut random)).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(pixels, [count, 1, size, size]), device)
    }

    fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    struct Gradients<'a> {
        all: &'a GradientsParams,
        values: Vec<Vec<f32>>,
    }

    impl ModuleVisitor for Gradients<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.values.extend(self.all.get::<D>(param.id).map(read));
        }
    }

    /// One step of gradient descent on films of two kinds; returns the loss and every gradient.
    fn step(
        encoder: &mut Encoder,
        films: &Tensor<4>,
        on_cpu: bool,
        rate: f64,
    ) -> (f32, Vec<Vec<f32>>) {
        let features = if on_cpu {
            encoder.forward_on_cpu(films.clone())
        } else {
            encoder.forward_by_burn(films.clone())
        };
        let [n, width] = features.dims();
        let wanted = (0..n * width).map(|i| ((i / width + i) % 2) as f32).collect::<Vec<_>>();
        let wanted = Tensor::<2>::from_data(TensorData::new(wanted, [n, width]), &films.device());
        let loss = (features - wanted).powi_scalar(2).mean();
        let value = read(loss.clone().inner())[0];
        let gradients = GradientsParams::from_grads(loss.backward(), encoder);
        let mut found = Gradients { all: &gradients, values: Vec::new() };
        encoder.visit(&mut found);
        let values = found.values;
        *encoder = SgdConfig::new().init().step(rate, encoder.clone(), gradients);
        (value, values)
    }

    fn largest(values: &[f32]) -> f32 {
        values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
    }

    /// Depths, widths and stems, even and odd sizes, a batch of one film.
    #[test]
    fn the_cpus_path_has_burns_outputs_and_gradients() {
        let device = Device::flex().autodiff();
        for (depth, width, stem, size, count) in [
            (10, 0.125, Stem::Small, 33, 3),
            (10, 0.25, Stem::Standard, 96, 1),
            (18, 0.25, Stem::Small, 32, 4),
            (18, 0.5, Stem::Standard, 75, 2),
            (34, 0.125, Stem::Standard, 64, 6),
        ] {
            let architecture = Architecture { depth, width, stem };
            let films = films(count, size, &device);
            let mut encoders = [true, false].map(|own| (encoder(&architecture, &device), own));
            for _ in 0..3 {
                let [own, burns] =
                    encoders.each_mut().map(|(encoder, own)| step(encoder, &films, *own, 0.05));
                assert_eq!(own.1.len(), burns.1.len());
                assert!(own.1.len() > 3 * architecture.blocks().unwrap().iter().sum::<usize>());
                for (own, burns) in own.1.iter().zip(&burns.1) {
                    let errors: Vec<f32> = own.iter().zip(burns).map(|(a, b)| a - b).collect();
                    let scale = largest(burns).max(1e-4);
                    assert!(
                        largest(&errors) < 2e-3 * scale,
                        "{architecture}: a gradient is off by {} at a scale of {scale}",
                        largest(&errors)
                    );
                }
            }
            // Inference uses the running statistics that the steps have left.
            let [own, burns] = encoders.map(|(encoder, _)| encoder.valid());
            let films = films.inner();
            let (own, burns) =
                (read(own.forward(films.clone())), read(burns.forward_by_burn(films)));
            let errors: Vec<f32> = own.iter().zip(&burns).map(|(a, b)| a - b).collect();
            assert!(largest(&errors) < 2e-3 * largest(&burns), "{architecture}");
        }
    }

    #[test]
    fn twenty_steps_give_burns_losses() {
        let device = Device::flex().autodiff();
        let architecture = Architecture { depth: 18, width: 0.25, stem: Stem::Small };
        let films = films(8, 32, &device);
        let mut encoders = [true, false].map(|own| (encoder(&architecture, &device), own));
        let mut losses = Vec::new();
        for _ in 0..20 {
            let [own, burns] =
                encoders.each_mut().map(|(encoder, own)| step(encoder, &films, *own, 0.5).0);
            assert!((own - burns).abs() < 1e-3 * burns, "{own} and not {burns}");
            losses.push(own);
        }
        assert!(losses[19] < 0.8 * losses[0], "nothing was learnt: {losses:?}");
    }
}
