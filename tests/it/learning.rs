//! Networks and learning stages on the CPU backend, at sizes that take seconds.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use penumbra::dataset::Labelled;
use penumbra::dataset::planes::PlaneStore;
use penumbra::features::{Embeddings, FoldAssigner, Space, SpaceFilms};
use penumbra::imaging::{Augment, Fit, Plane, Preprocess};
use penumbra::learn::distill::{DistillConfig, Teacher, distill};
use penumbra::learn::finetune::{FinetuneConfig, finetune};
use penumbra::learn::fixmatch::{FixMatchConfig, fixmatch};
use penumbra::learn::metrics::log_loss;
use penumbra::learn::objective::ObjectiveConfig;
use penumbra::learn::optimizer::OptimizerConfig;
use penumbra::learn::pretrain::{PretrainConfig, Watch, pretrain};
use penumbra::learn::schedule::Scaling;
use penumbra::learn::supervised::{SupervisedConfig, supervised};
use penumbra::learn::{
    EVAL_BATCH, Flow, LearnError, Recipe, Setting, StepReport, probabilities, read,
};
use penumbra::model::folder::{self, Kind, ModelCard, load_classifier, load_pretrained};
use penumbra::model::{Architecture, Classifier, Network, Pretrained, Stem};
use penumbra::rng;

const SIZE: u32 = 16;

fn small() -> Architecture {
    Architecture::resnet(10, 0.125, Stem::Small)
}

/// Films of two kinds, brighter above or brighter below, each with waves of its own; a mirror image is of the same kind.
fn films(count: usize) -> Arc<PlaneStore> {
    films_of_contrast(count, 0.15)
}

/// Empty folds for so many films, two of each patient.
fn assigner(count: usize, folds: usize) -> FoldAssigner {
    let patients = (0..count).map(|row| format!("p{}", row / 2)).collect();
    let films = SpaceFilms { patients, classes: 2, unreadable: Vec::new() };
    let features = Embeddings::new(1, vec![0.0; count]).unwrap();
    Space::scaled(features, films).unwrap().assigner(folds)
}

/// The same with another difference between above and below.
fn films_of_contrast(count: usize, contrast: f32) -> Arc<PlaneStore> {
    let edge: u32 = 24;
    let planes = (0..count).map(|index| {
        let mut random = rng::stream(11, "film", &[index as u64]);
        let (across, down) =
            (rng::uniform(&mut random, 0.2, 1.2), rng::uniform(&mut random, -1.2, 1.2));
        let lower = if index % 2 == 1 { contrast } else { -contrast };
        let pixels = (0..edge * edge).map(|i| {
            let (x, y) = ((i % edge) as f32, (i / edge) as f32);
            let shade = if i / edge >= edge / 2 { lower } else { -lower };
            (0.5 + shade + 0.25 * (across * x + down * y).sin()).clamp(0.0, 1.0)
        });
        Plane { width: edge, height: edge, pixels: pixels.collect() }
    });
    Arc::new(PlaneStore::from_planes(edge, planes))
}

fn config(epochs: u32) -> PretrainConfig {
    PretrainConfig {
        architecture: small(),
        size: SIZE,
        epochs,
        batch: 16,
        micro_batches: 1,
        objective: ObjectiveConfig::Simclr {
            temperature: 0.2,
            decoupled: false,
            queue: 0,
            momentum: 0.0,
        },
        optimizer: OptimizerConfig::Adamw { weight_decay: 1e-4 },
        rate: 5e-3,
        scaling: Scaling::None,
        warmup_epochs: 1,
        augment: Augment {
            crop_area: (0.7, 1.0),
            rotate_degrees: 0.0,
            blur: 0.0,
            ..Augment::simclr()
        },
        seed: 5,
    }
}

fn card(kind: Kind, classes: &[&str]) -> ModelCard {
    ModelCard {
        version: 1,
        kind,
        architecture: small(),
        preprocess: Preprocess { size: SIZE, fit: Fit::Pad },
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
        parent: None,
        seed: 5,
        made_by: serde_json::Value::Null,
        metrics: serde_json::Value::Null,
        weights_hash: String::new(),
    }
}

fn input(device: &Device) -> Tensor<4> {
    let mut random = rng::stream(1, "input", &[]);
    let pixels = (0..2 * SIZE * SIZE).map(|_| rng::unit(&mut random)).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(pixels, [2, 1, SIZE as usize, SIZE as usize]), device)
}

