//! Two readers on two machines, from the command line: a protocol, copies read apart, joined and compared.

use std::fs;
use std::path::Path;

use penumbra::config::Home;
use penumbra::query::Strategy;
use penumbra::session::{Answer, Event, Protocol, Shown, Source};
use penumbra::study::{Assigned, QueuedSource, Ranking, Workspace};

use crate::cli::{code, films, penumbra, text};

fn shown() -> Shown {
    Shown {
        model: String::new(),
        window_centre: 1.0,
        window_width: 1.0,
        zoom: 1.0,
        inverted: false,
        mirrored: false,
        quarter_turns: 0,
        opinion_visible: false,
        opinion: None,
    }
}

/// Reads every film of a session: `reader` calls it pneumonia where `pneumonia` says so.
fn read(home: &Path, session: &str, reader: &str, pneumonia: impl Fn(usize) -> bool) {
    let mut workspace = Workspace::open(&Home::find(Some(home)), session).unwrap();
    for row in 0..workspace.films.len() {
        let name = if pneumonia(row) { "pneumonia" } else { "normal" };
        let (film, answer) = (workspace.films[row].id, Answer::Class(name.to_owned()));
        let source = Source::Queue { strategy: "margin".to_owned(), rank: 0 };
        let event = Event::Label { film, answer, ms: 700, source, shown: shown() };
        workspace.session.append(reader, event).unwrap();
    }
    workspace.session.flush().unwrap();
}

