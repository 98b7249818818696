//! The start screen: go on with the last session, open the demo, make a new one.

use std::sync::Arc;

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use egui::text::{LayoutJob, TextFormat};
use egui::{Button, CentralPanel, Color32, FontId, RichText, ScrollArea, TextEdit, Ui, vec2};

use super::class_editor::ClassEditor;
use super::folder_field::FolderField;
use super::opening::{Opened, Opening};
use super::words::sentence;
use super::{figures, theme, widgets};
use crate::config::{DEMO, Home};
use crate::session::{Session, Summary};
use crate::study::Workspace;
use crate::study::workspace::{self, NewSession};

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

/// The form for a new session.
#[derive(Default)]
struct NewSessionForm {
    name: String,
    folder: FolderField,
    classes: ClassEditor,
}

/// The start screen.
pub struct StartScreen {
    sessions: Vec<Summary>,
    /// Where the list comes from, until it has come.
    listing: Option<Receiver<Vec<Summary>>>,
    form: Option<NewSessionForm>,
    opening: Option<Opening>,
    /// A session just made of which films were refused: the reader sees the list first.
    refused: Option<Box<Opened>>,
    go_on: bool,
    error: Option<String>,
}

impl StartScreen {
    /// Begins to list the sessions and, where the program starts with one, begins to open it.
    pub fn new(home: &Arc<Home>, ctx: &egui::Context, start: Start) -> Self {
        let mut screen = Self {
            sessions: Vec::new(),
            listing: Some(list(home, ctx)),
            form: None,
            opening: None,
            refused: None,
            go_on: false,
            error: None,
        };
        match start {
            Start::Screen => {}
            Start::Session(name) => screen.open(home, ctx, format!("Opening {name}"), name),
            Start::Demo => screen.open_demo(home, ctx),
        }
        screen
    }

    /// Returns the session that has been opened meanwhile.
    pub fn take_news(&mut self) -> Option<Workspace> {
        self.take_list();
        if self.go_on {
            self.go_on = false;
            return self.refused.take().map(|opened| opened.workspace);
        }
        let opened = self.opening.as_ref()?.poll()?;
        self.opening = None;
        match opened {
            Ok(opened) if opened.refused.is_empty() => return Some(opened.workspace),
            Ok(opened) => self.refused = Some(Box::new(opened)),
            Err(error) => self.fail(&error),
        }
        None
    }

