//! The compute thread: embeds the pool, fine-tunes, distils.

mod embedding;
mod explaining;
mod films;
mod learning;
mod models;
mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use self::state::Worker;
use super::inbox::{Inbox, Job, panic_text};
use super::options::Options;
use crate::device;

/// Runs until the flags close.
pub(super) fn run(options: &Arc<Options>, inbox: &Arc<Inbox>) {
    let work = AssertUnwindSafe(|| -> anyhow::Result<()> {
        device::enter_compute_pool(options.compute.threads, true)?;
        let mut worker = Worker::prepare(Arc::clone(options), Arc::clone(inbox))?;
        let mut seen = None;
        while !inbox.flags.closing() {
            worker.explain_if_asked();
            let Some(job) = inbox.next_job() else {
                inbox.worker.wait();
                continue;
            };
            match job {
                Job::EmbedViews => worker.embed_views(),
                Job::Use(name) => worker.use_model(name),
                // The job before may have taken these labels in while this one waited.
                Job::Learn { asked: false, .. } if seen.as_ref() == Some(&worker.labelled()) => {}
                Job::Learn { why, .. } => {
                    seen = worker.learn(why);
                    if seen.is_none() {
                        // Cancelled or failed: learning that waited behind it is not to start at once.
                        inbox.forget_learning();
                    }
                }
            }
        }
        Ok(())
    });
    let text = match catch_unwind(work) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => panic_text(panic.as_ref()),
    };
    inbox.stop(&text);
}
