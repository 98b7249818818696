//! The program behind the window: its phases, one place that takes news in, one place that changes the world.

mod answers;
mod commands;
mod last_film;
mod leaving;
mod navigation;
mod news;
mod readers;
mod record;
mod review;
mod settings;
pub(super) mod sitting;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use egui::Ui;

pub use super::reading::Background;
pub use super::start::Start;

use self::settings::Controls;
use self::sitting::Sitting;
use super::command::UiCommand;
use super::export::ExportDialog;
use super::keymap::{HeldKeys, pressed};
use super::prompt::{Outcome, Prompt, Question};
use super::reader_dialog::ReaderDialog;
use super::reading::Reading;
use super::request::Request;
use super::settings::SettingsSheet;
use super::start::StartScreen;
use super::{help, theme};
use crate::config::{Home, Readers, Settings};

/// Where the reading of a session stands, for whoever drives the window in place of a reader.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The film on screen; `None` when every film has been read.
    pub film: Option<FilmOnScreen<'a>>,
    /// Whether all that was entered is on disk.
    pub saved: bool,
    /// Whether the films have been ranked.
    pub ranked: bool,
    /// Whether a model learns.
    pub learns: bool,
}

/// The film on screen.
#[derive(Clone, Copy, Debug)]
pub struct FilmOnScreen<'a> {
    /// Its file, relative to the folder of films.
    pub file: &'a str,
    /// Whether it is drawn.
    pub drawn: bool,
}

enum Phase {
    Start(Box<StartScreen>),
    Reading(Box<Sitting>),
}

/// The program, independent of whether it has a real window.
pub struct App {
    home: Arc<Home>,
    background: Background,
    /// Films after which one that was put off comes back.
    return_after: Option<usize>,
    phase: Phase,
    help: bool,
    controls: Controls,
    export: Option<ExportDialog>,
    prompt: Option<Prompt>,
    readers: Readers,
    /// Who reads, by the command line or by what the window was told.
    reader: Option<String>,
    reader_dialog: Option<ReaderDialog>,
    held: HeldKeys,
    /// Threads that wait for the engines of closed sessions to end.
    ending: Vec<JoinHandle<()>>,
}

impl App {
    /// Dresses the context and goes to where the program starts.
    ///
    /// Films put off come back after `return_after` others, or, for `None`, when all others are read.
    pub fn new(
        ctx: &egui::Context,
        home: Home,
        start: Start,
        background: Background,
        return_after: Option<usize>,
    ) -> Self {
        theme::apply(ctx);
        let home = Arc::new(home);
        let screen = StartScreen::new(&home, ctx, start);
        Self {
            controls: Controls::new(Settings::load(&home)),
            readers: Readers::load(&home),
            reader: None,
            reader_dialog: None,
            home,
            background,
            return_after,
            phase: Phase::Start(Box::new(screen)),
            help: false,
            export: None,
            prompt: None,
            held: HeldKeys::default(),
            ending: Vec::new(),
        }
    }

    /// Has the sessions read by `reader`; without one, the window asks where several have read on this machine.
    #[must_use]
    pub fn read_by(self, reader: Option<&str>) -> Self {
        Self { reader: reader.map(str::to_owned), ..self }
    }

