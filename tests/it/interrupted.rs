//! Commands that are interrupted.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use penumbra::fsutil::write_atomic;
use rustix::process::{Pid, Signal, kill_process};

use super::cli::{code, command, films, penumbra, text};

/// Starts `penumbra` and waits until a file is there for which `ready` is true.
fn start_until(home: &Path, args: &[&str], file: &Path, ready: impl Fn(&str) -> bool) -> Child {
    let mut command = command(home, args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !fs::read_to_string(file).is_ok_and(|text| ready(&text)) {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        assert!(started.elapsed() < Duration::from_mins(1), "nothing came");
        sleep(Duration::from_millis(2));
    }
    child
}

pub(super) fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

fn step(position: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(position).ok()?["step"].as_u64()
}

#[test]
fn an_interrupted_pretraining_goes_on_to_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    let labels = films(&images, 96);
    let images = images.to_string_lossy().into_owned();
    let home = folder.path().join("home");
    let pretrain = [
        "pretrain", "--images", &images, "--labels", &labels, "--split", "train", "--arch",
        "resnet10", "--width", "0.0625", "--size", "16", "--batch", "16", "--epochs", "16",
    ];
    let model = |name: &str| home.join("models").join(name);
    let cut = [&pretrain[..], &["--checkpoint-steps", "5", "--out", "cut"]].concat();
    let position = model("cut.checkpoint").join("position.json");
    let child = start_until(&home, &cut, &position, |text| step(text).is_some_and(|step| step > 3));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert!(text(&output).contains("--resume goes on from here"), "{}", text(&output));
    assert!(text(&output).contains("cut.checkpoint"), "{}", text(&output));
    assert!(!model("cut").exists());
    let stopped = step(&fs::read_to_string(&position).unwrap()).unwrap();
    assert!((4..48).contains(&stopped), "{stopped}");

    let other = [&cut[..], &["--resume", "--seed", "1"]].concat();
    let refused = penumbra(&home, &other);
    assert_eq!(code(&refused), 3);
    assert!(text(&refused).contains("seed was 0 and is 1 now"), "{}", text(&refused));
    let output = penumbra(&home, &[&cut[..], &["--resume"]].concat());
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(!model("cut.checkpoint").exists());
    let output = penumbra(&home, &[&pretrain[..], &["--out", "whole", "--resume"]].concat());
    assert!(text(&output).contains("there is no checkpoint, so it starts"), "{}", text(&output));
    assert_eq!(code(&output), 0, "{}", text(&output));

    let card = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(model(name).join("model.json")).unwrap()).unwrap()
    };
    assert_eq!(card("cut")["weights_hash"], card("whole")["weights_hash"]);
    assert_eq!(card("cut")["metrics"], card("whole")["metrics"]);
    assert_eq!(card("cut")["made_by"]["labels_looked_at_by_probe"], 0);
    // All but the last column, which is the speed.
    let curve = |name: &str| -> Vec<String> {
        let csv = fs::read_to_string(model(name).join("pretrain.csv")).unwrap();
        csv.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
    };
    assert_eq!(curve("cut").len(), 17);
    assert_eq!(curve("cut"), curve("whole"));
}

