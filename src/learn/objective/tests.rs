use burn::module::{Module as _, Param};
use burn::optim::GradientsParams;
use burn::tensor::TensorData;
use serde_json::Value;

use super::*;
use crate::learn::optimizer::{Optimizer, OptimizerConfig};
use crate::learn::read;
use crate::model::{Architecture, Stem};
use crate::rng;

const SIMCLR: ObjectiveConfig =
    ObjectiveConfig::Simclr { temperature: 0.2, decoupled: true, queue: 20, momentum: 0.9 };
const VICREG: ObjectiveConfig =
    ObjectiveConfig::Vicreg { invariance: 25.0, variance: 25.0, covariance: 1.0 };
const BYOL: ObjectiveConfig = ObjectiveConfig::Byol { momentum: 0.9 };

/// Values of PyTorch, made by `tests/golden/objectives.py`.
fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/golden/objectives.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

fn matrix(value: &Value, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(numbers(value), shape), device)
}

fn same(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 2e-5 * expected.abs().max(1.0), "{found} {expected}");
    }
}

fn scalar(tensor: Tensor<1>) -> f32 {
    read(tensor).unwrap()[0]
}

fn gradient(loss: &Tensor<1>, of: &Tensor<2>) -> Vec<f32> {
    read(of.grad(&loss.backward()).unwrap()).unwrap()
}

#[test]
fn vicreg_has_the_reference_codes_terms_and_gradient() {
    let golden = &golden()["vicreg"];
    let device = Device::flex().autodiff();
    let z = matrix(&golden["z"], [8, 5], &device).require_grad();
    let vicreg::Terms { invariance, variance, covariance } = vicreg::terms(z.clone());
    let terms = [&invariance, &variance, &covariance].map(|term| scalar(term.clone().inner()));
    same(&terms, &numbers(&golden["terms"]));
    let loss = invariance.mul_scalar(25.0) + variance.mul_scalar(25.0) + covariance;
    same(&gradient(&loss, &z), &numbers(&golden["gradient"]));
}

#[test]
fn byol_has_the_papers_loss_and_gradients_through_its_predictor() {
    let golden = &golden()["byol"];
    let device = Device::flex().autodiff();
    let z = matrix(&golden["z"], [6, 4], &device).require_grad();
    let target = matrix(&golden["target"], [6, 4], &device);
    let mut predictor = Perceptron::init([4, 6, 4], 0, &device);
    let bias = Tensor::from_data(TensorData::new(numbers(&golden["bias"]), [4]), &device);
    predictor.hidden.weight = Param::from_tensor(matrix(&golden["hidden"], [4, 6], &device));
    predictor.output.weight = Param::from_tensor(matrix(&golden["output"], [6, 4], &device));
    predictor.output.bias = Some(Param::from_tensor(bias));
    let loss = byol::loss(predictor.forward(z.clone()), target);
    same(&[scalar(loss.clone().inner())], &[golden["loss"].as_f64().unwrap() as f32]);
    let gradients = loss.backward();
    let of = |tensor: &Tensor<2>| read(tensor.grad(&gradients).unwrap()).unwrap();
    same(&of(&z), &numbers(&golden["gradients"][0]));
    same(&of(&predictor.hidden.weight.val()), &numbers(&golden["gradients"][1]));
}

#[test]
fn the_contrastive_loss_has_pytorchs_values_decoupled_and_with_keys() {
    let golden = &golden()["contrastive"];
    let device = Device::flex().autodiff();
    for case in golden["cases"].as_array().unwrap() {
        let z = matrix(&golden["z"], [6, 4], &device).require_grad();
        let keys = matrix(&golden["keys"], [5, 4], &device);
        let keys = case["queued"].as_bool().unwrap().then_some(keys);
        let loss = contrastive(z.clone(), 0.5, case["decoupled"].as_bool().unwrap(), keys).loss;
        same(&[scalar(loss.clone().inner())], &[case["loss"].as_f64().unwrap() as f32]);
        same(&gradient(&loss, &z), &numbers(&case["gradient"]));
    }
}

#[test]
fn byols_momentum_rises_to_one() {
    assert_eq!(byol::momentum(0.996, 0, 1000), 0.996);
    assert!((byol::momentum(0.996, 500, 1000) - 0.998).abs() < 1e-12);
    assert_eq!(byol::momentum(0.996, 1000, 1000), 1.0);
}

/// A learner, its state and its optimiser on films of bars whose direction and place tell them apart.
struct Run {
    learner: Learner,
    objective: Objective,
    optimizer: Optimizer,
    step: u64,
}

const FILMS: usize = 8;
const STEPS: u64 = 24;

impl Run {
    fn new(config: &ObjectiveConfig) -> Self {
        let device = Device::flex().autodiff();
        let architecture = Architecture::resnet(10, 0.0625, Stem::Small);
        let learner = Learner::init(config, &architecture, 3, &device);
        let objective = Objective::new(config, &learner, &device);
        let optimizer = Optimizer::new(&OptimizerConfig::Adamw { weight_decay: 1e-4 });
        Self { learner, objective, optimizer, step: 0 }
    }

