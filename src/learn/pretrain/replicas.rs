//! A batch in equal parts: one after the other on one device, or side by side on several.
//!
//! Every part is computed by a copy of the network that starts the step with the same weights and batch-norm statistics.
//! Gradients are averaged over the parts, and so are the statistics that the copies end with, so that the result depends
//! on the number of parts alone and not on how many devices computed them. Batch norms normalise over, and contrastive
//! losses contrast within, one part.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};

/// Makes a copy of a training network on `device` that shares nothing with it.
///
/// A plain clone would share batch-norm statistics.
pub(super) fn replicate<M: Module>(module: &M, device: &Device) -> M {
    module.valid().fork(&device.clone().inner()).train()
}

/// Gradients and batch-norm statistics of the parts of a batch.
pub(super) struct Parts<M> {
    gradients: GradientsAccumulator<M>,
    statistics: Sum,
    count: usize,
    device: Device,
}

impl<M: Module> Parts<M> {
    /// Starts without any; means are made on `device`.
    pub(super) fn new(device: &Device) -> Self {
        let device = device.clone().inner();
        let statistics = Sum { device: device.clone(), values: HashMap::new() };
        Self { gradients: GradientsAccumulator::new(), statistics, count: 0, device }
    }

    /// Adds the gradients of a part, and the statistics of the copy of the network that computed it.
    pub(super) fn add(&mut self, replica: &M, gradients: GradientsParams) {
        self.gradients.accumulate(replica, gradients.to_device(&self.device, replica));
        // Batch norms hold back their last update until they are asked for a copy.
        replica.valid().visit(&mut self.statistics);
        self.count += 1;
    }

    /// Returns the mean gradients, and `module` with the mean statistics.
    pub(super) fn average(mut self, module: M) -> (M, GradientsParams) {
        let factor = 1.0 / self.count as f64;
        let mut scaled = Scale { from: self.gradients.grads(), to: GradientsParams::new(), factor };
        module.visit(&mut scaled);
        let trained = scaled.to;
        let mut means = Means { sums: self.statistics.values, factor };
        (module.map(&mut means), trained)
    }
}

/// Sums every float value of networks of one shape. Weights come along; only statistics are used.
struct Sum {
    device: Device,
    values: HashMap<ParamId, Box<dyn Any>>,
}

impl ModuleVisitor for Sum {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().to_device(&self.device);
        let before = self.values.remove(&param.id);
        let sum = match before.and_then(|before| before.downcast::<Tensor<D>>().ok()) {
            Some(before) => *before + value,
            None => value,
        };
        self.values.insert(param.id, Box::new(sum));
    }
}

struct Scale {
    from: GradientsParams,
    to: GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            self.to.register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}

struct Means {
    sums: HashMap<ParamId, Box<dyn Any>>,
    factor: f64,
}

impl ModuleMapper for Means {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let sum = self.sums.remove(&param.id).and_then(|sum| sum.downcast::<Tensor<D>>().ok());
        match sum {
            // What requires a gradient is a weight, the same in every copy.
            Some(sum) if !param.is_require_grad() => {
                param.map(|_| Tensor::from_inner(sum.mul_scalar(self.factor)))
            }
            _ => param,
        }
    }
}

/// Sum of all gradients, shape `[1]`: not finite if one of them is not.
pub(super) fn sum_of_gradients<M: Module>(
    module: &M,
    gradients: &GradientsParams,
    device: &Device,
) -> Tensor<1> {
    struct Total<'a> {
        gradients: &'a GradientsParams,
        total: Tensor<1>,
    }
    impl ModuleVisitor for Total<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.total = self.total.clone() + gradient.sum();
            }
        }
    }
    let mut total = Total { gradients, total: Tensor::zeros([1], &device.clone().inner()) };
    module.visit(&mut total);
    total.total
}

/// Sum of all weights and statistics, shape `[1]`: not finite if one of them is not.
pub(super) fn sum_of_values<M: Module>(module: &M, device: &Device) -> Tensor<1> {
    struct Total(Tensor<1>);
    impl ModuleVisitor for Total {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 = self.0.clone() + param.val().sum();
        }
    }
    let mut total = Total(Tensor::zeros([1], &device.clone().inner()));
    module.valid().visit(&mut total);
    total.0
}
