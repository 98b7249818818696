//! Films on disk as a data set: scan, index, labels files, splits, planes in memory, batches.

use std::fmt;

use serde::{Deserialize, Serialize};

pub mod batches;
mod current;
pub mod films;
pub mod index;
mod labelled;
pub mod labels;
pub mod lesson;
mod patient;
mod patient_key;
pub mod plane_file;
pub mod planes;
mod scan;
pub mod splits;

pub use current::{Current, Stamp, is_unchanged, read_current};
pub use labelled::Labelled;
pub use patient::{InvalidPatientRule, PatientRule};
pub use patient_key::PatientKey;
pub use scan::{Duplicate, FilmRecord, Refused, Scan, ScanError, scan};

/// Whether long work goes on; who asked for it is asked between its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Continue,
    /// It ends at once.
    Stop,
}

/// Long work that was asked to end before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// Identity of a film: the first 128 bits of the BLAKE3 hash of its file's bytes, written as 32 hexadecimal digits.
///
/// Two files with the same bytes are the same film, whatever their names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilmId([u8; 16]);

impl FilmId {
    /// Identifies a film by the bytes of its file.
    pub fn of(bytes: &[u8]) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
        Self(id)
    }

    /// Returns the first 64 bits, a key for random streams that does not depend on the order of films.
    pub fn key(&self) -> u64 {
        self.0[..8].iter().fold(0, |key, &byte| (key << 8) | u64::from(byte))
    }
}

impl fmt::Display for FilmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FilmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilmId({self})")
    }
}

/// A film id that is not 32 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("a film id has 32 hexadecimal digits, this has not: {0:?}")]
pub struct InvalidFilmId(String);

impl TryFrom<String> for FilmId {
    type Error = InvalidFilmId;

    fn try_from(text: String) -> Result<Self, InvalidFilmId> {
        let digits = text.as_bytes();
        let mut id = [0; 16];
        if digits.len() != 32 {
            return Err(InvalidFilmId(text));
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(InvalidFilmId(text));
            };
            *byte = (high * 16 + low) as u8;
        }
        Ok(Self(id))
    }
}

impl From<FilmId> for String {
    fn from(id: FilmId) -> Self {
        id.to_string()
    }
}
