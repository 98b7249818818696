//! A slowly moving copy of the network whose outputs are given to the network as targets or keys.

use std::fs;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor};

use super::failed;
use crate::learn::LearnError;
use crate::learn::ema::follow;
use crate::model::Pretrained;

/// Its record in a checkpoint.
const RECORD: &str = "target.bpk";

/// Exponential moving average of the weights of the network. Its batch norms normalise over the batch and have
/// statistics of their own, as in the reference codes of BYOL and MoCo.
pub(super) struct Target {
    /// On the autodiff device, because batch norms normalise over the batch only there, and without gradients.
    network: Pretrained,
    device: Device,
}

impl Target {
    /// Starts at the network as it is.
    pub(super) fn new(network: &Pretrained, device: &Device) -> Self {
        let network = network.valid().train().map(&mut Untracked);
        Self { network, device: device.clone() }
    }

    /// The device that it computes on.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Projects films on its own device; the result is a plain tensor on the films' device.
    ///
    /// # Shapes
    /// `[n, 1, size, size]` to `[n, 128]`.
    pub(super) fn project(&self, films: Tensor<4>) -> Tensor<2> {
        let home = films.device().inner();
        self.network.project(films.to_device(&self.device)).inner().to_device(&home)
    }

    /// Moves the weights: `momentum · target + (1 − momentum) · network`.
    pub(super) fn follow(&mut self, network: &Pretrained, momentum: f64) {
        self.network = follow(self.network.clone(), network, momentum);
    }

    pub(super) fn save(&self, folder: &Path) -> Result<(), LearnError> {
        let path = folder.join(RECORD);
        // Batch norms hold back their last update until they are asked for a copy.
        self.network.valid().into_record().save(&path).map_err(failed(&path))?;
        fs::File::open(&path).and_then(|file| file.sync_all()).map_err(failed(&path))
    }

    pub(super) fn restore(&mut self, folder: &Path) -> Result<(), LearnError> {
        let path = folder.join(RECORD);
        let record = ModuleRecord::load(&path).map_err(failed(&path))?;
        let network = self.network.valid().try_load_record(record).map_err(failed(&path))?;
        self.network = network.train().map(&mut Untracked);
        Ok(())
    }
}

/// Takes gradients off every weight; batch norms stay in training, which `freeze` would end.
struct Untracked;

impl ModuleMapper for Untracked {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.set_require_grad(false)
    }
}
