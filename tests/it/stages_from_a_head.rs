//! Learning that starts from a fitted linear head, is stopped by cross-validation, and goes on after an interruption.

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use penumbra::dataset::Labelled;
use penumbra::dataset::batches::eval_batch;
use penumbra::dataset::planes::PlaneStore;
use penumbra::features::{Block, Embeddings, Head, Space, SpaceFilms};
use penumbra::imaging::{Augment, Fit, Plane, Preprocess};
use penumbra::learn::distill::{Checkpointed, DistillConfig, Teacher, distill, remove_checkpoint};
use penumbra::learn::finetune::{FinetuneConfig, finetune};
use penumbra::learn::pool_means::{COLDEST, PoolMeans, aligned};
use penumbra::learn::{
    Flow, HeadFit, LearnError, Recipe, Setting, StepReport, films as films_of, probabilities, read,
};
use penumbra::model::folder::{self, Kind, ModelCard, load_classifier};
use penumbra::model::{Architecture, Classifier, LinearHead, Pretrained, Stem};
use penumbra::predict::embed;
use penumbra::rng;
use serde_json::json;

const SIZE: u32 = 16;

fn small() -> Architecture {
    Architecture::resnet(10, 0.125, Stem::Small)
}

/// Films of two kinds, brighter above or brighter below, with noise.
fn films(count: usize) -> Arc<PlaneStore> {
    let planes = (0..count).map(|index| {
        let mut random = rng::stream(3, "film", &[index as u64]);
        let lower = if index % 2 == 1 { 0.1 } else { -0.1 };
        let pixels = (0..SIZE * SIZE).map(|i| {
            let shade = if i / SIZE >= SIZE / 2 { lower } else { -lower };
            0.5 + shade + rng::uniform(&mut random, -0.35, 0.35)
        });
        Plane { width: SIZE, height: SIZE, pixels: pixels.collect() }
    });
    Arc::new(PlaneStore::from_planes(SIZE, planes))
}

struct Bench {
    store: Arc<PlaneStore>,
    start: Pretrained,
    device: Device,
    embedded: Embeddings,
    space: Space,
}

/// Features of films of which two are of each patient.
fn space(features: Embeddings, classes: usize) -> Space {
    let patients = (0..features.len()).map(|row| format!("p{}", row / 2)).collect();
    let block = Block { features, parts: small().embedding_blocks().to_vec() };
    Space::new(vec![block], SpaceFilms { patients, classes, unreadable: Vec::new() }).unwrap()
}

impl Bench {
    fn new(count: usize) -> Self {
        Self::of(films(count))
    }

    fn of(store: Arc<PlaneStore>) -> Self {
        let device = Device::flex();
        let start = Pretrained::init(&small(), 5, &device);
        let rows: Vec<usize> = (0..store.len()).collect();
        let go_on = &mut |_| Flow::Continue;
        let embedded = embed(&start.encoder, &store, &rows, SIZE, &device, go_on).unwrap();
        let space = space(embedded.clone(), 2);
        Self { store, start, device, embedded, space }
    }

    fn setting<'a>(&'a self, head: Option<&'a HeadFit<'a>>) -> Setting<'a> {
        let Self { start, store, device, .. } = self;
        Setting { start, classes: 2, store, device, head }
    }

    fn head(&self, labelled: &Labelled) -> Head {
        self.space.head(labelled, 1.0)
    }

    fn linear(&self, labelled: &Labelled) -> LinearHead {
        self.space.linear(&self.head(labelled))
    }

    fn film(&self, row: usize) -> Tensor<4> {
        films_of(eval_batch(&self.store, &[row], SIZE), &self.device)
    }

    fn predict(&self, network: &Classifier) -> Vec<f32> {
        let rows: Vec<usize> = (0..self.store.len()).collect();
        let go_on = &mut |_| Flow::Continue;
        probabilities(network, &self.store, &rows, SIZE, &self.device, go_on).unwrap()
    }
}

fn labelled(count: usize) -> Labelled {
    let rows: Vec<usize> = (0..count).collect();
    Labelled { classes: rows.iter().map(|row| row % 2).collect(), rows }
}

fn slow() -> Recipe {
    Recipe { rate: 1e-3, ema: 0.9, head_factor: 1.0, ..Recipe::from_encoder() }
}

fn config() -> FinetuneConfig {
    FinetuneConfig {
        epochs: 6,
        batch: 8,
        recipe: slow(),
        augment: Augment::weak(),
        ..FinetuneConfig::standard(SIZE, 1)
    }
}

