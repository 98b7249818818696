//! Headers of sessions, sealed, so that what lies behind the seal is reached too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penumbra_fuzz::session::verify;

fuzz_target!(|bytes: &[u8]| {
    let folder = penumbra_fuzz::folder();
    std::fs::write(folder.join("events.jsonl"), b"").expect("a log");
    let sealed = format!(",\n  \"hash\": \"{}\"\n}}\n", penumbra_fuzz::hash(bytes));
    for header in [bytes.to_vec(), [bytes, sealed.as_bytes()].concat()] {
        std::fs::write(folder.join("session.json"), header).expect("a header");
        if let Ok(verified) = verify(&folder) {
            assert_eq!(verified.lines, 0);
        }
    }
});
