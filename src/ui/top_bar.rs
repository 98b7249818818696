//! The bar above both views: session, views, what runs now, help.

use egui::{Align, Layout, Margin, Panel, RichText, Ui};

use super::command::{UiCommand, View};
use super::reading::{Learning, Reading};
use super::request::Request;
use super::{theme, widgets};
use crate::config::readers::initials;

/// Draws the bar.
pub fn ui(ui: &mut Ui, reading: &Reading, requests: &mut Vec<Request>) {
    let frame = theme::panel_frame(ui, Margin::symmetric(theme::SPACE[2] as i8, 0));
    Panel::top("top bar").exact_size(theme::TOP_BAR).frame(frame).show_separator_line(false).show(
        ui,
        |ui| {
            ui.horizontal_centered(|ui| {
                // Room for the triangle, which no font of ours has.
                let menu = ui.menu_button(
                    format!("{}      ", reading.study.session().header().name),
                    |ui| {
                        for command in [UiCommand::Reader, UiCommand::Export, UiCommand::Close] {
                            if ui.button(command.text(&[])).clicked() {
                                requests.push(command.into());
                                ui.close();
                            }
                        }
                    },
                );
                widgets::menu_triangle(ui, menu.response.rect);
                let review = reading.study.has_review().then_some(View::Review);
                for view in [View::Read, View::Learn, View::Films].into_iter().chain(review) {
                    let command = UiCommand::View(view);
                    if ui.selectable_label(reading.view() == view, command.text(&[])).clicked() {
                        requests.push(command.into());
                    }
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui
                        .button("?")
                        .on_hover_text("Keys and mouse")
                        .accessible_name("Help")
                        .clicked()
                    {
                        requests.push(UiCommand::Help.into());
                    }
                    if ui.button("Settings").clicked() {
                        requests.push(UiCommand::Settings.into());
                    }
                    let reader = reading.study.reader();
                    let button = egui::Button::new(initials(reader)).frame(false);
                    let button = ui.add(button).on_hover_text(format!("Read by {reader}"));
                    if button.accessible_name(format!("Reader {reader}")).clicked() {
                        requests.push(UiCommand::Reader.into());
                    }
                    chip(ui, reading.learner.known());
                });
            });
        },
    );
}

fn chip(ui: &mut Ui, learning: &Learning) {
    let Some(text) = learning.chip() else { return };
    let palette = theme::palette(ui);
    let colour = if learning.failed.is_some() { palette.fault } else { palette.accent };
    let response = ui.label(RichText::new(text).weak());
    if let Some(reason) = &learning.failed {
        response.on_hover_text(reason);
    }
    widgets::dot(ui, colour);
}