    /// Both views of every film, which differ by noise.
    fn views(&self) -> Tensor<4> {
        let mut random = rng::stream(5, "views", &[self.step]);
        let mut pixels = Vec::new();
        for film in (0..FILMS).chain(0..FILMS) {
            for (y, x) in (0..16).flat_map(|y| (0..16).map(move |x| (y, x))) {
                let along = if film % 2 == 0 { x } else { y };
                let bar = if along / 4 == film / 2 { 0.8 } else { 0.1 };
                pixels.push(bar + 0.1 * rng::unit(&mut random));
            }
        }
        let device = Device::flex().autodiff();
        Tensor::from_data(TensorData::new(pixels, [2 * FILMS, 1, 16, 16]), &device)
    }

    fn step(&mut self) -> f32 {
        let loss = self.objective.loss(&self.learner, self.views()).loss;
        let value = scalar(loss.clone().inner());
        let gradients = GradientsParams::from_grads(loss.backward(), &self.learner);
        self.learner = self.optimizer.step(3e-3, self.learner.clone(), gradients);
        self.step += 1;
        self.objective.stepped(&self.learner, self.step, STEPS);
        value
    }

    /// Mean distance of the first views' embeddings from their centre, in parts of their mean length.
    fn spread(&self, embed: impl Fn(&Learner, Tensor<4>) -> Tensor<2>) -> f32 {
        let embedded = embed(&self.learner, self.views()).inner().narrow(0, 0, FILMS);
        let length = scalar((embedded.clone() * embedded.clone()).sum_dim(1).sqrt().mean());
        let centred = embedded.clone() - embedded.mean_dim(0);
        scalar((centred.clone() * centred).sum_dim(1).sqrt().mean()) / length
    }
}

#[test]
fn each_objective_falls_and_keeps_films_apart() {
    for (config, falls_to) in [(SIMCLR, 0.8), (VICREG, 0.8), (BYOL, 0.8)] {
        let mut run = Run::new(&config);
        run.objective.queue = None;
        let losses: Vec<f32> = (0..STEPS).map(|_| run.step()).collect();
        let (first, last) = (losses[..3].iter().sum::<f32>(), losses[21..].iter().sum::<f32>());
        assert!(last < falls_to * first, "{config:?}: {losses:?}");
        let spread = match config {
            ObjectiveConfig::Vicreg { .. } => run.spread(Learner::expand),
            _ => run.spread(|learner, films| learner.network.project(films)),
        };
        assert!(spread > 0.3, "{config:?} collapsed: {spread}");
    }
}

/// Six steps, of which the last three are taken again by a run that was restored after the third.
#[test]
fn a_restored_state_goes_on_bit_for_bit() {
    for config in [SIMCLR, BYOL] {
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::new(&config);
        (0..3).for_each(|_| _ = run.step());
        run.objective.save(folder.path()).unwrap();
        // The weights go on in a copy that shares no batch-norm statistics.
        let mut other = Run::new(&config);
        other.learner = run.learner.valid().train();
        other.objective = Objective::new(&config, &other.learner, &Device::flex().autodiff());
        other.optimizer.restore(&run.optimizer.moments(&run.learner));
        other.step = run.step;
        let fresh = other.objective.loss(&other.learner, other.views()).loss;
        other.learner = run.learner.valid().train();
        other.objective.restore(folder.path()).unwrap();
        let expected: Vec<f32> = (0..3).map(|_| run.step()).collect();
        assert_ne!(scalar(fresh.inner()), expected[0], "{config:?}: the state made no difference");
        let found: Vec<f32> = (0..3).map(|_| other.step()).collect();
        assert_eq!(found, expected, "{config:?}");
    }
}

#[test]
fn the_queue_keeps_the_latest_keys_normalised() {
    let device = Device::flex();
    let mut queue = Queue::new(5);
    let keys = |value: f32| Tensor::<2>::from_floats([[value, 0.0], [0.0, value]], &device);
    queue.take_in();
    assert!(queue.keys().is_none());
    for value in [2.0, -3.0, 4.0] {
        queue.wait(keys(value));
        queue.take_in();
    }
    let found = read(queue.keys().unwrap()).unwrap();
    // The latest pair, the one before, and the first row of the first.
    same(&found, &[1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, -1.0, 1.0, 0.0]);
}

#[test]
fn the_target_follows_the_weights_and_has_statistics_of_its_own() {
    let mut run = Run::new(&BYOL);
    let before = run.objective.target.as_ref().unwrap().project(run.views());
    let same_weights = run.learner.network.project(run.views()).inner();
    assert_eq!(read(before.clone()).unwrap(), read(same_weights).unwrap());
    run.step();
    let target = run.objective.target.as_mut().unwrap();
    target.follow(&run.learner.network, 1.0);
    let held = read(target.project(Run::new(&BYOL).views())).unwrap();
    target.follow(&run.learner.network, 0.0);
    let followed = read(target.project(Run::new(&BYOL).views())).unwrap();
    assert_ne!(held, followed);
    let now = read(run.learner.network.project(Run::new(&BYOL).views()).inner()).unwrap();
    assert_eq!(followed, now, "batch norms normalise over the batch");
}

#[test]
fn configurations_are_read_back_and_unknown_fields_refused() {
    for config in [SIMCLR, VICREG, BYOL] {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ObjectiveConfig>(&text).unwrap(), config);
    }
    assert!(serde_json::from_str::<ObjectiveConfig>(r#"{"byol":{"momentum":0.9,"x":1}}"#).is_err());
}
