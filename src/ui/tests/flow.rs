//! The flow of reading: putting off, looking back, changing an answer, notes, files that misbehave.

use std::time::Duration;

use egui::Key;
use egui_kittest::kittest::Queryable as _;

use super::{Room, class, harness, harness_returning, is_prepared, on_screen, ranking};
use crate::engine::{self, Foreseen};
use crate::session::{Answer, Event, Source};
use crate::ui::app::Start;
use crate::ui::command::View;
use crate::ui::reading::Reading;

#[test]
fn an_answer_is_changed_for_a_reason_and_the_queue_stays_where_it_is() {
    let mut room = Room::new(5);
    let first = room.reading().row().unwrap();
    room.press(Key::J);
    room.press(Key::K);
    let queued = room.reading().row();
    room.press(Key::PageUp);
    room.press(Key::PageUp);
    assert_eq!(room.reading().row(), Some(first));
    assert!(room.sees("looking back") && room.sees("Looking back"), "{:?}", room.words());
    room.press(Key::J);
    assert!(!room.sees("Why Normal"), "the same answer is no change");
    room.press(Key::K);
    assert!(room.sees("Why Pneumonia instead of Normal?"), "{:?}", room.words());
    // The field has the focus: class keys are letters.
    room.write("seen joy");
    room.press(Key::Enter);
    let Event::Relabel { from, to, reason, .. } = room.last_event() else {
        panic!("{:?}", room.last_event())
    };
    assert_eq!((from, to, &*reason), (class("normal"), class("pneumonia"), "seen joy"));
    assert_eq!((room.reading().row(), room.reading().view()), (queued, View::Read));
    assert_eq!(room.answers(), [class("pneumonia"), class("pneumonia")]);
    // The reason is offered the next time.
    room.press(Key::PageUp);
    room.press(Key::Semicolon);
    assert!(room.sees("seen joy") && room.sees("Second look"), "{:?}", room.words());
    room.harness.key_press(Key::ArrowDown);
    room.harness.step();
    room.press(Key::Enter);
    assert!(matches!(room.last_event(), Event::Relabel { reason, .. } if reason == "seen joy"));
    // Taking the change back shows the film with the answer from before, and the queue waits.
    room.press(Key::U);
    assert_eq!(room.answers(), [class("pneumonia"), class("pneumonia")]);
    assert!(room.sees("looking back") && room.reading().worklist.browsed().is_some());
    room.press(Key::Q);
    assert_eq!(room.reading().row(), queued);
    room.press(Key::J);
    assert_eq!(room.answers().len(), 3, "reading went on where it had been");
}

#[test]
fn a_change_can_be_thought_better_of() {
    let mut room = Room::new(3);
    room.press(Key::J);
    room.press(Key::PageUp);
    room.press(Key::K);
    room.press(Key::Escape);
    assert!(!room.sees("Why Pneumonia") && room.answers() == [class("normal")]);
    assert_eq!(room.reading().study.session().entries().len(), 1);
}

#[test]
fn looking_back_goes_through_the_films_in_the_order_of_reading() {
    let mut room = Room::new(6);
    let mut read = Vec::new();
    for key in [Key::J, Key::N, Key::K] {
        read.push(room.reading().row());
        room.press(key);
    }
    let queued = room.reading().row();
    for expected in [read[2], read[1], read[0], read[0]] {
        room.press(Key::PageUp);
        assert_eq!(room.reading().row(), expected);
    }
    room.press(Key::PageDown);
    assert_eq!(room.reading().row(), read[1]);
    // The film put off is answered when it is looked back at: the reader chose it.
    room.press(Key::K);
    assert!(matches!(room.last_event(), Event::Label { source: Source::Browse, .. }));
    assert_eq!(room.reading().row(), queued);
    room.press(Key::PageDown);
    assert_ne!(room.reading().row(), queued, "what comes can be looked at ahead");
    room.press(Key::PageUp);
    assert_eq!(room.reading().row(), queued);
    assert_eq!(room.answers().len(), 3);
}