/// A film's mirror image has other features than the film, and the network means over probabilities where the head means
/// over features: films that are their own mirror image show that the rest is the same.
#[test]
fn a_network_starts_as_the_head_that_it_is_given() {
    let bench = Bench::new(24);
    let planes = (0..24).map(|row| {
        let plane = bench.store.plane(row);
        let pixels = (0..SIZE * SIZE).map(|i| {
            let (x, y) = (i % SIZE, i / SIZE);
            plane.pixels[(y * SIZE + x.min(SIZE - 1 - x)) as usize]
        });
        Plane { width: SIZE, height: SIZE, pixels: pixels.collect() }
    });
    let bench = Bench::of(Arc::new(PlaneStore::from_planes(SIZE, planes)));
    let rows: Vec<usize> = (0..24).collect();
    for classes in [2, 3] {
        let truth = rows.iter().map(|row| row % classes).collect();
        let space = space(bench.embedded.clone(), classes);
        let head = space.head(&Labelled { rows: rows.clone(), classes: truth }, 0.1);
        let start = Classifier::from_pretrained(bench.start.valid(), classes, &bench.device);
        let network = start.with_probe(&space.linear(&head), &bench.device);
        let expected = head.probabilities(space.features());
        assert!(expected.iter().any(|p| (p - 1.0 / classes as f32).abs() > 0.1), "no opinion");
        for (found, expected) in bench.predict(&network).iter().zip(expected) {
            // Roots of an untrained network's features, near 0, feel what is added to them.
            assert!((found - expected).abs() < 1e-2, "{found} and not {expected}");
        }
    }
}

/// Fold networks start from heads fitted to their own folds' films alone.
#[test]
fn no_head_has_seen_the_films_that_its_network_is_judged_on() {
    let bench = Bench::new(40);
    let known = labelled(24);
    let seen = std::cell::RefCell::new(Vec::new());
    let fit = |part: &Labelled| {
        seen.borrow_mut().push(part.rows.clone());
        bench.linear(part)
    };
    let setting = bench.setting(Some(&fit));
    let go_on = &mut |_: &StepReport| Flow::Continue;
    let config = config();
    let tuned = finetune(
        &setting,
        bench.space.assigner(config.folds),
        &mut || known.clone(),
        &config,
        None,
        go_on,
    )
    .unwrap();
    let seen = seen.into_inner();
    assert_eq!(seen.len(), config.folds + config.members);
    for (fold, rows) in seen.iter().take(config.folds).enumerate() {
        let expected: Vec<usize> = (0..24).filter(|&row| tuned.folds[row] != fold).collect();
        assert_eq!(*rows, expected);
    }
    assert!(seen[config.folds..].iter().all(|rows| *rows == known.rows));
    assert!((1..=config.epochs).contains(&tuned.epochs));
    assert!(tuned.temperature > 0.1 && tuned.temperature < 10.0);
}

/// A rate at which nothing improves stops after `patience` passes; a second run starts from what the first one predicts with,
/// and is shown other views.
#[test]
fn training_stops_when_unseen_films_no_longer_gain_and_starts_warm() {
    let bench = Bench::new(40);
    let known = labelled(24);
    let fit = |part: &Labelled| bench.linear(part);
    let setting = bench.setting(Some(&fit));
    let run = |config: &FinetuneConfig, earlier| {
        let (mut passes, mut losses) = (0, Vec::new());
        let observe = &mut |report: &StepReport| {
            passes = passes.max(report.epoch + 1);
            losses.push(report.loss);
            Flow::Continue
        };
        let labels = &mut || known.clone();
        let tuned = finetune(
            &setting,
            bench.space.assigner(config.folds),
            labels,
            config,
            earlier,
            observe,
        )
        .unwrap();
        (tuned, passes, losses)
    };
    let hopeless = FinetuneConfig {
        epochs: 30,
        patience: 2,
        recipe: Recipe { rate: 0.3, ..slow() },
        ..config()
    };
    let (tuned, passes, _) = run(&hopeless, None);
    assert_eq!(passes, tuned.epochs + 2, "two passes more than the best");
    assert!(passes < 30);

    let (first, ..) = run(&config(), None);
    // At a rate of nothing the second run's networks stay where they start, and a third predicts with just these.
    let still = FinetuneConfig { recipe: Recipe { rate: 0.0, ..slow() }, ..config() };
    let (second, _, losses) = run(&still, Some(&first));
    let all_the_way = FinetuneConfig { start_share: 0.0, ..still.clone() };
    let (third, _, further) = run(&all_the_way, Some(&second));
    for (a, b) in first.out_of_fold.iter().zip(&third.out_of_fold) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
    let (cold, ..) = run(&still, None);
    assert!(first.out_of_fold.iter().zip(&cold.out_of_fold).any(|(a, b)| (a - b).abs() > 1e-3));
    // Nothing but the views changes what the second and the third are told.
    assert_eq!(run(&still, Some(&first)).2, losses);
    let shown_again = losses.iter().zip(&further).all(|(a, b)| (a - b).abs() < 1e-3);
    assert!(!shown_again, "the second run's views were shown again");
}

