//! A question with a line of text for an answer: why a label is changed, a note on a film.

use egui::{Context, Key, RichText, TextEdit, Ui};

use super::reply::Reply;
use super::{theme, widgets};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Why the film gets another answer.
    Relabel {
        /// Row of the film.
        row: usize,
        /// Answer that it is to have.
        to: Reply,
    },
    /// A note on the film.
    Note {
        /// Row of the film.
        row: usize,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Open,
    /// The reader thought better of it.
    Cancelled,
    /// This was entered, without space around it.
    Entered(String),
}

/// The dialog.
pub struct Prompt {
    /// What it asks for.
    pub question: Question,
    heading: String,
    hint: &'static str,
    verb: &'static str,
    text: String,
    picks: Vec<String>,
    /// Whether the field has not been drawn yet.
    new: bool,
}

impl Prompt {
    /// Asks why a film gets another answer; `picks` are reasons to choose from.
    pub fn relabel(row: usize, to: Reply, heading: String, picks: Vec<String>) -> Self {
        let question = Question::Relabel { row, to };
        let hint = "why, or nothing";
        Self { question, heading, hint, verb: "Change", text: String::new(), picks, new: true }
    }

    /// Asks for the note on a film, which may have one.
    pub fn note(row: usize, before: String) -> Self {
        let (question, heading) = (Question::Note { row }, "Note on this film".to_owned());
        let hint = "an empty note removes it";
        let picks = Vec::new();
        Self { question, heading, hint, verb: "Save", text: before, picks, new: true }
    }

    /// Draws the dialog.
    pub fn ui(&mut self, ctx: &Context) -> Outcome {
        let modal = egui::Modal::new(egui::Id::unique("prompt")).show(ctx, |ui| {
            ui.set_width(theme::COLUMN);
            ui.heading(&self.heading);
            let entered = self.field(ui);
            let picked = self.choices(ui);
            let buttons = ui.horizontal(|ui| {
                let done = widgets::primary_button(ui, self.verb, true).clicked();
                (done, ui.button("Cancel").clicked())
            });
            let (done, cancelled) = buttons.inner;
            if cancelled {
                return Outcome::Cancelled;
            }
            match picked {
                Some(pick) => Outcome::Entered(pick),
                None if entered || done => Outcome::Entered(self.text.trim().to_owned()),
                None => Outcome::Open,
            }
        });
        if modal.inner == Outcome::Open && modal.should_close() {
            return Outcome::Cancelled;
        }
        modal.inner
    }

    /// Draws the field; returns whether Enter was pressed in it.
    fn field(&mut self, ui: &mut Ui) -> bool {
        // Before the field takes the keys: up and down go through the reasons.
        let step = |key: Key| ui.input(|input| input.key_pressed(key));
        let (down, up) = (step(Key::ArrowDown), step(Key::ArrowUp));
        if (down || up) && !self.picks.is_empty() {
            let n = self.picks.len();
            let at = self.picks.iter().position(|pick| *pick == self.text);
            let next = match (at, down) {
                (None, true) => 0,
                (None, false) => n - 1,
                (Some(at), true) => (at + 1) % n,
                (Some(at), false) => (at + n - 1) % n,
            };
            self.text.clone_from(&self.picks[next]);
        }
        let field = TextEdit::singleline(&mut self.text).desired_width(f32::INFINITY);
        let field = ui.add(field.hint_text(self.hint)).accessible_name(&self.heading);
        if std::mem::take(&mut self.new) {
            field.request_focus();
        }
        field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter))
    }

    /// Draws the reasons to choose from.
    fn choices(&self, ui: &mut Ui) -> Option<String> {
        if self.picks.is_empty() {
            return None;
        }
        ui.label(
            RichText::new("Or one of these: the arrow keys up and down fill it in").small().weak(),
        );
        let mut picked = None;
        ui.horizontal_wrapped(|ui| {
            for pick in &self.picks {
                if ui.button(pick).clicked() {
                    picked = Some(pick.clone());
                }
            }
        });
        picked
    }
}
