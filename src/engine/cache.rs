//! Embeddings on disk, so that a session opens without embedding its films again.

use std::path::{Path, PathBuf};

use crate::fsutil::{self, FsError};
use crate::query::Embeddings;

/// The number at its end changes with what a row holds, so that older files are made anew.
const MAGIC: &[u8; 8] = b"PNMBEMB2";

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

/// Hash of what the file holds.
fn seal(dim: usize, body: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(dim as u64).to_le_bytes());
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("embeddings-{key}.bin"))
}

/// Reads embeddings of `rows` films; `None` if there are none or the file is not whole.
pub fn load(folder: &Path, key: &str, rows: usize) -> Option<Embeddings> {
    let bytes = std::fs::read(path(folder, key)).ok()?;
    let (head, body) = bytes.split_at_checked(8 + 8 + 32)?;
    let dim = u64::from_le_bytes(head[8..16].try_into().ok()?) as usize;
    let length = rows.checked_mul(dim)?.checked_mul(4)?;
    let whole = &head[..8] == MAGIC && body.len() == length && head[16..] == seal(dim, body);
    if !whole {
        return None;
    }
    let values = body.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Embeddings::new(dim, values).ok()
}

/// Writes embeddings.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn save(folder: &Path, key: &str, embeddings: &Embeddings) -> Result<(), FsError> {
    let body: Vec<u8> = embeddings.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut bytes = MAGIC.to_vec();
    bytes.extend((embeddings.dim() as u64).to_le_bytes());
    bytes.extend(seal(embeddings.dim(), &body));
    bytes.extend(body);
    fsutil::write_atomic(&path(folder, key), &bytes)
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

    #[test]
    fn another_order_is_another_key() {
        let films = ["a".to_owned(), "b".to_owned()];
        let turned = ["b".to_owned(), "a".to_owned()];
        assert_ne!(key("m", &films), key("m", &turned));
        assert_ne!(key("m", &films), key("n", &films));
    }
}
