//! The menu of the film: every command of the viewer for who has only the mouse.

use egui::{Button, Response, RichText, Ui};

use crate::ui::command::UiCommand;
use crate::ui::film_view::{Preset, Tool};
use crate::ui::reading::Reading;

/// Opens the menu on a right click on the film; `tool` is the left button's.
pub fn ui(film: &Response, tool: Tool, reading: &Reading, commands: &mut Vec<UiCommand>) {
    film.context_menu(|ui| {
        let tool = Some(UiCommand::Tool(tool));
        submenu(ui, "Window", reading, commands, &Preset::ALL.map(UiCommand::Preset), None);
        submenu(ui, "Left button", reading, commands, &Tool::ALL.map(UiCommand::Tool), tool);
        submenu(
            ui,
            "Turn",
            reading,
            commands,
            &[
                UiCommand::RotateRight,
                UiCommand::RotateLeft,
                UiCommand::FlipAcross,
                UiCommand::FlipDown,
            ],
            None,
        );
        submenu(
            ui,
            "Zoom",
            reading,
            commands,
            &[UiCommand::FitView, UiCommand::OneToOne, UiCommand::ZoomIn, UiCommand::ZoomOut],
            None,
        );
        for command in [
            UiCommand::ToggleInvert,
            UiCommand::Magnifier,
            UiCommand::Clear,
            UiCommand::ResetWindow,
            UiCommand::ResetView,
            UiCommand::Overlay,
        ] {
            entry(ui, command, reading, commands, false);
        }
        ui.separator();
        for command in [UiCommand::NextFilm, UiCommand::PreviousFilm] {
            entry(ui, command, reading, commands, false);
        }
        let panels = if reading.film_only { UiCommand::ShowPanels } else { UiCommand::HidePanels };
        for command in [panels, UiCommand::Settings] {
            entry(ui, command, reading, commands, false);
        }
    });
}

fn submenu(
    ui: &mut Ui,
    name: &str,
    reading: &Reading,
    commands: &mut Vec<UiCommand>,
    entries: &[UiCommand],
    selected: Option<UiCommand>,
) {
    ui.menu_button(name, |ui| {
        for &command in entries {
            entry(ui, command, reading, commands, Some(command) == selected);
        }
    });
}

fn entry(
    ui: &mut Ui,
    command: UiCommand,
    reading: &Reading,
    commands: &mut Vec<UiCommand>,
    selected: bool,
) {
    let text = command.text(reading.classes());
    let key = RichText::new(reading.keymap.first(command)).weak();
    let button = Button::selectable(selected, text.clone()).right_text(key);
    if ui.add(button).accessible_name(text).clicked() {
        commands.push(command);
        ui.close();
    }
}
