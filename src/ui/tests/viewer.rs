//! The viewer, its tools, its keys and its settings, as a reader meets them.

use egui::{Key, Modifiers, PointerButton, Pos2, Rect, Vec2};
use egui_kittest::kittest::Queryable as _;

use super::{Room, harness, on_screen};
use crate::config::{NextFilm, Profile, Settings, Wheel};
use crate::session::Event;
use crate::ui::app::Start;
use crate::ui::film_view::Tool;

impl Room {
    fn film_rect(&self) -> Rect {
        self.harness.get_by_label_contains("Film 1 of").rect()
    }

    /// Drags on the film with a button, from a point to a point beside its middle.
    fn drag(&mut self, button: PointerButton, modifiers: Modifiers, from: Vec2, to: Vec2) {
        let middle = self.harness.get_by_label_contains("Film ").rect().center();
        self.harness.event(egui::Event::ModifiersChanged(modifiers));
        let at = |room: &mut Self, offset: Vec2, pressed: Option<bool>| {
            let pos = middle + offset;
            room.harness.event(egui::Event::PointerMoved(pos));
            if let Some(pressed) = pressed {
                let event = egui::Event::PointerButton { pos, button, pressed, modifiers };
                room.harness.event(event);
            }
            room.harness.step();
        };
        at(self, from, None);
        at(self, from, Some(true));
        at(self, (from + to) / 2.0, None);
        at(self, to, None);
        at(self, to, Some(false));
        self.harness.event(egui::Event::ModifiersChanged(Modifiers::NONE));
        self.harness.run();
    }

    fn left_drag(&mut self, to: Vec2) {
        self.drag(PointerButton::Primary, Modifiers::NONE, Vec2::ZERO, to);
    }

    /// Window centre and width as the corner says them.
    fn window(&self) -> (f32, f32) {
        let words = self.words();
        let text = words.iter().find(|words| words.starts_with("Film ") && words.contains("C "));
        let mut parts = text.unwrap().split("C ").nth(1).unwrap().split([' ', '·']);
        let centre = parts.next().unwrap().parse().unwrap();
        (centre, parts.nth(1).unwrap().parse().unwrap())
    }
}

#[test]
fn a_left_drag_changes_the_window_and_the_keys_bring_presets() {
    let mut room = Room::new(2);
    let auto = room.window();
    assert!(room.sees("· auto"));
    room.left_drag(Vec2::new(200.0, 0.0));
    let wider = room.window();
    assert!(wider.1 > auto.1 && wider.0 == auto.0 && !room.sees("· auto"), "{auto:?} {wider:?}");
    room.left_drag(Vec2::new(0.0, 200.0));
    assert!(room.window().0 > wider.0, "down raises the centre, which darkens");
    for (key, name) in [
        (Key::Num3, "· lung"),
        (Key::Num4, "· mediastinum"),
        (Key::Num5, "· bone"),
        (Key::Num6, "· full range"),
        (Key::Num1, "· auto"),
    ] {
        room.press(key);
        assert!(room.sees(name), "{name}: {:?}", room.words());
    }
    assert_eq!(room.window(), auto);
    room.left_drag(Vec2::new(200.0, 0.0));
    room.press(Key::Backspace);
    assert_eq!(room.window(), auto, "the window was not reset");
    assert!(room.answers().is_empty());
}

#[test]
fn shift_is_coarser_and_ctrl_finer() {
    let width = |modifiers| {
        let mut room = Room::new(1);
        let before = room.window().1;
        room.drag(PointerButton::Primary, modifiers, Vec2::ZERO, Vec2::new(200.0, 0.0));
        room.window().1 - before
    };
    let (plain, coarse, fine) =
        (width(Modifiers::NONE), width(Modifiers::SHIFT), width(Modifiers::CTRL));
    assert!(coarse > 5.0 * plain && plain > 3.0 * fine, "{plain} {coarse} {fine}");
}

