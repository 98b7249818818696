//! Exponential moving average of a model's weights.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// A model whose weights follow another's: `average ← decay · average + (1 − decay) · model` after every step.
///
/// The average is a validation copy on the plain device and shares no batch-norm statistics with the model.
pub struct Ema<M: Module> {
    average: Option<M>,
    decay: f64,
    updates: u64,
}

impl<M: Module> Ema<M> {
    /// Starts at the model as it is. `decay` is in 0..1.
    pub fn new(model: &M, decay: f64) -> Self {
        Self { average: Some(model.valid()), decay, updates: 0 }
    }

    /// Goes on after `updates` steps with the average that there was then.
    pub fn resume(average: M, decay: f64, updates: u64) -> Self {
        Self { average: Some(average), decay, updates }
    }

    /// Follows the model by one step. Early steps decay faster, `(1 + t) / (10 + t)`, so that a short run is not
    /// dominated by where it began.
    pub fn update(&mut self, model: &M) {
        let mut weights = Weights { values: HashMap::new(), statistics: true };
        model.valid().visit(&mut weights);
        self.updates += 1;
        let t = self.updates as f64;
        let decay = self.decay.min((1.0 + t) / (10.0 + t));
        self.average =
            self.average.take().map(|average| average.map(&mut Follow { weights, decay }));
    }

    /// Returns the averaged model as it is now; none only if an update failed half-way.
    pub fn model(&self) -> Option<&M> {
        self.average.as_ref()
    }

    /// Returns the averaged model.
    pub fn into_model(self) -> Option<M> {
        self.average
    }
}

/// Moves the weights of `average`, a copy of `model` that is on the same device, plain or not, one step:
/// `average ← decay · average + (1 − decay) · model`. Batch-norm statistics stay as they are.
pub(super) fn follow<M: Module>(average: M, model: &M, decay: f64) -> M {
    let mut weights = Weights { values: HashMap::new(), statistics: false };
    model.visit(&mut weights);
    average.map(&mut Follow { weights, decay })
}

/// Plain copies of a model's weights, by their ids.
struct Weights {
    values: HashMap<ParamId, Box<dyn Any>>,
    /// Takes what has no gradient too.
    statistics: bool,
}

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.statistics || param.is_require_grad() {
            self.values.insert(param.id, Box::new(param.val().without_autodiff()));
        }
    }
}

struct Follow {
    weights: Weights,
    decay: f64,
}

impl ModuleMapper for Follow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(model) =
            self.weights.values.get(&param.id).and_then(|value| value.downcast_ref::<Tensor<D>>())
        else {
            return param;
        };
        let model = model.clone();
        let decay = self.decay;
        param.map(|average| {
            let model =
                if average.device().is_autodiff() { Tensor::from_inner(model) } else { model };
            average.mul_scalar(decay) + model.mul_scalar(1.0 - decay)
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{BatchNorm, BatchNormConfig};
    use burn::tensor::Device;

    use super::*;
    use crate::learn::read;

    /// Follows PyTorch's recursion and leaves the model's own batch-norm statistics alone.
    #[test]
    fn averages_weights_and_statistics_apart_from_the_model() {
        let device = Device::flex().autodiff();
        let mut model: BatchNorm = BatchNormConfig::new(1).init(&device);
        let mut ema = Ema::new(&model, 0.5);
        let mut expected = 1.0_f32;
        for (step, gamma) in [3.0_f32, -1.0, 2.0].into_iter().enumerate() {
            model.gamma = model.gamma.map(|_| Tensor::from_floats([gamma], &device));
            model.forward(Tensor::<2>::from_floats([[1.0], [3.0]], &device));
            let statistics = read(model.running_mean.value_sync()).unwrap();
            ema.update(&model);
            let t = step as f32 + 1.0;
            let decay = 0.5_f32.min((1.0 + t) / (10.0 + t));
            expected = decay * expected + (1.0 - decay) * gamma;
            let average = ema.average.as_ref().unwrap();
            assert!((read(average.gamma.val()).unwrap()[0] - expected).abs() < 1e-6);
            assert_eq!(read(model.running_mean.value_sync()).unwrap(), statistics);
        }
    }
}
