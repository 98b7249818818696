//! What a reader sees follow a key or a drag.

use std::collections::BTreeMap;

use egui::{Color32, Key, PointerButton, Pos2, Vec2};
use egui_kittest::Harness;
use penumbra::config::Home;
use penumbra::dataset::labels::read_labels;
use penumbra::device;
use penumbra::engine::LearningPlan;
use penumbra::imaging::{self, DisplayTable, View, Window};
use penumbra::rng;
use penumbra::study::workspace::{self, NewSession};
use penumbra::ui::app::{App, Background, Start};

use super::{Duration, Instant, Path, black_box, demo, ms};

/// Which films are read.
#[derive(Clone, Copy, PartialEq)]
pub enum Films {
    /// The demo's 600, 8 bit, some 300 pixels high.
    Demo,
    /// 60 of 3,000 × 3,000 pixels of 16 bits, enlarged from the demo's, with a detector's noise.
    Large,
}

impl Films {
    const fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo films",
            Self::Large => "films of 3,000 x 3,000 x 16 bit",
        }
    }

    /// Films read, and the time that a quick reader takes for one: large ones cannot be decoded four a second beside
    /// training.
    const fn pace(self) -> (usize, Duration) {
        match self {
            Self::Demo => (200, Duration::from_millis(250)),
            Self::Large => (58, Duration::from_millis(1_500)),
        }
    }
}

/// Label key to the next film laid out and triangulated, while fine-tuning and distillation run; what a graphics
/// driver adds is not in it. Peer: the same with nothing in the background.
pub fn bench_paint(films: Films) {
    let folder = tempfile::tempdir().unwrap();
    if films == Films::Large {
        write_large(&folder.path().join("films"), 60);
    }
    let busy = run(films, folder.path(), true);
    let idle = run(films, folder.path(), false);
    for (name, times, share) in [("while learning", &busy.0, busy.1), ("at rest", &idle.0, idle.1)]
    {
        println!(
            "label key to next film, {}, {name}: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms  (n = {}, {:.0} % of them \
             while a model learnt)",
            films.name(),
            ms(quantile(times, 0.5)),
            ms(quantile(times, 0.95)),
            ms(quantile(times, 0.99)),
            times.len(),
            100.0 * share
        );
    }
    let ratio = quantile(&busy.0, 0.95).as_secs_f64() / quantile(&idle.0, 0.95).as_secs_f64();
    println!(
        "label key to next film, {}: p95 while learning is {ratio:.2} times that at rest",
        films.name()
    );
}

fn quantile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1]
}

/// Writes 16-bit PNGs of 3,000 × 3,000 pixels: demo films, enlarged, 12 bits of signal and some noise.
fn write_large(folder: &Path, films: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let mut random = rng::stream(2, "bench noise", &[]);
    let rows = read_labels(&demo("pool/labels.csv")).unwrap();
    for row in rows.iter().take(films) {
        let small = image::open(demo("pool").join(&row.file)).unwrap().into_luma16();
        let mut large =
            image::imageops::resize(&small, 3000, 3000, image::imageops::FilterType::Triangle);
        let noise: Vec<u16> = (0..4099).map(|_| (rng::unit(&mut random) * 24.0) as u16).collect();
        for (pixel, noise) in large.pixels_mut().zip(noise.iter().cycle()) {
            pixel.0[0] = pixel.0[0] / 17 + noise;
        }
        let name = Path::new(&row.file).file_stem().unwrap().to_string_lossy().into_owned();
        large.save(folder.join(format!("{name}.png"))).unwrap();
    }
}

