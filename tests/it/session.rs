//! The session's promises: no acknowledged label is lost, no change goes unseen, and the state is a pure fold.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "files are damaged on purpose here")]

mod bundle;
#[cfg(unix)]
mod crash;
mod earlier;
mod export;
mod fold;
mod import;
mod merge;

use std::fs;
use std::path::Path;
use std::time::Duration;

use penumbra::dataset::FilmId;
use penumbra::session::{
    Answer, Event, Exposure, Header, MergeRun, MergeSource, MethodFigures, Opinion, Protocol,
    Session, SessionError, Shown, Snapshot, Source, lines_up_to, verify,
};
use tempfile::TempDir;

const READER: &str = "R1";

fn film(number: u64) -> FilmId {
    FilmId::of(&number.to_le_bytes())
}

fn class(name: &str) -> Answer {
    Answer::Class(name.to_owned())
}

fn shown() -> Shown {
    Shown {
        model: "base".to_owned(),
        window_centre: 127.5,
        window_width: 255.0,
        zoom: 0.8,
        inverted: false,
        mirrored: false,
        quarter_turns: 0,
        opinion_visible: false,
        opinion: None,
    }
}

fn label(film: FilmId, answer: Answer) -> Event {
    let source = Source::Queue { strategy: "margin".to_owned(), rank: 0 };
    Event::Label { film, answer, ms: 1840, source, shown: shown() }
}

/// Twenty-three events of every kind.
fn events() -> Vec<Event> {
    let (normal, pneumonia) = (class("normal"), class("pneumonia"));
    let audit = Source::Audit { predicted: vec![0.25, 0.75], probability: 0.01 };
    let audited = Event::Label {
        film: film(2),
        answer: normal.clone(),
        ms: 900,
        source: audit.clone(),
        shown: shown(),
    };
    let model = "tuned".to_owned();
    let reason = "accuracy 0.91 against 0.88".to_owned();
    let mut events = vec![
        Event::Strategy { name: "margin".to_owned() },
        label(film(1), pneumonia.clone()),
        audited,
        Event::Skip { film: film(3), source: Some(audit) },
        label(film(4), Answer::Uninterpretable),
        Event::Relabel {
            film: film(1),
            from: pneumonia,
            to: normal.clone(),
            reason: "\"clear\"\n".to_owned(),
            ms: 4,
        },
        Event::Undo { seq: 5 },
        Event::Measure { labels: 3, accuracy: 0.5, auroc: 0.6, n: 100, model: model.clone() },
        Event::ModelSwap {
            model,
            accepted: true,
            reason,
            labels: 3,
            methods: vec![
                MethodFigures {
                    method: "head".to_owned(),
                    log_loss: Some(0.25),
                    reference: Some((0.5, 100)),
                },
                MethodFigures { method: "distill".to_owned(), log_loss: None, reference: None },
            ],
        },
        label(film(3), normal.clone()),
        Event::Note { film: film(3), text: "rotated; \"left\" marker\n".to_owned() },
        Event::FileChanged { film: film(3), now: film(33) },
        Event::Note { film: film(1), text: String::new() },
    ];
    let settled = Event::Adjudicate {
        film: film(3),
        answer: class("pneumonia"),
        between: vec![normal.clone(), class("pneumonia")],
        ms: 2100,
        shown: Shown {
            opinion: Some(Opinion {
                exposure: Exposure::Never,
                class: "normal".to_owned(),
                probability: 0.75,
            }),
            ..shown()
        },
    };
    let source = MergeSource { head: blake3_of(b"log"), id: "0".repeat(32), lines: 1 };
    let runs = vec![MergeRun { source: 0, first: 0, lines: 1 }];
    events.extend([
        settled,
        Event::Protocol(Protocol { double_share: 0.1, ..Protocol::default() }),
        Event::Merge { sources: vec![source], runs },
    ]);
    events.extend((10..17).map(|number| label(film(number), normal.clone())));
    events
}

/// Makes a session in `folder` and enters `events`.
fn write(folder: &Path, events: &[Event]) -> Session {
    let mut session = Session::create(folder, Header::new("test", "/films")).unwrap();
    for event in events {
        session.append(READER, event.clone()).unwrap();
    }
    session.flush().unwrap();
    session
}

