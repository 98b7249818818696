//! The state is a pure fold, checked against a slow one.

use std::collections::BTreeMap;

use penumbra::dataset::FilmId;
use penumbra::session::{Answer, Entry, Event, FoldError, Header, Note, Source, State, Time, View};
use proptest::prelude::*;

use super::{READER, class, film, label, shown};

/// What a test may try in a session; most tries do not fit and are refused.
#[derive(Clone, Debug)]
enum Try {
    Label(u64, usize, bool),
    Relabel(u64, usize, usize),
    Skip(u64, bool),
    Reread(u64, usize),
    SkipReread(u64),
    Undo(u64),
    UndoLast,
    Swap(bool),
    Note(u64, String),
    Changed(u64, u64),
}

fn tries() -> impl Strategy<Value = Vec<(bool, Try)>> {
    let one = prop_oneof![
        4 => (0..6_u64, 0..4_usize, any::<bool>()).prop_map(|(film, answer, audit)| Try::Label(film, answer, audit)),
        3 => (0..6_u64, 0..3_usize, 0..3_usize).prop_map(|(film, from, to)| Try::Relabel(film, from, to)),
        3 => (0..6_u64, any::<bool>()).prop_map(|(film, audit)| Try::Skip(film, audit)),
        2 => (0..6_u64, 0..3_usize).prop_map(|(film, answer)| Try::Reread(film, answer)),
        1 => (0..6_u64).prop_map(Try::SkipReread),
        2 => (0..40_u64).prop_map(Try::Undo),
        3 => Just(Try::UndoLast),
        1 => any::<bool>().prop_map(Try::Swap),
        2 => (0..6_u64, "[a-b]{0,2}").prop_map(|(film, text)| Try::Note(film, text)),
        1 => (0..6_u64, 0..9_u64).prop_map(|(film, now)| Try::Changed(film, now)),
    ];
    proptest::collection::vec((any::<bool>(), one), 0..60)
}

fn answer(number: usize) -> Answer {
    [class("normal"), class("pneumonia"), Answer::Uninterpretable, class("fracture")][number]
        .clone()
}

fn drawn() -> Source {
    Source::Audit { predicted: vec![0.1, 0.9], probability: 0.2 }
}

impl Try {
    fn event(self, state: &State, reader: &str) -> Option<Event> {
        Some(match self {
            Self::Label(number, given, audit) => {
                let source = if audit { drawn() } else { Source::Browse };
                Event::Label {
                    film: film(number),
                    answer: answer(given),
                    ms: number,
                    source,
                    shown: shown(),
                }
            }
            Self::Relabel(number, from, to) => {
                let (film, from, to) = (film(number), answer(from), answer(to));
                Event::Relabel { film, from, to, reason: "second look".to_owned(), ms: 7 }
            }
            Self::Skip(number, audit) => {
                Event::Skip { film: film(number), source: audit.then(drawn) }
            }
            Self::Reread(number, given) => Event::Label {
                film: film(number),
                answer: answer(given),
                ms: number,
                source: Source::Reread,
                shown: shown(),
            },
            Self::SkipReread(number) => {
                Event::Skip { film: film(number), source: Some(Source::Reread) }
            }
            Self::Undo(seq) => Event::Undo { seq },
            Self::UndoLast => Event::Undo { seq: state.last_undoable(reader)?.0 },
            Self::Note(number, text) => Event::Note { film: film(number), text },
            Self::Changed(number, now) => {
                Event::FileChanged { film: film(number), now: film(100 + now) }
            }
            Self::Swap(accepted) => {
                let (model, reason) = (format!("model {}", state.entries()), String::new());
                Event::ModelSwap { model, accepted, reason, labels: 0, methods: Vec::new() }
            }
        })
    }
}

/// What stands after `entries`, found the slow way: drop what was taken back, then read on from the start each time.
#[derive(Debug, Default, PartialEq)]
struct Slow {
    answers: BTreeMap<FilmId, (Answer, String)>,
    order: Vec<FilmId>,
    skipped: Vec<FilmId>,
    /// Films read, each at its first answer, its last second reading or its last putting off.
    read: Vec<FilmId>,
    /// Films passed since each film was put off.
    passed: Vec<(FilmId, usize)>,
    rereads: Vec<(FilmId, Answer, Answer)>,
}

/// What one reader did with one film.
#[derive(Default)]
struct SlowTrack {
    /// Entry of the first answer, the answer that stands and who gave it.
    label: Option<(u64, Answer, String)>,
    /// Whether the last entry put the film off, and which one that was.
    put_off: Option<u64>,
    rereads: Vec<(u64, Answer, Answer)>,
}

