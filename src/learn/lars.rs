//! LARS exactly as in Google's code (SimCLR, `lars_optimizer.py`; <https://arxiv.org/abs/1708.03888>).
//!
//! Other ports multiply the velocity by the learning rate instead of having it inside, which differs while the rate
//! changes.

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor};

use super::velocities::Velocities;

/// Ratio of a layer's step to its weights, `eeta` in the reference.
const TRUST: f32 = 0.001;

/// Layer-wise adaptive rate scaling with momentum.
///
/// For each weight tensor `g ← g + decay · w`, `v ← momentum · v + rate · .001 |w| / |g| · g`, `w ← w − v`. Batch norms,
/// biases and the supervised head (`scores`) are neither decayed nor scaled; where a norm is zero, nothing is scaled.
///
/// Deviation: the reference adds half the squared weights of the supervised head to the loss; here it has no decay.
pub struct ModuleLars {
    weight_decay: f32,
    momentum: f32,
    velocities: Velocities,
}

impl ModuleLars {
    /// Starts without velocity.
    pub fn new(weight_decay: f32, momentum: f32) -> Self {
        Self { weight_decay, momentum, velocities: Velocities::default() }
    }

    /// Moves every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, rate: f64, model: M, gradients: GradientsParams) -> M {
        model.map(&mut Step { optimizer: self, gradients, rate, path: Vec::new() })
    }

    /// Copies the velocities in the shape of `model`, on the plain device.
    pub fn velocities<M: Module>(&self, model: &M) -> M {
        self.velocities.in_shape_of(model)
    }

    /// Takes saved velocities up; parameters are found by their ids, which come with the records.
    pub fn restore<M: Module>(&mut self, velocities: &M) {
        self.velocities.restore(velocities);
    }

    /// The next velocity of a tensor, all plain.
    fn next<const D: usize>(
        &self,
        id: ParamId,
        weight: &Tensor<D>,
        gradient: Tensor<D>,
        excluded: bool,
        rate: f64,
    ) -> Tensor<D> {
        let scaled = if excluded {
            gradient
        } else {
            let gradient = gradient + weight.clone().mul_scalar(self.weight_decay);
            let trust = trust(weight, &gradient);
            gradient * trust
        };
        let moved = scaled.mul_scalar(rate);
        match self.velocities.get::<D>(id) {
            Some(velocity) => velocity.clone().mul_scalar(self.momentum) + moved,
            None => moved,
        }
    }
}

/// `.001 |w| / |g|`, or 1 where either norm is 0, in a shape that multiplies the gradient.
fn trust<const D: usize>(weight: &Tensor<D>, gradient: &Tensor<D>) -> Tensor<D> {
    let norm = |tensor: &Tensor<D>| (tensor.clone() * tensor.clone()).sum().sqrt();
    let (weight, gradient) = (norm(weight), norm(gradient));
    let zero: Tensor<1, Bool> = (weight.clone() * gradient.clone()).equal_scalar(0.0);
    (weight / gradient).mul_scalar(TRUST).mask_fill(zero, 1.0).reshape([1; D])
}

struct Step<'a> {
    optimizer: &'a mut ModuleLars,
    gradients: GradientsParams,
    rate: f64,
    path: Vec<String>,
}

