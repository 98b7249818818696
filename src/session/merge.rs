//! Joining copies of a session that were read apart.
//!
//! An entry is the same in two copies if time, reader and what happened are the same; what it takes back is compared by
//! the same rule, since entries of copies are numbered apart. The joined session holds every entry of every copy once, in
//! an order that keeps each copy's own and, where that leaves a choice, goes by time. After the entries that all copies
//! begin with stands an [`Event::Merge`], which says of every entry after it where it comes from. Entries that contradict
//! what another copy holds, as when one reader labelled a film in both, stay in the log without effect.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use blake3::Hash;
use serde::{Deserialize, Serialize};

use super::error::SessionError;
use super::event::{Entry, Event};
use super::header::Header;
use super::line;
use super::log::{self, Lock, Snapshot};
use super::state::{Conflict, FoldError, State};
use super::time::Time;
use crate::fsutil;

/// A session that was joined with others, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeSource {
    /// Hash of its last line, or of its `session.json` while there was none; 64 hexadecimal digits.
    pub head: String,
    /// Identity in its header.
    pub id: String,
    /// Lines of its log.
    pub lines: u64,
}

/// Entries in a row that come from one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeRun {
    /// Index of the source.
    pub source: u32,
    /// Number of the first entry there.
    pub first: u64,
    /// How many follow each other.
    pub lines: u64,
}

/// Why sessions cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// There are not two to join.
    #[error("two sessions or more are needed to join them")]
    TooFew,
    /// What the sessions are about differs.
    #[error("the sessions have different {what} and cannot be joined: {} and {}", first.display(), other.display())]
    Different {
        /// What differs.
        what: &'static str,
        /// Folder of the first session.
        first: PathBuf,
        /// Folder of the other one.
        other: PathBuf,
    },
    /// A session ends in an unfinished line.
    #[error("the last line is unfinished, as a crash leaves it; open the session once, then join it: {}", path.display())]
    Torn {
        /// Folder of the session.
        path: PathBuf,
    },
    /// The sessions hold the same entries in orders that exclude each other.
    #[error(
        "the sessions hold the same entries in different orders, so one of them was not written by Penumbra"
    )]
    Order,
    /// An entry does not fit those before it.
    #[error("entry {seq} of the joined session does not fit those before it: {fault}")]
    Fold {
        /// Number in the joined session.
        seq: u64,
        /// Why not.
        fault: FoldError,
    },
    /// A session cannot be read or the joined one not written.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// A session joined from several, not yet written.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What it is about.
    pub header: Header,
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// What it has come to.
    pub state: State,
    /// Entries that the sessions had in common from the start.
    pub shared: u64,
    /// Entries of each session, in the order in which they were given, that no other session holds.
    pub own: Vec<u64>,
}

/// Identity of an entry, the same in every copy that holds it.
type Key = [u8; 32];

/// Reads the sessions in `folders`, which stay as they are, and joins them to one called `name`.
///
/// If one of them holds every entry of the others, the joined session has its entries and no further one.
///
/// # Errors
/// [`MergeError`] if there are fewer than two, one cannot be read, or they are not about the same films and classes.
pub fn merge(folders: &[PathBuf], name: &str) -> Result<Merged, MergeError> {
    if folders.len() < 2 {
        return Err(MergeError::TooFew);
    }
    let mut copies = Vec::new();
    for folder in folders {
        let snapshot = Snapshot::read(folder)?;
        if !snapshot.torn.is_empty() {
            return Err(MergeError::Torn { path: folder.clone() });
        }
        copies.push(snapshot);
    }
    for (copy, folder) in copies.iter().zip(folders).skip(1) {
        if let Some(what) = difference(&copies[0].header, &copy.header) {
            let (first, other) = (folders[0].clone(), folder.clone());
            return Err(MergeError::Different { what, first, other });
        }
    }
    join(&copies, name)
}

/// Returns in what two headers differ that joined sessions must have in common.
fn difference(one: &Header, other: &Header) -> Option<&'static str> {
    [
        ("classes", one.classes != other.classes),
        ("seeds", one.seed != other.seed),
        ("audit shares", one.audit_share != other.audit_share),
        (
            "headers, although they are copies of one session",
            one.id == other.id && !alike(one, other),
        ),
    ]
    .into_iter()
    .find_map(|(what, differs)| differs.then_some(what))
}