/// What each reader did with each film.
type SlowTracks = BTreeMap<(FilmId, String), SlowTrack>;

/// Sorts what each reader did with each film, after what was taken back is dropped; the last value are the entries that
/// passed a film, with whose they were.
fn tracks(entries: &[Entry]) -> (SlowTracks, Vec<(u64, String)>) {
    let undone: Vec<u64> = entries
        .iter()
        .filter_map(|e| if let Event::Undo { seq } = e.event { Some(seq) } else { None })
        .collect();
    let (mut tracks, mut passed) = (BTreeMap::<_, SlowTrack>::new(), Vec::new());
    for Entry { seq, reader, event, .. } in entries.iter().filter(|e| !undone.contains(&e.seq)) {
        match event {
            Event::Label { film, answer, source: Source::Reread, .. } => {
                let track = tracks.entry((*film, reader.clone())).or_default();
                let (_, before, _) = track.label.clone().unwrap();
                track.rereads.push((*seq, before, answer.clone()));
                track.put_off = None;
                passed.push((*seq, reader.clone()));
            }
            Event::Label { film, answer, .. } => {
                let track = tracks.entry((*film, reader.clone())).or_default();
                track.label = Some((*seq, answer.clone(), reader.clone()));
                track.put_off = None;
                passed.push((*seq, reader.clone()));
            }
            Event::Relabel { film, to, .. } => {
                let other = if reader == READER { "R2" } else { READER };
                let own = tracks.get(&(*film, reader.clone()));
                let has_own = own.is_some_and(|own| own.label.is_some());
                let owner = if has_own { reader } else { other };
                let track = tracks.get_mut(&(*film, owner.to_owned())).unwrap();
                let (first, ..) = track.label.clone().unwrap();
                track.label = Some((first, to.clone(), reader.clone()));
                track.put_off = None;
            }
            Event::Skip { film, .. } => {
                tracks.entry((*film, reader.clone())).or_default().put_off = Some(*seq);
                passed.push((*seq, reader.clone()));
            }
            _ => {}
        }
    }
    (tracks, passed)
}

impl Slow {
    /// As one reader knows it, or, for `None`, all together.
    fn of(entries: &[Entry], reader: Option<&str>) -> Self {
        let (tracks, passed) = tracks(entries);
        let mine = |other: &str| reader.is_none_or(|reader| reader == other);
        let passed: Vec<u64> =
            passed.into_iter().filter(|(_, who)| mine(who)).map(|(seq, _)| seq).collect();
        let (mut order, mut read, mut put_off, mut rereads) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut slow = Self::default();
        for number in 0..6 {
            let film = film(number);
            let tracks = || {
                let here = tracks.iter().filter(move |((other, _), _)| *other == film);
                here.filter(|((_, who), _)| mine(who)).map(|(_, track)| track)
            };
            let first = tracks().filter_map(|track| track.label.clone()).min_by_key(|l| l.0);
            let off = tracks().filter_map(|track| track.put_off).max();
            let off = off.filter(|_| reader.is_some() || first.is_none());
            let again = tracks().flat_map(|track| track.rereads.clone());
            let last = again.clone().map(|(seq, ..)| seq).max().filter(|_| reader.is_some());
            read.extend(off.or(last).or(first.as_ref().map(|l| l.0)).map(|place| (place, film)));
            put_off.extend(off.map(|seq| (seq, film)));
            rereads.extend(again.map(|(seq, before, now)| (seq, film, before, now)));
            if let Some((seq, answer, reader)) = first {
                order.push((seq, film));
                slow.answers.insert(film, (answer, reader));
            }
        }
        for list in [&mut order, &mut read, &mut put_off] {
            list.sort_unstable();
        }
        rereads.sort();
        let films = |list: Vec<(u64, FilmId)>| list.into_iter().map(|(_, film)| film).collect();
        let since = |seq: u64| passed.iter().filter(|&&other| other > seq).count();
        Self {
            passed: put_off.iter().map(|&(seq, film)| (film, since(seq))).collect(),
            order: films(order),
            read: films(read),
            skipped: films(put_off),
            rereads: rereads
                .into_iter()
                .map(|(_, film, before, now)| (film, before, now))
                .collect(),
            ..slow
        }
    }

