//! How fast an encoder trains or runs: what `penumbra bench` measures.

use std::time::Instant;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::{LearnError, read};
use crate::model::{Architecture, Encoder, Pretrained};
use crate::rng;

/// Steps that warm caches and allocator and do not count.
const WARM_UP: u32 = 3;

/// An encoder at work on random films.
#[derive(Clone, Debug)]
pub struct Load {
    /// Its shape.
    pub architecture: Architecture,
    /// Edge of the films in pixels.
    pub size: usize,
    /// Films in a step.
    pub batch: usize,
    /// Steps that count, after three that do not.
    pub steps: u32,
}

/// Makes films of random pixels in 0..1, `[count, 1, size, size]`.
pub(super) fn random_films(count: usize, size: usize, device: &Device) -> Tensor<4> {
    let mut random = rng::stream(0, "films", &[]);
    let pixels: Vec<f32> = (0..count * size * size).map(|_| rng::unit(&mut random)).collect();
    Tensor::from_data(TensorData::new(pixels, [count, 1, size, size]), device)
}

/// An encoder with the scores of two classes.
#[derive(Module, Debug)]
struct Network {
    encoder: Encoder,
    scores: Linear,
}

impl Load {
    fn network(&self, device: &Device) -> Network {
        let scores = LinearConfig::new(self.architecture.features(), 2)
            .with_initializer(Initializer::Zeros)
            .init(device);
        Network { encoder: Pretrained::init(&self.architecture, 0, device).encoder, scores }
    }

    fn films(&self, device: &Device) -> Tensor<4> {
        random_films(self.batch, self.size, device)
    }

    fn time(
        &self,
        mut work: impl FnMut() -> Result<(), LearnError>,
    ) -> Result<Vec<f64>, LearnError> {
        let mut seconds = Vec::new();
        for step in 0..WARM_UP + self.steps {
            let started = Instant::now();
            work()?;
            if step >= WARM_UP {
                seconds.push(started.elapsed().as_secs_f64());
            }
        }
        Ok(seconds)
    }

    /// Returns the seconds of each step of training: forward, backward and gradient descent.
    ///
    /// # Errors
    /// Fails if the device failed.
    pub fn train(&self, device: &Device) -> Result<Vec<f64>, LearnError> {
        let plain = device.clone().inner();
        let training = plain.clone().autodiff();
        let mut model = Some(self.network(&training));
        let films = self.films(&plain);
        self.time(|| {
            let Some(now) = model.take() else { return Ok(()) };
            let input = Tensor::from_inner(films.clone());
            let scores = log_softmax(now.scores.forward(now.encoder.forward(input)), 1);
            let loss = scores.narrow(1, 0, 1).mean().neg();
            let gradients = GradientsParams::from_grads(loss.backward(), &now);
            model = Some(now.map(&mut Descend { gradients }));
            Ok(training.sync()?)
        })
    }

    /// Returns the seconds of each forward pass.
    ///
    /// # Errors
    /// Fails if the device failed.
    pub fn infer(&self, device: &Device) -> Result<Vec<f64>, LearnError> {
        let plain = device.clone().inner();
        let model = self.network(&plain);
        let films = self.films(&plain);
        self.time(|| read(model.scores.forward(model.encoder.forward(films.clone()))).map(|_| ()))
    }
}

/// Plain gradient descent.
struct Descend {
    gradients: GradientsParams,
}

impl ModuleMapper for Descend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match self.gradients.remove::<D>(id) {
            Some(gradient) => Tensor::from_inner(tensor.inner() - gradient * 1e-3).require_grad(),
            None => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}
