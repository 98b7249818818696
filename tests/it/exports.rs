//! Labels in, labels out, sealed and checked: the commands, one after the other.
#![expect(clippy::disallowed_methods, reason = "files are damaged on purpose here")]

use std::fs;
use std::path::Path;

use crate::cli::{code, films, penumbra, text};

/// Runs a command that is to end with a code, and returns what it said.
fn run(home: &Path, args: &[&str], expected: i32) -> String {
    let output = penumbra(home, args);
    assert_eq!(code(&output), expected, "{args:?}: {}", text(&output));
    text(&output)
}

/// A session "ward" of twelve films with the labels of a file.
fn ward(folder: &Path) -> (std::path::PathBuf, String) {
    let images = folder.join("films");
    let labels = films(&images, 12);
    let home = folder.join("home");
    let images = images.to_string_lossy().into_owned();
    let args = ["import", &images, "--session", "ward", "--labels", &labels, "--reader", "R1"];
    let said = run(&home, &args, 0);
    assert!(said.contains("ward: 12 labels entered, 0 there already, 0 not entered"), "{said}");
    (home, labels)
}

#[test]
fn labels_come_in_once_and_problems_keep_them_out_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let (home, labels) = ward(folder.path());
    let again = ["import", "--session", "ward", "--labels", &labels];
    assert!(run(&home, &again, 0).contains("0 labels entered, 12 there already"));
    let images = folder.path().join("films").to_string_lossy().into_owned();
    run(&home, &["import", &images, "--session", "other"], 0);
    let mixed = folder.path().join("mixed.csv");
    fs::write(&mixed, "file,label\nf000.png,normal\nf001.png,fracture\nnone.png,normal\n").unwrap();
    let mixed = mixed.to_string_lossy().into_owned();
    let args = ["import", "--session", "other", "--labels", &mixed];
    let said = run(&home, &args, 1);
    for words in [
        "line 3",
        "no class \"fracture\"",
        "line 4",
        "no such film: none.png",
        "nothing is entered",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(run(&home, &["verify", "--session", "other"], 0).contains("other: 0 events"));
    let said = run(&home, &[&args[..], &["--keep-going"]].concat(), 1);
    assert!(said.contains("1 label entered"), "{said}");
    assert!(run(&home, &["verify", "--session", "other"], 0).contains("other: 1 events"));
    run(&home, &["import", "--session", "other"], 2);
    let open = penumbra::session::Session::open(&home.join("sessions/other")).unwrap();
    let said = run(&home, &args, 3);
    assert!(said.contains("close it there first"), "{said}");
    drop(open);
}

#[test]
fn every_format_and_a_bundle_are_written_and_the_bundle_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (home, _) = ward(folder.path());
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (out, bundle) = (path("out"), path("bundle"));
    let all = "csv,jsonl,parquet,coco,npz:16,folder";
    let said = run(&home, &["export", "--session", "ward", "--format", all, "--out", &out], 0);
    assert!(said.contains("12 labelled films"), "{said}");
    for name in [
        "labels.csv",
        "labels.jsonl",
        "labels.parquet",
        "labels.coco.json",
        "films/normal/f000.png",
    ] {
        assert!(Path::new(&out).join(name).is_file(), "{name}");
    }
    let images = fs::metadata(Path::new(&out).join("labels.npz")).unwrap().len();
    assert!((12 * 16 * 16..20_000).contains(&images), "{images}");
    run(&home, &["export", "--session", "ward", "--format", "npz:3", "--out", &path("x")], 2);

    let seal =
        ["export", "--session", "ward", "--bundle", "--splits", "50,25,25", "--out", &bundle];
    let said = run(&home, &seal, 0);
    let head = said.lines().find_map(|line| line.strip_prefix("head ")).unwrap().to_owned();
    run(
        &home,
        &["export", "--session", "ward", "--bundle", "--splits", "50,25,20", "--out", "x"],
        2,
    );
    let check = ["verify", "--bundle", &bundle, "--session", "ward", "--head", &head];
    let said = run(&home, &check, 0);
    assert!(
        said.contains("9 files and 12 events, as they were sealed; 12 films labelled"),
        "{said}"
    );
    // The bundle's own labels file is one that commands read.
    let labels = path("bundle/labels.csv");
    let images = path("films");
    let args = ["import", &images, "--session", "copy", "--labels", &labels];
    assert!(run(&home, &args, 0).contains("12 labels entered"));

    let card = Path::new(&bundle).join("MODEL_CARD.md");
    fs::write(&card, fs::read_to_string(&card).unwrap().replace("12", "13")).unwrap();
    fs::write(Path::new(&bundle).join("extra.txt"), "").unwrap();
    fs::remove_file(Path::new(&bundle).join("splits.csv")).unwrap();
    let said = run(&home, &check, 1);
    for fault in [
        "changed after the bundle was sealed",
        "MODEL_CARD.md",
        "missing: splits.csv",
        "sealed: extra.txt",
    ] {
        assert!(said.contains(fault), "{fault}: {said}");
    }
}

#[test]
fn verify_names_what_was_done_to_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let (home, _) = ward(folder.path());
    let said = run(&home, &["verify", "--session", "ward"], 0);
    let head = said.trim().rsplit(' ').next().unwrap().to_owned();
    let log = home.join("sessions/ward/events.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let forged = lines[3].replace("pneumonia", "normal");
    let swapped = [&lines[..5], &[lines[6], lines[5]], &lines[7..]].concat();
    for (log_of, why) in [
        (
            joined(&[&lines[..3], &[&*forged], &lines[4..]].concat()),
            "line 4 of the session log cannot be used: it was changed",
        ),
        (
            joined(&[&lines[..3], &lines[4..]].concat()),
            "line 4 of the session log cannot be used: it should be number 3, counted from 0, and is number 4; the line with number 3 was removed",
        ),
        (
            joined(&swapped),
            "line 6 of the session log cannot be used: it should be number 5, counted from 0, and is number 6; number 5 stands in line 7",
        ),
        (
            text[..text.len() - 9].to_owned(),
            "line 12 of the session log cannot be used: it is unfinished",
        ),
    ] {
        fs::write(&log, log_of).unwrap();
        let said = run(&home, &["verify", "--session", "ward"], 1);
        assert!(said.contains(why), "{why}: {said}");
    }
    fs::write(&log, joined(&lines[..9])).unwrap();
    run(&home, &["verify", "--session", "ward"], 0);
    let said = run(&home, &["verify", "--session", "ward", "--head", &head], 1);
    assert!(said.contains("none of its 9 lines has the head"), "{said}");
}