    fn seen(view: View<'_>) -> Self {
        Self {
            answers: view
                .in_order()
                .map(|(film, label)| (film, (label.answer.clone(), label.reader.clone())))
                .collect(),
            order: view.in_order().map(|(film, _)| film).collect(),
            skipped: view.skipped().collect(),
            read: view.read_order().collect(),
            passed: view.passed_since_skipped().collect(),
            rereads: view
                .rereads()
                .map(|(film, reread)| (film, reread.before.clone(), reread.answer.clone()))
                .collect(),
        }
    }
}

/// What cannot be taken back: notes by film and reader, and changed files.
fn lasting(entries: &[Entry]) -> (BTreeMap<(FilmId, String), String>, BTreeMap<FilmId, FilmId>) {
    let (mut notes, mut changed) = (BTreeMap::new(), BTreeMap::new());
    for Entry { reader, event, .. } in entries {
        match event {
            Event::Note { film, text } if text.is_empty() => {
                _ = notes.remove(&(*film, reader.clone()));
            }
            Event::Note { film, text } => {
                _ = notes.insert((*film, reader.clone()), text.clone());
            }
            Event::FileChanged { film, now } => _ = changed.insert(*film, *now),
            _ => {}
        }
    }
    (notes, changed)
}

fn lasts(state: &State) -> (BTreeMap<(FilmId, String), String>, BTreeMap<FilmId, FilmId>) {
    let note = |(film, note): (FilmId, &Note)| ((film, note.reader.clone()), note.text.clone());
    let change = |number| Some((film(number), state.accepted_change(film(number))?));
    (state.notes().map(note).collect(), (0..6).filter_map(change).collect())
}

/// Checks every view of the state against the slow way.
fn check(state: &State, entries: &[Entry]) -> Result<(), TestCaseError> {
    prop_assert_eq!(Slow::seen(state.all()), Slow::of(entries, None));
    for reader in [READER, "R2"] {
        prop_assert_eq!(Slow::seen(state.of(reader)), Slow::of(entries, Some(reader)));
    }
    prop_assert_eq!(lasts(state), lasting(entries));
    Ok(())
}

proptest! {
    #[test]
    fn the_state_is_a_pure_fold_that_undoing_takes_back(tries in tries()) {
        let header = Header::new("test", "/films");
        let mut state = State::new(&header);
        let mut entries = Vec::new();
        for (second, attempt) in tries {
            let reader = if second { "R2" } else { READER };
            let Some(event) = attempt.event(&state, reader) else { continue };
            let json = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Event>(&json).unwrap(), &event);
            let seq = state.entries();
            let entry = Entry { seq, time: Time::from_milliseconds(seq as i64), reader: reader.to_owned(), event };
            let before = state.clone();
            if state.apply(&entry).is_ok() {
                entries.push(entry);
            } else {
                prop_assert_eq!(&state, &before, "a refused entry left a trace");
            }
            check(&state, &entries)?;
            let counts = state.counts();
            prop_assert_eq!(counts.labelled(), state.in_order().count());
            prop_assert_eq!(counts.skipped, state.skipped().count());
        }
        let mut again = State::new(&header);
        for entry in &entries {
            again.apply(entry).unwrap();
        }
        prop_assert_eq!(&again, &state);
        let swaps = entries.iter().rev().find_map(|entry| match &entry.event {
            Event::ModelSwap { model, accepted: true, .. } => Some(model.as_str()),
            _ => None,
        });
        prop_assert_eq!(state.model(), swaps);
        while let Some((seq, film)) = [READER, "R2"].iter().find_map(|reader| state.last_undoable(reader)) {
            let time = Time::from_milliseconds(0);
            let undo = Entry { seq: state.entries(), time, reader: READER.to_owned(), event: Event::Undo { seq } };
            let answered = state.label(film).is_some();
            state.apply(&undo).unwrap();
            prop_assert!(state.apply(&Entry { seq: undo.seq + 1, ..undo }).is_err(), "taken back twice");
            prop_assert!(answered || state.label(film).is_none(), "taking back a skip gave an answer");
        }
        prop_assert_eq!(Slow::seen(state.all()), Slow::default());
        prop_assert_eq!(lasts(&state), lasting(&entries));
        prop_assert_eq!(state.counts(), State::new(&header).counts());
    }
}