/// Returns whether two headers differ in no more than their names.
fn alike(one: &Header, other: &Header) -> bool {
    Header { name: other.name.clone(), ..one.clone() } == *other
}

fn join(given: &[Snapshot], name: &str) -> Result<Merged, MergeError> {
    let header = joined_header(given, name);
    // In an order of their own, so that it does not matter in which they were given.
    let mut places: Vec<usize> = (0..given.len()).collect();
    places.sort_by_cached_key(|&place| source(&given[place]));
    let copies: Vec<&Snapshot> = places.iter().map(|&place| &given[place]).collect();
    let keys: Vec<Vec<Key>> = copies.iter().map(|copy| keys(&copy.entries)).collect();
    let holders = holders(&keys);
    let order = order(&copies, &keys, &holders)?;
    let shared = keys[0]
        .iter()
        .enumerate()
        .take_while(|(place, key)| keys.iter().all(|keys| keys.get(*place) == Some(*key)))
        .count();
    let complete = copies
        .iter()
        .find(|copy| alike(&copy.header, &header) && copy.entries.len() == order.len());
    let entries = match complete {
        Some(copy) => copy.entries.clone(),
        None => renumbered(&copies, &keys, &order, shared),
    };
    let mut state = State::new(&header);
    for entry in &entries {
        state.apply(entry).map_err(|fault| MergeError::Fold { seq: entry.seq, fault })?;
    }
    let mut own = vec![0; given.len()];
    for (keys, place) in keys.iter().zip(places) {
        own[place] = keys.iter().filter(|key| holders.get(*key) == Some(&1)).count() as u64;
    }
    Ok(Merged { header, entries, state, shared: shared as u64, own })
}

/// Returns in how many copies each entry is.
fn holders(keys: &[Vec<Key>]) -> BTreeMap<Key, usize> {
    let mut holders = BTreeMap::new();
    for key in keys.iter().flatten() {
        *holders.entry(*key).or_default() += 1;
    }
    holders
}

fn source(copy: &Snapshot) -> MergeSource {
    MergeSource {
        head: copy.head.to_string(),
        id: copy.header.id.clone(),
        lines: copy.entries.len() as u64,
    }
}

/// Returns the header of copies of one session as it is; else one of the first session's films whose identity depends on
/// the sessions joined, not on their order.
fn joined_header(copies: &[Snapshot], name: &str) -> Header {
    let header = Header { name: name.to_owned(), ..copies[0].header.clone() };
    let ids: BTreeSet<&str> = copies.iter().map(|copy| copy.header.id.as_str()).collect();
    if ids.len() == 1 {
        return header;
    }
    let all: Vec<&str> = ids.into_iter().collect();
    let id = blake3::hash(all.join(" ").as_bytes()).to_hex()[..32].to_owned();
    let created = copies.iter().map(|copy| copy.header.created).min();
    Header { id, created: created.unwrap_or(header.created), ..header }
}

/// Returns the identity of each entry. Of entries alike in all respects the second, third and so on differ by that.
fn keys(entries: &[Entry]) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::with_capacity(entries.len());
    let mut alike = BTreeMap::<Key, u64>::new();
    for Entry { time, reader, event, .. } in entries {
        let mut hasher = blake3::Hasher::new_derive_key("penumbra session entry v1");
        hasher.update(time.to_string().as_bytes());
        hasher.update(&(reader.len() as u64).to_le_bytes());
        hasher.update(reader.as_bytes());
        match event {
            Event::Undo { seq } => {
                hasher.update(b"undo");
                hasher.update(keys.get(*seq as usize).map_or(&[][..], |key| key));
            }
            // Every event of a log was written as JSON once.
            event => _ = hasher.update(&serde_json::to_vec(event).unwrap_or_default()),
        }
        let plain = *hasher.finalize().as_bytes();
        let copy = alike.entry(plain).or_default();
        hasher.update(&copy.to_le_bytes());
        *copy += 1;
        keys.push(*hasher.finalize().as_bytes());
    }
    keys
}

