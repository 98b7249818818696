//! Sessions are made, opened, closed and opened again.

use std::path::Path;

use egui::Key;
use egui_kittest::kittest::Queryable as _;

use super::{Room, harness, on_screen, ranking, set_text, write_films};
use crate::config::Home;
use crate::engine;
use crate::session::{Event, Session, Source};
use crate::study::Workspace;
use crate::ui::app::Start;

#[test]
fn a_resumed_session_shows_the_same_counts() {
    let mut room = Room::new(6);
    for key in [Key::J, Key::K, Key::Semicolon, Key::N, Key::J] {
        room.press(key);
    }
    let answers = room.answers();
    assert!(room.sees("3 labelled · 3 saved"));
    let Room { harness: old, home, folder } = room;
    drop(old);
    let mut room = Room { harness: harness(&home, Start::Screen), home, folder };
    room.wait_for("Open the demo");
    assert!(room.sees("New session…"));
    room.click("Go on with ward");
    room.until("the session", |app| app.sitting().is_some_and(on_screen));
    assert_eq!(room.answers(), answers);
    assert!(room.sees("3 labelled · 3 saved") && room.sees("5 of 6"), "{:?}", room.words());
    room.press(Key::U);
    assert!(
        room.sees("2 labelled · 2 saved"),
        "the last answer of the sitting before can be taken back"
    );
}

#[test]
fn a_film_drawn_at_random_stays_one_when_it_is_taken_back_in_the_next_sitting() {
    for key in [Key::K, Key::N] {
        let mut room = Room::with_audit(6, 1.0);
        let order: Vec<usize> = (0..6).collect();
        room.report(engine::Event::Ranking(ranking(6, &order)));
        // The first film was on screen before there was anything to draw from.
        room.press(Key::J);
        let film = room.reading().row();
        room.press(key);
        let drawn = source(&room).unwrap();
        assert!(matches!(drawn, Source::Audit { .. }), "{drawn:?}");
        let Room { harness: old, home, folder } = room;
        drop(old);
        let start = Start::Session("ward".to_owned());
        let mut room = Room { harness: harness(&home, start), home, folder };
        room.until("the session", |app| app.sitting().is_some_and(on_screen));
        room.press(Key::U);
        assert_eq!(room.reading().row(), film);
        room.press(Key::K);
        assert_eq!(source(&room), Some(drawn));
        assert_eq!(room.reading().study.audit().1, 1, "the film has left the random stream");
    }
}

/// Returns why the film of the last entry was read.
fn source(room: &Room) -> Option<Source> {
    match &room.reading().study.session().entries().last()?.event {
        Event::Label { source, .. } => Some(source.clone()),
        Event::Skip { source, .. } => source.clone(),
        _ => None,
    }
}

#[test]
fn a_session_opens_by_its_folder_under_the_name_that_its_reader_gave_it() {
    let mut room = Room::new(3);
    room.press(Key::J);
    let Room { harness: old, home, folder } = room;
    drop(old);
    std::fs::rename(home.session("ward"), home.session("ward-2")).unwrap();
    let mut room = Room { harness: harness(&home, Start::Screen), home, folder };
    room.wait_for("Go on with ward");
    room.click("Go on with ward");
    room.until("the session", |app| app.sitting().is_some_and(on_screen));
    assert_eq!(room.reading().study.workspace().name, "ward-2");
    assert!(room.sees("1 labelled · 1 saved"), "{:?}", room.words());
}

#[test]
fn a_closed_session_can_be_opened_again() {
    let mut room = Room::new(3);
    room.press(Key::J);
    room.harness.get_by_label_contains("ward").click();
    room.harness.run();
    room.click("Close session");
    room.wait_for("Go on with ward");
    room.click("Go on with ward");
    room.until("the session", |app| app.sitting().is_some_and(on_screen));
    assert!(room.sees("1 labelled · 1 saved"), "{:?}", room.words());
}

#[test]
fn a_session_open_elsewhere_is_refused_on_the_start_screen() {
    let room = Room::new(2);
    let harness = harness(&room.home, Start::Session("ward".to_owned()));
    let mut second =
        Room { harness, home: room.home.clone(), folder: tempfile::tempdir().unwrap() };
    second.wait_for("The session is open in another window");
    assert!(second.sees("ward") && second.harness.state().sitting().is_none());
    // The start screen is still of use.
    second.wait_for("Open the demo");
}

#[test]
fn a_new_session_is_made_on_the_start_screen() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    write_films(&images, 3);
    std::io::Write::write_all(
        &mut std::fs::File::create(images.join("notes.png")).unwrap(),
        b"no film",
    )
    .unwrap();
    let home = Home::find(Some(&folder.path().join("home")));
    let mut room = Room { harness: harness(&home, Start::Screen), home, folder };
    room.wait_for("New session…");
    room.click("New session…");
    set_text(&mut room, "Name", Path::new("clinic"));
    set_text(&mut room, "Folder of films", &images);
    room.click("Make session");
    room.wait_for("Start reading");
    assert!(room.sees("3 films can be read"), "{:?}", room.words());
    let refused = room.words().into_iter().find(|words| words.contains("notes.png")).unwrap();
    assert!(
        refused.starts_with(char::is_uppercase) && refused.ends_with("notes.png"),
        "{refused:?}: first what happened, then the file"
    );
    room.click("Start reading");
    room.until("the session", |app| app.sitting().is_some_and(on_screen));
    assert!(room.sees("1 of 3") && room.sees("clinic"));
    assert_eq!(Session::list(&room.home.sessions()).len(), 1);
}

#[test]
fn ward_can_be_opened_by_the_commands_afterwards() {
    let mut room = Room::new(3);
    room.press(Key::K);
    let Room { harness, home, folder } = room;
    drop(harness);
    let workspace = Workspace::open(&home, "ward").unwrap();
    assert_eq!(workspace.label_set(None).classes, [1]);
    drop(folder);
}
