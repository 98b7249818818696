//! The engine on small films: ranks after each label, learns in the background, can be paused and cancelled.

mod analysis;
mod explaining;
mod learning;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penumbra::config::Home;
use penumbra::device;
use penumbra::engine::{Command, Engine, Event, LearningPlan, Options, Stage};
use penumbra::imaging::{Fit, Preprocess};
use penumbra::model::folder::{self, Kind, ModelCard};
use penumbra::model::{Architecture, Pretrained, Stem};
use penumbra::query::{Ranked, Reason, Strategy};
use penumbra::session::Event as Entered;
use penumbra::study::workspace::{self, NewSession};
use penumbra::study::{LabelSet, Ranking, Source, Workspace};

const FILMS: usize = 60;

/// Films of two kinds: every second one is brighter below; `patient` names the patient of each.
fn write_films(images: &Path, patient: fn(u32) -> u32) {
    std::fs::create_dir_all(images).unwrap();
    for film in 0..FILMS as u32 {
        let shade = |x: u32, y: u32| {
            let lower = if (film % 2 == 1) == (y >= 16) { 60 } else { 0 };
            // The corner carries the number: films of the same bytes would count as one.
            let waves = if x + y == 0 { film } else { (x * (film % 7 + 1) + y * 3) % 80 };
            image::Luma([(60 + lower + waves) as u8])
        };
        image::GrayImage::from_fn(32, 32, shade)
            .save(images.join(format!("f{film:02}-p{}.png", patient(film))))
            .unwrap();
    }
}

struct Room {
    workspace: Workspace,
    home: Home,
    folder: tempfile::TempDir,
}

/// A session in which each film has a patient of its own.
fn room() -> Room {
    room_with(|film| film)
}

fn room_with(patient: fn(u32) -> u32) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    write_films(&images, patient);
    let home = Home::find(Some(&folder.path().join("home")));
    let new = NewSession {
        patient_rule: Some(r"-(p\d+)\.".to_owned()),
        ..NewSession::new("ward".to_owned(), images)
    };
    workspace::create(&home, &new, &|_, _| {}).unwrap();
    let architecture = Architecture::resnet(10, 0.0625, Stem::Small);
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
    Room { workspace: Workspace::open(&home, "ward").unwrap(), home, folder }
}

impl Room {
    fn options(&self, learn_every: usize) -> Options {
        let plan = LearningPlan { every: learn_every, distill: true };
        Options::of(&self.workspace, device::cpu(), "tiny", plan)
    }

    /// The first `n` films of the pool with their kinds.
    fn labels(&self, n: usize) -> Arc<LabelSet> {
        let kind = |row: &usize| {
            let file = &self.workspace.films[*row].file;
            file[1..3].parse::<usize>().unwrap() % 2
        };
        let rows: Vec<usize> = (0..n).collect();
        let classes = rows.iter().map(kind).collect();
        Arc::new(LabelSet { version: n as u64, rows, classes, ..LabelSet::default() })
    }
}

fn start(options: Options) -> Engine {
    Engine::start(options, Arc::new(|| {})).unwrap()
}

