use std::path::Path;

use burn::module::{ModuleVisitor, Param};

use super::*;
use crate::imaging::{Augment, Plane};
use crate::learn::objective::ObjectiveConfig;
use crate::learn::optimizer::OptimizerConfig;
use crate::learn::schedule::Scaling;
use crate::model::{Architecture, Stem};

pub(super) fn simclr(queue: usize) -> ObjectiveConfig {
    ObjectiveConfig::Simclr { temperature: 0.2, decoupled: false, queue, momentum: 0.9 }
}

pub(super) fn byol() -> ObjectiveConfig {
    ObjectiveConfig::Byol { momentum: 0.9 }
}

pub(super) fn config(epochs: u32) -> PretrainConfig {
    PretrainConfig {
        architecture: Architecture::resnet(10, 0.0625, Stem::Small),
        size: 16,
        epochs,
        batch: 8,
        micro_batches: 1,
        objective: simclr(0),
        optimizer: OptimizerConfig::Adamw { weight_decay: 1e-4 },
        rate: 5e-3,
        scaling: Scaling::None,
        warmup_epochs: 1,
        augment: Augment { crop_area: (0.7, 1.0), ..Augment::simclr() },
        seed: 5,
    }
}

fn store(films: usize) -> Arc<PlaneStore> {
    let plane = |film: usize| {
        let mut random = rng::stream(film as u64, "film", &[]);
        Plane { width: 20, height: 20, pixels: (0..400).map(|_| rng::unit(&mut random)).collect() }
    };
    Arc::new(PlaneStore::from_planes(20, (0..films).map(plane)))
}

fn loader(store: &Arc<PlaneStore>) -> Box<Draw<'static>> {
    let store = Arc::clone(store);
    Box::new(move |epoch, done| Ok(Box::new(Loader::start_at(Arc::clone(&store), epoch, done, 1)?)))
}

fn checkpoints(folder: &Path, resume: bool, every: u64) -> Checkpoints {
    Checkpoints { folder: folder.join("c.checkpoint"), resume, every: Some(every) }
}

/// Every float of a module in its order, statistics included.
fn values<M: Module>(module: &M) -> Vec<Vec<f32>> {
    struct All(Vec<Vec<f32>>);
    impl ModuleVisitor for All {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(read(param.val()).unwrap());
        }
    }
    let mut all = All(Vec::new());
    module.valid().visit(&mut all);
    all.0
}

/// What must be equal after a resumed and an uninterrupted run.
fn everything(state: &State) -> (u64, [Vec<Vec<f32>>; 3], usize, History) {
    let moments = state.optimizer.moments(&state.learner);
    let all = [values(&state.learner), values(&moments.first), values(&moments.second)];
    let mut history = state.history.clone();
    // The clock is not part of it.
    history.epochs.iter_mut().for_each(|point| point.images_per_second = 0.0);
    (state.step, all, moments.steps, history)
}

/// Runs until `stop` steps are done, or to the end, probing after every epoch.
fn run(
    config: &PretrainConfig,
    devices: &[Device],
    checkpoints: Option<&Checkpoints>,
    draw: &mut Draw<'_>,
    stop: Option<u64>,
) -> (Result<(), LearnError>, State, Vec<StepReport>) {
    let mut run = Run::new(config, 32, devices, checkpoints, draw).unwrap();
    let mut reports = Vec::new();
    let probe = |network: &Pretrained, epoch: u32| {
        let first = values(&network.encoder)[0][0];
        let score = Score { accuracy: first, auroc: None };
        Ok(Some(ProbePoint { epoch, labels: 3, linear: score, knn: score }))
    };
    let result = run.go(&mut Watch {
        step: &mut |report| {
            reports.push(report.clone());
            if Some(report.step) == stop { Flow::Stop } else { Flow::Continue }
        },
        epoch: &mut { probe },
    });
    (result, run.state, reports)
}

