//! What the reader sets, and what becomes of it.

use std::sync::Arc;

use egui::{Panel, Ui};

use super::{App, Phase};
use crate::config::{Settings, Theme};
use crate::ui::film_view::Habits;
use crate::ui::keymap::Keymap;
use crate::ui::settings::SettingsSheet;
use crate::ui::theme;
use crate::ui::widgets::{self, Notice};

/// The settings with the sheet that changes them.
pub(super) struct Controls {
    pub settings: Settings,
    pub sheet: Option<SettingsSheet>,
    /// What of the settings could not be used, in words.
    pub notices: Vec<String>,
    /// What is to be said in the window about them until the reader has seen it.
    pub news: Option<String>,
}

impl Controls {
    pub fn new((settings, news): (Settings, Option<String>)) -> Self {
        Self { settings, sheet: None, notices: Vec::new(), news }
    }
}

impl App {
    /// Returns whether the panels on screen are bright. What opens over the Read view goes with it: a bright sheet would
    /// blind a reader in a dark room.
    pub(super) fn light(&self) -> bool {
        let reads = self.reading().is_some_and(|reading| reading.view.shows_film());
        match self.controls.settings.theme {
            Theme::Dark => false,
            Theme::Light => !reads,
            Theme::LightEverywhere => true,
        }
    }

    /// Gives the session that is open its keys and the viewer the reader's habits.
    pub(super) fn bind(&mut self) {
        let Phase::Reading(reading) = &mut self.phase else { return };
        let (keymap, notices) = Keymap::new(&self.controls.settings, reading.classes());
        reading.film_view.habits = Habits::new(&self.controls.settings, &keymap);
        reading.keymap = Arc::new(keymap);
        self.controls.notices = notices;
    }

    /// Draws the sheet of settings where it is open; what is changed there holds at once and is on disk.
    pub(super) fn settings_sheet(&mut self, ui: &Ui) {
        let Phase::Reading(reading) = &self.phase else { return };
        let controls = &mut self.controls;
        let Some(sheet) = &mut controls.sheet else { return };
        let before = controls.settings.clone();
        let closed = sheet.ui(
            ui.ctx(),
            reading.classes(),
            &mut controls.settings,
            &reading.keymap,
            &controls.notices,
        );
        if closed {
            controls.sheet = None;
        }
        if controls.settings != before {
            if let Err(error) = controls.settings.save(&self.home) {
                controls.news = Some(format!("the settings hold, but were not saved: {error}"));
            }
            self.bind();
            ui.ctx().request_repaint();
        }
    }

    /// Draws the bar with news of the settings until the reader takes it away.
    pub(super) fn settings_news(&mut self, ui: &mut Ui) {
        let Some(news) = &self.controls.news else { return };
        let frame = theme::panel_frame(ui, theme::card_margin());
        let read = Panel::top("settings news").frame(frame).show(ui, |ui| {
            widgets::notice(ui, Notice::Warning, news);
            ui.button("Understood").clicked()
        });
        if read.inner {
            self.controls.news = None;
        }
    }
}
