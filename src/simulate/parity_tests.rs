//! The window's engine and a simulation learn the same of the same labels: penalty, probabilities, next films, figures.
//!
//! They differed in the fewest labels that a penalty is chosen on, in when it was chosen anew, in rows that cannot be read,
//! which took part in means and clusters, in the number of groups, which followed the length of the window's list, and in
//! where the head's solver began.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::bench::{Bench, Loaded};
use super::draw::Draw;
use super::parts::Parts;
use super::{Cut, Machine, Settings, Source, SplitKind, Watch};
use crate::config::Home;
use crate::dataset::films::FilmSet;
use crate::dataset::{FilmId, Labelled};
use crate::device;
use crate::engine::{Command, Engine, Event, LearningPlan, Options};
use crate::features::cache;
use crate::imaging::{Fit, Preprocess};
use crate::learn::metrics::Metrics;
use crate::model::folder::{self, Kind, ModelCard, load_card};
use crate::model::{Architecture, Pretrained, Stem};
use crate::query::Strategy;
use crate::rng;
use crate::study::workspace::{self, NewSession};
use crate::study::{LabelSet, Ranking, Workspace};

const POOL: usize = 90;
const REFERENCE: usize = 24;
/// The film that the session knows and that is gone: a simulation has never heard of it.
const GONE: usize = 17;
const SEED: u64 = 5;

/// Films of two kinds that overlap; some patients have two. File names say nothing of the kind.
fn write_films(folder: &Path, first: usize, count: usize) -> Vec<(String, usize)> {
    std::fs::create_dir_all(folder).unwrap();
    let film = |number: usize| {
        let mut draws = rng::stream(3, "film", &[number as u64]);
        let kind = usize::from(rng::unit(&mut draws) < 0.4);
        let (lift, wave) =
            (rng::uniform(&mut draws, 0.0, 70.0), rng::uniform(&mut draws, 0.2, 1.4));
        let shade = |x: u32, y: u32| {
            let lower = if y >= 16 { lift + 35.0 * kind as f32 } else { 35.0 };
            image::Luma([(70.0 + lower + 40.0 * (wave * x as f32).sin()) as u8])
        };
        let file = format!("f{number:03}-p{}.png", number - number % 5 / 4);
        image::GrayImage::from_fn(32, 32, shade).save(folder.join(&file)).unwrap();
        (file, kind)
    };
    (first..first + count).map(film).collect()
}

fn write_labels(file: &Path, films: &[(String, usize)], classes: &[String]) {
    let mut text = "file,label,patient\n".to_owned();
    for (name, kind) in films {
        let patient = name.split(['-', '.']).nth(1).unwrap();
        writeln!(text, "{name},{},{patient}", classes[*kind]).unwrap();
    }
    crate::fsutil::write_atomic(file, text.as_bytes()).unwrap();
}

struct Room {
    home: Home,
    workspace: Workspace,
    settings: Settings,
    folder: tempfile::TempDir,
}

