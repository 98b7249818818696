//! The window without a window: what a reader does, through the tree that screen readers see.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui::{Key, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use penumbra::config::Home;
use penumbra::engine::Ranking;
use penumbra::engine::workspace::{self, NewSession, Workspace};
use penumbra::query::{Ranked, Reason, Strategy};
use penumbra::session::{Answer, Event, Session};
use penumbra::ui::app::reading::Reading;
use penumbra::ui::app::{App, Background, Start};
use penumbra::ui::command::View;

struct Room {
    harness: Harness<'static, App>,
    home: Home,
    folder: tempfile::TempDir,
}

fn write_films(folder: &Path, films: u32) {
    std::fs::create_dir_all(folder).unwrap();
    for film in 0..films {
        let shade = |x: u32, y: u32| image::Luma([(x * 2 + y + 37 * film) as u8]);
        let picture = image::GrayImage::from_fn(120 + film, 100, shade);
        picture.save(folder.join(format!("film-{film}.png"))).unwrap();
    }
}

fn harness(home: &Home, start: Start) -> Harness<'static, App> {
    let home = home.clone();
    Harness::builder()
        .with_size(Vec2::new(1280.0, 800.0))
        // Films are decoded and labels synced on other threads, so a busy machine takes more passes to settle.
        .with_max_steps(64)
        .build_eframe(|context| App::new(&context.egui_ctx, home, start, Background::Off))
}

impl Room {
    /// A session named "ward" on a number of films, opened, the first film on screen.
    fn new(films: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("films");
        write_films(&images, films);
        let home = Home::find(Some(&folder.path().join("home")));
        let new = NewSession::new("ward".to_owned(), images);
        workspace::create(&home, &new, &|_, _| {}).unwrap();
        let harness = harness(&home, Start::Session("ward".to_owned()));
        let mut room = Self { harness, home, folder };
        room.until("the first film", |app| app.reading().is_some_and(on_screen));
        room
    }

    /// Lets passes go by until something is so.
    fn until(&mut self, what: &str, so: impl Fn(&App) -> bool) {
        let start = Instant::now();
        while !so(self.harness.state()) {
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(2));
            self.harness.step();
        }
        self.harness.step();
    }

    /// Lets passes go by until the tree says something.
    fn wait_for(&mut self, text: &str) {
        let start = Instant::now();
        while !self.sees(text) {
            assert!(start.elapsed() < Duration::from_secs(20), "no {text:?}: {:?}", self.words());
            std::thread::sleep(Duration::from_millis(2));
            self.harness.step();
        }
    }

    /// Presses a key and waits until what it entered is on disk and the next film on screen.
    fn press(&mut self, key: Key) {
        self.harness.key_press(key);
        self.harness.step();
        self.settle();
    }

    fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.harness.step();
        self.settle();
    }

    fn settle(&mut self) {
        let ready = |app: &App| {
            app.reading()
                .is_none_or(|r| r.workspace.session.ready() && (r.row().is_none() || on_screen(r)))
        };
        self.until("disk and film", ready);
        self.harness.run();
    }

    fn reading(&self) -> &Reading {
        self.harness.state().reading().unwrap()
    }

    fn answers(&self) -> Vec<Answer> {
        self.reading()
            .workspace
            .session
            .state()
            .in_order()
            .map(|(_, label)| label.answer.clone())
            .collect()
    }

    fn sees(&self, text: &str) -> bool {
        self.words().iter().any(|words| words.contains(text))
    }

    /// Everything that the tree says, labels and values.
    fn words(&self) -> Vec<String> {
        let root = self.harness.root();
        let nodes = root.children_recursive();
        nodes
            .flat_map(|node| {
                let node = node.accesskit_node();
                [node.label(), node.value()]
            })
            .flatten()
            .collect()
    }
}

fn on_screen(reading: &Reading) -> bool {
    let row = reading.row();
    row.is_some_and(|row| reading.film_view.is_prepared(row))
        || matches!(reading.film(), Some(Err(_)))
}

