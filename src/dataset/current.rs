//! Films as their files are now: whether they still hold what they held when they were imported.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::{FilmId, FilmRecord};
use crate::imaging::{self, DecodeError, Film};

/// A film as its file is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Current {
    /// The film.
    pub film: Film,
    /// Identity of what the file holds, where that is not what it held at import.
    pub changed: Option<FilmId>,
    /// Size of the file in bytes, and when it was last written to.
    pub stamp: Stamp,
}

/// Size of a file in bytes, and when it was last written to, in nanoseconds since 1970.
pub type Stamp = (u64, Option<u64>);

/// Returns when a file was last written to, in nanoseconds since 1970, where the system tells.
pub(super) fn modified(metadata: &Metadata) -> Option<u64> {
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), modified(&metadata)))
}

/// Reads and decodes the file of a film, and says whether its contents are those of the import.
///
/// The contents are hashed only if size or time of the last change are not those of the index, or the index does not tell
/// the time. One reading serves both: what was checked is what is decoded.
///
/// # Errors
/// When the file is gone, is no regular file, or is no film any more.
pub fn read_current(path: &Path, record: &FilmRecord) -> Result<Current, DecodeError> {
    let before = stamp(path);
    let bytes = imaging::read_limited(path)?;
    let stamp = before.unwrap_or((bytes.len() as u64, None));
    let same = stamp == (record.bytes, record.modified) && record.modified.is_some();
    let changed = (!same).then(|| FilmId::of(&bytes)).filter(|now| *now != record.id);
    let film = imaging::decode_bytes(&bytes, path)?;
    Ok(Current { film, changed, stamp })
}

/// Returns whether size and time of the last change of a file are still those of `stamp`.
pub fn is_unchanged(path: &Path, then: Stamp) -> bool {
    stamp(path) == Some(then)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{PatientRule, scan};

    fn write(path: &Path, shade: u8) {
        image::GrayImage::from_pixel(8, 8, image::Luma([shade])).save(path).unwrap();
    }

    #[test]
    fn contents_decide_and_not_the_time_of_the_last_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        write(&path, 7);
        let found = scan(folder.path(), &PatientRule::default(), &|_, _| {}).unwrap();
        let record = &found.films[0];
        let current = read_current(&path, record).unwrap();
        assert_eq!((current.changed, current.film.values[0]), (None, 7));
        assert!(is_unchanged(&path, current.stamp));
        // Written again with the same bytes: another time, the same film.
        write(&path, 7);
        assert_eq!(read_current(&path, record).unwrap().changed, None);
        write(&path, 200);
        let current = read_current(&path, record).unwrap();
        let now = FilmId::of(&fs::read(&path).unwrap());
        assert_eq!((current.changed, current.film.values[0]), (Some(now), 200));
        // An index that does not know the time is no reason to trust a file of the same size.
        let early = FilmRecord { modified: None, bytes: current.stamp.0, ..record.clone() };
        assert_eq!(read_current(&path, &early).unwrap().changed, Some(now));
        fs::remove_file(&path).unwrap();
        assert!(read_current(&path, record).is_err() && !is_unchanged(&path, current.stamp));
    }
}
