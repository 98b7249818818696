//! What a stage starts from, as it was typed.

use anyhow::bail;

use crate::cli::args::StartArgs;
use crate::config::Home;
use crate::device::Compute;
use crate::imaging::Preprocess;
use crate::model::Start;
use crate::model::folder::SIZES;

/// Loads the model that the arguments name, or draws random weights.
///
/// # Errors
/// Fails if the model cannot be loaded or the shape is not supported.
pub fn find(home: &Home, args: &StartArgs, seed: u64, compute: &Compute) -> anyhow::Result<Start> {
    if let Some(name) = &args.model {
        return Ok(Start::pretrained(home, name, &compute.device)?);
    }
    let architecture = args.arch.architecture(args.width, args.stem);
    architecture.blocks().map_err(anyhow::Error::msg)?;
    if !SIZES.contains(&args.size) {
        bail!("--size is in {}..={}", SIZES.start(), SIZES.end());
    }
    let preprocess = Preprocess { size: args.size, fit: args.fit };
    Ok(Start::random(architecture, preprocess, seed, &compute.device))
}
