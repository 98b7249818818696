//! Grad-CAM (Selvaraju et al., ICCV 2017, <https://arxiv.org/abs/1610.02391>): where in the last group's maps a class's
//! logit comes from.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::memory_format::MemoryFormat;
use super::resnet::memory_format;
use super::{Classifier, ClassifierHead, Encoder, Probe};

/// The two heads as constants of an autodiff graph, batch norms by their running statistics.
struct Heads {
    head: ClassifierHead,
    probe: Option<Probe>,
}

/// Takes tensors onto the autodiff device without asking for their gradients.
struct Lift;

impl ModuleMapper for Lift {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(Tensor::from_inner)
    }
}

impl Heads {
    fn of(model: &Classifier) -> Self {
        // `valid` ends the training of batch norms, which lifting alone does not start again.
        let head = model.head.valid().map(&mut Lift);
        Self { head, probe: model.probe.as_ref().map(|probe| probe.valid().map(&mut Lift)) }
    }

    /// Logits from the maps of the encoder's groups, as [`Classifier::forward`] has them from films.
    fn scores(&self, groups: &[Tensor<4>], format: MemoryFormat) -> Tensor<2> {
        let scores = self.head.forward(Encoder::features_of(groups, format));
        match &self.probe {
            Some(probe) => scores + probe.forward(Encoder::embedding_of(groups, format)),
            None => scores,
        }
    }
}

impl Classifier {
    /// Scores films and says, for each class, how much each place of the encoder's last group speaks for it: the group's
    /// maps, each weighted by the mean of the logit's gradient over the map, summed. What speaks against the class is
    /// below 0; the paper's ReLU is left to the caller, who may want to average first.
    ///
    /// The gradient flows through both heads. A probe also sees earlier groups, whose share in the logit no map of the last
    /// group can show.
    ///
    /// # Shapes
    /// `[n, 1, size, size]` in 0..=1 to logits `[n, classes]` and maps `[n, classes, height, width]`, on the plain device.
    pub fn grad_cam(&self, films: Tensor<4>) -> (Tensor<2>, Tensor<4>) {
        let films = films.inner();
        let format = memory_format(&films);
        let groups = self.encoder.valid().groups(films, format);
        let heads = Heads::of(self);
        let classes = heads.head.scores.weight.dims()[1];
        let mut logits = None;
        let maps = (0..classes).map(|class| {
            let (scores, map) = class_map(&heads, &groups, class, format);
            logits = Some(scores);
            map
        });
        let maps = Tensor::cat(maps.collect(), 1);
        let logits = logits.unwrap_or_else(|| Tensor::zeros([maps.dims()[0], 0], &maps.device()));
        (logits, maps)
    }
}