    fn take_list(&mut self) {
        let Some(listing) = &self.listing else { return };
        match listing.try_recv() {
            Ok(sessions) => self.sessions = sessions,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                let text =
                    "The sessions could not be listed; nothing was changed. Start Penumbra again";
                self.error = Some(text.to_owned());
            }
        }
        self.listing = None;
    }

    /// Says what went wrong.
    pub fn fail(&mut self, error: &anyhow::Error) {
        self.error = Some(format!("{error:#}"));
    }

    fn open(&mut self, home: &Arc<Home>, ctx: &egui::Context, what: String, folder: String) {
        let home = Arc::clone(home);
        self.start(Opening::start(what, ctx, move |_| Ok(Workspace::open(&home, &folder)?.into())));
    }

    fn open_demo(&mut self, home: &Arc<Home>, ctx: &egui::Context) {
        let home = Arc::clone(home);
        self.start(Opening::start("Opening the demo".to_owned(), ctx, move |_| {
            Ok(Workspace::demo(&home)?.into())
        }));
    }

    fn create(&mut self, home: &Arc<Home>, ctx: &egui::Context, new: NewSession) {
        let home = Arc::clone(home);
        let what = format!("Reading the films of {}", new.images.display());
        self.start(Opening::start(what, ctx, move |done| {
            let scan = workspace::create(&home, &new, done)?;
            let unreadable = scan.refused.iter().map(|refused| sentence(&refused.to_string()));
            let twice = scan
                .duplicates
                .iter()
                .map(|twin| format!("The same film as {}: {}", twin.of, twin.file));
            let refused = unreadable.chain(twice).collect();
            Ok(Opened { workspace: Workspace::open(&home, &new.name)?, refused })
        }));
    }

    fn start(&mut self, opening: Opening) {
        self.error = None;
        self.opening = Some(opening);
    }

    /// Draws the screen.
    pub fn ui(&mut self, ui: &mut Ui, home: &Arc<Home>) {
        let frame = theme::panel_frame(ui, theme::card_margin());
        CentralPanel::default().frame(frame).show(ui, |ui| {
            let side = ((ui.available_width() - theme::COLUMN) / 2.0).max(0.0);
            ui.horizontal_top(|ui| {
                ui.add_space(side);
                ui.vertical(|ui| {
                    ui.set_width(theme::COLUMN.min(ui.available_width()));
                    ui.add_space(ui.available_height() / 6.0);
                    ui.label(RichText::new("Penumbra").font(theme::figure_font()));
                    ui.add_space(theme::SPACE[3]);
                    self.column(ui, home);
                });
            });
        });
    }

    fn column(&mut self, ui: &mut Ui, home: &Arc<Home>) {
        if let Some(error) = &self.error {
            widgets::notice(ui, widgets::Notice::Fault, error);
            ui.add_space(theme::SPACE[2]);
        }
        if let Some(opening) = &self.opening {
            progress(ui, opening);
        } else if self.refused.is_some() {
            self.refused_films(ui);
        } else if self.form.is_some() {
            self.new_session(ui, home);
        } else {
            self.choice(ui, home);
        }
    }

    fn choice(&mut self, ui: &mut Ui, home: &Arc<Home>) {
        if !ui.ctx().input(|input| input.raw.dropped_files.is_empty()) {
            // The form takes the folder in when it is drawn in the pass that is asked for here.
            self.form = Some(NewSessionForm::default());
            self.new_session(ui, home);
            return;
        }
        if self.listing.is_some() {
            // Buttons drawn before the list would move away under the pointer when it comes.
            ui.weak("Looking for sessions…");
            return;
        }
        let mut chosen = None;
        let width = ui.available_width();
        if let Some(last) = self.sessions.first() {
            let palette = theme::palette(ui);
            let text = last_session(last, palette.on_colour);
            let button = Button::new(text).fill(palette.accent);
            let name = format!("Go on with {}", last.name);
            let response =
                ui.add(button.min_size(vec2(width, theme::LARGE_BUTTON))).accessible_name(name);
            // Enter goes on where the reader left off.
            if ui.memory(|memory| memory.focused().is_none()) {
                response.request_focus();
            }
            if response.clicked() {
                chosen = Some(last);
            }
        }
        let size = vec2(width, theme::LABEL_BUTTON);
        let demo_is_last = self.sessions.first().is_some_and(|last| folder_name(last) == DEMO);
        let demo = !demo_is_last && ui.add(Button::new("Open the demo").min_size(size)).clicked();
        if ui.add(Button::new("New session…").min_size(size)).clicked() {
            self.form = Some(NewSessionForm::default());
        }
        if self.sessions.len() > 1 {
            widgets::section(ui, "Other sessions");
            ScrollArea::vertical().show(ui, |ui| {
                for session in &self.sessions[1..] {
                    let text = format!("{}  ·  {}", session.name, counts(session));
                    if ui
                        .button(text)
                        .accessible_name(format!("Go on with {}", session.name))
                        .clicked()
                    {
                        chosen = Some(session);
                    }
                }
            });
        }
        if let Some(session) = chosen {
            let (what, folder) = (format!("Opening {}", session.name), folder_name(session));
            self.open(home, ui.ctx(), what, folder);
        } else if demo {
            self.open_demo(home, ui.ctx());
        }
    }

    fn new_session(&mut self, ui: &mut Ui, home: &Arc<Home>) {
        let Some(form) = &mut self.form else { return };
        ui.heading("New session");
        let label = ui.label("Name");
        let field = TextEdit::singleline(&mut form.name).desired_width(f32::INFINITY);
        ui.add(field).labelled_by(label.id);
        form.folder.ui(ui, "Folder of films");
        ui.weak("A folder can also be dropped on the window. Films stay where they are and are never changed");
        form.classes.ui(ui);
        let name = form.name.trim().to_owned();
        let (folder, classes) = (form.folder.folder(), form.classes.classes());
        let (mut make, mut cancel) = (false, false);
        ui.horizontal(|ui| {
            let ready = !name.is_empty() && folder.is_some() && classes.is_ok();
            make = widgets::primary_button(ui, "Make session", ready).clicked();
            cancel = ui.button("Cancel").clicked();
        });
        if cancel {
            self.form = None;
            self.error = None;
        } else if make && let (Some(folder), Ok(classes)) = (folder, classes) {
            let new = NewSession { classes, ..NewSession::new(name, folder) };
            self.create(home, ui.ctx(), new);
        }
    }

    fn refused_films(&mut self, ui: &mut Ui) {
        let Some(opened) = &self.refused else { return };
        ui.heading(format!("{} can be read", figures::count(opened.workspace.films.len(), "film")));
        ui.label("Not everything in the folder can be used:");
        let height = ui.available_height() / 2.0;
        ScrollArea::vertical().max_height(height).auto_shrink([false, true]).show(ui, |ui| {
            for reason in &opened.refused {
                ui.weak(reason);
            }
        });
        if widgets::primary_button(ui, "Start reading", true).clicked() {
            self.go_on = true;
            ui.ctx().request_repaint();
        }
    }
}

fn last_session(session: &Summary, colour: Color32) -> LayoutJob {
    let format = |size| TextFormat::simple(FontId::proportional(size), colour);
    let mut job = LayoutJob::default();
    job.append(&session.name, 0.0, format(theme::HEADING));
    job.append("\n", 0.0, format(theme::BODY));
    job.append(&counts(session), 0.0, format(theme::BODY));
    job
}

fn progress(ui: &mut Ui, opening: &Opening) {
    ui.label(&opening.what);
    let (done, of) = opening.progress();
    if of > 0 {
        widgets::progress_bar(ui, done as f32 / of as f32, "Films read");
        ui.weak(format!("{done} of {}", figures::count(of, "film")));
    }
}

fn counts(session: &Summary) -> String {
    session
        .fault
        .as_deref()
        .map_or_else(|| figures::count(session.labelled, "film") + " with an answer", sentence)
}

/// Returns what a session is opened by: the name that its reader gave it may be another.
fn folder_name(session: &Summary) -> String {
    session.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Lists the sessions on a named thread, because every log is read and checked for it.
fn list(home: &Arc<Home>, ctx: &egui::Context) -> Receiver<Vec<Summary>> {
    let (sender, listing) = bounded(1);
    let (folder, ctx) = (home.sessions(), ctx.clone());
    let work = move || {
        // The screen may have been left meanwhile: then no one waits for the list.
        sender.send(Session::list(&folder)).ok();
        // Before the window is woken, so that a list that failed shows as such.
        drop(sender);
        ctx.request_repaint();
    };
    if let Err(error) = std::thread::Builder::new().name("sessions".to_owned()).spawn(work) {
        tracing::error!("the sessions cannot be listed: {error}");
    }
    listing
}
