//! The one place that changes the world.

use std::time::Instant;

use super::record::Reply;
use super::{App, Phase};
use crate::engine::{Command, Engine};
use crate::query::Strategy;
use crate::ui::command::{UiCommand, View};
use crate::ui::export::ExportDialog;

impl App {
    /// Executes a command; `started` is when the pass began that carried it.
    pub(super) fn execute(&mut self, ctx: &egui::Context, command: UiCommand, started: Instant) {
        match command {
            UiCommand::Help => self.help = !self.help,
            UiCommand::Close => self.close(ctx),
            command => {
                let Phase::Reading(reading) = &mut self.phase else { return };
                let now = ctx.input(|input| input.time);
                let engine = reading.engine.as_ref();
                match command {
                    // Keys label only where the film is in sight.
                    command if command.answers() && reading.view != View::Read => {}
                    UiCommand::Label(class) => {
                        _ = reading.answer(Reply::Class(class), now, started);
                    }
                    UiCommand::Uninterpretable => {
                        _ = reading.answer(Reply::Uninterpretable, now, started);
                    }
                    UiCommand::Later => _ = reading.answer(Reply::Later, now, started),
                    UiCommand::Undo => reading.undo(started),
                    UiCommand::ToggleInvert => reading.film_view.toggle_invert(),
                    UiCommand::ResetView => reading.film_view.reset(),
                    UiCommand::FitView => reading.film_view.fit(),
                    UiCommand::OneToOne => {
                        if let Some(Ok(film)) = reading.film() {
                            reading.film_view.one_to_one(&film);
                        }
                    }
                    UiCommand::HidePanels => reading.film_only = reading.view == View::Read,
                    UiCommand::ShowPanels => reading.film_only = false,
                    UiCommand::View(view) => reading.view = view,
                    UiCommand::Export => self.export = Some(ExportDialog::new(reading)),
                    UiCommand::Pause(on) => _ = engine.map(|engine| engine.pause(on)),
                    UiCommand::Cancel => _ = engine.map(Engine::cancel),
                    UiCommand::TrainNow => _ = engine.map(|engine| engine.send(Command::TrainNow)),
                    UiCommand::Strategy(index) => {
                        if let Some(&strategy) = Strategy::ALL.get(index) {
                            reading.choose(strategy);
                        }
                    }
                    UiCommand::Help | UiCommand::Close => {}
                }
            }
        }
    }
}
