//! What the reader sets, and what becomes of it.

use std::sync::Arc;

use egui::{Panel, Ui};

use super::{App, Phase};
use crate::config::{Settings, Theme};
use crate::ui::film_view::Habits;
use crate::ui::keymap::Keymap;
use crate::ui::request::Request;
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
        let reads = self.reading().is_some_and(|reading| reading.view().shows_film());
        match self.controls.settings.theme {
            Theme::Dark => false,
            Theme::Light => !reads,
            Theme::LightEverywhere => true,
        }
    }

    /// Gives the session that is open its keys and the viewer the reader's habits.
    pub(super) fn bind(&mut self) {
        let Phase::Reading(sitting) = &mut self.phase else { return };
        let settings = &self.controls.settings;
        let (keymap, notices) = Keymap::new(settings, sitting.reading.classes());
        sitting.panels.read.viewer.habits = Habits::new(settings, &keymap);
        sitting.reading.keymap = Arc::new(keymap);
        self.controls.notices = notices;
    }

    /// Draws the sheet of settings where it is open.
    pub(super) fn settings_sheet(&mut self, ui: &Ui, requests: &mut Vec<Request>) {
        let Phase::Reading(sitting) = &self.phase else { return };
        let reading = &sitting.reading;
        let Controls { settings, sheet, notices, .. } = &mut self.controls;
        let Some(open) = sheet else { return };
        let mut changed = settings.clone();
        let closed = open.ui(ui.ctx(), reading.classes(), &mut changed, &reading.keymap, notices);
        if closed {
            *sheet = None;
        }
        if changed != *settings {
            requests.push(Request::Set(Box::new(changed)));
        }
    }

    /// Takes settings, which hold at once, and saves them.
    pub(super) fn set(&mut self, settings: Settings) {
        self.controls.settings = settings;
        if let Err(error) = self.controls.settings.save(&self.home) {
            let news = format!("the settings hold, but were not saved: {error}");
            self.controls.news = Some(news);
        }
        self.bind();
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
