//! The Read view: the queue, the film, the card with the answers.

use std::sync::Arc;
use std::time::Duration;

use egui::{Align, CentralPanel, Layout, Margin, Panel, Rect, RichText, Sense, Ui, Vec2, pos2};

use super::app::reading::Reading;
use super::app::record::Reply;
use super::command::{UiCommand, View, sentence};
use super::film_loader::LoadedFilm;
use super::film_view::Corners;
use super::keymap::Keymap;
use super::{figures, film_menu, theme, widgets};

/// Draws the view.
pub fn ui(ui: &mut Ui, reading: &mut Reading, commands: &mut Vec<UiCommand>) {
    if !reading.film_only {
        bottom_bar(ui, reading);
        queue_strip(ui, reading);
        card(ui, reading, commands);
    }
    CentralPanel::no_frame().show(ui, |ui| {
        theme::on_film(ui);
        film(ui, reading, commands);
    });
}

/// Draws the bar that says that a save failed: loud, and there until the session is opened anew.
pub fn fault_bar(ui: &mut Ui, reading: &Reading) {
    let Some(fault) = reading.fault() else { return };
    let palette = theme::palette(ui);
    let frame = theme::panel_frame(ui, theme::card_margin()).fill(palette.fault);
    Panel::top("fault").frame(frame).show(ui, |ui| {
        let text = sentence(&fault);
        ui.horizontal_top(|ui| {
            widgets::sign(ui, widgets::Notice::Fault, palette.on_colour);
            ui.add(egui::Label::new(RichText::new(text).color(palette.on_colour)).wrap());
        });
    });
}

fn film(ui: &mut Ui, reading: &mut Reading, commands: &mut Vec<UiCommand>) {
    if reading.row().is_none() {
        finished(ui, reading, commands);
        return;
    }
    if let Some(aside) = &mut reading.aside {
        if aside.ui(ui) {
            commands.push(aside.command());
        }
        return;
    }
    let place = place(reading);
    let film = reading.film();
    let shown: Option<&Arc<LoadedFilm>> = film.as_ref().and_then(|film| film.as_ref().ok());
    let corners = Corners { place: &place };
    let response = reading.film_view.ui(ui, shown.map(Arc::as_ref), &corners, commands);
    film_menu::ui(&response, reading, commands);
    match &film {
        Some(Err(reason)) => broken(ui, response.rect, reason, &reading.keymap),
        Some(Ok(_)) if reading.waits_for_acceptance() => {
            changed(ui, response.rect, &reading.keymap, commands);
        }
        Some(Ok(_)) => {}
        None => waiting(ui, response.rect, reading),
    }
}

/// Says where the reader is.
fn place(reading: &Reading) -> String {
    if reading.view == View::Review {
        return format!("{} to settle", figures::count(reading.disputed().len(), "disagreement"));
    }
    let ((read, all), films) = (reading.place(), reading.workspace.films.len());
    reading.browsed().map_or_else(
        || format!("{} of {}", read + 1, all.max(read + 1)),
        |row| format!("Film {} of {films} · {}", row + 1, browsing(reading, row).to_lowercase()),
    )
}

/// Says why a film is on screen that is not the queue's.
fn browsing(reading: &Reading, row: usize) -> &'static str {
    if reading.answer_in_words(row).is_empty() { "Chosen" } else { "Looking back" }
}

