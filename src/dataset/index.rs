//! The index: film records as JSON lines, so that a folder need not be decoded again.

use std::path::{Path, PathBuf};

use super::FilmRecord;
use crate::fsutil::{self, FsError};

/// Why an index could not be read.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The file could not be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A line is no film record.
    #[error("line {line} of the index is damaged ({fault}); import the films again: {}", path.display())]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        fault: serde_json::Error,
        /// The index.
        path: PathBuf,
    },
}

/// Writes film records to a file, one a line, replacing it whole.
///
/// # Errors
/// When the file cannot be written.
pub fn save_index(path: &Path, films: &[FilmRecord]) -> Result<(), IndexError> {
    let mut bytes = Vec::new();
    for (number, film) in films.iter().enumerate() {
        let damaged =
            |fault| IndexError::Line { line: number + 1, fault, path: path.to_path_buf() };
        serde_json::to_writer(&mut bytes, film).map_err(damaged)?;
        bytes.push(b'\n');
    }
    Ok(fsutil::write_atomic(path, &bytes)?)
}

/// Reads film records in the order in which they were saved.
///
/// # Errors
/// When the file cannot be read or a line is damaged.
pub fn load_index(path: &Path) -> Result<Vec<FilmRecord>, IndexError> {
    let bytes = fsutil::read(path)?;
    let lines = bytes.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            let damaged =
                |fault| IndexError::Line { line: number + 1, fault, path: path.to_path_buf() };
            serde_json::from_slice(line).map_err(damaged)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::FilmId;

    fn record(name: &str) -> FilmRecord {
        let (file, patient) = (name.to_owned(), "P1".to_owned());
        FilmRecord {
            id: FilmId::of(name.as_bytes()),
            file,
            width: 3,
            height: 2,
            bits: 16,
            bytes: 9,
            patient,
            burned_in: name == "ü",
            modified: Some(1_795_488_060_120_000_000),
        }
    }

    #[test]
    fn an_index_comes_back_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("films.jsonl");
        let films = [record("b"), record("a \"quoted\"\n"), record("ü")];
        save_index(&path, &films).unwrap();
        assert_eq!(load_index(&path).unwrap(), films);
        save_index(&path, &[]).unwrap();
        assert_eq!(load_index(&path).unwrap(), []);
    }

    #[test]
    fn an_index_of_an_early_version_is_read() {
        let line = r#"{"id":"00112233445566778899aabbccddeeff","file":"a.png","width":3,"height":2,"bits":8,"bytes":9,"patient":"a"}"#;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("films.jsonl");
        fsutil::write_atomic(&path, line.as_bytes()).unwrap();
        assert_eq!(load_index(&path).unwrap()[0].modified, None);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("films.jsonl");
        save_index(&path, &[record("a"), record("b")]).unwrap();
        let mut bytes = fsutil::read(&path).unwrap();
        bytes.truncate(bytes.len() - 5);
        fsutil::write_atomic(&path, &bytes).unwrap();
        let error = load_index(&path).unwrap_err().to_string();
        assert!(
            error.starts_with("line 2 of the index is damaged") && error.ends_with("films.jsonl"),
            "{error}"
        );
    }
}
