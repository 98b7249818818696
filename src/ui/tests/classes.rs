//! Sessions of other classes than two.

use std::path::Path;

use egui::Key;

use super::{Room, class, harness, on_screen, ranking, set_text, write_films};
use crate::config::Home;
use crate::engine;
use crate::query::{Ranked, Reason, Strategy};
use crate::session::{Answer, Class};
use crate::ui::app::Start;

#[test]
fn the_five_conclusions_of_the_who_are_read_by_key() {
    let mut room = Room::with_classes(8, Class::who_five());
    for name in ["Normal", "Consolidation", "Other infiltrate", "Both", "Uninterpretable"] {
        assert!(room.sees(name), "{name} is missing: {:?}", room.words());
    }
    for key in [Key::J, Key::K, Key::L, Key::H, Key::Semicolon] {
        room.press(key);
    }
    let expected = ["normal", "consolidation", "other infiltrate", "both"].map(class).into_iter();
    let expected: Vec<_> = expected.chain([Answer::Uninterpretable]).collect();
    assert_eq!(room.answers(), expected);
    assert_eq!(room.reading().study.labels().classes, [0, 1, 2, 3]);
}

#[test]
fn with_four_classes_the_last_film_shows_the_likeliest() {
    let mut room = Room::with_classes(6, Class::who_five());
    let mut four = (*ranking(6, &[])).clone();
    four.probabilities = (0..6).flat_map(|_| [0.1, 0.2, 0.6, 0.1]).collect();
    four.strategy = Strategy::Entropy;
    let reason = Reason::Entropy { nats: 1.1 };
    four.order = (0..6).map(|index| Ranked { index, score: 1.0, reason }).collect();
    room.report(engine::Event::Ranking(std::sync::Arc::new(four)));
    room.press(Key::H);
    assert!(room.sees("Other infiltrate .60"), "{:?}", room.words());
}

#[test]
fn a_new_session_gets_its_classes_in_the_form() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    write_films(&images, 3);
    let home = Home::find(Some(&folder.path().join("home")));
    let mut room = Room { harness: harness(&home, Start::Screen), home, folder };
    room.wait_for("New session…");
    room.click("New session…");
    set_text(&mut room, "Name", Path::new("clinic"));
    set_text(&mut room, "Folder of films", &images);
    room.click("WHO five");
    set_text(&mut room, "Key of class 4", Path::new("K"));
    assert!(room.sees("share the key"), "{:?}", room.words());
    room.click("Make session");
    assert!(room.harness.state().sitting().is_none() && room.sees("What a film can show"));
    set_text(&mut room, "Key of class 4", Path::new("s"));
    set_text(&mut room, "Name of class 4", Path::new("effusion"));
    assert!(!room.sees("share the key"));
    room.click("Remove class 3");
    room.click("Make session");
    room.until("the session", |app| app.sitting().is_some_and(on_screen));
    let names: Vec<(String, char)> =
        room.reading().classes().iter().map(|class| (class.name.clone(), class.key)).collect();
    let expected = [("normal", 'J'), ("consolidation", 'K'), ("effusion", 'S')];
    assert_eq!(names, expected.map(|(name, key)| (name.to_owned(), key)));
    room.press(Key::S);
    assert_eq!(room.answers(), [class("effusion")]);
}
