//! What the engine learns in the background, and what becomes of the model in use.

use penumbra::engine::{Change, Learnt, ModelChange};

use super::*;

/// An engine that has begun to learn from thirty labels and is paused.
fn paused(room: &Room) -> Engine {
    let engine = start(room.options(0));
    engine.send(Command::Labels(room.labels(30)));
    ranking_of(&engine, 30);
    engine.send(Command::TrainNow);
    wait(&engine, "learning", |event| matches!(event, Event::LearningStarted { .. }).then_some(()));
    engine.pause(true);
    engine
}

#[test]
fn views_that_wait_for_learning_come_when_it_is_cancelled() {
    let room = room();
    let engine = paused(&room);
    engine.send(Command::Strategy(Strategy::AugmentationVariance));
    wait(&engine, "a ranking in its place", |event| match event {
        Event::Ranking(ranking) => (ranking.asked != ranking.strategy).then_some(()),
        _ => None,
    });
    engine.cancel();
    wait(&engine, "a ranking by views", |event| match event {
        Event::Ranking(ranking) => (ranking.asked == ranking.strategy).then_some(()),
        _ => None,
    });
}

#[test]
fn a_model_that_waits_for_learning_is_taken_into_use_when_it_is_cancelled() {
    let room = room();
    let engine = paused(&room);
    engine.send(Command::Use("tiny".to_owned()));
    // An explanation that is asked for meanwhile takes no job's place.
    engine.send(Command::Explain(1));
    wait(&engine, "an explanation", |event| matches!(event, Event::Explained(_)).then_some(()));
    engine.cancel();
    wait(&engine, "the model", |event| match event {
        Event::ModelChanged(ModelChange { change: Change::Chosen, .. }) => Some(()),
        _ => None,
    });
}

#[test]
fn labels_that_were_taken_back_are_not_waited_for_again() {
    let room = room();
    let engine = start(Options { learnt_labels: 40, ..room.options(10) });
    for n in [40, 28] {
        engine.send(Command::Labels(room.labels(n)));
        ranking_of(&engine, n as u64);
    }
    engine.send(Command::Labels(room.labels(38)));
    let labels = wait(&engine, "learning", |event| match event {
        Event::LearningStarted { labels, .. } => Some(labels),
        _ => None,
    });
    assert_eq!(labels, 38);
    engine.cancel();
}

#[test]
fn background_learning_weighs_a_student_and_says_so() {
    let room = room();
    let engine = start(room.options(10));
    engine.send(Command::Labels(room.labels(9)));
    ranking_of(&engine, 9);
    assert!(engine.progress().is_none(), "learning started before ten labels");
    engine.send(Command::Labels(room.labels(20)));
    wait(&engine, "learning", |event| {
        matches!(event, Event::LearningStarted { labels: 20, .. }).then_some(())
    });
    // Labels that arrive meanwhile join the next epoch.
    engine.send(Command::Labels(room.labels(24)));
    let (model, accepted, learnt) = wait(&engine, "the end of learning", |event| match event {
        Event::LearningEnded { model, learnt } => Some((model, false, learnt)),
        Event::ModelChanged(ModelChange { model, change: Change::Learnt(learnt) }) => {
            Some((Some(model), true, learnt))
        }
        _ => None,
    });
    let Learnt { outcome, labels, methods } = learnt;
    assert_eq!(labels, 24, "{outcome}");
    assert!(outcome.contains("log-loss"), "{outcome}");
    assert!(!engine.losses().is_empty());
    let saved = room.home.models().join(model.unwrap()).join("model.json").is_file();
    assert_eq!(saved, accepted, "{outcome}");
    let names: Vec<&str> = methods.iter().map(|figures| figures.method.as_str()).collect();
    assert_eq!(names, &["head", "finetune", "distill"][..if accepted { 3 } else { 2 }]);
    let [before, after] = [0, 1].map(|way| methods[way].log_loss.unwrap());
    assert_eq!(after < before, accepted, "{outcome}");
}

/// A session whose every second kind of film is of one patient. A network that is tested on that patient has seen no such
/// film: the head then rules the kind out, fine-tuning, which starts from an even guess and goes slowly, does not, and
/// wins the comparison whatever the weights.
fn one_sided_room() -> Room {
    room_with(|film| if film % 2 == 1 { 1 } else { 100 + film })
}

/// Waits until a student is taken into use; returns its name and its first ranking.
fn learnt(engine: &Engine) -> (String, Arc<Ranking>) {
    let (mut student, mut first) = (None, None);
    wait(engine, "the end of learning", |event| {
        match event {
            Event::LearningEnded { learnt, .. } => panic!("{}", learnt.outcome),
            Event::ModelChanged(ModelChange { model, change: Change::Learnt(_) }) => {
                student = Some(model);
            }
            Event::Ranking(ranking) if ranking.model != "tiny" && first.is_none() => {
                assert!(student.is_some(), "it ranks before it is told of");
                first = Some(ranking);
            }
            _ => {}
        }
        student.clone().zip(first.clone())
    })
}

/// Opens the engine again; returns it with the model that it says it uses and what it warns of.
fn reopen(room: &Room) -> (Engine, String, Vec<String>) {
    let engine = start(room.options(0));
    let mut warnings = Vec::new();
    let model = wait(&engine, "the pool", |event| match event {
        Event::Warning(text) => {
            warnings.push(text);
            None
        }
        Event::Ready { .. } => engine.model(),
        _ => None,
    });
    (engine, model, warnings)
}

