//! Checkpoints: everything that a run needs to go on as if it had not been interrupted.

use std::path::Path;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::super::checkpoint_files::{differences, failed, load, read_position, write};
use super::State;
use super::config::PretrainConfig;
use super::history::History;
use crate::learn::LearnError;
use crate::learn::optimizer::Moments;

/// Records of a checkpoint: what the optimiser moves, and its two moments in the same shape.
const RECORDS: [&str; 3] = ["model.bpk", "first.bpk", "second.bpk"];

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

pub(super) use super::super::checkpoint_files::exists;

/// Writes a checkpoint beside the old one and puts it in its place when it is complete and on disk.
pub(super) fn save(
    folder: &Path,
    config: &PretrainConfig,
    films: usize,
    state: &State,
) -> Result<(), LearnError> {
    let moments = state.optimizer.moments(&state.learner);
    let position = Position {
        step: state.step,
        optimizer_steps: moments.steps,
        config: config.clone(),
        films,
        history: state.history.clone(),
    };
    // Batch norms hold back their last update until they are asked for a copy.
    let records = [state.learner.valid(), moments.first, moments.second].map(Module::into_record);
    let records = RECORDS.into_iter().zip(records);
    write(folder, &position, records, |folder| state.objective.save(folder))
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
    let position: Position = read_position(folder)?;
    let mut differences = differences(config, &position.config);
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
    // The optimiser's state is found by parameter ids, which come with the records.
    let [weights, first, second] = RECORDS;
    let plain = state.learner.valid();
    let moments = Moments {
        first: load(folder, first, plain.clone())?,
        second: load(folder, second, plain.valid())?,
        steps: position.optimizer_steps,
    };
    state.optimizer.restore(&moments);
    // A copy, because loading writes batch-norm statistics in place.
    state.learner = load(folder, weights, plain.valid().train())?;
    state.objective.restore(folder)?;
    state.step = position.step;
    state.history = position.history;
    Ok(())
}
