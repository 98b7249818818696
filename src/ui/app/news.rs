//! The one place that takes in what threads report.

use std::sync::Arc;
use std::time::Duration;

use egui::Context;

use super::sitting::Sitting;
use super::{App, Phase, attended, readers, record};
use crate::engine::{Change, Event, Foreseen, Learnt, ModelChange};
use crate::session;
use crate::study::{Ranking, Workspace};
use crate::ui::reading::Reading;

/// How often a label that waits for the disk is asked after.
const ACK: Duration = Duration::from_millis(4);
/// How often the figures of running jobs are read.
const PROGRESS: Duration = Duration::from_millis(500);

impl App {
    /// Takes in what loaders, engine and session writer have reported since the last pass.
    pub(super) fn take_news(&mut self, ctx: &Context) {
        match &mut self.phase {
            Phase::Start(screen) => {
                if let Some(workspace) = screen.take_news() {
                    self.begin(ctx, workspace);
                }
            }
            Phase::Reading(sitting) => {
                sitting.reading.clock.presented();
                // A hidden window runs no pass that would notice.
                if !attended(ctx) {
                    sitting.reading.clock.in_sight(false);
                }
                sitting.take_news(ctx);
            }
        }
    }

    /// Begins to read a session that has been opened.
    fn begin(&mut self, ctx: &Context, workspace: Workspace) {
        let asks = self.reader.is_none() && self.readers.names.len() > 1;
        let reader = self.reader.clone().unwrap_or_else(|| readers::usual(&self.readers));
        match Sitting::new(ctx, workspace, &self.background, &reader) {
            Ok(mut sitting) => {
                sitting.return_after(self.return_after);
                let name = &sitting.reading.study.session().header().name;
                let title = format!("{name} – Penumbra");
                ctx.send_viewport_cmd(egui::ViewportCommand::Title(title));
                self.phase = Phase::Reading(Box::new(sitting));
                self.bind();
                if asks {
                    self.open_reader_dialog(false);
                }
                ctx.request_repaint();
            }
            Err(error) => {
                if let Phase::Start(screen) = &mut self.phase {
                    screen.fail(&error);
                }
            }
        }
    }
}

impl Sitting {
    fn take_news(&mut self, ctx: &Context) {
        self.follow_files();
        if self.reading.study.poll() {
            ctx.request_repaint_after(ACK);
        }
        let events = self.reading.learner.events();
        let progress = self.reading.learner.known().progress.as_ref();
        if progress.is_some_and(|progress| !progress.paused) {
            ctx.request_repaint_after(PROGRESS);
        }
        for event in events {
            self.take(ctx, event);
        }
    }

    /// Takes in what the engine reports.
    pub(in crate::ui) fn take(&mut self, ctx: &Context, event: Event) {
        match event {
            Event::Ranking(ranking) => self.take_ranking(ranking),
            Event::Foreseen(foreseen) => self.foresee(&foreseen),
            Event::Opinions(opinions) => self.panels.gallery.take_opinions(opinions),
            Event::Explained(explanation) => self.take_explanation(ctx, &explanation),
            Event::Insight(insight) => self.panels.desk.take(insight),
            event => {
                if let Some(swap) = self.swap(&event) {
                    self.reading.study.log(swap);
                }
                self.reading.learner.note(event);
            }
        }
    }

    /// Returns what the log says of a model that was learnt or chosen; nothing of one that a session opens with.
    fn swap(&self, event: &Event) -> Option<session::Event> {
        let of = |model: &str, accepted, learnt: &Learnt| session::Event::ModelSwap {
            model: model.to_owned(),
            accepted,
            reason: learnt.outcome.clone(),
            labels: learnt.labels,
            methods: learnt.methods.clone(),
        };
        match event {
            Event::LearningEnded { model: Some(model), learnt } => Some(of(model, false, learnt)),
            Event::ModelChanged(ModelChange { model, change: Change::Learnt(learnt) }) => {
                Some(of(model, true, learnt))
            }
            Event::ModelChanged(ModelChange { model, change: Change::Chosen }) => {
                let before = self.reading.learner.known().model.as_deref();
                let from = before.map(|before| format!(" from {before}")).unwrap_or_default();
                let outcome = format!("The reader went back to it{from}");
                let labels = self.reading.study.labels_of_model(model).unwrap_or(0);
                Some(of(model, true, &Learnt { outcome, labels, methods: Vec::new() }))
            }
            _ => None,
        }
    }

    /// Takes a new ranking: the film on screen stays.
    fn take_ranking(&mut self, ranking: Arc<Ranking>) {
        let Reading { study, worklist, learner, .. } = &mut self.reading;
        learner.ranked(&ranking);
        let known = study.measures().last().map(|point| point.labels);
        if known.is_none_or(|labels| labels < ranking.labels)
            && let Some(event) = record::measure(&ranking)
        {
            study.log(event);
        }
        if study.take_ranking(Arc::clone(&ranking)) {
            self.panels.gallery.ask_again();
        }
        worklist.take_ranking(ranking, study);
        self.queue_changed();
        let Reading { worklist, learner, .. } = &mut self.reading;
        if let Some(film) = worklist.queued() {
            learner.foresee(film.row);
        }
    }

    /// Has the films decoded that may come first after the film on screen. Nothing else is touched: what is read ahead
    /// and never comes leaves no trace.
    fn foresee(&mut self, foreseen: &Foreseen) {
        if self.reading.worklist.queued().is_some_and(|film| film.row == foreseen.row) {
            self.reading.films.foresee(foreseen);
            self.read_ahead();
        }
    }
}