#[test]
fn taking_back_a_relabel_brings_back_the_answer_before_it_whole() {
    let mut state = State::new(&Header::new("test", "/films"));
    let (normal, pneumonia) = (class("normal"), class("pneumonia"));
    let relabel = |from: &Answer, to: &Answer| Event::Relabel {
        film: film(1),
        from: from.clone(),
        to: to.clone(),
        reason: String::new(),
        ms: 5,
    };
    let apply = |state: &mut State, reader: &str, event: Event| {
        let seq = state.entries();
        let time = Time::from_milliseconds(1_000 * seq as i64);
        state.apply(&Entry { seq, time, reader: reader.to_owned(), event })
    };
    apply(&mut state, "R1", Event::Skip { film: film(1), source: None }).unwrap();
    apply(&mut state, "R1", label(film(1), normal.clone())).unwrap();
    let labelled = state.label(film(1)).cloned();
    apply(&mut state, "R2", relabel(&normal, &pneumonia)).unwrap();
    assert!(
        apply(&mut state, "R2", relabel(&normal, &pneumonia)).is_err(),
        "normal no longer stands"
    );
    apply(&mut state, "R1", relabel(&pneumonia, &Answer::Uninterpretable)).unwrap();
    let last = state.label(film(1)).unwrap();
    assert_eq!((&last.answer, last.seq, last.first), (&Answer::Uninterpretable, 3, 1));
    assert_eq!(state.last_undoable("R2"), None, "R1 has read the film since");
    let early = apply(&mut state, "R1", Event::Undo { seq: 1 }).unwrap_err();
    assert_eq!(
        early.to_string(),
        "entry 1 cannot be taken back before entry 3, which read the same film later"
    );
    assert_eq!(state.last_undoable("R1"), Some((3, film(1))));
    apply(&mut state, "R1", Event::Undo { seq: 3 }).unwrap();
    assert_eq!(state.last_undoable("R2"), Some((2, film(1))));
    apply(&mut state, "R2", Event::Undo { seq: 2 }).unwrap();
    assert_eq!(state.label(film(1)).cloned(), labelled);
    apply(&mut state, "R1", Event::Undo { seq: 1 }).unwrap();
    assert_eq!(
        state.skipped().collect::<Vec<_>>(),
        [film(1)],
        "the film is put off again, as before its label"
    );
    assert!(apply(&mut state, "R1", Event::Undo { seq: 1 }).is_err());
    assert!(apply(&mut state, "R1", Event::Undo { seq: 99 }).is_err());
}

#[test]
fn a_skip_says_why_its_film_was_to_be_read_and_older_ones_need_not() {
    let mut state = State::new(&Header::new("test", "/films"));
    let mut skip = |source| {
        let (seq, time) = (state.entries(), Time::from_milliseconds(0));
        let event = Event::Skip { film: film(seq), source };
        state.apply(&Entry { seq, time, reader: READER.to_owned(), event })
    };
    skip(None).unwrap();
    skip(Some(drawn())).unwrap();
    let short = Source::Audit { predicted: vec![1.0], probability: 0.2 };
    assert_eq!(skip(Some(short)), Err(FoldError::Predicted { expected: 2, found: 1 }));
    let older = format!(r#"{{"kind":"skip","film":"{}"}}"#, film(1));
    let event: Event = serde_json::from_str(&older).unwrap();
    assert_eq!(event, Event::Skip { film: film(1), source: None });
    assert_eq!(serde_json::to_string(&event).unwrap(), older, "its line keeps its hash");
}

#[test]
fn a_reader_knows_nothing_of_anothers_answers() {
    let mut state = State::new(&Header::new("test", "/films"));
    let mut enter = |reader: &str, event: Event| {
        let (seq, time) = (state.entries(), Time::from_milliseconds(0));
        state.apply(&Entry { seq, time, reader: reader.to_owned(), event }).unwrap();
    };
    enter("R1", label(film(1), class("normal")));
    enter("R1", Event::Note { film: film(1), text: "clear".to_owned() });
    enter("R1", label(film(2), class("pneumonia")));
    enter("R2", Event::Skip { film: film(3), source: None });
    enter("R2", label(film(1), class("pneumonia")));
    assert_eq!(state.readers(), ["R1", "R2"]);
    let second = state.of("R2");
    assert_eq!(second.in_order().map(|(film, _)| film).collect::<Vec<_>>(), [film(1)]);
    assert_eq!(second.label(film(1)).unwrap().answer, class("pneumonia"));
    assert_eq!((second.label(film(2)), state.note_of(film(1), "R2")), (None, None));
    assert_eq!(state.of("R1").skipped().count(), 0);
    assert_eq!(state.label(film(1)).unwrap().reader, "R1", "together, the first reader counts");
    assert_eq!(state.labels(film(1)).count(), 2);
    assert_eq!(state.counts().labelled(), 2, "films, not answers");
    assert_eq!(state.last_undoable("R1"), Some((2, film(2))));
}