/// A place without a disk behind it where there is one: thousands of sessions are opened and synced here.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

#[test]
fn a_log_cut_at_any_byte_opens_with_every_whole_line() {
    let scratch = scratch();
    let folder = scratch.path().join("session");
    let entries = write(&folder, &events()).entries().to_vec();
    let log = folder.join("events.jsonl");
    let whole = fs::read(&log).unwrap();
    let mut set_aside = 0;
    for length in 0..=whole.len() {
        fs::write(&log, &whole[..length]).unwrap();
        let (mut session, report) = Session::open(&folder).unwrap();
        let lines = whole[..length].split(|&byte| byte == b'\n').count() - 1;
        assert_eq!(session.entries(), &entries[..lines], "cut after {length} bytes");
        let kept = whole[..length].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let torn = report.torn.map(|torn| {
            set_aside += 1;
            let bytes = fs::read(&torn).unwrap();
            fs::remove_file(torn).unwrap();
            bytes
        });
        assert_eq!(torn.as_deref(), Some(&whole[kept..length]).filter(|torn| !torn.is_empty()));
        session.append(READER, Event::Strategy { name: "after the crash".to_owned() }).unwrap();
        drop(session);
        assert_eq!(verify(&folder).unwrap().lines, lines as u64 + 1, "cut after {length} bytes");
    }
    assert_eq!(set_aside, whole.len() - entries.len());
}

#[test]
fn unfinished_lines_are_never_overwritten_by_later_ones() {
    let scratch = scratch();
    let folder = scratch.path().join("session");
    drop(write(&folder, &events()));
    for (number, torn) in ["{\"v\":1", "\0\0\0"].into_iter().enumerate() {
        let log = folder.join("events.jsonl");
        let bytes = [&*fs::read(&log).unwrap(), torn.as_bytes()].concat();
        fs::write(&log, bytes).unwrap();
        assert_eq!(verify(&folder).unwrap_err().line(), Some(24));
        let (_, report) = Session::open(&folder).unwrap();
        assert_eq!(report.torn, Some(folder.join(format!("events.torn-{}", number + 1))));
        assert_eq!(fs::read_to_string(report.torn.unwrap()).unwrap(), torn);
        assert_eq!(verify(&folder).unwrap().lines, 23);
    }
}

#[test]
fn every_flipped_bit_is_found_and_named_by_line() {
    let scratch = scratch();
    let folder = scratch.path().join("session");
    drop(write(&folder, &events()[..7]));
    let log = folder.join("events.jsonl");
    let whole = fs::read(&log).unwrap();
    let mut line = 1;
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[place] ^= 1 << bit;
            fs::write(&log, changed).unwrap();
            let named = verify(&folder).expect_err("a change went unseen").line();
            assert_eq!(named, Some(line), "bit {bit} of byte {place}");
        }
        line += u64::from(whole[place] == b'\n');
    }
    fs::write(&log, &whole).unwrap();
    let header = folder.join("session.json");
    let bytes = fs::read(&header).unwrap();
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        fs::write(&header, changed).unwrap();
        assert!(
            matches!(verify(&folder), Err(SessionError::Header { .. })),
            "byte {place} of session.json"
        );
    }
    fs::write(&header, &bytes).unwrap();
    assert_eq!(verify(&folder).unwrap().lines, 7);
}

