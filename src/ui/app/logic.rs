//! The one place that takes in what threads report.

use std::thread::JoinHandle;
use std::time::Duration;

use super::reading::Reading;
use super::{App, Phase, attended, readers};
use crate::engine::{Engine, Event};
use crate::ui::start::StartScreen;

impl App {
    /// Takes in what loaders, engine and session writer have reported since the last pass.
    pub(super) fn take_news(&mut self, ctx: &egui::Context) {
        match &mut self.phase {
            Phase::Start(screen) => {
                if let Some(workspace) = screen.take_news() {
                    let known = self.readers.names.len();
                    let asks = self.reader.is_none() && known > 1;
                    let reader = self.reader.clone();
                    let reader = reader.unwrap_or_else(|| readers::usual(&self.readers));
                    let opened = Reading::new(ctx, workspace, &self.background, &reader);
                    match opened {
                        Ok(mut reading) => {
                            reading.return_after(self.return_after);
                            let name = &reading.workspace.session.header().name;
                            let title = format!("{name} – Penumbra");
                            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title));
                            self.phase = Phase::Reading(Box::new(reading));
                            self.bind();
                            if asks {
                                self.open_reader_dialog(false);
                            }
                            ctx.request_repaint();
                        }
                        Err(error) => screen.fail(&error),
                    }
                }
            }
            Phase::Reading(reading) => {
                reading.presented();
                // A hidden window runs no pass that would notice.
                if !attended(ctx) {
                    reading.in_sight(false);
                }
                reading_news(ctx, reading);
            }
        }
    }

    /// Makes the session durable before it is closed.
    pub(super) fn leave(&mut self) {
        self.export = None;
        self.reader_dialog = None;
        self.controls.sheet = None;
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

    /// Closes the session and goes to the start screen; the window does not wait for the engine.
    pub(super) fn close(&mut self, ctx: &egui::Context) {
        self.leave();
        if let Phase::Reading(reading) = &mut self.phase
            && let Some(engine) = reading.engine.take()
        {
            self.ending.retain(|thread| !thread.is_finished());
            self.ending.extend(end(engine));
        }
        let screen = StartScreen::new(&self.home, ctx, super::Start::Screen);
        self.phase = Phase::Start(Box::new(screen));
    }
}

/// Drops an engine on a thread of its own: it ends only after the training step that it is in.
fn end(engine: Engine) -> Option<JoinHandle<()>> {
    // Where the system refuses the thread, the engine is dropped here: the window waits, but nothing is left running.
    let thread = std::thread::Builder::new().name("ending".to_owned()).spawn(move || drop(engine));
    thread.inspect_err(|error| tracing::warn!("the window waits for the engine: {error}")).ok()
}

fn reading_news(ctx: &egui::Context, reading: &mut Reading) {
    /// How often a label that waits for the disk is asked after.
    const ACK: Duration = Duration::from_millis(4);
    /// How often the figures of running jobs are read.
    const PROGRESS: Duration = Duration::from_millis(500);

    reading.follow_files();
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
            Event::Foreseen(foreseen) => reading.foresee(&foreseen),
            Event::Opinions(opinions) => reading.gallery.take_opinions(opinions),
            Event::Explained(explanation) => reading.take_explanation(ctx, &explanation),
            Event::Insight(insight) => reading.take_insight(insight),
            event => {
                if let Event::LearningEnded {
                    model: Some(model),
                    accepted,
                    outcome,
                    labels,
                    methods,
                } = &event
                {
                    reading.model_weighed(model, *accepted, *labels, outcome, methods.clone());
                }
                reading.learning.take(event);
            }
        }
    }
}
