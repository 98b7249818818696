//! A session that is open: what it has come to, and the way for further events to the disk.

use std::fs;
use std::path::{Path, PathBuf};

use blake3::Hash;

use super::error::SessionError;
use super::event::{Entry, Event};
use super::header::Header;
use super::line;
use super::log::{self, Lock, Snapshot};
use super::state::State;
use super::time::Time;
use super::writer::Writer;
use crate::fsutil;

/// A session that is open for writing. One program at a time has it; dropping it writes what waits and lets it go.
///
/// An event counts at once for [`Session::state`] and is safe a few milliseconds later, when [`Session::durable`] counts
/// it. A reader may enter a further label only while [`Session::ready`]: so a power cut costs no label but, at worst, the
/// one whose film is still on screen.
#[derive(Debug)]
pub struct Session {
    folder: PathBuf,
    header: Header,
    entries: Vec<Entry>,
    state: State,
    head: Hash,
    polled: u64,
    writer: Writer,
}

/// What opening a session found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Where an unfinished last line was moved to; it had not been acknowledged.
    pub torn: Option<PathBuf>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Number of the entry.
    pub seq: u64,
    /// Whether it is safely on disk; if not, [`Session::fault`] says why.
    pub saved: bool,
}

/// A session as the start screen lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Name as the reader gave it; the folder's name if the header cannot be read.
    pub name: String,
    /// Folder of the session.
    pub folder: PathBuf,
    /// Films with an answer.
    pub labelled: usize,
    /// Time of the last entry, or of the making of the session.
    pub last: Option<Time>,
    /// Why the session cannot be opened, if so.
    pub fault: Option<String>,
}