/// Waits for an event that `pick` takes.
fn wait<T>(engine: &Engine, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        for event in engine.events() {
            if let Event::Failed(reason) = &event {
                panic!("the engine failed: {reason}");
            }
            if let Some(found) = pick(event) {
                return found;
            }
        }
        assert!(started.elapsed() < Duration::from_mins(1), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn ranking_of(engine: &Engine, version: u64) -> Arc<Ranking> {
    wait(engine, "a ranking", |event| match event {
        Event::Ranking(ranking) if ranking.version == version => Some(ranking),
        _ => None,
    })
}

#[test]
fn every_label_ranks_the_pool_anew_and_the_strategy_can_change() {
    let room = room();
    let engine = start(room.options(0));
    wait(&engine, "the pool", |event| matches!(event, Event::Ready { .. }).then_some(()));
    for n in [1, 2, 12] {
        engine.send(Command::Labels(room.labels(n)));
        let ranking = ranking_of(&engine, n as u64);
        assert_eq!(ranking.labels, n);
        assert_eq!(ranking.probabilities.len(), 2 * FILMS);
        assert!(ranking.order.iter().all(|ranked| ranked.index >= n), "a labelled film was ranked");
        assert!(ranking.probabilities.iter().all(|p| p.is_finite()));
    }
    engine.send(Command::Strategy(Strategy::Margin));
    let ranking = wait(&engine, "a ranking by margin", |event| match event {
        Event::Ranking(ranking) => (ranking.strategy == Strategy::Margin).then_some(ranking),
        _ => None,
    });
    let margin =
        |row: usize| (ranking.probabilities[2 * row] - ranking.probabilities[2 * row + 1]).abs();
    assert!(ranking.order.is_sorted_by(|a, b| margin(a.index) <= margin(b.index)));
}

#[test]
fn views_are_embedded_when_a_strategy_asks_for_them_and_margin_stands_in_until_then() {
    let room = room();
    let mut first = Vec::new();
    for start_anew in [true, false] {
        let engine = start(room.options(0));
        wait(&engine, "the pool", |event| matches!(event, Event::Ready { .. }).then_some(()));
        engine.send(Command::Labels(room.labels(12)));
        ranking_of(&engine, 12);
        engine.send(Command::Strategy(Strategy::AugmentationVariance));
        let mut stand_in = None;
        let ranking = wait(&engine, "a ranking by views", |event| match event {
            Event::Ranking(ranking) if ranking.strategy == Strategy::AugmentationVariance => {
                Some(ranking)
            }
            Event::Ranking(ranking) if ranking.asked == Strategy::AugmentationVariance => {
                stand_in = Some(ranking);
                None
            }
            _ => None,
        });
        assert_eq!(ranking.asked, ranking.strategy);
        let stand_in = stand_in.unwrap();
        assert_eq!(stand_in.strategy, Strategy::Margin);
        assert!(stand_in.order.iter().all(|film| matches!(film.reason, Reason::Margin { .. })));
        let spread = |film: &Ranked| matches!(film.reason, Reason::ViewVariance { deviation } if deviation > 0.0);
        assert!(ranking.order.iter().all(spread), "views of a film are alike");
        assert!(engine.progress().is_none());
        if start_anew {
            first.clone_from(&ranking.order);
            let kept = std::fs::read_dir(&room.options(0).cache).unwrap().count();
            assert_eq!(kept, 2 + 1 + 5, "planes, features of the pool and of five views of it");
        } else {
            assert_eq!(ranking.order, first, "kept views give another ranking");
        }
    }
}

#[test]
fn closing_does_not_wait_for_a_large_pool() {
    let room = room();
    let large = image::GrayImage::from_fn(700, 700, |x, y| image::Luma([(x * y) as u8]));
    large.save(room.workspace.images.join("large.png")).unwrap();
    let mut options = room.options(0);
    // Reading all of them would take half a minute.
    options.pool.files = vec!["large.png".to_owned(); 6000];
    options.pool.keys = (0..6000).map(|film| film.to_string()).collect();
    let engine = start(options);
    wait(&engine, "the first films", |event| {
        matches!(event, Event::Preparing { what: "reading films", .. }).then_some(())
    });
    let closing = Instant::now();
    drop(engine);
    assert!(closing.elapsed() < Duration::from_secs(1), "closing took {:?}", closing.elapsed());
}

#[test]
fn what_ranks_first_after_each_possible_answer_is_foreseen_exactly() {
    for strategy in [Strategy::Margin, Strategy::TypiclustMargin] {
        let room = room();
        let engine = start(Options { strategy, ..room.options(0) });
        let known = room.labels(12);
        engine.send(Command::Labels(Arc::clone(&known)));
        let row = ranking_of(&engine, 12).order[0].index;
        engine.send(Command::Foresee(row));
        let foreseen = wait(&engine, "the foresight", |event| match event {
            Event::Foreseen(foreseen) => Some(foreseen),
            _ => None,
        });
        assert_eq!((foreseen.row, foreseen.version, foreseen.heads.len()), (row, 12, 2));
        for (class, head) in foreseen.heads.iter().enumerate() {
            let mut answered = LabelSet { version: 20 + class as u64, ..(*known).clone() };
            answered.rows.push(row);
            answered.classes.push(class);
            engine.send(Command::Labels(Arc::new(answered)));
            let order = ranking_of(&engine, 20 + class as u64).order.clone();
            let order: Vec<usize> = order.iter().map(|ranked| ranked.index).collect();
            assert!(!head.contains(&row) && head.len() == 4, "{head:?}");
            assert_eq!(order[..head.len()], head[..], "{strategy} after class {class}");
            // Back to where it was foreseen from.
            let back = LabelSet { version: 30 + class as u64, ..(*known).clone() };
            engine.send(Command::Labels(Arc::new(back)));
            ranking_of(&engine, 30 + class as u64);
        }
    }
}

#[test]
fn four_classes_are_ranked_foreseen_and_judged() {
    let room = room();
    let classes = penumbra::session::Class::who_five();
    let classes: Vec<String> = classes.into_iter().map(|class| class.name).collect();
    let options = |strategy| Options { classes: classes.clone(), strategy, ..room.options(0) };
    let rows: Vec<usize> = (0..24).collect();
    // The two kinds of films, each halved by number.
    let kinds: Vec<usize> = rows.iter().map(|row| row % 4).collect();
    let labels = LabelSet { version: 9, rows, classes: kinds, ..LabelSet::default() };
    let mut orders = Vec::new();
    for strategy in [Strategy::LeastConfidence, Strategy::Margin, Strategy::Entropy] {
        let engine = start(options(strategy));
        engine.send(Command::Labels(Arc::new(labels.clone())));
        let ranking = ranking_of(&engine, 9);
        assert_eq!(ranking.probabilities.len(), 4 * FILMS);
        for row in ranking.probabilities.chunks_exact(4) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{row:?}");
        }
        orders.push(ranking.order.iter().map(|ranked| ranked.index).collect::<Vec<_>>());
        engine.send(Command::Foresee(ranking.order[0].index));
        engine.send(Command::Review);
        let heads = wait(&engine, "the foresight", |event| match event {
            Event::Foreseen(foreseen) => Some(foreseen.heads),
            _ => None,
        });
        assert_eq!(heads.len(), 4);
    }
    assert!(orders[0] != orders[1] && orders[1] != orders[2], "with four classes they differ");
}

#[test]
fn a_label_that_contradicts_the_film_is_found_without_its_help() {
    let room = room();
    let engine = start(room.options(0));
    // Every second film is of the other kind; one label is wrong.
    let rows: Vec<usize> = (0..30).collect();
    let mut classes: Vec<usize> = rows.iter().map(|row| row % 2).collect();
    classes[7] = 0;
    let labels = LabelSet { version: 5, rows, classes, ..LabelSet::default() };
    engine.send(Command::Labels(Arc::new(labels.clone())));
    ranking_of(&engine, 5);
    let opinions = |engine: &Engine| {
        engine.send(Command::Review);
        wait(engine, "opinions", |event| match event {
            Event::Opinions(opinions) => Some(opinions),
            _ => None,
        })
    };
    let held = opinions(&engine);
    assert_eq!((held.version, &held.rows, &held.labels), (5, &labels.rows, &labels.classes));
    assert_eq!(held.likeliest[7], 1, "the model has seen the label that it was to judge");
    assert_eq!(held.suspects.first(), Some(&7), "{:?}", held.suspects);
    // Too few labels are no ground for an opinion.
    let few = LabelSet { version: 6, rows: vec![0, 1], classes: vec![0, 1], ..LabelSet::default() };
    engine.send(Command::Labels(Arc::new(few)));
    ranking_of(&engine, 6);
    assert!(opinions(&engine).rows.is_empty());
}

#[test]
fn embeddings_are_kept_for_the_next_start_and_films_that_are_gone_do_not_stop_it() {
    let room = room();
    drop({
        let engine = start(room.options(0));
        wait(&engine, "the pool", |event| matches!(event, Event::Ready { .. }).then_some(()));
        engine
    });
    let gone = room.workspace.images.join(&room.workspace.films[3].file);
    std::fs::remove_file(gone).unwrap();
    let engine = start(room.options(0));
    let mut warned = false;
    wait(&engine, "the pool", |event| match event {
        Event::Preparing { what: "embedding films", .. } => panic!("the films were embedded again"),
        Event::Warning(text) => {
            warned |= text.contains("cannot be read");
            None
        }
        Event::Ready { .. } => Some(()),
        _ => None,
    });
    assert!(warned, "nothing was said of the film that is gone");
    engine.send(Command::Labels(room.labels(1)));
    let order = &ranking_of(&engine, 1).order;
    assert!(
        !order.is_empty() && order.iter().all(|ranked| ranked.index != 3),
        "a film that is gone is queued"
    );
}

#[test]
fn a_pool_with_films_that_are_gone_is_not_kept_as_it_is() {
    let room = room();
    let gone = room.workspace.images.join(&room.workspace.films[3].file);
    let kept = std::fs::read(&gone).unwrap();
    std::fs::remove_file(&gone).unwrap();
    drop({
        let engine = start(room.options(0));
        wait(&engine, "the pool", |event| matches!(event, Event::Ready { .. }).then_some(()));
        engine
    });
    penumbra::fsutil::write_atomic(&gone, &kept).unwrap();
    let engine = start(room.options(0));
    let mut embedded = false;
    wait(&engine, "the pool", |event| match event {
        Event::Preparing { what: "embedding films", .. } => {
            embedded = true;
            None
        }
        Event::Ready { .. } => Some(()),
        _ => None,
    });
    assert!(embedded, "the black film of the first start was kept");
}
