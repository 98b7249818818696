//! A field for a folder: typed, chosen in the system's dialog, or dropped on the window.

use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, bounded};
use egui::{TextEdit, Ui};

use super::theme;

/// A folder as the reader types it, and the dialog that may be open for it.
#[derive(Default)]
pub struct FolderField {
    text: String,
    dialog: Option<Receiver<Option<PathBuf>>>,
}

impl FolderField {
    /// Starts with a folder.
    pub fn new(folder: &Path) -> Self {
        Self { text: folder.display().to_string(), dialog: None }
    }

    /// Returns the folder, `None` while the field is empty.
    pub fn folder(&self) -> Option<PathBuf> {
        let text = self.text.trim();
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    /// Puts a folder into the field.
    pub fn set(&mut self, folder: &Path) {
        self.text = folder.display().to_string();
    }

    /// Draws the field and takes in what was dropped or chosen.
    pub fn ui(&mut self, ui: &mut Ui, name: &str) {
        if let Some(folder) = self.dialog.as_ref().and_then(|dialog| dialog.try_recv().ok()) {
            self.dialog = None;
            if let Some(folder) = folder {
                self.set(&folder);
            }
        }
        if let Some(folder) = dropped_folder(ui.ctx()) {
            self.set(&folder);
        }
        let label = ui.label(name);
        ui.horizontal(|ui| {
            let button =
                ui.button("Choose…").accessible_name(format!("Choose {}…", name.to_lowercase()));
            if button.clicked() && self.dialog.is_none() {
                self.choose(ui.ctx());
            }
            let width = ui.available_width();
            ui.add(TextEdit::singleline(&mut self.text).desired_width(width)).labelled_by(label.id);
        });
    }

    /// Opens the system's dialog on a thread: without a desktop portal it may hang, and the field is there all the same.
    fn choose(&mut self, ctx: &egui::Context) {
        let (sender, receiver) = bounded(1);
        let ctx = ctx.clone();
        let start = self.folder();
        let dialog = move || {
            let mut dialog = rfd::FileDialog::new();
            if let Some(start) = start {
                dialog = dialog.set_directory(start);
            }
            sender.send(dialog.pick_folder()).ok();
            ctx.request_repaint_after(theme::FADE);
        };
        if std::thread::Builder::new().name("dialog".to_owned()).spawn(dialog).is_ok() {
            self.dialog = Some(receiver);
        }
    }
}

/// Returns the folder that was dropped on the window in this pass, or the folder of a file that was.
fn dropped_folder(ctx: &egui::Context) -> Option<PathBuf> {
    ctx.input(|input| {
        let path = input.raw.dropped_files.first()?.path();
        if path.is_dir() { Some(path.to_owned()) } else { path.parent().map(Path::to_owned) }
    })
}
