//! Planes on disk, so that a session opens without decoding its films again and holds none of them in memory.
//!
//! Two files grow together: the planes' pixels, all of one length, and for each the film's key with a checksum, which is
//! written once the pixels have reached the disk.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::imaging::{Fit, Preprocess};

/// Raised when [`imaging::decode`](crate::imaging::decode) or [`Preprocess`] makes other pixels of a film.
const VERSION: u32 = 1;
/// Planes after which those added are kept, as syncing each would take its time.
const KEPT_AT_A_TIME: usize = 1024;
/// Bytes of a key, and of a checksum.
const DIGEST: usize = 16;

type Digest = [u8; DIGEST];

/// An open pair of files for planes of one size and fit.
#[derive(Debug)]
pub struct PlaneFile {
    /// Pixels of a plane.
    area: usize,
    files: Mutex<Files>,
    /// Films by key; those that came later win.
    places: HashMap<Digest, usize>,
    /// Of the planes, in the order of the file.
    checksums: Vec<Digest>,
    /// Entries of planes that may not have reached the disk.
    pending: Vec<u8>,
}

#[derive(Debug)]
struct Files {
    pixels: File,
    index: File,
}

fn digest(bytes: &[u8]) -> Digest {
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&blake3::hash(bytes).as_bytes()[..DIGEST]);
    digest
}

fn paths(folder: &Path, pre: Preprocess) -> [PathBuf; 2] {
    let fit = match pre.fit {
        Fit::Pad => "pad",
        Fit::Crop => "crop",
    };
    ["pixels", "index"]
        .map(|part| folder.join(format!("planes-{VERSION}-{}-{fit}.{part}", pre.size)))
}