#[test]
fn lines_moved_doubled_removed_or_of_another_session_are_found() {
    let scratch = scratch();
    let folder = scratch.path().join("session");
    drop(write(&folder, &events()));
    let log = folder.join("events.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let bad = |lines: &[&str], why: &str| {
        fs::write(&log, lines.join("\n") + "\n").unwrap();
        let error = verify(&folder).unwrap_err();
        let line = error.line();
        assert_eq!(Session::open(&folder).unwrap_err().line(), line);
        let said = error.to_string();
        assert!(said.contains(why) && said.ends_with("events.jsonl"), "{said}");
        line
    };
    let removed = [&lines[..4], &lines[5..]].concat();
    assert_eq!(bad(&removed, "the line with number 4 was removed"), Some(5));
    let removed = [&lines[..4], &lines[7..]].concat();
    assert_eq!(bad(&removed, "the lines with numbers 4 to 6 were removed"), Some(5));
    let doubled = [&lines[..5], &lines[4..]].concat();
    assert_eq!(bad(&doubled, "line 5 has that number too"), Some(6));
    let swapped = [&lines[..2], &[lines[3], lines[2]], &lines[4..]].concat();
    assert_eq!(bad(&swapped, "number 2 stands in line 4: lines were swapped"), Some(3));
    let forged = reseal(&lines[6].replace("\"reader\":\"R1\"", "\"reader\":\"R9\""));
    let forged = [&lines[..6], &[&*forged], &lines[7..]].concat();
    assert_eq!(bad(&forged, "one of the two was replaced"), Some(8));
    let other = scratch.path().join("other");
    drop(write(&other, &events()));
    fs::copy(other.join("session.json"), folder.join("session.json")).unwrap();
    assert_eq!(bad(&lines, "belongs to another session.json"), Some(1));
    fs::remove_file(&log).unwrap();
    assert!(
        matches!(Session::open(&folder), Err(SessionError::Fs(_))),
        "a log that is gone is not an empty one"
    );
}

/// Logs of many lines are read in parts, side by side: the first fault is named wherever it is, and whatever follows it.
#[test]
fn a_long_log_is_read_in_parts_as_a_whole_is() {
    const LINES: u64 = 20_000;
    let scratch = scratch();
    let folder = scratch.path().join("session");
    drop(write(&folder, &[]));
    let mut head = blake3_of(&fs::read(folder.join("session.json")).unwrap());
    let mut lines = Vec::new();
    for seq in 0..LINES {
        let event = serde_json::to_string(&label(film(seq), class("normal"))).unwrap();
        let body = format!(
            r#"{{"v":1,"seq":{seq},"time":"2026-11-24T02:41:00.120Z","reader":"R1","event":{event},"prev":"{head}""#
        );
        head = blake3_of(body.as_bytes());
        lines.push(format!("{body},\"hash\":\"{head}\"}}"));
    }
    let log = folder.join("events.jsonl");
    fs::write(&log, lines.join("\n") + "\n").unwrap();
    let verified = verify(&folder).unwrap();
    assert_eq!((verified.lines, verified.head.to_string()), (LINES, head));
    let entries = Snapshot::read(&folder).unwrap().entries;
    assert!(entries.iter().map(|entry| entry.seq).eq(0..LINES));
    for place in [0, 1, 4_095, 4_096, 9_999, 10_000, 10_001, 19_999] {
        for garbled in [lines[place].replace("R1", "R2"), reseal(&lines[place].replace("R1", "R2"))]
        {
            let mut damaged = lines.clone();
            // What follows the first fault is not named.
            damaged[place] = garbled.clone();
            damaged[19_999] = "{}".to_owned();
            fs::write(&log, damaged.join("\n") + "\n").unwrap();
            let resealed = garbled != lines[place].replace("R1", "R2");
            let named = if resealed && place < 19_999 { place + 2 } else { place + 1 };
            assert_eq!(verify(&folder).unwrap_err().line(), Some(named as u64), "line {place}");
        }
    }
}

/// Closes a line with the hash of what it says now, as a forger would.
fn reseal(line: &str) -> String {
    let body = line.rsplit_once(",\"hash\":").unwrap().0;
    format!("{body},\"hash\":\"{}\"}}", blake3_of(body.as_bytes()))
}