#[test]
fn copies_read_apart_are_joined_and_their_readers_compared() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    films(&images, 20);
    let home = folder.path().join("home");
    let run = |args: &[&str]| penumbra(&home, args);
    let images = images.to_string_lossy().into_owned();
    assert_eq!(code(&run(&["import", &images, "--session", "ward"])), 0);
    let protocol =
        ["protocol", "--session", "ward", "--double-share", "1", "--readers", "0", "--json"];
    let output = run(&protocol);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["double_share"], &said["opinion"]), (&1.0.into(), &"after".into()));
    assert_eq!(code(&run(&["protocol", "--session", "ward", "--readers", "1"])), 3);
    assert_eq!(code(&run(&["protocol", "--session", "ward", "--opinion", "always"])), 2);

    // The other machine has a copy of the folder.
    let other = folder.path().join("stick");
    fs::create_dir(&other).unwrap();
    for file in ["session.json", "events.jsonl", "films.jsonl"] {
        fs::copy(home.join("sessions/ward").join(file), other.join(file)).unwrap();
    }
    read(&home, "ward", "A. Levy", |row| row % 2 == 1);
    let far = folder.path().join("far");
    fs::create_dir_all(far.join("sessions")).unwrap();
    fs::rename(&other, far.join("sessions/ward")).unwrap();
    read(&far, "ward", "B. Cohen", |row| row % 4 == 1);

    let copy = far.join("sessions/ward").to_string_lossy().into_owned();
    let output = run(&["merge", "ward", &copy, "--out", "both"]);
    let said = text(&output);
    assert_eq!(code(&output), 0, "{said}");
    assert!(said.contains("42 events, 1 in common") && said.contains("20 only in ward"), "{said}");
    assert!(!said.contains("without effect"), "{said}");
    assert_eq!(code(&run(&["verify", "--session", "both"])), 0);
    assert_eq!(code(&run(&["merge", "ward", &copy, "--out", "both"])), 3, "it is there already");

    let output = run(&["agreement", "--session", "both", "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["random"]["films"], &report["chosen"]["films"]), (&0.into(), &20.into()));
    // 5 of 20 differ; scikit-learn 1.9.1's cohen_kappa_score of these answers is 0.5.
    let pair = &report["chosen"]["pairs"][0];
    assert_eq!(pair["agreement"]["value"].as_f64(), Some(0.75));
    assert!((pair["cohen"]["value"].as_f64().unwrap() - 0.5).abs() < 1e-12, "{pair}");
    assert_eq!(report["disputed"], 5);
    let said = text(&run(&["agreement", "--session", "both"]));
    assert!(said.contains("Krippendorff's alpha") && said.contains("B. Cohen (columns)"), "{said}");

    // What readers disagree on is not learnt from.
    let workspace = Workspace::open(&Home::find(Some(&home)), "both").unwrap();
    let labels = workspace.label_set(None);
    assert_eq!((labels.rows.len(), labels.excluded.len()), (15, 5));
    let own = workspace.reader_set("A. Levy", None, None);
    assert_eq!((own.rows.len(), own.shared, own.elsewhere.len()), (20, 20, 0));
    let third = workspace.reader_set("C. Weiss", None, None);
    assert_eq!((third.rows.len(), third.elsewhere.len(), third.assigned.len()), (0, 20, 20));
}

#[test]
fn second_readings_go_by_the_models_doubt_and_re_readings_by_films_and_days() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    films(&images, 20);
    let home = folder.path().join("home");
    let images = images.to_string_lossy().into_owned();
    assert_eq!(code(&penumbra(&home, &["import", &images, "--session", "ward"])), 0);
    read(&home, "ward", "A. Levy", |_| false);
    let mut workspace = Workspace::open(&Home::find(Some(&home)), "ward").unwrap();
    let protocol = Protocol { doubt_share: 0.25, ..Protocol::default() };
    workspace.session.append("A. Levy", Event::Protocol(protocol.clone())).unwrap();
    // The model holds the first film least likely normal, the last one most.
    let probabilities: Vec<f32> =
        (0..20).flat_map(|row| [0.02 * row as f32, 1.0 - 0.02 * row as f32]).collect();
    let ranking = Ranking {
        version: 0,
        labels: 20,
        model: "test".to_owned(),
        asked: Strategy::Margin,
        strategy: Strategy::Margin,
        settled: true,
        penalty: 1.0,
        order: Vec::new(),
        probabilities,
        reference: None,
        milliseconds: 1.0,
    };
    let given = |workspace: &Workspace, reader: &str| {
        let mut films = workspace.reader_set(reader, None, Some(&ranking)).assigned;
        films.sort_by_key(|film| film.row);
        films
    };
    let doubted = |rows: std::ops::Range<usize>| -> Vec<Assigned> {
        let source = QueuedSource::Second { doubted: true };
        rows.map(|row| Assigned { row, source: source.clone() }).collect()
    };
    assert_eq!(given(&workspace, "B. Cohen"), doubted(0..5));
    assert_eq!(given(&workspace, "A. Levy"), []);
    assert!(workspace.reader_set("B. Cohen", None, None).assigned.is_empty(), "no ranking yet");
    let second = |workspace: &Workspace, row: usize| Event::Label {
        film: workspace.films[row].id,
        answer: Answer::Class("normal".to_owned()),
        ms: 5,
        source: Source::Second { doubted: true },
        shown: shown(),
    };
    let event = second(&workspace, 0);
    workspace.session.append("B. Cohen", event).unwrap();
    assert_eq!(given(&workspace, "B. Cohen"), doubted(1..5), "the share does not grow by reading");
    assert_eq!(given(&workspace, "C. Weiss"), doubted(1..6), "two have read the first film");

    let again = |days| Protocol {
        reread_share: 1.0,
        reread_after: 5,
        reread_days: days,
        ..protocol.clone()
    };
    workspace.session.append("A. Levy", Event::Protocol(again(1))).unwrap();
    assert_eq!(given(&workspace, "A. Levy"), [], "a day has not passed");
    workspace.session.append("A. Levy", Event::Protocol(again(0))).unwrap();
    let films: Vec<usize> = given(&workspace, "A. Levy").iter().map(|film| film.row).collect();
    assert_eq!(films, (0..15).collect::<Vec<_>>(), "five films lie between");
}