/// SimCLR v2's count for ResNet-18, 11,180,736 with three input channels, less two channels of the 7×7 stem.
#[test]
fn resnet18_has_the_published_number_of_parameters() {
    let architecture = Architecture::resnet(18, 1.0, Stem::Standard);
    let model = Pretrained::init(&architecture, 0, &Device::flex().autodiff());
    assert_eq!(trainable(&model.encoder), 11_174_464);
}

/// Parameters that require gradients: running statistics do not count.
fn trainable<M: Module>(module: &M) -> usize {
    struct Count(usize);
    impl burn::module::ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            if param.val().is_require_grad() {
                self.0 += param.val().shape().num_elements();
            }
        }
    }
    let mut count = Count(0);
    module.visit(&mut count);
    count.0
}

#[test]
fn pretraining_learns_to_tell_films_apart() {
    let store = films(64);
    let mut reports = Vec::new();
    let device = Device::flex();
    let mut step = |report: &StepReport| {
        reports.push(report.clone());
        Flow::Continue
    };
    Watch::steps(&mut step, |watch| pretrain(&config(16), &store, &[device], 1, None, watch))
        .unwrap();
    assert_eq!(reports.len(), 16 * 4);
    let mean = |reports: &[StepReport]| {
        reports.iter().map(|report| report.loss).sum::<f32>() / reports.len() as f32
    };
    let (first, last) = (mean(&reports[..4]), mean(&reports[60..]));
    assert!(last < 0.8 * first, "the loss went from {first} to {last}");
    // It is measured at every tenth step on 32 views; one measure alone is mostly chance.
    let measured: Vec<f32> =
        reports.iter().skip(30).step_by(10).filter_map(|report| report.accuracy).collect();
    assert_eq!(measured.len(), 4);
    let accuracy = measured.iter().sum::<f32>() / 4.0;
    assert!(accuracy > 2.0 / 31.0, "contrastive accuracy {accuracy} is near chance, 1 / 31");
}

/// A ResNet-50 of twice the width with selective kernels, pretrained as the published system did but for size and batch.
#[test]
fn the_published_teacher_takes_steps_of_simclr() {
    let published = PretrainConfig {
        architecture: Network { depth: 50, selective: true }.architecture(2.0, Stem::Standard),
        batch: 2,
        objective: ObjectiveConfig::Simclr {
            temperature: 0.1,
            decoupled: false,
            queue: 0,
            momentum: 0.0,
        },
        optimizer: OptimizerConfig::Lars { weight_decay: 1e-4, momentum: 0.9 },
        rate: 0.2,
        scaling: Scaling::Linear,
        ..config(1)
    };
    let device = Device::flex();
    let (store, devices) = (films(4), [device.clone()]);
    let trained = Watch::steps(&mut |_| Flow::Continue, |watch| {
        pretrain(&published, &store, &devices, 1, None, watch)
    });
    let start = Pretrained::init(&published.architecture, published.seed, &device);
    let (before, after) = (kernels(&start), kernels(&trained.unwrap().network));
    assert_eq!(before.len(), after.len());
    let stayed = before.iter().zip(&after).filter(|(before, after)| before == after).count();
    assert_eq!(stayed, 0, "of {} kernels so many have not moved", before.len());
}

/// The first number of each convolution's weights.
fn kernels(network: &Pretrained) -> Vec<f32> {
    struct First(Vec<f32>);
    impl burn::module::ModuleVisitor for First {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            if D == 4 {
                self.0.push(read(param.val()).unwrap()[0]);
            }
        }
    }
    let mut all = First(Vec::new());
    network.encoder.valid().visit(&mut all);
    all.0
}

