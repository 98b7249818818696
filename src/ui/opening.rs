//! Opens or creates a session on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, bounded};

use crate::study::Workspace;

/// How many films are done, of how many.
#[derive(Debug, Default)]
struct Done {
    films: AtomicUsize,
    of: AtomicUsize,
}

/// A session that has been opened, and what could not be used when it was made.
pub struct Opened {
    /// The session.
    pub workspace: Workspace,
    /// Files that were refused, with the reason.
    pub refused: Vec<String>,
}

impl From<Workspace> for Opened {
    fn from(workspace: Workspace) -> Self {
        Self { workspace, refused: Vec::new() }
    }
}

/// A session that is being opened or created.
pub struct Opening {
    /// What is being done, as the reader reads it.
    pub what: String,
    done: Arc<Done>,
    result: Receiver<anyhow::Result<Opened>>,
}

impl Opening {
    /// Starts `job` on a named thread; the context is woken as it goes on and when it ends.
    pub fn start(
        what: String,
        ctx: &egui::Context,
        job: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> anyhow::Result<Opened> + Send + 'static,
    ) -> Self {
        let (sender, result) = bounded(1);
        let done = Arc::new(Done::default());
        let (report, ctx, failed) = (Arc::clone(&done), ctx.clone(), sender.clone());
        let work = move || {
            let opened = job(&|films, of| {
                report.films.store(films, Ordering::Relaxed);
                report.of.store(of, Ordering::Relaxed);
                ctx.request_repaint_after(super::theme::FADE);
            });
            // The window may have closed meanwhile: then no one waits for the answer.
            sender.send(opened).ok();
            ctx.request_repaint();
        };
        if let Err(error) = std::thread::Builder::new().name("opening".to_owned()).spawn(work) {
            failed.send(Err(error.into())).ok();
        }
        Self { what, done, result }
    }

    /// Returns films done and films in all; 0 of 0 before the first is counted.
    pub fn progress(&self) -> (usize, usize) {
        (self.done.films.load(Ordering::Relaxed), self.done.of.load(Ordering::Relaxed))
    }

    /// Returns the session once it is open, or why it is not; `None` while the thread works.
    pub fn poll(&self) -> Option<anyhow::Result<Opened>> {
        match self.result.try_recv() {
            Ok(opened) => Some(opened),
            Err(crossbeam_channel::TryRecvError::Empty) => None,
            Err(crossbeam_channel::TryRecvError::Disconnected) => {
                Some(Err(anyhow::anyhow!("Opening the session broke off; nothing was changed")))
            }
        }
    }
}
