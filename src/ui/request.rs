//! What panels ask for: the app executes it after the pass that drew them.

use super::command::UiCommand;
use super::reply::Reply;
use crate::config::Settings;
use crate::engine::Question;
use crate::query::Strategy;

/// What a panel or a dialog asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// What a key could ask for too.
    Command(UiCommand),
    /// Opens a film of the Films view, to be read among those shown there.
    Open(usize),
    /// Shows a film among all films.
    ShowInFilms(usize),
    /// Shows these films alone in the Films view.
    Pick(Vec<usize>),
    /// Puts these films in front of the queue and goes back to it.
    ReadNext(Vec<usize>),
    /// Has films put off come back after so many others, or, for `None`, when all others are read.
    ReturnAfter(Option<usize>),
    /// Changes the answer to a film.
    Relabel {
        /// Row of the film.
        row: usize,
        /// Answer that it is to have.
        to: Reply,
        /// Why; may be empty.
        reason: String,
    },
    /// Puts a note on a film; an empty one removes it.
    Note {
        /// Row of the film.
        row: usize,
        /// What it says.
        text: String,
    },
    /// Gives the session to the reader of this name.
    ReadAs(String),
    /// Takes these settings and saves them.
    Set(Box<Settings>),
    /// Ranks by another strategy from now on.
    Strategy(Strategy),
    /// Takes the model of this name into use again.
    UseModel(String),
    /// Compares every label with what the model holds of the film without it.
    Review,
    /// Has a question of the researcher answered.
    Ask(Question),
}

impl From<UiCommand> for Request {
    fn from(command: UiCommand) -> Self {
        Self::Command(command)
    }
}
