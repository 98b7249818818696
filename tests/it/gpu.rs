//! The GPU's path against the CPU's: the same network learns the same on both.
//!
//! Any adapter serves, also one that is a program (Mesa's lavapipe), which the program itself refuses. Networks are made
//! on the CPU and moved, since each backend has a generator of its own. Without an adapter the tests pass and say so,
//! unless `PENUMBRA_TEST_GPU=required` is set. Most of their time goes into compiling and tuning kernels, so the networks
//! are as small as there are and every part of a test uses the same shapes.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use penumbra::dataset::planes::PlaneStore;
use penumbra::device::{self, DeviceError};
use penumbra::imaging::Plane;
use penumbra::learn::distill::{Checkpointed, DistillConfig, Teacher, distill};
use penumbra::learn::nt_xent::nt_xent;
use penumbra::learn::optimizer::{LayerRates, ModuleAdamW};
use penumbra::learn::{Flow, LearnError, Setting, read, weighted_cross_entropy};
use penumbra::model::{Architecture, Classifier, Network, Pretrained, Stem};
use penumbra::rng;

const FILMS: usize = 8;
const SIZE: usize = 16;
const STEPS: usize = 10;

/// Names that software adapters give themselves.
const SOFTWARE: [&str; 3] = ["llvmpipe", "swiftshader", "basic render"];

/// Opens the adapter that wgpu finds.
fn adapter() -> Option<Device> {
    match device::gpu() {
        Err(DeviceError::Unavailable(reason)) => {
            skip(&format!("no adapter could be opened: {reason}"));
            None
        }
        // What has been refused stays open, and is the default still.
        Ok(_) | Err(_) => Some(Device::wgpu(DeviceKind::DefaultDevice)),
    }
}

fn skip(why: &str) {
    let required = std::env::var_os("PENUMBRA_TEST_GPU").is_some_and(|value| value == "required");
    assert!(!required, "the GPU has to be tested, but {why}");
    // Past the harness, which keeps what passing tests print to itself.
    writeln!(std::io::stderr().lock(), "the GPU is not tested: {why}").unwrap();
}

#[test]
fn software_adapters_and_no_others_are_refused() {
    let Some(device) = adapter() else { return };
    let name = device.identity().unwrap().name;
    let software = SOFTWARE.iter().any(|known| name.to_lowercase().contains(known));
    match device::gpu() {
        Ok(opened) => assert!(!software, "{opened} was taken for a graphics card"),
        Err(DeviceError::Software(refused)) => {
            assert!(software && refused.contains(&name), "{refused} was refused for {name}");
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

type Named = Vec<(String, Vec<f32>)>;

/// How a network learns.
#[derive(Default)]
struct Course {
    losses: Vec<f32>,
    /// Gradients of the first step and of the last.
    gradients: [Named; 2],
    /// Weights and running statistics, before and after.
    states: [Named; 2],
    /// Scores of other films afterwards.
    scores: Vec<f32>,
}

/// Reads tensors with their names: the network's own, or their gradients.
struct Reader<'a> {
    gradients: Option<&'a GradientsParams>,
    path: Vec<String>,
    found: Named,
}

impl ModuleVisitor for Reader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            Some(gradients) => gradients.get::<D>(param.id),
            None => Some(param.val()),
        };
        self.found.extend(tensor.map(|tensor| (self.path.join("."), read(tensor).unwrap())));
    }
}

fn named(module: &impl Module, gradients: Option<&GradientsParams>) -> Named {
    let mut reader = Reader { gradients, path: Vec::new(), found: Vec::new() };
    module.visit(&mut reader);
    reader.found
}

/// Gives batch norms random scales, since those that start at zero let no gradient through.
struct Scale {
    within: bool,
}

impl ModuleMapper for Scale {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.within = name == "gamma";
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.within {
            return param;
        }
        param.map(|scale| uniform("scale", 0, scale.dims(), &scale.device()) + 0.5)
    }
}

/// Gives a classifier random linear layers: one that starts from zeros has no opinion to teach.
struct Opinion;

impl ModuleMapper for Opinion {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 2 {
            return param;
        }
        param.map(|weights| uniform("opinion", 0, weights.dims(), &weights.device()) - 0.5)
    }
}

