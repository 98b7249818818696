//! ResNet (He et al., <https://arxiv.org/abs/1512.03385>) as SimCLR v2 has it (<https://arxiv.org/abs/2006.10029>,
//! reference code `resnet.py`): a projection shortcut in the first block of *every* group, the first group included, the
//! stride on the 3×3 convolutions, and the last batch norm of each block initialised to zero. torchvision's differs in
//! the first group and in the pooling: [`Layout`].
//!
//! Deviations: films are grey, so the first convolution may have one input channel instead of three; the initial
//! weights are normal, not truncated normal; and the running variance is that of the batch, which the references
//! multiply by n / (n - 1) first.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Device, Tensor, TensorData};

use super::architecture::{Architecture, Layout, Normalisation, Stem};
use super::block::{Block, ConvNorm, Place, convolution, norm};
use super::memory_format::MemoryFormat;
use crate::device;

/// Mean and standard deviation of `ImageNet`'s red, green and blue, as torchvision gives them.
pub(super) const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

/// Films to features.
#[derive(Module, Debug)]
pub struct Encoder {
    pub(super) stem: Conv2d,
    pub(super) stem_norm: BatchNorm,
    /// Second and third convolution of ResNet-D's stem.
    pub(super) deep_stem: Vec<ConvNorm>,
    pub(super) pool: Option<MaxPool2d>,
    pub(super) blocks: Vec<Block>,
    /// Whether films take `ImageNet`'s mean and deviation before the first layer.
    pub(super) imagenet: bool,
}

impl Encoder {
    /// Makes a randomly initialised encoder. An unsupported architecture is treated as the nearest that is: check
    /// [`Architecture::blocks`] where the architecture comes from outside.
    pub fn init(architecture: &Architecture, device: &Device) -> Self {
        let (width, films) = (architecture.channels(64), architecture.input_channels);
        let mut deep_stem = Vec::new();
        let stem = match architecture.stem {
            Stem::Standard if architecture.selective() => {
                let half = (width / 2).max(1);
                deep_stem = vec![
                    ConvNorm::init([half, half], 3, 1, device),
                    ConvNorm::init([half, width], 3, 1, device),
                ];
                convolution([films, half], 3, 2, device)
            }
            Stem::Standard => convolution([films, width], 7, 2, device),
            Stem::Small => convolution([films, width], 3, 2, device),
            Stem::Cifar => convolution([films, width], 3, 1, device),
        };
        let padding = match architecture.layout {
            Layout::Simclr => PaddingConfig2d::Same,
            Layout::Torchvision => PaddingConfig2d::Explicit(1, 1, 1, 1),
        };
        let pool = MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).with_padding(padding);
        let mut blocks = Vec::new();
        let mut inputs = width;
        for (group, count) in architecture.blocks().unwrap_or([2, 2, 2, 2]).into_iter().enumerate()
        {
            for block in 0..count {
                blocks.push(Block::init(architecture, Place { group, block, inputs }, device));
                inputs = architecture.outputs(group);
            }
        }
        let stem_norm = norm(stem.weight.lazy_shape()[0], device);
        Self {
            stem,
            stem_norm,
            deep_stem,
            pool: (architecture.stem == Stem::Standard).then(|| pool.init()),
            blocks,
            imagenet: architecture.normalisation == Normalisation::Imagenet,
        }
    }

    /// Returns the number of residual blocks.
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Encodes films.
    ///
    /// # Shapes
    /// `[n, 1, size, size]` in 0..=1 to `[n, features]`.
    pub fn forward(&self, films: Tensor<4>) -> Tensor<2> {
        let format = memory_format(&films);
        self.forward_in(films, format, &mut |_| ())
    }

    /// The same as [`Self::forward`] in a memory format; `look` sees the output of the stem and of each block.
    pub(super) fn forward_in(
        &self,
        films: Tensor<4>,
        format: MemoryFormat,
        look: &mut dyn FnMut(&Tensor<4>),
    ) -> Tensor<2> {
        let films = self.channels_of(format.films(films), format);
        let mut hidden = format.layer(&self.stem, &self.stem_norm, films, None, true);
        for ConvNorm { conv, norm } in &self.deep_stem {
            hidden = format.layer(conv, norm, hidden, None, true);
        }
        if let Some(pool) = &self.pool {
            hidden = format.max_pool(pool, hidden);
        }
        look(&hidden);
        for block in &self.blocks {
            hidden = block.forward(hidden, format);
            look(&hidden);
        }
        let features = format.global_average(hidden);
        let [n, a, b, c] = features.dims();
        features.reshape([n, a * b * c])
    }

    /// Repeats the grey film where the first convolution has three channels, and normalises it.
    fn channels_of(&self, films: Tensor<4>, format: MemoryFormat) -> Tensor<4> {
        let channels = self.stem.weight.lazy_shape()[1];
        if channels == 1 {
            return films;
        }
        let films = films.repeat_dim(format.channels(), channels);
        if !self.imagenet {
            return films;
        }
        let mut shape = [1; 4];
        shape[format.channels()] = channels;
        let device = films.device();
        let [mean, deviation] = IMAGENET
            .map(|values| Tensor::from_data(TensorData::new(values.to_vec(), shape), &device));
        (films - mean) / deviation
    }
}

