//! The optimisers of whole networks, with state that can be saved.
//!
//! AdamW has no decay of batch norms and biases, and learning rates by layer. Its arithmetic is burn's
//! `AdamW`; burn's `ModuleOptimizer` is not used, because restoring that one's state makes tensors on the process's
//! default device, which panics on a machine without a graphics driver.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{
    AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, GradientsParams, Optimizer as _,
};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::lars::ModuleLars;
use super::sgd::ModuleSgd;

/// Which optimiser, and its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// [`ModuleAdamW`], for batches of a small machine.
    Adamw {
        /// Decay of all but batch norms and biases, at least 0.
        weight_decay: f32,
    },
    /// [`ModuleLars`], SimCLR's, for large batches.
    Lars {
        /// Decay of all but batch norms, biases and the supervised head, at least 0.
        weight_decay: f32,
        /// Momentum in 0..1; the reference's is .9.
        momentum: f32,
    },
    /// [`ModuleSgd`], FixMatch's.
    Sgd {
        /// Decay of all but batch norms and biases, at least 0.
        weight_decay: f32,
        /// Nesterov's momentum in 0..1; the reference's is .9.
        momentum: f32,
    },
}

/// One of the optimisers with its state.
pub enum Optimizer {
    /// AdamW.
    Adamw(ModuleAdamW),
    /// LARS and the steps that it has taken.
    Lars(ModuleLars, usize),
    /// Gradient descent with momentum and the steps that it has taken.
    Sgd(ModuleSgd, usize),
}

impl Optimizer {
    /// Starts without state, at one rate for all layers.
    pub fn new(config: &OptimizerConfig) -> Self {
        Self::with_rates(config, LayerRates::EVEN)
    }

    /// Starts without state. LARS ignores `rates`: it scales layers itself.
    pub fn with_rates(config: &OptimizerConfig, rates: LayerRates) -> Self {
        match *config {
            OptimizerConfig::Adamw { weight_decay } => {
                Self::Adamw(ModuleAdamW::new(weight_decay, rates))
            }
            OptimizerConfig::Lars { weight_decay, momentum } => {
                Self::Lars(ModuleLars::new(weight_decay, momentum), 0)
            }
            OptimizerConfig::Sgd { weight_decay, momentum } => {
                Self::Sgd(ModuleSgd::new(weight_decay, momentum, rates), 0)
            }
        }
    }

    /// Moves every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, rate: f64, model: M, gradients: GradientsParams) -> M {
        match self {
            Self::Adamw(adamw) => adamw.step(rate, model, gradients),
            Self::Lars(lars, steps) => {
                *steps += 1;
                lars.step(rate, model, gradients)
            }
            Self::Sgd(sgd, steps) => {
                *steps += 1;
                sgd.step(rate, model, gradients)
            }
        }
    }

    /// Copies the state in the shape of `model`. Where there is one moment, the velocity, the second is the model itself.
    pub fn moments<M: Module>(&self, model: &M) -> Moments<M> {
        match self {
            Self::Adamw(adamw) => adamw.moments(model),
            Self::Lars(lars, steps) => {
                Moments { first: lars.velocities(model), second: model.valid(), steps: *steps }
            }
            Self::Sgd(sgd, steps) => {
                Moments { first: sgd.velocities(model), second: model.valid(), steps: *steps }
            }
        }
    }

    /// Takes a saved state up; parameters are found by their ids, which come with the records.
    pub fn restore<M: Module>(&mut self, moments: &Moments<M>) {
        match self {
            Self::Adamw(adamw) => adamw.restore(moments),
            Self::Lars(lars, steps) => {
                lars.restore(&moments.first);
                *steps = moments.steps;
            }
            Self::Sgd(sgd, steps) => {
                sgd.restore(&moments.first);
                *steps = moments.steps;
            }
        }
    }
}

/// Learning rates of an encoder's blocks and of what stands on it, relative to the run's.
///
/// The last block has the run's rate and each earlier one `decay` times the next one's, the stem that of a block before
/// the first (layer-wise decay: Howard and Ruder, ACL 2018, section 3.2; Bao et al., `BEiT`, appendix).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerRates {
    /// Factor of what is not in the encoder.
    pub head: f64,
    /// Factor from a block to the one before it, in 0..=1.
    pub decay: f64,
    /// Blocks of the encoder.
    pub blocks: usize,
}

impl LayerRates {
    /// One rate for all.
    pub const EVEN: Self = Self { head: 1.0, decay: 1.0, blocks: 0 };