/// Opens the program on films that stand in `folder/films`, or on the demo's.
fn open(films: Films, folder: &Path, learning: bool, size: Vec2) -> Harness<'static, App> {
    let home_folder = folder.join(if learning { "busy" } else { "idle" });
    let home = Home::find(Some(&home_folder));
    let start = match films {
        Films::Demo => Start::Demo,
        Films::Large => {
            let new = NewSession::new("large".to_owned(), folder.join("films"));
            workspace::create(&home, &new, &|_, _| {}).unwrap();
            Start::Session("large".to_owned())
        }
    };
    let background = if learning {
        let base_model = Some("demo".to_owned());
        Background::Learning { compute: device::cpu(), base_model, plan: LearningPlan::default() }
    } else {
        Background::Off
    };
    let mut harness = Harness::builder()
        .with_size(size)
        .build_eframe(|context| App::new(&context.egui_ctx, home, start, background, None));
    step_until(&mut harness, Duration::from_mins(1), ready);
    if learning {
        let ranked = |app: &App| app.standing().is_some_and(|standing| standing.ranked);
        step_until(&mut harness, Duration::from_mins(4), ranked);
    }
    harness
}

/// Labels films as the demo's labels file says; returns the times and the share spent while a model learnt.
fn run(films: Films, folder: &Path, learning: bool) -> (Vec<Duration>, f64) {
    let stem = |file: &str| Path::new(file).file_stem().unwrap().to_string_lossy().into_owned();
    let answers: BTreeMap<String, Key> = read_labels(&demo("pool/labels.csv"))
        .unwrap()
        .into_iter()
        .map(|row| (stem(&row.file), if row.label == "normal" { Key::J } else { Key::K }))
        .collect();
    let mut harness = open(films, folder, learning, Vec2::new(1280.0, 800.0));
    let (count, pace) = films.pace();
    let mut times = Vec::new();
    let mut while_learning = 0;
    for _ in 0..count {
        let standing = harness.state().standing().unwrap();
        let file = standing.film.unwrap().file.to_owned();
        let key = answers[&stem(&file)];
        while_learning += usize::from(standing.learns);
        let started = Instant::now();
        harness.key_press(key);
        loop {
            harness.step();
            let app = harness.state();
            let next = app.standing().and_then(|standing| standing.film);
            if next.is_some_and(|film| film.file != file && film.drawn) {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "the next film never came");
        }
        let output = harness.output();
        black_box(harness.ctx.tessellate(output.shapes.clone(), 1.0));
        times.push(started.elapsed());
        let until = Instant::now() + pace;
        step_until(&mut harness, Duration::from_secs(20), |app| {
            Instant::now() > until && saved(app)
        });
    }
    (times, while_learning as f64 / count as f64)
}

/// The pixels of one frame of a drag: the visible part of a film of 3,000 × 3,000 × 16 bit through a new window. Peers:
/// the window computed for each pixel of the same part in an `image` buffer; and the least that can be done, a shift of
/// each value to eight bits. The fastest of many, since whatever else runs only adds.
pub fn bench_render() {
    let mut random = rng::stream(3, "bench film", &[]);
    let side = 3000_u32;
    let values: Vec<u16> = (0..side * side)
        .map(|i| (i % side / 4 + i / side / 3) as u16 + (rng::unit(&mut random) * 300.0) as u16)
        .collect();
    let about = imaging::About::default();
    let film = imaging::Film { width: side, height: side, bits: 16, values, about };
    let mut table = DisplayTable::default();
    let mut pixels: Vec<Color32> = Vec::new();
    let mut step = 0.0;
    let mut window = || {
        step += 1.0;
        Window { centre: 1000.0 + step, width: 1200.0 - step }
    };
    for (what, part) in [
        ("fitted in 1280 x 800", [0, 0, 750, 750]),
        ("pixel by pixel on 2560 x 1440", [256, 512, 2560, 1536]),
    ] {
        let [x, y, width, height] = part;
        let own = fastest(100, || {
            table.set(&film, &View::Window(window()), false);
            table.render(&film, part, Color32::from_gray, &mut pixels);
            pixels.len()
        });
        let rows = film.values.chunks_exact(side as usize).skip(y).take(height);
        let values: Vec<u16> = rows.flat_map(|row| &row[x..x + width]).copied().collect();
        let mut pixels = Vec::with_capacity(values.len());
        let least = fastest(100, || {
            pixels.clear();
            pixels.extend(values.iter().map(|value| Color32::from_gray((value >> 8) as u8)));
            pixels.len()
        });
        let buffer: image::ImageBuffer<image::Luma<u16>, _> =
            image::ImageBuffer::from_raw(width as u32, height as u32, values).unwrap();
        let peer = fastest(20, || {
            let window = window();
            pixels.clear();
            let grey = |pixel: &image::Luma<u16>| Color32::from_gray(window.map(pixel.0[0]));
            pixels.extend(buffer.pixels().map(grey));
            pixels.len()
        });
        println!(
            "window of {what}: {:.2} ms for {:.1} Mpixel  ({:.3} of the time of a loop over an image buffer, {:.1} times a \
             bare shift)",
            ms(own),
            (width * height) as f64 / 1e6,
            own.as_secs_f64() / peer.as_secs_f64(),
            own.as_secs_f64() / least.as_secs_f64()
        );
    }
}