/// The format in which the films' device computes best.
pub(super) fn memory_format(films: &Tensor<4>) -> MemoryFormat {
    let own = device::is_cpu(&films.device());
    if own { MemoryFormat::ChannelsLast } else { MemoryFormat::ChannelsFirst }
}

#[cfg(test)]
mod tests {
    use burn::module::{ModuleVisitor, Param};
    use burn::optim::{GradientsParams, SgdConfig};

    use super::*;
    use crate::model::Pretrained;
    use crate::model::architecture::SK_RATIO;
    use crate::rng;

    const FORMATS: [MemoryFormat; 2] = [MemoryFormat::ChannelsLast, MemoryFormat::ChannelsFirst];

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
        format: MemoryFormat,
        rate: f64,
    ) -> (f32, Vec<Vec<f32>>) {
        let features = encoder.forward_in(films.clone(), format, &mut |_| ());
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
        let plain = Architecture::resnet;
        let selective = |depth, width, stem| Architecture {
            sk_ratio: SK_RATIO,
            ..Architecture::resnet(depth, width, stem)
        };
        let torchvision = |depth, width, stem| Architecture {
            layout: Layout::Torchvision,
            input_channels: 3,
            normalisation: Normalisation::Imagenet,
            ..Architecture::resnet(depth, width, stem)
        };
        for (architecture, size, count) in [
            (plain(10, 0.125, Stem::Small), 33, 3),
            (plain(10, 0.25, Stem::Standard), 96, 1),
            (plain(18, 0.25, Stem::Small), 32, 4),
            (plain(18, 0.5, Stem::Standard), 75, 2),
            (plain(34, 0.125, Stem::Standard), 64, 6),
            (plain(14, 0.25, Stem::Small), 33, 3),
            (plain(14, 0.125, Stem::Cifar), 16, 4),
            (selective(14, 0.25, Stem::Standard), 70, 3),
            (selective(50, 0.0625, Stem::Small), 32, 6),
            (torchvision(10, 0.25, Stem::Standard), 64, 3),
            (torchvision(14, 0.125, Stem::Standard), 75, 3),
        ] {
            let films = films(count, size, &device);
            let mut encoders = FORMATS.map(|format| (encoder(&architecture, &device), format));
            for _ in 0..3 {
                let [own, burns] = encoders
                    .each_mut()
                    .map(|(encoder, format)| step(encoder, &films, *format, 0.05));
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
            let own = read(own.forward(films.clone()));
            let burns = burns.forward_in(films, MemoryFormat::ChannelsFirst, &mut |_| ());
            let burns = read(burns);
            let errors: Vec<f32> = own.iter().zip(&burns).map(|(a, b)| a - b).collect();
            assert!(largest(&errors) < 2e-3 * largest(&burns), "{architecture}");
        }
    }

    #[test]
    fn twenty_steps_give_burns_losses() {
        let device = Device::flex().autodiff();
        let architecture = Architecture::resnet(18, 0.25, Stem::Small);
        let films = films(8, 32, &device);
        let mut encoders = FORMATS.map(|format| (encoder(&architecture, &device), format));
        let mut losses = Vec::new();
        for _ in 0..20 {
            let [own, burns] =
                encoders.each_mut().map(|(encoder, format)| step(encoder, &films, *format, 0.5).0);
            assert!((own - burns).abs() < 1e-3 * burns, "{own} and not {burns}");
            losses.push(own);
        }
        assert!(losses[19] < 0.8 * losses[0], "nothing was learnt: {losses:?}");
    }
}