/// All logits, and one class's weighted maps, `[n, 1, height, width]`.
fn class_map(
    heads: &Heads,
    groups: &[Tensor<4>],
    class: usize,
    format: MemoryFormat,
) -> (Tensor<2>, Tensor<4>) {
    let mut lifted: Vec<Tensor<4>> = groups.iter().cloned().map(Tensor::from_inner).collect();
    // The leaf is the last group's maps, so that the backward pass stays within the heads.
    let last = lifted.pop().map(Tensor::require_grad);
    lifted.extend(last.clone());
    let scores = heads.scores(&lifted, format);
    // A film's logit depends on its own maps alone, so the sum over films has every film's gradient.
    let gradients = scores.clone().narrow(1, class, 1).sum().backward();
    let maps = groups[groups.len() - 1].clone();
    let gradient = last.and_then(|last| last.grad(&gradients));
    let weights = match gradient {
        Some(gradient) => format.global_average(gradient),
        None => format.global_average(maps.zeros_like()),
    };
    let map = (maps * weights).sum_dim(format.channels());
    let map = match format {
        MemoryFormat::ChannelsFirst => map,
        MemoryFormat::ChannelsLast => map.permute([0, 3, 1, 2]),
    };
    (scores.inner(), map)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::model::{Architecture, LinearHead, Pretrained, Stem, seeded};
    use crate::rng;

    fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// A network with weights by a rule, its classifier not zero; with a probe if `probe`.
    fn network(architecture: &Architecture, probe: bool) -> Classifier {
        let device = Device::flex();
        let classes = 3;
        let start = Pretrained::init(architecture, 0, &device);
        let mut model = Classifier::from_pretrained(start, classes, &device);
        seeded::fill(&mut model);
        if !probe {
            return model;
        }
        let blocks = architecture.embedding_blocks().to_vec();
        let dim = blocks.iter().sum::<usize>();
        let mut random = rng::stream(5, "probe", &[]);
        let mut draw = |count: usize, scale: f32| -> Vec<f32> {
            (0..count).map(|_| scale * rng::uniform(&mut random, -1.0, 1.0)).collect()
        };
        let centre = draw(dim, 0.5);
        let weights = draw(dim * classes, 0.3);
        let head = LinearHead { centre, blocks, weights, bias: vec![0.0; classes] };
        model.with_probe(&head, &device)
    }

    /// Weights of the maps by central differences: every place of one channel is moved by ±ε, which moves the logit by
    /// ±ε times the sum of its gradient over the places.
    fn slow_weights(model: &Classifier, groups: &[Tensor<4>], format: MemoryFormat) -> Vec<f32> {
        let heads = Heads { head: model.head.valid(), probe: model.probe.clone() };
        let last = &groups[groups.len() - 1];
        let shape = last.dims();
        let [rows, columns] = format.spatial().map(|dimension| shape[dimension]);
        let epsilon = 0.01;
        let mut all = Vec::new();
        for channel in 0..shape[format.channels()] {
            let mut one = [0, 1, 2, 3].map(|_| 1);
            one[format.channels()] = shape[format.channels()];
            let count = one[format.channels()];
            let values: Vec<f32> = (0..count).map(|c| f32::from(u8::from(c == channel))).collect();
            let data = burn::tensor::TensorData::new(values, one);
            let step = Tensor::<4>::from_data(data, &last.device()).mul_scalar(epsilon);
            let moved = |sign: f32| {
                let mut groups = groups.to_vec();
                *groups.last_mut().unwrap() = last.clone() + step.clone().mul_scalar(sign);
                read(heads.scores(&groups, format))
            };
            let (up, down) = (moved(1.0), moved(-1.0));
            let places = (rows * columns) as f32;
            all.push(
                up.iter()
                    .zip(&down)
                    .map(|(up, down)| (up - down) / (2.0 * epsilon * places))
                    .collect::<Vec<f32>>(),
            );
        }
        // From channel by channel to logit by logit.
        let logits = all[0].len();
        (0..logits).flat_map(|logit| all.iter().map(move |row| row[logit])).collect()
    }

    /// Basic and bottleneck blocks, with and without a probe, in both memory formats.
    #[test]
    fn maps_are_weighted_by_finite_differences_of_the_pooled_maps() {
        let (mut off, mut total) = (0, 0);
        for (depth, stem, size, probe) in
            [(10, Stem::Small, 96, false), (10, Stem::Small, 96, true), (14, Stem::Cifar, 40, true)]
        {
            let architecture = Architecture::resnet(depth, 0.125, stem);
            let model = network(&architecture, probe);
            let films = seeded::films(2, size, &Device::flex());
            for format in [MemoryFormat::ChannelsLast, MemoryFormat::ChannelsFirst] {
                // Off zero, where the embedding's root is too steep for differences.
                let groups = model.encoder.groups(films.clone(), format).into_iter();
                let groups: Vec<Tensor<4>> = groups.map(|map| map.add_scalar(0.1)).collect();
                let slow = slow_weights(&model, &groups, format);
                let heads = Heads::of(&model);
                let last = match format {
                    MemoryFormat::ChannelsFirst => groups[3].clone(),
                    MemoryFormat::ChannelsLast => groups[3].clone().permute([0, 3, 1, 2]),
                };
                let [n, channels, rows, columns] = last.dims();
                let maps = read(last);
                for class in 0..3 {
                    let (_, found) = class_map(&heads, &groups, class, format);
                    assert_eq!(found.dims(), [n, 1, rows, columns]);
                    let found = read(found);
                    let scale = found.iter().fold(1e-3_f32, |top, value| top.max(value.abs()));
                    for (place, found) in found.iter().enumerate() {
                        let (film, cell) = (place / (rows * columns), place % (rows * columns));
                        let weights = &slow[(film * 3 + class) * channels..][..channels];
                        let expected: f32 = (0..channels)
                            .map(|c| {
                                weights[c] * maps[(film * channels + c) * rows * columns + cell]
                            })
                            .sum();
                        // A step may cross the corner of a ReLU of the head, which the gradient does not see.
                        let error = (found - expected).abs() / scale;
                        assert!(
                            error < 0.15,
                            "{architecture}, class {class}: {found} and not {expected}"
                        );
                        (off, total) = (off + usize::from(error > 0.05), total + 1);
                    }
                }
            }
        }
        assert!(10 * off < total, "{off} of {total} places are off");
    }

    #[test]
    fn logits_are_those_of_the_forward_pass() {
        let architecture = Architecture::resnet(10, 0.25, Stem::Standard);
        for probe in [false, true] {
            let model = network(&architecture, probe);
            let films = seeded::films(3, 96, &Device::flex());
            let (logits, maps) = model.grad_cam(films.clone());
            assert_eq!((logits.dims(), maps.dims()), ([3, 3], [3, 3, 3, 3]));
            for (one, other) in read(logits).into_iter().zip(read(model.forward(films))) {
                assert!((one - other).abs() < 1e-4, "{one} and {other}");
            }
        }
    }
}
