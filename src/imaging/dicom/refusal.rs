//! Why a DICOM file is not taken as a film, before the file is named; and how long its decoding may take.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::DecodeError;

/// How long one file may be decoded for, where decoding can be stopped.
const TIME: Duration = Duration::from_secs(30);

/// Why a DICOM file is not taken as a film.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is sound but holds no radiograph.
    NotAFilm(String),
    /// It holds a film of a kind that is not read.
    Unsupported(String),
    /// It breaks the rules of its format.
    Damaged(String),
    /// The end is missing.
    Truncated,
    /// It would take too much memory.
    TooLarge {
        /// How large it is.
        what: String,
        /// How large it may be.
        limit: String,
    },
    /// It took too long.
    Slow,
}

impl Refusal {
    /// Names the file.
    pub fn of(self, path: &Path) -> DecodeError {
        let path = path.to_path_buf();
        match self {
            Self::NotAFilm(what) => DecodeError::NotAFilm { what, path },
            Self::Unsupported(reason) => DecodeError::Unsupported { reason, path },
            Self::Damaged(reason) => DecodeError::Damaged { reason, path },
            Self::Truncated => DecodeError::Truncated { path },
            Self::TooLarge { what, limit } => DecodeError::TooLarge { what, limit, path },
            Self::Slow => {
                let reason = format!("decoding it takes longer than {} s", TIME.as_secs());
                DecodeError::Damaged { reason, path }
            }
        }
    }
}

/// The moment at which decoding gives up.
///
/// A thread cannot be ended from outside, so the loops that read elements, inflate, and undo RLE and JPEG-LS ask, and the
/// JPEG decoder is handed its bytes by a reader that asks. The JPEG 2000 decoder cannot be asked: the size of its work is
/// checked beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// Starts the time.
    pub fn start() -> Self {
        Self(Instant::now() + TIME)
    }

    /// Refuses to go on when the time is over.
    ///
    /// # Errors
    /// [`Refusal::Slow`].
    pub fn check(self) -> Result<(), Refusal> {
        if Instant::now() > self.0 { Err(Refusal::Slow) } else { Ok(()) }
    }

    /// Hands bytes on until the time is over, then fails.
    pub fn reader<R: Read>(self, source: R) -> impl Read {
        Timed { deadline: self, source }
    }
}

struct Timed<R> {
    deadline: Deadline,
    source: R,
}

impl<R: Read> Read for Timed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.deadline.check().map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        // In pieces, so that one long read does not outlast the time by much.
        let end = buffer.len().min(1 << 16);
        self.source.read(&mut buffer[..end])
    }
}
