//! `penumbra simulate` from outside: cells on disk, splits, and figures that are the same every time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use penumbra::fsutil::write_atomic;
use serde_json::Value;

use super::cli::{code, command, films, penumbra, text};
use super::interrupted::interrupt;

/// Columns of the labels file.
const CLASS: usize = 1;
const PATIENT: usize = 2;

/// Films, two of each patient, and an encoder pretrained on those of the split `train`.
pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
    pub(super) images: String,
    pub(super) labels: String,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("films");
        let labels = films(&images, 80);
        let place = Self { images: images.to_string_lossy().into_owned(), labels, folder };
        place.set(PATIENT, |film, _| format!("p{}", film / 2));
        let output = penumbra(
            &place.home(),
            &[
                "pretrain",
                "--images",
                &place.images,
                "--labels",
                &place.labels,
                "--split",
                "train",
                "--arch",
                "resnet10",
                "--width",
                "0.0625",
                "--size",
                "16",
                "--batch",
                "16",
                "--epochs",
                "1",
                "--out",
                "tiny",
            ],
        );
        assert_eq!(code(&output), 0, "{}", text(&output));
        place
    }

    /// Writes into a column of the labels file what `of` makes of each film's number and of what stood there.
    fn set(&self, column: usize, of: impl Fn(usize, &str) -> String) {
        let mut all = String::new();
        for (line, row) in fs::read_to_string(&self.labels).unwrap().lines().enumerate() {
            let mut cells: Vec<String> = row.split(',').map(str::to_owned).collect();
            if line > 0 {
                cells[column] = of(line - 1, &cells[column]);
            }
            writeln!(all, "{}", cells.join(",")).unwrap();
        }
        write_atomic(Path::new(&self.labels), all.as_bytes()).unwrap();
    }

    pub(super) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(super) fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let films = [
            "simulate",
            "--images",
            &self.images,
            "--labels",
            &self.labels,
            "--model",
            "tiny",
            "--json",
        ];
        [&films[..], more].concat()
    }

    /// Starts a simulation and waits until so many cells are stored.
    fn start(&self, more: &[&str], out: &Path, count: usize) -> Child {
        let mut command = command(&self.home(), &self.args(more));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let started = Instant::now();
        while cells(out).len() < count {
            assert!(child.try_wait().unwrap().is_none(), "it ended too early");
            assert!(started.elapsed() < Duration::from_mins(1), "nothing came");
            sleep(Duration::from_millis(1));
        }
        child
    }

    /// Runs a simulation and returns its report without the seconds, and what it said.
    pub(super) fn simulate(&self, more: &[&str]) -> (Value, String) {
        let output = penumbra(&self.home(), &self.args(more));
        assert_eq!(code(&output), 0, "{}", text(&output));
        let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
        forget_seconds(&mut report);
        (report, String::from_utf8(output.stderr).unwrap())
    }
}

fn forget_seconds(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("seconds");
            map.values_mut().for_each(forget_seconds);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_seconds),
        _ => {}
    }
}