fn room() -> Room {
    let folder = tempfile::tempdir().unwrap();
    let [pool, reference] = ["pool", "reference"].map(|name| folder.path().join(name));
    let [pool_labels, labels] = ["pool.csv", "reference.csv"].map(|name| folder.path().join(name));
    let mut films = write_films(&pool, 0, POOL);
    let to_measure_on = write_films(&reference, POOL, REFERENCE);
    let classes = ["normal", "pneumonia"].map(str::to_owned);
    write_labels(&labels, &to_measure_on, &classes);
    let home = Home::find(Some(&folder.path().join("home")));
    let new = NewSession {
        patient_rule: Some(r"-(p\d+)\.".to_owned()),
        reference: Some((reference.clone(), labels.clone())),
        ..NewSession::new("ward".to_owned(), pool.clone())
    };
    workspace::create(&home, &new, &|_, _| {}).unwrap();
    let workspace = Workspace::open(&home, "ward").unwrap();
    assert_eq!(workspace.class_names(), classes);
    std::fs::remove_file(pool.join(films.remove(GONE).0)).unwrap();
    write_labels(&pool_labels, &films, &classes);
    let architecture = Architecture::resnet(10, 0.125, Stem::Small);
    let card = ModelCard {
        version: 1,
        kind: Kind::Pretrained,
        architecture: architecture.clone(),
        preprocess: Preprocess { size: 16, fit: Fit::Pad },
        classes: Vec::new(),
        parent: None,
        seed: 0,
        made_by: serde_json::Value::Null,
        metrics: serde_json::Value::Null,
        weights_hash: String::new(),
    };
    let model = Pretrained::init(&architecture, 1, &device::cpu().device);
    folder::save(&model, card, &home.models().join("tiny")).unwrap();
    let part = |images, labels| FilmSet { images, labels: Some(labels), split: None, limit: None };
    let source =
        Source::Listed { pool: part(pool, pool_labels), evaluation: Some(part(reference, labels)) };
    let kind = Some(SplitKind::File);
    let settings = Settings {
        films: source,
        cut: Cut { kind, seed: 0, repeats: 1, evaluation_share: None },
        model: "tiny".to_owned(),
        budgets: Vec::new(),
        strategies: Vec::new(),
        methods: Vec::new(),
        draws: 1,
        seeds: 1,
        round: Some(10),
        seconds_per_film: 1.0,
        out: None,
    };
    Room { home, workspace, settings, folder }
}

