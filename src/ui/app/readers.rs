//! Who reads, and what changes when someone else does.

use egui::Ui;

use super::sitting::Sitting;
use super::{App, Phase};
use crate::config::{Readers, readers};
use crate::ui::reader_dialog::{Chosen, ReaderDialog};
use crate::ui::reading::Reading;
use crate::ui::request::Request;

/// Returns who reads when nobody has said so: who read last, else the account that the program runs under.
pub(super) fn usual(known: &Readers) -> String {
    let last = known.last.clone().filter(|name| known.names.contains(name));
    last.or_else(|| known.names.first().cloned()).unwrap_or_else(readers::account)
}

impl App {
    /// Opens the question who reads.
    pub(super) fn open_reader_dialog(&mut self, optional: bool) {
        self.reader_dialog = Some(ReaderDialog::new(optional));
    }

    /// Draws the question who reads.
    pub(super) fn ask_reader(&mut self, ui: &Ui, requests: &mut Vec<Request>) {
        let Some(dialog) = &mut self.reader_dialog else { return };
        let Phase::Reading(sitting) = &self.phase else { return };
        let study = &sitting.reading.study;
        let mut names = self.readers.names.clone();
        // Who has read this session, on whatever machine, or reads now.
        let known = study.state().readers().iter().map(String::as_str);
        for name in known.chain([study.reader()]) {
            if !names.iter().any(|other| other == name) {
                names.push(name.to_owned());
            }
        }
        match dialog.ui(ui.ctx(), &names, study.reader()) {
            Chosen::Open => return,
            Chosen::Cancelled => {}
            Chosen::Reader(name) => requests.push(Request::ReadAs(name)),
        }
        self.reader_dialog = None;
        ui.ctx().request_repaint();
    }

    /// Hands the session over, and notes who reads on this machine.
    pub(super) fn hand_over(&mut self, name: String) {
        let Phase::Reading(sitting) = &mut self.phase else { return };
        // A second reader makes a list of what was one account.
        let before = sitting.reading.study.reader();
        let chosen = self.readers.choose(before).and_then(|()| self.readers.choose(&name));
        let saved =
            chosen.and_then(|()| self.readers.save(&self.home).map_err(|error| error.to_string()));
        if let Err(error) = saved {
            self.controls.news = Some(format!("the reader is not noted: {error}"));
        }
        sitting.hand_over(&name);
        self.reader = Some(name);
    }
}

impl Sitting {
    /// Gives the session to another reader: nothing of what the one before saw or said stays on screen.
    fn hand_over(&mut self, reader: &str) {
        let Reading { study, worklist, clock, last, .. } = &mut self.reading;
        if study.reader() == reader {
            return;
        }
        study.hand_over(reader);
        worklist.hand_over(study);
        clock.hand_over();
        (*last, self.panels.read.aside) = (None, None);
        self.panels.gallery.forget();
        self.tell_labels();
        self.queue_changed();
    }
}