#[test]
fn a_head_that_was_noted_finds_what_the_chain_cannot() {
    let scratch = scratch();
    let folder = scratch.path().join("session");
    drop(write(&folder, &events()));
    let (head, log) = (verify(&folder).unwrap().head.to_string(), folder.join("events.jsonl"));
    let start = blake3_of(&fs::read(folder.join("session.json")).unwrap());
    assert_eq!(lines_up_to(&folder, &start).unwrap(), Some(0));
    assert_eq!(lines_up_to(&folder, &head).unwrap(), Some(23));
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let forged = reseal(&lines[22].replace("\"reader\":\"R1\"", "\"reader\":\"R9\""));
    for log_of in [lines[..20].join("\n"), [&lines[..22], &[&*forged]].concat().join("\n")] {
        fs::write(&log, log_of + "\n").unwrap();
        verify(&folder).expect("cut off cleanly, or the last line forged: the chain is sound");
        assert_eq!(lines_up_to(&folder, &head).unwrap(), None);
    }
    fs::write(&log, &text).unwrap();
    let (mut session, _) = Session::open(&folder).unwrap();
    session.append(READER, Event::Strategy { name: "random".to_owned() }).unwrap();
    drop(session);
    assert_eq!(lines_up_to(&folder, &head).unwrap(), Some(23), "it goes on from there");
}

#[test]
fn a_second_program_is_kept_out_until_the_first_lets_go() {
    let scratch = scratch();
    let folder = scratch.path().join("session");
    let session = write(&folder, &events());
    let error = Session::open(&folder).unwrap_err();
    assert!(matches!(error, SessionError::InUse { .. }), "{error}");
    assert!(error.to_string().starts_with("the session is open in another window"), "{error}");
    assert_eq!(verify(&folder).unwrap().lines, 23, "checking needs no lock");
    drop(session);
    let (session, report) = Session::open(&folder).unwrap();
    assert_eq!((session.entered(), session.durable(), report.torn), (23, 23, None));
    drop(session);
    let again = Session::create(&folder, Header::new("test", "/films"));
    assert!(matches!(again, Err(SessionError::Exists { .. })));
}

#[test]
fn every_kind_of_event_is_among_those_that_are_cut_and_damaged() {
    let kind = |event: &Event| serde_json::to_value(event).unwrap()["kind"].clone();
    let kinds: std::collections::BTreeSet<String> =
        events().iter().map(|event| kind(event).to_string()).collect();
    assert_eq!(kinds.len(), 12, "{kinds:?}");
}

#[test]
fn a_log_of_the_first_version_is_read() {
    let scratch = scratch();
    let folder = scratch.path().join("session");
    drop(write(&folder, &[]));
    // As version 0.1.0 of the program wrote them: no skip says why, and there are no notes.
    let mut head = blake3_of(&fs::read(folder.join("session.json")).unwrap());
    let mut log = String::new();
    let events = [
        format!(r#"{{"kind":"skip","film":"{}"}}"#, film(1)),
        format!(
            r#"{{"kind":"label","film":"{}","answer":{{"class":"normal"}},"ms":1840,"source":{{"queue":{{"strategy":"margin","rank":0}}}},"shown":{{"model":"base","window_centre":127.5,"window_width":255.0,"zoom":0.8,"inverted":false,"opinion_visible":false}}}}"#,
            film(1)
        ),
        r#"{"kind":"undo","seq":1}"#.to_owned(),
    ];
    for (seq, event) in events.iter().enumerate() {
        let body = format!(
            r#"{{"v":1,"seq":{seq},"time":"2026-11-24T02:41:00.120Z","reader":"R1","event":{event},"prev":"{head}""#
        );
        head = blake3_of(body.as_bytes());
        log = format!("{log}{body},\"hash\":\"{head}\"}}\n");
    }
    fs::write(folder.join("events.jsonl"), log).unwrap();
    let (session, _) = Session::open(&folder).unwrap();
    assert_eq!(session.entered(), 3);
    assert_eq!(session.state().skipped().collect::<Vec<_>>(), [film(1)]);
    let Event::Label { shown, .. } = &session.entries()[1].event else { panic!() };
    assert!(!shown.mirrored && shown.quarter_turns == 0, "{shown:?}");
    let again = serde_json::to_string(&session.entries()[1].event).unwrap();
    assert_eq!(again, events[1], "a film that lies as stored is written as it was");
}

#[test]
fn a_clock_that_was_set_back_changes_nothing_but_the_times() {
    let scratch = scratch();
    let folder = scratch.path().join("session");
    drop(write(&folder, &events()));
    // The same events, each a day before the one before it.
    let mut head = blake3_of(&fs::read(folder.join("session.json")).unwrap());
    let mut log = String::new();
    for (seq, event) in events().iter().enumerate() {
        let time =
            penumbra::session::Time::from_milliseconds(1_795_488_060_120 - 86_400_000 * seq as i64);
        let event = serde_json::to_string(event).unwrap();
        let body = format!(
            r#"{{"v":1,"seq":{seq},"time":"{time}","reader":"R1","event":{event},"prev":"{head}""#
        );
        head = blake3_of(body.as_bytes());
        log = format!("{log}{body},\"hash\":\"{head}\"}}\n");
    }
    let order = |folder: &Path| -> Vec<_> {
        let state = Snapshot::read(folder).unwrap().state;
        state.in_order().map(|(film, label)| (film, label.answer.clone(), label.seq)).collect()
    };
    let forwards = order(&folder);
    fs::write(folder.join("events.jsonl"), log).unwrap();
    assert_eq!(order(&folder), forwards);
    let (mut session, _) = Session::open(&folder).unwrap();
    let undoable = session.state().last_undoable(READER).unwrap();
    assert_eq!(undoable.0, 22, "the last is the last that was entered");
    session.append(READER, Event::Undo { seq: 22 }).unwrap();
    drop(session);
    assert_eq!(verify(&folder).unwrap().lines, 24);
}

fn blake3_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_string()
}