    /// Returns the factor of a parameter by the names of the modules that it is in, outermost first.
    pub(super) fn of(&self, path: &[String]) -> f64 {
        if path.iter().any(|name| name == "head" || name == "probe") {
            return self.head;
        }
        let at = path.iter().position(|name| name == "blocks");
        let block = at.and_then(|at| path.get(at + 1)).and_then(|name| name.parse::<usize>().ok());
        let depth = block.map_or(0, |block| block + 1);
        self.decay.powi(self.blocks.saturating_sub(depth) as i32)
    }
}

/// AdamW (betas .9 and .999, epsilon 1e-8) with its state for every parameter.
pub struct ModuleAdamW {
    decayed: AdamW,
    undecayed: AdamW,
    rates: LayerRates,
    /// An [`AdamWState`] of the parameter's rank each.
    states: HashMap<ParamId, Box<dyn Any>>,
}

/// What a checkpoint keeps: both moments in the shape of the network, and the steps done.
pub struct Moments<M> {
    /// Averages of gradients.
    pub first: M,
    /// Averages of squared gradients.
    pub second: M,
    /// Steps done.
    pub steps: usize,
}

impl ModuleAdamW {
    /// Starts without state. Parameters whose path contains `norm` and biases are not decayed.
    pub fn new(weight_decay: f32, rates: LayerRates) -> Self {
        let build = |decay| AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(decay).build();
        let (decayed, undecayed) = (build(weight_decay), build(0.0));
        Self { decayed, undecayed, rates, states: HashMap::new() }
    }

    /// Moves every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, rate: f64, model: M, gradients: GradientsParams) -> M {
        model.map(&mut Step { optimizer: self, gradients, rate, path: Vec::new() })
    }

    /// Copies the state in the shape of `model`, zero where there is none.
    pub fn moments<M: Module>(&self, model: &M) -> Moments<M> {
        let mut read = Read { optimizer: self, second: false, steps: 0 };
        let first = model.valid().map(&mut read);
        read.second = true;
        let second = model.valid().map(&mut read);
        Moments { first, second, steps: read.steps }
    }

    /// Takes a saved state up; parameters are found by their ids, which come with the records.
    pub fn restore<M: Module>(&mut self, moments: &Moments<M>) {
        let mut first = Values(HashMap::new());
        moments.first.visit(&mut first);
        moments.second.visit(&mut Restore { optimizer: self, first, steps: moments.steps });
    }
}

struct Step<'a> {
    optimizer: &'a mut ModuleAdamW,
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
        let (id, tensor, mapper) = param.consume();
        let within = |part: &str| self.path.iter().any(|name| name.contains(part));
        let decayed = !within("norm") && self.path.last().is_none_or(|name| name != "bias");
        let optimizer = if decayed { &self.optimizer.decayed } else { &self.optimizer.undecayed };
        let rate = self.rate * self.optimizer.rates.of(&self.path);
        let state = self.optimizer.states.remove(&id);
        let state =
            state.and_then(|state| state.downcast::<AdamWState<D>>().ok()).map(|state| *state);
        let learns = tensor.is_require_grad();
        let (moved, state) = optimizer.step(rate, tensor.inner(), gradient, state);
        if let Some(state) = state {
            self.optimizer.states.insert(id, Box::new(state));
        }
        let moved = Tensor::from_inner(moved);
        Param::from_mapped_value(id, if learns { moved.require_grad() } else { moved }, mapper)
    }
}

struct Read<'a> {
    optimizer: &'a ModuleAdamW,
    second: bool,
    steps: usize,
}

impl ModuleMapper for Read<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let state = self.optimizer.states.get(&param.id);
        let Some(AdamWState { momentum }) =
            state.and_then(|state| state.downcast_ref::<AdamWState<D>>())
        else {
            return param.map(|value| value.zeros_like());
        };
        // Batch-norm statistics have a state once one was restored, and it never steps.
        self.steps = self.steps.max(momentum.time);
        let moment = if self.second { &momentum.moment_2 } else { &momentum.moment_1 };
        param.map(|_| moment.clone())
    }
}

struct Values(HashMap<ParamId, Box<dyn Any>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id, Box::new(param.val()));
    }
}

struct Restore<'a> {
    optimizer: &'a mut ModuleAdamW,
    first: Values,
    steps: usize,
}