#[test]
fn a_rectangle_gives_its_own_window() {
    for by_tool in [false, true] {
        let mut room = Room::new(1);
        let auto = room.window();
        let modifiers = if by_tool {
            room.press(Key::A);
            Modifiers::NONE
        } else {
            Modifiers::CTRL | Modifiers::SHIFT
        };
        // The film is a ramp that starts over: a small part of it spans few values.
        let (from, to) = (Vec2::new(-250.0, -250.0), Vec2::new(-190.0, -190.0));
        room.drag(PointerButton::Primary, modifiers, from, to);
        assert!(room.sees("· region"), "{:?}", room.words());
        assert!(room.window().1 < auto.1 / 2.0, "{:?}", room.window());
        assert_eq!(
            room.sitting().panels.read.viewer.tool(),
            Tool::Window,
            "the tool is for one rectangle"
        );
    }
}

#[test]
fn a_film_that_is_turned_says_so_until_it_is_reset_and_the_next_one_is_not() {
    let mut room = Room::new(3);
    room.press(Key::H);
    assert!(room.sees("Mirrored: left is right"), "{:?}", room.words());
    room.press(Key::Period);
    assert!(room.sees("Mirrored, rotated 90° to the right"), "{:?}", room.words());
    room.press(Key::J);
    assert!(!room.sees("Mirrored") && !room.sees("otated"), "{:?}", room.words());
    let turned = |room: &Room| {
        let Event::Label { shown, .. } = room.last_event() else { panic!() };
        (shown.mirrored, shown.quarter_turns)
    };
    assert_eq!(turned(&room), (true, 1));
    room.press(Key::J);
    assert_eq!(turned(&room), (false, 0));
    room.press(Key::Comma);
    assert!(room.sees("Rotated 90° to the left"));
    // Hiding the texts hides no warning.
    room.press(Key::Y);
    assert!(!room.sees("C 1") && room.sees("Rotated 90° to the left"), "{:?}", room.words());
    room.press(Key::Y);
    room.press(Key::R);
    assert!(!room.sees("otated"));
}

#[test]
fn rulers_are_dragged_or_clicked_and_removed_by_escape() {
    let mut room = Room::new(2);
    room.press(Key::O);
    room.press(Key::D);
    assert!(room.sees("Ruler: drag, or click both ends"));
    room.left_drag(Vec2::new(30.0, 40.0));
    assert!(room.sees("50 pixels"), "{:?}", room.words());
    let middle = room.film_rect().center();
    for offset in [Vec2::new(-20.0, 10.0), Vec2::new(10.0, 10.0)] {
        room.harness.hover_at(middle + offset);
        room.harness.step();
        room.harness.drag_at(middle + offset);
        room.harness.step();
        room.harness.drop_at(middle + offset);
        room.harness.step();
    }
    room.harness.run();
    assert!(room.sees("30 pixels"), "{:?}", room.words());
    assert_eq!(room.sitting().panels.read.viewer.rulers().len(), 2);
    room.press(Key::Escape);
    assert!(!room.sees("30 pixels") && room.sees("50 pixels"));
    room.press(Key::Escape);
    room.press(Key::Escape);
    assert!(!room.sees("pixels") && !room.sees("Ruler"), "{:?}", room.words());
    assert!(room.sees("· auto"), "measuring changed the window");
}

#[test]
fn the_pointer_says_where_it_is_and_what_is_there() {
    let mut room = Room::new(1);
    room.press(Key::O);
    let middle = room.film_rect().center();
    room.harness.hover_at(middle + Vec2::new(-10.0, -20.0));
    room.harness.step();
    room.harness.run();
    // 120 × 100 pixels; the shade is 2 x + y.
    let text = room.words().into_iter().find(|words| words.contains("x 5")).unwrap();
    let place = text.split("x 5").nth(1).unwrap();
    let figures: Vec<u32> =
        place.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let (x, y, value) = (50 + figures[0], figures[1], figures[2]);
    assert!(x.abs_diff(50) <= 1 && y.abs_diff(30) <= 1, "{text}");
    let file = &room.reading().study.films()[room.reading().row().unwrap()].file;
    let film: u32 = file.split(['-', '.']).nth(1).unwrap().parse().unwrap();
    assert_eq!(value, (2 * x + y + 37 * film) % 256, "{text} of {file}");
    room.harness.hover_at(Pos2::new(600.0, 790.0));
    room.harness.run();
    assert!(!room.sees(" x 5"), "there is no film under the pointer");
}

