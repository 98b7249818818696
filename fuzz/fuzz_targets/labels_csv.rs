//! Labels files, as other commands read them and as labels are entered from them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penumbra_fuzz::dataset::FilmId;
use penumbra_fuzz::dataset::labels::read_labels;
use penumbra_fuzz::session::import::{plan, read_labels_of};
use penumbra_fuzz::session::{Header, State};

fuzz_target!(|bytes: &[u8]| {
    let path = penumbra_fuzz::folder().join("labels.csv");
    std::fs::write(&path, bytes).expect("a labels file");
    match read_labels(&path) {
        Ok(rows) => assert!(rows.iter().all(|row| !row.file.is_empty() && !row.label.is_empty())),
        Err(error) => assert!(error.to_string().ends_with("labels.csv"), "{error}"),
    }
    match read_labels_of(&path) {
        Ok(labels) => {
            let films = [("1.png", FilmId::of(b"1"))];
            let state = State::new(&Header::new("s", "/films"));
            let planned = plan(&labels, &films, &state, "R1", "labels.csv");
            let all = planned.events.len() + planned.known + planned.problems.len();
            assert_eq!(all, labels.given.len(), "a label was lost");
        }
        Err(error) => assert!(error.to_string().ends_with("labels.csv"), "{error}"),
    }
});
