//! A department's session: 100,000 films, 200,000 events, a million embeddings, all made up.
//!
//! Times are the best of several, since whatever else runs only adds; memory is what the process holds at the moment, so
//! that a bench run by itself tells its own.

use std::io::Write as _;
use std::path::Path;

use penumbra::config::Home;
use penumbra::dataset::index::save_index;
use penumbra::dataset::plane_file::PlaneFile;
use penumbra::dataset::planes::source_preprocess;
use penumbra::dataset::{FilmRecord, Labelled};
use penumbra::device;
use penumbra::engine::{Command, Engine, Event as EngineEvent, LearningPlan, Options};
use penumbra::features::cache;
use penumbra::features::{EmbeddingRows, Embeddings};
use penumbra::model::folder::load_card;
use penumbra::query::{Films, Known, Selector, Strategy};
use penumbra::rng;
use penumbra::session::{Answer, Class, Event, Header, Session, Shown, Source, State, Time};
use penumbra::study::{LabelSet, Workspace};

use super::{Duration, FilmId, Instant, black_box, ms, space};

const FILMS: u64 = 100_000;
const EVENTS: u64 = 200_000;

fn best<T>(mut work: impl FnMut() -> T, repeats: usize) -> Duration {
    let run = |_| {
        let started = Instant::now();
        let made = black_box(work());
        let time = started.elapsed();
        drop(made);
        time
    };
    (0..repeats).map(run).min().unwrap()
}

fn mib() -> u64 {
    device::resident_memory().unwrap_or_default() >> 20
}

fn id(film: u64) -> FilmId {
    FilmId::of(&film.to_le_bytes())
}

fn event(number: u64) -> Event {
    let (film, class) =
        (id(number % FILMS), if number.is_multiple_of(3) { "normal" } else { "pneumonia" });
    if number >= FILMS {
        let first = if (number - FILMS).is_multiple_of(3) { "normal" } else { "pneumonia" };
        let answer = |name: &str| Answer::Class(name.to_owned());
        let (from, to) = (answer(first), answer(class));
        return Event::Relabel { film, from, to, reason: "second look".to_owned(), ms: 2_100 };
    }
    Event::Label {
        film,
        answer: Answer::Class(class.to_owned()),
        ms: 1_500,
        source: Source::Queue { strategy: "typiclust+margin".to_owned(), rank: 0 },
        shown: Shown { model: "demo".to_owned(), zoom: 1.0, ..Shown::NOTHING },
    }
}

/// Writes a log by the words of its format: appending would sync 200,000 times.
fn write_log(session: &Path) {
    let mut head = blake3::hash(&std::fs::read(session.join("session.json")).unwrap());
    let file = std::fs::File::create(session.join("events.jsonl")).unwrap();
    let mut log = std::io::BufWriter::new(file);
    for seq in 0..EVENTS {
        let time = Time::from_milliseconds(1_795_488_060_120 + seq as i64 * 2_000);
        let event = serde_json::to_string(&event(seq)).unwrap();
        let body = format!(
            r#"{{"v":1,"seq":{seq},"time":"{time}","reader":"R1","event":{event},"prev":"{head}""#
        );
        head = blake3::hash(body.as_bytes());
        writeln!(log, r#"{body},"hash":"{head}"}}"#).unwrap();
    }
    log.flush().unwrap();
}

/// Makes the session "big" whose films are hard links to 200 pictures in `home/films`.
fn write_session(home: &Home) {
    let films = home.root().join("films");
    std::fs::create_dir_all(&films).unwrap();
    let mut records = Vec::new();
    for film in 0..FILMS {
        let (file, first) = (format!("{film:06}.png"), format!("{:06}.png", film % 200));
        if film < 200 {
            let shade = |x: u32, y: u32| image::Luma([(x * 2 + y + 37 * film as u32) as u8]);
            image::GrayImage::from_fn(256, 224, shade).save(films.join(&file)).unwrap();
        } else {
            std::fs::hard_link(films.join(first), films.join(&file)).unwrap();
        }
        let found = std::fs::metadata(films.join(&file)).unwrap();
        let modified = found.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        records.push(FilmRecord {
            id: id(film),
            file,
            width: 256,
            height: 224,
            bits: 8,
            bytes: found.len(),
            patient: format!("P{}", film / 2),
            burned_in: false,
            modified: Some(modified.as_nanos() as u64),
        });
    }
    let header = Header::new("big", films).with_classes(Class::defaults());
    drop(Session::create(&home.session("big"), header).unwrap());
    save_index(&home.session("big").join("films.jsonl"), &records).unwrap();
}

/// Opening the session, and folding its log. Peer of the fold: the log's bytes hashed and nothing else.
pub fn bench_session() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::find(Some(folder.path()));
    write_session(&home);
    let before = mib();
    let open = || Workspace::open(&home, "big").unwrap();
    let time = best(open, 5);
    let kept = open();
    println!(
        "session of {FILMS} films opened from its index: {:.0} ms, {} MiB more in memory",
        ms(time),
        mib().saturating_sub(before)
    );
    drop(kept);
    let session = home.session("big");
    write_log(&session);
    let bytes = std::fs::read(session.join("events.jsonl")).unwrap();
    let hash = best(|| blake3::hash(&bytes), 5);
    let fold = best(|| Session::open(&session).unwrap(), 5);
    println!(
        "log of {EVENTS} events, {} MB, read, checked and folded: {:.0} ms  ({:.1} times hashing its bytes)",
        bytes.len() / 1_000_000,
        ms(fold),
        fold.as_secs_f64() / hash.as_secs_f64()
    );
    let (opened, _) = Session::open(&session).unwrap();
    let (header, entries) = (opened.header(), opened.entries());
    let refold = || {
        let mut state = State::new(header);
        for entry in entries {
            state.apply(entry).unwrap();
        }
        state
    };
    println!("  of which the fold of entries in memory: {:.0} ms", ms(best(refold, 5)));
    drop(opened);
    let before = mib();
    let time = best(open, 5);
    let kept = open();
    println!(
        "session of {FILMS} films and {EVENTS} events opened: {:.0} ms, {} MiB more in memory, {} in all",
        ms(time),
        mib().saturating_sub(before),
        mib()
    );
    drop(kept);
}

