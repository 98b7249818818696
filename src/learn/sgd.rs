//! Stochastic gradient descent with Nesterov's momentum, as in FixMatch's code.

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::optimizer::LayerRates;
use super::velocities::Velocities;

/// `g ← g + decay · w`, `v ← momentum · v + g`, `w ← w − rate · (g + momentum · v)` for each weight tensor.
///
/// PyTorch's form (`torch.optim.SGD(nesterov=True)`); TensorFlow's is the same. Batch norms and biases are not
/// decayed, as in google-research/fixmatch, which puts the decay into the loss of the kernels alone.
pub struct ModuleSgd {
    weight_decay: f32,
    momentum: f32,
    rates: LayerRates,
    velocities: Velocities,
}

impl ModuleSgd {
    /// Starts without velocity.
    pub fn new(weight_decay: f32, momentum: f32, rates: LayerRates) -> Self {
        Self { weight_decay, momentum, rates, velocities: Velocities::default() }
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
}

struct Step<'a> {
    optimizer: &'a mut ModuleSgd,
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
        let within = |part: &str| self.path.iter().any(|name| name.contains(part));
        let decayed = !within("norm") && self.path.last().is_none_or(|name| name != "bias");
        let rate = self.rate * self.optimizer.rates.of(&self.path);
        let (id, tensor, mapper) = param.consume();
        let learns = tensor.is_require_grad();
        let weight = tensor.inner();
        let gradient = if decayed {
            gradient + weight.clone().mul_scalar(self.optimizer.weight_decay)
        } else {
            gradient
        };
        let momentum = self.optimizer.momentum;
        let velocity = match self.optimizer.velocities.get::<D>(id) {
            Some(velocity) => velocity.clone().mul_scalar(momentum) + gradient.clone(),
            None => gradient.clone(),
        };
        let ahead = gradient + velocity.clone().mul_scalar(momentum);
        let moved = Tensor::from_inner(weight - ahead.mul_scalar(rate));
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

    #[derive(Module, Debug)]
    struct Layers {
        linear: Linear,
        norm: BatchNorm,
        head: Linear,
    }

    const START: [f32; 3] = [0.5, -0.25, 1.0];

    fn layers(device: &Device) -> Layers {
        let weight = || Param::from_data(TensorData::new(START.to_vec(), [1, 3]), device);
        let mut layers = Layers {
            linear: LinearConfig::new(1, 3).init(device),
            norm: BatchNormConfig::new(3).init(device),
            head: LinearConfig::new(1, 3).with_bias(false).init(device),
        };
        (layers.linear.weight, layers.head.weight) = (weight(), weight());
        layers.linear.bias = Some(Param::from_data(TensorData::new(START.to_vec(), [3]), device));
        layers.norm.gamma = Param::from_data(TensorData::new(START.to_vec(), [3]), device);
        layers
    }

    /// The gradient of step `step`, the same for all.
    fn gradients(layers: &Layers, step: usize) -> GradientsParams {
        let device = Device::flex();
        let values: Vec<f32> =
            (0..3).map(|i| 0.1 * (i as f32 + 1.0) - 0.05 * step as f32).collect();
        let mut gradients = GradientsParams::new();
        for param in [&layers.linear.weight, &layers.head.weight] {
            let data = TensorData::new(values.clone(), [1, 3]);
            gradients.register(param.id, Tensor::<2>::from_data(data, &device));
        }
        for param in layers.linear.bias.iter().chain([&layers.norm.gamma]) {
            let data = TensorData::new(values.clone(), [3]);
            gradients.register(param.id, Tensor::<1>::from_data(data, &device));
        }
        gradients
    }

    /// Ten steps of PyTorch 2.15's `torch.optim.SGD(momentum=.9, nesterov=True)` in double precision: a kernel with decay
    /// .1, what is not decayed, and a head ten times as fast. Saved and restored after the fourth.
    #[test]
    fn ten_steps_match_pytorch() {
        let device = Device::flex().autodiff();
        let mut model = layers(&device);
        let mut optimizer = ModuleSgd::new(0.1, 0.9, LayerRates { head: 10.0, ..LayerRates::EVEN });
        for step in 0..10 {
            let found = gradients(&model, step);
            model = optimizer.step(0.02, model, found);
            if step == 3 {
                let saved = optimizer.velocities(&model);
                optimizer = ModuleSgd::new(0.1, 0.9, LayerRates { head: 10.0, ..LayerRates::EVEN });
                optimizer.restore(&saved);
            }
        }
        let undecayed = [0.573_085, -0.271_401, 0.884_113];
        close(&model.linear.weight, [0.527_019, -0.246_026, 0.796_567]);
        close(model.linear.bias.as_ref().unwrap(), undecayed);
        close(&model.norm.gamma, undecayed);
        close(&model.head.weight, [0.857, -0.077_213, -0.485_129]);
        assert!(model.linear.weight.val().is_require_grad());
    }

    fn close<const D: usize>(param: &Param<Tensor<D>>, expected: [f32; 3]) {
        for (found, expected) in read(param.val().inner()).unwrap().iter().zip(expected) {
            assert!((found - expected).abs() < 2e-6, "{found} {expected}");
        }
    }
}
