//! One line of the log: an entry, sealed and chained to the line before it.

use blake3::Hash;
use serde::{Deserialize, Serialize};

use super::error::LineFault;
use super::event::{Entry, Event};
use super::header::VERSION;
use super::time::Time;

/// Bytes from the comma before the hash to the end of the line, without the newline.
const SEAL: usize = ",\"hash\":\"\"}".len() + 64;

/// Fields of a line in the order in which they are written, but for the hash.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<Text, Happening> {
    v: u32,
    seq: u64,
    time: Time,
    reader: Text,
    event: Happening,
    prev: Text,
}

/// Writes an entry as a line with its newline and returns the hash that the next line follows.
///
/// # Errors
/// If the entry could not be read back, as with a figure that is not a number.
pub(super) fn encode(entry: &Entry, previous: Hash) -> Result<(Vec<u8>, Hash), serde_json::Error> {
    let previous = previous.to_hex();
    let Entry { seq, time, reader, event } = entry;
    let body: Body<&str, &Event> =
        Body { v: VERSION, seq: *seq, time: *time, reader, event, prev: previous.as_str() };
    let mut line = serde_json::to_vec(&body)?;
    serde_json::from_slice::<Body<String, Event>>(&line)?;
    line.pop();
    let hash = blake3::hash(&line);
    line.extend_from_slice(seal(hash).as_bytes());
    line.push(b'\n');
    Ok((line, hash))
}

/// Reads a line without its newline that stands at place `seq` after a line with the hash `previous`.
///
/// # Errors
/// [`LineFault`] if any byte differs from what was written, or if a newer program wrote it.
pub(super) fn decode(line: &[u8], seq: u64, previous: Hash) -> Result<(Entry, Hash), LineFault> {
    let length = line.len().checked_sub(SEAL).ok_or(LineFault::Changed)?;
    let (body, tail) = line.split_at(length);
    let hash = blake3::hash(body);
    if tail != seal(hash).as_bytes() {
        return Err(LineFault::Changed);
    }
    let body = [body, b"}"].concat();
    let body: Body<String, Event> =
        serde_json::from_slice(&body).map_err(|error| misread(&body, &error))?;
    let Body { v, seq: found, time, reader, event, prev } = body;
    if v != VERSION {
        return Err(LineFault::Newer { what: format!("layout {v}") });
    }
    if found != seq {
        return Err(LineFault::Misnumbered { expected: seq, found, elsewhere: None });
    }
    if prev != previous.to_hex().as_str() {
        return Err(LineFault::Unlinked);
    }
    Ok((Entry { seq, time, reader, event }, hash))
}