    /// Returns where the reading stands; `None` on the start screen.
    pub fn standing(&self) -> Option<Standing<'_>> {
        let Sitting { reading, panels } = self.sitting()?;
        let film = |row: usize| {
            let file = reading.study.films().get(row)?.file.as_str();
            Some(FilmOnScreen { file, drawn: panels.read.viewer.is_prepared(row) })
        };
        let learning = reading.learner.known();
        Some(Standing {
            film: reading.row().and_then(film),
            saved: reading.study.session().ready(),
            ranked: learning.ranked_in.is_some(),
            learns: learning.progress.is_some(),
        })
    }

    /// Returns the session being read, with its panels.
    pub(super) fn sitting(&self) -> Option<&Sitting> {
        match &self.phase {
            Phase::Reading(sitting) => Some(sitting),
            Phase::Start(_) => None,
        }
    }

    /// Returns the session being read, to hand it what an engine would report.
    #[cfg(test)]
    pub(super) fn sitting_mut(&mut self) -> Option<&mut Sitting> {
        match &mut self.phase {
            Phase::Reading(sitting) => Some(sitting),
            Phase::Start(_) => None,
        }
    }

    fn reading(&self) -> Option<&Reading> {
        self.sitting().map(|sitting| &sitting.reading)
    }

    fn keys(&self, ui: &Ui) -> Vec<UiCommand> {
        let Some(reading) = self.reading() else { return Vec::new() };
        let waits = self.controls.sheet.as_ref().is_some_and(SettingsSheet::waits);
        let dialog = self.export.is_some() || self.prompt.is_some() || self.reader_dialog.is_some();
        // What lies over the film has the keys, a menu too.
        if dialog || waits || egui::Popup::is_any_open(ui.ctx()) {
            return Vec::new();
        }
        let mut commands = pressed(ui.ctx(), &reading.keymap);
        if self.help {
            commands.retain(|command| *command == UiCommand::Help);
        }
        if self.controls.sheet.is_some() {
            commands.retain(|command| *command == UiCommand::Settings);
        }
        // Tab belongs to the focus unless the panels are hidden, when there is nothing to focus.
        commands.retain(|command| *command != UiCommand::ShowPanels || reading.film_only);
        commands
    }

    /// Returns whether something lies over the view.
    const fn overlaid(&self) -> bool {
        let dialog = self.export.is_some() || self.prompt.is_some() || self.reader_dialog.is_some();
        self.help || dialog || self.controls.sheet.is_some()
    }

    fn panels(&mut self, ui: &mut Ui, requests: &mut Vec<Request>) {
        self.settings_news(ui);
        let covered = self.overlaid() || egui::Popup::is_any_open(ui.ctx());
        match &mut self.phase {
            Phase::Start(screen) => screen.ui(ui, &self.home),
            Phase::Reading(sitting) => sitting.ui(ui, covered, requests),
        }
    }

    /// Draws the question that is asked.
    fn ask(&mut self, ui: &Ui, requests: &mut Vec<Request>) {
        let Some(prompt) = &mut self.prompt else { return };
        match (prompt.ui(ui.ctx()), prompt.question) {
            (Outcome::Open, _) => return,
            (Outcome::Cancelled, _) => {}
            (Outcome::Entered(reason), Question::Relabel { row, to }) => {
                requests.push(Request::Relabel { row, to, reason });
            }
            (Outcome::Entered(text), Question::Note { row }) => {
                requests.push(Request::Note { row, text });
            }
        }
        self.prompt = None;
        ui.ctx().request_repaint();
    }

    fn dialogs(&mut self, ui: &Ui, requests: &mut Vec<Request>) {
        self.ask(ui, requests);
        self.ask_reader(ui, requests);
        let Phase::Reading(sitting) = &self.phase else { return };
        let Sitting { reading, panels } = &**sitting;
        let habits = &panels.read.viewer.habits;
        if self.help && help::ui(ui.ctx(), reading.classes(), &reading.keymap, habits) {
            self.help = false;
        }
        if let Some(dialog) = &mut self.export
            && dialog.ui(ui.ctx(), &reading.study)
        {
            self.export = None;
        }
        self.settings_sheet(ui, requests);
    }

    /// Returns whether something lies over the film on screen, or the reader is elsewhere.
    fn covered(&self, ctx: &egui::Context) -> bool {
        let aside = self.sitting().is_some_and(|sitting| sitting.panels.read.aside.is_some());
        self.overlaid() || aside || !attended(ctx)
    }
}

/// Returns whether the window has the focus and is to be seen, as far as the system tells.
fn attended(ctx: &egui::Context) -> bool {
    // The raw input: while the window is hidden no pass takes it in.
    ctx.input(|input| input.raw.focused && input.viewport().visible() != Some(false))
}

impl eframe::App for App {
    fn raw_input_hook(&mut self, _ctx: &egui::Context, raw_input: &mut egui::RawInput) {
        self.held.rename(&mut raw_input.events);
    }

    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.take_news(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        let started = Instant::now();
        if let Phase::Reading(sitting) = &mut self.phase
            && ui.input(|input| !input.events.is_empty())
        {
            sitting.reading.clock.input(started);
        }
        // Before the pass is drawn, so that it draws the film that follows a key.
        for command in self.keys(ui) {
            self.execute(ui.ctx(), command, started);
        }
        theme::choose(ui, self.light());
        let mut requests = Vec::new();
        self.panels(ui, &mut requests);
        self.dialogs(ui, &mut requests);
        let covered = self.covered(ui.ctx());
        if let Phase::Reading(sitting) = &mut self.phase {
            sitting.drawn(ui.ctx(), covered);
        }
        for request in requests {
            self.serve(ui.ctx(), request, Instant::now());
            ui.ctx().request_repaint();
        }
    }

    fn clear_color(&self, _visuals: &egui::Visuals) -> [f32; 4] {
        theme::FILM.to_normalized_gamma_f32()
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        self.leave();
        for thread in self.ending.drain(..) {
            // A graphics driver may fault under a program that exits while it computes.
            thread.join().ok();
        }
    }
}
