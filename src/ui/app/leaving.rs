//! Closing a session and the window.

use egui::Context;

use super::{App, Phase, Start};
use crate::ui::start::StartScreen;

impl App {
    /// Makes the session durable before it is closed.
    pub(super) fn leave(&mut self) {
        self.export = None;
        self.reader_dialog = None;
        self.controls.sheet = None;
        if let Phase::Reading(sitting) = &mut self.phase {
            sitting.reading.learner.cancel();
            let latency = sitting.reading.clock.latency();
            if let (Some(p50), Some(p95), Some(p99)) = (latency.p50(), latency.p95(), latency.p99())
            {
                tracing::info!("from key to film: p50 {p50:?}, p95 {p95:?}, p99 {p99:?}");
            }
            if let Err(error) = sitting.reading.study.session().flush() {
                tracing::error!("{error}");
            }
        }
    }

    /// Closes the session and goes to the start screen; the window does not wait for the engine.
    pub(super) fn close(&mut self, ctx: &Context) {
        self.leave();
        if let Phase::Reading(sitting) = &mut self.phase {
            self.ending.retain(|thread| !thread.is_finished());
            self.ending.extend(sitting.reading.learner.end());
        }
        let screen = StartScreen::new(&self.home, ctx, Start::Screen);
        self.phase = Phase::Start(Box::new(screen));
    }
}
