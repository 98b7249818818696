//! The export dialog. Films are copied on a thread of their own.

use std::path::PathBuf;

use crossbeam_channel::{Receiver, bounded};
use egui::Context;

use super::folder_field::FolderField;
use super::reading::Study;
use super::widgets::Notice;
use super::{figures, theme, widgets};
use crate::session::export::{ExportReport, Format, export};

type Outcome = Result<String, String>;

/// The dialog, and what came of the last export.
pub struct ExportDialog {
    formats: Vec<Format>,
    folder: FolderField,
    running: Option<Receiver<Outcome>>,
    outcome: Option<Outcome>,
}

const FORMATS: [(Format, &str); 6] = [
    (Format::Csv, "Table (CSV)"),
    (Format::Jsonl, "Records (JSON Lines)"),
    (Format::Parquet, "Table with types (Parquet)"),
    (Format::Coco, "Annotations (COCO)"),
    (Format::Npz { size: 224 }, "Arrays, 224 pixels (NumPy)"),
    (Format::Folder, "Films, a folder for each class"),
];

impl ExportDialog {
    /// Opens the dialog with a folder of the session that no export of fewer or more labels has taken.
    pub fn new(study: &Study) -> Self {
        let name = format!("export-{}", study.counts().0);
        let folder = FolderField::new(&study.session().folder().join(name));
        Self { formats: vec![Format::Csv], folder, running: None, outcome: None }
    }

    /// Draws the dialog; returns whether the reader closes it.
    pub fn ui(&mut self, ctx: &Context, study: &Study) -> bool {
        if let Some(outcome) = self.running.as_ref().and_then(|running| running.try_recv().ok()) {
            self.running = None;
            self.outcome = Some(outcome);
        }
        let modal = egui::Modal::new(egui::Id::unique("export")).show(ctx, |ui| {
            ui.set_width(theme::COLUMN);
            ui.heading("Export labels");
            ui.weak(figures::count(study.counts().0, "label"));
            for (format, name) in FORMATS {
                let mut chosen = self.formats.contains(&format);
                if ui.checkbox(&mut chosen, name).changed() {
                    self.formats.retain(|other| *other != format);
                    self.formats.extend(chosen.then_some(format));
                }
            }
            self.folder.ui(ui, "Export folder");
            match &self.outcome {
                None if self.running.is_some() => _ = ui.weak("Writing…"),
                None => _ = ui.weak("A folder that is new or empty"),
                Some(Ok(report)) => widgets::notice(ui, Notice::Good, report),
                Some(Err(reason)) => widgets::notice(ui, Notice::Fault, reason),
            }
            let folder =
                self.folder.folder().filter(|_| self.running.is_none() && !self.formats.is_empty());
            ui.horizontal(|ui| {
                if widgets::primary_button(ui, "Export", folder.is_some()).clicked()
                    && let Some(folder) = folder
                {
                    self.start(ctx, study, folder);
                }
                ui.button("Close").clicked()
            })
            .inner
        });
        modal.inner || modal.should_close()
    }

    fn start(&mut self, ctx: &Context, study: &Study, folder: PathBuf) {
        let (sender, receiver) = bounded(1);
        let (state, films) = (study.state().clone(), study.workspace().export_films());
        let (formats, ctx) = (self.formats.clone(), ctx.clone());
        let write = move || {
            let written =
                export(&state, &films, &formats, &folder).map_err(|error| error.to_string());
            // The dialog may be closed by now; what is written stays.
            sender.send(written.map(|report| describe(&report, &folder))).ok();
            ctx.request_repaint();
        };
        self.outcome = None;
        match std::thread::Builder::new().name("export".to_owned()).spawn(write) {
            Ok(_) => self.running = Some(receiver),
            Err(error) => self.outcome = Some(Err(error.to_string())),
        }
    }
}

fn describe(report: &ExportReport, folder: &std::path::Path) -> String {
    let mut text = figures::count(report.labelled, "labelled film");
    if report.uninterpretable > 0 {
        text = format!("{text}, {} uninterpretable", report.uninterpretable);
    }
    if report.copied > 0 {
        text = format!("{text}, {} copied", report.copied);
    }
    if report.arrays > 0 {
        text = format!("{text}, {} in arrays", report.arrays);
    }
    format!("{text} written to {}", folder.display())
}
