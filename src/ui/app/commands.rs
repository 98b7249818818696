//! The one place that changes the world.

use std::time::Instant;

use super::reading::Reading;
use super::record::Reply;
use super::{App, Phase};
use crate::engine::{Command, Engine};
use crate::query::Strategy;
use crate::ui::command::{UiCommand, View};
use crate::ui::export::ExportDialog;
use crate::ui::prompt::Prompt;
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
            UiCommand::Reader => self.open_reader_dialog(true),
            command => {
                let Phase::Reading(reading) = &mut self.phase else { return };
                let now = ctx.input(|input| input.time);
                let engine = reading.engine.as_ref();
                match command {
                    // Keys label only where the film is in sight.
                    command if command.answers() && !reading.takes_answers() => {}
                    UiCommand::Label(class) => {
                        self.prompt = reply(reading, Reply::Class(class), now, started);
                    }
                    UiCommand::Uninterpretable => {
                        self.prompt = reply(reading, Reply::Uninterpretable, now, started);
                    }
                    UiCommand::Later => self.prompt = reply(reading, Reply::Later, now, started),
                    UiCommand::Note if !reading.takes_answers() => {}
                    UiCommand::Note => {
                        let before = |row| reading.note(row).unwrap_or_default().to_owned();
                        let row = reading.subject_row();
                        self.prompt = row.map(|row| Prompt::note(row, before(row)));
                    }
                    UiCommand::AcceptChange if reading.shows_film() => reading.accept_change(),
                    UiCommand::PreviousFilm if reading.shows_film() => reading.previous_film(),
                    UiCommand::NextFilm if reading.shows_film() => reading.next_film(),
                    UiCommand::BackToQueue => reading.back_to_queue(),
                    UiCommand::ShowLater => reading.show_later(),
                    UiCommand::ReturnAfter(films) => {
                        reading.return_after(Some(films).filter(|&films| films > 0));
                    }
                    UiCommand::Undo => reading.undo(started),
                    UiCommand::Equalise => reading.toggle_equalised(ctx),
                    UiCommand::HeatMap => reading.toggle_heat_map(ctx),
                    UiCommand::Clear | UiCommand::ResetView if reading.aside.is_some() => {
                        reading.aside = None;
                    }
                    UiCommand::HidePanels => reading.film_only = reading.view.shows_film(),
                    UiCommand::ShowPanels => reading.film_only = false,
                    UiCommand::View(view) => {
                        if view == View::Films
                            && let Some(row) = reading.row().filter(|_| reading.view == View::Read)
                        {
                            reading.gallery.select(row);
                        }
                        reading.go_to(view);
                    }
                    UiCommand::Export => self.export = Some(ExportDialog::new(reading)),
                    UiCommand::Pause(on) => _ = engine.map(|engine| engine.pause(on)),
                    UiCommand::Cancel => _ = engine.map(Engine::cancel),
                    UiCommand::TrainNow => _ = engine.map(|engine| engine.send(Command::TrainNow)),
                    UiCommand::Strategy(index) => {
                        if let Some(&strategy) = Strategy::ALL.get(index) {
                            reading.choose(strategy);
                        }
                    }
                    UiCommand::UseModel(index) => reading.use_model(index),
                    UiCommand::OpenFilm(row) => reading.open_from_map(row),
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

/// Answers for the film on screen; for one that has another answer, asks why first.
fn reply(reading: &mut Reading, reply: Reply, now: f64, started: Instant) -> Option<Prompt> {
    let row = reading.subject_row()?;
    let Some(from) = reading.answer_of(row).filter(|_| !reading.answers_afresh()) else {
        reading.answer(reply, now, started);
        return None;
    };
    reading.changes_answer(row, reply).then(|| {
        let (from, to) = (reading.words(from), reading.words(reply));
        Prompt::relabel(row, reply, format!("Why {to} instead of {from}?"), reading.reasons())
    })
}