/// Returns the number that a line carries, if it looks like one; nothing else about it is checked.
pub(super) fn number(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(format!("{{\"v\":{VERSION},\"seq\":").as_bytes())?;
    let digits = rest.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Returns the hash that a line without its newline ends with, if it looks like one; it is not checked.
pub(super) fn claimed_hash(line: &[u8]) -> Option<Hash> {
    let digits = line.strip_suffix(b"\"}")?.last_chunk::<64>()?;
    Hash::from_hex(digits).ok()
}

/// Returns whether a line without its newline ends with the hash `head`.
pub(super) fn ends_with(line: &[u8], head: &str) -> bool {
    line.ends_with(format!(",\"hash\":\"{head}\"}}").as_bytes())
}

/// Closes the JSON object that a line's body leaves open with its hash.
fn seal(hash: Hash) -> String {
    format!(",\"hash\":\"{hash}\"}}")
}

/// Says why an intact line cannot be read: nearly always a newer program wrote it.
fn misread(body: &[u8], error: &serde_json::Error) -> LineFault {
    #[derive(Deserialize)]
    struct Origin {
        v: u32,
        event: Kind,
    }
    #[derive(Deserialize)]
    struct Kind {
        kind: String,
    }

    match serde_json::from_slice(body) {
        Ok(Origin { v, .. }) if v != VERSION => LineFault::Newer { what: format!("layout {v}") },
        Ok(Origin { event, .. }) if !Event::KINDS.contains(&event.kind.as_str()) => {
            LineFault::Newer { what: format!("the event {:?}", event.kind) }
        }
        _ => LineFault::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::FilmId;
    use crate::session::{Answer, Shown, Source};

    fn root() -> Hash {
        blake3::hash(b"session.json")
    }

    fn entry(event: Event) -> Entry {
        Entry {
            seq: 3,
            time: Time::from_milliseconds(1_795_488_060_120),
            reader: "R1".to_owned(),
            event,
        }
    }

    /// Seals a body by the words of the format's description.
    fn by_hand(body: &str) -> String {
        format!(r#"{body},"hash":"{}"}}"#, blake3::hash(body.as_bytes()))
    }

    #[test]
    fn a_line_is_written_as_the_format_says() {
        let (line, hash) = encode(&entry(Event::Undo { seq: 2 }), root()).unwrap();
        let body = format!(
            r#"{{"v":1,"seq":3,"time":"2026-11-24T02:41:00.120Z","reader":"R1","event":{{"kind":"undo","seq":2}},"prev":"{}""#,
            root()
        );
        assert_eq!(line, format!("{}\n", by_hand(&body)).into_bytes());
        assert_eq!(hash, blake3::hash(body.as_bytes()));
    }

    #[test]
    fn kinds_are_those_of_the_events() {
        let error = serde_json::from_str::<Event>(r#"{"kind":"?"}"#).unwrap_err().to_string();
        for kind in Event::KINDS {
            assert!(
                error.contains(&format!("`{kind}`")),
                "{kind} is not among the kinds of {error}"
            );
        }
        assert_eq!(
            error.matches('`').count(),
            2 * (Event::KINDS.len() + 1),
            "a kind is missing: {error}"
        );
    }

    #[test]
    fn faults_are_told_apart() {
        let body = |v: u32, seq: u64, event: &str| {
            let prev = root();
            by_hand(&format!(
                r#"{{"v":{v},"seq":{seq},"time":"2026-11-24T02:41:00.120Z","reader":"R1","event":{event},"prev":"{prev}""#
            ))
        };
        let read = |line: &str, previous| decode(line.as_bytes(), 3, previous).map(|_| ());
        let undo = r#"{"kind":"undo","seq":2}"#;
        assert!(read(&body(1, 3, undo), root()).is_ok());
        assert!(matches!(
            read(&body(1, 3, undo), blake3::hash(b"other")),
            Err(LineFault::Unlinked)
        ));
        assert!(matches!(
            read(&body(1, 4, undo), root()),
            Err(LineFault::Misnumbered { expected: 3, found: 4, elsewhere: None })
        ));
        assert!(matches!(read(&body(2, 3, undo), root()), Err(LineFault::Newer { .. })));
        assert!(matches!(
            read(&body(1, 3, r#"{"kind":"dictate"}"#), root()),
            Err(LineFault::Newer { .. })
        ));
        let more = r#"{"kind":"undo","seq":2,"mood":"good"}"#;
        assert!(matches!(read(&body(1, 3, more), root()), Err(LineFault::Unreadable(_))));
        assert!(matches!(
            read(&body(1, 3, undo).replace("R1", "R2"), root()),
            Err(LineFault::Changed)
        ));
        assert!(matches!(read("", root()), Err(LineFault::Changed)));
        let newer = read(&body(1, 3, r#"{"kind":"dictate"}"#), root()).unwrap_err().to_string();
        assert!(newer.contains("dictate") && newer.contains(env!("CARGO_PKG_VERSION")), "{newer}");
    }

    #[test]
    fn a_figure_that_is_no_number_is_refused() {
        let model = String::new();
        let measure = Event::Measure { labels: 1, accuracy: 0.5, auroc: f32::NAN, n: 0, model };
        assert!(encode(&entry(measure), root()).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(
            reader: String, strategy: String, class: String, ms: u64, rank: u32, opinion_visible: bool,
            figures in proptest::array::uniform4(proptest::num::f32::NORMAL | proptest::num::f32::ZERO),
            audit: bool, quarter_turns in 0..4_u8,
        ) {
            let [window_centre, window_width, zoom, probability] = figures;
            let source = if audit {
                Source::Audit { predicted: figures.to_vec(), probability }
            } else {
                Source::Queue { strategy, rank }
            };
            let shown = Shown { model: class.clone(), window_centre, window_width, zoom, inverted: audit, mirrored: !audit, quarter_turns, opinion_visible, opinion: None };
            let film = FilmId::of(reader.as_bytes());
            let mut written = entry(Event::Label { film, answer: Answer::Class(class), ms, source, shown });
            written.reader = reader;
            let (line, hash) = encode(&written, root()).unwrap();
            let (end, line) = line.split_last().unwrap();
            prop_assert_eq!(*end, b'\n');
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(decode(line, 3, root()).unwrap(), (written, hash));
        }
    }
}