#[test]
fn the_next_film_keeps_the_display_where_the_reader_wants_it() {
    let mut room = Room::new(3);
    room.press(Key::P);
    room.click("With the window and zoom of this one");
    room.press(Key::Escape);
    assert_eq!(room.sitting().panels.read.viewer.habits.next_film, NextFilm::Sticky);
    room.press(Key::Num3);
    room.press(Key::Plus);
    let zoomed =
        |room: &Room| room.sitting().panels.read.viewer.rulers().is_empty() && room.sees("· lung");
    room.press(Key::J);
    assert!(zoomed(&room), "{:?}", room.words());
    let (home, saved) = (room.home.clone(), Settings::load(&room.home));
    assert_eq!((saved.0.next_film, saved.1), (NextFilm::Sticky, None));
    drop(room.harness);
    let mut room = Room {
        harness: harness(&home, Start::Session("ward".to_owned())),
        home,
        folder: room.folder,
    };
    room.until("the film", |app| app.sitting().is_some_and(on_screen));
    assert_eq!(room.sitting().panels.read.viewer.habits.next_film, NextFilm::Sticky, "forgotten");
}

#[test]
fn keys_are_changed_in_the_settings_and_taken_ones_refused_by_name() {
    let mut room = Room::new(2);
    room.press(Key::P);
    assert!(room.sees("Click a key to change it"), "{:?}", room.words());
    room.click("Invert: I");
    room.press(Key::J);
    assert!(room.sees("J is the key of “Normal”"), "{:?}", room.words());
    assert!(room.answers().is_empty(), "a key meant for the settings labelled a film");
    room.click("Invert: I");
    room.press(Key::B);
    assert!(room.sees("Invert: B") && !room.sees("Invert: I"));
    room.press(Key::Escape);
    room.press(Key::I);
    assert!(!room.sees("inverted"));
    room.press(Key::B);
    assert!(room.sees("inverted"));
    room.press(Key::Questionmark);
    let sheet = room.words();
    let place = sheet.iter().position(|words| words == "Invert").unwrap();
    assert_eq!(sheet[place - 1], "B", "the help sheet is not the live keymap");
    room.press(Key::Escape);
    let (saved, _) = Settings::load(&room.home);
    assert_eq!(saved.keys["invert"], ["B"]);
}

#[test]
fn another_profile_brings_its_keys_to_the_buttons_and_to_the_film() {
    let mut room = Room::new(2);
    room.click("Settings");
    room.click("Penumbra, left hand");
    room.click("Close");
    room.press(Key::J);
    assert!(room.answers().is_empty());
    room.press(Key::F);
    assert_eq!(room.answers().len(), 1);
    room.press(Key::Q);
    room.click("Weasis");
    room.click("Close");
    room.press(Key::Num3);
    room.press(Key::Escape);
    assert!(room.sees("· auto"), "Esc resets in Weasis: {:?}", room.words());
    assert_eq!(Settings::load(&room.home).0.profile, Profile::Weasis);
}

#[test]
fn light_panels_stay_dark_around_films_unless_asked() {
    use egui::Theme::{Dark, Light};
    let mut room = Room::new(2);
    let themes = |room: &mut Room| {
        [Key::F2, Key::F3, Key::F1].map(|view| {
            room.press(view);
            room.harness.ctx.theme()
        })
    };
    for (choice, expected) in [
        ("Dark", [Dark, Dark, Dark]),
        ("Light, dark while reading", [Light, Light, Dark]),
        ("Light everywhere", [Light, Light, Light]),
    ] {
        room.click("Settings");
        room.click(choice);
        room.click("Close");
        assert_eq!(themes(&mut room), expected, "{choice}");
    }
}