/// Every objective, the queue partly and wholly filled, both optimisers, whole batches and parts.
#[test]
fn a_run_stopped_in_the_middle_of_an_epoch_ends_as_an_uninterrupted_one() {
    let vicreg = ObjectiveConfig::Vicreg { invariance: 25.0, variance: 25.0, covariance: 1.0 };
    let lars = OptimizerConfig::Lars { weight_decay: 1e-4, momentum: 0.9 };
    let adamw = config(2).optimizer;
    for (objective, optimizer, micro_batches, stops) in [
        (simclr(0), &adamw, 1, vec![7]),
        (simclr(0), &adamw, 2, vec![5, 6]),
        (simclr(20), &lars, 1, vec![7]),
        (simclr(500), &adamw, 2, vec![4]),
        (vicreg, &lars, 1, vec![3, 7]),
        (byol(), &adamw, 1, vec![7]),
        (byol(), &lars, 2, vec![6]),
    ] {
        let optimizer = optimizer.clone();
        goes_on(&PretrainConfig { micro_batches, objective, optimizer, ..config(2) }, &stops);
    }
}

/// Stops a run of 8 steps after some of them and compares its end with that of a run which was not stopped.
fn goes_on(config: &PretrainConfig, stops: &[u64]) {
    let (store, device, folder) = (store(32), [Device::flex()], tempfile::tempdir().unwrap());
    let (done, whole, reports) = run(config, &device, None, &mut *loader(&store), None);
    done.unwrap();
    assert_eq!(reports.len(), 8);
    let mut seen = Vec::new();
    for (index, stop) in stops.iter().map(|&stop| Some(stop)).chain([None]).enumerate() {
        let kept = checkpoints(folder.path(), index > 0, 100);
        let (result, state, reports) =
            run(config, &device, Some(&kept), &mut *loader(&store), stop);
        seen.extend(reports);
        if stop.is_some() {
            assert!(matches!(result, Err(LearnError::Stopped)));
            continue;
        }
        result.unwrap();
        let (found, expected) = (everything(&state), everything(&whole));
        assert_eq!((found.0, found.2, found.3), (expected.0, expected.2, expected.3));
        assert!(found.1 == expected.1, "other weights or moments: {config:?}");
        // What an objective keeps beside the weights is in its files.
        let (own, other) = (folder.path().join("own"), folder.path().join("other"));
        for (folder, state) in [(&own, &state), (&other, &whole)] {
            std::fs::create_dir(folder).unwrap();
            state.objective.save(folder).unwrap();
        }
        assert_eq!(contents(&own), contents(&other), "{config:?}");
    }
    let log = |reports: &[StepReport]| {
        let line = |r: &StepReport| (r.step, r.epoch, r.loss.to_bits(), r.accuracy);
        reports.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(log(&seen), log(&reports));
}

/// Files of a folder that hold no parameter ids, which are drawn anew in every run, by name; of the others the length.
fn contents(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let is_record = path.extension().is_some_and(|extension| extension == "bpk");
            let bytes = if is_record { bytes.len().to_le_bytes().to_vec() } else { bytes };
            (path.file_name().unwrap().to_owned(), bytes)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_checkpoint_is_written_every_so_many_steps() {
    let (store, folder) = (store(32), tempfile::tempdir().unwrap());
    let kept = checkpoints(folder.path(), false, 3);
    let mut run = Run::new(&config(2), 32, &[Device::flex()], Some(&kept), &mut *loader(&store))
        .map(|mut run| {
            let mut steps = Vec::new();
            let position = kept.folder.join("position.json");
            let mut look = |_: &StepReport| {
                let text = std::fs::read(&position).unwrap();
                let position: serde_json::Value = serde_json::from_slice(&text).unwrap();
                steps.push(position["step"].as_u64().unwrap());
                Flow::Continue
            };
            Watch::steps(&mut look, |watch| run.go(watch)).unwrap();
            steps
        })
        .unwrap();
    // Seen before the checkpoint of the step itself: every third step and the ends of epochs after steps 4 and 8.
    assert_eq!(run.split_off(0), [0, 0, 0, 3, 4, 4, 6, 6]);
}

#[test]
fn a_checkpoint_of_other_settings_is_refused_by_their_names() {
    let (store, folder) = (store(32), tempfile::tempdir().unwrap());
    let first = checkpoints(folder.path(), false, 100);
    let stopped = run(&config(1), &[Device::flex()], Some(&first), &mut *loader(&store), Some(1)).0;
    assert!(matches!(stopped, Err(LearnError::Stopped)));
    let kept = checkpoints(folder.path(), true, 100);
    let refused = |config: &PretrainConfig, films| {
        let mut draw = loader(&store);
        let mut run = Run::new(config, films, &[Device::flex()], Some(&kept), &mut *draw).unwrap();
        let error = Watch::steps(&mut |_| Flow::Continue, |watch| run.go(watch)).unwrap_err();
        assert!(matches!(error, LearnError::Checkpoint { .. }));
        error.to_string()
    };
    let augment = Augment { blur: 0.25, ..config(1).augment };
    let text = refused(&PretrainConfig { rate: 1e-3, augment, ..config(1) }, 32);
    assert!(text.contains("rate was 0.005 and is 0.001 now"), "{text}");
    assert!(text.contains("augment.blur was 0.5 and is 0.25 now"), "{text}");
    assert!(!text.contains("seed"), "{text}");
    let text = refused(&config(1), 30);
    assert!(text.contains("32 films") && text.contains("there are 30"), "{text}");
    assert!(text.contains("c.checkpoint"), "{text}");
}

#[test]
fn two_devices_give_the_result_of_two_parts_on_one() {
    let store = store(32);
    let config = PretrainConfig { micro_batches: 2, ..config(2) };
    let one = run(&config, &[Device::flex()], None, &mut *loader(&store), None).1;
    let two = [Device::flex(), Device::flex()];
    let two = run(&config, &two, None, &mut *loader(&store), None).1;
    assert!(everything(&one) == everything(&two));
    let byol = PretrainConfig { objective: byol(), ..config.clone() };
    let three = vec![Device::flex(); 3];
    let [one_byol, three_byol] = [&three[..1], &three[..]]
        .map(|devices| run(&byol, devices, None, &mut *loader(&store), None).1);
    assert!(everything(&one_byol) == everything(&three_byol));
    let whole = PretrainConfig { micro_batches: 1, ..config };
    let whole = run(&whole, &[Device::flex()], None, &mut *loader(&store), None).1;
    assert!(values(&one.learner) != values(&whole.learner), "contrast is within a part");
}

/// A part's gradients and statistics computed by hand, each by its own untouched network.
#[test]
fn gradients_and_statistics_are_means_over_parts() {
    struct Gradients<'a>(&'a GradientsParams, Vec<Vec<f32>>);
    impl ModuleVisitor for Gradients<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.extend(self.0.get::<D>(param.id).map(|gradient| read(gradient).unwrap()));
        }
    }
    let gradients_of = |learner: &Learner, gradients: &GradientsParams| {
        let mut all = Gradients(gradients, Vec::new());
        learner.visit(&mut all);
        all.1
    };
    let device = Device::flex().autodiff();
    let config = config(1);
    let start = Learner::init(&config.objective, &config.architecture, 5, &device);
    let parts: Vec<Batch> = loader(&store(32))(
        Epoch {
            batches: vec![(0..4).collect(), (4..8).collect(), (8..12).collect()],
            views: vec![config.augment.clone(); 2],
            size: 16,
            seed: 1,
            epoch: 0,
        },
        0,
    )
    .unwrap()
    .collect();
    let part = |batch: &Batch| {
        let learner = replicate(&start, &device);
        let mut objective = Objective::new(&config.objective, &learner, &device);
        let loss = objective.loss(&learner, films(batch.clone(), &device)).loss;
        let gradients = GradientsParams::from_grads(loss.backward(), &learner);
        (learner, gradients)
    };
    let mut sum = Parts::new(&device);
    let mut by_hand = Vec::new();
    for batch in &parts {
        let (learner, gradients) = part(batch);
        sum.add(&learner, gradients);
        let (learner, gradients) = part(batch);
        by_hand.push((gradients_of(&learner, &gradients), values(&learner)));
    }
    let before = values(&start);
    let (averaged, gradients) = sum.average(replicate(&start, &device));
    assert!(before == values(&start), "the network itself was touched");
    let close = |found: &[Vec<f32>], of: &dyn Fn(usize) -> Vec<Vec<f32>>| {
        let each: Vec<_> = (0..3).map(of).collect();
        for (index, found) in found.iter().enumerate() {
            for (place, value) in found.iter().enumerate() {
                let mean = each.iter().map(|part| part[index][place]).sum::<f32>() / 3.0;
                assert!((value - mean).abs() <= 1e-6 + 1e-5 * mean.abs(), "{value} is not {mean}");
            }
        }
    };
    let found = gradients_of(&averaged, &gradients);
    assert!(found.len() > 20 && found.len() == by_hand[0].0.len());
    close(&found, &|part| by_hand[part].0.clone());
    close(&values(&averaged), &|part| by_hand[part].1.clone());
    assert!(values(&averaged) != before, "the statistics did not move");
}