#[test]
fn a_student_in_use_is_taken_up_again_and_the_pretrained_model_serves_when_it_is_gone() {
    let mut room = one_sided_room();
    let engine = start(room.options(0));
    engine.send(Command::Labels(room.labels(FILMS)));
    ranking_of(&engine, FILMS as u64);
    engine.send(Command::TrainNow);
    let (student, ranking) = learnt(&engine);
    assert_eq!(ranking.model, student);
    drop(engine);
    let labels = FILMS;
    let reason = String::new();
    let (model, methods) = (student.clone(), Vec::new());
    let swap = Entered::ModelSwap { model, accepted: true, reason, labels, methods };
    room.workspace.session.append("R1", swap).unwrap();
    let Room { workspace, home, folder } = room;
    drop(workspace);
    let workspace = Workspace::open(&home, "ward").unwrap();
    let room = Room { workspace, home, folder };
    assert_eq!(room.workspace.base_model(), "tiny", "the encoder that the student comes from");

    let (engine, model, warnings) = reopen(&room);
    assert_eq!((&model, warnings.as_slice()), (&student, &[][..]));
    engine.send(Command::Labels(room.labels(FILMS)));
    // The first ranking is at a penalty that was not chosen yet.
    let near = |again: &[f32]| {
        let pairs = again.iter().zip(&ranking.probabilities);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-4
    };
    let model = wait(&engine, "the ranking that there was before", |event| match event {
        Event::Ranking(again) if near(&again.probabilities) => Some(again.model.clone()),
        _ => None,
    });
    assert_eq!(model, student);
    drop(engine);

    std::fs::remove_dir_all(room.home.models().join(&student)).unwrap();
    assert_eq!(room.workspace.base_model(), "demo", "nothing says which one it was");
    let (engine, model, warnings) = reopen(&room);
    assert_eq!(model, "tiny");
    let warned = warnings.iter().any(|text| {
        text.contains(&student) && text.contains("cannot be used, the pretrained one serves")
    });
    assert!(warned, "{warnings:?}");
    engine.send(Command::Labels(room.labels(FILMS)));
    assert_eq!(ranking_of(&engine, FILMS as u64).model, "tiny");
}

#[test]
fn a_job_tells_of_every_stage_and_its_losses_run_on() {
    let room = one_sided_room();
    let mut options = room.options(0);
    // Films enough for several batches of embedding, which is over in no time otherwise.
    let Source { files, keys, ids, patients, .. } = &mut options.pool;
    for list in [files, keys, patients] {
        *list = list.iter().cycle().take(6 * FILMS).cloned().collect();
    }
    *ids = ids.iter().cycle().take(6 * FILMS).copied().collect();
    let engine = start(options);
    engine.send(Command::Labels(room.labels(FILMS)));
    ranking_of(&engine, FILMS as u64);
    engine.send(Command::TrainNow);
    let mut stages = Vec::new();
    let mut steps = BTreeMap::new();
    let started = Instant::now();
    while stages.last() != Some(&Stage::Embedding) {
        assert!(started.elapsed() < Duration::from_mins(1), "only {stages:?} were told of");
        // Let go for a moment only, it cannot run through a stage unseen.
        engine.pause(false);
        std::thread::yield_now();
        engine.pause(true);
        std::thread::sleep(Duration::from_millis(1));
        let Some(progress) = engine.progress() else { continue };
        if stages.last() != Some(&progress.stage) {
            stages.push(progress.stage);
        }
        steps.insert(progress.stage.name(), progress.steps);
    }
    assert_eq!(stages, [Stage::FineTuning, Stage::Distilling, Stage::Embedding]);
    engine.pause(false);
    learnt(&engine);
    let losses: Vec<u64> = engine.losses().iter().map(|(step, _)| *step).collect();
    assert_eq!(losses, (1..=losses.len() as u64).collect::<Vec<_>>());
    assert!(losses.len() as u64 > steps["distilling"], "fine-tuning's steps are gone");
    assert_eq!(steps["embedding films"], 6 * FILMS as u64);
}

#[test]
fn learning_can_be_paused_and_cancelled() {
    let room = room();
    let engine = paused(&room);
    let started = Instant::now();
    while engine.progress().is_none() {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(200));
    let step = engine.progress().unwrap().step;
    std::thread::sleep(Duration::from_millis(200));
    let progress = engine.progress().unwrap();
    assert_eq!(progress.step, step, "it went on while paused");
    // Ranking goes on while learning is paused.
    engine.send(Command::Labels(room.labels(31)));
    ranking_of(&engine, 31);
    engine.cancel();
    let outcome = wait(&engine, "the end of learning", |event| match event {
        Event::LearningEnded { learnt, .. } => Some(learnt.outcome),
        _ => None,
    });
    assert!(outcome.starts_with("Cancelled"), "{outcome}");
    assert!(engine.progress().is_none());
}

#[test]
fn learning_waits_for_labels_of_every_class() {
    let room = room();
    let engine = start(room.options(10));
    let rows: Vec<usize> = (0..20).collect();
    let one_class =
        LabelSet { version: 20, classes: vec![1; rows.len()], rows, ..LabelSet::default() };
    engine.send(Command::Labels(Arc::new(one_class)));
    ranking_of(&engine, 20);
    engine.send(Command::TrainNow);
    let warning = wait(&engine, "a warning", |event| match event {
        Event::Warning(text) => Some(text),
        Event::LearningStarted { .. } => panic!("it learns from a single class"),
        _ => None,
    });
    assert!(warning.contains("3 labels of each class"), "{warning}");
}
