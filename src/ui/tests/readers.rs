//! Several readers of one session: each blind to the others, films read twice, disagreements settled.

use super::*;
use crate::config::Readers;
use crate::session::{Exposure, OpinionRule, Protocol, Session, Source};

/// A session on which readers work by a protocol, opened as `reader`, the first film on screen.
fn room(films: u32, protocol: Protocol, reader: &str) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    write_films(&images, films);
    let home = Home::find(Some(&folder.path().join("home")));
    let new = NewSession::new("ward".to_owned(), images);
    workspace::create(&home, &new, &|_, _| {}).unwrap();
    let (mut session, _) = Session::open(&home.session("ward")).unwrap();
    session.append(reader, Event::Protocol(protocol)).unwrap();
    session.flush().unwrap();
    drop(session);
    let mut readers = Readers::default();
    readers.choose(reader).unwrap();
    readers.save(&home).unwrap();
    let harness = harness(&home, Start::Session("ward".to_owned()));
    let mut room = Room { harness, home, folder };
    room.until("the first film", |app| app.sitting().is_some_and(on_screen));
    room
}

/// Gives the session to a reader whom the machine does not know.
fn hand_over(room: &mut Room, name: &str) {
    let before = room.reading().study.reader().to_owned();
    room.click(&format!("Reader {before}"));
    room.wait_for("Who reads?");
    set_text(room, "New reader", Path::new(name));
    room.click("Read under this name");
    assert_eq!(room.reading().study.reader(), name);
}

fn last_source(room: &Room) -> Source {
    let Event::Label { source, .. } = room.last_event() else { panic!("{:?}", room.last_event()) };
    source
}

#[test]
fn a_second_reader_sees_nothing_of_the_first_and_a_third_settles_what_they_disagree_on() {
    let all = Protocol { double_share: 1.0, ..Protocol::default() };
    let mut room = room(3, all, "A. Levy");
    for key in [Key::J, Key::J, Key::K] {
        room.press(key);
    }
    room.wait_for("Every film has been read");
    hand_over(&mut room, "B. Cohen");
    room.settle();
    assert_eq!(room.reading().study.place(), (0, 3));
    assert_eq!(
        room.reading().worklist.upcoming().len(),
        3,
        "each of the three is to be read twice"
    );
    assert!(room.sees("1 of 3") && !room.sees("You:"), "{:?}", room.words());
    assert!((0..3).all(|row| room.reading().study.answer_of(row).is_none()));
    assert!(!room.reading().can_undo(), "one reader does not take back another's answers");
    room.press(Key::F3);
    assert!(room.sees("0 labelled") || !room.sees("normal"), "{:?}", room.words());
    room.press(Key::F1);
    for _ in 0..3 {
        room.press(Key::K);
        assert_eq!(last_source(&room), Source::Second { doubted: false });
    }
    // Who has read a film does not settle it.
    room.press(Key::F4);
    room.wait_for("someone who has not can settle them");
    assert_eq!(Readers::load(&room.home).names, ["A. Levy", "B. Cohen"]);

    hand_over(&mut room, "C. Weiss");
    room.settle();
    room.wait_for("2 disagreements to settle");
    assert!(!room.sees("Readers:") && !room.sees("Cohen"), "{:?}", room.words());
    let first = room.reading().row().unwrap();
    room.press(Key::N);
    assert_ne!(room.reading().row(), Some(first), "put behind the other one");
    room.press(Key::K);
    assert!(room.sees("Readers:") && room.sees("Normal, pneumonia"), "{:?}", room.words());
    let Event::Adjudicate { answer, between, .. } = room.last_event() else { panic!() };
    assert_eq!((answer, between), (class("pneumonia"), vec![class("normal"), class("pneumonia")]));
    room.press(Key::U);
    assert_eq!(room.reading().worklist.disputes().rows().len(), 2, "taken back");
    room.press(Key::J);
    room.press(Key::J);
    room.wait_for("Nothing to settle");
    let state = room.reading().study.state();
    assert_eq!((state.adjudications().count(), state.disputed().count()), (2, 0));
    assert_eq!(state.labels(state.in_order().next().unwrap().0).count(), 2, "labels stay");
    let _ = room.folder;
}

