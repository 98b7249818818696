//! The files of a session: reading them, checking them, and putting an unfinished line aside.

use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};

use blake3::Hash;

use super::error::{LineFault, SessionError};
use super::event::Entry;
use super::header::Header;
use super::line;
use super::state::State;
use crate::fsutil;

/// Returns the file of the header.
pub(super) fn header_file(folder: &Path) -> PathBuf {
    folder.join("session.json")
}

/// Returns the file of the header, which is where a session is.
pub(super) fn find_header(folder: &Path) -> Result<PathBuf, SessionError> {
    let path = header_file(folder);
    match fs::metadata(&path) {
        Ok(_) => Ok(path),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            Err(SessionError::Missing(folder.to_owned()))
        }
        Err(fault) => Err(SessionError::io("open the session", &path, fault)),
    }
}

/// Returns the file of the events.
pub(super) fn log_file(folder: &Path) -> PathBuf {
    folder.join("events.jsonl")
}

/// A session as its files have it, read without changing anything and without a lock.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the session is about.
    pub header: Header,
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// What it has come to.
    pub state: State,
    /// Hash of the last line, or of `session.json` while there is none.
    pub head: Hash,
    /// Bytes after the last whole line: an unfinished line, or one that is just being written.
    pub torn: Vec<u8>,
    /// Bytes of all whole lines.
    pub(super) length: u64,
}

impl Snapshot {
    /// Reads a session, which may be open elsewhere.
    ///
    /// # Errors
    /// [`SessionError`] if a file cannot be read, or names the first line that is not as it was written.
    pub fn read(folder: &Path) -> Result<Self, SessionError> {
        let path = find_header(folder)?;
        let bytes = fsutil::read(&path)?;
        let header =
            Header::from_bytes(&bytes).map_err(|fault| SessionError::Header { fault, path })?;
        let path = log_file(folder);
        let log = fsutil::read(&path)?;
        let length = log.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let (whole, torn) = log.split_at(length);
        let lines: Vec<&[u8]> = whole.split_inclusive(|&byte| byte == b'\n').collect();
        let (mut entries, mut state) = (Vec::with_capacity(lines.len()), State::new(&header));
        let mut head = blake3::hash(&bytes);
        for decoded in decode(&lines, head).into_iter().flatten() {
            let seq = state.entries();
            let bad = |fault| SessionError::BadLine { line: seq + 1, fault, path: path.clone() };
            let (entry, hash) = decoded
                .map_err(|fault| bad(look_further(fault, seq, &lines[seq as usize + 1..])))?;
            state.apply(&entry).map_err(|fault| bad(fault.into()))?;
            entries.push(entry);
            head = hash;
        }
        let (torn, length) = (torn.to_owned(), length as u64);
        Ok(Self { header, entries, state, head, torn, length })
    }
}

/// Lines for which a further thread is worth its while.
const LINES_PER_THREAD: usize = 4096;

type Decoded = Result<(Entry, Hash), LineFault>;

/// Decodes lines with their newlines, the first of which follows the hash `root`, on as many threads as there are cores.
///
/// Every line says its own hash, so that each part of the log can be checked against the line before it at once; if that
/// line says it wrongly, it is the first that is at fault. Each part ends at its first fault.
fn decode(lines: &[&[u8]], root: Hash) -> Vec<Vec<Decoded>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(lines.len() / LINES_PER_THREAD + 1);
    let length = lines.len().div_ceil(threads).max(1);
    let part = |number: usize| {
        let first = number * length;
        let part = &lines[first..(first + length).min(lines.len())];
        let before = first.checked_sub(1).map(|before| lines[before].trim_ascii_end());
        let previous = before.map_or(Some(root), line::claimed_hash).unwrap_or(root);
        move || decode_part(part, first as u64, previous)
    };
    let parts = 0..lines.len().div_ceil(length);
    thread::scope(|scope| {
        let started: Vec<_> = parts
            .map(|number| {
                let thread = thread::Builder::new().name(format!("log-{number}"));
                (number, thread.spawn_scoped(scope, part(number)))
            })
            .collect();
        let finished = |(number, thread): (usize, io::Result<ScopedJoinHandle<'_, _>>)| match thread
        {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => part(number)(),
        };
        started.into_iter().map(finished).collect()
    })
}