#[test]
fn fine_tuning_and_distillation_learn_two_kinds_of_films() {
    let store = films(60);
    let device = Device::flex();
    // A few epochs of pretraining give the batch norms, which fine-tuning keeps, their statistics.
    let devices = [device.clone()];
    let trained = Watch::steps(&mut |_| Flow::Continue, |watch| {
        pretrain(&config(6), &store, &devices, 1, None, watch)
    });
    let start = trained.unwrap().network;
    let (store_of, head) = (&store, None);
    let setting = Setting { start: &start, classes: 2, store: store_of, device: &device, head };
    let asked = std::cell::Cell::new(0);
    let mut labels = || {
        // Labels arrive while it runs.
        asked.set(asked.get() + 1);
        let rows: Vec<usize> = (0..if asked.get() > 4 { 24 } else { 16 }).collect();
        Labelled { classes: rows.iter().map(|row| row % 2).collect(), rows }
    };
    let recipe = Recipe { rate: 2e-3, ema: 0.9, head_factor: 10.0, ..Recipe::from_encoder() };
    let config = FinetuneConfig {
        epochs: 12,
        batch: 4,
        recipe: recipe.clone(),
        augment: Augment::weak(),
        ..FinetuneConfig::standard(SIZE, 1)
    };
    let go_on = &mut |_: &StepReport| Flow::Continue;
    let tuned =
        finetune(&setting, assigner(60, config.folds), &mut labels, &config, None, go_on).unwrap();
    assert_eq!(tuned.labelled.rows.len(), 24);
    for (row, fold) in tuned.folds.iter().enumerate() {
        assert_eq!(*fold, tuned.folds[row ^ 1], "a patient is in two folds");
    }
    let right = |found: &[f32]| {
        found.chunks(2).enumerate().filter(|(row, p)| (p[1] > 0.5) == (row % 2 == 1)).count()
    };
    let unseen = &tuned.out_of_fold;
    assert!(right(unseen) >= 22, "{} of 24 unseen films are right", right(unseen));
    let rows: Vec<usize> = (0..60).collect();
    let done = &mut |_: usize| Flow::Continue;
    let teacher = probabilities(&tuned.model, &store, &rows, SIZE, &device, done).unwrap();
    assert!(right(&teacher) >= 57, "the teacher is right on {} of 60", right(&teacher));
    let distilling = DistillConfig {
        epochs: 20,
        batch: 12,
        recipe,
        augment: Augment::weak(),
        mixup: 0.0,
        ..DistillConfig::standard(SIZE, 1)
    };
    let taught = Teacher::Probabilities(&teacher);
    let begin = || setting.classifier(&Labelled::default());
    let student = distill(&setting, &begin(), &rows, taught, &distilling, None, go_on).unwrap();
    let found = probabilities(&student, &store, &rows, SIZE, &device, done).unwrap();
    assert!(right(&found) >= 57, "the student is right on {} of 60", right(&found));
    // The teachers themselves, asked about every view.
    let asked = Teacher::Networks(std::slice::from_ref(&tuned.model));
    let mixed = DistillConfig { mixup: 0.5, ..distilling };
    let student = distill(&setting, &begin(), &rows, asked, &mixed, None, go_on).unwrap();
    let found = probabilities(&student, &store, &rows, SIZE, &device, done).unwrap();
    assert!(right(&found) >= 56, "the student is right on {} of 60", right(&found));
}

#[test]
fn labels_that_come_late_are_learnt_from_though_they_are_the_harder_ones() {
    let (store, device) = (films(60), Device::flex());
    let devices = [device.clone()];
    let trained = Watch::steps(&mut |_| Flow::Continue, |watch| {
        pretrain(&config(6), &store, &devices, 1, None, watch)
    });
    let start = trained.unwrap().network;
    let setting = Setting { start: &start, classes: 2, store: &store, device: &device, head: None };
    let mut asked = 0;
    let mut labels = || {
        asked += 1;
        let rows: Vec<usize> = (0..if asked > 2 { 24 } else { 16 }).collect();
        // The late ones are of the other class than films like them.
        let class = |row: &usize| if *row < 16 { row % 2 } else { 1 - row % 2 };
        Labelled { classes: rows.iter().map(class).collect(), rows }
    };
    let recipe = Recipe { rate: 2e-3, ema: 0.9, head_factor: 10.0, ..Recipe::from_encoder() };
    let (augment, standard) = (Augment::weak(), FinetuneConfig::standard(SIZE, 1));
    let config = FinetuneConfig { epochs: 12, patience: 3, batch: 4, recipe, augment, ..standard };
    let go_on = &mut |_: &StepReport| Flow::Continue;
    let tuned =
        finetune(&setting, assigner(60, config.folds), &mut labels, &config, None, go_on).unwrap();
    assert_eq!((tuned.labelled.rows.len(), tuned.folds.len()), (24, 24));
    let loss = |films: std::ops::Range<usize>| {
        let classes = &tuned.labelled.classes[films.clone()];
        log_loss(&tuned.out_of_fold[2 * films.start..2 * films.end], classes, 2)
    };
    let (early, late) = (loss(0..16), loss(16..24));
    assert!(late > early + 0.1, "{late} and {early}: the late ones are no harder");
}

