//! The state is a pure fold, checked against a slow one.

use std::collections::BTreeMap;

use penumbra::dataset::FilmId;
use penumbra::session::{Answer, Entry, Event, FoldError, Header, Source, State, Time};
use proptest::prelude::*;

use super::{READER, class, film, label, shown};

/// What a test may try in a session; most tries do not fit and are refused.
#[derive(Clone, Debug)]
enum Try {
    Label(u64, usize, bool),
    Relabel(u64, usize, usize),
    Skip(u64, bool),
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
            Self::Undo(seq) => Event::Undo { seq },
            Self::UndoLast => Event::Undo { seq: state.last_undoable(reader)?.0 },
            Self::Note(number, text) => Event::Note { film: film(number), text },
            Self::Changed(number, now) => {
                Event::FileChanged { film: film(number), now: film(100 + now) }
            }
            Self::Swap(accepted) => {
                let (model, reason) = (format!("model {}", state.entries()), String::new());
                Event::ModelSwap { model, accepted, reason, labels: 0 }
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
    audited: Vec<FilmId>,
    /// Films read, each at its first answer or, without one, its last putting off.
    read: Vec<FilmId>,
    /// Films passed since each film was put off.
    passed: Vec<(FilmId, usize)>,
    notes: BTreeMap<FilmId, String>,
    changed: BTreeMap<FilmId, FilmId>,
}

impl Slow {
    fn of(entries: &[Entry]) -> Self {
        let undone: Vec<u64> = entries
            .iter()
            .filter_map(|e| if let Event::Undo { seq } = e.event { Some(seq) } else { None })
            .collect();
        let mut slow = Self::default();
        for Entry { reader, event, .. } in
            entries.iter().filter(|entry| !undone.contains(&entry.seq))
        {
            match event {
                Event::Label { film, answer, source, .. } => {
                    slow.skipped.retain(|skipped| skipped != film);
                    slow.passes(*film);
                    slow.answers.insert(*film, (answer.clone(), reader.clone()));
                    slow.order.push(*film);
                    if matches!(source, Source::Audit { .. }) {
                        slow.audited.push(*film);
                    }
                }
                Event::Relabel { film, to, .. } => {
                    slow.answers.insert(*film, (to.clone(), reader.clone()));
                }
                Event::Skip { film, .. } => {
                    slow.skipped.retain(|skipped| skipped != film);
                    slow.skipped.push(*film);
                    slow.passes(*film);
                    slow.passed.push((*film, 0));
                }
                _ => {}
            }
        }
        // What is no reading cannot be taken back.
        for entry in entries {
            match &entry.event {
                Event::Note { film, text } if text.is_empty() => _ = slow.notes.remove(film),
                Event::Note { film, text } => _ = slow.notes.insert(*film, text.clone()),
                Event::FileChanged { film, now } => _ = slow.changed.insert(*film, *now),
                _ => {}
            }
        }
        slow
    }

    /// Counts a film that is answered for the first time or put off.
    fn passes(&mut self, film: FilmId) {
        self.passed.retain(|(skipped, _)| *skipped != film);
        self.passed.iter_mut().for_each(|(_, films)| *films += 1);
        self.read.retain(|read| *read != film);
        self.read.push(film);
    }

    fn seen(state: &State) -> Self {
        Self {
            answers: state
                .in_order()
                .map(|(film, label)| (film, (label.answer.clone(), label.reader.clone())))
                .collect(),
            order: state.in_order().map(|(film, _)| film).collect(),
            skipped: state.skipped().collect(),
            audited: state.audit().map(|audited| audited.film).collect(),
            read: state.read_order().collect(),
            passed: state.passed_since_skipped().collect(),
            notes: state.notes().map(|(film, note)| (film, note.text.clone())).collect(),
            changed: (0..6)
                .filter_map(|number| Some((film(number), state.accepted_change(film(number))?)))
                .collect(),
        }
    }
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
            prop_assert_eq!(Slow::seen(&state), Slow::of(&entries));
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
        let left = Slow::of(&entries);
        let unread = Slow { notes: left.notes, changed: left.changed, ..Slow::default() };
        prop_assert_eq!(Slow::seen(&state), unread);
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
