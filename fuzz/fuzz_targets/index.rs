//! The index of films: what is read is written and read again as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penumbra_fuzz::dataset::index::{load_index, save_index};

fuzz_target!(|bytes: &[u8]| {
    let path = penumbra_fuzz::folder().join("films.jsonl");
    std::fs::write(&path, bytes).expect("an index");
    if let Ok(films) = load_index(&path) {
        save_index(&path, &films).expect("an index that can be written");
        assert_eq!(load_index(&path).expect("an index that can be read"), films);
    }
});