/// Says that a film's file is not what it was at import; it can be taken as it is, or put off.
fn changed(ui: &mut Ui, rect: Rect, keymap: &Keymap, commands: &mut Vec<UiCommand>) {
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
                    commands.push(command);
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

fn finished(ui: &mut Ui, reading: &Reading, commands: &mut Vec<UiCommand>) {
    let rect = ui.available_rect_before_wrap();
    ui.painter().rect_filled(rect, 0.0, theme::FILM);
    ui.add_space(rect.height() / 3.0);
    ui.vertical_centered(|ui| {
        if reading.view == View::Review {
            ui.heading("Nothing to settle");
            ui.weak(left_to_others(reading));
            return;
        }
        ui.heading("Every film has been read");
        ui.weak(figures::count(reading.counts().0, "film") + " labelled");
        let review = UiCommand::View(View::Review);
        let review = Some(review).filter(|_| !reading.disputed().is_empty());
        for command in review.into_iter().chain([UiCommand::Export]) {
            if ui.button(command.text(&[])).clicked() {
                commands.push(command);
            }
        }
    });
}

/// Says what of the disagreements somebody else has to settle.
fn left_to_others(reading: &Reading) -> String {
    match reading.left_to_others() {
        0 => "The readers of this session agree on every film, or it has been settled".to_owned(),
        n => format!(
            "You have read {} on which readers disagree; someone who has not can settle them",
            figures::count(n, "film")
        ),
    }
}

fn queue_strip(ui: &mut Ui, reading: &mut Reading) {
    let frame = theme::panel_frame(ui, Margin::same(theme::SPACE[1] as i8)).fill(theme::FILM);
    let strip = Panel::left("queue")
        .exact_size(theme::STRIP)
        .resizable(false)
        .frame(frame)
        .show_separator_line(false);
    strip.show(ui, |ui| {
        theme::on_film(ui);
        ui.label(RichText::new("Next").small().weak());
        let rows: Vec<usize> = if reading.view == View::Review {
            reading.disputed().iter().skip(1).take(Reading::AHEAD).copied().collect()
        } else {
            reading.upcoming.iter().skip(1).map(|film| film.row).collect()
        };
        for row in rows {
            if ui.available_height() < theme::THUMBNAIL {
                break;
            }
            let (rect, _) = ui.allocate_exact_size(Vec2::splat(theme::THUMBNAIL), Sense::hover());
            let Some(texture) = reading.thumbnail(ui.ctx(), row) else { continue };
            let size = texture.size_vec2();
            let size = size * (theme::THUMBNAIL / size.max_elem());
            let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            let place = Rect::from_center_size(rect.center(), size);
            ui.painter().image(texture.id(), place, uv, theme::THUMBNAIL_TINT);
        }
    });
}

fn card(ui: &mut Ui, reading: &Reading, commands: &mut Vec<UiCommand>) {
    let frame = theme::panel_frame(ui, theme::card_margin());
    let card = Panel::right("answers")
        .exact_size(theme::CARD)
        .resizable(false)
        .frame(frame)
        .show_separator_line(false);
    card.show(ui, |ui| {
        let film = reading.film();
        let running =
            reading.row().is_some() && reading.fault().is_none() && reading.aside.is_none();
        let classes = reading.classes();
        for index in 0..classes.len() {
            let colour = reading.colour(Reply::Class(index));
            ui.add_enabled_ui(running && !matches!(film, Some(Err(_))), |ui| {
                push_if_clicked(ui, UiCommand::Label(index), reading, Some(colour), commands);
            });
        }
        ui.add_enabled_ui(running, |ui| {
            let grey = Some(theme::UNINTERPRETABLE);
            push_if_clicked(ui, UiCommand::Uninterpretable, reading, grey, commands);
            push_if_clicked(ui, UiCommand::Later, reading, None, commands);
        });
        if reading.view == View::Review {
            ui.add_space(theme::SPACE[1]);
            if reading.row().is_some() {
                ui.label(RichText::new(REVIEW).small().weak());
            }
        } else {
            put_off(ui, reading, commands);
            opinion(ui, reading);
            this_film(ui, reading, commands);
        }
        last_film(ui, reading, commands);
    });
}

/// What whoever settles a film is told.
const REVIEW: &str =
    "Readers disagree on this film. What they said is shown after your answer, who said it is not";

/// Shows the model's opinion of the film on screen, where the session's protocol has it shown before the answer.
fn opinion(ui: &mut Ui, reading: &Reading) {
    let Some((class, probability)) = reading.opinion_before() else { return };
    widgets::section(ui, "This film");
    let share = figures::share(f64::from(probability), 100);
    widgets::fact(ui, "Model", &format!("{} {share}", reading.class_name(class)));
}

/// Says how many films are put off and when they come back.
fn put_off(ui: &mut Ui, reading: &Reading, commands: &mut Vec<UiCommand>) {
    let n = reading.labels.deferred.len();
    if n == 0 {
        return;
    }
    let small = |text: String| RichText::new(text).small().weak();
    let next = reading.labels.returns.iter().min().copied().filter(|&films| films < usize::MAX);
    let when = match next {
        Some(films) => format!("next in {films}"),
        None => "to the end".to_owned(),
    };
    // Room for the triangle, which no font of ours has.
    let text = RichText::new(format!("{n} put off, {when}      ")).weak();
    let menu = ui.menu_button(text, |ui| {
        if ui.button("Show them").clicked() {
            commands.push(UiCommand::ShowLater);
        }
        ui.label(small("They come back".to_owned()));
        for films in [10, 20, 50, 0] {
            let command = UiCommand::ReturnAfter(films);
            let chosen = reading.return_after.unwrap_or(0) == films;
            if ui.selectable_label(chosen, command.text(&[])).clicked() {
                commands.push(command);
            }
        }
    });
    widgets::menu_triangle(ui, menu.response.rect);
}

/// Draws the note on the film on screen and, where the reader looks back, what they said of it.
fn this_film(ui: &mut Ui, reading: &Reading, commands: &mut Vec<UiCommand>) {
    let Some(row) = reading.row() else { return };
    if reading.browsed().is_some() {
        widgets::section(ui, browsing(reading, row));
        for words in reading.answer_in_words(row) {
            ui.label(words);
        }
        push_if_clicked(ui, UiCommand::BackToQueue, reading, None, commands);
    }
    if let Some(note) = reading.note(row) {
        widgets::section(ui, "Note");
        ui.add(egui::Label::new(note).wrap());
    }
    ui.add_enabled_ui(reading.fault().is_none(), |ui| {
        push_if_clicked(ui, UiCommand::Note, reading, None, commands);
    });
}

fn push_if_clicked(
    ui: &mut Ui,
    command: UiCommand,
    reading: &Reading,
    stripe: Option<egui::Color32>,
    commands: &mut Vec<UiCommand>,
) {
    let (text, key) = (command.text(reading.classes()), reading.keymap.first(command));
    if widgets::command_button(ui, &text, &key, stripe).clicked() {
        commands.push(command);
    }
}

/// Draws the card about the film answered last: only now may the model's opinion be seen.
fn last_film(ui: &mut Ui, reading: &Reading, commands: &mut Vec<UiCommand>) {
    let undoable = reading.can_undo();
    if reading.last.is_none() && !undoable {
        return;
    }
    widgets::section(ui, "Last film");
    if let Some(last) = &reading.last {
        widgets::fact(ui, "You", &reading.words(last.reply));
        if let Some((class, probability)) = last.opinion {
            // Two digits: a probability of a model of some hundred labels means no more.
            let opinion = format!(
                "{} {}",
                reading.class_name(class),
                figures::share(f64::from(probability), 100)
            );
            widgets::fact(ui, "Model", &opinion);
        }
        let what = if reading.view == View::Review { "Readers" } else { "Why" };
        widgets::fact(ui, what, &last.why.phrase);
        if let Some(figure) = &last.why.figure {
            ui.label(RichText::new(figure).small().weak());
        }
        if last.film.is_some() {
            push_if_clicked(ui, UiCommand::Equalise, reading, None, commands);
            if reading.engine.is_some() {
                push_if_clicked(ui, UiCommand::HeatMap, reading, None, commands);
            }
        }
    }
    ui.add_enabled_ui(undoable && reading.fault().is_none(), |ui| {
        push_if_clicked(ui, UiCommand::Undo, reading, None, commands);
    });
}

fn bottom_bar(ui: &mut Ui, reading: &Reading) {
    let frame = theme::panel_frame(ui, Margin::symmetric(theme::SPACE[2] as i8, 0));
    Panel::bottom("counts")
        .exact_size(theme::BOTTOM_BAR)
        .frame(frame)
        .show_separator_line(false)
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                let (labelled, saved) = reading.counts();
                let mut text = format!("{labelled} labelled · {saved} saved");
                let later = reading.labels.deferred.len();
                if later > 0 {
                    text = format!("{text} · {later} put off");
                }
                ui.label(RichText::new(text).small());
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if let Some(pace) = reading.pace.films_per_minute() {
                        ui.label(RichText::new(format!("{pace:.0} films/min")).small().weak());
                    }
                    ui.centered_and_justified(|ui| {
                        let (correct, n) = reading.audit();
                        if n > 0 {
                            let text = figures::estimate(correct, n, "random films");
                            ui.label(RichText::new(format!("Accuracy {text}")).small().weak());
                        }
                    });
                });
            });
        });
}
