//! The card beside the film: answers, the note on the film, and what is said of the one answered last.

use egui::{Panel, RichText, Ui};

use super::browsing;
use crate::ui::command::{UiCommand, View};
use crate::ui::reading::Reading;
use crate::ui::reply::{Reply, class_name};
use crate::ui::request::Request;
use crate::ui::{figures, theme, widgets};

/// Draws the card; `aside` says whether another film is shown in place of the one to be read.
pub fn ui(ui: &mut Ui, aside: bool, reading: &Reading, requests: &mut Vec<Request>) {
    let frame = theme::panel_frame(ui, theme::card_margin());
    let card = Panel::right("answers")
        .exact_size(theme::CARD)
        .resizable(false)
        .frame(frame)
        .show_separator_line(false);
    card.show(ui, |ui| {
        let film = reading.film();
        let running = reading.row().is_some() && reading.study.fault().is_none() && !aside;
        let classes = reading.classes();
        for index in 0..classes.len() {
            let colour = Reply::Class(index).colour(classes);
            ui.add_enabled_ui(running && !matches!(film, Some(Err(_))), |ui| {
                push_if_clicked(ui, UiCommand::Label(index), reading, Some(colour), requests);
            });
        }
        ui.add_enabled_ui(running, |ui| {
            let grey = Some(theme::UNINTERPRETABLE);
            push_if_clicked(ui, UiCommand::Uninterpretable, reading, grey, requests);
            push_if_clicked(ui, UiCommand::Later, reading, None, requests);
        });
        if reading.view() == View::Review {
            ui.add_space(theme::SPACE[1]);
            if reading.row().is_some() {
                ui.label(RichText::new(REVIEW).small().weak());
            }
        } else {
            put_off(ui, reading, requests);
            opinion(ui, reading);
            this_film(ui, reading, requests);
        }
        last_film(ui, reading, requests);
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
    widgets::fact(ui, "Model", &format!("{} {share}", class_name(reading.classes(), class)));
}

/// Says how many films are put off and when they come back.
fn put_off(ui: &mut Ui, reading: &Reading, requests: &mut Vec<Request>) {
    let labels = reading.study.labels();
    let n = labels.deferred.len();
    if n == 0 {
        return;
    }
    let small = |text: String| RichText::new(text).small().weak();
    let next = labels.returns.iter().min().copied().filter(|&films| films < usize::MAX);
    let when = match next {
        Some(films) => format!("next in {films}"),
        None => "to the end".to_owned(),
    };
    // Room for the triangle, which no font of ours has.
    let text = RichText::new(format!("{n} put off, {when}      ")).weak();
    let menu = ui.menu_button(text, |ui| {
        if ui.button("Show them").clicked() {
            requests.push(UiCommand::ShowLater.into());
        }
        ui.label(small("They come back".to_owned()));
        for films in [Some(10), Some(20), Some(50), None] {
            let text = films.map_or_else(
                || "When all others are read".to_owned(),
                |films| format!("After {films} films"),
            );
            if ui.selectable_label(reading.study.return_after() == films, text).clicked() {
                requests.push(Request::ReturnAfter(films));
            }
        }
    });
    widgets::menu_triangle(ui, menu.response.rect);
}

/// Draws the note on the film on screen and, where the reader looks back, what they said of it.
fn this_film(ui: &mut Ui, reading: &Reading, requests: &mut Vec<Request>) {
    let Some(row) = reading.row() else { return };
    if reading.worklist.browsed().is_some() {
        widgets::section(ui, browsing(reading, row));
        for words in reading.study.answer_in_words(row) {
            ui.label(words);
        }
        push_if_clicked(ui, UiCommand::BackToQueue, reading, None, requests);
    }
    if let Some(note) = reading.study.note(row) {
        widgets::section(ui, "Note");
        ui.add(egui::Label::new(note).wrap());
    }
    ui.add_enabled_ui(reading.study.fault().is_none(), |ui| {
        push_if_clicked(ui, UiCommand::Note, reading, None, requests);
    });
}

fn push_if_clicked(
    ui: &mut Ui,
    command: UiCommand,
    reading: &Reading,
    stripe: Option<egui::Color32>,
    requests: &mut Vec<Request>,
) {
    let (text, key) = (command.text(reading.classes()), reading.keymap.first(command));
    if widgets::command_button(ui, &text, &key, stripe).clicked() {
        requests.push(command.into());
    }
}

/// Draws the card about the film answered last: only now may the model's opinion be seen.
fn last_film(ui: &mut Ui, reading: &Reading, requests: &mut Vec<Request>) {
    let undoable = reading.can_undo();
    if reading.last.is_none() && !undoable {
        return;
    }
    widgets::section(ui, "Last film");
    if let Some(last) = &reading.last {
        widgets::fact(ui, "You", &last.reply.words(reading.classes()));
        if let Some((class, probability)) = last.opinion {
            // Two digits: a probability of a model of some hundred labels means no more.
            let opinion = format!(
                "{} {}",
                class_name(reading.classes(), class),
                figures::share(f64::from(probability), 100)
            );
            widgets::fact(ui, "Model", &opinion);
        }
        let what = if reading.view() == View::Review { "Readers" } else { "Why" };
        widgets::fact(ui, what, &last.why.phrase);
        if let Some(figure) = &last.why.figure {
            ui.label(RichText::new(figure).small().weak());
        }
        if last.film.is_some() {
            push_if_clicked(ui, UiCommand::Equalise, reading, None, requests);
            if reading.learner.is_on() {
                push_if_clicked(ui, UiCommand::HeatMap, reading, None, requests);
            }
        }
    }
    ui.add_enabled_ui(undoable && reading.study.fault().is_none(), |ui| {
        push_if_clicked(ui, UiCommand::Undo, reading, None, requests);
    });
}