#[test]
fn a_film_comes_again_without_a_word_and_its_first_answer_stands() {
    let again = Protocol { reread_share: 1.0, reread_after: 1, ..Protocol::default() };
    let mut room = room(2, again, "A. Levy");
    for _ in 0..2 {
        room.press(Key::J);
    }
    assert!(room.reading().row().is_some(), "the first film is due again");
    for _ in 0..2 {
        assert!(room.sitting().answers_afresh());
        assert!(!room.sees("again") && !room.sees("You chose it"), "{:?}", room.words());
        room.press(Key::K);
        assert_eq!(last_source(&room), Source::Reread);
        assert!(room.sees("Drawn at random"), "{:?}", room.words());
    }
    // The key was the wrong one: the film is back, still unawares.
    room.press(Key::U);
    assert!(room.sitting().answers_afresh() && room.reading().worklist.browsed().is_none());
    room.press(Key::N);
    assert!(room.sees("1 put off"), "{:?}", room.words());
    room.press(Key::J);
    room.wait_for("Every film has been read");
    assert_eq!(room.answers(), [class("normal"), class("normal")]);
    let state = room.reading().study.state();
    let same: Vec<bool> =
        state.of("A. Levy").rereads().map(|(_, again)| again.before == again.answer).collect();
    assert_eq!(same.iter().filter(|&&same| same).count(), 1, "{same:?}");
    assert_eq!(room.reading().study.counts().0, 4, "the count moves on with every film");
}

#[test]
fn the_models_opinion_is_shown_when_the_protocol_says_and_recorded() {
    for (opinion, before, after) in [
        (OpinionRule::Before, true, true),
        (OpinionRule::After, false, true),
        (OpinionRule::Never, false, false),
    ] {
        let mut room = room(3, Protocol { opinion, ..Protocol::default() }, "A. Levy");
        room.report(engine::Event::Ranking(ranking(3, &[0, 1, 2])));
        room.harness.run();
        let shows = |room: &Room| room.sees("Model:");
        assert_eq!(shows(&room), before, "{opinion}: {:?}", room.words());
        room.press(Key::J);
        assert_eq!(shows(&room), after, "{opinion}: {:?}", room.words());
        let entries = room.reading().study.session().entries();
        let shown = entries.iter().find_map(|entry| match &entry.event {
            Event::Label { shown, .. } => Some(shown.clone()),
            _ => None,
        });
        let shown = shown.unwrap();
        let held = shown.opinion.unwrap();
        assert_eq!((held.class.as_str(), held.probability), ("pneumonia", 0.87));
        assert_eq!(held.exposure == Exposure::Before, before);
        assert_eq!(shown.opinion_visible, before, "{opinion}");
    }
}

#[test]
fn where_several_read_the_window_asks_who_and_a_name_given_is_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    write_films(&images, 2);
    let home = Home::find(Some(&folder.path().join("home")));
    workspace::create(&home, &NewSession::new("ward".to_owned(), images), &|_, _| {}).unwrap();
    let mut readers = Readers::default();
    readers.choose("A. Levy").unwrap();
    readers.choose("B. Cohen").unwrap();
    readers.save(&home).unwrap();
    let harness = harness(&home, Start::Session("ward".to_owned()));
    let mut room = Room { harness, home, folder };
    room.wait_for("Who reads?");
    room.harness.key_press(Key::J);
    room.harness.step();
    assert!(room.reading().study.session().entries().is_empty(), "the question has the keys");
    room.click("Read as A. Levy");
    assert_eq!(room.reading().study.reader(), "A. Levy");
    room.press(Key::J);
    assert_eq!(room.reading().study.session().entries()[0].reader, "A. Levy");
    assert!(!room.sees("Review"), "there is nothing to settle with one reader");
}
