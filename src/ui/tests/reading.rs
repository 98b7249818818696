//! Films are read: keys, answers, undo, what the reader may see.

use std::time::Duration;

use egui::Key;
use egui_kittest::kittest::Queryable as _;

use super::{Room, class, harness, is_prepared, on_screen, ranking};
use crate::engine;
use crate::session::{Answer, Event};
use crate::ui::app::Start;
use crate::ui::words::sentence;

#[test]
fn one_key_labels_and_shows_the_next_film() {
    let mut room = Room::new(5);
    assert!(room.sees("1 of 5") && room.sees("0 labelled · 0 saved"));
    let first = room.reading().row();
    room.press(Key::J);
    assert_ne!(room.reading().row(), first);
    assert!(room.sees("2 of 5") && room.sees("1 labelled · 1 saved"), "{:?}", room.words());
    room.press(Key::K);
    assert_eq!(room.answers(), [class("normal"), class("pneumonia")]);
    let latency = room.reading().clock.latency();
    assert_eq!(latency.count(), 2);
    assert!(latency.p99().unwrap() < Duration::from_millis(500), "{latency:?}");
}

#[test]
fn buttons_do_what_keys_do() {
    let mut room = Room::new(5);
    room.click("Pneumonia");
    room.click("Uninterpretable");
    room.click("Normal");
    assert_eq!(room.answers(), [class("pneumonia"), Answer::Uninterpretable, class("normal")]);
    assert!(room.sees("2 labelled"), "an uninterpretable film carries no class");
    room.click("Undo");
    assert_eq!(room.answers(), [class("pneumonia"), Answer::Uninterpretable]);
}

#[test]
fn the_next_film_is_drawn_in_the_pass_of_the_key() {
    let mut room = Room::new(5);
    let next = room.reading().worklist.upcoming()[1].row;
    room.until("the next texture", |app| app.sitting().is_some_and(|r| is_prepared(r, 1)));
    room.harness.key_down(Key::J);
    room.harness.step();
    assert_eq!(room.reading().row(), Some(next));
    // The clock stops when the pass after the one that drew begins: one more pass, and no second one.
    room.harness.step();
    assert_eq!(
        room.reading().clock.latency().count(),
        1,
        "the film was not drawn in the pass of its key"
    );
}

#[test]
fn a_held_key_labels_once_and_no_film_is_labelled_unseen() {
    let mut room = Room::new(6);
    let event = |repeat| egui::Event::Key {
        key: Key::J,
        physical_key: None,
        pressed: true,
        repeat,
        modifiers: egui::Modifiers::NONE,
    };
    for repeat in [false, true, true] {
        room.harness.event(event(repeat));
        room.harness.step();
        room.settle();
    }
    assert_eq!(room.answers().len(), 1);
    room.harness.key_up(Key::J);
    room.harness.step();
    // Two keys in one pass: the second is meant for a film that was never on screen.
    let second = egui::Event::Key {
        key: Key::K,
        physical_key: None,
        pressed: true,
        repeat: false,
        modifiers: egui::Modifiers::NONE,
    };
    room.harness.input_mut().events.extend([event(false), second]);
    room.harness.step();
    room.settle();
    assert_eq!(room.answers(), [class("normal"), class("normal")]);
}

#[test]
fn undo_brings_the_film_back_as_often_as_asked() {
    let mut room = Room::new(4);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(room.reading().row());
        room.press(Key::J);
    }
    while let Some(film) = seen.pop() {
        room.press(Key::U);
        assert_eq!(room.reading().row(), film);
    }
    assert!(room.answers().is_empty() && room.sees("0 labelled · 0 saved"));
    room.press(Key::U);
    assert_eq!(
        room.reading().study.session().entries().len(),
        6,
        "with nothing left, undo enters nothing"
    );
}

#[test]
fn a_film_put_off_comes_back_last() {
    let mut room = Room::new(3);
    let first = room.reading().row();
    room.press(Key::N);
    assert_ne!(room.reading().row(), first);
    room.press(Key::J);
    room.press(Key::Semicolon);
    assert_eq!(room.reading().row(), first, "the film put off did not come back");
    room.press(Key::K);
    assert!(room.sees("Every film has been read"), "{:?}", room.words());
    assert_eq!(room.answers(), [class("normal"), Answer::Uninterpretable, class("pneumonia")]);
}

