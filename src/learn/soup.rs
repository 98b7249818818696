//! Means of networks' weights: model soups (Wortsman et al., ICML 2022, <https://arxiv.org/abs/2203.05482>) and the way back
//! from a fine-tuned network to the one that it started from (WiSE-FT: Wortsman et al., CVPR 2022,
//! <https://arxiv.org/abs/2109.01903>).

use std::any::Any;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Returns the network whose weights, and batch-norm statistics, are the mean of others' with the shares given, which sum
/// to 1. They have one shape and lie, plain, on one device; none without networks.
pub(super) fn mean_of_weights<M: Module>(networks: &[(&M, f32)]) -> Option<M> {
    let (&(first, share), rest) = networks.split_first()?;
    let others = rest.iter().map(|&(network, share)| {
        let mut weights = Weights(Vec::new());
        network.visit(&mut weights);
        // From the back, so that the mapper takes them in order.
        weights.0.reverse();
        (weights, share)
    });
    Some(first.clone().map(&mut Mean { share, others: others.collect() }))
}

/// The weights of a network in the order in which they are visited.
struct Weights(Vec<Box<dyn Any>>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(Box::new(param.val()));
    }
}

struct Mean {
    share: f32,
    others: Vec<(Weights, f32)>,
}

impl ModuleMapper for Mean {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let share = self.share;
        let others = &mut self.others;
        param.map(|own| {
            let mut mean = own.mul_scalar(share);
            for (weights, share) in others {
                let next = weights.0.pop().and_then(|next| next.downcast::<Tensor<D>>().ok());
                if let Some(next) = next {
                    mean = mean + next.mul_scalar(*share);
                }
            }
            mean
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::learn::read;
    use crate::model::{Architecture, Classifier, Stem};

    fn weights(network: &Classifier) -> Vec<Vec<f32>> {
        struct All(Vec<Vec<f32>>);
        impl ModuleVisitor for All {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.push(read(param.val()).unwrap());
            }
        }
        let mut all = All(Vec::new());
        network.visit(&mut all);
        all.0
    }

    /// Networks that were made apart, so that nothing but the order tells which weight is which.
    #[test]
    fn every_weight_is_the_mean_of_its_namesakes() {
        let architecture = Architecture::resnet(10, 0.125, Stem::Small);
        let make = |_| Classifier::init(&architecture, 2, &Device::flex());
        let networks: Vec<Classifier> = (0..3).map(make).collect();
        let networks: Vec<Classifier> =
            networks.into_iter().zip([1.0, -2.0, 0.5]).map(|(one, by)| one.scaled(by)).collect();
        let shares = [0.5, 0.2, 0.3];
        let pairs: Vec<(&Classifier, f32)> = networks.iter().zip(shares).collect();
        let found = weights(&mean_of_weights(&pairs).unwrap());
        let each: Vec<_> = networks.iter().map(weights).collect();
        for (tensor, values) in found.iter().enumerate() {
            for (place, value) in values.iter().enumerate() {
                let expected: f32 =
                    each.iter().zip(shares).map(|(one, share)| share * one[tensor][place]).sum();
                assert!((value - expected).abs() < 1e-6, "{value} and not {expected}");
            }
        }
        assert!(mean_of_weights::<Classifier>(&[]).is_none());
    }
}