/// Draws numbers in 0..1 that are the same on every device.
fn uniform<const D: usize>(
    purpose: &str,
    index: usize,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let mut random = rng::stream(8, purpose, &[index as u64]);
    let count = shape.iter().product::<usize>();
    let values = (0..count).map(|_| rng::unit(&mut random)).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn films(index: usize, device: &Device) -> Tensor<4> {
    uniform("films", index, [FILMS, 1, SIZE, SIZE], device)
}

/// Every third film is of the second class.
fn loss(scores: Tensor<2>) -> Tensor<1> {
    let share = 1.0 / FILMS as f32;
    let targets =
        (0..FILMS).flat_map(|film| if film % 3 == 0 { [0.0, share] } else { [share, 0.0] });
    let targets = TensorData::new(targets.collect::<Vec<f32>>(), [FILMS, 2]);
    let device = scores.device();
    weighted_cross_entropy(scores, Tensor::from_data(targets, &device))
}

/// Trains a copy of `start` on a device.
fn learn(start: &Classifier, device: &Device) -> Course {
    // `valid` copies running statistics, which clones would share.
    let mut model = start.valid().fork(device).train();
    let training = device.clone().autodiff();
    let mut optimizer = ModuleAdamW::new(1e-2, LayerRates { head: 2.0, decay: 0.9, blocks: 4 });
    let mut course = Course::default();
    course.states[0] = named(&model.valid(), None);
    for step in 0..STEPS {
        let loss = loss(model.forward(films(step, &training)));
        course.losses.extend(read(loss.clone().inner()).unwrap());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        match step {
            0 => course.gradients[0] = named(&model, Some(&gradients)),
            _ if step + 1 == STEPS => course.gradients[1] = named(&model, Some(&gradients)),
            _ => {}
        }
        model = optimizer.step(1e-3, model, gradients);
    }
    let model = model.valid();
    course.states[1] = named(&model, None);
    course.scores = read(model.forward(films(STEPS, device))).unwrap();
    course
}

fn norm(values: &[f32]) -> f32 {
    values.iter().map(|value| value * value).sum::<f32>().sqrt()
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Holds `found` to `expected` within a share of its length, as vectors: the first step of AdamW has the length of the
/// rate whatever the gradient's, so that single weights may well differ.
fn assert_near(what: &str, found: &[f32], expected: &[f32], share: f32) {
    let (error, length) = (norm(&difference(found, expected)), norm(expected));
    // Not a number is not near either.
    assert!(
        error <= share * length + 1e-6,
        "{what} is off by {error:.2e} at a length of {length:.2e}"
    );
}

fn is_statistic(name: &str) -> bool {
    name.contains("running_")
}

/// Holds how a network learnt on the GPU to how it learnt on the CPU.
fn assert_same(part: &str, gpu: &Course, cpu: &Course) {
    assert_near(&format!("{part}: losses"), &gpu.losses, &cpu.losses, 1e-3);
    for (gpu, cpu) in gpu.gradients.iter().zip(&cpu.gradients) {
        assert_eq!(gpu.len(), cpu.len());
        for ((name, found), (same, expected)) in gpu.iter().zip(cpu) {
            assert_eq!(name, same);
            assert_near(&format!("{part}: the gradient of {name}"), found, expected, 1e-3);
        }
    }
    assert_eq!(gpu.states[0], cpu.states[0], "{part}: not the same start");
    assert_eq!(gpu.states[1].len(), cpu.states[1].len());
    let moves = |course: &Course, index: usize| {
        difference(&course.states[1][index].1, &course.states[0][index].1)
    };
    for (index, (name, _)) in cpu.states[1].iter().enumerate() {
        let share = if is_statistic(name) { 1e-3 } else { 1e-2 };
        let what = format!("{part}: the move of {name}");
        assert_near(&what, &moves(gpu, index), &moves(cpu, index), share);
    }
    assert_near(&format!("{part}: scores"), &gpu.scores, &cpu.scores, 1e-3);
}

/// Names of what a course has moved.
fn moved(course: &Course) -> Vec<&str> {
    let pairs = course.states[0].iter().zip(&course.states[1]);
    pairs.filter(|(before, after)| before != after).map(|(before, _)| before.0.as_str()).collect()
}

/// Names of what has a gradient in the last step.
fn learning(course: &Course) -> Vec<&str> {
    let gradients = course.gradients[1].iter().filter(|(_, values)| norm(values) > 1e-4);
    gradients.map(|(name, _)| name.as_str()).collect()
}

/// Opens the adapter for a test that computes on it.
fn computing_adapter() -> Option<Device> {
    let device = adapter()?;
    if cfg!(feature = "gpu-spirv") && matches!(device::gpu(), Err(DeviceError::Software(_))) {
        skip("SPIR-V kernels crash a software adapter");
        return None;
    }
    Some(device)
}

#[test]
fn networks_learn_on_the_gpu_as_on_the_cpu() {
    let Some(gpu) = computing_adapter() else { return };
    let cpu = Device::flex();
    let architecture = Architecture::resnet(10, 0.0625, Stem::Standard);
    let pretrained = Pretrained::init(&architecture, 7, &cpu).map(&mut Scale { within: false });
    let start = Classifier::from_pretrained(pretrained, 2, &cpu);
    let all: Vec<String> = named(&start, None).into_iter().map(|(name, _)| name).collect();
    let both = |part: &str, start: &Classifier| {
        let [found, expected] = [&gpu, &cpu].map(|device| learn(start, device));
        assert_same(part, &found, &expected);
        found
    };

    let course = both("the whole network", &start);
    assert_eq!(moved(&course), all);
    let weights = |name: &&String| !is_statistic(name);
    assert_eq!(learning(&course), all.iter().filter(weights).collect::<Vec<_>>());

    // As for a linear probe: neither the films nor the encoder ask for gradients.
    let mut probe = start.clone();
    probe.encoder = probe.encoder.freeze();
    let course = both("a head on a frozen encoder", &probe);
    let head: Vec<&String> = all.iter().filter(|name| name.starts_with("head")).collect();
    assert_eq!(moved(&course), head);
    assert_eq!(learning(&course), head.into_iter().filter(weights).collect::<Vec<_>>());

    // As fine-tuning does it.
    let course = both("frozen statistics", &start.freeze().set_require_grad(true));
    assert_eq!(moved(&course), all.iter().filter(weights).collect::<Vec<_>>());

    let contrast = |device: &Device| {
        let z = uniform("z", 0, [2 * FILMS, 32], &device.clone().autodiff()).require_grad();
        let loss = nt_xent(z.clone(), 0.1).loss;
        let gradient = z.grad(&loss.backward()).unwrap();
        (read(loss.inner()).unwrap(), read(gradient).unwrap())
    };
    let (found, expected) = (contrast(&gpu), contrast(&cpu));
    assert_near("NT-Xent", &found.0, &expected.0, 1e-4);
    assert_near("the gradient of NT-Xent", &found.1, &expected.1, 1e-3);
}

/// The published pair in small: selective kernels are asked about each view of a network of bottlenecks, which LARS moves.
/// On the GPU the run is stopped at a step and goes on.
#[test]
fn a_student_of_selective_kernels_goes_on_on_the_gpu() {
    let Some(gpu) = computing_adapter() else { return };
    let cpu = Device::flex();
    let narrow = |selective| {
        let architecture = Network { depth: 14, selective }.architecture(0.0625, Stem::Standard);
        Pretrained::init(&architecture, 7, &cpu).map(&mut Scale { within: false })
    };
    let (start, size) = (narrow(false), SIZE as u32);
    let teacher = Classifier::from_pretrained(narrow(true), 2, &cpu).map(&mut Opinion);
    let planes = (0..2 * FILMS).map(|film| {
        let pixels = uniform("planes", film, [SIZE * SIZE], &cpu);
        Plane { width: size, height: size, pixels: read(pixels).unwrap() }
    });
    let store = Arc::new(PlaneStore::from_planes(size, planes));
    let rows: Vec<usize> = (0..store.len()).collect();
    let config = DistillConfig { epochs: 2, ..DistillConfig::original(size, FILMS, 1) };
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("student.checkpoint");
    let lesson = &serde_json::json!("one");
    let run = |device: &Device, path: Option<&Path>, stop_at| {
        let start = start.clone().fork(device);
        let setting = Setting { start: &start, classes: 2, store: &store, device, head: None };
        let student = Classifier::from_pretrained(start.clone(), 2, device);
        let teachers = [teacher.valid().fork(device)];
        let mut losses = Vec::new();
        let model = distill(
            &setting,
            &student,
            &rows,
            Teacher::Networks(&teachers),
            &config,
            path.map(|folder| Checkpointed { folder, lesson }),
            &mut |report| {
                losses.push(report.loss);
                if report.step == stop_at { Flow::Stop } else { Flow::Continue }
            },
        );
        (model, losses)
    };
    let scores =
        |model: &Classifier, device: &Device| read(model.forward(films(0, device))).unwrap();
    let (whole, expected) = run(&cpu, None, 0);
    let (stopped, mut losses) = run(&gpu, Some(&checkpoint), 3);
    assert!(matches!(stopped, Err(LearnError::Stopped)) && checkpoint.is_dir());
    let (resumed, rest) = run(&gpu, Some(&checkpoint), 0);
    losses.extend(rest);
    assert_near("losses", &losses, &expected, 1e-3);
    let (found, expected) = (scores(&resumed.unwrap(), &gpu), scores(&whole.unwrap(), &cpu));
    // A classifier starts from zeros.
    assert!(norm(&expected) > 1e-2, "nothing was learnt: {expected:?}");
    assert_near("scores", &found, &expected, 1e-2);
}
