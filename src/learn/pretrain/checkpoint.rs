//! Checkpoints: everything that a run needs to go on as if it had not been interrupted.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::store::ModuleRecord;
use serde::{Deserialize, Serialize};

use super::State;
use super::config::PretrainConfig;
use super::history::History;
use crate::fsutil;
use crate::learn::LearnError;
use crate::learn::optimizer::Moments;

/// Records of a checkpoint: what the optimiser moves, and its two moments in the same shape.
const RECORDS: [&str; 3] = ["model.bpk", "first.bpk", "second.bpk"];
/// What is beside the records in a checkpoint.
const POSITION: &str = "position.json";

#[derive(Serialize, Deserialize)]
struct Position {
    /// Steps done.
    step: u64,
    /// Steps that the optimiser has taken.
    optimizer_steps: usize,
    config: PretrainConfig,
    films: usize,
    history: History,
}

fn failed<E: std::fmt::Display>(folder: &Path) -> impl Fn(E) -> LearnError + use<E> {
    let path = folder.to_path_buf();
    move |fault| LearnError::Checkpoint { fault: fault.to_string(), path: path.clone() }
}

/// Says whether there is a checkpoint, putting one back that a crash has left aside.
pub(super) fn exists(folder: &Path) -> Result<bool, LearnError> {
    fsutil::recover_dir(folder).map_err(failed(folder))?;
    Ok(folder.join(POSITION).is_file())
}

/// Writes a checkpoint beside the old one and puts it in its place when it is complete and on disk.
pub(super) fn save(
    folder: &Path,
    config: &PretrainConfig,
    films: usize,
    state: &State,
) -> Result<(), LearnError> {
    let unfinished = folder.with_extension("unfinished");
    fs::remove_dir_all(&unfinished).ok();
    fs::create_dir_all(&unfinished).map_err(failed(folder))?;
    let moments = state.optimizer.moments(&state.learner);
    let position = Position {
        step: state.step,
        optimizer_steps: moments.steps,
        config: config.clone(),
        films,
        history: state.history.clone(),
    };
    let text = serde_json::to_vec_pretty(&position).map_err(failed(folder))?;
    // Batch norms hold back their last update until they are asked for a copy.
    let records = [state.learner.valid(), moments.first, moments.second].map(Module::into_record);
    for (record, name) in records.into_iter().zip(RECORDS) {
        let path = unfinished.join(name);
        record.save(&path).map_err(failed(folder))?;
        fs::File::open(&path).and_then(|file| file.sync_all()).map_err(failed(folder))?;
    }
    state.objective.save(&unfinished)?;
    fsutil::write_atomic(&unfinished.join(POSITION), &text).map_err(failed(folder))?;
    fsutil::replace_dir(&unfinished, folder).map_err(failed(folder))
}

/// Sets a newly made state to the checkpoint's.
///
/// # Errors
/// Fails if the checkpoint cannot be read, or was made with other settings or another number of films.
pub(super) fn restore(
    folder: &Path,
    config: &PretrainConfig,
    films: usize,
    state: &mut State,
) -> Result<(), LearnError> {
    let text = fsutil::read(&folder.join(POSITION)).map_err(failed(folder))?;
    let position: Position = serde_json::from_slice(&text).map_err(failed(folder))?;
    let mut differences = config.differences(&position.config);
    if position.films != films {
        differences
            .push(format!("it was made with {} films and there are {films}", position.films));
    }
    if !differences.is_empty() {
        let fault = format!(
            "it was made with other settings or films ({}); give those, or start without --resume",
            differences.join("; ")
        );
        return Err(failed(folder)(fault));
    }
    let load = |name: &str, module| {
        let record = ModuleRecord::load(folder.join(name)).map_err(failed(folder))?;
        Module::try_load_record(module, record).map_err(failed(folder))
    };
    // The optimiser's state is found by parameter ids, which come with the records.
    let [weights, first, second] = RECORDS;
    let plain = state.learner.valid();
    let moments = Moments {
        first: load(first, plain.clone())?,
        second: load(second, plain.valid())?,
        steps: position.optimizer_steps,
    };
    state.optimizer.restore(&moments);
    // A copy, because loading writes batch-norm statistics in place.
    state.learner = load(weights, plain.valid().train())?;
    state.objective.restore(folder)?;
    state.step = position.step;
    state.history = position.history;
    Ok(())
}
