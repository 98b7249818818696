//! The one place that takes in what threads report.

use std::time::Duration;

use super::reading::Reading;
use super::{App, Phase};
use crate::engine::Event;
use crate::ui::start::StartScreen;

impl App {
    /// Takes in what loaders, engine and session writer have reported since the last pass.
    pub(super) fn take_news(&mut self, ctx: &egui::Context) {
        match &mut self.phase {
            Phase::Start(screen) => {
                if let Some(workspace) = screen.take_news() {
                    let opened = Reading::new(ctx, workspace, &self.background);
                    match opened {
                        Ok(reading) => {
                            let title = format!("{} – Penumbra", reading.workspace.name);
                            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title));
                            self.phase = Phase::Reading(Box::new(reading));
                            ctx.request_repaint();
                        }
                        Err(error) => screen.fail(&error),
                    }
                }
            }
            Phase::Reading(reading) => reading_news(ctx, reading),
        }
    }

    /// Makes the session durable before it is closed.
    pub(super) fn leave(&mut self) {
        self.export = None;
        if let Phase::Reading(reading) = &mut self.phase {
            if let Some(engine) = &reading.engine {
                engine.cancel();
            }
            if let (Some(p50), Some(p95), Some(p99)) =
                (reading.latency.p50(), reading.latency.p95(), reading.latency.p99())
            {
                tracing::info!("from key to film: p50 {p50:?}, p95 {p95:?}, p99 {p99:?}");
            }
            if let Err(error) = reading.workspace.session.flush() {
                tracing::error!("{error}");
            }
        }
    }

    /// Closes the session and goes to the start screen.
    pub(super) fn close(&mut self, ctx: &egui::Context) {
        self.leave();
        let screen = StartScreen::new(&self.home, ctx, super::Start::Screen);
        self.phase = Phase::Start(Box::new(screen));
    }
}

fn reading_news(ctx: &egui::Context, reading: &mut Reading) {
    /// How often a label that waits for the disk is asked after.
    const ACK: Duration = Duration::from_millis(4);
    /// How often the figures of running jobs are read.
    const PROGRESS: Duration = Duration::from_millis(500);

    reading.workspace.session.poll_acks();
    if !reading.workspace.session.ready() && reading.fault().is_none() {
        ctx.request_repaint_after(ACK);
    }
    let Some(engine) = &reading.engine else { return };
    reading.learning.progress = engine.progress();
    if reading.learning.progress.as_ref().is_some_and(|progress| !progress.paused) {
        ctx.request_repaint_after(PROGRESS);
    }
    for event in engine.events() {
        match event {
            Event::Ranking(ranking) => reading.take_ranking(ranking),
            event => {
                if let Event::LearningEnded { model: Some(model), accepted, outcome, labels } =
                    &event
                {
                    reading.model_weighed(model, *accepted, *labels, outcome);
                }
                reading.learning.take(event);
            }
        }
    }
}