#[test]
fn a_broken_settings_file_is_said_and_kept() {
    let room = Room::new(1);
    let Room { harness: old, home, folder } = room;
    drop(old);
    std::io::Write::write_all(&mut std::fs::File::create(home.settings()).unwrap(), b"{\"wheel\"")
        .unwrap();
    let mut room =
        Room { harness: harness(&home, Start::Session("ward".to_owned())), home, folder };
    room.until("the film", |app| app.sitting().is_some_and(on_screen));
    assert!(room.sees("The settings could not be read"), "{:?}", room.words());
    assert!(room.home.root().join("settings.broken-1.json").is_file());
    room.click("Understood");
    assert!(!room.sees("The settings could not be read"));
    room.press(Key::J);
    assert_eq!(room.answers().len(), 1);
}

#[test]
fn films_are_looked_at_ahead_without_an_answer_by_key_and_by_wheel() {
    let mut room = Room::new(4);
    let order: Vec<usize> =
        room.reading().worklist.upcoming().iter().map(|film| film.row).collect();
    room.press(Key::PageDown);
    assert_eq!(room.reading().row(), Some(order[1]));
    room.press(Key::PageDown);
    assert_eq!(room.reading().row(), Some(order[2]));
    room.press(Key::PageUp);
    room.press(Key::PageUp);
    assert_eq!(room.reading().row(), Some(order[0]));
    assert_eq!(room.reading().study.session().entries().len(), 0);
    let settings = Settings { wheel: Wheel::Films, ..Settings::default() };
    settings.save(&room.home).unwrap();
    let (home, folder) = (room.home.clone(), room.folder);
    drop(room.harness);
    let mut room =
        Room { harness: harness(&home, Start::Session("ward".to_owned())), home, folder };
    room.until("the film", |app| app.sitting().is_some_and(on_screen));
    let first = room.reading().row();
    let middle = room.film_rect().center();
    room.harness.hover_at(middle);
    room.harness.step();
    room.harness.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Line,
        delta: Vec2::new(0.0, -1.0),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: Modifiers::NONE,
    });
    for _ in 0..30 {
        room.harness.step();
    }
    room.settle();
    assert_ne!(room.reading().row(), first, "a notch shows the next film");
    assert!(room.answers().is_empty());
}

#[test]
fn the_last_film_equalised_covers_the_one_that_waits_and_stops_answers() {
    let mut room = Room::new(3);
    room.press(Key::C);
    assert!(!room.sees("not diagnostic"), "there is no last film yet");
    room.press(Key::J);
    room.press(Key::C);
    room.wait_for("Last film, equalised (CLAHE) · not diagnostic");
    assert!(!room.sees("Film 2 of"), "both films are shown");
    room.press(Key::K);
    assert_eq!(room.answers().len(), 1, "a film was labelled that was not in sight");
    room.press(Key::Escape);
    assert!(room.sees("Film 2 of") && room.sees("· auto"), "{:?}", room.words());
    room.press(Key::K);
    assert_eq!(room.answers().len(), 2);
}

#[test]
fn the_mouse_alone_reaches_the_viewers_commands() {
    let mut room = Room::new(2);
    let middle = room.film_rect().center();
    let right_click = |room: &mut Room| {
        for pressed in [true, false] {
            room.harness.event(egui::Event::PointerMoved(middle));
            room.harness.event(egui::Event::PointerButton {
                pos: middle,
                button: PointerButton::Secondary,
                pressed,
                modifiers: Modifiers::NONE,
            });
            room.harness.step();
        }
        room.harness.run();
    };
    right_click(&mut room);
    assert!(room.sees("Actual size") || room.sees("Zoom"), "{:?}", room.words());
    room.press(Key::J);
    assert!(room.answers().is_empty(), "a key labelled a film under an open menu");
    room.click("Invert");
    assert!(room.sees("inverted"), "{:?}", room.words());
}
