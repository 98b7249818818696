//! `penumbra bench`: how fast this machine trains or runs an encoder.

use serde::Serialize;

use super::answer::Answer;
use super::args::{BenchArgs, BenchWork};
use crate::device::{self, Compute};
use crate::learn::throughput::Load;

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

/// Runs random films through a random network and prints images per second.
///
/// # Errors
/// Fails for an architecture that is not supported or if the device fails.
pub fn run(args: &BenchArgs, compute: &Compute, threads: usize) -> anyhow::Result<Answer> {
    let architecture = args.arch.architecture(args.width, args.stem);
    architecture.blocks().map_err(anyhow::Error::msg)?;
    let network = architecture.to_string();
    let (size, batch) = (args.size as usize, args.batch as usize);
    let load = Load { architecture, size, batch, steps: args.steps };
    let seconds = match args.work {
        BenchWork::Train => load.train(&compute.device)?,
        BenchWork::Infer => load.infer(&compute.device)?,
    };
    let report = Report {
        work: if args.work == BenchWork::Train { "train" } else { "infer" },
        network,
        size: args.size,
        batch: args.batch,
        steps: args.steps,
        images_per_second: f64::from(args.batch) / median(seconds),
        peak_rss_mib: device::peak_memory().map(|bytes| bytes >> 20),
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

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_unstable_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