/// Yields films as the loader does, but NaN instead of the pixels of the given batches, counted over the whole test.
fn poisoned(store: &Arc<PlaneStore>, bad: Vec<usize>) -> Box<Draw<'static>> {
    let mut draw = loader(store);
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    Box::new(move |epoch, done| {
        let (bad, count) = (bad.clone(), Arc::clone(&count));
        Ok(Box::new(draw(epoch, done)?.map(move |mut batch| {
            if bad.contains(&count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                batch.pixels.fill(f32::NAN);
            }
            batch
        })))
    })
}

#[test]
fn what_is_not_finite_is_rolled_back_to_the_last_checkpoint() {
    let (store, folder, device) = (store(32), tempfile::tempdir().unwrap(), [Device::flex()]);
    let kept = checkpoints(folder.path(), false, 2);
    // The eighth batch drawn fails; the last checkpoint is of the sixth step.
    let (done, state, reports) =
        run(&config(3), &device, Some(&kept), &mut *poisoned(&store, vec![7]), None);
    done.unwrap();
    assert_eq!(state.history.rollbacks, [Rollback { at: 7, to: 6 }]);
    assert!(values(&state.learner).iter().flatten().all(|value| value.is_finite()));
    let steps: Vec<u64> = reports.iter().map(|report| report.step).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11, 12]);
    assert_ne!(reports[6].loss, reports[7].loss, "the films came in the same order again");
    // From there on the rate is half of what it was to be.
    let rates: Vec<f32> = state.history.epochs.iter().map(|point| point.rate).collect();
    let plain = run(&config(3), &device, None, &mut *loader(&store), None).1;
    let expected: Vec<f32> = plain.history.epochs.iter().map(|point| point.rate).collect();
    assert_eq!(rates, [expected[0], expected[1] / 2.0, expected[2] / 2.0]);
}

#[test]
fn a_run_that_fails_again_and_again_gives_up() {
    let (store, folder, device) = (store(32), tempfile::tempdir().unwrap(), [Device::flex()]);
    let kept = checkpoints(folder.path(), false, 100);
    let bad = (0..100).step_by(2).collect();
    let (failed, state, _) =
        run(&config(3), &device, Some(&kept), &mut *poisoned(&store, bad), None);
    assert!(matches!(failed, Err(LearnError::NotANumber { step: 1 })), "{failed:?}");
    assert_eq!(state.history.rollbacks.len(), ROLLBACKS);
    let (failed, ..) = run(&config(3), &device, None, &mut *poisoned(&store, vec![2]), None);
    assert!(matches!(failed, Err(LearnError::NotANumber { step: 2 })), "{failed:?}");
}