impl ModuleMapper for Step<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let excluded = self
            .path
            .iter()
            .any(|name| name.contains("norm") || name == "scores" || name == "bias");
        let (id, tensor, mapper) = param.consume();
        let learns = tensor.is_require_grad();
        let weight = tensor.inner();
        let velocity = self.optimizer.next(id, &weight, gradient, excluded, self.rate);
        let moved = Tensor::from_inner(weight - velocity.clone());
        self.optimizer.velocities.set(id, velocity);
        Param::from_mapped_value(id, if learns { moved.require_grad() } else { moved }, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::learn::read;

    /// A weight that is scaled, a bias and a batch norm that are not, and a supervised head.
    #[derive(Module, Debug)]
    struct Layers {
        linear: Linear,
        norm: BatchNorm,
        scores: Linear,
    }

    const START: [f32; 4] = [0.5, -0.25, 1.0, 0.75];
    const GRADIENT: [f32; 4] = [0.1, 0.2, -0.3, 0.4];

    fn tensor<const D: usize>(values: [f32; 4], shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
    }

    fn layers(device: &Device) -> Layers {
        let linear = |sizes: [usize; 2]| Linear {
            weight: Param::from_tensor(tensor(START, sizes, device)),
            bias: Some(Param::from_tensor(tensor(START, [4], device))),
        };
        let mut norm: BatchNorm = BatchNormConfig::new(4).init(device);
        norm.gamma = Param::from_tensor(tensor(START, [4], device));
        Layers { linear: linear([1, 4]), norm, scores: linear([2, 2]) }
    }

    fn gradients(layers: &Layers) -> GradientsParams {
        let device = Device::flex();
        let mut gradients = GradientsParams::new();
        let biases = [&layers.linear.bias, &layers.scores.bias];
        for param in biases.into_iter().flatten().chain([&layers.norm.gamma]) {
            gradients.register(param.id, tensor(GRADIENT, [4], &device));
        }
        gradients.register(layers.linear.weight.id, tensor(GRADIENT, [1, 4], &device));
        gradients.register(layers.scores.weight.id, tensor(GRADIENT, [2, 2], &device));
        gradients
    }

    fn close<const D: usize>(param: &Param<Tensor<D>>, expected: [f32; 4]) {
        let found = read(param.val().inner()).unwrap();
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 2e-7, "{found} is not {expected}");
        }
    }

    /// Three steps of the reference's formulas in double precision; saved and restored after the first.
    #[test]
    fn golden_steps() {
        let scaled = [
            [0.499_749_87, -0.250_499_93, 1.000_749_7, 0.748_999_83],
            [0.499_274_64, -0.251_449_82, 1.002_174_3, 0.747_099_46],
            [0.498_596_8, -0.252_804_64, 1.004_206_1, 0.744_388_94],
        ];
        let device = Device::flex().autodiff();
        let mut optimizer = ModuleLars::new(1e-4, 0.9);
        let mut model = layers(&device);
        for (step, expected) in scaled.into_iter().enumerate() {
            let found = gradients(&model);
            model = optimizer.step(1.0, model, found);
            close(&model.linear.weight, expected);
            if step == 0 {
                let saved = optimizer.velocities(&model);
                optimizer = ModuleLars::new(1e-4, 0.9);
                optimizer.restore(&saved);
            }
        }
        assert!(model.linear.weight.val().is_require_grad());
    }

    #[test]
    fn golden_steps_of_what_is_excluded() {
        let device = Device::flex().autodiff();
        let mut optimizer = ModuleLars::new(1e-4, 0.9);
        let mut model = layers(&device);
        for expected in [[0.49, -0.27, 1.03, 0.71], [0.471, -0.308, 1.087, 0.634]] {
            let found = gradients(&model);
            model = optimizer.step(0.1, model, found);
            let biases = [&model.linear.bias, &model.scores.bias];
            for param in biases.into_iter().flatten().chain([&model.norm.gamma]) {
                close(param, expected);
            }
            close(&model.scores.weight, expected);
        }
    }

    /// The rate is inside the velocity: a rate of 0 leaves the old velocity at work.
    #[test]
    fn the_rate_is_inside_the_velocity() {
        let device = Device::flex().autodiff();
        let mut optimizer = ModuleLars::new(0.0, 0.5);
        let mut model = layers(&device);
        for rate in [0.1, 0.0] {
            let found = gradients(&model);
            model = optimizer.step(rate, model, found);
        }
        // START − .1 g − .05 g.
        close(&model.norm.gamma, [0.485, -0.28, 1.045, 0.69]);
    }

    #[test]
    fn a_weight_of_zero_is_not_scaled() {
        let device = Device::flex().autodiff();
        let mut model = LinearConfig::new(1, 4).with_bias(false).init(&device);
        model.weight = Param::from_tensor(tensor([0.0; 4], [1, 4], &device));
        let mut gradients = GradientsParams::new();
        gradients.register(model.weight.id, tensor(GRADIENT, [1, 4], &Device::flex()));
        let model = ModuleLars::new(1e-4, 0.9).step(1.0, model, gradients);
        close(&model.weight, GRADIENT.map(|value| -value));
    }
}
