//! What the window knows of an opened session, in owners that panels read and only the app changes.

mod clock;
mod disputes;
mod films_ahead;
mod last_film;
mod learner;
mod learning;
mod study;
mod worklist;

use std::sync::Arc;
use std::time::Duration;

pub use self::clock::Clock;
pub use self::films_ahead::FilmsAhead;
pub use self::last_film::LastFilm;
pub use self::learner::{Background, Learner};
pub use self::learning::Learning;
pub use self::study::{Study, opinion_of};
pub use self::worklist::Worklist;

use super::command::View;
use super::film_loader::Loaded;
use super::keymap::Keymap;
use crate::session::{Class, Exposure};
use crate::study::Workspace;

/// An opened session on its way through the reader's hands.
pub struct Reading {
    /// The log, the films, what the reader has answered.
    pub study: Study,
    /// Which film is read.
    pub worklist: Worklist,
    /// The films themselves, decoded ahead.
    pub films: FilmsAhead,
    /// Since when.
    pub clock: Clock,
    /// What learns in the background.
    pub learner: Learner,
    /// The film that was answered last.
    pub last: Option<LastFilm>,
    /// Whether the panels are hidden.
    pub film_only: bool,
    /// The keys of this session.
    pub keymap: Arc<Keymap>,
}

impl Reading {
    /// Starts to read a session as `reader`.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(
        ctx: &egui::Context,
        workspace: Workspace,
        background: &Background,
        reader: &str,
    ) -> anyhow::Result<Self> {
        let films = FilmsAhead::new(ctx, &workspace)?;
        let learner = Learner::start(ctx, &workspace, background)?;
        let study = Study::new(workspace, reader);
        Ok(Self {
            worklist: Worklist::new(&study),
            study,
            films,
            clock: Clock::default(),
            learner,
            last: None,
            film_only: false,
            keymap: Arc::default(),
        })
    }

    /// Returns the view that is open.
    pub const fn view(&self) -> View {
        self.worklist.view()
    }

    /// Returns the classes of the session.
    pub fn classes(&self) -> &[Class] {
        self.study.classes()
    }

    /// Returns the row on screen; `None` when every film has been read.
    pub fn row(&self) -> Option<usize> {
        self.worklist.row()
    }

    /// Returns the film on screen, or why it cannot be shown; `None` while it is being decoded.
    pub fn film(&self) -> Option<Loaded> {
        self.row().and_then(|row| self.films.get(row))
    }

    /// Returns for how long the film on screen has been waited for, if it is not there yet.
    pub fn waited(&self) -> Option<Duration> {
        self.row().and_then(|row| self.films.waited(row))
    }

    /// Returns whether the film on screen waits to be taken as its file is now, or to be put off.
    pub fn waits_for_acceptance(&self) -> bool {
        match (self.row(), self.film()) {
            (Some(row), Some(Ok(loaded))) => self.study.is_foreign(row, loaded.changed),
            _ => false,
        }
    }

    /// Returns the model's opinion of the film on screen, where the session's protocol shows it before the answer.
    pub fn opinion_before(&self) -> Option<(usize, f32)> {
        let film = self.worklist.queued().filter(|_| self.worklist.browsed().is_none())?;
        let before = self.view() == View::Read && self.study.exposure(film.row) == Exposure::Before;
        self.study.held(film.row).filter(|_| before)
    }

    /// Returns whether there is an answer that can be taken back.
    pub fn can_undo(&self) -> bool {
        let (state, reader) = (self.study.state(), self.study.reader());
        if self.view() == View::Review {
            return state.last_adjudication(reader).is_some();
        }
        state.last_undoable(reader).is_some()
    }
}