#[test]
fn events_are_acknowledged_once_and_in_order() {
    let scratch = scratch();
    let mut session = Session::create(scratch.path(), Header::new("test", "/films")).unwrap();
    assert!(session.ready() && session.poll_acks().is_empty());
    assert_eq!(session.append(READER, label(film(1), class("normal"))).unwrap(), 0);
    assert_eq!(session.state().counts().labelled(), 1, "the label counts at once");
    assert!(matches!(
        session.append(READER, label(film(1), class("normal"))),
        Err(SessionError::Refused(_))
    ));
    assert!(matches!(
        session.append(READER, label(film(2), class("fracture"))),
        Err(SessionError::Refused(_))
    ));
    let zoomed = Event::Label {
        film: film(2),
        answer: class("normal"),
        ms: 1,
        source: Source::Browse,
        shown: Shown { zoom: f32::INFINITY, ..shown() },
    };
    assert!(matches!(session.append(READER, zoomed), Err(SessionError::Unstorable(_))));
    assert_eq!(session.append(READER, Event::Skip { film: film(2), source: None }).unwrap(), 1);
    session.flush().unwrap();
    assert!(session.ready());
    let acks: Vec<_> = session.poll_acks().iter().map(|ack| (ack.seq, ack.saved)).collect();
    assert_eq!(acks, [(0, true), (1, true)]);
    assert!(session.poll_acks().is_empty());
    let state = session.state().clone();
    drop(session);
    assert_eq!(
        Snapshot::read(scratch.path()).unwrap().state,
        state,
        "what is read back is what was entered"
    );
}

#[test]
fn sessions_are_listed_with_what_is_wrong_with_them() {
    let scratch = scratch();
    assert!(Session::list(&scratch.path().join("nowhere")).is_empty());
    fs::create_dir(scratch.path().join("no session")).unwrap();
    drop(write(&scratch.path().join("a"), &events()));
    std::thread::sleep(Duration::from_millis(2));
    let _open = write(&scratch.path().join("b"), &[]);
    drop(write(&scratch.path().join("c"), &events()));
    let log = scratch.path().join("c").join("events.jsonl");
    let damaged = fs::read_to_string(&log).unwrap().replacen("R1", "R2", 1);
    fs::write(&log, damaged).unwrap();
    let list = Session::list(scratch.path());
    let names: Vec<_> = list
        .iter()
        .map(|s| (s.folder.file_name().unwrap().to_str().unwrap(), s.labelled))
        .collect();
    assert_eq!(names, [("b", 0), ("a", 11), ("c", 0)]);
    assert!(list[0].fault.is_none() && list[1].fault.is_none());
    assert!(list[2].fault.as_ref().unwrap().starts_with("line 1 of the session log"), "{list:?}");
}