fn fastest<T>(repeats: usize, mut work: impl FnMut() -> T) -> Duration {
    let run = |_| {
        let started = Instant::now();
        black_box(work());
        started.elapsed()
    };
    (0..repeats).map(run).min().unwrap()
}

/// Frames of a window drag on a film of 3,000 × 3,000 × 16 bit: input to triangles; what a graphics driver adds is not
/// in it. Peer: the same pass with the pointer moving and no button down.
pub fn bench_drag() {
    let folder = tempfile::tempdir().unwrap();
    write_large(&folder.path().join("films"), 2);
    for size in [Vec2::new(1280.0, 800.0), Vec2::new(2560.0, 1440.0)] {
        for close in [false, true] {
            let home = tempfile::tempdir_in(folder.path()).unwrap();
            std::os::unix::fs::symlink(folder.path().join("films"), home.path().join("films"))
                .unwrap();
            let mut harness = open(Films::Large, home.path(), false, size);
            for _ in 0..20 {
                harness.step();
            }
            if close {
                harness.key_press(Key::O);
                harness.step();
            }
            let middle = size.to_pos2() / 2.0;
            let idle = frames(&mut harness, middle);
            button(&mut harness, middle, true);
            let times = frames(&mut harness, middle);
            button(&mut harness, middle, false);
            println!(
                "frame of a window drag, {} x {}, {}: p50 {:.1} ms, p95 {:.1} ms  ({:.1} times a frame without the drag)",
                size.x,
                size.y,
                if close { "pixel by pixel" } else { "fitted" },
                ms(quantile(&times, 0.5)),
                ms(quantile(&times, 0.95)),
                quantile(&times, 0.5).as_secs_f64() / quantile(&idle, 0.5).as_secs_f64()
            );
        }
    }
}

fn button(harness: &mut Harness<'_, App>, pos: Pos2, pressed: bool) {
    let modifiers = egui::Modifiers::NONE;
    harness.event(egui::Event::PointerMoved(pos));
    let button = PointerButton::Primary;
    harness.event(egui::Event::PointerButton { pos, button, pressed, modifiers });
    harness.step();
}

/// Moves the pointer about and takes the time of each pass.
fn frames(harness: &mut Harness<'_, App>, middle: Pos2) -> Vec<Duration> {
    let frame = |step: usize| {
        let angle = step as f32 / 20.0;
        let pos = middle + Vec2::angled(angle) * 150.0;
        let started = Instant::now();
        harness.event(egui::Event::PointerMoved(pos));
        harness.step();
        let output = harness.output();
        black_box(harness.ctx.tessellate(output.shapes.clone(), 1.0));
        started.elapsed()
    };
    (0..120).map(frame).skip(10).collect()
}

fn ready(app: &App) -> bool {
    app.standing().and_then(|standing| standing.film).is_some_and(|film| film.drawn)
}

fn saved(app: &App) -> bool {
    app.standing().is_some_and(|standing| standing.saved)
}

fn step_until(harness: &mut Harness<'_, App>, limit: Duration, so: impl Fn(&App) -> bool) {
    let started = Instant::now();
    while !so(harness.state()) {
        assert!(started.elapsed() < limit, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
        harness.step();
    }
}