/// Decodes lines one after the other until one is at fault.
fn decode_part(lines: &[&[u8]], first: u64, mut previous: Hash) -> Vec<Decoded> {
    let mut decoded = Vec::with_capacity(lines.len());
    for (seq, line) in (first..).zip(lines) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let outcome = line::decode(line, seq, previous);
        previous = outcome.as_ref().map_or(previous, |(_, hash)| *hash);
        let fault = outcome.is_err();
        decoded.push(outcome);
        if fault {
            break;
        }
    }
    decoded
}

/// Looks for a line that is missing at its place, number `seq`, among the lines after it.
fn look_further(fault: LineFault, seq: u64, rest: &[&[u8]]) -> LineFault {
    match fault {
        LineFault::Misnumbered { expected, found, .. } if found > expected => {
            let place = rest.iter().position(|line| line::number(line) == Some(seq));
            let elsewhere = place.map(|place| seq + 2 + place as u64);
            LineFault::Misnumbered { expected, found, elsewhere }
        }
        fault => fault,
    }
}

/// Returns how many lines a log has up to the one whose hash is `head`; none if there is no such line.
///
/// A sound log that holds a head that was noted earlier holds every line up to it as it was then.
///
/// # Errors
/// [`SessionError`] if a file cannot be read.
pub fn lines_up_to(folder: &Path, head: &str) -> Result<Option<u64>, SessionError> {
    if blake3::hash(&fsutil::read(&header_file(folder))?).to_string() == head {
        return Ok(Some(0));
    }
    let bytes = fsutil::read(&log_file(folder))?;
    let mut lines = bytes.split(|&byte| byte == b'\n');
    Ok(lines.position(|line| line::ends_with(line, head)).map(|place| place as u64 + 1))
}

/// A log that is sound from the first line to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Lines of the log.
    pub lines: u64,
    /// Hash of the last line, or of `session.json` while there is none; it stands for all lines.
    pub head: Hash,
}

/// Checks every line of a session's log without changing anything and without a lock.
///
/// # Errors
/// [`SessionError::BadLine`] names the first line that is not as it was written; an unfinished last line counts.
pub fn verify(folder: &Path) -> Result<Verified, SessionError> {
    let Snapshot { state, head, torn, .. } = Snapshot::read(folder)?;
    let lines = state.entries();
    if torn.is_empty() {
        Ok(Verified { lines, head })
    } else {
        Err(SessionError::BadLine {
            line: lines + 1,
            fault: LineFault::Torn,
            path: log_file(folder),
        })
    }
}

/// The claim of one program on a session, given up when dropped or when the program ends in whatever way.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Claims a session for this program.
    ///
    /// # Errors
    /// [`SessionError::InUse`] if another program holds the session.
    pub(super) fn take(folder: &Path) -> Result<Self, SessionError> {
        let path = folder.join("lock");
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| SessionError::io("open the lock file", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(SessionError::InUse { path: folder.to_owned() }),
            Err(TryLockError::Error(source)) => {
                Err(SessionError::io("lock the session", &path, source))
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that another thread is just starting still has a copy of it.
        self.0.unlock().ok();
    }
}

/// Moves what follows the last whole line to a file of its own and returns that file.
///
/// # Errors
/// [`SessionError`] if a file cannot be written; then the unfinished line is still in the log.
pub(super) fn put_aside(folder: &Path, torn: &[u8], length: u64) -> Result<PathBuf, SessionError> {
    let mut number = 1;
    let aside = loop {
        let path = folder.join(format!("events.torn-{number}"));
        if !fs::exists(&path).map_err(|source| {
            SessionError::io("look for earlier unfinished lines", &path, source)
        })? {
            break path;
        }
        number += 1;
    };
    fsutil::write_atomic(&aside, torn)?;
    let path = log_file(folder);
    let cut = || -> io::Result<()> {
        let log = File::options().write(true).open(&path)?;
        log.set_len(length)?;
        log.sync_all()
    };
    cut().map_err(|source| {
        SessionError::io("cut the unfinished line off the session log", &path, source)
    })?;
    Ok(aside)
}