/// The published student in full, a ResNet-50 at 224 pixels, of a teacher whose selective kernels are narrower than the
/// published ones.
#[test]
fn the_published_student_goes_on_to_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    let labels = films(&images, 12);
    let images = images.to_string_lossy().into_owned();
    let home = folder.path().join("home");
    let lesson = |stage: &'static str| {
        [stage, "--images", &images, "--labels", &labels, "--split", "train", "--limit", "2"]
    };
    let shape = ["--arch", "resnet14-sk", "--width", "0.0625", "--size", "224"];
    // At a temperature of .1 even these steps give it an opinion.
    let brief = ["--steps", "20", "--batch", "2", "--out", "teacher"];
    let output = penumbra(&home, &[&lesson("supervised")[..], &shape, &brief].concat());
    assert_eq!(code(&output), 0, "{}", text(&output));

    let teacher = ["--unlabelled-split", "val", "--teacher", "teacher", "--original"];
    let short = ["--batch", "4", "--epochs", "2", "--out"];
    let distill = [&lesson("distill")[..], &teacher, &short].concat();
    let model = |name: &str| home.join("models").join(name);
    let cut = [&distill[..], &["cut"]].concat();
    let child = start_until(&home, &cut, &model("cut.checkpoint").join("position.json"), |_| true);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert!(text(&output).contains("--resume goes on from here"), "{}", text(&output));
    let position = model("cut.checkpoint").join("position.json");
    let ours = fs::read_to_string(&position).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&ours).unwrap();
    other["lesson"]["architecture"]["stem"] = "cifar".into();
    write_atomic(&position, other.to_string().as_bytes()).unwrap();
    let output = penumbra(&home, &[&cut[..], &["--resume"]].concat());
    assert!(code(&output) == 3 && text(&output).contains("architecture.stem"), "{}", text(&output));
    write_atomic(&position, ours.as_bytes()).unwrap();
    let output = penumbra(&home, &[&cut[..], &["--resume"]].concat());
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(!model("cut.checkpoint").exists());
    let output = penumbra(&home, &[&distill[..], &["whole"]].concat());
    assert_eq!(code(&output), 0, "{}", text(&output));
    let card = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(model(name).join("model.json")).unwrap()).unwrap()
    };
    assert_eq!(card("cut")["weights_hash"], card("whole")["weights_hash"]);
    assert_eq!(card("cut")["architecture"]["depth"], 50);
}

/// Says whether a process has a handler of its own for Ctrl-C, which is signal 2.
#[cfg(target_os = "linux")]
fn waits_for_ctrl_c(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
}

/// Stages that write no checkpoint end after the step in hand and leave no model.
#[cfg(target_os = "linux")]
#[test]
fn a_stage_that_is_interrupted_saves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    let labels = films(&images, 24);
    let images = images.to_string_lossy().into_owned();
    let home = folder.path().join("home");
    let shape = ["--arch", "resnet10", "--width", "0.0625", "--size", "16"];
    let lesson = ["--images", &images, "--labels", &labels, "--split", "train", "--out"];
    let pretrain = [&["pretrain"][..], &lesson, &["tiny", "--epochs", "1", "--batch", "8"], &shape];
    let output = penumbra(&home, &pretrain.concat());
    assert_eq!(code(&output), 0, "{}", text(&output));
    let endless = ["--steps", "1000000", "--batch", "4"];
    for stage in [
        &[&["finetune"][..], &lesson, &["cut", "--model", "tiny", "--epochs", "100000"]].concat(),
        &[&["supervised"][..], &lesson, &["cut"], &shape, &endless].concat(),
        &[&["fixmatch"][..], &lesson, &["cut"], &shape, &endless, &["--unlabelled-split", "val"]]
            .concat(),
    ] {
        let mut command = command(&home, stage);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while !waits_for_ctrl_c(&child) {
            assert!(child.try_wait().unwrap().is_none(), "it ended too early");
            sleep(Duration::from_millis(2));
        }
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 1, "{stage:?}: {}", text(&output));
        assert!(text(&output).contains("stopping after this step"), "{}", text(&output));
        assert!(text(&output).contains("stopped; no model is saved"), "{}", text(&output));
        assert!(!home.join("models/cut").exists(), "{stage:?}");
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_step() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    films(&images, 12);
    let images = images.to_string_lossy().into_owned();
    let home = folder.path().join("home");
    let args = [
        "pretrain", "--images", &images, "--width", "1", "--size", "128", "--batch", "12", "--out",
        "slow",
    ];
    let position = home.join("models/slow.checkpoint/position.json");
    let child = start_until(&home, &args, &position, |text| step(text) == Some(0));
    interrupt(&child);
    sleep(Duration::from_millis(40));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130, "{}", text(&output));
    assert!(text(&output).contains("Ctrl-C again"), "{}", text(&output));
}