/// Few labels and many films, and how either way of learning takes them.
struct FewLabels {
    store: Arc<PlaneStore>,
    start: Pretrained,
    labelled: Labelled,
    device: Device,
}

impl FewLabels {
    fn new(labels: usize, contrast: f32) -> Self {
        let rows: Vec<usize> = (0..labels).collect();
        let labelled = Labelled { classes: rows.iter().map(|row| row % 2).collect(), rows };
        let device = Device::flex();
        Self {
            store: films_of_contrast(160, contrast),
            start: Pretrained::init(&small(), 7, &device),
            labelled,
            device,
        }
    }

    fn setting(&self) -> Setting<'_> {
        let (start, store, device) = (&self.start, &self.store, &self.device);
        Setting { start, classes: 2, store, device, head: None }
    }

    /// Films without a label that a network is right about.
    fn right(&self, network: &Classifier) -> usize {
        let rows: Vec<usize> = (self.labelled.rows.len()..self.store.len()).collect();
        let go_on = &mut |_| Flow::Continue;
        let found = probabilities(network, &self.store, &rows, SIZE, &self.device, go_on).unwrap();
        let pairs = rows.iter().zip(found.chunks(2));
        pairs.filter(|(row, p)| (p[1] > 0.5) == (*row % 2 == 1)).count()
    }

    fn learn(&self, config: &FixMatchConfig) -> Result<(Classifier, Vec<f32>), LearnError> {
        let rows: Vec<usize> = (0..self.store.len()).collect();
        let go_on = &mut |_: &StepReport| Flow::Continue;
        let found = fixmatch(&self.setting(), &rows, &self.labelled, None, config, go_on)?;
        Ok((found.model, found.taken))
    }
}

fn fixmatch_config(seed: u64) -> FixMatchConfig {
    FixMatchConfig { steps: 150, batch: 8, ..FixMatchConfig::from_scratch(SIZE, seed) }
}

/// The same from labels alone.
fn supervised_config(seed: u64) -> SupervisedConfig {
    let FixMatchConfig { steps, batch, recipe, weak: augment, .. } = fixmatch_config(seed);
    SupervisedConfig {
        steps,
        batch,
        recipe,
        last_augment: augment.clone(),
        augment,
        ..SupervisedConfig::from_scratch(SIZE, seed)
    }
}

#[test]
fn unlabelled_films_help_where_labels_are_few() {
    let few = FewLabels::new(6, 0.06);
    let go_on = &mut |_: &StepReport| Flow::Continue;
    let alone = supervised(&few.setting(), &few.labelled, &supervised_config(2), go_on).unwrap();
    let (together, taken) = few.learn(&fixmatch_config(2)).unwrap();
    let wrong = |network| few.store.len() - few.labelled.rows.len() - few.right(network);
    let (alone, together) = (wrong(&alone), wrong(&together));
    assert!(together < alone && together <= 5, "wrong about {together}, without them {alone}");
    // Near the end most films are sure, of either class.
    assert!(
        taken.iter().all(|&share| share > 0.3) && taken.iter().sum::<f32>() <= 1.0,
        "{taken:?}"
    );
}

#[test]
fn fixmatch_repeats_and_keeps_the_statistics_of_an_encoder() {
    let few = FewLabels::new(6, 0.15);
    let short = FixMatchConfig { steps: 4, ..FixMatchConfig::from_encoder(SIZE, 3) };
    let statistics = |encoder: &penumbra::model::Encoder| -> Vec<Vec<f32>> {
        struct Unmoved(Vec<Vec<f32>>);
        impl burn::module::ModuleVisitor for Unmoved {
            fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
                self.0.push(read(param.val()).unwrap());
            }
        }
        let mut all = Unmoved(Vec::new());
        encoder.valid().visit(&mut all);
        all.0
    };
    let before = statistics(&few.start.encoder);
    let kept = |config: &FixMatchConfig| {
        let after = statistics(&few.learn(config).unwrap().0.encoder);
        let same = before.iter().zip(&after).filter(|(before, after)| before == after).count();
        (same, after)
    };
    let (frozen, once) = kept(&short);
    assert_eq!(once, kept(&short).1, "the same seed gave another network");
    let recipe = Recipe { freeze_statistics: false, ..short.recipe.clone() };
    let (free, _) = kept(&FixMatchConfig { recipe, ..short });
    // Running means and variances alone stay, two of each batch norm.
    assert!(frozen > 0 && frozen % 2 == 0 && free == 0, "{frozen} and {free} tensors stayed");
}

