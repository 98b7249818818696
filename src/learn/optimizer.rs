//! AdamW with parameter groups: no decay of batch norms and biases, a rate of its own for the head.

use burn::module::ParamGroup;
use burn::optim::{AdamW, AdamWConfig, AdamWState, LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

/// AdamW whose learning rate is a multiple of the module's.
#[derive(Clone)]
struct Scaled {
    inner: AdamW,
    factor: f64,
}

impl Optimizer for Scaled {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        self.inner.step(lr * self.factor, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AdamW::to_device(state, device)
    }
}

fn config(weight_decay: f32) -> AdamWConfig {
    AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(weight_decay)
}

/// Makes AdamW (betas .9 and .999, epsilon 1e-8) for a whole network; parameters under `head` learn `head_factor`
/// times as fast.
pub fn adamw(weight_decay: f32, head_factor: f64) -> ModuleOptimizer {
    let undecayed = ParamGroup::from_predicates(vec!["norm"]);
    let head = ParamGroup::from_predicates(vec!["head"]);
    config(weight_decay).init().with_group(undecayed, config(0.0).build(), None).with_group(
        head,
        Scaled { inner: config(weight_decay).build(), factor: head_factor },
        None,
    )
}
