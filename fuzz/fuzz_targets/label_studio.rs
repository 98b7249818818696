//! JSON exports of Label Studio, and what becomes of their labels in a session.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penumbra_fuzz::dataset::FilmId;
use penumbra_fuzz::session::import::{parse_label_studio, plan};
use penumbra_fuzz::session::{Entry, Header, State, Time};

fuzz_target!(|bytes: &[u8]| {
    let Ok(labels) = parse_label_studio(bytes) else { return };
    let films = ["a/1.png", "b/1.png", "2.png"].map(|file| (file, FilmId::of(file.as_bytes())));
    let mut state = State::new(&Header::new("s", "/films"));
    let planned = plan(&labels, &films, &state, "R1", "export.json");
    let all = planned.events.len() + planned.known + planned.problems.len();
    assert_eq!(all, labels.given.len() + labels.problems.len(), "a label was lost");
    for (seq, (reader, event)) in (0..).zip(planned.events) {
        let time = Time::from_milliseconds(0);
        state.apply(&Entry { seq, time, reader, event }).expect("an event that fits the session");
    }
    let again = plan(&labels, &films, &state, "R1", "export.json");
    assert!(again.events.is_empty(), "a label was entered twice");
});
