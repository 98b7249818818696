//! Lists of release bundles, as they are and sealed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penumbra_fuzz::session::export::check_bundle;

fuzz_target!(|bytes: &[u8]| {
    let folder = penumbra_fuzz::folder();
    let sealed = format!(",\n  \"hash\": \"{}\"\n}}\n", penumbra_fuzz::hash(bytes));
    for list in [bytes.to_vec(), [bytes, sealed.as_bytes()].concat()] {
        std::fs::write(folder.join("bundle.json"), list).expect("a list");
        let check = check_bundle(&folder).expect("a folder that can be read");
        assert!(!check.faults.is_empty(), "an empty folder was taken for a bundle");
    }
});