impl Session {
    /// Makes a session in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// [`SessionError::Exists`] if a session is there already; others if the header or the disk does not allow it.
    pub fn create(folder: &Path, header: Header) -> Result<Self, SessionError> {
        let file = log::header_file(folder);
        let bytes = header
            .to_bytes()
            .map_err(|fault| SessionError::Header { fault, path: file.clone() })?;
        fs::create_dir_all(folder)
            .map_err(|source| SessionError::io("make the session's folder", folder, source))?;
        let lock = Lock::take(folder)?;
        let events = log::log_file(folder);
        // The header goes last and makes the session: a crash before it leaves an empty log that is no session yet.
        let written = fs::metadata(&events).is_ok_and(|events| events.len() > 0);
        if written
            || fs::exists(&file)
                .map_err(|source| SessionError::io("look for a session", &file, source))?
        {
            return Err(SessionError::Exists { path: folder.to_owned() });
        }
        fsutil::write_atomic(&events, b"")?;
        fsutil::write_atomic(&file, &bytes)?;
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fsutil::sync_dir(parent)?;
        }
        let writer = Writer::start(&events, lock, 0, 0)?;
        let (state, head) = (State::new(&header), blake3::hash(&bytes));
        Ok(Self {
            folder: folder.to_owned(),
            header,
            entries: Vec::new(),
            state,
            head,
            polled: 0,
            writer,
        })
    }

    /// Opens a session, checks every line and moves an unfinished last one aside.
    ///
    /// # Errors
    /// [`SessionError::InUse`] if another program has it; [`SessionError::BadLine`] names a line that was changed.
    pub fn open(folder: &Path) -> Result<(Self, OpenReport), SessionError> {
        // Before the lock, so that a wrong folder is left without a lock file.
        log::find_header(folder)?;
        let lock = Lock::take(folder)?;
        let Snapshot { header, entries, state, head, torn, length } = Snapshot::read(folder)?;
        let torn = match &*torn {
            [] => None,
            torn => Some(log::put_aside(folder, torn, length)?),
        };
        let polled = state.entries();
        let writer = Writer::start(&log::log_file(folder), lock, polled, length)?;
        let session =
            Self { folder: folder.to_owned(), header, entries, state, head, polled, writer };
        Ok((session, OpenReport { torn }))
    }

    /// Enters an event: it counts at once, is handed to the writer, and is acknowledged when it is on disk.
    ///
    /// Returns the number of the entry. Never waits for the disk.
    ///
    /// # Errors
    /// [`SessionError::Refused`] if the event does not fit the session, [`SessionError::Unstorable`] for a figure that is
    /// no number, [`SessionError::Busy`] and [`SessionError::Faulted`] if the disk cannot take it. Nothing is entered then.
    pub fn append(&mut self, reader: &str, event: Event) -> Result<u64, SessionError> {
        if let Some(fault) = self.fault() {
            return Err(SessionError::Faulted(fault));
        }
        if !self.writer.has_room() {
            return Err(SessionError::Busy);
        }
        let seq = self.entered();
        let entry = Entry { seq, time: Time::now(), reader: reader.to_owned(), event };
        let (line, head) = line::encode(&entry, self.head)?;
        self.state.apply(&entry)?;
        self.writer.write(line);
        self.entries.push(entry);
        self.head = head;
        Ok(seq)
    }

    /// Returns the number of events that are safely on disk.
    pub fn durable(&self) -> u64 {
        self.writer.durable()
    }

    /// Returns the number of events entered.
    pub const fn entered(&self) -> u64 {
        self.state.entries()
    }

    /// Returns whether all is on disk and a further label may be entered.
    pub fn ready(&self) -> bool {
        self.durable() == self.entered() && self.fault().is_none()
    }

    /// Returns what became of events since the last call, in their order.
    pub fn poll_acks(&mut self) -> Vec<Ack> {
        // The fault first: what it leaves unsaved is settled only once it is known.
        let faulted = self.fault().is_some();
        let durable = self.durable();
        let settled = if faulted { self.entered() } else { durable };
        let acks = (self.polled..settled).map(|seq| Ack { seq, saved: seq < durable }).collect();
        self.polled = settled;
        acks
    }

    /// Returns why nothing more can be saved, and what is safe; the session is to be opened again then.
    pub fn fault(&self) -> Option<String> {
        self.writer.fault()
    }

    /// Waits until every event is on disk.
    ///
    /// # Errors
    /// [`SessionError::Faulted`] if some cannot be saved.
    pub fn flush(&self) -> Result<(), SessionError> {
        self.writer.wait(self.entered())
    }

    /// Returns the folder of the session.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns what the session is about.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Returns what happened, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the name of the model that ranked the film labelled last, if one did.
    pub fn ranked_by(&self) -> Option<&str> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Label { shown, .. } if !shown.model.is_empty() => Some(shown.model.as_str()),
            _ => None,
        })
    }

    /// Returns what the session has come to.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Lists the sessions in a folder of sessions, the one used last at the front and those that cannot be opened at
    /// the end. A folder that is not there has none.
    pub fn list(sessions: &Path) -> Vec<Summary> {
        let folders = match fs::read_dir(sessions) {
            Ok(folders) => folders,
            Err(error) => {
                tracing::info!("no sessions are listed: {error}: {}", sessions.display());
                return Vec::new();
            }
        };
        let folders = folders.filter_map(|folder| Some(folder.ok()?.path()));
        let mut summaries: Vec<_> =
            folders.filter(|folder| holds_a_session(folder)).map(summary).collect();
        summaries.sort_by(|a, b| (b.last, &a.folder).cmp(&(a.last, &b.folder)));
        summaries
    }
}

/// Returns whether a folder holds a file of a session.
fn holds_a_session(folder: &Path) -> bool {
    log::header_file(folder).exists() || log::log_file(folder).exists()
}

/// Reads what the start screen shows of a session.
fn summary(folder: PathBuf) -> Summary {
    match Snapshot::read(&folder) {
        Ok(Snapshot { header, entries, state, .. }) => Summary {
            last: Some(entries.last().map_or(header.created, |entry| entry.time)),
            name: header.name,
            labelled: state.counts().labelled(),
            folder,
            fault: None,
        },
        Err(error) => {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Summary { name, folder, labelled: 0, last: None, fault: Some(error.to_string()) }
        }
    }
}