impl PlaneFile {
    /// Opens the planes of one size and fit that a folder keeps, or begins with none.
    ///
    /// # Errors
    /// When the folder or the files cannot be made, read or written to.
    pub fn open(folder: &Path, pre: Preprocess) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let open = |path: &PathBuf| {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
        };
        let [pixels, index] = paths(folder, pre).map(|path| open(&path));
        let (mut pixels, mut index) = (pixels?, index?);
        let area = pre.size as usize * pre.size as usize;
        let mut known = Vec::new();
        index.read_to_end(&mut known)?;
        let (entries, _) = known.as_chunks::<{ 2 * DIGEST }>();
        // What a crash left of a plane or of its entry is written over.
        let whole = (pixels.metadata()?.len() / (area as u64).max(1)) as usize;
        let entries = &entries[..entries.len().min(whole)];
        index.set_len((entries.len() * 2 * DIGEST) as u64)?;
        pixels.set_len((entries.len() * area) as u64)?;
        index.seek(SeekFrom::End(0))?;
        pixels.seek(SeekFrom::End(0))?;
        let (mut places, mut checksums) = (HashMap::new(), Vec::with_capacity(entries.len()));
        for (place, entry) in entries.iter().enumerate() {
            let (key, checksum) = entry.split_at(DIGEST);
            let halves = (Digest::try_from(key), Digest::try_from(checksum));
            if let (Ok(key), Ok(checksum)) = halves {
                places.insert(key, place);
                checksums.push(checksum);
            }
        }
        Ok(Self {
            area,
            files: Mutex::new(Files { pixels, index }),
            places,
            checksums,
            pending: Vec::new(),
        })
    }

    /// Returns where a film's plane stands, if it is there.
    pub fn place(&self, key: &str) -> Option<usize> {
        self.places.get(&digest(key.as_bytes())).copied()
    }

    /// Adds a film's plane, of the size of all, and returns where it stands; [`Self::keep`] is to follow the last.
    ///
    /// # Errors
    /// When it cannot be written; the files are then empty and of no more use, so that they do not fill the disk that labels
    /// have to be saved on.
    pub fn add(&mut self, key: &str, pixels: &[u8]) -> io::Result<usize> {
        self.try_add(key, pixels).inspect_err(|_| self.give_up())
    }

    fn try_add(&mut self, key: &str, pixels: &[u8]) -> io::Result<usize> {
        let (key, checksum, place) = (digest(key.as_bytes()), digest(pixels), self.checksums.len());
        let file = &mut self.files.get_mut().pixels;
        file.seek(SeekFrom::Start((place * self.area) as u64))?;
        file.write_all(pixels)?;
        self.pending.extend(key);
        self.pending.extend(checksum);
        self.places.insert(key, place);
        self.checksums.push(checksum);
        if self.pending.len() >= KEPT_AT_A_TIME * 2 * DIGEST {
            self.try_keep()?;
        }
        Ok(place)
    }

    /// Lets the planes added so far be there the next time, whatever happens to the machine.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn keep(&mut self) -> io::Result<()> {
        self.try_keep().inspect_err(|_| self.give_up())
    }

    fn try_keep(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            let Files { pixels, index } = self.files.get_mut();
            pixels.sync_data()?;
            index.write_all(&self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }

    fn give_up(&mut self) {
        let Files { pixels, index } = self.files.get_mut();
        for file in [index, pixels] {
            // There is nothing that could be done about it.
            file.set_len(0).ok();
        }
    }

    /// Writes the plane that stands at a place over other pixels.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was added.
    pub fn read(&self, place: usize, pixels: &mut Vec<u8>) -> io::Result<()> {
        pixels.resize(self.area, 0);
        let mut files = self.files.lock();
        files.pixels.seek(SeekFrom::Start((place * self.area) as u64))?;
        files.pixels.read_exact(pixels)?;
        drop(files);
        if self.checksums.get(place) == Some(&digest(pixels)) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the plane is not what was written"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRE: Preprocess = Preprocess { size: 3, fit: Fit::Pad };

    fn plane(number: u8) -> Vec<u8> {
        (0..9).map(|pixel| 10 * number + pixel).collect()
    }

    fn filled(folder: &Path) {
        let mut file = PlaneFile::open(folder, PRE).unwrap();
        for number in 0..4 {
            assert_eq!(file.place(&format!("film {number}")), None);
            assert_eq!(
                file.add(&format!("film {number}"), &plane(number)).unwrap(),
                usize::from(number)
            );
        }
        file.keep().unwrap();
    }

    fn read(file: &PlaneFile, number: u8) -> Option<Vec<u8>> {
        let mut pixels = Vec::new();
        let place = file.place(&format!("film {number}"))?;
        file.read(place, &mut pixels).ok().map(|()| pixels)
    }

    #[test]
    fn planes_are_there_again() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path());
        let mut file = PlaneFile::open(folder.path(), PRE).unwrap();
        (0..4).for_each(|number| assert_eq!(read(&file, number), Some(plane(number))));
        file.add("film 4", &plane(4)).unwrap();
        file.add("film 0", &plane(5)).unwrap();
        file.keep().unwrap();
        file.add("film 6", &plane(6)).unwrap();
        drop(file);
        let file = PlaneFile::open(folder.path(), PRE).unwrap();
        assert_eq!([0, 1, 4].map(|n| read(&file, n)), [5, 1, 4].map(|n| Some(plane(n))));
        assert_eq!(read(&file, 6), None, "nobody asked for it to be kept");
        let other = PlaneFile::open(folder.path(), Preprocess { fit: Fit::Crop, ..PRE }).unwrap();
        assert_eq!(other.place("film 1"), None);
    }

    /// Whatever a crash cuts off either file, what is still read is right, and the files go on.
    #[test]
    fn what_is_cut_off_is_missing_and_nothing_else_is_wrong() {
        for part in 0..2 {
            let whole = [36u64, 128][part];
            for length in 0..=whole {
                let folder = tempfile::tempdir().unwrap();
                filled(folder.path());
                let path = &paths(folder.path(), PRE)[part];
                let cut = OpenOptions::new().write(true).open(path).unwrap();
                cut.set_len(length).unwrap();
                let mut file = PlaneFile::open(folder.path(), PRE).unwrap();
                let left = length / (whole / 4);
                for number in 0..4u8 {
                    let expected = (u64::from(number) < left).then(|| plane(number));
                    assert_eq!(read(&file, number), expected, "{length} bytes");
                }
                file.add("another", &plane(9)).unwrap();
                file.keep().unwrap();
                drop(file);
                let file = PlaneFile::open(folder.path(), PRE).unwrap();
                let mut pixels = Vec::new();
                file.read(file.place("another").unwrap(), &mut pixels).unwrap();
                assert_eq!(pixels, plane(9));
            }
        }
    }

    #[test]
    fn a_damaged_plane_is_not_taken_for_the_film() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path());
        let path = &paths(folder.path(), PRE)[0];
        let mut bytes = std::fs::read(path).unwrap();
        bytes[10] ^= 1;
        crate::fsutil::write_atomic(path, &bytes).unwrap();
        let file = PlaneFile::open(folder.path(), PRE).unwrap();
        assert_eq!((read(&file, 0), read(&file, 1)), (Some(plane(0)), None));
    }
}