#[test]
fn a_film_put_off_comes_back_after_so_many_films_and_is_counted_meanwhile() {
    let Room { harness: old, home, folder } = Room::new(12);
    drop(old);
    let start = Start::Session("ward".to_owned());
    let mut room = Room { harness: harness_returning(&home, start, 3), home, folder };
    room.until("the first film", |app| app.sitting().is_some_and(on_screen));
    let first = room.reading().row();
    room.press(Key::N);
    assert!(room.sees("1 put off, next in 3") && room.sees("· 1 put off"), "{:?}", room.words());
    for _ in 0..2 {
        room.press(Key::J);
        assert_ne!(room.reading().row(), first);
    }
    room.press(Key::Semicolon);
    assert_eq!(room.reading().row(), first, "three films have been passed");
    room.press(Key::N);
    assert_ne!(room.reading().row(), first);
    room.harness.get_by_label_contains("1 put off, next").click();
    room.harness.run();
    room.click("Show them");
    assert_eq!(room.sitting().panels.gallery.shown(), [first.unwrap()]);
}

#[test]
fn a_note_is_kept_shown_and_removed() {
    let mut room = Room::new(3);
    let row = room.reading().row().unwrap();
    room.press(Key::T);
    room.write("  rotated, ask the ward ");
    room.press(Key::Enter);
    assert!(
        matches!(room.last_event(), Event::Note { text, .. } if text == "rotated, ask the ward")
    );
    assert!(room.sees("rotated, ask the ward"), "{:?}", room.words());
    room.press(Key::J);
    assert!(!room.sees("rotated"), "the note is on another film");
    room.press(Key::PageUp);
    assert!(room.sees("rotated, ask the ward"));
    room.press(Key::T);
    room.harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
    room.harness.key_press(Key::Backspace);
    room.harness.step();
    room.press(Key::Enter);
    assert_eq!(room.reading().study.note(row), None);
    let entries = room.reading().study.session().entries().len();
    room.press(Key::T);
    room.press(Key::Enter);
    assert_eq!(room.reading().study.session().entries().len(), entries, "nothing was changed");
    assert_eq!(room.answers(), [class("normal")]);
}

#[test]
fn what_is_foreseen_is_decoded_and_leaves_no_trace() {
    let mut room = Room::new(60);
    let order: Vec<usize> = (0..60).collect();
    room.report(engine::Event::Ranking(ranking(60, &order)));
    let trace = |reading: &Reading| {
        let Reading { study, worklist, .. } = reading;
        (worklist.upcoming().to_vec(), study.session().entered(), (**study.labels()).clone())
    };
    let before = trace(room.reading());
    let near = |room: &Room, row: usize| room.reading().films.near().contains(&row);
    let row = room.reading().row().unwrap();
    let far: Vec<usize> = (0..60).filter(|&row| !near(&room, row)).take(5).collect();
    let heads = vec![far[..3].to_vec(), vec![far[0], far[3], far[4]]];
    let foreseen = |row| Foreseen { row, version: 0, heads: heads.clone() };
    room.report(engine::Event::Foreseen(foreseen(row + 1)));
    assert!(!near(&room, far[0]), "it was about another film");
    room.report(engine::Event::Foreseen(foreseen(row)));
    assert!(far.iter().all(|&row| near(&room, row)));
    room.until("the films foreseen", |app| {
        let decoded = |row: usize| {
            let film = app.sitting().and_then(|sitting| sitting.reading.films.get(row));
            film.is_some_and(|film| film.is_ok())
        };
        far.iter().all(|&row| decoded(row))
    });
    assert_eq!(trace(room.reading()), before);
    // Only what was on screen is remembered as drawn: the random stream is none the wiser.
    room.press(Key::J);
    assert_eq!(room.reading().study.session().entries().len(), 1);
}

