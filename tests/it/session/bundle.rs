//! A bundle holds what its readers say, and every byte that is not as it was sealed is named.

use std::fs;
use std::path::{Path, PathBuf};

use penumbra::dataset::FilmRecord;
use penumbra::dataset::index::save_index;
use penumbra::session::export::{
    BundleCheck, ExportError, Model, Shares, check_bundle, write_bundle,
};
use penumbra::session::{Answer, Event, Header, Session, Shown, verify};

use super::{READER, blake3_of, class, film, label, reseal, scratch};

/// Six films of five patients, four of them read; readers differ on the fourth.
fn session(folder: &Path) -> PathBuf {
    let session_folder = folder.join("session");
    let record = |number: u64| FilmRecord {
        id: film(number),
        file: format!("ward/{number}.png"),
        width: 3,
        height: 2,
        bits: 8,
        bytes: 8,
        patient: format!("P{}", number.min(4)),
        burned_in: false,
        modified: None,
    };
    let films: Vec<_> = (0..6).map(record).collect();
    let mut session = Session::create(&session_folder, Header::new("test", "/films")).unwrap();
    save_index(&session_folder.join("films.jsonl"), &films).unwrap();
    let change = |number, from: &str, to: &str| Event::Relabel {
        film: film(number),
        from: class(from),
        to: class(to),
        reason: "seen again".to_owned(),
        ms: 9,
    };
    let events = [
        (READER, label(film(0), class("normal"))),
        (READER, label(film(1), Answer::Uninterpretable)),
        (READER, label(film(2), class("normal"))),
        (READER, change(2, "normal", "pneumonia")),
        (READER, label(film(3), class("normal"))),
        ("R2", label(film(3), class("pneumonia"))),
        ("R2", change(3, "pneumonia", "normal")),
        ("R2", Event::Undo { seq: 6 }),
    ];
    for (reader, event) in events {
        session.append(reader, event).unwrap();
    }
    session.flush().unwrap();
    session_folder
}