pub(super) fn cells(out: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(out.join("cells")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    paths.sort();
    paths
}

const CELLS: [&str; 12] = [
    "--split",
    "train",
    "--eval-split",
    "val",
    "--budgets",
    "12,24",
    "--strategy",
    "random,margin",
    "--method",
    "head,finetune",
    "--draws",
    "2",
];

#[test]
fn a_killed_run_goes_on_cell_by_cell_and_nothing_changes_the_figures() {
    let place = Place::new();
    let (whole, _) = place.simulate(&CELLS);
    assert_eq!(whole["cells"].as_array().unwrap().len(), 16);
    assert_eq!(whole["table"].as_array().unwrap().len(), 8);
    for line in whole["table"].as_array().unwrap() {
        let draws = if line["strategy"] == "margin" { 1 } else { 2 };
        assert_eq!((&line["draws"], &line["runs"]), (&draws.into(), &2.into()), "{line}");
    }

    let out = place.folder.path().join("out");
    let out_text = out.to_string_lossy().into_owned();
    let stored = [&CELLS[..], &["--out", &out_text]].concat();
    let mut child = place.start(&stored, &out, 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = cells(&out).len();
    assert!((3..16).contains(&kept), "{kept}");
    let child = place.start(&stored, &out, kept + 2);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1, "{}", text(&output));
    let said = text(&output);
    assert!(said.contains(&format!("{kept} of 16 cells are stored already")), "{said}");
    let kept = cells(&out).len();
    assert!(said.contains(&format!("stopped with {kept} of 16 cells")), "{said}");
    assert!(!out.join("results.json").exists());

    let (resumed, said) = place.simulate(&stored);
    assert!(said.contains(&format!("{kept} of 16 cells are stored already")), "{said}");
    assert_eq!(resumed, whole, "a resumed run gave other figures");
    assert_eq!(cells(&out).len(), 16);
    assert_files(&out);
    assert_nested(&out);

    // One cell with another probability, one cut off.
    let paths = cells(&out);
    let altered = fs::read_to_string(&paths[0]).unwrap();
    let at = altered.find("\"probabilities\":[0.").unwrap() + "\"probabilities\":[0.".len();
    let digit = if &altered[at..=at] == "1" { "2" } else { "1" };
    let altered = format!("{}{digit}{}", &altered[..at], &altered[at + 1..]);
    write_atomic(&paths[0], altered.as_bytes()).unwrap();
    let cut = fs::read(&paths[1]).unwrap();
    write_atomic(&paths[1], &cut[..cut.len() / 2]).unwrap();
    let (repaired, said) = place.simulate(&stored);
    assert!(said.contains("14 of 16 cells are stored already"), "{said}");
    for path in &paths[..2] {
        let line = said.lines().find(|line| line.contains(&*path.to_string_lossy())).unwrap();
        assert!(line.contains("damaged"), "{line}");
    }
    assert_eq!(repaired, whole);
    let (again, said) = place.simulate(&stored);
    assert!(said.contains("16 of 16") && !said.contains("damaged"), "{said}");
    assert_eq!(again, whole);

    // One cell by another build.
    let own = fs::read_to_string(&paths[0]).unwrap();
    let at = own.find("\"build\":\"").unwrap() + "\"build\":\"".len();
    let cell = format!("{}another{}", &own[..at], &own[at + 16..]);
    let cell = cell.split_once("\"cell\":").unwrap().1.strip_suffix('}').unwrap();
    let hash = blake3::hash(cell.as_bytes()).to_hex();
    let others = format!("{{\"hash\":\"{hash}\",\"cell\":{cell}}}");
    write_atomic(&paths[0], others.as_bytes()).unwrap();
    let (mut told, said) = place.simulate(&stored);
    let warning = "1 of the cells are by another build of this version";
    assert!(said.contains(warning) && said.contains("16 of 16"), "{said}");
    assert_eq!(told["warnings"].take(), serde_json::json!([warning]));
    told["warnings"] = whole["warnings"].clone();
    assert_eq!(told, whole);
    write_atomic(&paths[0], own.as_bytes()).unwrap();

    // A larger run takes over what it shares, which the other budgets do not change.
    let more: Vec<&str> =
        stored.iter().map(|&a| if a == "12,24" { "12,18,24" } else { a }).collect();
    let (more, said) = place.simulate(&more);
    assert!(said.contains("16 of 24 cells are stored already"), "{said}");
    let of = |report: &Value| -> Vec<Value> {
        let all = report["cells"].as_array().unwrap().iter();
        all.filter(|cell| cell["labels"] != 18).cloned().collect()
    };
    assert_eq!(of(&more), of(&whole));
}

fn assert_files(out: &Path) {
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(read("results.csv").lines().count(), 17);
    assert_eq!(read("splits.csv").lines().count(), 81);
    let table = read("results.md");
    assert!(table.contains("| 24 | margin, finetune | random, head |"), "{table}");
    for (name, words) in [
        ("accuracy.svg", ["accuracy", "labels", "margin, finetune"]),
        ("auroc.svg", ["AUROC", "labels", "random, head"]),
        ("accuracy-by-minutes.svg", ["minutes of reading, assuming 6 s a film", "1.2", "2.4"]),
        ("auroc-by-minutes.svg", ["minutes of reading, assuming 6 s a film", "1.2", "2.4"]),
    ] {
        let svg = read(name);
        assert!(words.iter().all(|word| svg.contains(word)), "{name}: {svg}");
    }
}

/// The labels at a smaller budget are the first ones at a larger.
fn assert_nested(out: &Path) {
    let mut draws: BTreeMap<(String, u64), Vec<Vec<String>>> = BTreeMap::new();
    for path in cells(out) {
        let cell: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let cell = &cell["cell"];
        let of: Value = serde_json::from_str(cell["of"].as_str().unwrap()).unwrap();
        let bought: Vec<String> = serde_json::from_value(cell["bought"].clone()).unwrap();
        assert_eq!(bought.len() as u64, of["labels"].as_u64().unwrap());
        assert_eq!(bought.iter().collect::<BTreeSet<_>>().len(), bought.len());
        assert_eq!(cell["labels_looked_at"], of["labels"]);
        let draw = (of["strategy"].as_str().unwrap().to_owned(), of["draw_seed"].as_u64().unwrap());
        draws.entry(draw).or_default().push(bought);
    }
    assert_eq!(draws.len(), 4);
    for bought in draws.values() {
        assert_eq!(bought.len(), 4);
        let longest = bought.iter().max_by_key(|films| films.len()).unwrap();
        assert!(bought.iter().all(|films| longest.starts_with(films)));
    }
    let firsts: BTreeSet<&Vec<String>> = draws.values().flatten().collect();
    // Margin takes no seed; a random draw is another each time.
    assert_eq!(firsts.len(), 6);
}

#[test]
fn a_cut_by_patient_puts_none_on_both_sides() {
    let place = Place::new();
    let out = place.folder.path().join("out");
    let out_text = out.to_string_lossy().into_owned();
    let cut = [
        "--split",
        "train",
        "--eval-split",
        "val",
        "--splits",
        "patient",
        "--eval-share",
        "0.25",
        "--repeats",
        "2",
        "--budgets",
        "8,all",
        "--strategy",
        "random",
        "--draws",
        "2",
        "--seeds",
        "2",
        "--out",
        &out_text,
    ];
    let (report, said) = place.simulate(&cut);
    assert_eq!(report["splits"]["evaluation"], serde_json::json!([20, 20]));
    assert_eq!(report["pool"], serde_json::json!([60, 60]));
    let mut evaluated = Vec::new();
    for split in ["0", "1"] {
        let table = fs::read_to_string(out.join("splits.csv")).unwrap();
        let column = |part: &str, column: usize| -> BTreeSet<String> {
            let rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
            rows.filter(|row| row[0] == split && row[1] == part)
                .map(|row| row[column].to_owned())
                .collect()
        };
        assert_eq!(column("pool", 3).len() + column("evaluation", 3).len(), 80);
        assert!(column("pool", 4).is_disjoint(&column("evaluation", 4)));
        evaluated.push(column("evaluation", 3));
    }
    assert_ne!(evaluated[0], evaluated[1]);
    let seen = &report["splits"]["evaluation_films_seen_by_encoder_without_labels"];
    let labels = fs::read_to_string(&place.labels).unwrap();
    for (split, films) in evaluated.iter().enumerate() {
        let train = |film: &&String| {
            labels.contains(&format!("{film},")) && {
                let row = labels.lines().find(|row| row.starts_with(film.as_str())).unwrap();
                row.ends_with("train")
            }
        };
        let count = films.iter().filter(train).count();
        assert_eq!(seen[split], count);
        assert!(
            said.contains(&format!("split {split}: the encoder was pretrained on {count} of 20"))
        );
    }

    // The whole pool is no choice: a cell a seed and split. The head takes no seed.
    let cells_of = |strategy: &str| -> Vec<&Value> {
        let all = report["cells"].as_array().unwrap().iter();
        all.filter(|cell| cell["strategy"] == strategy).collect()
    };
    assert_eq!((cells_of("random").len(), cells_of("all").len()), (8, 4));
    assert!(cells_of("all").iter().all(|cell| cell["labels"] == 60));
    assert_eq!(cells(&out).len(), 4 + 2);
    assert_eq!(report["table"][1]["strategy"], "all");
    assert_eq!(report["table"][0]["draws"], 4);

    // Film by film a patient comes to be on both sides, and it says so.
    let cut: Vec<&str> = cut.iter().map(|&a| if a == "patient" { "random" } else { a }).collect();
    let (random, said) = place.simulate(&cut);
    assert!(
        said.contains("of 20 evaluation films are of patients who are in the pool too"),
        "{said}"
    );
    assert_eq!(random["splits"]["evaluation"], serde_json::json!([20, 20]));
    assert!(random["warnings"].to_string().contains("of patients who are in the pool too"));
}

#[test]
fn one_part_is_cut_by_patient_and_two_are_taken_as_given() {
    let place = Place::new();
    let few = ["--budgets", "8", "--strategy", "random", "--draws", "1"];
    let (one, said) = place.simulate(&few);
    assert_eq!(one["splits"]["kind"], "patient");
    assert_eq!((&one["pool"], &one["n"]), (&serde_json::json!([64]), &16.into()));
    assert!(!said.contains("patients who are in the pool"), "{said}");
    assert!(said.contains("its card does not say which films it has seen"), "{said}");
    assert_eq!(place.simulate(&[&few[..], &["--splits", "patient"]].concat()).0, one);

    let (two, _) =
        place.simulate(&[&few[..], &["--split", "train", "--eval-split", "val"]].concat());
    assert_eq!(two["splits"]["kind"], "file");
    assert_eq!(two["warnings"], serde_json::json!([]));
    assert_eq!((&two["pool"], &two["n"]), (&serde_json::json!([40]), &40.into()));

    // With a patient for every film there is nothing to group by, and it says so.
    place.set(PATIENT, |film, _| format!("alone{film}"));
    let (_, said) = place.simulate(&few);
    assert!(said.contains("no two films are known to be of one patient"), "{said}");
}

/// Which patients films are of changes nothing of what is learnt from as few labels as these.
#[test]
fn intervals_go_by_patient_and_patients_in_both_parts_are_counted() {
    let place = Place::new();
    // Both arms are wrong about some.
    let other = |class: &str| if class == "normal" { "pneumonia" } else { "normal" };
    place.set(CLASS, |film, class| if film % 5 == 0 { other(class) } else { class }.to_owned());
    let compare = || {
        let parts = ["--split", "train", "--eval-split", "val", "--draws", "1", "--budgets", "8"];
        let arms = ["--strategy", "random", "--method", "head,linear-floor"];
        let (report, _) = place.simulate(&[&parts[..], &arms[..]].concat());
        let auroc = report["comparisons"][0]["auroc"].clone();
        (
            auroc["value"].clone(),
            [auroc["low"].clone(), auroc["high"].clone()],
            report["warnings"].clone(),
        )
    };
    let (value, of_pairs, warnings) = compare();
    assert_eq!(warnings, serde_json::json!([]));
    assert_ne!(of_pairs[0], of_pairs[1]);
    place.set(PATIENT, |film, _| format!("alone{film}"));
    let (same, of_films, _) = compare();
    assert_eq!(same, value);
    assert_ne!(of_films, of_pairs, "films of one patient were resampled apart");
    place.set(PATIENT, |film, _| format!("p{}", film / 4));
    let (same, _, warnings) = compare();
    assert_eq!(same, value);
    let shared = "40 evaluation films are of patients who are in the pool too";
    assert_eq!(warnings, serde_json::json!([shared]));
}

#[test]
fn a_simulation_that_would_mislead_is_refused() {
    let place = Place::new();
    let refused = |more: &[&str], status: i32, words: &str| {
        let output = penumbra(&place.home(), &place.args(more));
        assert_eq!(code(&output), status, "{}", text(&output));
        assert!(text(&output).contains(words), "{}", text(&output));
    };
    refused(&["--split", "train", "--splits", "file"], 3, "--eval-split");
    refused(&["--eval-split", "val"], 3, "evaluation films are in the pool too");
    refused(&["--split", "train", "--eval-split", "val", "--budgets", "41"], 3, "40 films");
    refused(&["--split", "train", "--eval-split", "val", "--repeats", "2"], 3, "--splits patient");
    refused(&["--splits", "patient", "--eval-share", "1"], 3, "cannot be cut");
    refused(&["--splits", "patient", "--budgets", "0"], 2, "number of labels");
    refused(&["--splits", "patient", "--draws", "0"], 2, "--draws");
    refused(&["--splits", "patient", "--seconds-per-film", "0"], 2, "above 0");
    for part in ["--split", "--eval-split"] {
        let output = penumbra(&place.home(), &["simulate", "--demo", part, "val"]);
        assert_eq!(code(&output), 2, "{}", text(&output));
        assert!(text(&output).contains(part), "{}", text(&output));
    }
}
