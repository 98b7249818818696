//! Keys of earlier batches as further negatives (MoCo, <https://arxiv.org/abs/1911.05722>, algorithm 1).

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use super::failed;
use crate::fsutil;
use crate::learn::{LearnError, read};
use crate::model::head::PROJECTION;

/// Its file in a checkpoint: keys row by row, the latest first, as little-endian 32-bit floats.
const FILE: &str = "queue.f32";

/// The latest keys, first in, first out.
///
/// Deviations: it starts empty and not with random keys; in-batch negatives are kept beside it, as SimCLR v2 does.
pub(super) struct Queue {
    capacity: usize,
    /// `[filled, 128]`, plain, the latest first, each of length 1.
    keys: Option<Tensor<2>>,
    /// Keys of the batch under way, part by part.
    waiting: Vec<Tensor<2>>,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, keys: None, waiting: Vec::new() }
    }

    /// Keys of earlier batches, if there are any.
    pub(super) fn keys(&self) -> Option<Tensor<2>> {
        self.keys.clone()
    }

    /// Keeps keys of any length until the batch is done; `[n, 128]`, plain.
    pub(super) fn wait(&mut self, keys: Tensor<2>) {
        let norms = (keys.clone() * keys.clone()).sum_dim(1).add_scalar(1e-12).sqrt();
        self.waiting.push(keys / norms);
    }

    /// Takes the waiting keys in; the oldest ones go.
    pub(super) fn take_in(&mut self) {
        let Some(device) = self.waiting.first().map(Tensor::device) else { return };
        let waiting = self.waiting.drain(..).map(|keys| keys.to_device(&device));
        let all = Tensor::cat(waiting.chain(self.keys.take()).collect(), 0);
        let rows = all.dims()[0].min(self.capacity);
        self.keys = Some(all.narrow(0, 0, rows));
    }

    pub(super) fn save(&self, folder: &Path) -> Result<(), LearnError> {
        let path = folder.join(FILE);
        let values = self.keys.clone().map_or_else(|| Ok(Vec::new()), read)?;
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        fsutil::write_atomic(&path, &bytes).map_err(failed(&path))
    }

    pub(super) fn restore(&mut self, folder: &Path, device: &Device) -> Result<(), LearnError> {
        let path = folder.join(FILE);
        let bytes = fsutil::read(&path).map_err(failed(&path))?;
        let (words, rest) = bytes.as_chunks::<4>();
        let rows = words.len() / PROJECTION;
        if !rest.is_empty() || rows * PROJECTION != words.len() || rows > self.capacity {
            return Err(failed(&path)("it does not hold the keys of this queue"));
        }
        let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let data = TensorData::new(values, [rows, PROJECTION]);
        self.keys = (rows > 0).then(|| Tensor::from_data(data, &device.clone().inner()));
        self.waiting.clear();
        Ok(())
    }
}
