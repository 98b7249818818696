//! The thread that appends to the log and says what is safely on disk.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use parking_lot::{Condvar, Mutex};

use super::error::SessionError;
use super::log::Lock;

/// Lines that may wait for the disk: far more than a reader can enter in a second.
const WAITING: usize = 64;

/// How far the disk is.
#[derive(Clone, Debug, Default)]
struct Reached {
    durable: u64,
    fault: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    reached: Mutex<Reached>,
    changed: Condvar,
}

/// Handle of the thread `session-writer`; dropping it writes what waits and ends the thread.
#[derive(Debug)]
pub(super) struct Writer {
    lines: Option<Sender<Vec<u8>>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts writing after the `durable` lines, `length` bytes, that the log at `path` holds; keeps `lock` till the end.
    pub(super) fn start(
        path: &Path,
        lock: Lock,
        durable: u64,
        length: u64,
    ) -> Result<Self, SessionError> {
        let file = File::options().write(true).open(path);
        let file =
            file.map_err(|source| SessionError::io("write to the session log", path, source))?;
        let shared = Arc::new(Shared {
            reached: Mutex::new(Reached { durable, fault: None }),
            ..Shared::default()
        });
        let (lines, waiting) = crossbeam_channel::bounded(WAITING);
        let log = Log { file, length, path: path.to_owned() };
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("session-writer".to_owned()).spawn(move || {
            let _lock = lock;
            log.write(&waiting, &theirs);
        });
        let thread =
            thread.map_err(|source| SessionError::io("start the session writer", path, source))?;
        Ok(Self { lines: Some(lines), shared, thread: Some(thread) })
    }

    /// Returns whether a further line can be handed over at once.
    pub(super) fn has_room(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| !lines.is_full())
    }

    /// Hands a line over without waiting; [`Writer::fault`] tells if the thread is gone.
    pub(super) fn write(&self, line: Vec<u8>) {
        if let Some(lines) = &self.lines {
            lines.try_send(line).ok();
        }
    }

    /// Returns the number of lines that are safely on disk.
    pub(super) fn durable(&self) -> u64 {
        self.shared.reached.lock().durable
    }

    /// Returns what ended the writing, if anything did.
    pub(super) fn fault(&self) -> Option<String> {
        // Before the lock is taken: a thread that ends says why first.
        let gone = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        let Reached { durable, fault } = self.shared.reached.lock().clone();
        let stopped = || {
            format!("the session writer has stopped; the first {durable} events are safe on disk")
        };
        fault.or_else(|| gone.then(stopped))
    }

    /// Waits until `lines` lines are on disk or writing has ended.
    pub(super) fn wait(&self, lines: u64) -> Result<(), SessionError> {
        loop {
            let mut reached = self.shared.reached.lock();
            if reached.durable >= lines {
                return Ok(());
            }
            if reached.fault.is_none() {
                // A thread that died wakes nobody, hence the limit.
                self.shared.changed.wait_for(&mut reached, Duration::from_millis(100));
            }
            drop(reached);
            if let Some(fault) = self.fault().filter(|_| self.durable() < lines) {
                return Err(SessionError::Faulted(fault));
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.lines.take();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the session writer ended badly");
        }
    }
}

/// The log file, open at the end of its last whole line.
struct Log {
    file: File,
    length: u64,
    path: PathBuf,
}

impl Log {
    /// Writes the lines that come until the sender is gone, or until one cannot be written.
    fn write(mut self, waiting: &Receiver<Vec<u8>>, shared: &Shared) {
        for line in waiting {
            let outcome = self.append(&line);
            let mut reached = shared.reached.lock();
            match outcome {
                Ok(()) => reached.durable += 1,
                Err(error) => {
                    let fault = self.explain(&error, reached.durable);
                    tracing::error!("{fault}");
                    reached.fault = Some(fault);
                }
            }
            let ended = reached.fault.is_some();
            drop(reached);
            shared.changed.notify_all();
            if ended {
                return;
            }
        }
    }

    /// Appends a line and returns when it is on disk. After a failure no part of it stays, if the disk allows.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut attempt = || {
            self.file.seek(SeekFrom::Start(self.length))?;
            self.file.write_all(line)?;
            self.file.sync_data()
        };
        let outcome = attempt();
        if outcome.is_ok() {
            self.length += line.len() as u64;
        } else if let Err(error) =
            self.file.set_len(self.length).and_then(|()| self.file.sync_all())
        {
            tracing::warn!(
                "an unfinished line stays in the session log: {error}: {}",
                self.path.display()
            );
        }
        outcome
    }

    fn explain(&self, error: &io::Error, durable: u64) -> String {
        format!(
            "the last event is not saved: {error}; the {durable} events before it are safe on disk. \
             Make room or restore access, then open the session again: {}",
            self.path.display()
        )
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_ends_the_writing_and_says_what_is_safe() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        let writer = Writer::start(Path::new("/dev/full"), lock, 17, 0).unwrap();
        writer.write(b"a line\n".to_vec());
        let error = writer.wait(18).unwrap_err().to_string();
        assert!(
            error.contains("17 events before it are safe") && error.contains("No space left"),
            "{error}"
        );
        assert_eq!(writer.durable(), 17);
        assert_eq!(writer.fault(), Some(error));
    }

    #[test]
    fn waiting_for_what_is_written_already_returns_at_once_even_after_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        File::create(&path).unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        let writer = Writer::start(&path, lock, 0, 0).unwrap();
        writer.write(b"first\n".to_vec());
        writer.wait(1).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first\n");
        assert_eq!(writer.fault(), None);
    }
}