/// Refit and re-rank after a label, with 100 labels.
fn bench_pool(films: usize, dim: usize, strategies: &[Strategy]) {
    let mut random = rng::stream(4, "bench scale", &[]);
    // Sums of uniform numbers are bell-shaped enough and quick.
    let values: Vec<f32> = (0..films * dim)
        .map(|place| {
            let film = place / dim;
            let shift = if place % 8 == usize::from(!film.is_multiple_of(4)) { 0.5 } else { 0.0 };
            (rng::unit(&mut random) - 0.5) as f32 * 3.5 + shift
        })
        .collect();
    let features = Embeddings::new(dim, values).unwrap();
    let space = space(features);
    let ids: Vec<FilmId> = (0..films as u64).map(id).collect();
    let rows: Vec<usize> = (0..=100).collect();
    let classes: Vec<usize> = rows.iter().map(|row| usize::from(row % 4 > 0)).collect();
    let known = Known::new(&space, &Labelled { rows, classes }, &[], &[]);
    let films_of = Films { ids: &ids, space: &space, views: None };
    for &strategy in strategies {
        let mut selector = Selector::new(0, 48);
        let mut round = || selector.select(strategy, &films_of, &known, 25.0, 48);
        let first = best(&mut round, 1);
        let time = best(&mut round, 5);
        println!(
            "refit + re-rank {films} x {dim}, 100 labels, {strategy:<16} {:7.0} ms  ({:.0} ms the first time), {} MiB in memory",
            ms(time),
            ms(first),
            mib()
        );
    }
}

/// Ranking 100,000 films, with the benchmark's features and with as many as the shipped encoder has.
pub fn bench_rank() {
    for dim in [512, 2_752] {
        let strategies = [Strategy::Margin, Strategy::TypiclustMargin, Strategy::ProbCover];
        bench_pool(FILMS as usize, dim, &strategies);
    }
}

/// Writes what a session keeps of its films once it has been open: planes, and features of the shipped encoder.
fn write_cache(workspace: &Workspace, options: &Options) {
    let card = load_card(&options.base_model).unwrap();
    let pre = source_preprocess(card.preprocess);
    let mut file = PlaneFile::open(&options.cache, pre).unwrap();
    let plane: Vec<u8> = (0..pre.size * pre.size).map(|pixel| (pixel % 251) as u8).collect();
    for key in &options.pool.keys {
        file.add(key, &plane).unwrap();
    }
    file.keep().unwrap();
    let dim = card.architecture.embedding_blocks().iter().sum();
    let mut features = EmbeddingRows::new(dim, workspace.films.len());
    let mut random = rng::stream(4, "bench engine", &[]);
    for _ in 0..workspace.films.len() {
        let row: Vec<f32> = (0..dim).map(|_| rng::unit(&mut random) as f32).collect();
        features.push(&row);
    }
    let key = cache::key(&card.weights_hash, &options.pool.keys);
    cache::save(&options.cache, &key, &features.finish().unwrap()).unwrap();
}

