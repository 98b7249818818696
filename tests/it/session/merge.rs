//! Copies of a session that were read apart are joined without losing or doubling an entry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use penumbra::session::agreement::report;
use penumbra::session::{
    Entry, Event, Header, MergeError, Merged, Protocol, Rule, Session, Snapshot, Source, Time,
    merge, verify,
};
use proptest::prelude::*;

use super::{class, film, label, scratch, shown};

/// An event that one machine entered, in an own tick of its clock.
#[derive(Clone, Debug)]
struct Step {
    reader: &'static str,
    event: Event,
    milliseconds: i64,
}

/// Writes a session whose entries have these times: as [`Session::append`] would if the clock could be set.
fn write(folder: &Path, header: &Header, steps: &[Step]) -> PathBuf {
    drop(Session::create(folder, header.clone()).unwrap());
    let header = std::fs::read(folder.join("session.json")).unwrap();
    let mut head = super::blake3_of(&header);
    let mut log = String::new();
    for (seq, Step { reader, event, milliseconds }) in steps.iter().enumerate() {
        let time = Time::from_milliseconds(*milliseconds);
        let event = serde_json::to_string(event).unwrap();
        let body = format!(
            r#"{{"v":1,"seq":{seq},"time":"{time}","reader":"{reader}","event":{event},"prev":"{head}""#
        );
        head = super::blake3_of(body.as_bytes());
        log = format!("{log}{body},\"hash\":\"{head}\"}}\n");
    }
    std::fs::write(folder.join("events.jsonl"), log).unwrap();
    verify(folder).unwrap();
    folder.to_owned()
}

/// What is in a log whatever its order: time, reader and what happened, an undo by the time of what it takes back.
fn contents(entries: &[Entry]) -> BTreeMap<String, usize> {
    let mut contents = BTreeMap::new();
    for Entry { time, reader, event, .. } in entries {
        let text = match event {
            Event::Merge { .. } => continue,
            Event::Undo { seq } => format!("undo {}", entries[*seq as usize].time),
            event => serde_json::to_string(event).unwrap(),
        };
        *contents.entry(format!("{time} {reader} {text}")).or_default() += 1;
    }
    contents
}

fn join(folders: &[&Path]) -> Merged {
    let folders: Vec<PathBuf> = folders.iter().map(|&folder| folder.to_owned()).collect();
    merge(&folders, "joined").unwrap()
}

/// What one of two readers may do next, whether or not it fits.
fn steps(reader: &'static str) -> impl Strategy<Value = Vec<Step>> {
    let event = prop_oneof![
        4 => (0..9_u64, any::<bool>()).prop_map(|(number, normal)| {
            label(film(number), class(if normal { "normal" } else { "pneumonia" }))
        }),
        1 => (0..9_u64).prop_map(|number| Event::Skip { film: film(number), source: None }),
        2 => (0..30_u64).prop_map(|seq| Event::Undo { seq }),
        1 => "[a-b]{1,2}".prop_map(|text| Event::Note { film: film(0), text }),
        1 => Just(Event::Strategy { name: "margin".to_owned() }),
    ];
    // Times repeat and run back, as clocks do.
    let one = (event, 0..40_i64).prop_map(move |(event, milliseconds)| Step {
        reader,
        event,
        milliseconds,
    });
    proptest::collection::vec(one, 0..15)
}

