//! The Films view: filters, search, the selection, labelling in it.

use std::path::Path;
use std::sync::Arc;

use egui::Key;
use egui_kittest::kittest::Queryable as _;

use super::{Room, class, on_screen, set_text};
use crate::engine::{self, Opinions};
use crate::session::{Answer, Event, Source};
use crate::ui::app::sitting::Panels;
use crate::ui::command::View;
use crate::ui::gallery::filter::Filter;

/// A room of films in the Films view, all small films in sight.
fn gallery(films: u32) -> Room {
    let mut room = Room::new(films);
    room.press(Key::G);
    assert_eq!(room.reading().view(), View::Films);
    in_sight(&mut room);
    room
}

fn in_sight(room: &mut Room) {
    room.until("the small films", |app| {
        let enough =
            |panels: &Panels| panels.small.decoded() >= panels.gallery.shown().len().min(30);
        app.sitting().is_some_and(|sitting| enough(&sitting.panels))
    });
    room.harness.run();
}

fn selected(room: &Room) -> usize {
    room.sitting().panels.gallery.selected().unwrap()
}

#[test]
fn keys_move_label_and_open() {
    let mut room = gallery(20);
    room.press(Key::Home);
    assert_eq!(selected(&room), 0);
    room.press(Key::ArrowRight);
    room.press(Key::ArrowRight);
    assert_eq!(selected(&room), 2);
    room.press(Key::J);
    assert_eq!((room.answers(), selected(&room)), (vec![class("normal")], 3));
    let Event::Label { source, shown, film, .. } = room.last_event() else { panic!() };
    assert_eq!((source, film), (Source::Browse, room.reading().study.films()[2].id));
    assert!(shown.zoom > 0.5 && shown.window_width > 1.0, "{shown:?}");
    room.press(Key::Semicolon);
    room.press(Key::N);
    assert_eq!(room.answers(), [class("normal"), Answer::Uninterpretable]);
    assert!(room.sees("Film 3 · Normal") && room.sees("Film 5 · Later"), "{:?}", room.words());
    assert!(room.sees("Unread 17") && room.sees("Labelled 1") && room.sees("Later 1"));
    room.press(Key::End);
    assert_eq!(selected(&room), 19);
    room.press(Key::Enter);
    assert_eq!((room.reading().view(), room.reading().row()), (View::Read, Some(19)));
    room.until("the film", |app| app.sitting().is_some_and(on_screen));
    room.press(Key::K);
    assert!(matches!(room.last_event(), Event::Label { source: Source::Browse, .. }));
    assert_eq!(
        room.reading().view(),
        View::Films,
        "after the last film of the list comes the list"
    );
}

#[test]
fn an_answer_is_changed_in_the_gallery_for_a_reason() {
    let mut room = gallery(6);
    room.press(Key::Home);
    room.press(Key::J);
    room.press(Key::ArrowLeft);
    room.press(Key::K);
    assert!(room.sees("Why Pneumonia instead of Normal?"));
    room.write("wrong key");
    room.press(Key::Enter);
    assert!(matches!(room.last_event(), Event::Relabel { reason, .. } if reason == "wrong key"));
    assert_eq!(room.reading().view(), View::Films);
    room.press(Key::ArrowLeft);
    assert!(room.sees("changed: wrong key") && room.sees("film-0.png"), "{:?}", room.words());
    room.press(Key::T);
    room.write("of interest");
    room.press(Key::Enter);
    assert!(room.sees("Film 1 · Pneumonia · note") && room.sees("With a note 1"));
    room.press(Key::U);
    assert_eq!(room.answers(), [class("normal")]);
}

#[test]
fn filters_search_and_go_to() {
    let mut room = gallery(25);
    room.press(Key::Home);
    room.press(Key::J);
    room.press(Key::K);
    room.click("Pneumonia 1");
    assert_eq!(room.sitting().panels.gallery.shown(), [1]);
    room.click("Unread 23");
    assert_eq!(room.sitting().panels.gallery.shown().len(), 23);
    room.click("All 25");
    set_text(&mut room, "Name has", Path::new("FILM-2"));
    assert_eq!(room.sitting().panels.gallery.shown().len(), 6);
    room.press(Key::K);
    assert_eq!(room.answers().len(), 2, "typing a name labelled a film");
    set_text(&mut room, "Go to", Path::new("12"));
    room.press(Key::Enter);
    assert_eq!((selected(&room), room.sitting().panels.gallery.shown().len()), (11, 25));
    let name = room.reading().study.films()[11].file.clone();
    assert!(!room.sees(&name), "the name of a film without an answer may give its class away");
    set_text(&mut room, "Go to", Path::new("film-7.png"));
    room.press(Key::Enter);
    assert_eq!(room.reading().study.films()[selected(&room)].file, "film-7.png");
}

#[test]
fn the_models_opinion_finds_labelled_films_only() {
    let mut room = gallery(8);
    room.press(Key::Home);
    for key in [Key::J, Key::K, Key::J] {
        room.press(key);
    }
    assert!(!room.sees("Model disagrees"), "without a model there is no opinion");
    let opinions = Opinions {
        version: 3,
        rows: vec![0, 1, 2, 5],
        labels: vec![0, 1, 0, 1],
        likeliest: vec![0, 0, 1, 0],
        suspects: vec![2, 5, 1],
    };
    room.report(engine::Event::Opinions(Arc::new(opinions)));
    // Its chip is there only where something learns.
    let sitting = room.harness.state_mut().sitting_mut().unwrap();
    sitting.panels.gallery.choose(Filter::Suspected);
    room.harness.run();
    assert_eq!(
        room.sitting().panels.gallery.shown(),
        [2, 1],
        "a film without a label was told apart"
    );
    room.press(Key::Home);
    room.press(Key::Enter);
    assert_eq!(room.reading().row(), Some(2));
    room.press(Key::PageDown);
    assert_eq!(room.reading().row(), Some(1), "the list is gone through in its order");
}

#[test]
fn only_films_in_sight_are_decoded_and_drawn() {
    let mut room = gallery(300);
    let drawn = |room: &Room| room.harness.get_all_by_label_contains("Film ").count();
    let before = (room.sitting().panels.small.decoded(), drawn(&room));
    assert!(before.0 < 100 && before.1 < 100, "{before:?} of 300 films");
    room.press(Key::End);
    in_sight(&mut room);
    assert_eq!(selected(&room), 299);
    assert!(room.sees("Film 300"), "the selection is out of sight");
    assert!(drawn(&room) < 100 && !room.sees("Film 150"));
}
