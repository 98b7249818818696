//! The release bundle: everything that a reviewer needs to trust a labelled set, sealed.
//!
//! | file | what it is |
//! |---|---|
//! | `labels.csv` | what the readers agree on, a labels file with patient and split |
//! | `readers.csv` | the answer of each reader on each film |
//! | `left_out.csv` | films that readers differ on, or called uninterpretable |
//! | `splits.csv` | patient and split of every film of the session |
//! | `MODEL_CARD.md` | what the set is, how it was chosen and read, and the model that ranked the films |
//! | `model.json` | the card of that model, if it is known |
//! | `session.json`, `events.jsonl`, `films.jsonl` | the session itself: header, log, index of films |
//! | `SHA256SUMS` | for `sha256sum -c`, which needs no Penumbra |
//! | `bundle.json` | [`Manifest`]: every file with its BLAKE3 hash, the head of the log, and a seal over itself |
//!
//! The tables and the card are a pure function of the other files, and the check derives them again: who forges a label
//! has to forge the log, and then its head, which readers can have noted, is another.

mod card;
mod check;
mod readings;
mod splits;
mod tables;

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::check::{BundleCheck, check_bundle};
pub use self::splits::{InvalidShares, SPLITS, Shares, Split};
use super::{ExportError, begin, finish};
use crate::dataset::FilmRecord;
use crate::dataset::index::load_index;
use crate::fsutil;
use crate::session::header::{SEAL, seal};
use crate::session::log::{self, Snapshot};
use crate::session::time::Time;

/// Layout of bundles that this program writes and checks.
const VERSION: u32 = 1;
/// Name of the manifest.
const MANIFEST: &str = "bundle.json";
const SUMS: &str = "SHA256SUMS";
const HEADER: &str = "session.json";
const EVENTS: &str = "events.jsonl";
const FILMS: &str = "films.jsonl";
const MODEL: &str = "model.json";

/// What is in a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    app_version: String,
    /// When the bundle was made.
    made: Time,
    /// Identity of the session.
    session: String,
    /// Lines of the log.
    lines: u64,
    /// Hash of the log's last line, or of `session.json` while there is none.
    head: String,
    /// How readers' answers became one.
    consensus: String,
    splits: Shares,
    /// Name of the model that `model.json` is of.
    model: Option<String>,
    files: Vec<SealedFile>,
}

/// A file of a bundle as it was when the bundle was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedFile {
    name: String,
    bytes: u64,
    blake3: String,
}

/// The model that a bundle tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Name of the model.
    pub name: String,
    /// Bytes of its `model.json`.
    pub card: Vec<u8>,
}

/// A bundle that was made, or found as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Hash of the manifest, which stands for every byte of the bundle: publish it beside the bundle.
    pub seal: String,
    /// Hash of the log's last line.
    pub head: String,
    /// Lines of the log.
    pub lines: u64,
    /// Files, the manifest not counted.
    pub files: usize,
    /// Films with a label that readers agree on.
    pub labelled: usize,
    /// Films that are left out: readers differ, or call them uninterpretable.
    pub left_out: usize,
}

/// What the tables and the card of a bundle are derived from.
struct Facts<'a> {
    snapshot: &'a Snapshot,
    films: &'a [FilmRecord],
    model: Option<&'a Model>,
    splits: Shares,
    made: Time,
}

/// Seals the session in `session` to the folder `out`, which must be new or empty and appears only when complete.
///
/// Events that are not on disk yet, and an unfinished last line, are left out.
///
/// # Errors
/// [`ExportError`] if the session is damaged or a file cannot be read or written; nothing is exported then.
pub fn write_bundle(
    session: &Path,
    model: Option<&Model>,
    splits: Shares,
    out: &Path,
) -> Result<Sealed, ExportError> {
    let unfinished = begin(out)?;
    let snapshot = Snapshot::read(session)?;
    let films = load_index(&session.join(FILMS))?;
    let made = Time::now();
    let facts = Facts { snapshot: &snapshot, films: &films, model, splits, made };
    let tables = tables::derive(&facts)?;
    let (labelled, left_out) = (tables.labelled, tables.left_out);
    let mut events = fsutil::read(&log::log_file(session))?;
    events.truncate(snapshot.length as usize);
    let mut files = tables.files;
    files.push((HEADER, fsutil::read(&log::header_file(session))?));
    files.push((EVENTS, events));
    files.push((FILMS, fsutil::read(&session.join(FILMS))?));
    files.extend(model.map(|model| (MODEL, model.card.clone())));
    files.sort_by_key(|(name, _)| *name);
    files.push((SUMS, sums(&files)));
    for (name, bytes) in &files {
        fsutil::write_atomic(&unfinished.path().join(name), bytes)?;
    }
    let sealed = |(name, bytes): &(&str, Vec<u8>)| SealedFile {
        name: (*name).to_owned(),
        bytes: bytes.len() as u64,
        blake3: blake3::hash(bytes).to_string(),
    };
    let (head, lines) = (snapshot.head.to_string(), snapshot.state.entries());
    let manifest = Manifest {
        version: VERSION,
        app_version: env!("CARGO_PKG_VERSION").to_owned(),
        made,
        session: snapshot.header.id.clone(),
        lines,
        head: head.clone(),
        consensus: snapshot.state.rule().to_string(),
        splits,
        model: model.map(|model| model.name.clone()),
        files: files.iter().map(sealed).collect(),
    };
    let bytes = manifest.to_bytes()?;
    fsutil::write_atomic(&unfinished.path().join(MANIFEST), &bytes)?;
    finish(unfinished, out)?;
    let seal = blake3::hash(&bytes).to_string();
    Ok(Sealed { seal, head, lines, files: files.len(), labelled, left_out })
}

/// Lists hashes as `sha256sum` does.
fn sums(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut lines = String::new();
    for (name, bytes) in files {
        // Writing to a string cannot fail.
        for byte in Sha256::digest(bytes) {
            _ = write!(lines, "{byte:02x}");
        }
        _ = writeln!(lines, "  {name}");
    }
    lines.into_bytes()
}

impl Manifest {
    /// Writes JSON whose last field is the BLAKE3 hash of all bytes before it.
    fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let text = serde_json::to_string_pretty(self)?;
        let body = text.strip_suffix("\n}").unwrap_or(&text);
        Ok(format!("{body}{}", seal(body.as_bytes())).into_bytes())
    }

    /// Reads a manifest; the error says what is wrong with it.
    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Origin {
            version: u32,
            app_version: String,
        }

        let changed = || "it was changed after the bundle was sealed".to_owned();
        let length = bytes.len().checked_sub(SEAL).ok_or_else(changed)?;
        let (body, tail) = bytes.split_at(length);
        if tail != seal(body).as_bytes() {
            return Err(changed());
        }
        let body = [body, b"}"].concat();
        let unreadable = |error: serde_json::Error| format!("it is no list of a bundle ({error})");
        let Origin { version, app_version } = serde_json::from_slice(&body).map_err(unreadable)?;
        if version != VERSION {
            return Err(format!(
                "it has layout {version}, made by Penumbra {app_version}: use that program"
            ));
        }
        serde_json::from_slice(&body).map_err(unreadable)
    }
}
