//! Who reads, and what changes when someone else does.

use std::sync::Arc;

use egui::Ui;

use super::reading::Reading;
use super::{App, Chosen, Phase, ReaderDialog};
use crate::config::{Readers, readers};
use crate::engine::ReadingQueue;
use crate::session::Exposure;
use crate::ui::latency::Pace;

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

    /// Draws the question who reads, and hands the session over.
    pub(super) fn ask_reader(&mut self, ui: &Ui) {
        let Some(dialog) = &mut self.reader_dialog else { return };
        let Phase::Reading(reading) = &mut self.phase else { return };
        let mut names = self.readers.names.clone();
        // Who has read this session, on whatever machine, or reads now.
        let known = reading.workspace.session.state().readers().iter();
        for name in known.chain([&reading.reader]) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        match dialog.ui(ui.ctx(), &names, reading.reader()) {
            Chosen::Open => return,
            Chosen::Cancelled => {}
            Chosen::Reader(name) => {
                // A second reader makes a list of what was one account.
                let before = reading.reader.clone();
                let chosen = self.readers.choose(&before).and_then(|()| self.readers.choose(&name));
                let saved = chosen.and_then(|()| {
                    self.readers.save(&self.home).map_err(|error| error.to_string())
                });
                if let Err(error) = saved {
                    self.controls.news = Some(format!("the reader is not noted: {error}"));
                }
                reading.hand_over(&name);
                self.reader = Some(name);
            }
        }
        self.reader_dialog = None;
        ui.ctx().request_repaint();
    }
}

impl Reading {
    /// Returns who reads.
    pub fn reader(&self) -> &str {
        &self.reader
    }

    /// Gives the session to another reader: nothing of what the one before saw or said stays on screen.
    pub fn hand_over(&mut self, reader: &str) {
        if self.reader == reader {
            return;
        }
        reader.clone_into(&mut self.reader);
        let header = self.workspace.session.header();
        self.queue = ReadingQueue::new(self.workspace.films.len(), header.audit_share, header.seed);
        self.workspace.drawn(reader).into_iter().for_each(|film| self.queue.remember(film));
        (self.last, self.aside, self.browsing) = (None, None, None);
        self.passed.clear();
        self.times.clear();
        self.disputes_put_off.clear();
        (self.on_screen, self.drawn_small) = (None, None);
        self.pace = Pace::default();
        self.gallery.forget();
        self.labels_changed();
        match &self.ranking {
            Some(ranking) => self.queue.update(Arc::clone(ranking), &self.labels),
            None => self.queue.labels_changed(&self.labels),
        }
        self.queue_changed();
    }

    /// Returns how many films the reader has answered, those answered once more included, and how many there are for them.
    pub fn place(&self) -> (usize, usize) {
        let labels = &self.labels;
        let read = labels.rows.len() + labels.excluded.len() + labels.rereads;
        let second = labels.assigned.iter().filter(|film| labels.elsewhere.contains(&film.row));
        let all = self.workspace.films.len() - labels.elsewhere.len() + second.count();
        (read, all.max(read))
    }

    /// Returns when the reader is shown the model's opinion of a film, by the session's protocol; after the answer where
    /// there is none.
    pub(super) fn exposure(&self, row: usize) -> Exposure {
        let (session, film) = (&self.workspace.session, self.workspace.films.get(row));
        let drawn = session.state().protocol().zip(film).map(|(protocol, film)| {
            protocol.exposure(session.header().seed, film.id, &self.reader)
        });
        drawn.unwrap_or(Exposure::After)
    }

    /// Returns the class that the model holds most likely for a film, and its probability.
    pub(super) fn held(&self, row: usize) -> Option<(usize, f32)> {
        let classes = self.classes().len();
        let ranking = self.ranking.as_ref()?;
        let held = ranking.probabilities.get(row * classes..)?.get(..classes)?;
        super::course::most_likely(held)
    }

    /// Returns the model's opinion of the film on screen, where the session's protocol shows it before the answer.
    pub fn opinion_before(&self) -> Option<(usize, f32)> {
        let film = self.upcoming.first().filter(|_| self.browsed().is_none())?;
        let before = self.view == crate::ui::command::View::Read
            && self.exposure(film.row) == Exposure::Before;
        self.held(film.row).filter(|_| before)
    }
}