/// Returns every entry once, as copy and place there: each copy's own order kept, else the earliest first.
fn order(
    copies: &[&Snapshot],
    keys: &[Vec<Key>],
    holders: &BTreeMap<Key, usize>,
) -> Result<Vec<(usize, usize)>, MergeError> {
    let mut at = vec![0; copies.len()];
    let mut order = Vec::with_capacity(holders.len());
    while order.len() < holders.len() {
        let heads = || (0..copies.len()).filter(|&copy| at[copy] < keys[copy].len());
        let head = |copy: usize| keys[copy][at[copy]];
        // An entry may come once it is next in every copy that holds it.
        let free = |copy: &usize| {
            let waiting = heads().filter(|&other| head(other) == head(*copy)).count();
            holders.get(&head(*copy)) == Some(&waiting)
        };
        let when = |copy: &usize| (copies[*copy].entries[at[*copy]].time, head(*copy), *copy);
        let next = heads().filter(free).min_by_key(when).ok_or(MergeError::Order)?;
        let key = head(next);
        order.push((next, at[next]));
        for copy in 0..copies.len() {
            if keys[copy].get(at[copy]) == Some(&key) {
                at[copy] += 1;
            }
        }
    }
    Ok(order)
}

/// Returns the entries in their new places, with the entry that says where they come from after the first `shared`.
fn renumbered(
    copies: &[&Snapshot],
    keys: &[Vec<Key>],
    order: &[(usize, usize)],
    shared: usize,
) -> Vec<Entry> {
    let mut runs: Vec<MergeRun> = Vec::new();
    let mut places = BTreeMap::<Key, u64>::new();
    let mut entries: Vec<Entry> = Vec::with_capacity(order.len() + 1);
    for (place, &(copy, at)) in order.iter().enumerate() {
        let seq = (place + usize::from(place >= shared)) as u64;
        places.insert(keys[copy][at], seq);
        let mut entry = Entry { seq, ..copies[copy].entries[at].clone() };
        if let Event::Undo { seq } = &mut entry.event
            && let Some(&new) = keys[copy].get(*seq as usize).and_then(|key| places.get(key))
        {
            *seq = new;
        }
        if place >= shared {
            let (source, at) = (copy as u32, at as u64);
            match runs.last_mut() {
                Some(run) if run.source == source && run.first + run.lines == at => run.lines += 1,
                _ => runs.push(MergeRun { source, first: at, lines: 1 }),
            }
        }
        entries.push(entry);
    }
    let last = |copy: &&Snapshot| copy.entries.last().map_or(copy.header.created, |last| last.time);
    let time = copies.iter().map(last).max().unwrap_or_else(Time::now);
    let event = Event::Merge { sources: copies.iter().map(|copy| source(copy)).collect(), runs };
    let merge = Entry { seq: shared as u64, time, reader: String::new(), event };
    entries.insert(shared.min(entries.len()), merge);
    entries
}

impl Merged {
    /// Returns the entries that are without effect because they contradict another session's.
    pub fn conflicts(&self) -> &[Conflict] {
        self.state.conflicts()
    }

    /// Says which session an entry came from, by its place in the order of the last [`Event::Merge`]'s sources, and which
    /// number it had there; `None` for what all had in common.
    pub fn origin(&self, seq: u64) -> Option<(&MergeSource, u64)> {
        let merge = self.entries.get(self.shared as usize)?;
        let Event::Merge { sources, runs } = &merge.event else { return None };
        let mut place = seq.checked_sub(self.shared + 1)?;
        for run in runs {
            if place < run.lines {
                return Some((sources.get(run.source as usize)?, run.first + place));
            }
            place -= run.lines;
        }
        None
    }

    /// Writes the joined session to `folder`, which must hold none; returns the hash of its last line.
    ///
    /// # Errors
    /// [`SessionError::Exists`] if a session is there already; others if the disk does not allow it.
    pub fn write(&self, folder: &Path) -> Result<Hash, SessionError> {
        let file = log::header_file(folder);
        let header = self
            .header
            .to_bytes()
            .map_err(|fault| SessionError::Header { fault, path: file.clone() })?;
        std::fs::create_dir_all(folder)
            .map_err(|source| SessionError::io("make the session's folder", folder, source))?;
        let _lock = Lock::take(folder)?;
        let events = log::log_file(folder);
        if file.exists() || events.exists() {
            return Err(SessionError::Exists { path: folder.to_owned() });
        }
        let mut head = blake3::hash(&header);
        let mut lines = Vec::new();
        for entry in &self.entries {
            let (line, hash) = line::encode(entry, head)?;
            lines.extend_from_slice(&line);
            head = hash;
        }
        // The header goes last and makes the session.
        fsutil::write_atomic(&events, &lines)?;
        fsutil::write_atomic(&file, &header)?;
        Ok(head)
    }
}