/// Stopped anywhere, a run ends in the weights of one that was not.
#[test]
fn distillation_goes_on_where_it_was_stopped() {
    let bench = Bench::new(20);
    let known = labelled(8);
    let fit = |part: &Labelled| bench.linear(part);
    let setting = bench.setting(Some(&fit));
    let rows: Vec<usize> = (0..20).collect();
    let teacher = bench.head(&known).probabilities(bench.space.features());
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("student.checkpoint");
    for freeze_statistics in [true, false] {
        let config = DistillConfig {
            epochs: 3,
            batch: 8,
            recipe: Recipe { freeze_statistics, ..slow() },
            mixup: 0.5,
            ..DistillConfig::standard(SIZE, 2)
        };
        let run = |path: Option<&Path>, stop_at| {
            let observe = &mut |report: &StepReport| {
                if report.step == stop_at { Flow::Stop } else { Flow::Continue }
            };
            let teacher = Teacher::Probabilities(&teacher);
            let student = setting.classifier(&known);
            let lesson = &json!("one");
            let checkpointed = path.map(|folder| Checkpointed { folder, lesson });
            distill(&setting, &student, &rows, teacher, &config, checkpointed, observe)
        };
        let whole = bench.predict(&run(None, 0).unwrap());
        for stop_at in [1, 3, 7] {
            let path = Some(checkpoint.as_path());
            assert!(matches!(run(path, stop_at), Err(LearnError::Stopped)));
            assert!(checkpoint.is_dir());
            let resumed = bench.predict(&run(path, 0).unwrap());
            assert_eq!(resumed, whole, "stopped at step {stop_at}");
            assert!(checkpoint.is_dir(), "the model is not saved yet");
            remove_checkpoint(&checkpoint).unwrap();
        }
    }
    let config = DistillConfig { batch: 8, ..DistillConfig::standard(SIZE, 2) };
    let once = |config: &DistillConfig, lesson: &str, flow| {
        let (student, teacher) = (setting.classifier(&known), Teacher::Probabilities(&teacher));
        let (folder, lesson) = (checkpoint.as_path(), &json!({ "teacher": lesson }));
        let checkpointed = Some(Checkpointed { folder, lesson });
        let observe = &mut |_: &StepReport| flow;
        distill(&setting, &student, &rows, teacher, config, checkpointed, observe)
    };
    assert!(matches!(once(&config, "a", Flow::Stop), Err(LearnError::Stopped)));
    let other = DistillConfig { temperature: 2.0, ..config.clone() };
    let refused = |config, lesson, words: &str| {
        let Err(LearnError::Checkpoint { fault, .. }) = once(config, lesson, Flow::Continue) else {
            panic!("it went on");
        };
        assert!(fault.contains(words), "{fault}");
    };
    refused(&other, "a", "temperature was 1.0 and is 2.0 now");
    refused(&config, "b", r#"teacher was "a" and is "b" now"#);
    assert!(once(&config, "a", Flow::Continue).is_ok());
}

/// With and without a head of its own.
#[test]
fn a_saved_classifier_gives_the_same_probabilities() {
    let bench = Bench::new(12);
    let plain = Classifier::from_pretrained(bench.start.valid(), 2, &bench.device);
    let with_head = plain.valid().with_probe(&bench.linear(&labelled(8)), &bench.device);
    let folder = tempfile::tempdir().unwrap();
    for (name, network) in [("plain", plain), ("head", with_head)] {
        let card = ModelCard {
            version: folder::VERSION,
            kind: Kind::Classifier,
            architecture: small(),
            preprocess: Preprocess { size: SIZE, fit: Fit::Pad },
            classes: vec!["a".to_owned(), "b".to_owned()],
            parent: None,
            seed: 0,
            made_by: serde_json::Value::Null,
            metrics: serde_json::Value::Null,
            weights_hash: String::new(),
        };
        let path = folder.path().join(name);
        folder::save_in_single_precision(&network, card, &path).unwrap();
        let (loaded, _) = load_classifier(&path, &bench.device).unwrap();
        assert_eq!(loaded.probe.is_some(), name == "head");
        for (found, expected) in bench.predict(&loaded).iter().zip(bench.predict(&network)) {
            assert!((found - expected).abs() < 1e-5, "{found} and not {expected}");
        }
        // Calibration is in the weights: logits at a temperature of 2.
        let film = || bench.film(0);
        let logits = read(loaded.forward(film())).unwrap();
        let cooled = read(loaded.scaled(0.5).forward(film())).unwrap();
        for (cooled, logit) in cooled.iter().zip(logits) {
            assert!((cooled - 0.5 * logit).abs() < 1e-5, "{logit} became {cooled}");
        }
    }
}

/// Values of a network, tensor by tensor.
fn weights(network: &impl Module) -> Vec<Vec<f32>> {
    struct Weights(Vec<Vec<f32>>);
    impl burn::module::ModuleVisitor for Weights {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.push(read(param.val()).unwrap());
        }
    }
    let mut all = Weights(Vec::new());
    network.visit(&mut all);
    all.0
}

