//! What a reader waits for, measured: `cargo bench` prints a line a figure, each beside a named peer of the same run.
//!
//! Give names to run only some: `cargo bench -- paint rank`. Times are medians unless they say otherwise.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints its figures and stops at a fault"
)]

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use penumbra::dataset::{FilmId, Labelled, PatientRule, scan};
use penumbra::features::{Embeddings, Space, SpaceFilms};
use penumbra::imaging::FixedView;
use penumbra::query::{Films, Known, Selector, Strategy};
use penumbra::rng;
use penumbra::session::{Answer, Event, Header, Session, Shown, Source};

fn main() {
    let names: Vec<String> =
        std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|given| given == name);
    if wanted("rank") {
        bench_rank();
    }
    if wanted("import") {
        bench_import();
    }
    if wanted("append") {
        bench_append();
    }
    if wanted("finetune") {
        finetune::bench_second();
    }
    if wanted("scale-session") {
        scale::bench_session();
    }
    if wanted("scale-rank") {
        scale::bench_rank();
    }
    if wanted("scale-engine") {
        scale::bench_engine();
    }
    if wanted("scale-million") {
        scale::bench_million();
    }
    #[cfg(feature = "gui")]
    {
        if wanted("scale-gallery") {
            scale::bench_gallery();
        }
        if wanted("desk") {
            desk::bench_desk();
        }
        if wanted("paint") {
            paint::bench_paint(paint::Films::Demo);
        }
        if wanted("paint-large") {
            paint::bench_paint(paint::Films::Large);
        }
        if wanted("drag") {
            paint::bench_render();
            paint::bench_drag();
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn time<T>(mut work: impl FnMut() -> T, repeats: usize) -> Duration {
    let run = |_| {
        let started = Instant::now();
        black_box(work());
        started.elapsed()
    };
    median((0..repeats).map(run).collect())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Two classes whose means differ, under noise.
fn films(count: usize, dim: usize) -> (Embeddings, Vec<usize>) {
    let mut random = rng::stream(1, "bench films", &[]);
    let classes: Vec<usize> = (0..count).map(|film| usize::from(film % 4 > 0)).collect();
    let draw = |class: &usize| {
        (0..dim)
            .map(|i| rng::normal(&mut random) + if i % 8 == *class { 0.5 } else { 0.0 })
            .collect::<Vec<_>>()
    };
    let values: Vec<f32> = classes.iter().flat_map(draw).collect();
    (Embeddings::new(dim, values).unwrap(), classes)
}

/// One label: refit, re-score 5,000 films, re-rank. Peer: the refit alone.
fn bench_rank() {
    let (features, truth) = films(5_000, 512);
    let views = vec![features.clone(); FixedView::ALL.len()];
    let ids: Vec<FilmId> = (0..5_000_u32).map(|film| FilmId::of(&film.to_le_bytes())).collect();
    let space = space(features);
    let films = Films { ids: &ids, space: &space, views: Some(&views) };
    for labels in [10, 100, 1_000] {
        let rows: Vec<usize> = (0..=labels).collect();
        let labelled = Labelled { classes: rows.iter().map(|&row| truth[row]).collect(), rows };
        let known = Known::new(&space, &labelled, &[], &[]);
        let refit = time(|| space.head(&labelled, 25.0), 15);
        for strategy in Strategy::ALL {
            let mut selector = Selector::new(0, 48);
            let mut round = || selector.select(strategy, &films, &known, 25.0, 48);
            // Clusters are made once and then reused.
            let first = time(&mut round, 1);
            let later = time(&mut round, 15);
            println!(
                "refit + re-rank 5000 x 512, {labels:>4} labels, {strategy:<21} {:7.2} ms  ({:.2} times a refit alone, \
                 {:.0} ms the first time)",
                ms(later),
                later.as_secs_f64() / refit.as_secs_f64(),
                ms(first)
            );
        }
    }
}

/// Films on the head's scale, each of a patient of its own, that can have two classes.
fn space(features: Embeddings) -> Space {
    let patients = (0..features.len()).map(|film| film.to_string()).collect();
    Space::scaled(features, SpaceFilms { patients, classes: 2, unreadable: Vec::new() }).unwrap()
}

fn demo(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(part)
}

/// Indexing the demo's 600 films: hash, decode, patient. Peer: decoding them one after the other and nothing else.
fn bench_import() {
    let root = demo("pool");
    let rule = PatientRule::new(r"^(p\d+)-").unwrap();
    let found = scan(&root, &rule, &|_, _| {}).unwrap();
    let import = time(|| scan(&root, &rule, &|_, _| {}).unwrap(), 5);
    let decode = || {
        found
            .films
            .iter()
            .map(|film| image::open(root.join(&film.file)).unwrap().width())
            .sum::<u32>()
    };
    let peer = time(decode, 5);
    let count = found.films.len() as f64;
    println!(
        "import {count} films: {:.0} films/s  ({:.2} times the pace of decoding alone on one thread)",
        count / import.as_secs_f64(),
        peer.as_secs_f64() / import.as_secs_f64()
    );
}

/// A label into the log, acknowledged from disk. Peer: as many bytes appended to a file and synced.
fn bench_append() {
    let folder = tempfile::tempdir().unwrap();
    let session_folder = folder.path().join("s");
    let mut session = Session::create(&session_folder, Header::new("bench", "films")).unwrap();
    let mut peer_file: File =
        OpenOptions::new().create(true).append(true).open(folder.path().join("peer")).unwrap();
    let (mut own, mut peer) = (Vec::new(), Vec::new());
    for film in 0..200_u32 {
        let event = Event::Label {
            film: FilmId::of(&film.to_le_bytes()),
            answer: Answer::Class("normal".to_owned()),
            ms: 1_500,
            source: Source::Queue { strategy: "margin".to_owned(), rank: 0 },
            shown: Shown {
                model: "demo".to_owned(),
                window_centre: 120.0,
                window_width: 240.0,
                zoom: 1.0,
                inverted: false,
                mirrored: false,
                quarter_turns: 0,
                opinion_visible: false,
                opinion: None,
            },
        };
        let started = Instant::now();
        session.append("R1", event).unwrap();
        session.flush().unwrap();
        own.push(started.elapsed());
        let started = Instant::now();
        peer_file.write_all(&[b'x'; 640]).unwrap();
        peer_file.sync_data().unwrap();
        peer.push(started.elapsed());
    }
    let bytes = std::fs::metadata(session_folder.join("events.jsonl")).unwrap().len() / 200;
    let (own, peer) = (median(own), median(peer));
    println!(
        "label to disk: {:.2} ms for {bytes} bytes  ({:.2} times a bare write and sync of 640 bytes)",
        ms(own),
        own.as_secs_f64() / peer.as_secs_f64()
    );
}

#[cfg(feature = "gui")]
#[path = "desk.rs"]
mod desk;
#[path = "finetune.rs"]
mod finetune;
#[cfg(feature = "gui")]
#[path = "paint.rs"]
mod paint;
#[path = "scale.rs"]
mod scale;
