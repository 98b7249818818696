//! Ctrl-C in the middle of long work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

/// What a run that is to be resumed says where none was interrupted, before the path.
pub const NOTHING_TO_RESUME: &str = "there is no checkpoint, so it starts from the beginning";
/// What the first Ctrl-C is answered with where no checkpoint is written.
pub const STOPPING: &str = "stopping after this step; Ctrl-C again ends at once";
/// What a stage that has no checkpoint says when Ctrl-C has ended it.
pub const NOTHING_SAVED: &str = "stopped; no model is saved";
/// Exit code of a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Returns a flag that the first Ctrl-C raises, saying `message`; the second one ends the process.
///
/// # Errors
/// Fails if Ctrl-C cannot be waited for.
pub fn stop_on_ctrl_c(message: &'static str) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("{message}");
    })
    .context("cannot wait for Ctrl-C")?;
    Ok(stop)
}
