//! LARS exactly as in Google's code (SimCLR, `lars_optimizer.py`; <https://arxiv.org/abs/1708.03888>).
//!
//! Other ports multiply the velocity by the learning rate instead of having it inside, which differs while the rate
//! changes.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor};

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
    /// A plain tensor of the parameter's rank each.
    velocities: HashMap<ParamId, Box<dyn Any>>,
}

impl ModuleLars {
    /// Starts without velocity.
    pub fn new(weight_decay: f32, momentum: f32) -> Self {
        Self { weight_decay, momentum, velocities: HashMap::new() }
    }

    /// Moves every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, rate: f64, model: M, gradients: GradientsParams) -> M {
        model.map(&mut Step { optimizer: self, gradients, rate, path: Vec::new() })
    }

    /// Copies the velocities in the shape of `model`, on the plain device.
    pub fn velocities<M: Module>(&self, model: &M) -> M {
        model.valid().map(&mut Read(self))
    }

    /// Takes saved velocities up; parameters are found by their ids, which come with the records.
    pub fn restore<M: Module>(&mut self, velocities: &M) {
        self.velocities.clear();
        velocities.visit(&mut Restore(self));
    }

    fn velocity<const D: usize>(&self, id: ParamId) -> Option<&Tensor<D>> {
        self.velocities.get(&id).and_then(|velocity| velocity.downcast_ref())
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
        match self.velocity::<D>(id) {
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
        self.optimizer.velocities.insert(id, Box::new(velocity));
        Param::from_mapped_value(id, if learns { moved.require_grad() } else { moved }, mapper)
    }
}

struct Read<'a>(&'a ModuleLars);

impl ModuleMapper for Read<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.velocity::<D>(param.id) {
            Some(velocity) => param.map(|_| velocity.clone()),
            // What has not been moved has none: batch-norm statistics.
            None => param.map(|value| value.zeros_like()),
        }
    }
}

struct Restore<'a>(&'a mut ModuleLars);

impl ModuleVisitor for Restore<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.velocities.insert(param.id, Box::new(param.val()));
    }
}
