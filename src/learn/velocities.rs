//! Velocities of an optimiser with momentum, one a parameter, and how they are saved.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// A plain tensor of the parameter's rank for each parameter that has been moved.
#[derive(Default)]
pub(super) struct Velocities(HashMap<ParamId, Box<dyn Any>>);

impl Velocities {
    /// Returns the velocity of a parameter, if it has been moved.
    pub(super) fn get<const D: usize>(&self, id: ParamId) -> Option<&Tensor<D>> {
        self.0.get(&id).and_then(|velocity| velocity.downcast_ref())
    }

    /// Keeps the velocity of a parameter.
    pub(super) fn set<const D: usize>(&mut self, id: ParamId, velocity: Tensor<D>) {
        self.0.insert(id, Box::new(velocity));
    }

    /// Copies the velocities in the shape of `model`, on the plain device.
    pub(super) fn in_shape_of<M: Module>(&self, model: &M) -> M {
        model.valid().map(&mut Read(self))
    }

    /// Takes saved velocities up; parameters are found by their ids, which come with the records.
    pub(super) fn restore<M: Module>(&mut self, velocities: &M) {
        self.0.clear();
        velocities.visit(&mut Restore(self));
    }
}

struct Read<'a>(&'a Velocities);

impl ModuleMapper for Read<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.get::<D>(param.id) {
            Some(velocity) => param.map(|_| velocity.clone()),
            // What has not been moved has none: batch-norm statistics.
            None => param.map(|value| value.zeros_like()),
        }
    }
}

struct Restore<'a>(&'a mut Velocities);

impl ModuleVisitor for Restore<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.set(param.id, param.val());
    }
}