fn bundle(folder: &Path) -> PathBuf {
    let out = folder.join("bundle");
    let model = Model { name: "base".to_owned(), card: br#"{"kind":"pretrained"}"#.to_vec() };
    let sealed = write_bundle(&session(folder), Some(&model), Shares::default(), &out).unwrap();
    assert_eq!((sealed.labelled, sealed.left_out, sealed.lines), (2, 2, 8));
    assert_eq!(check_bundle(&out).unwrap(), BundleCheck { sealed: Some(sealed), faults: vec![] });
    out
}

fn rows(file: &Path) -> Vec<Vec<String>> {
    let table = csv::Reader::from_path(file).unwrap();
    table.into_records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn tables_say_what_readers_say_and_what_they_agree_on() {
    let folder = scratch();
    let out = bundle(folder.path());
    let column = |name: &str, places: &[usize]| -> Vec<String> {
        let rows = rows(&out.join(name));
        rows.iter()
            .map(|row| places.iter().map(|&p| row[p].as_str()).collect::<Vec<_>>().join(" "))
            .collect()
    };
    assert_eq!(
        column("labels.csv", &[0, 1, 4]),
        ["ward/0.png normal R1", "ward/2.png pneumonia R1"]
    );
    assert_eq!(
        column("left_out.csv", &[0, 1, 4]),
        ["ward/1.png uninterpretable R1", "ward/3.png unresolved R1 R2"]
    );
    assert_eq!(
        column("readers.csv", &[0, 1, 2]),
        [
            "ward/0.png R1 normal",
            "ward/1.png R1 uninterpretable",
            "ward/2.png R1 pneumonia",
            "ward/3.png R1 normal",
            "ward/3.png R2 pneumonia",
        ]
    );
    let splits = rows(&out.join("splits.csv"));
    assert_eq!(splits.len(), 6, "films without a label have a split too");
    for row in &splits {
        assert_eq!(row[2], Shares::default().split(&row[1]).name());
    }
    let card = fs::read_to_string(out.join("MODEL_CARD.md")).unwrap();
    for words in ["# test", "not a medical device", "| R1 | 4 |", "`base`", "| unresolved |"] {
        assert!(card.contains(words), "{words:?} is not in the card:\n{card}");
    }
    assert_eq!(verify(&out).unwrap().lines, 8, "a bundle is a session that can be verified");
    let labels = penumbra::dataset::labels::read_labels(&out.join("labels.csv")).unwrap();
    assert_eq!((labels.len(), labels[0].patient.as_deref()), (2, Some("P0")));
}

/// `sha256sum` is coreutils'.
#[cfg(target_os = "linux")]
#[test]
fn checksums_are_read_by_sha256sum() {
    let folder = scratch();
    let out = bundle(folder.path());
    let check = || {
        let mut command = std::process::Command::new("sha256sum");
        command.args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(&out);
        command.output().unwrap().status.success()
    };
    assert!(check());
    fs::write(out.join("labels.csv"), "file,label\n").unwrap();
    assert!(!check());
}

#[test]
fn every_changed_missing_and_added_file_is_named() {
    let folder = scratch();
    let out = bundle(folder.path());
    let names: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 11, "{names:?}");
    let faults = || check_bundle(&out).unwrap().faults.join("\n");
    for name in &names {
        let path = out.join(name);
        let bytes = fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        fs::write(&path, changed).unwrap();
        let named = format!(": {name}");
        assert!(
            faults().lines().any(|fault| fault.contains("changed") && fault.ends_with(&named)),
            "{name}: {}",
            faults()
        );
        fs::remove_file(&path).unwrap();
        if name == "bundle.json" {
            assert!(matches!(check_bundle(&out), Err(ExportError::Fs(_))));
        } else {
            assert!(faults().contains(&format!("it is missing: {name}")), "{name}: {}", faults());
        }
        fs::write(&path, &bytes).unwrap();
        assert_eq!(faults(), "");
    }
    fs::create_dir_all(out.join("more/.hidden")).unwrap();
    fs::write(out.join("more/.hidden/x"), "").unwrap();
    assert_eq!(faults(), "it was added after the bundle was sealed: more/.hidden/x");
}

/// Who changes a label and every checksum is found by the log; who changes the log too, by its head.
#[test]
fn a_label_that_is_forged_with_its_checksums_is_found() {
    let folder = scratch();
    let out = bundle(folder.path());
    let reforge = |name: &str, bytes: &[u8]| {
        let old = fs::read(out.join(name)).unwrap();
        fs::write(out.join(name), bytes).unwrap();
        let list = fs::read_to_string(out.join("bundle.json")).unwrap();
        let list = list
            .replace(&blake3_of(&old), &blake3_of(bytes))
            .replace(&format!("\"bytes\": {}", old.len()), &format!("\"bytes\": {}", bytes.len()));
        let body = list.rsplit_once(",\n  \"hash\": ").unwrap().0;
        let list = format!("{body},\n  \"hash\": \"{}\"\n}}\n", blake3_of(body.as_bytes()));
        fs::write(out.join("bundle.json"), list).unwrap();
    };
    let labels = fs::read_to_string(out.join("labels.csv")).unwrap();
    reforge("labels.csv", labels.replacen(",normal,", ",pneumonia,", 1).as_bytes());
    let faults = check_bundle(&out).unwrap().faults;
    assert_eq!(faults, ["it is not what the log says: labels.csv"]);
    reforge("labels.csv", labels.as_bytes());
    assert!(check_bundle(&out).unwrap().faults.is_empty());

    let log = fs::read_to_string(out.join("events.jsonl")).unwrap();
    let (before, last) = log.trim_end().rsplit_once('\n').unwrap();
    let forged = reseal(&last.replace("\"R2\"", "\"R1\""));
    reforge("events.jsonl", format!("{before}\n{forged}\n").as_bytes());
    let faults = check_bundle(&out).unwrap().faults.join("\n");
    let first = faults.lines().next().unwrap_or_default();
    assert!(first.contains("the head") && first.ends_with("events.jsonl"), "{faults}");
}

#[test]
fn a_bundle_overwrites_nothing_and_needs_a_sound_session() {
    let folder = scratch();
    let out = bundle(folder.path());
    let session = folder.path().join("session");
    let again = write_bundle(&session, None, Shares::default(), &out);
    assert!(matches!(again, Err(ExportError::NotEmpty { .. })));
    let log = session.join("events.jsonl");
    let damaged = fs::read_to_string(&log).unwrap().replacen("normal", "abnorm", 1);
    fs::write(&log, damaged).unwrap();
    let other = folder.path().join("other");
    let refused = write_bundle(&session, None, Shares::default(), &other);
    assert!(matches!(refused, Err(ExportError::Session(_))), "{refused:?}");
    assert!(!other.exists());
}

#[test]
fn what_an_adjudicator_settles_is_released_with_every_readers_answer_beside_it() {
    let folder = scratch();
    let session_folder = session(folder.path());
    let (mut session, _) = Session::open(&session_folder).unwrap();
    let settled = Event::Adjudicate {
        film: film(3),
        answer: class("pneumonia"),
        between: vec![class("normal"), class("pneumonia")],
        ms: 5,
        shown: Shown::NOTHING,
    };
    session.append("R3", settled).unwrap();
    session.flush().unwrap();
    drop(session);
    let out = folder.path().join("bundle");
    let sealed = write_bundle(&session_folder, None, Shares::default(), &out).unwrap();
    assert_eq!((sealed.labelled, sealed.left_out), (3, 1));
    let labels = rows(&out.join("labels.csv"));
    assert_eq!((labels[2][0].as_str(), labels[2][1].as_str()), ("ward/3.png", "pneumonia"));
    assert_eq!(rows(&out.join("readers.csv")).len(), 5, "the adjudicator is no reader");
}