#[test]
fn the_models_opinion_stays_hidden_until_the_label() {
    let mut room = Room::new(6);
    let order: Vec<usize> = (0..6).collect();
    room.report(engine::Event::Ranking(ranking(6, &order)));
    room.harness.step();
    room.harness.run();
    let hints = [
        ".87",
        "0.87",
        "87 %",
        ".13",
        "margin",
        "0.43",
        ".43",
        "Model",
        "Why",
        "oracle-of-ward",
        "rank",
    ];
    let hidden = |room: &Room| {
        let words = room.words();
        for hint in hints {
            let found = words.iter().find(|words| words.contains(hint));
            assert!(found.is_none(), "{found:?} gives the model's opinion away");
        }
    };
    hidden(&room);
    room.press(Key::J);
    // The film labelled just now had been on screen before the ranking came; the second comes from the ranking.
    room.press(Key::J);
    assert!(room.sees("Model:") && room.sees("Pneumonia .87"), "{:?}", room.words());
    assert!(room.sees("Why:"));
    let why = room.reading().last.as_ref().unwrap().why.clone();
    assert!(room.sees(&why.phrase), "{:?}", room.words());
    assert!(why.figure.is_none_or(|figure| room.sees(&figure)), "{:?}", room.words());
    let event = room.reading().study.session().entries().last().unwrap().event.clone();
    assert!(
        matches!(event, Event::Label { shown, .. } if !shown.opinion_visible && shown.model == "oracle-of-ward")
    );
    room.press(Key::U);
    hidden(&room);
}

#[test]
fn accuracy_on_random_films_is_counted() {
    let mut room = Room::new(60);
    let order: Vec<usize> = (0..60).collect();
    room.report(engine::Event::Ranking(ranking(60, &order)));
    for _ in 0..59 {
        room.press(Key::K);
    }
    let (correct, n) = room.reading().study.audit();
    let drawn = room.reading().study.state().audit().count();
    assert!(n > 0, "with a share of a tenth, 59 films hold one drawn at random");
    assert_eq!(
        (correct, n),
        (drawn, drawn),
        "the model says pneumonia of every film, and so does the reader"
    );
    assert!(room.sees("random films"), "{:?}", room.words());
}

#[test]
fn a_broken_film_says_so_and_can_be_passed() {
    let room = Room::new(3);
    let next = room.reading().study.films()[room.reading().worklist.upcoming()[2].row].clone();
    // The loader has the films already: a fresh start meets the damage.
    let file = room.folder.path().join("films").join(&next.file);
    std::io::Write::write_all(
        &mut std::fs::File::create(&file).unwrap(),
        b"\x89PNG\r\n\x1a\nno more",
    )
    .unwrap();
    let Room { harness: old, home, folder } = room;
    drop(old);
    let mut room =
        Room { harness: harness(&home, Start::Session("ward".to_owned())), home, folder };
    room.until("the first film", |app| app.sitting().is_some_and(on_screen));
    let mut passed = false;
    for _ in 0..3 {
        if room.sees("This film cannot be shown") {
            assert!(room.sees(&next.file), "the message names no file");
            let before = room.answers().len();
            room.press(Key::J);
            assert_eq!(room.answers().len(), before, "a film that cannot be seen was labelled");
            room.press(Key::Semicolon);
            passed = true;
        } else {
            room.press(Key::J);
        }
    }
    assert!(passed && room.sees("Every film has been read"));
}

#[test]
fn what_the_log_refuses_is_said_until_it_takes_the_next_entry() {
    let mut room = Room::new(3);
    let unknown = Event::Undo { seq: 7 };
    let sitting = room.harness.state_mut().sitting_mut().unwrap();
    assert!(!sitting.reading.study.enter(unknown));
    room.harness.run();
    let refused = sentence(room.reading().study.refused().unwrap());
    let said = |room: &Room| room.harness.query_all_by_label(&refused).count();
    assert_eq!(said(&room), 1, "{refused:?}: {:?}", room.words());
    room.press(Key::F2);
    assert_eq!(said(&room), 2, "the bar and the list: {:?}", room.words());
    room.press(Key::F1);
    room.press(Key::J);
    assert_eq!((room.answers().len(), said(&room)), (1, 0));
    room.press(Key::F2);
    assert_eq!(said(&room), 1, "the list keeps it");
}
