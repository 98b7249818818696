//! Views, panels, dialogs and the viewer open, close and say what they should.

use std::time::{Duration, Instant};

use egui::{Key, Vec2};
use egui_kittest::kittest::Queryable as _;

use super::{Room, is_prepared, set_text};
use crate::session::Event;
use crate::ui::command::View;
use crate::ui::theme;

#[test]
fn views_panels_and_help_open_and_close_by_key() {
    let mut room = Room::new(3);
    room.press(Key::F2);
    assert_eq!(room.reading().view(), View::Learn);
    assert!(room.sees("How good is the model, after how many labels?") && !room.sees("1 of 3"));
    room.press(Key::J);
    assert!(room.answers().is_empty(), "a key labelled a film that was out of sight");
    room.click("Read");
    assert_eq!(room.reading().view(), View::Read);
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
fn the_help_sheet_is_whole_and_in_the_smallest_window_its_beginning_is() {
    let mut room = Room::new(1);
    room.press(Key::Questionmark);
    let beginning = |room: &Room| {
        let tops = room.harness.get_all_by_label("Keys and mouse").map(|node| node.rect().top());
        tops.fold(f32::INFINITY, f32::min)
    };
    assert!(beginning(&room) >= 0.0);
    let close = room.harness.get_by_label("Close").rect();
    assert!(close.bottom() < theme::WINDOW.y, "the sheet is cut off at {close:?}");
    assert!(close.top() - beginning(&room) > 500.0, "the sheet scrolls where it has room");
    room.press(Key::Questionmark);
    room.harness.set_size(theme::WINDOW_MIN);
    room.press(Key::Questionmark);
    assert!(beginning(&room) >= 0.0, "the sheet is cut off above");
}

#[test]
fn time_in_which_the_film_is_covered_is_no_reading_time() {
    const COVERED: Duration = Duration::from_millis(300);
    type Act = fn(&mut Room);
    fn focus(room: &mut Room, on: bool) {
        room.harness.input_mut().focused = on;
        room.harness.step();
    }
    fn minimise(room: &mut Room, on: bool) {
        let viewports = &mut room.harness.input_mut().viewports;
        let viewport = viewports.entry(egui::ViewportId::ROOT).or_default();
        (viewport.minimized, viewport.occluded) = (Some(on), Some(false));
        room.harness.step();
    }
    let acts: [(&str, Act, Act); 5] = [
        ("Learn view", |room| room.press(Key::F2), |room| room.press(Key::F1)),
        ("help sheet", |room| room.press(Key::Questionmark), |room| room.press(Key::Escape)),
        ("export dialog", |room| room.press(Key::E), |room| room.click("Close")),
        ("other window", |room| focus(room, false), |room| focus(room, true)),
        ("minimised", |room| minimise(room, true), |room| minimise(room, false)),
    ];
    let mut room = Room::new(2 * acts.len() as u32 + 1);
    for (what, cover, uncover) in acts {
        let started = Instant::now();
        // From here on the next film is on screen.
        room.press(Key::J);
        cover(&mut room);
        std::thread::sleep(COVERED);
        uncover(&mut room);
        std::thread::sleep(Duration::from_millis(10));
        room.press(Key::K);
        let event = &room.reading().study.session().entries().last().unwrap().event;
        let Event::Label { ms, .. } = event else { panic!("{event:?}") };
        let read = Duration::from_millis(*ms);
        assert!(read + COVERED <= started.elapsed(), "{what}: {read:?} were counted");
        assert!(read >= Duration::from_millis(10), "{what}: the clock did not go on, {read:?}");
    }
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
fn an_idle_window_does_not_repaint() {
    let mut room = Room::new(5);
    room.press(Key::J);
    room.until("all textures", |app| {
        app.sitting().is_some_and(|r| {
            (0..r.reading.worklist.upcoming().len()).all(|place| is_prepared(r, place))
        })
    });
    // The acknowledgement of a label wakes the window.
    room.until("the label saved", |app| {
        app.sitting().is_some_and(|r| r.reading.study.session().ready())
    });
    for _ in 0..4 {
        room.harness.step();
    }
    let delay = room.harness.output().viewport_output[&egui::ViewportId::ROOT].repaint_delay;
    assert_eq!(delay, Duration::MAX, "{:?}", room.harness.ctx.repaint_causes());
}
