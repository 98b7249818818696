//! What learns beside the reading, where anything does: all that the window asks of the engine goes through here.

use std::sync::Arc;
use std::thread::JoinHandle;

use egui::Context;

use super::learning::Learning;
use crate::device::Compute;
use crate::engine::{Command, Engine, Event, LearningPlan, Options, Question};
use crate::query::Strategy;
use crate::study::{LabelSet, Ranking, Workspace};

/// Whether the engine runs beside the reading.
#[derive(Clone, Debug)]
pub enum Background {
    /// Films are ranked and models trained.
    Learning {
        /// Device that learns; opened before the window, because drivers fault when both are opened at once.
        compute: Compute,
        /// Name of the pretrained model; without one, that which a session has been read with.
        base_model: Option<String>,
        /// When to learn, and how far.
        plan: LearningPlan,
    },
    /// Films come in random order and nothing is learnt.
    Off,
}

/// The engine, where it runs, and what is known of it. Without one, nothing that is asked has an answer.
pub struct Learner {
    engine: Option<Engine>,
    known: Learning,
}

impl Learner {
    /// Starts the engine on the films of a session, if it is to run.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start(
        ctx: &Context,
        workspace: &Workspace,
        background: &Background,
    ) -> anyhow::Result<Self> {
        let engine = match background {
            Background::Learning { compute, base_model, plan } => {
                let base = base_model.clone().unwrap_or_else(|| workspace.base_model());
                let options = Options::of(workspace, compute.clone(), &base, *plan);
                let waker = ctx.clone();
                Some(Engine::start(options, Arc::new(move || waker.request_repaint()))?)
            }
            Background::Off => None,
        };
        Ok(Self { engine, known: Learning::default() })
    }

    /// Returns whether anything learns.
    pub const fn is_on(&self) -> bool {
        self.engine.is_some()
    }

    /// Returns what the engine does and did.
    pub const fn known(&self) -> &Learning {
        &self.known
    }

    /// Returns step and loss of the job that runs or ran last.
    pub fn losses(&self) -> Vec<(u64, f32)> {
        self.engine.as_ref().map(Engine::losses).unwrap_or_default()
    }

    /// Returns what the engine reported since the last call, and notes where its job stands.
    pub fn events(&mut self) -> Vec<Event> {
        let Some(engine) = &self.engine else { return Vec::new() };
        self.known.progress = engine.progress();
        engine.events()
    }

    /// Notes what an event says of the engine itself.
    pub fn note(&mut self, event: Event) {
        self.known.take(event);
    }

    /// Notes what a ranking says of itself.
    pub fn ranked(&mut self, ranking: &Ranking) {
        self.known.ranked(ranking);
    }

    /// Has the films ranked by the labels as they stand.
    pub fn labels(&mut self, labels: Arc<LabelSet>) {
        self.send(Command::Labels(labels));
    }

    /// Has the films ranked by another strategy.
    pub fn strategy(&mut self, strategy: Strategy) {
        self.known.strategy = Some(strategy);
        self.send(Command::Strategy(strategy));
    }

    /// Asks what ranks first after each answer to the film on screen.
    pub fn foresee(&mut self, row: usize) {
        self.send(Command::Foresee(row));
    }

    /// Asks what the model holds of each labelled film without its label.
    pub fn review(&mut self) {
        self.send(Command::Review);
    }

    /// Asks where in a film the model finds its classes.
    pub fn explain(&mut self, row: usize) {
        self.send(Command::Explain(row));
    }

    /// Asks what the researcher wants to know.
    pub fn ask(&mut self, question: Question) {
        self.send(Command::Ask(question));
    }

    /// Takes a model into use that was made before.
    pub fn use_model(&mut self, model: String) {
        self.send(Command::Use(model));
    }

    /// Starts background learning now.
    pub fn train_now(&mut self) {
        self.send(Command::TrainNow);
    }

    /// Pauses background learning, or lets it go on.
    pub fn pause(&mut self, on: bool) {
        if let Some(engine) = &self.engine {
            engine.pause(on);
        }
    }

    /// Gives the running background learning up.
    pub fn cancel(&mut self) {
        if let Some(engine) = &self.engine {
            engine.cancel();
        }
    }

    /// Ends the engine on a thread of its own, because it ends only after the training step that it is in.
    pub fn end(&mut self) -> Option<JoinHandle<()>> {
        let engine = self.engine.take()?;
        // Where the system refuses the thread, the engine is dropped here: the window waits, but nothing is left running.
        let thread =
            std::thread::Builder::new().name("ending".to_owned()).spawn(move || drop(engine));
        thread.inspect_err(|error| tracing::warn!("the window waits for the engine: {error}")).ok()
    }

    fn send(&mut self, command: Command) {
        if let Some(engine) = &self.engine {
            engine.send(command);
        }
    }
}