impl ModuleVisitor for Restore<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let first = self.first.0.remove(&param.id);
        if let Some(first) = first.and_then(|first| first.downcast::<Tensor<D>>().ok()) {
            let momentum = AdaptiveMomentumState::new(self.steps, *first, param.val());
            self.optimizer.states.insert(param.id, Box::new(AdamWState::new(momentum)));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Initializer, Linear, LinearConfig};
    use burn::optim::ModuleOptimizer;
    use burn::tensor::Device;

    use super::*;
    use crate::learn::read;
    use crate::model::{Architecture, Classifier, Pretrained, Stem};

    /// Reads the first value of every parameter, with the modules that it is in, and gives each a gradient of ones.
    #[derive(Default)]
    struct Moved {
        path: Vec<String>,
        gradients: GradientsParams,
        found: Vec<(String, f32)>,
    }

    impl ModuleVisitor for Moved {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val().inner();
            self.gradients.register(param.id, value.ones_like());
            self.found.push((self.path.join("."), read(value).unwrap()[0]));
        }
    }

    /// The first step of AdamW is as long as the rate, whatever the gradient is.
    #[test]
    fn rates_fall_from_the_last_block_to_the_stem() {
        let device = Device::flex();
        let start = Pretrained::init(&Architecture::resnet(10, 0.0625, Stem::Small), 1, &device);
        let model = Classifier::from_pretrained(start, 2, &device).train();
        let blocks = model.encoder.block_count();
        assert_eq!(blocks, 4);
        let [mut before, mut after] = [Moved::default(), Moved::default()];
        model.visit(&mut before);
        let rates = LayerRates { head: 3.0, decay: 0.5, blocks };
        let model = ModuleAdamW::new(0.0, rates).step(0.01, model, before.gradients);
        model.visit(&mut after);
        let mut counts = [0; 6];
        for ((name, old), (_, new)) in before.found.iter().zip(&after.found) {
            let (layer, factor) = match name {
                name if name.starts_with("head.") => (5, 3.0),
                name if name.starts_with("encoder.stem") => (4, 0.0625),
                name => {
                    let block = name.strip_prefix("encoder.blocks.").unwrap();
                    let block: usize = block.split('.').next().unwrap().parse().unwrap();
                    (block, [0.125, 0.25, 0.5, 1.0][block])
                }
            };
            counts[layer] += 1;
            let moved = old - new;
            assert!((moved - 0.01 * factor).abs() < 1e-5, "{name} moved by {moved}");
        }
        assert!(counts.iter().all(|&count| count > 1), "{counts:?}");
    }

    fn gradients(model: &Linear, step: usize) -> GradientsParams {
        let input =
            Tensor::<2>::from_floats([[1.0, step as f32], [-0.5, 2.0]], &model.weight.device());
        let loss = (model.forward(input).powi_scalar(2)).sum();
        GradientsParams::from_grads(loss.backward(), model)
    }

    /// Ten steps as burn's own optimiser of modules takes them, with a save and a restore after the fifth. There is no
    /// bias, which burn's would decay.
    #[test]
    fn moves_as_burns_module_optimizer_and_goes_on_after_a_restore() {
        let device = Device::flex().autodiff();
        let weights = |model: &Linear| read(model.weight.val().inner()).unwrap();
        let mut start = LinearConfig::new(2, 3).with_bias(false).init(&device);
        start.weight = Param::from_data([[0.3, -0.2, 0.5], [-0.6, 0.1, 0.4]], &device);
        let (mut own, mut peer) = (start.clone(), start.clone());
        let mut optimizer = ModuleAdamW::new(0.01, LayerRates::EVEN);
        let mut reference: ModuleOptimizer =
            AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init();
        for step in 0..10 {
            let found = gradients(&own, step);
            own = optimizer.step(0.05, own, found);
            let found = gradients(&peer, step);
            peer = reference.step(0.05, peer, found);
            if step == 4 {
                let saved = optimizer.moments(&own);
                assert_eq!(saved.steps, 5);
                optimizer = ModuleAdamW::new(0.01, LayerRates::EVEN);
                optimizer.restore(&saved);
            }
            assert_eq!(weights(&own), weights(&peer), "step {step}");
        }
        assert_ne!(weights(&own), weights(&start));
    }

    /// Without gradients to speak of only decay moves anything.
    #[test]
    fn adamw_decays_weights_and_not_biases() {
        let device = Device::flex().autodiff();
        let mut model = LinearConfig::new(2, 3).with_initializer(Initializer::Ones).init(&device);
        model.bias = Some(Param::from_tensor(Tensor::ones([3], &device)));
        let (weight, bias) = (model.weight.val().inner(), model.bias.clone().map(|bias| bias.id));
        let mut gradients = GradientsParams::new();
        gradients.register(model.weight.id, weight.zeros_like());
        gradients.register(bias.unwrap(), Tensor::<1>::zeros([3], &device.clone().inner()));
        let model = ModuleAdamW::new(0.1, LayerRates::EVEN).step(0.5, model, gradients);
        let expected = read(weight.mul_scalar(1.0 - 0.5 * 0.1)).unwrap();
        for (found, expected) in read(model.weight.val().inner()).unwrap().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
        assert_eq!(read(model.bias.unwrap().val().inner()).unwrap(), [1.0; 3]);
    }
}
