//! The one place that changes the world: what keys, panels and dialogs ask for is executed here.

use std::time::Instant;

use egui::Context;

use super::sitting::Sitting;
use super::{App, Phase};
use crate::query::Strategy;
use crate::session::Event;
use crate::ui::command::UiCommand;
use crate::ui::export::ExportDialog;
use crate::ui::prompt::Prompt;
use crate::ui::reading::Reading;
use crate::ui::reply::Reply;
use crate::ui::request::Request;
use crate::ui::settings::SettingsSheet;

impl App {
    /// Executes a request of a pass that began at `started`.
    pub(super) fn serve(&mut self, ctx: &Context, request: Request, started: Instant) {
        let request = match request {
            Request::Command(command) => return self.execute(ctx, command, started),
            Request::ReadAs(name) => return self.hand_over(name),
            Request::Set(settings) => return self.set(*settings),
            request => request,
        };
        let Phase::Reading(sitting) = &mut self.phase else { return };
        match request {
            Request::Command(_) | Request::ReadAs(_) | Request::Set(_) => {}
            Request::Open(row) => sitting.open(row),
            Request::ShowInFilms(row) => sitting.show_in_films(row),
            Request::Pick(rows) => sitting.show_picked(rows),
            Request::ReadNext(rows) => sitting.read_next(&rows),
            Request::ReturnAfter(films) => sitting.return_after(films),
            Request::Relabel { row, to, reason } => {
                let now = ctx.input(|input| input.time);
                sitting.relabel(row, to, reason, now, started);
            }
            Request::Note { row, text } => _ = sitting.set_note(row, text),
            Request::Strategy(strategy) => sitting.choose(strategy),
            Request::UseModel(model) => sitting.reading.learner.use_model(model),
            Request::Review => sitting.reading.learner.review(),
            Request::Ask(question) => sitting.reading.learner.ask(question),
        }
    }

    /// Executes a command; `started` is when the pass began that carried it.
    pub(super) fn execute(&mut self, ctx: &Context, command: UiCommand, started: Instant) {
        match command {
            UiCommand::Help => self.help = !self.help,
            UiCommand::Settings => {
                let open = self.controls.sheet.is_none() && self.reading().is_some();
                self.controls.sheet = open.then(SettingsSheet::default);
            }
            UiCommand::Close => self.close(ctx),
            UiCommand::Reader => self.open_reader_dialog(true),
            UiCommand::Export => {
                self.export = self.reading().map(|reading| ExportDialog::new(&reading.study));
            }
            command => {
                let Phase::Reading(sitting) = &mut self.phase else { return };
                if let Some(prompt) = sitting.execute(ctx, command, started) {
                    self.prompt = Some(prompt);
                }
            }
        }
    }
}

impl Sitting {
    /// Executes a command about the session that is read; returns what is to be asked first.
    fn execute(&mut self, ctx: &Context, command: UiCommand, started: Instant) -> Option<Prompt> {
        let now = ctx.input(|input| input.time);
        match command {
            // Keys label only where the film is in sight.
            command if command.answers() && !self.takes_answers() => {}
            UiCommand::Label(class) => return self.reply(Reply::Class(class), now, started),
            UiCommand::Uninterpretable => return self.reply(Reply::Uninterpretable, now, started),
            UiCommand::Later => return self.reply(Reply::Later, now, started),
            UiCommand::Note if !self.takes_answers() => {}
            UiCommand::Note => {
                let note = |row| self.reading.study.note(row).unwrap_or_default().to_owned();
                return self.subject_row().map(|row| Prompt::note(row, note(row)));
            }
            UiCommand::AcceptChange if self.shows_film() => self.accept_change(),
            UiCommand::PreviousFilm if self.shows_film() => self.previous_film(),
            UiCommand::NextFilm if self.shows_film() => self.next_film(),
            UiCommand::BackToQueue => self.back_to_queue(),
            UiCommand::ShowLater => self.show_later(),
            UiCommand::Undo => self.undo(started),
            UiCommand::Equalise => self.toggle_equalised(ctx),
            UiCommand::HeatMap => self.toggle_heat_map(ctx),
            UiCommand::Clear | UiCommand::ResetView if self.panels.read.aside.is_some() => {
                self.panels.read.aside = None;
            }
            UiCommand::HidePanels => self.reading.film_only = self.reading.view().shows_film(),
            UiCommand::ShowPanels => self.reading.film_only = false,
            UiCommand::View(view) => self.go_to(view),
            UiCommand::Pause(on) => self.reading.learner.pause(on),
            UiCommand::Cancel => self.reading.learner.cancel(),
            UiCommand::TrainNow => self.reading.learner.train_now(),
            command if self.shows_film() => {
                let film = self.reading.film().and_then(Result::ok);
                self.panels.read.viewer.execute(command, film.as_deref(), now);
            }
            _ => {}
        }
        None
    }

    /// Ranks by another strategy from now on.
    fn choose(&mut self, strategy: Strategy) {
        let Reading { study, learner, .. } = &mut self.reading;
        if study.log(Event::Strategy { name: strategy.to_string() }) {
            learner.strategy(strategy);
        }
    }
}
