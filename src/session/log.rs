//! The files of a session: reading them, checking them, and putting an unfinished line aside.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

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
        let path = header_file(folder);
        let bytes = fsutil::read(&path)?;
        let header =
            Header::from_bytes(&bytes).map_err(|fault| SessionError::Header { fault, path })?;
        let path = log_file(folder);
        let mut rest = &*fsutil::read(&path)?;
        let (mut entries, mut state) = (Vec::new(), State::new(&header));
        let (mut head, mut length) = (blake3::hash(&bytes), 0);
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let seq = state.entries();
            let bad = |fault| SessionError::BadLine { line: seq + 1, fault, path: path.clone() };
            let decoded = line::decode(&rest[..end], seq, head);
            let (entry, hash) =
                decoded.map_err(|fault| bad(look_further(fault, seq, &rest[end + 1..])))?;
            state.apply(&entry).map_err(|fault| bad(fault.into()))?;
            entries.push(entry);
            head = hash;
            length += end as u64 + 1;
            rest = &rest[end + 1..];
        }
        Ok(Self { header, entries, state, head, torn: rest.to_owned(), length })
    }
}

/// Looks for a line that is missing at its place, number `seq`, among the lines after it.
fn look_further(fault: LineFault, seq: u64, rest: &[u8]) -> LineFault {
    match fault {
        LineFault::Misnumbered { expected, found, .. } if found > expected => {
            let mut lines = rest.split(|&byte| byte == b'\n');
            let place = lines.position(|line| line::number(line) == Some(seq));
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
