//! What a reader says of a film: as the log has it, and in the words and colours of the window.

use egui::Color32;

use super::command::UiCommand;
use super::theme;
use super::words::sentence;
use crate::session::{Answer, Class};

/// What the reader does with a film.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Gives it the class of this index.
    Class(usize),
    /// Says that it shows too little to be read.
    Uninterpretable,
    /// Puts it off.
    Later,
}

impl Reply {
    /// Returns the reply that an answer came from.
    pub fn of(answer: &Answer, classes: &[Class]) -> Option<Self> {
        match answer {
            Answer::Class(name) => {
                classes.iter().position(|class| class.name == *name).map(Self::Class)
            }
            Answer::Uninterpretable => Some(Self::Uninterpretable),
        }
    }

    /// Returns the answer that the reply gives, `None` for a class that the session has not and for a film put off.
    pub fn answer(self, classes: &[Class]) -> Option<Answer> {
        match self {
            Self::Class(index) => Some(Answer::Class(classes.get(index)?.name.clone())),
            Self::Uninterpretable => Some(Answer::Uninterpretable),
            Self::Later => None,
        }
    }

    /// Returns the reply in words.
    pub fn words(self, classes: &[Class]) -> String {
        match self {
            Self::Class(index) => class_name(classes, index),
            Self::Uninterpretable => UiCommand::Uninterpretable.text(&[]),
            Self::Later => UiCommand::Later.text(&[]),
        }
    }

    /// Returns the colour of the reply.
    pub fn colour(self, classes: &[Class]) -> Color32 {
        match self {
            Self::Class(index) => classes
                .get(index)
                .map_or(theme::UNINTERPRETABLE, |class| theme::of_class(class, index)),
            Self::Uninterpretable => theme::UNINTERPRETABLE,
            Self::Later => theme::LATER,
        }
    }
}

/// Returns the name of a class as a button says it.
pub fn class_name(classes: &[Class], index: usize) -> String {
    classes.get(index).map_or_else(String::new, |class| sentence(&class.name))
}
