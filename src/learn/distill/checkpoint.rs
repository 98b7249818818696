//! Checkpoints of distillation: everything that a run needs to go on as if it had not been interrupted.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::super::checkpoint_files::{differences, failed, load, read_position, write};
use super::super::trainee::Trainee;
use super::{Checkpointed, DistillConfig};
use crate::learn::LearnError;

/// Records of a checkpoint: the network, its average, and the optimiser's two moments in the same shape.
const RECORDS: [&str; 4] = ["model.bpk", "average.bpk", "first.bpk", "second.bpk"];

#[derive(Serialize, Deserialize)]
struct Position {
    /// Steps done.
    step: u64,
    /// Steps that the optimiser has taken.
    optimizer_steps: usize,
    config: DistillConfig,
    lesson: serde_json::Value,
}

pub(super) use super::super::checkpoint_files::exists;
pub use super::super::checkpoint_files::remove;

/// Writes a checkpoint beside the old one and puts it in its place when it is complete and on disk.
pub(super) fn save(
    checkpointed: Checkpointed<'_>,
    config: &DistillConfig,
    trainee: &Trainee,
) -> Result<(), LearnError> {
    let Some((networks, optimizer_steps)) = trainee.saved() else { return Ok(()) };
    let (config, lesson) = (config.clone(), checkpointed.lesson.clone());
    let position = Position { step: trainee.step, optimizer_steps, config, lesson };
    let records = networks.map(Module::into_record);
    write(checkpointed.folder, &position, RECORDS.into_iter().zip(records), |_| Ok(()))
}

/// Sets a newly made trainee to the checkpoint's.
///
/// # Errors
/// Fails if the checkpoint cannot be read, or was made with other settings or of another lesson.
pub(super) fn restore(
    Checkpointed { folder, lesson }: Checkpointed<'_>,
    config: &DistillConfig,
    trainee: &mut Trainee,
) -> Result<(), LearnError> {
    let position: Position = read_position(folder)?;
    let others = [differences(config, &position.config), differences(lesson, &position.lesson)];
    let others = others.concat();
    if !others.is_empty() {
        let fault = format!(
            "it was made with other settings, films or teachers ({}); give those, or delete it",
            others.join("; ")
        );
        return Err(failed(folder)(fault));
    }
    let shape = trainee.model().valid();
    let [model, average, first, second] = RECORDS.map(|name| load(folder, name, shape.valid()));
    trainee.step = position.step;
    let networks = [model?, average?, first?, second?];
    trainee.restore(networks, position.optimizer_steps, &config.recipe);
    Ok(())
}
