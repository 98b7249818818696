//! Logs of a session: as they are, and with every line numbered, linked and sealed, so that the fold is reached.
//!
//! A line of the input is the time, the reader and the event of an entry, as they stand in the log: JSON without braces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penumbra_fuzz::session::{Header, Session, verify};

fuzz_target!(|bytes: &[u8]| {
    let folder = penumbra_fuzz::folder().join("session");
    let header = folder.join("session.json");
    if !header.exists() {
        drop(Session::create(&folder, Header::new("s", "/films")).expect("a session"));
    }
    let mut log = Vec::new();
    let mut previous = penumbra_fuzz::hash(&std::fs::read(&header).expect("a header"));
    for (seq, entry) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let mut line = format!("{{\"v\":1,\"seq\":{seq},").into_bytes();
        line.extend_from_slice(entry);
        line.extend_from_slice(format!(",\"prev\":\"{previous}\"").as_bytes());
        previous = penumbra_fuzz::hash(&line);
        log.extend_from_slice(&line);
        log.extend_from_slice(format!(",\"hash\":\"{previous}\"}}\n").as_bytes());
    }
    for events in [bytes, &log] {
        std::fs::write(folder.join("events.jsonl"), events).expect("a log");
        if let Ok(verified) = verify(&folder) {
            let lines = events.iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(verified.lines, lines as u64);
        }
    }
});
