//! The stages of learning from outside: a pretrained encoder becomes classifiers, which are then measured.

use std::path::PathBuf;

use serde_json::Value;

use super::cli::{code, films, penumbra, text};

/// Films of two splits, and an encoder pretrained on one of them.
struct Place {
    folder: tempfile::TempDir,
    images: String,
    labels: String,
}

const SHAPE: [&str; 6] = ["--arch", "resnet10", "--width", "0.0625", "--size", "16"];

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("films");
        let labels = films(&images, 48);
        let place = Self { images: images.to_string_lossy().into_owned(), labels, folder };
        let run = ["--out", "tiny", "--epochs", "1", "--batch", "8"];
        place.expect(0, "pretrain", &[&run[..], &SHAPE].concat());
        place
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Runs a command on the films of the split `train`, expects an exit code and returns what it said.
    fn expect(&self, exit: i32, command: &str, more: &[&str]) -> String {
        let data = ["--images", &self.images, "--labels", &self.labels, "--split", "train"];
        let output = penumbra(&self.home(), &[&[command][..], &data, more].concat());
        assert_eq!(code(&output), exit, "{command} {more:?}: {}", text(&output));
        if exit == 0 { String::from_utf8_lossy(&output.stdout).into_owned() } else { text(&output) }
    }

    /// The same for a stage that reports as JSON.
    fn report(&self, command: &str, more: &[&str]) -> Value {
        let said = self.expect(0, command, &[&["--json"][..], more].concat());
        serde_json::from_str(&said).unwrap()
    }

    fn card(&self, name: &str) -> Value {
        let path = self.home().join("models").join(name).join("model.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

#[test]
fn every_stage_makes_a_classifier_that_can_be_measured() {
    let place = Place::new();
    let tuned = ["--model", "tiny", "--epochs", "2", "--layer-decay", "0.5", "--out", "tuned"];
    let tuned = place.report("finetune", &tuned);
    assert_eq!(
        (&tuned["labels"], &tuned["metrics"]["cross_validated"]["n"]),
        (&24.into(), &24.into())
    );
    let few = ["--steps", "4", "--batch", "4"];
    let alone = [&["--out", "alone", "--limit", "12"][..], &few, &SHAPE].concat();
    assert_eq!(place.report("supervised", &alone)["films"], 12);
    let unlabelled = ["--unlabelled-split", "val"];
    let prior = ["--prior", "1,3", "--unbalanced"];
    let more = [&["--out", "both", "--model", "tiny"][..], &prior, &few, &unlabelled];
    let both = place.report("fixmatch", &more.concat());
    assert_eq!((&both["labels"], &both["films"]), (&24.into(), &48.into()));
    assert_eq!(both["metrics"]["pseudo_labels_taken"].as_array().unwrap().len(), 2);
    // A student of another size than its teachers', from random weights.
    let shape = [&SHAPE[..4], &["--size", "24"]].concat();
    let teachers = ["--out", "student", "--teacher", "tuned,both", "--epochs", "1"];
    let student = place.report("distill", &[&teachers[..], &unlabelled, &shape].concat());
    assert_eq!(student["films"], 48);
    for (name, parent) in
        [("tuned", Some("tiny")), ("alone", None), ("both", Some("tiny")), ("student", None)]
    {
        let card = place.card(name);
        assert_eq!(card["parent"].as_str(), parent, "{name}");
        assert_eq!(card["classes"], serde_json::json!(["normal", "pneumonia"]));
        assert_eq!(place.report("evaluate", &["--model", name])["n"], 24, "{name}");
    }
    let both = &place.card("both")["made_by"];
    assert_eq!(both["prior"], serde_json::json!([0.25, 0.75]));
    let chosen = &both["fixmatch"]["pseudo_labels"];
    assert_eq!((&chosen["align"], &chosen["balance"]), (&true.into(), &false.into()));
    assert_eq!(place.card("tuned")["made_by"]["finetune"]["recipe"]["layer_decay"], 0.5);
    assert_eq!(place.card("student")["made_by"]["teachers"], serde_json::json!(["tuned", "both"]));
}

#[test]
fn the_floor_is_simulated_beside_the_head() {
    let place = Place::new();
    let report = place.report(
        "simulate",
        &[
            "--eval-split",
            "val",
            "--model",
            "tiny",
            "--budgets",
            "12",
            "--strategy",
            "random",
            "--draws",
            "2",
            "--method",
            "head,linear-floor",
        ],
    );
    let lines = report["table"].as_array().unwrap();
    assert_eq!(lines.len(), 2);
    let floor = lines.iter().find(|line| line["method"] == "linear-floor").unwrap();
    // The two kinds of films differ in where they are bright.
    assert!(floor["accuracy"]["mean"].as_f64().unwrap() > 0.9, "{floor}");
    assert!(lines.iter().all(|line| line["labels_looked_at"] == 12), "{lines:?}");
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let place = Place::new();
    let said = place.expect(2, "fixmatch", &["--out", "x", "--model", "tiny", "--size", "32"]);
    assert!(said.contains("--size") && said.contains("--model"), "{said}");
    for (command, flag) in [
        ("supervised", &["--teacher", "tiny"][..]),
        ("finetune", &["--unlabelled-split", "val"]),
        ("distill", &["--teacher", "tiny", "--steps", "3"]),
        ("finetune", &["--simclr", "--layer-decay", "0.5"]),
        ("fixmatch", &["--threshold", "1.5"]),
        ("fixmatch", &["--prior", "0,1"]),
        ("supervised", &["--batch", "1"]),
    ] {
        place.expect(2, command, &[&["--out", "x"][..], flag].concat());
    }
    for (command, more, why) in [
        ("fixmatch", &["--out", "x", "--model", "tiny"][..], "no films without a label"),
        ("supervised", &["--out", "tiny"], "there is a model of this name already"),
        ("supervised", &["--out", "x", "--size", "8"], "--size is in 16..=1024"),
        (
            "fixmatch",
            &["--out", "x", "--unlabelled-split", "val", "--prior", "1,1,1"],
            "one share for each of the classes",
        ),
        (
            "distill",
            &["--out", "x", "--unlabelled-split", "val", "--teacher", "tiny", "--model", "tiny"],
            "embeds and does not classify",
        ),
        ("finetune", &["--out", "x", "--model", "none"], "none"),
    ] {
        let said = place.expect(3, command, more);
        assert!(said.contains(why), "{command} {more:?}: {said}");
        assert!(said.matches("os error").count() < 2, "the cause is said twice: {said}");
    }
    assert!(!place.home().join("models/x").exists());
}
