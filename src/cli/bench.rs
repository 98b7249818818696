//! `penumbra bench`: how fast this machine trains or runs an encoder.

use std::fs;
use std::time::Instant;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Distribution, Tensor};
use serde::Serialize;

use super::Answer;
use super::args::{BenchArgs, BenchWork};
use crate::device::Compute;
use crate::model::{Architecture, Encoder};

/// Steps that warm caches and allocator and do not count.
const WARM_UP: u32 = 3;

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    work: &'static str,
    network: String,
    size: u32,
    batch: u32,
    steps: u32,
    /// Of the median step.
    images_per_second: f64,
    /// Most memory that the process held; none where the system does not tell.
    peak_rss_mib: Option<u64>,
    device: String,
    threads: usize,
}

/// An encoder with the scores of two classes.
#[derive(Module, Debug)]
struct Network {
    encoder: Encoder,
    scores: Linear,
}

/// Runs random films through a random network and prints images per second.
///
/// # Errors
/// Fails for an architecture that is not supported or if the device fails.
pub fn run(args: &BenchArgs, compute: &Compute, threads: usize) -> anyhow::Result<Answer> {
    let architecture = Architecture { depth: args.arch, width: args.width, stem: args.stem };
    architecture.blocks().map_err(anyhow::Error::msg)?;
    let seconds = match args.work {
        BenchWork::Train => train(args, &architecture, &compute.device.clone().autodiff())?,
        BenchWork::Infer => infer(args, &architecture, &compute.device)?,
    };
    let report = Report {
        work: if args.work == BenchWork::Train { "train" } else { "infer" },
        network: architecture.to_string(),
        size: args.size,
        batch: args.batch,
        steps: args.steps,
        images_per_second: f64::from(args.batch) / median(seconds),
        peak_rss_mib: peak_rss_mib(),
        device: compute.name.clone(),
        threads,
    };
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!(
            "{} {} at {} px, batch {}: {:.1} images/s, {} on {} threads, at most {} MiB",
            report.work,
            report.network,
            report.size,
            report.batch,
            report.images_per_second,
            report.device,
            report.threads,
            report.peak_rss_mib.map_or_else(|| "?".to_owned(), |mib| mib.to_string()),
        );
    }
    Ok(Answer::Yes)
}

fn network(architecture: &Architecture, device: &Device) -> Network {
    device.seed(0);
    let scores = LinearConfig::new(architecture.features(), 2).init(device);
    Network { encoder: Encoder::init(architecture, device), scores }
}

fn films(args: &BenchArgs, device: &Device) -> Tensor<4> {
    let (batch, size) = (args.batch as usize, args.size as usize);
    Tensor::random([batch, 1, size, size], Distribution::Uniform(0.0, 1.0), device)
}

/// Seconds of each step of training.
fn train(
    args: &BenchArgs,
    architecture: &Architecture,
    device: &Device,
) -> anyhow::Result<Vec<f64>> {
    let mut model = network(architecture, device);
    let films = films(args, &device.clone().inner());
    let mut seconds = Vec::new();
    for step in 0..WARM_UP + args.steps {
        let started = Instant::now();
        let input = Tensor::from_inner(films.clone());
        let scores = log_softmax(model.scores.forward(model.encoder.forward(input)), 1);
        let loss = scores.narrow(1, 0, 1).mean().neg();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = model.map(&mut Descend { gradients });
        device.sync()?;
        if step >= WARM_UP {
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
}

/// Seconds of each forward pass.
fn infer(
    args: &BenchArgs,
    architecture: &Architecture,
    device: &Device,
) -> anyhow::Result<Vec<f64>> {
    let model = network(architecture, device);
    let films = films(args, device);
    let mut seconds = Vec::new();
    for step in 0..WARM_UP + args.steps {
        let started = Instant::now();
        let scores = model.scores.forward(model.encoder.forward(films.clone()));
        scores.try_into_data()?;
        if step >= WARM_UP {
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
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

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_unstable_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// The most memory that this process has held, where the kernel tells.
fn peak_rss_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024)
}
