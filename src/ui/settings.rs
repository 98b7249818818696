//! The sheet of settings: whose keys, each key, mouse, how the next film opens, what is bright.

use egui::{Button, Context, Event, Grid, Key, RichText, ScrollArea, Ui};

use super::command::UiCommand;
use super::keymap::{Keymap, Shortcut};
use super::theme;
use super::widgets::{self, Notice};
use crate::config::{DragDown, NextFilm, Profile, Settings, Theme, Wheel};
use crate::session::Class;

/// A key that the reader is about to press.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    command: UiCommand,
    /// The key that it replaces.
    instead: Option<Shortcut>,
}

/// The open sheet.
#[derive(Default)]
pub struct SettingsSheet {
    waiting: Option<Waiting>,
    /// Why the last key was refused.
    refused: Option<String>,
}

impl SettingsSheet {
    /// Returns whether the next key is to be a command's.
    pub const fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// Draws the sheet and changes the settings; returns whether the reader closes it.
    pub fn ui(
        &mut self,
        ctx: &Context,
        classes: &[Class],
        settings: &mut Settings,
        keymap: &Keymap,
        notices: &[String],
    ) -> bool {
        if let Some(waiting) = self.waiting
            && let Some(shortcut) = take_key(ctx)
        {
            self.waiting = None;
            self.refused = None;
            let Waiting { command, instead } = waiting;
            if shortcut != Shortcut::plain(Key::Escape) || instead == Some(shortcut) {
                let entered = keymap.assign(settings, classes, command, instead, shortcut);
                self.refused = entered.err();
            }
        }
        let most = ctx.content_rect().height() - 2.0 * theme::SPACE[4];
        let modal = egui::Modal::new(egui::Id::unique("settings")).show(ctx, |ui| {
            ui.set_width(theme::SHEET);
            ui.heading("Settings");
            habits(ui, settings);
            for notice in notices {
                widgets::notice(ui, Notice::Warning, notice);
            }
            self.above_keys(ui, settings);
            let left = most - ui.min_rect().height() - 2.0 * theme::SPACE[4];
            let area = ScrollArea::vertical().max_height(left).min_scrolled_height(left);
            area.auto_shrink([false, true]).show(ui, |ui| self.keys(ui, classes, settings, keymap));
            ui.add_space(theme::SPACE[0]);
            ui.button("Close").clicked()
        });
        modal.inner || (self.waiting.is_none() && modal.should_close())
    }

    fn above_keys(&self, ui: &mut Ui, settings: &mut Settings) {
        widgets::section(ui, "Keys");
        ui.horizontal(|ui| {
            if let Some(refused) = &self.refused {
                widgets::notice(ui, Notice::Warning, refused);
            } else if self.waiting.is_some() {
                ui.label("Press the key, or Esc to leave it as it is");
            } else {
                ui.weak("Click a key to change it");
            }
            let own = !settings.keys.is_empty();
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let words = format!("Take all keys from {}", settings.profile.name());
                if ui.add_enabled(own, Button::new(words)).clicked() {
                    settings.keys.clear();
                }
            });
        });
    }

    fn keys(&mut self, ui: &mut Ui, classes: &[Class], settings: &mut Settings, keymap: &Keymap) {
        let sections = UiCommand::sections(classes.len());
        ui.columns(2, |columns| {
            let [left, right] = columns else { return };
            let (first, last) = sections.split_at(3);
            for (ui, sections) in [(left, first), (right, last)] {
                for (name, commands) in sections {
                    ui.add_space(theme::SPACE[0]);
                    ui.label(RichText::new(*name).small().weak());
                    let grid = Grid::new(*name).num_columns(2).min_col_width(theme::CARD);
                    grid.spacing([theme::SPACE[2], theme::SPACE[0] / 2.0]).show(ui, |ui| {
                        for &command in commands {
                            ui.label(command.text(classes));
                            self.row(ui, command, classes, settings, keymap);
                            ui.end_row();
                        }
                    });
                }
            }
        });
    }

    /// Draws the keys of a command and what can be done with them.
    fn row(
        &mut self,
        ui: &mut Ui,
        command: UiCommand,
        classes: &[Class],
        settings: &mut Settings,
        keymap: &Keymap,
    ) {
        let name = command.text(classes);
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = theme::SPACE[0];
            let keys = keymap.keys(command).iter().copied().map(Some);
            for instead in keys.chain([None]) {
                let waiting = Waiting { command, instead };
                if self.waiting == Some(waiting) {
                    ui.label(RichText::new("Press…").color(theme::palette(ui).accent));
                    if let Some(key) = instead
                        && ui.button("Remove").accessible_name(format!("Remove {key}")).clicked()
                    {
                        keymap.remove(settings, command, key);
                        (self.waiting, self.refused) = (None, None);
                    }
                    continue;
                }
                let sign = instead.map_or_else(|| "+".to_owned(), |key| key.to_string());
                let spoken = match instead {
                    Some(key) => format!("{name}: {key}"),
                    None => format!("{name}: another key"),
                };
                let frame = instead.is_some();
                if ui.add(Button::new(sign).frame(frame).small()).accessible_name(spoken).clicked()
                {
                    (self.waiting, self.refused) = (Some(waiting), None);
                }
            }
        });
    }
}

/// Takes the first key that went down in this pass, so that nothing else answers to it.
fn take_key(ctx: &Context) -> Option<Shortcut> {
    ctx.input_mut(|input| {
        let place = input
            .events
            .iter()
            .position(|event| matches!(event, Event::Key { pressed: true, repeat: false, .. }))?;
        match input.events.remove(place) {
            Event::Key { key, modifiers, .. } => Some(Shortcut::of(key, modifiers)),
            _ => None,
        }
    })
}

fn habits(ui: &mut Ui, settings: &mut Settings) {
    ui.add_space(theme::SPACE[0]);
    let grid = Grid::new("habits").num_columns(2);
    grid.spacing([theme::SPACE[3], theme::SPACE[0]]).show(ui, |ui| {
        let profiles = Profile::ALL.map(|profile| (profile, profile.name()));
        choices(ui, "Keys of", &mut settings.profile, &profiles);
        choices(
            ui,
            "Wheel",
            &mut settings.wheel,
            &[
                (Wheel::Zoom, "Zooms"),
                (Wheel::Films, "Goes through the films"),
                (Wheel::Width, "Widens the window"),
            ],
        );
        choices(
            ui,
            "Drag downwards",
            &mut settings.drag_down,
            &[(DragDown::Darker, "Darkens"), (DragDown::Brighter, "Brightens")],
        );
        choices(
            ui,
            "Next film opens",
            &mut settings.next_film,
            &[
                (NextFilm::Automatic, "With its own window, fitted"),
                (NextFilm::Sticky, "With the window and zoom of this one"),
            ],
        );
        choices(
            ui,
            "Panels",
            &mut settings.theme,
            &[
                (Theme::Dark, "Dark"),
                (Theme::Light, "Light, dark while reading"),
                (Theme::LightEverywhere, "Light everywhere"),
            ],
        );
    });
}

fn choices<T: Copy + PartialEq>(ui: &mut Ui, what: &str, chosen: &mut T, all: &[(T, &str)]) {
    ui.weak(what);
    ui.horizontal(|ui| {
        for (value, name) in all {
            ui.selectable_value(chosen, *value, *name);
        }
    });
    ui.end_row();
}
