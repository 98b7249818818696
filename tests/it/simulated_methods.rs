//! What the methods of `penumbra simulate` learn from: the labels bought and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use penumbra::dataset::FilmId;
use penumbra::fsutil::write_atomic;
use serde_json::Value;

use super::cli::{code, penumbra, text};
use super::simulate::{Place, cells};

const METHODS: [&str; 12] = [
    "head",
    "finetune",
    "finetune:simclr",
    "distill",
    "distill:ensemble",
    "distill:small",
    "fixmatch",
    "fixmatch:adaptive",
    "fixmatch:scratch",
    "supervised",
    "ensemble",
    "linear-floor",
];

/// What methods made of one draw of 16 random labels.
struct Learnt {
    report: Value,
    /// Identities of the films bought.
    bought: BTreeSet<String>,
    probabilities: BTreeMap<String, Value>,
}

impl Place {
    fn learnt(&self, methods: &[&str], threads: &str, out: &Path) -> Learnt {
        let (methods, out_text) = (methods.join(","), out.to_string_lossy());
        let films = ["--split", "train", "--eval-split", "val", "--budgets", "16", "--draws", "1"];
        let how = ["--strategy", "random", "--method", &methods];
        let place = ["--device", "cpu", "--threads", threads, "--out", &out_text];
        let (report, _) = self.simulate(&[&films[..], &how, &place].concat());
        let (mut bought, mut probabilities) = (BTreeSet::new(), BTreeMap::new());
        for path in cells(out) {
            let mut file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            let cell = &mut file["cell"];
            let of: Value = serde_json::from_str(cell["of"].as_str().unwrap()).unwrap();
            let films = cell["bought"].as_array().unwrap().iter();
            bought.extend(films.map(|film| film.as_str().unwrap().to_owned()));
            let method = of["method"].as_str().unwrap().to_owned();
            probabilities.insert(method, cell["probabilities"].take());
        }
        Learnt { report, bought, probabilities }
    }

    /// Turns the label of every film that was not bought into the other class.
    fn turn_labels_round(&self, bought: &BTreeSet<String>) {
        let mut turned = String::new();
        for row in fs::read_to_string(&self.labels).unwrap().lines() {
            let mut cells: Vec<&str> = row.split(',').collect();
            let film = Path::new(&self.images).join(cells[0]);
            let known =
                fs::read(film).is_ok_and(|bytes| bought.contains(&FilmId::of(&bytes).to_string()));
            cells[1] = match cells[1] {
                "normal" if !known => "pneumonia",
                "pneumonia" if !known => "normal",
                same => same,
            };
            writeln!(turned, "{}", cells.join(",")).unwrap();
        }
        write_atomic(Path::new(&self.labels), turned.as_bytes()).unwrap();
    }
}

/// On films that are told apart with ease every method learns, and of the labels bought alone: with all others turned round,
/// in the reverse order and on another number of threads its probabilities are the same to the last bit.
#[test]
fn every_method_learns_of_the_labels_bought_and_of_no_others() {
    let place = Place::new();
    let out = |name: &str| place.folder.path().join(name);
    let first = place.learnt(&METHODS, "1", &out("first"));
    let lines = first.report["table"].as_array().unwrap();
    let named: Vec<&str> = lines.iter().map(|line| line["method"].as_str().unwrap()).collect();
    assert_eq!(named, METHODS);
    let auroc = |line: &Value| line["auroc"]["mean"].as_f64().unwrap();
    for line in lines {
        assert_eq!(line["n"], 40, "{line}");
        assert!(auroc(line) > 0.8, "{line}");
    }
    for (method, probabilities) in &first.probabilities {
        for row in probabilities.as_array().unwrap().chunks(2) {
            let total = row[0].as_f64().unwrap() + row[1].as_f64().unwrap();
            assert!((total - 1.0).abs() < 1e-5, "{method}: {} and {}", row[0], row[1]);
        }
    }
    assert_eq!(first.bought.len(), 16);
    place.turn_labels_round(&first.bought);
    let reversed: Vec<&str> = METHODS.into_iter().rev().collect();
    let second = place.learnt(&reversed, "2", &out("second"));
    assert_eq!(second.bought, first.bought);
    assert_eq!(second.probabilities.len(), METHODS.len());
    for (method, probabilities) in second.probabilities {
        assert_eq!(probabilities, first.probabilities[&method], "{method}");
    }
    let turned = second.report["table"].as_array().unwrap();
    assert!(
        turned.iter().all(|line| auroc(line) < 0.2),
        "the evaluation films are turned round too"
    );
}

#[test]
fn a_row_with_too_few_labels_in_a_draw_is_left_out_and_named() {
    let place = Place::new();
    let few = ["--split", "train", "--eval-split", "val", "--strategy", "random", "--draws", "2"];
    let (report, said) =
        place.simulate(&[&few[..], &["--budgets", "4,16", "--method", "head,finetune"]].concat());
    let left_out = report["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    assert_eq!((&left_out[0]["labels"], &left_out[0]["draw"]), (&4.into(), &0.into()));
    let reason = left_out[0]["reason"].as_str().unwrap();
    assert!(reason.contains("3 labels of each class") && said.contains(reason), "{said}");
    let lines = report["table"].as_array().unwrap().iter();
    let rows: Vec<_> = lines
        .map(|line| (line["labels"].clone(), line["method"].clone(), line["runs"].clone()))
        .collect();
    let row = |labels: u32, method: &str| (labels.into(), method.into(), 2.into());
    assert_eq!(rows, [row(4, "head"), row(16, "head"), row(16, "finetune")]);
    let alone = place.args(&[&few[..], &["--budgets", "4", "--method", "finetune"]].concat());
    let output = penumbra(&place.home(), &alone);
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(text(&output).contains("nothing could be learnt"), "{}", text(&output));
}