/// Keeps the steps that fit after those before.
fn fitting(header: &Header, before: &[Step], steps: Vec<Step>) -> Vec<Step> {
    let mut state = penumbra::session::State::new(header);
    let mut kept = Vec::new();
    for step in before.iter().cloned().chain(steps) {
        let seq = state.entries();
        let time = Time::from_milliseconds(step.milliseconds);
        let entry = Entry { seq, time, reader: step.reader.to_owned(), event: step.event.clone() };
        if state.apply(&entry).is_ok() {
            kept.push(step);
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn joining_never_loses_or_doubles_an_entry(
        before in steps("R1"), one in steps("R1"), other in steps("R2"), third in steps("R1"),
    ) {
        let scratch = scratch();
        let header = Header::new("ward", "/films");
        let at = |name: &str| scratch.path().join(name);
        let before = fitting(&header, &[], before);
        // The third copy is read by a reader of the first: their entries may contradict each other.
        let copies: Vec<PathBuf> = [("a", one), ("b", other), ("c", third)]
            .into_iter()
            .map(|(name, steps)| write(&at(name), &header, &fitting(&header, &before, steps)))
            .collect();
        let logs: Vec<Vec<Entry>> =
            copies.iter().map(|copy| Snapshot::read(copy).unwrap().entries).collect();
        let joined = merge(&copies, "joined").unwrap();

        // Nothing is lost and nothing doubled: of each entry as many as the copy has that holds most of its like.
        let mut expected = BTreeMap::new();
        for (text, n) in logs.iter().flat_map(|log| contents(log)) {
            let most = expected.entry(text).or_insert(0);
            *most = n.max(*most);
        }
        let got = contents(&joined.entries);
        // Of copies that took back different entries of one time the texts are alike and the entries are not.
        prop_assert!(expected.iter().all(|(text, n)| got.get(text).is_some_and(|got| got >= n)));
        prop_assert!(got.keys().all(|text| expected.contains_key(text)));

        // Where each entry came from is there what it is here, and each copy's own order holds.
        let mut last = BTreeMap::<u64, u64>::new();
        for entry in joined.entries.iter().skip(joined.shared as usize + 1) {
            let Some((source, seq)) = joined.origin(entry.seq) else { continue };
            let copy = copies.iter().position(|c| verify(c).unwrap().head.to_string() == source.head);
            let original = &logs[copy.unwrap()][seq as usize];
            prop_assert_eq!((original.time, &original.reader), (entry.time, &entry.reader));
            let before = last.insert(copy.unwrap() as u64, seq);
            prop_assert!(before.is_none_or(|before| before < seq));
        }

        // Another order of the copies, joining again, and joining the joined with a copy make no difference.
        let turned: Vec<PathBuf> = copies.iter().rev().cloned().collect();
        prop_assert_eq!(&merge(&turned, "joined").unwrap().entries, &joined.entries);
        joined.write(&at("joined")).unwrap();
        prop_assert_eq!(verify(&at("joined")).unwrap().lines, joined.entries.len() as u64);
        for copy in &copies {
            for pair in [[copy.as_path(), &at("joined")], [&at("joined"), copy.as_path()]] {
                prop_assert_eq!(&join(&pair).entries, &joined.entries);
            }
        }
    }
}

#[test]
fn two_readers_of_copies_are_joined_compared_and_settled() {
    let scratch = scratch();
    let header = Header::new("ward", "/films");
    let (first, second) = (scratch.path().join("one"), scratch.path().join("two"));
    drop(Session::create(&first, header.clone()).unwrap());
    std::fs::create_dir(&second).unwrap();
    for file in ["session.json", "events.jsonl"] {
        std::fs::copy(first.join(file), second.join(file)).unwrap();
    }
    // Sixty films, every third of the random stream; the second reader calls every tenth pneumonia.
    let read = |folder: &Path, reader: &str, odd: u64| {
        let (mut session, _) = Session::open(folder).unwrap();
        for number in 0..60 {
            let answer = if number % 10 == odd { "pneumonia" } else { "normal" };
            let source = if number % 3 == 0 {
                Source::Audit { predicted: vec![0.5, 0.5], probability: 0.02 }
            } else {
                Source::Queue { strategy: "margin".to_owned(), rank: 0 }
            };
            let (film, answer, shown) = (film(number), class(answer), shown());
            session.append(reader, Event::Label { film, answer, ms: 900, source, shown }).unwrap();
            session.flush().unwrap();
        }
    };
    read(&first, "A", 10);
    // Without a disk a reader is done within a millisecond, and what happened in the same one has no order in time.
    let done = Time::now();
    while Time::now() <= done {}
    read(&second, "B", 0);
    let joined = join(&[&first, &second]);
    assert_eq!((joined.shared, &joined.own, joined.conflicts().len()), (0, &vec![60, 60], 0));
    let folder = scratch.path().join("joined");
    joined.write(&folder).unwrap();
    assert!(matches!(joined.write(&folder), Err(penumbra::session::SessionError::Exists { .. })));

    let (mut session, _) = Session::open(&folder).unwrap();
    assert_eq!(session.state().readers(), ["A", "B"]);
    let figures = report(session.state(), &BTreeMap::new());
    // Six films differ, 0, 10, … 50, of which 0 and 30 are of the random stream.
    assert_eq!((figures.random.films, figures.chosen.films, figures.disputed), (20, 40, 6));
    assert!((figures.random.agreement.unwrap().value - 0.9).abs() < 1e-12);
    assert!((figures.chosen.agreement.unwrap().value - 0.9).abs() < 1e-12);
    // One reader never says pneumonia: chance agrees as often as they do.
    assert!(figures.random.pairs[0].cohen.unwrap().value.abs() < 1e-12);

    let open: Vec<_> = session.state().to_adjudicate("C").collect();
    assert_eq!(open.len(), 6);
    for film in &open {
        let between = session.state().answers(*film);
        assert_eq!(between, [class("normal"), class("pneumonia")]);
        let (film, answer, shown) = (*film, class("pneumonia"), shown());
        session.append("C", Event::Adjudicate { film, answer, between, ms: 5, shown }).unwrap();
    }
    session.flush().unwrap();
    let state = session.state();
    assert_eq!(state.to_adjudicate("C").count(), 0);
    let counts = |rule| {
        let answers = (0..60).map(|number| state.consensus(film(number), rule).answer());
        let of = |name: &str| answers.clone().filter(|a| *a == Some(&class(name))).count();
        (of("normal"), of("pneumonia"), answers.filter(Option::is_none).count())
    };
    assert_eq!(counts(Rule::Adjudicator), (54, 6, 0));
    assert_eq!(counts(Rule::Unanimous), (54, 0, 6));
    assert_eq!(counts(Rule::Majority), (54, 0, 6));
    drop(session);
    assert_eq!(verify(&folder).unwrap().lines, 127);
}

#[test]
fn an_answer_of_one_reader_in_two_copies_is_named_and_the_earlier_stands() {
    let scratch = scratch();
    let header = Header::new("ward", "/films");
    let step = |reader, event, milliseconds| Step { reader, event, milliseconds };
    let one = [step("R1", label(film(1), class("normal")), 10)];
    let other = [
        step("R1", label(film(1), class("pneumonia")), 5),
        step("R1", Event::Undo { seq: 0 }, 20),
        step("R1", label(film(2), class("normal")), 30),
    ];
    let one = write(&scratch.path().join("one"), &header, &one);
    let other = write(&scratch.path().join("other"), &header, &other);
    let joined = join(&[&one, &other]);
    assert_eq!(joined.entries.len(), 5);
    let [conflict] = joined.conflicts() else { panic!("{:?}", joined.conflicts()) };
    let (source, seq) = joined.origin(conflict.seq).unwrap();
    assert_eq!((source.lines, seq), (1, 0));
    assert!(conflict.fault.to_string().contains("has an answer already"), "{conflict:?}");
    assert_eq!(joined.state.label(film(1)), None, "the earlier one was taken back later");
    assert!(joined.state.label(film(2)).is_some());
}

#[test]
fn sessions_of_other_classes_and_unfinished_ones_are_not_joined() {
    let scratch = scratch();
    let header = Header::new("ward", "/films");
    let one = write(&scratch.path().join("one"), &header, &[]);
    let classes = penumbra::session::Class::who_five();
    let who = Header::new("ward", "/films").with_classes(classes);
    let other = write(&scratch.path().join("other"), &who, &[]);
    let error = merge(&[one.clone(), other.clone()], "joined").unwrap_err();
    assert!(matches!(error, MergeError::Different { what: "classes", .. }), "{error}");
    assert!(error.to_string().ends_with("other"), "the path comes last: {error}");
    assert!(matches!(merge(std::slice::from_ref(&one), "joined"), Err(MergeError::TooFew)));
    // Sessions made apart on the same films have different identities and no entry in common.
    let apart = write(&scratch.path().join("apart"), &Header::new("ward", "/films"), &[]);
    let [there, back] = [[&one, &apart], [&apart, &one]]
        .map(|pair| merge(&pair.map(Clone::clone), "joined").unwrap().header.id);
    assert!(there == back && there != header.id);
    std::fs::write(other.join("events.jsonl"), "{\"v\":1").unwrap();
    let torn = merge(&[other.clone(), other], "joined").unwrap_err();
    assert!(matches!(torn, MergeError::Torn { .. }), "{torn}");
}

#[test]
fn the_protocol_is_joined_like_any_entry() {
    let scratch = scratch();
    let header = Header::new("ward", "/films");
    let protocol = |share| Event::Protocol(Protocol { double_share: share, ..Protocol::default() });
    let one = [Step { reader: "R1", event: protocol(0.1), milliseconds: 9 }];
    let other = [Step { reader: "R2", event: protocol(0.5), milliseconds: 3 }];
    let one = write(&scratch.path().join("one"), &header, &one);
    let other = write(&scratch.path().join("other"), &header, &other);
    let joined = join(&[&one, &other]);
    assert_eq!(joined.state.protocol().unwrap().double_share, 0.1, "the later one holds");
}
