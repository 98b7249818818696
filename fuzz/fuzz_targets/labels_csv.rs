//! Labels files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penumbra_fuzz::dataset::labels::read_labels;

fuzz_target!(|bytes: &[u8]| {
    let path = penumbra_fuzz::folder().join("labels.csv");
    std::fs::write(&path, bytes).expect("a labels file");
    match read_labels(&path) {
        Ok(rows) => assert!(rows.iter().all(|row| !row.file.is_empty() && !row.label.is_empty())),
        Err(error) => assert!(error.to_string().ends_with("labels.csv"), "{error}"),
    }
});