fn class(name: &str) -> Answer {
    Answer::Class(name.to_owned())
}

/// A ranking that is sure of something about every film.
fn ranking(films: usize, order: &[usize]) -> Arc<Ranking> {
    let reason = || Reason::Margin { margin: 0.4321 };
    Arc::new(Ranking {
        version: 0,
        labels: 0,
        model: "oracle-of-ward".to_owned(),
        strategy: Strategy::Margin,
        order: order.iter().map(|&index| Ranked { index, score: 0.5, reason: reason() }).collect(),
        probabilities: (0..films).flat_map(|_| [0.13, 0.87]).collect(),
        reference: None,
        milliseconds: 1.0,
    })
}

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
    let latency = &room.reading().latency;
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
    let next = room.reading().upcoming[1].row;
    room.until("the next texture", |app| {
        app.reading().is_some_and(|r| r.film_view.is_prepared(r.upcoming[1].row))
    });
    room.harness.key_down(Key::J);
    room.harness.step();
    assert_eq!(room.reading().row(), Some(next));
    // The clock stops when the pass after the one that drew begins: one more pass, and no second one.
    room.harness.step();
    assert_eq!(room.reading().latency.count(), 1, "the film was not drawn in the pass of its key");
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
        room.reading().workspace.session.entries().len(),
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
    room.harness.state_mut().reading_mut().unwrap().take_ranking(ranking(6, &order));
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
    let event = room.reading().workspace.session.entries().last().unwrap().event.clone();
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
    room.harness.state_mut().reading_mut().unwrap().take_ranking(ranking(60, &order));
    for _ in 0..59 {
        room.press(Key::K);
    }
    let (correct, n) = room.reading().audit();
    let drawn = room.reading().workspace.session.state().audit().count();
    assert!(n > 0, "with a share of a tenth, 59 films hold one drawn at random");
    assert_eq!(
        (correct, n),
        (drawn, drawn),
        "the model says pneumonia of every film, and so does the reader"
    );
    assert!(room.sees("random films"), "{:?}", room.words());
}

#[test]
fn views_panels_and_help_open_and_close_by_key() {
    let mut room = Room::new(3);
    room.press(Key::Num2);
    assert_eq!(room.reading().view, View::Learn);
    assert!(room.sees("How good is the model, after how many labels?") && !room.sees("1 of 3"));
    room.press(Key::J);
    assert!(room.answers().is_empty(), "a key labelled a film that was out of sight");
    room.click("Read");
    assert_eq!(room.reading().view, View::Read);
    room.press(Key::F);
    assert!(
        room.sees("1 of 3") && !room.sees("labelled") && !room.sees("Pneumonia"),
        "{:?}",
        room.words()
    );
    room.press(Key::J);
    assert_eq!(room.answers().len(), 1, "keys label with the panels hidden");
    room.press(Key::Tab);
    assert!(room.sees("Pneumonia"));
    room.press(Key::Questionmark);
    assert!(room.sees("Keys and mouse") && room.sees("Left drag"));
    room.press(Key::J);
    assert_eq!(room.answers().len(), 1, "the help sheet let a label through");
    room.press(Key::Escape);
    assert!(!room.sees("Left drag"));
}

#[test]
fn window_zoom_and_invert_show_in_the_corners() {
    let mut room = Room::new(2);
    assert!(room.sees("· auto") && !room.sees("inverted"));
    room.press(Key::I);
    assert!(room.sees("inverted"));
    let film = room.harness.get_by_label_contains("1 of 2").rect();
    room.harness.drag_at(film.center());
    room.harness.step();
    room.harness.hover_at(film.center() + Vec2::new(60.0, 30.0));
    room.harness.step();
    room.harness.drop_at(film.center() + Vec2::new(60.0, 30.0));
    room.harness.step();
    room.harness.run();
    assert!(!room.sees("· auto"), "the drag left the window alone: {:?}", room.words());
    room.press(Key::O);
    assert!(room.sees("100 %"));
    room.press(Key::R);
    assert!(room.sees("· auto") && !room.sees("inverted") && !room.sees("100 %"));
}

