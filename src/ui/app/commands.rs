//! The one place that changes the world.

use std::time::Instant;

use super::record::Reply;
use super::{App, Phase};
use crate::engine::{Command, Engine};
use crate::query::Strategy;
use crate::ui::command::{UiCommand, View};
use crate::ui::export::ExportDialog;
use crate::ui::settings::SettingsSheet;

impl App {
    /// Executes a command; `started` is when the pass began that carried it.
    pub(super) fn execute(&mut self, ctx: &egui::Context, command: UiCommand, started: Instant) {
        match command {
            UiCommand::Help => self.help = !self.help,
            UiCommand::Settings => {
                let open = self.controls.sheet.is_none() && self.reading().is_some();
                self.controls.sheet = open.then(SettingsSheet::default);
            }
            UiCommand::Close => self.close(ctx),
            command => {
                let Phase::Reading(reading) = &mut self.phase else { return };
                let now = ctx.input(|input| input.time);
                let engine = reading.engine.as_ref();
                match command {
                    // Keys label only where the film is in sight.
                    command if command.answers() && !reading.shows_film() => {}
                    UiCommand::Label(class) => {
                        _ = reading.answer(Reply::Class(class), now, started);
                    }
                    UiCommand::Uninterpretable => {
                        _ = reading.answer(Reply::Uninterpretable, now, started);
                    }
                    UiCommand::Later => _ = reading.answer(Reply::Later, now, started),
                    UiCommand::Undo => reading.undo(started),
                    UiCommand::Equalise => reading.toggle_equalised(ctx),
                    UiCommand::Clear | UiCommand::ResetView if reading.equalised.is_some() => {
                        reading.equalised = None;
                    }
                    UiCommand::NextFilm if reading.shows_film() => reading.look_at_next(),
                    UiCommand::PreviousFilm if reading.shows_film() => reading.look_back(),
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
                    command if reading.shows_film() => {
                        let film = reading.film().and_then(Result::ok);
                        reading.film_view.execute(command, film.as_deref(), now);
                    }
                    _ => {}
                }
            }
        }
    }
}
