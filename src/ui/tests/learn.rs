//! The Learn view's tabs: thresholds move, plots are saved, films are picked on the map.

use std::sync::Arc;

use egui::{Key, Pos2};
use egui_kittest::kittest::Queryable as _;

use super::Room;
use crate::engine::{self, Change, Insight, ModelChange};
use crate::features::Embeddings;
use crate::session::{Event, Source};
use crate::study::Held;
use crate::study::analysis::{Analysis, FilmMap};
use crate::ui::command::View;

fn take(room: &mut Room, insight: Insight) {
    room.report(engine::Event::Insight(insight));
    room.harness.step();
}

fn judged() -> Insight {
    let p = [0.1f32, 0.2, 0.4, 0.45, 0.7, 0.9];
    let held = Held {
        rows: Vec::new(),
        probabilities: p.iter().flat_map(|&p| [1.0 - p, p]).collect(),
        truth: vec![0, 0, 0, 1, 1, 1],
    };
    let analysis = Analysis {
        labels: 6,
        base: "demo".to_owned(),
        held_of_reference: held,
        ..Analysis::default()
    };
    Insight::Analysis(Arc::new(analysis))
}

#[test]
fn without_an_engine_the_tabs_say_so() {
    let mut room = Room::new(2);
    room.press(Key::F2);
    for tab in ["Threshold", "Outlook", "Map"] {
        room.click(tab);
        assert!(
            room.sees("Learning is off: there is no model to look at"),
            "{tab}: {:?}",
            room.words()
        );
    }
    room.click("Runs");
    assert!(room.sees("No model has been made in this session"));
}

#[test]
fn the_confusion_follows_the_threshold_and_plots_are_saved() {
    let mut room = Room::new(2);
    room.press(Key::F2);
    take(&mut room, judged());
    room.click("Threshold");
    assert!(room.sees("pneumonia: 1 called normal, 2 called pneumonia"), "{:?}", room.words());
    room.click("Largest sum");
    assert!(room.sees("pneumonia: 0 called normal, 3 called pneumonia"), "{:?}", room.words());
    room.click("Half");
    assert!(room.sees("normal: 3 called normal, 0 called pneumonia"));
    let plots = room.reading().study.session().folder().join("plots");
    for (button, file) in [("Save as CSV", "roc.csv"), ("Save as SVG", "roc.svg")] {
        room.click("Save ROC");
        room.click(button);
        room.wait_for(&format!("{}", plots.join(file).display()));
    }
    let table = std::fs::read_to_string(plots.join("roc.csv")).unwrap();
    assert!(table.contains("ROC (n = 6),0,0,") && table.contains("Threshold .50,"), "{table}");
    assert!(std::fs::read_to_string(plots.join("roc.svg")).unwrap().starts_with("<svg"));
}

fn map(films: usize) -> Insight {
    let at = |film: usize| [film as f32, (film % 2) as f32];
    let values = (0..films).flat_map(|film| [(film as f32).cos(), (film as f32).sin()]).collect();
    Insight::Map(Arc::new(FilmMap {
        model: "demo".to_owned(),
        components: (0..films).map(at).collect(),
        explained: 0.4,
        neighbours: None,
        clusters: (0..films).map(|film| film % 3).collect(),
        directions: Embeddings::new(2, values).unwrap(),
    }))
}

/// Draws a line around the whole map.
fn around(room: &mut Room) {
    let area = room.harness.get_by_label("Map of 6 films").rect();
    let inner = area.shrink(2.0);
    let corners = [inner.left_top(), inner.right_top(), inner.right_bottom(), inner.left_bottom()];
    let go = |room: &mut Room, to: Pos2| {
        room.harness.hover_at(to);
        room.harness.step();
    };
    go(room, corners[0]);
    room.harness.drag_at(corners[0]);
    room.harness.step();
    for corner in &corners[1..] {
        go(room, *corner);
    }
    room.harness.drop_at(corners[3]);
    room.harness.step();
    room.harness.step();
}

#[test]
fn films_picked_on_the_map_are_listed_or_read_next() {
    let mut room = Room::with_audit(6, 0.0);
    room.press(Key::J);
    room.press(Key::F2);
    room.click("Map");
    take(&mut room, map(6));
    assert!(room.sees("Map of 6 films"), "{:?}", room.words());
    around(&mut room);
    assert!(room.sees("6 films picked, 5 without an answer"), "{:?}", room.words());
    room.click("Show in Films");
    assert_eq!(room.reading().view(), View::Films);
    assert!(room.sees("From the map 6"), "{:?}", room.words());
    room.press(Key::F2);
    room.click("Read next");
    assert_eq!(room.reading().view(), View::Read);
    room.press(Key::K);
    let Event::Label { source, .. } = room.last_event() else { panic!("{:?}", room.last_event()) };
    assert_eq!(source, Source::Browse, "a film that the reader picked counts as drawn");
}

#[test]
fn a_model_that_is_taken_back_goes_into_the_log() {
    let mut room = Room::new(2);
    room.press(Key::F2);
    let change = ModelChange { model: "demo".to_owned(), change: Change::Chosen };
    room.report(engine::Event::ModelChanged(change));
    room.settle();
    let Event::ModelSwap { model, accepted, reason, labels, .. } = room.last_event() else {
        panic!("{:?}", room.last_event())
    };
    assert_eq!((model.as_str(), accepted, labels), ("demo", true, 0));
    assert!(reason.starts_with("The reader went back to it"), "{reason}");
    room.click("Runs");
    assert!(room.sees("in use"), "{:?}", room.words());
}
