//! A session that the program of 2026-11-27 (commit 22dca65) wrote opens, verifies and goes on.
//!
//! `tests/fixtures/session-22dca65` was made by that program: a session of two readers read apart, merged by its `merge`, and
//! read on, with every kind of event and of source. Beside it lies what its own commands said of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::cli::penumbra;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/session-22dca65")
}

/// A home with a copy of the session.
fn home() -> TempDir {
    let home = scratch();
    let folder = home.path().join("sessions/ward");
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(fixture().join("ward")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    home
}

/// A new kind of event or source has no arm here: it belongs into a fixture of its own.
fn kinds(event: &Event) -> Vec<&'static str> {
    let of_source = |source: &Source| match source {
        Source::Queue { .. } => "source queue",
        Source::Audit { .. } => "source audit",
        Source::Browse => "source browse",
        Source::Second { doubted: false } => "source second",
        Source::Second { doubted: true } => "source doubted",
        Source::Reread => "source reread",
        Source::Import { .. } => "source import",
    };
    match event {
        Event::Label { source, answer: Answer::Class(_), .. } => vec!["label", of_source(source)],
        Event::Label { source, answer: Answer::Uninterpretable, .. } => {
            vec!["uninterpretable", of_source(source)]
        }
        Event::Relabel { .. } => vec!["relabel"],
        Event::Skip { source: Some(_), .. } => vec!["skip"],
        Event::Skip { source: None, .. } => vec!["early skip"],
        Event::Undo { .. } => vec!["undo"],
        Event::ModelSwap { accepted: true, .. } => vec!["accepted model"],
        Event::ModelSwap { accepted: false, .. } => vec!["refused model"],
        Event::Strategy { .. } => vec!["strategy"],
        Event::Measure { .. } => vec!["measure"],
        Event::Note { .. } => vec!["note"],
        Event::FileChanged { .. } => vec!["file changed"],
        Event::Adjudicate { .. } => vec!["adjudicate"],
        Event::Protocol(_) => vec!["protocol"],
        Event::Merge { .. } => vec!["merge"],
    }
}

#[test]
fn the_earlier_session_has_every_kind_of_event() {
    let home = home();
    let snapshot = Snapshot::read(&home.path().join("sessions/ward")).unwrap();
    let found: BTreeSet<&str> =
        snapshot.entries.iter().flat_map(|entry| kinds(&entry.event)).collect();
    assert_eq!(found.len(), 22, "{found:?}");
    let readers: BTreeSet<&str> = snapshot.entries.iter().map(|e| e.reader.as_str()).collect();
    // What joins two copies is nobody's.
    assert_eq!(readers.into_iter().collect::<Vec<_>>(), ["", "R1", "R2"]);
}

#[test]
fn the_earlier_session_is_told_of_as_its_own_program_told() {
    let home = home();
    let said = |name: &str| fs::read_to_string(fixture().join(name)).unwrap();
    for (file, args) in [
        ("verify.txt", &["verify", "--session", "ward"][..]),
        ("agreement.json", &["agreement", "--session", "ward", "--json"]),
        ("protocol.txt", &["protocol", "--session", "ward"]),
    ] {
        let output = penumbra(home.path(), args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), said(file), "{args:?}");
    }
}

#[test]
fn the_earlier_session_goes_on() {
    let home = home();
    let folder = home.path().join("sessions/ward");
    let (mut session, report) = Session::open(&folder).unwrap();
    assert!(report.torn.is_none());
    let (state, entered) = (session.state().clone(), session.entered());
    assert_eq!((state.model(), state.strategy()), (Some("ward-6"), Some("typiclust+margin")));
    session.append("R1", label(film(9), class("normal"))).unwrap();
    session.append("R2", Event::Skip { film: film(10), source: None }).unwrap();
    session.flush().unwrap();
    drop(session);
    let (session, report) = Session::open(&folder).unwrap();
    assert!(report.torn.is_none());
    assert_eq!(session.entered(), entered + 2);
    assert_eq!(session.state().of("R1").label(film(9)).unwrap().answer, class("normal"));
    assert_eq!(session.state().counts().labelled(), state.counts().labelled() + 1);
    drop(session);
    let output = penumbra(home.path(), &["verify", "--session", "ward"]);
    assert!(output.status.success(), "{output:?}");
}
