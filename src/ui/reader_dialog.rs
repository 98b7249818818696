//! The question who reads.

use egui::{Context, RichText, TextEdit, vec2};

use super::{theme, widgets};
use crate::config::readers;

/// The dialog.
pub struct ReaderDialog {
    name: String,
    /// Whether the reader may go on without an answer, as whoever reads already.
    optional: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// Nothing yet.
    Open,
    /// Nobody else reads.
    Cancelled,
    /// The reader of this name.
    Reader(String),
}

impl ReaderDialog {
    /// Asks who reads; with `optional`, whoever reads may go on.
    pub const fn new(optional: bool) -> Self {
        Self { name: String::new(), optional }
    }

    /// Draws the dialog over the names known; `current` reads now.
    pub fn ui(&mut self, ctx: &Context, names: &[String], current: &str) -> Chosen {
        let modal = egui::Modal::new(egui::Id::unique("reader")).show(ctx, |ui| {
            ui.set_width(theme::COLUMN);
            ui.heading("Who reads?");
            ui.weak("Each reader has a queue of their own and sees no one else's answers");
            let mut chosen = Chosen::Open;
            for name in names {
                let size = vec2(ui.available_width(), theme::LABEL_BUTTON);
                let initials = RichText::new(readers::initials(name)).weak();
                let button = egui::Button::new(name).right_text(initials).min_size(size);
                let button = button.selected(self.optional && name == current);
                let response = ui.add(button).accessible_name(format!("Read as {name}"));
                // Enter goes on as whoever read last.
                if name == current && ui.memory(|memory| memory.focused().is_none()) {
                    response.request_focus();
                }
                if response.clicked() {
                    chosen = Chosen::Reader(name.clone());
                }
            }
            widgets::section(ui, "Someone else");
            let field = TextEdit::singleline(&mut self.name).desired_width(f32::INFINITY);
            let field = ui.add(field.hint_text("name or initials")).accessible_name("New reader");
            let enter = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            ui.horizontal(|ui| {
                let name = readers::check(&self.name).map(str::to_owned);
                let add = widgets::primary_button(ui, "Read under this name", name.is_ok());
                if let (true, Ok(name)) = (add.clicked() || enter, name) {
                    chosen = Chosen::Reader(name);
                }
                if self.optional && ui.button("Cancel").clicked() {
                    chosen = Chosen::Cancelled;
                }
            });
            chosen
        });
        if self.optional && modal.inner == Chosen::Open && modal.should_close() {
            return Chosen::Cancelled;
        }
        modal.inner
    }
}
