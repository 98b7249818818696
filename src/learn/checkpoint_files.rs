//! The files of a checkpoint: records of modules and a position, in a folder that is replaced only by a complete one.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::store::ModuleRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::LearnError;
use crate::fsutil;

/// What is beside the records in a checkpoint.
const POSITION: &str = "position.json";

/// Turns a fault into the error of the checkpoint in `folder`.
pub(super) fn failed<E: Display>(folder: &Path) -> impl Fn(E) -> LearnError + use<E> {
    let path = folder.to_path_buf();
    move |fault| LearnError::Checkpoint { fault: fault.to_string(), path: path.clone() }
}

/// Says whether there is a checkpoint, putting one back that a crash has left aside.
///
/// # Errors
/// Fails if that cannot be done.
pub fn exists(folder: &Path) -> Result<bool, LearnError> {
    fsutil::recover_dir(folder).map_err(failed(folder))?;
    Ok(folder.join(POSITION).is_file())
}

/// Writes a checkpoint beside the old one and puts it in its place when it is complete and on disk; `more` may add files.
pub(super) fn write(
    folder: &Path,
    position: &impl Serialize,
    records: impl IntoIterator<Item = (&'static str, ModuleRecord)>,
    more: impl FnOnce(&Path) -> Result<(), LearnError>,
) -> Result<(), LearnError> {
    let unfinished = folder.with_extension("unfinished");
    fs::remove_dir_all(&unfinished).ok();
    fs::create_dir_all(&unfinished).map_err(failed(folder))?;
    let text = serde_json::to_vec_pretty(position).map_err(failed(folder))?;
    for (name, record) in records {
        let path = unfinished.join(name);
        record.save(&path).map_err(failed(folder))?;
        fs::File::open(&path).and_then(|file| file.sync_all()).map_err(failed(folder))?;
    }
    more(&unfinished)?;
    fsutil::write_atomic(&unfinished.join(POSITION), &text).map_err(failed(folder))?;
    fsutil::replace_dir(&unfinished, folder).map_err(failed(folder))
}

/// Reads the position of a checkpoint.
pub(super) fn read_position<T: DeserializeOwned>(folder: &Path) -> Result<T, LearnError> {
    let text = fsutil::read(&folder.join(POSITION)).map_err(failed(folder))?;
    serde_json::from_slice(&text).map_err(failed(folder))
}

/// Settings in which a checkpoint's differ, each with its value there and now; empty if there is none.
pub(super) fn differences<T: Serialize + DeserializeOwned>(now: &T, then: &T) -> Vec<String> {
    let value = |settings: &T| serde_json::to_value(settings).unwrap_or_default();
    // A number may lose its last bit on its way through a checkpoint's text: this one goes there and back too.
    let back = |value: Value| serde_json::from_str(&value.to_string()).ok();
    let own = back(value(now)).map_or_else(|| value(now), |own: T| value(&own));
    let mut found = Vec::new();
    compare("", &own, &value(then), &mut found);
    found
}

/// Collects the leaves in which two settings differ, by their path.
fn compare(path: &str, now: &Value, then: &Value, found: &mut Vec<String>) {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            let of = |key: &String| {
                if path.is_empty() { key.clone() } else { format!("{path}.{key}") }
            };
            for (key, value) in now {
                compare(&of(key), value, then.get(key).unwrap_or(&Value::Null), found);
            }
            for (key, value) in then.iter().filter(|(key, _)| !now.contains_key(*key)) {
                compare(&of(key), &Value::Null, value, found);
            }
        }
        _ if now != then => found.push(format!("{path} was {then} and is {now} now")),
        _ => {}
    }
}

/// Loads a record into a module of the same shape.
pub(super) fn load<M: Module>(folder: &Path, name: &str, module: M) -> Result<M, LearnError> {
    let record = ModuleRecord::load(folder.join(name)).map_err(failed(folder))?;
    Module::try_load_record(module, record).map_err(failed(folder))
}

/// Deletes a checkpoint that is no longer needed, if there is one.
///
/// # Errors
/// Fails if the folder cannot be deleted.
pub fn remove(folder: &Path) -> Result<(), LearnError> {
    if folder.exists() { fs::remove_dir_all(folder).map_err(failed(folder)) } else { Ok(()) }
}
