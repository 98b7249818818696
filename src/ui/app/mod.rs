//! The program behind the window: its phases, one place that takes news in, one place that changes the world.

mod ahead;
mod answers;
mod browse;
mod browsing;
mod commands;
mod course;
mod logic;
mod readers;
pub mod reading;
pub mod record;
mod review;
mod settings;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use egui::Ui;

use self::reading::Reading;
use self::settings::Controls;
use super::command::{UiCommand, View};
use super::export::ExportDialog;
use super::keymap::{HeldKeys, pressed};
use super::prompt::{Outcome, Prompt, Question};
use super::reader_dialog::{Chosen, ReaderDialog};
use super::settings::SettingsSheet;
use super::start::StartScreen;
use super::{gallery, help, learn, read, theme, top_bar};
use crate::config::{Home, Readers, Settings};
use crate::device::Compute;
use crate::engine::LearningPlan;

/// What the window opens with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The start screen.
    Screen,
    /// The session of this name.
    Session(String),
    /// The demo.
    Demo,
}

/// Whether the engine runs beside the reading.
#[derive(Clone, Debug)]
pub enum Background {
    /// Films are ranked and models trained.
    Learning {
        /// Device that learns; opened before the window, because drivers fault when both are opened at once.
        compute: Compute,
        /// Name of the pretrained model; without one, that which a session has been read with.
        base_model: Option<String>,
        /// When to learn, and how far.
        plan: LearningPlan,
    },
    /// Films come in random order and nothing is learnt.
    Off,
}

enum Phase {
    Start(Box<StartScreen>),
    Reading(Box<Reading>),
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

    /// Returns the session being read.
    pub fn reading(&self) -> Option<&Reading> {
        match &self.phase {
            Phase::Reading(reading) => Some(reading),
            Phase::Start(_) => None,
        }
    }

    /// Returns the session being read, to hand it rankings from elsewhere than an engine.
    pub fn reading_mut(&mut self) -> Option<&mut Reading> {
        match &mut self.phase {
            Phase::Reading(reading) => Some(reading),
            Phase::Start(_) => None,
        }
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

    fn panels(&mut self, ui: &mut Ui, commands: &mut Vec<UiCommand>) {
        self.settings_news(ui);
        let overlaid = self.overlaid() || egui::Popup::is_any_open(ui.ctx());
        match &mut self.phase {
            Phase::Start(screen) => screen.ui(ui, &self.home),
            Phase::Reading(reading) => {
                read::fault_bar(ui, reading);
                if !(reading.film_only && reading.view.shows_film()) {
                    top_bar::ui(ui, reading, commands);
                }
                match reading.view {
                    View::Read | View::Review => read::ui(ui, reading, commands),
                    View::Learn => learn::ui(ui, reading, commands),
                    View::Films => {
                        if let Some(row) = gallery::ui(ui, reading, !overlaid, commands) {
                            reading.open(row);
                            ui.ctx().request_repaint();
                        }
                    }
                }
            }
        }
    }

    /// Draws the question that is asked, and enters its answer.
    fn ask(&mut self, ui: &Ui) {
        let Phase::Reading(reading) = &mut self.phase else { return };
        let Some(prompt) = &mut self.prompt else { return };
        let now = ui.input(|input| input.time);
        match (prompt.ui(ui.ctx()), prompt.question) {
            (Outcome::Open, _) => return,
            (Outcome::Cancelled, _) => {}
            (Outcome::Entered(text), Question::Relabel { row, to }) => {
                reading.relabel(row, to, text, now, Instant::now());
            }
            (Outcome::Entered(text), Question::Note { row }) => _ = reading.set_note(row, text),
        }
        self.prompt = None;
        ui.ctx().request_repaint();
    }

    fn dialogs(&mut self, ui: &Ui) {
        self.ask(ui);
        self.ask_reader(ui);
        let Phase::Reading(reading) = &self.phase else { return };
        let (classes, habits) = (reading.classes(), &reading.film_view.habits);
        if self.help && help::ui(ui.ctx(), classes, &reading.keymap, habits) {
            self.help = false;
        }
        if let Some(dialog) = &mut self.export
            && dialog.ui(ui.ctx(), reading)
        {
            self.export = None;
        }
        self.settings_sheet(ui);
    }

    /// Returns whether something lies over the film on screen, or the reader is elsewhere.
    fn covered(&self, ctx: &egui::Context) -> bool {
        let aside = self.reading().is_some_and(|reading| reading.aside.is_some());
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
        if let Phase::Reading(reading) = &mut self.phase
            && ui.input(|input| !input.events.is_empty())
        {
            reading.input(started);
        }
        for command in self.keys(ui) {
            self.execute(ui.ctx(), command, started);
        }
        theme::choose(ui, self.light());
        let mut commands = Vec::new();
        self.panels(ui, &mut commands);
        self.dialogs(ui);
        let covered = self.covered(ui.ctx());
        if let Phase::Reading(reading) = &mut self.phase {
            match reading.view {
                View::Read | View::Review if reading.aside.is_none() => reading.drawn(ui.ctx()),
                View::Films => reading.gallery_drawn(ui.ctx()),
                View::Read | View::Review | View::Learn => {}
            }
            reading.in_sight(reading.view != View::Learn && !covered);
        }
        for command in commands {
            self.execute(ui.ctx(), command, Instant::now());
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
