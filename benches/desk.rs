//! Frames of the Learn view while a model learns.

use std::collections::BTreeMap;
use std::path::Path;

use egui::{Event as Input, Pos2, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use penumbra::config::Home;
use penumbra::dataset::labels::read_labels;
use penumbra::device;
use penumbra::engine::LearningPlan;
use penumbra::rng;
use penumbra::session::{Answer, Event, Session, Shown, Source};
use penumbra::study::workspace::{self, NewSession};
use penumbra::ui::app::{App, Background, Start};

use super::{Duration, Instant, black_box, demo, ms};

/// Films of the session, and those that have a label.
const FILMS: usize = 5_232;
const LABELS: usize = 260;
/// The tabs, and what is there once they have something to show.
const TABS: [(&str, &str); 5] = [
    ("Curves", "Save Accuracy over labels"),
    ("Threshold", "Save ROC"),
    ("Outlook", "Save Agreement of successive models"),
    ("Map", "Show in Films"),
    ("Runs", "Save Loss"),
];
/// Frames measured of each tab.
const FRAMES: usize = 300;

/// Writes variants of the demo's films, cropped by some pixels: other files, some nine of each.
fn write_films(folder: &Path) -> BTreeMap<String, String> {
    std::fs::create_dir_all(folder).unwrap();
    let mut random = rng::stream(4, "bench crops", &[]);
    let rows = read_labels(&demo("pool/labels.csv")).unwrap();
    let mut labels = BTreeMap::new();
    for film in 0..FILMS {
        let row = &rows[film % rows.len()];
        let picture = image::open(demo("pool").join(&row.file)).unwrap().into_luma8();
        let edge = |random: &mut _| 1 + (rng::unit(random) * 12.0) as u32;
        let (left, top) = (edge(&mut random), edge(&mut random));
        let (width, height) = (picture.width() - left, picture.height() - top);
        let name = format!("p{film:05}.png");
        image::imageops::crop_imm(&picture, left, top, width, height)
            .to_image()
            .save(folder.join(&name))
            .unwrap();
        labels.insert(name, row.label.clone());
    }
    labels
}

/// A session of films with labels and the demo's reference set.
fn write_session(home: &Home) {
    let films = home.root().join("films");
    let labels = write_films(&films);
    let mut new = NewSession::new("ward".to_owned(), films);
    new.reference = Some((demo("reference"), demo("reference/labels.csv")));
    let found = workspace::create(home, &new, &|_, _| {}).unwrap();
    let (mut session, _) = Session::open(&home.session("ward")).unwrap();
    for film in found.films.iter().step_by(FILMS / LABELS).take(LABELS) {
        let event = Event::Label {
            film: film.id,
            answer: Answer::Class(labels[&film.file].clone()),
            ms: 4_000,
            source: Source::Queue { strategy: "typiclust+margin".to_owned(), rank: 0 },
            shown: Shown { model: "demo".to_owned(), zoom: 1.0, ..Shown::NOTHING },
        };
        session.append("R1", event).unwrap();
        session.flush().unwrap();
    }
}

/// Each tab on 5,232 films with 260 labels, the pointer moving over it, while fine-tuning or distillation runs: layout and
/// triangulation, without a graphics driver. Peer: sixty frames a second.
pub fn bench_desk() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::find(Some(folder.path()));
    write_session(&home);
    let base_model = Some("demo".to_owned());
    let learning =
        Background::Learning { compute: device::cpu(), base_model, plan: LearningPlan::default() };
    let start = Start::Session("ward".to_owned());
    let mut harness = Harness::builder()
        .with_size(Vec2::new(1280.0, 800.0))
        .build_eframe(|context| App::new(&context.egui_ctx, home, start, learning, None));
    let started = Instant::now();
    let learns =
        |app: &App| app.standing().is_some_and(|standing| standing.learns && standing.ranked);
    while !learns(harness.state()) {
        assert!(started.elapsed() < Duration::from_mins(5), "nothing learns");
        std::thread::sleep(Duration::from_millis(5));
        harness.step();
    }
    harness.key_press(egui::Key::F2);
    harness.step();
    for (tab, shown) in TABS {
        harness.get_by_label(tab).click();
        harness.step();
        // The analysis and the map come from a thread of low priority.
        let started = Instant::now();
        while harness.query_by_label(shown).is_none() {
            assert!(started.elapsed() < Duration::from_mins(3), "{tab} is empty");
            harness.step();
            std::thread::sleep(Duration::from_millis(16));
        }
        let (times, learning) = frames(&mut harness, learns);
        let at = |share: usize| ms(times[times.len() * share / 100]);
        println!(
            "frame of the Learn view, {tab}, {FILMS} films, {LABELS} labels: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms \
             (n = {}, {:.0} % of them while a model learnt), {:.2} of a frame at 60 a second at p95",
            at(50),
            at(95),
            at(99),
            times.len(),
            100.0 * learning,
            at(95) * 60.0 / 1000.0
        );
    }
}

/// Times of frames, sorted, and the share of them in which a model learnt.
fn frames(harness: &mut Harness<'_, App>, learns: impl Fn(&App) -> bool) -> (Vec<Duration>, f64) {
    let mut times = Vec::new();
    let mut learning = 0;
    for frame in 0..FRAMES {
        let started = Instant::now();
        let across = 40.0 + (frame as f32 * 7.3) % 880.0;
        let down = 120.0 + (frame as f32 * 3.1) % 480.0;
        harness.event(Input::PointerMoved(Pos2::new(across, down)));
        harness.step();
        let output = harness.output();
        black_box(harness.ctx.tessellate(output.shapes.clone(), 1.0));
        times.push(started.elapsed());
        learning += usize::from(learns(harness.state()));
        std::thread::sleep(Duration::from_micros(16_600).saturating_sub(started.elapsed()));
    }
    times.sort_unstable();
    (times, learning as f64 / FRAMES as f64)
}
