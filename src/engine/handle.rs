//! The handle of a running engine.

use std::mem::discriminant;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::inbox::{Inbox, Job};
use super::options::Options;
use super::protocol::{Command, Event, Progress};
use super::{analysis, ranking, worker};

/// A running engine. Dropping it stops its threads after the step they are in.
pub struct Engine {
    options: Arc<Options>,
    inbox: Arc<Inbox>,
    events: Receiver<Event>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts the threads; `wake` is called after every event, on their side.
    ///
    /// # Errors
    /// Fails if a thread cannot be started.
    pub fn start(options: Options, wake: Arc<dyn Fn() + Send + Sync>) -> std::io::Result<Self> {
        let (sender, events) = bounded(4096);
        let inbox = Arc::new(Inbox::new(&options, sender, wake));
        let options = Arc::new(options);
        let mut engine = Self { options, inbox, events, threads: Vec::new() };
        engine.spawn(Builder::new().name("ranking".to_owned()), ranking::run)?;
        engine.spawn(Builder::new().name("analysis".to_owned()), analysis::run)?;
        // Deep networks recurse on the way back.
        let compute = Builder::new().name("compute".to_owned()).stack_size(64 << 20);
        engine.spawn(compute, worker::run)?;
        Ok(engine)
    }

    fn spawn(
        &mut self,
        thread: Builder,
        run: fn(&Arc<Options>, &Arc<Inbox>),
    ) -> std::io::Result<()> {
        let (options, inbox) = (Arc::clone(&self.options), Arc::clone(&self.inbox));
        self.threads.push(thread.spawn(move || run(&options, &inbox))?);
        Ok(())
    }

    /// Hands a command to the thread that executes it; never waits, and none is lost.
    pub fn send(&self, command: Command) {
        let inbox = &self.inbox;
        let mut state = inbox.state();
        let bell = match command {
            Command::Labels(labels) => {
                // Labels that were taken back do not have to be given twice.
                state.learnt = state.learnt.min(labels.rows.len());
                state.labels = labels;
                &inbox.ranking
            }
            Command::Strategy(strategy) => {
                state.strategy = strategy;
                state.choices += 1;
                &inbox.ranking
            }
            Command::Foresee(row) => {
                state.on_screen = Some(row);
                &inbox.ranking
            }
            Command::Review => {
                state.review = true;
                &inbox.ranking
            }
            Command::Explain(row) => {
                state.explain = Some(row);
                &inbox.worker
            }
            Command::Ask(question) => {
                // Of questions of one kind only the newest is of use.
                state.questions.retain(|other| discriminant(other) != discriminant(&question));
                state.questions.push(question);
                &inbox.analysis
            }
            Command::TrainNow => {
                drop(state);
                return inbox.wish_to_learn(&self.options, "asked for".to_owned(), true);
            }
            Command::Use(name) => {
                drop(state);
                return inbox.wish(Job::Use(name));
            }
        };
        bell.ring();
    }

    /// Returns what was reported since the last call; never waits.
    pub fn events(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// Returns the name of the model in use; `None` until the films are embedded.
    pub fn model(&self) -> Option<String> {
        self.inbox.state().in_use.as_ref().map(|embedded| embedded.model.clone())
    }

    /// Returns where background learning stands; `None` if nothing runs.
    pub fn progress(&self) -> Option<Progress> {
        self.inbox.progress.lock().clone()
    }

    /// Returns step and loss of the job that runs or ran last; the steps run on from stage to stage.
    pub fn losses(&self) -> Vec<(u64, f32)> {
        self.inbox.losses.lock().clone()
    }

    /// Pauses background learning or goes on with it.
    pub fn pause(&self, on: bool) {
        self.inbox.flags.pause(on);
        if let Some(progress) = self.inbox.progress.lock().as_mut() {
            progress.paused = on;
        }
    }

    /// Ends the background learning that runs; the model in use stays.
    pub fn cancel(&self) {
        self.inbox.flags.cancel();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.inbox.close();
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            // A thread that waits for room in the event queue goes on when the queue is emptied.
            self.events.try_iter().for_each(drop);
            std::thread::sleep(Duration::from_millis(2));
        }
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}
