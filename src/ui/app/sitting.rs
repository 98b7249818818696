//! A reader's sitting: what is known of the session, and the panels that show it. What changes several owners at once is
//! here and in the files beside it; each does its own part.

use std::time::Instant;

use egui::{Context, Ui};

use crate::session::Event;
use crate::study::Workspace;
use crate::ui::command::View;
use crate::ui::gallery::Gallery;
use crate::ui::learn::Desk;
use crate::ui::read_panel::{self, ReadPanel};
use crate::ui::reading::{Background, Reading};
use crate::ui::request::Request;
use crate::ui::small_films::SmallFilms;
use crate::ui::top_bar;

/// What each panel keeps for itself.
pub struct Panels {
    /// The Read view.
    pub read: ReadPanel,
    /// The Films view.
    pub gallery: Gallery,
    /// The Learn view.
    pub desk: Desk,
    /// Small films, which the Films view and the map draw.
    pub small: SmallFilms,
}

/// A session that is being read.
pub struct Sitting {
    /// What panels read.
    pub reading: Reading,
    /// The panels.
    pub panels: Panels,
}

impl Sitting {
    /// Starts to read a session as `reader`.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(
        ctx: &Context,
        workspace: Workspace,
        background: &Background,
        reader: &str,
    ) -> anyhow::Result<Self> {
        let panels = Panels {
            read: ReadPanel::default(),
            gallery: Gallery::new(workspace.films.iter().map(|film| film.file.clone())),
            desk: Desk::new(workspace.session.folder().join("plots")),
            small: SmallFilms::default(),
        };
        let reading = Reading::new(ctx, workspace, background, reader)?;
        let mut sitting = Self { reading, panels };
        sitting.tell_labels();
        sitting.queue_changed();
        Ok(sitting)
    }

    /// Draws the view that is open; `covered` says whether something lies over it.
    pub fn ui(&mut self, ui: &mut Ui, covered: bool, requests: &mut Vec<Request>) {
        let Self { reading, panels } = self;
        read_panel::fault_bar(ui, &reading.study);
        if !(reading.film_only && reading.view().shows_film()) {
            top_bar::ui(ui, reading, requests);
        }
        let Panels { read, gallery, desk, small } = panels;
        match reading.view() {
            View::Read | View::Review => read.ui(ui, reading, requests),
            View::Learn => desk.ui(ui, reading, small, requests),
            View::Films => gallery.ui(ui, !covered, reading, small, requests),
        }
    }

    /// Returns whether the film on screen is what is shown.
    pub const fn shows_film(&self) -> bool {
        self.reading.view().shows_film() && self.panels.read.aside.is_none()
    }

    /// Returns whether a film is in sight that keys can answer for.
    pub fn takes_answers(&self) -> bool {
        self.shows_film() || self.reading.view() == View::Films
    }

    /// Takes in that the labels changed: what is to be read and settled, and what there is to learn from.
    pub(super) fn labels_changed(&mut self) {
        let Reading { study, worklist, .. } = &mut self.reading;
        study.labels_changed();
        worklist.disputes_changed(study);
        self.tell_labels();
    }

    /// Tells what there is to learn from.
    pub(super) fn tell_labels(&mut self) {
        let Reading { study, learner, .. } = &mut self.reading;
        if learner.is_on() {
            learner.labels(study.labels_to_learn_from());
        }
    }

    /// Takes in that other films come now, or another is on screen.
    pub(super) fn queue_changed(&mut self) {
        let before = self.reading.films.near().first().copied();
        self.reading.worklist.look_ahead();
        self.read_ahead();
        if let Some(row) = self.reading.row() {
            self.panels.read.viewer.show_film(row);
            if before != Some(row) {
                self.reading.films.doubt(row);
            }
        }
    }

    /// Has the films decoded that are on screen or come next, and keeps no pictures of others.
    pub(super) fn read_ahead(&mut self) {
        let Reading { worklist, films, .. } = &mut self.reading;
        films.read_ahead(worklist.near());
        self.panels.read.viewer.keep(films.to_upload());
        self.panels.read.keep(films.near());
    }

    /// Forgets the pictures of a film on screen whose file was read again because it had changed.
    pub(super) fn follow_files(&mut self) {
        let Self { reading: Reading { worklist, films, clock, .. }, panels } = self;
        let Some(row) = worklist.row() else { return };
        if films.was_read_again(row) {
            let others = films.near().iter().copied().filter(|&near| near != row);
            panels.read.viewer.keep(&others.collect::<Vec<_>>());
            panels.read.forget(row);
            clock.begin_anew(None);
        }
    }

    /// Notes what the pass drew, and makes the next films ready; `covered` says whether the reader cannot see it.
    pub fn drawn(&mut self, ctx: &Context, covered: bool) {
        match self.reading.view() {
            View::Read | View::Review if self.shows_film() => self.film_drawn(ctx),
            View::Films => self.gallery_drawn(ctx),
            View::Read | View::Review | View::Learn => {}
        }
        let in_sight = self.reading.view() != View::Learn && !covered;
        self.reading.clock.in_sight(in_sight);
    }

    /// Notes that the pass drew the film on screen, uploads one film that comes soon, and takes the time.
    fn film_drawn(&mut self, ctx: &Context) {
        let viewer = &self.panels.read.viewer;
        if let Some(row) = self.reading.row().filter(|&row| viewer.is_prepared(row)) {
            self.look_at(row);
            if self.reading.clock.drawn() {
                ctx.request_repaint();
                // This film first: making the next ones ready takes as long as a pass.
                return;
            }
        }
        self.prepare_one(ctx);
    }

    /// Notes that the pass drew the Films view.
    fn gallery_drawn(&mut self, ctx: &Context) {
        let Panels { gallery, small, .. } = &mut self.panels;
        if let Some(row) = gallery.looked_at(ctx, small) {
            self.look_at(row);
        }
        self.reading.clock.forget_key();
        // For whoever goes back to reading.
        self.prepare_one(ctx);
    }

    fn look_at(&mut self, row: usize) {
        let Reading { study, clock, .. } = &mut self.reading;
        clock.look_at(row, |before| study.answer_of(before).is_some());
    }

    /// Uploads at most one texture a pass, so that no pass takes long.
    fn prepare_one(&mut self, ctx: &Context) {
        let films = &self.reading.films;
        for &row in films.to_upload() {
            let Some(Ok(loaded)) = films.get(row) else { continue };
            if self.panels.read.viewer.prepare(ctx, row, &loaded) {
                ctx.request_repaint();
                return;
            }
        }
    }

    /// Enters what the reader said at the moment of a key.
    pub(super) fn enter_by_key(&mut self, event: Event, started: Instant) -> bool {
        let entered = self.reading.study.enter(event);
        if entered {
            self.reading.clock.key(started);
        }
        entered
    }
}