#[test]
fn reading_time_is_kept_when_a_film_is_left_and_comes_again() {
    const LOOK: Duration = Duration::from_millis(120);
    let mut room = Room::new(4);
    room.press(Key::J);
    std::thread::sleep(LOOK);
    room.press(Key::PageUp);
    std::thread::sleep(LOOK);
    room.press(Key::Q);
    room.press(Key::K);
    let Event::Label { ms, .. } = room.last_event() else { panic!() };
    assert!(ms >= LOOK.as_millis() as u64, "the look before was lost: {ms}");
    room.press(Key::N);
    let Event::Skip { .. } = room.last_event() else { panic!() };
}

#[test]
fn a_file_that_changed_since_import_is_read_only_when_the_reader_takes_it_so() {
    let room = Room::new(3);
    let row = room.reading().row().unwrap();
    let record = room.reading().study.films()[row].clone();
    let file = room.folder.path().join("films").join(&record.file);
    image::GrayImage::from_fn(90, 90, |x, y| image::Luma([(x ^ y) as u8])).save(&file).unwrap();
    let Room { harness: old, home, folder } = room;
    drop(old);
    let start = Start::Session("ward".to_owned());
    let mut room = Room { harness: harness(&home, start), home, folder };
    room.until("the first film", |app| app.sitting().is_some_and(on_screen));
    assert!(room.sees("This file changed since import"), "{:?}", room.words());
    for key in [Key::J, Key::Semicolon] {
        room.press(key);
        assert!(room.answers().is_empty(), "an answer was taken for another film");
    }
    room.press(Key::N);
    assert!(!room.sees("This file changed"));
    room.press(Key::PageUp);
    assert!(room.sees("This file changed since import"));
    room.press(Key::Enter);
    assert!(!room.sees("This file changed"), "{:?}", room.words());
    let Event::FileChanged { film, now } = room.last_event() else { panic!() };
    assert_eq!(film, record.id);
    assert_eq!(now, crate::dataset::FilmId::of(&std::fs::read(&file).unwrap()));
    room.press(Key::J);
    assert_eq!(room.answers(), [class("normal")]);
}

#[test]
fn a_file_that_changes_while_it_waits_is_read_again_when_it_comes_on_screen() {
    let mut room = Room::new(4);
    let next = room.reading().worklist.upcoming()[1].row;
    room.until("the next film", |app| app.sitting().is_some_and(|r| is_prepared(r, 1)));
    let file = room.folder.path().join("films").join(&room.reading().study.films()[next].file);
    std::thread::sleep(Duration::from_millis(20));
    image::GrayImage::from_fn(70, 90, |x, y| image::Luma([(x ^ y) as u8])).save(&file).unwrap();
    room.press(Key::J);
    assert_eq!(room.reading().row(), Some(next));
    room.wait_for("This file changed since import");
    room.press(Key::K);
    assert_eq!(room.answers(), [class("normal")]);
}

#[test]
fn a_film_that_is_gone_can_be_put_off_and_comes_when_it_is_back() {
    let room = Room::new(3);
    let row = room.reading().row().unwrap();
    let file = room.folder.path().join("films").join(&room.reading().study.films()[row].file);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let Room { harness: old, home, folder } = room;
    drop(old);
    let start = Start::Session("ward".to_owned());
    let mut room = Room { harness: harness(&home, start), home, folder };
    room.until("the first film", |app| app.sitting().is_some_and(on_screen));
    assert!(room.sees("This film cannot be shown"));
    room.press(Key::N);
    std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), &bytes).unwrap();
    room.press(Key::J);
    room.press(Key::J);
    room.until("the film", |app| app.sitting().is_some_and(on_screen));
    assert_eq!(room.reading().row(), Some(row));
    assert!(!room.sees("cannot be shown") && !room.sees("changed since import"));
    room.press(Key::K);
    assert_eq!(room.answers(), [class("normal"), class("normal"), class("pneumonia")]);
    assert_eq!(room.answers().iter().filter(|a| **a == Answer::Uninterpretable).count(), 0);
}
