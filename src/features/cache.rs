//! Embeddings on disk, so that a session opens without embedding its films again.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::{EmbeddingRows, Embeddings};
use crate::fsutil::{self, FsError};

/// The number at its end changes with what a row holds, so that older files are made anew.
const MAGIC: &[u8; 8] = b"PNMBEMB2";
/// Likewise, of rows in half precision.
const MAGIC_HALF: &[u8; 8] = b"PNMBEMH1";

/// What is kept of a film; another name for another definition of [`Encoder::embed`](crate::model::Encoder::embed), so
/// that embeddings of an earlier program are not taken for today's.
const EMBEDDING: &str = "means and grids";

/// Returns the key of one model's embeddings of these films in this order.
///
/// `films` are content hashes, or path, length and time of change where there are none.
pub fn key(weights_hash: &str, films: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(EMBEDDING.as_bytes());
    hasher.update(weights_hash.as_bytes());
    for film in films {
        hasher.update(film.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex()[..24].to_owned()
}

fn file_name(key: &str) -> String {
    format!("embeddings-{key}.bin")
}

fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(file_name(key))
}

/// Removes all embeddings but those of `keys`: a session that learns for months would fill the disk, and what is missing is
/// computed again. A file that cannot be removed stays.
pub fn keep_only(folder: &Path, keys: &[String]) {
    let kept: Vec<String> = keys.iter().map(|key| file_name(key)).collect();
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.starts_with("embeddings-") && !kept.contains(&name) {
            std::fs::remove_file(file.path()).ok();
        }
    }
}

/// Reads embeddings of `rows` films; `None` if there are none or the file is not whole.
pub fn load(folder: &Path, key: &str, rows: usize) -> Option<Embeddings> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path(folder, key)).ok()?);
    let (mut magic, mut dim, mut sealed) = ([0; 8], [0; 8], [0; 32]);
    for part in [&mut magic[..], &mut dim, &mut sealed] {
        file.read_exact(part).ok()?;
    }
    let dim = u64::from_le_bytes(dim) as usize;
    let half = &magic == MAGIC_HALF;
    let row = if half { dim.checked_mul(2)?.checked_add(4)? } else { dim.checked_mul(4)? };
    let length = (8 + 8 + 32u64).checked_add(rows.checked_mul(row)? as u64)?;
    if !half && &magic != MAGIC || file.get_ref().metadata().ok()?.len() != length {
        return None;
    }
    let mut found = EmbeddingRows::new(dim, rows);
    if found.is_half() != half {
        return None;
    }
    let (mut seal, mut bytes) = (Seal::new(dim), vec![0; row]);
    for _ in 0..rows {
        file.read_exact(&mut bytes).ok()?;
        seal.add(&bytes);
        found.push_bytes(&bytes);
    }
    if seal.finish() != sealed {
        return None;
    }
    found.finish().ok()
}

/// Writes embeddings, never more of them in memory than a row.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn save(folder: &Path, key: &str, embeddings: &Embeddings) -> Result<(), FsError> {
    let (mut seal, mut bytes) = (Seal::new(embeddings.dim()), Vec::new());
    for row in 0..embeddings.len() {
        embeddings.row_bytes(row, &mut bytes);
        seal.add(&bytes);
    }
    let seal = seal.finish();
    fsutil::write_atomic_with(&path(folder, key), |file| {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(if embeddings.is_half() { MAGIC_HALF } else { MAGIC })?;
        file.write_all(&(embeddings.dim() as u64).to_le_bytes())?;
        file.write_all(&seal)?;
        for row in 0..embeddings.len() {
            embeddings.row_bytes(row, &mut bytes);
            file.write_all(&bytes)?;
        }
        file.flush()
    })
}

/// Hash of what the file holds.
struct Seal(blake3::Hasher);

impl Seal {
    fn new(dim: usize) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(dim as u64).to_le_bytes());
        Self(hasher)
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_refuses_a_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let embeddings = Embeddings::new(2, vec![1.0, -2.5, 3.0, f32::MIN_POSITIVE]).unwrap();
        save(folder.path(), "k", &embeddings).unwrap();
        assert_eq!(load(folder.path(), "k", 2).unwrap().values(), embeddings.values());
        assert!(load(folder.path(), "k", 3).is_none());
        let file = path(folder.path(), "k");
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fsutil::write_atomic(&file, &bytes).unwrap();
        assert!(load(folder.path(), "k", 2).is_none());
    }

    /// So many values that they are kept in half precision.
    #[test]
    fn reads_back_very_many_and_refuses_a_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let (dim, films) = (1 << 20, 65);
        let mut rows = EmbeddingRows::new(dim, films);
        let row: Vec<f32> = (0..dim).map(|v| (v as f32).sin()).collect();
        (0..films).for_each(|_| rows.push(&row));
        let embeddings = rows.finish().unwrap();
        save(folder.path(), "k", &embeddings).unwrap();
        assert!(load(folder.path(), "k", films).unwrap() == embeddings);
        let file = path(folder.path(), "k");
        assert_eq!(
            std::fs::metadata(&file).unwrap().len(),
            48 + films as u64 * (4 + 2 * dim as u64)
        );
        std::fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(&[0]).unwrap();
        assert!(load(folder.path(), "k", films).is_none());
    }

    #[test]
    fn only_embeddings_that_are_not_named_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let embeddings = Embeddings::new(1, vec![1.0]).unwrap();
        for name in ["a", "b", "c"] {
            save(folder.path(), name, &embeddings).unwrap();
        }
        let other = folder.path().join("planes-a.bin");
        fsutil::write_atomic(&other, b"planes").unwrap();
        keep_only(folder.path(), &["b".to_owned(), "d".to_owned()]);
        let left = ["a", "b", "c"].map(|name| load(folder.path(), name, 1).is_some());
        assert_eq!((left, other.exists()), ([false, true, false], true));
    }

    #[test]
    fn another_order_is_another_key() {
        let films = ["a".to_owned(), "b".to_owned()];
        let turned = ["b".to_owned(), "a".to_owned()];
        assert_ne!(key("m", &films), key("m", &turned));
        assert_ne!(key("m", &films), key("n", &films));
    }
}