/// The whole engine on 100,000 films that it has seen before, in a process of its own: until it is ready, and until a label
/// has reordered the queue.
pub fn bench_engine() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::find(Some(folder.path()));
    write_session(&home);
    let workspace = Workspace::open(&home, "big").unwrap();
    let plan = LearningPlan { every: 0, ..LearningPlan::default() };
    let options = Options::of(&workspace, device::cpu(), "demo", plan);
    write_cache(&workspace, &options);
    let before = mib();
    let started = Instant::now();
    let engine = Engine::start(options, std::sync::Arc::new(|| {})).unwrap();
    let wait = |wanted: &dyn Fn(&EngineEvent) -> bool| loop {
        if engine.events().iter().any(wanted) {
            return;
        }
        assert!(started.elapsed() < Duration::from_mins(10), "the engine does not come");
        std::thread::sleep(Duration::from_millis(1));
    };
    wait(&|event| matches!(event, EngineEvent::Ready { .. }));
    println!(
        "engine on {FILMS} films seen before, ready after {:.1} s, {} MiB in memory, {} before",
        started.elapsed().as_secs_f64(),
        mib(),
        before
    );
    for labels in 20..25 {
        let rows: Vec<usize> = (0..labels).collect();
        let classes = rows.iter().map(|row| row % 2).collect();
        let version = labels as u64;
        let set = LabelSet { version, rows, classes, ..LabelSet::default() };
        let asked = Instant::now();
        engine.send(Command::Labels(std::sync::Arc::new(set)));
        wait(&|event| matches!(event, EngineEvent::Ranking(ranking) if ranking.version >= version));
        println!(
            "  {labels} labels to a new order: {:.0} ms, {} MiB in memory",
            ms(asked.elapsed()),
            mib()
        );
    }
}

/// Ranking a million films.
pub fn bench_million() {
    bench_pool(1_000_000, 512, &[Strategy::Margin]);
}

/// Frames of the Films view on 100,000 films while the wheel turns: layout and triangulation, without a graphics driver.
#[cfg(feature = "gui")]
pub fn bench_gallery() {
    use egui::Key;
    use egui_kittest::kittest::Queryable as _;
    use penumbra::ui::app::{App, Background, Start};

    let folder = tempfile::tempdir().unwrap();
    let home = Home::find(Some(folder.path()));
    write_session(&home);
    let started = Instant::now();
    let start = Start::Session("big".to_owned());
    let theirs = home.clone();
    let mut harness = egui_kittest::Harness::builder()
        .with_size(egui::Vec2::new(1280.0, 800.0))
        .build_eframe(|context| App::new(&context.egui_ctx, theirs, start, Background::Off, None));
    let on_screen = |app: &App| {
        app.standing().and_then(|standing| standing.film).is_some_and(|film| film.drawn)
    };
    while !on_screen(harness.state()) {
        harness.step();
        assert!(started.elapsed() < Duration::from_mins(2), "the first film never came");
    }
    println!(
        "window on {FILMS} films to the first film: {:.0} ms, {} MiB in memory",
        ms(started.elapsed()),
        mib()
    );
    harness.key_press(Key::G);
    harness.step();
    assert!(harness.query_by_label("Size of films").is_some(), "no Films view");
    // The wheel turns what the pointer is over.
    harness.event(egui::Event::PointerMoved(egui::Pos2::new(640.0, 400.0)));
    harness.step();
    let mut times = Vec::new();
    for _ in 0..600 {
        let frame = Instant::now();
        harness.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Line,
            delta: egui::Vec2::new(0.0, -3.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Wheel,
            modifiers: egui::Modifiers::NONE,
        });
        harness.step();
        let output = harness.output();
        black_box(harness.ctx.tessellate(output.shapes.clone(), 1.0));
        times.push(frame.elapsed());
        // Sixty frames a second, so that films come in between.
        std::thread::sleep(Duration::from_micros(16_600).saturating_sub(frame.elapsed()));
    }
    let drawn = harness.get_all_by_label_contains("Film ").count();
    times.sort_unstable();
    let at = |share: usize| ms(times[times.len() * share / 100]);
    println!(
        "frame of the Films view on {FILMS} films, the wheel turning: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms  (n = {}), \
         {drawn} films in sight, {} MiB in memory",
        at(50),
        at(95),
        at(99),
        times.len(),
        mib()
    );
}