#[test]
fn a_broken_film_says_so_and_can_be_passed() {
    let room = Room::new(3);
    let next = room.reading().workspace.films[room.reading().upcoming[2].row].clone();
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
    room.until("the first film", |app| app.reading().is_some_and(on_screen));
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
    room.until("the session", |app| app.reading().is_some_and(on_screen));
    assert_eq!(room.answers(), answers);
    assert!(room.sees("3 labelled · 3 saved") && room.sees("5 of 6"), "{:?}", room.words());
    room.press(Key::U);
    assert!(
        room.sees("2 labelled · 2 saved"),
        "the last answer of the sitting before can be taken back"
    );
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
    room.until("the session", |app| app.reading().is_some_and(on_screen));
    assert_eq!(room.reading().workspace.name, "ward-2");
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
    room.until("the session", |app| app.reading().is_some_and(on_screen));
    assert!(room.sees("1 labelled · 1 saved"), "{:?}", room.words());
}

#[test]
fn a_session_open_elsewhere_is_refused_on_the_start_screen() {
    let room = Room::new(2);
    let harness = harness(&room.home, Start::Session("ward".to_owned()));
    let mut second =
        Room { harness, home: room.home.clone(), folder: tempfile::tempdir().unwrap() };
    second.wait_for("The session is open in another window");
    assert!(second.sees("ward") && second.harness.state().reading().is_none());
    // The start screen is still of use.
    second.wait_for("Open the demo");
}

#[test]
fn labels_are_exported_from_the_dialog() {
    let mut room = Room::new(3);
    room.press(Key::J);
    room.press(Key::E);
    let out = room.folder.path().join("out");
    set_text(&mut room, "Export folder", &out);
    room.press(Key::J);
    assert_eq!(room.answers().len(), 1, "typing into the dialog labelled a film");
    set_text(&mut room, "Export folder", &out);
    room.click("Export");
    room.wait_for("1 labelled film written to");
    let table = std::fs::read_to_string(out.join("labels.csv")).unwrap();
    assert!(table.contains("normal") && table.lines().count() == 2, "{table}");
    room.click("Export");
    room.wait_for("new or empty:");
    room.click("Close");
    assert!(!room.sees("Export folder"));
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
    room.until("the session", |app| app.reading().is_some_and(on_screen));
    assert!(room.sees("1 of 3") && room.sees("clinic"));
    assert_eq!(Session::list(&room.home.sessions()).len(), 1);
}

#[test]
fn an_idle_window_does_not_repaint() {
    let mut room = Room::new(5);
    room.press(Key::J);
    room.until("all textures", |app| {
        app.reading()
            .is_some_and(|r| r.upcoming.iter().all(|film| r.film_view.is_prepared(film.row)))
    });
    for _ in 0..4 {
        room.harness.step();
    }
    let delay = room.harness.output().viewport_output[&egui::ViewportId::ROOT].repaint_delay;
    assert_eq!(delay, Duration::MAX, "{:?}", room.harness.ctx.repaint_causes());
}

#[test]
fn ward_can_be_opened_by_the_commands_afterwards() {
    let mut room = Room::new(3);
    room.press(Key::K);
    let Room { harness, home, folder } = room;
    drop(harness);
    let workspace = Workspace::open(&home, "ward").unwrap();
    assert_eq!(workspace.label_set().classes, [1]);
    drop(folder);
}

/// Puts text into a field by its name.
fn set_text(room: &mut Room, name: &str, text: &Path) {
    let text: PathBuf = text.to_owned();
    let field = room.harness.get_by(|node| {
        let role = format!("{:?}", node.role());
        role == "TextInput" && node.label().is_some_and(|label| label == name)
    });
    field.focus();
    room.harness.step();
    room.harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
    room.harness.event(egui::Event::Text(text.display().to_string()));
    room.harness.step();
    room.harness.run();
}
