//! The film on screen, or what is said in its place.

use std::sync::Arc;
use std::time::Duration;

use egui::{Rect, RichText, Ui, Vec2};

use super::{ReadPanel, browsing, film_menu};
use crate::ui::command::{UiCommand, View};
use crate::ui::film_loader::LoadedFilm;
use crate::ui::film_view::Corners;
use crate::ui::keymap::Keymap;
use crate::ui::reading::Reading;
use crate::ui::request::Request;
use crate::ui::{figures, theme, widgets};

/// Draws the film on screen, the one shown aside in its place, or that there is none.
pub fn ui(ui: &mut Ui, panel: &mut ReadPanel, reading: &Reading, requests: &mut Vec<Request>) {
    if reading.row().is_none() {
        finished(ui, reading, requests);
        return;
    }
    if let Some(aside) = &mut panel.aside {
        if aside.ui(ui) {
            requests.push(aside.command().into());
        }
        return;
    }
    let place = place(reading);
    let film = reading.film();
    let shown: Option<&Arc<LoadedFilm>> = film.as_ref().and_then(|film| film.as_ref().ok());
    let corners = Corners { place: &place };
    let mut commands = Vec::new();
    let response = panel.viewer.ui(ui, shown.map(Arc::as_ref), &corners, &mut commands);
    film_menu::ui(&response, panel.viewer.tool(), reading, &mut commands);
    requests.extend(commands.into_iter().map(Request::from));
    match &film {
        Some(Err(reason)) => broken(ui, response.rect, reason, &reading.keymap),
        Some(Ok(_)) if reading.waits_for_acceptance() => {
            changed(ui, response.rect, &reading.keymap, requests);
        }
        Some(Ok(_)) => {}
        None => waiting(ui, response.rect, reading),
    }
}

/// Says where the reader is.
fn place(reading: &Reading) -> String {
    if reading.view() == View::Review {
        return format!(
            "{} to settle",
            figures::count(reading.worklist.disputes().rows().len(), "disagreement")
        );
    }
    let ((read, all), films) = (reading.study.place(), reading.study.films().len());
    reading.worklist.browsed().map_or_else(
        || format!("{} of {}", read + 1, all.max(read + 1)),
        |row| format!("Film {} of {films} · {}", row + 1, browsing(reading, row).to_lowercase()),
    )
}

/// Says that a film's file is not what it was at import; it can be taken as it is, or put off.
fn changed(ui: &mut Ui, rect: Rect, keymap: &Keymap, requests: &mut Vec<Request>) {
    let width = theme::COLUMN.min(rect.width());
    let size = Vec2::new(width, rect.height() / 2.0);
    let place = Rect::from_min_size(rect.center_top() - Vec2::new(width / 2.0, 0.0), size);
    let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(place));
    theme::panel_frame(&ui, theme::card_margin()).show(&mut ui, |ui| {
        let text =
            "This file changed since import. Nothing was lost: take it as it is now, or put it off";
        widgets::notice(ui, widgets::Notice::Warning, text);
        ui.horizontal(|ui| {
            for command in [UiCommand::AcceptChange, UiCommand::Later] {
                let (text, key) = (command.text(&[]), keymap.first(command));
                let button = egui::Button::new(&text).right_text(RichText::new(key).weak());
                if ui.add(button).accessible_name(format!("{text} instead of reading")).clicked() {
                    requests.push(command.into());
                }
            }
        });
    });
}

/// Says that a film is still being read, once that takes longer than a moment.
fn waiting(ui: &mut Ui, rect: Rect, reading: &Reading) {
    /// Below this it is as good as there.
    const MOMENT: Duration = Duration::from_secs(1);
    let Some(waited) = reading.waited() else { return };
    if waited < MOMENT {
        ui.ctx().request_repaint_after(MOMENT.saturating_sub(waited));
        return;
    }
    ui.ctx().request_repaint_after(MOMENT);
    let size = Vec2::new(theme::COLUMN.min(rect.width()), rect.height() / 2.0);
    let place = Rect::from_center_size(rect.center(), size);
    let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(place));
    ui.vertical_centered(|ui| {
        ui.label(format!("Still reading this film, for {} s", waited.as_secs()));
        let later = reading.keymap.first(UiCommand::Later);
        ui.weak(format!(
            "It is very large, or its folder slow to answer. Other films go on: put it off with {later}"
        ));
    });
}

/// Says in place of the film why it cannot be shown.
fn broken(ui: &mut Ui, rect: Rect, reason: &str, keymap: &Keymap) {
    let size = Vec2::new(theme::COLUMN.min(rect.width()), rect.height() / 2.0);
    let mut ui =
        ui.new_child(egui::UiBuilder::new().max_rect(Rect::from_center_size(rect.center(), size)));
    ui.vertical_centered(|ui| {
        ui.heading("This film cannot be shown");
        ui.label(reason);
        let [later, never] =
            [UiCommand::Later, UiCommand::Uninterpretable].map(|command| keymap.first(command));
        ui.weak(format!(
            "Nothing was lost. Put it off with {later} or mark it uninterpretable with {never} to go on"
        ));
    });
}

fn finished(ui: &mut Ui, reading: &Reading, requests: &mut Vec<Request>) {
    let rect = ui.available_rect_before_wrap();
    ui.painter().rect_filled(rect, 0.0, theme::FILM);
    ui.add_space(rect.height() / 3.0);
    ui.vertical_centered(|ui| {
        if reading.view() == View::Review {
            ui.heading("Nothing to settle");
            ui.weak(left_to_others(reading));
            return;
        }
        ui.heading("Every film has been read");
        ui.weak(figures::count(reading.study.counts().0, "film") + " labelled");
        let review = UiCommand::View(View::Review);
        let review = Some(review).filter(|_| !reading.worklist.disputes().rows().is_empty());
        for command in review.into_iter().chain([UiCommand::Export]) {
            if ui.button(command.text(&[])).clicked() {
                requests.push(command.into());
            }
        }
    });
}

/// Says what of the disagreements somebody else has to settle.
fn left_to_others(reading: &Reading) -> String {
    match reading.worklist.disputes().left_to_others() {
        0 => "The readers of this session agree on every film, or it has been settled".to_owned(),
        n => format!(
            "You have read {} on which readers disagree; someone who has not can settle them",
            figures::count(n, "film")
        ),
    }
}