/// Waits for the ranking of these labels that stands.
fn settled(engine: &Engine, version: u64) -> Arc<Ranking> {
    let started = Instant::now();
    loop {
        for event in engine.events() {
            match event {
                Event::Failed(reason) => panic!("the engine failed: {reason}"),
                Event::Ranking(ranking) if ranking.version == version && ranking.settled => {
                    return ranking;
                }
                _ => {}
            }
        }
        assert!(started.elapsed() < Duration::from_mins(1), "waited in vain for a ranking");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The window's side: its rows of the simulation's films, and an engine.
struct Window<'a> {
    room: &'a Room,
    rows: Vec<usize>,
    engine: Engine,
}

impl<'a> Window<'a> {
    fn open(room: &'a Room, bench: &Bench<'_>, strategy: Strategy) -> Self {
        let by_id: BTreeMap<FilmId, usize> =
            (room.workspace.films.iter().enumerate()).map(|(row, film)| (film.id, row)).collect();
        let rows = bench.ids.iter().map(|id| by_id[id]).collect();
        let plan = LearningPlan { every: 0, distill: false };
        let options = Options::of(&room.workspace, device::cpu(), "tiny", plan);
        let options = Options { strategy, seed: SEED, ..options };
        Self { room, rows, engine: Engine::start(options, Arc::new(|| {})).unwrap() }
    }

    fn rank(&self, bought: &Labelled) -> Arc<Ranking> {
        let rows = bought.rows.iter().map(|&row| self.rows[row]).collect();
        let (version, classes) = (bought.rows.len() as u64 + 1, bought.classes.clone());
        let labels = LabelSet { version, rows, classes, ..LabelSet::default() };
        self.engine.send(Command::Labels(Arc::new(labels)));
        settled(&self.engine, version)
    }

    /// Compares a ranking with what the simulation has of the same labels.
    fn compare(&self, bench: &Bench<'_>, bought: &Labelled, next: &[usize], ranking: &Ranking) {
        let told = format!("{} at {} labels", ranking.strategy, bought.rows.len());
        let head = bench.round().head(bought).unwrap();
        assert_eq!(ranking.penalty, head.l2(), "{told}");
        let simulated = head.probabilities(bench.space.features());
        for (row, p) in simulated.chunks(2).enumerate() {
            assert_eq!(ranking.probabilities[2 * self.rows[row]..][..2], *p, "film {row}, {told}");
        }
        let order: Vec<usize> = ranking.order[..next.len()].iter().map(|film| film.index).collect();
        let next: Vec<usize> = next.iter().map(|&row| self.rows[row]).collect();
        assert_eq!(order, next, "{told}");
        let truth = read_classes(self.room);
        let held = head.probabilities(&bench.eval_features);
        let expected = Metrics::of(&held, &truth, 2, 1).unwrap();
        let found = ranking.reference.as_ref().unwrap();
        assert_eq!(found.accuracy, expected.accuracy, "{told}");
        assert_eq!(found.auroc, expected.auroc, "{told}");
    }
}

fn read_classes(room: &Room) -> Vec<usize> {
    room.workspace.reference().unwrap().classes.clone()
}

/// Lets the window find the simulation's features: in batches of other films they would have other last bits.
fn keep_features(room: &Room, parts: &Parts, loaded: &Loaded) {
    let place: BTreeMap<FilmId, usize> =
        parts.ids.iter().enumerate().map(|(place, &id)| (id, place)).collect();
    let hash = load_card(&room.home.models().join("tiny")).unwrap().weights_hash;
    let keep = |keys: &[String], places: Vec<usize>| {
        let folder = room.home.session("ward").join("cache");
        std::fs::create_dir_all(&folder).unwrap();
        cache::save(&folder, &cache::key(&hash, keys), &loaded.embedded.select(&places)).unwrap();
    };
    let pool = room.workspace.pool();
    // The film that is gone has some features here, and none of them may count.
    keep(&pool.keys, pool.ids.iter().map(|id| place.get(id).copied().unwrap_or(0)).collect());
    let reference = &room.workspace.reference().unwrap().source;
    keep(&reference.keys, (parts.given..parts.ids.len()).collect());
}

/// Runs a test with a session and a simulation of the same films.
fn with_bench(test: impl FnOnce(&Room, &Bench<'_>)) {
    let room = room();
    let compute = device::cpu();
    let (stop, tell) = (AtomicBool::new(false), |_| {});
    let watch = Watch { tell: &tell, stop: &stop };
    let parts = Parts::find(&room.home, &room.settings).unwrap();
    let machine = Machine { home: &room.home, compute: &compute, threads: 1 };
    let loaded = Loaded::load(machine, "tiny", &parts, false, watch).unwrap();
    let bench = Bench::new(&loaded, &parts, &parts.splits[0], &compute, watch).unwrap();
    assert_eq!((bench.space.len(), room.workspace.films.len()), (POOL - 1, POOL));
    keep_features(&room, &parts, &loaded);
    test(&room, &bench);
    drop(room.folder);
}

#[test]
fn the_window_and_a_simulation_learn_the_same_of_the_same_labels() {
    with_bench(|room, bench| {
        for strategy in Strategy::ALL {
            // Views are embedded in the background, and until then margin ranks.
            if strategy == Strategy::AugmentationVariance {
                continue;
            }
            let window = Window::open(room, bench, strategy);
            // Two labels fewer than a penalty is chosen on, then thirty, and the films after each.
            let mut draw = Draw::new(strategy, SEED, Some(8));
            let first = draw.labels(bench, 8).unwrap();
            let mut draw = Draw::new(strategy, SEED, Some(10));
            let all = draw.labels(bench, 40).unwrap();
            let bought = all.first(30);
            assert!(bought.classes.contains(&0) && bought.classes.contains(&1), "{strategy}");
            window.rank(&first);
            let at_once = window.rank(&bought);
            window.compare(bench, &bought, &all.rows[30..], &at_once);
        }
    });
}

/// However labels come: thirty at once, or one by one with the penalty chosen anew on the way.
#[test]
fn labels_that_come_one_by_one_are_worth_the_same() {
    with_bench(|room, bench| {
        let strategy = Strategy::TypiclustMargin;
        let mut draw = Draw::new(strategy, SEED, None);
        let all = draw.labels(bench, 31).unwrap();
        let window = Window::open(room, bench, strategy);
        for labels in 1..=30 {
            let bought = all.first(labels);
            let ranking = window.rank(&bought);
            // The very films that a simulation buys are those that come next in the window.
            window.compare(bench, &bought, &all.rows[labels..=labels], &ranking);
        }
    });
}
