//! The bar above both views: session, views, what runs now, help.

use egui::{Align, Layout, Margin, Panel, RichText, Ui};

use super::app::reading::Reading;
use super::command::{UiCommand, View};
use super::{theme, widgets};
use crate::config::readers::initials;

/// Draws the bar.
pub fn ui(ui: &mut Ui, reading: &Reading, commands: &mut Vec<UiCommand>) {
    let frame = theme::panel_frame(ui, Margin::symmetric(theme::SPACE[2] as i8, 0));
    Panel::top("top bar").exact_size(theme::TOP_BAR).frame(frame).show_separator_line(false).show(
        ui,
        |ui| {
            ui.horizontal_centered(|ui| {
                // Room for the triangle, which no font of ours has.
                let menu = ui.menu_button(
                    format!("{}      ", reading.workspace.session.header().name),
                    |ui| {
                        for command in [UiCommand::Reader, UiCommand::Export, UiCommand::Close] {
                            if ui.button(command.text(&[])).clicked() {
                                commands.push(command);
                                ui.close();
                            }
                        }
                    },
                );
                widgets::menu_triangle(ui, menu.response.rect);
                let review = reading.has_review().then_some(View::Review);
                for view in [View::Read, View::Learn, View::Films].into_iter().chain(review) {
                    let command = UiCommand::View(view);
                    if ui.selectable_label(reading.view == view, command.text(&[])).clicked() {
                        commands.push(command);
                    }
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui
                        .button("?")
                        .on_hover_text("Keys and mouse")
                        .accessible_name("Help")
                        .clicked()
                    {
                        commands.push(UiCommand::Help);
                    }
                    if ui.button("Settings").clicked() {
                        commands.push(UiCommand::Settings);
                    }
                    let reader = reading.reader();
                    let button = egui::Button::new(initials(reader)).frame(false);
                    let button = ui.add(button).on_hover_text(format!("Read by {reader}"));
                    if button.accessible_name(format!("Reader {reader}")).clicked() {
                        commands.push(UiCommand::Reader);
                    }
                    chip(ui, reading);
                });
            });
        },
    );
}

fn chip(ui: &mut Ui, reading: &Reading) {
    let learning = &reading.learning;
    let Some(text) = learning.chip() else { return };
    let palette = theme::palette(ui);
    let colour = if learning.failed.is_some() { palette.fault } else { palette.accent };
    let response = ui.label(RichText::new(text).weak());
    if let Some(reason) = &learning.failed {
        response.on_hover_text(reason);
    }
    widgets::dot(ui, colour);
}