/// What predicts lies between the start and what was learnt, and its mean over the pool is brought to given ones.
#[test]
fn fine_tuning_goes_part_of_the_way_and_is_aligned_with_the_pool() {
    let bench = Bench::new(40);
    let known = labelled(24);
    let fit = |part: &Labelled| bench.linear(part);
    let setting = bench.setting(Some(&fit));
    let run = |start_share| {
        let config = FinetuneConfig { epochs: 1, members: 1, start_share, ..config() };
        let labels = &mut || known.clone();
        finetune(&setting, bench.space.assigner(config.folds), labels, &config, None, &mut |_| {
            Flow::Continue
        })
        .unwrap()
    };
    let (all_the_way, part) = (run(0.0), run(0.25));
    let [start, learnt, found] =
        [&bench.start.encoder, &all_the_way.model.encoder, &part.model.encoder].map(weights);
    assert!(start != learnt);
    for (found, (start, learnt)) in found.iter().zip(start.iter().zip(&learnt)) {
        for (found, (start, learnt)) in found.iter().zip(start.iter().zip(learnt)) {
            assert!((found - (0.25 * start + 0.75 * learnt)).abs() < 1e-5);
        }
    }
    let rows: Vec<usize> = (0..40).collect();
    let means = PoolMeans { shares: vec![0.2, 0.8], confidence: 0.84 };
    let go_on = &mut |_| Flow::Continue;
    let aligned =
        aligned(part.model.clone(), &setting, &rows, SIZE, &means, COLDEST, go_on).unwrap();
    let [before, found] =
        [&part.model, &aligned].map(|model| PoolMeans::of(&bench.predict(model), 2).unwrap());
    // They are found for the mean of a film and its mirror image, and applied to each.
    assert!((found.shares[1] - 0.8).abs() < 0.06, "{found:?}");
    assert!((found.confidence - 0.84).abs() < 0.06, "{found:?}");
    assert!(before.shares[1] < 0.6 && before.confidence > 0.92, "{before:?}");
}

/// SimCLR v2's own form: LARS, which leaves the layers' rates to itself.
#[test]
fn fine_tuning_as_simclr_does_it_moves_the_whole_network() {
    let bench = Bench::new(24);
    let known = labelled(12);
    let setting = bench.setting(None);
    let config = FinetuneConfig { epochs: 2, ..FinetuneConfig::simclr(SIZE, 8, 1) };
    let go_on = &mut |_: &StepReport| Flow::Continue;
    let tuned = finetune(
        &setting,
        bench.space.assigner(config.folds),
        &mut || known.clone(),
        &config,
        None,
        go_on,
    )
    .unwrap();
    assert!(tuned.model.probe.is_none());
    let plain = Classifier::from_pretrained(bench.start.valid(), 2, &bench.device);
    let (before, after) = (weights(&plain), weights(&tuned.model));
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    // All but the running means and variances of the batch norms.
    assert!(moved > before.len() / 2, "{moved} of {} tensors", before.len());
}