#[test]
fn learning_from_few_labels_ends_early_with_the_reason() {
    let few = FewLabels::new(6, 0.15);
    let config = fixmatch_config(0);
    let mut huge = config.clone();
    huge.recipe.rate = 1e30;
    assert!(matches!(few.learn(&huge), Err(LearnError::NotANumber { .. })));
    let rows: Vec<usize> = (0..few.store.len()).collect();
    let mut steps = 0;
    let stopped = fixmatch(&few.setting(), &rows, &few.labelled, None, &config, &mut |_| {
        steps += 1;
        if steps == 2 { Flow::Stop } else { Flow::Continue }
    });
    assert!(matches!(stopped, Err(LearnError::Stopped)) && steps == 2);
    let one_class = Labelled { rows: vec![0, 2], classes: vec![0, 0] };
    let go_on = &mut |_: &StepReport| Flow::Continue;
    let missing = fixmatch(&few.setting(), &rows, &one_class, None, &config, go_on);
    assert!(matches!(missing, Err(LearnError::TooLittle(_))));
    let single = Setting { classes: 1, ..few.setting() };
    let of_one = fixmatch(&single, &rows, &one_class, None, &config, go_on);
    assert!(matches!(of_one, Err(LearnError::TooLittle(_))));
    let nothing = fixmatch(&few.setting(), &[], &few.labelled, None, &config, go_on);
    assert!(matches!(nothing, Err(LearnError::TooLittle(_))));
    let alone = supervised(&few.setting(), &one_class, &supervised_config(0), go_on);
    assert!(matches!(alone, Err(LearnError::TooLittle(_))));
}

#[test]
fn predicting_stops_between_two_batches_when_asked_to() {
    let (store, device) = (films(4), Device::flex());
    let network = Classifier::from_pretrained(Pretrained::init(&small(), 1, &device), 2, &device);
    let rows: Vec<usize> = (0..3 * EVAL_BATCH).map(|row| row % 4).collect();
    let mut told = Vec::new();
    let stopped = probabilities(&network, &store, &rows, SIZE, &device, &mut |done| {
        told.push(done);
        if done == 2 * EVAL_BATCH { Flow::Stop } else { Flow::Continue }
    });
    assert!(matches!(stopped, Err(LearnError::Stopped)));
    assert_eq!(told, [EVAL_BATCH, 2 * EVAL_BATCH], "it went on after the end");
}

#[test]
fn a_model_is_read_back_as_it_was_saved_but_for_half_precision() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let device = Device::flex();
    let model = Pretrained::init(&small(), 9, &device);
    folder::save(&model, card(Kind::Pretrained, &[]), &path).unwrap();
    folder::save(&model, card(Kind::Pretrained, &[]), &path).unwrap();
    let (loaded, card_read) = load_pretrained(&path, &device).unwrap();
    assert_eq!(card_read.weights_hash.len(), 64);
    let (a, b) = (
        read(model.project(input(&device))).unwrap(),
        read(loaded.project(input(&device))).unwrap(),
    );
    let scale = a.iter().fold(0.0_f32, |scale, value| scale.max(value.abs()));
    a.iter().zip(&b).for_each(|(a, b)| assert!((a - b).abs() < 5e-3 * scale, "{a} {b}"));
    assert!(load_classifier(&path, &device).is_err(), "an encoder passed for a classifier");

    let classifier = Classifier::from_pretrained(model, 2, &device);
    let classified = folder.path().join("c");
    folder::save(&classifier, card(Kind::Classifier, &["normal", "pneumonia"]), &classified)
        .unwrap();
    load_classifier(&classified, &device).unwrap();

    let weights = path.join(folder::WEIGHTS);
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 0x40;
    penumbra::fsutil::write_atomic(&weights, &bytes).unwrap();
    let error = load_pretrained(&path, &device).unwrap_err().to_string();
    assert!(error.contains("model.safetensors"), "{error}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        2,
        "unfinished folders were left behind"
    );
}

#[test]
fn a_seed_fixes_the_weights() {
    let device = Device::flex();
    let made = [5, 5, 6].map(|seed| Pretrained::init(&small(), seed, &device));
    let [a, b, c] = made.map(|model| read(model.project(input(&device))).unwrap());
    assert_eq!(a, b);
    assert_ne!(a, c);
}
