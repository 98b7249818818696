//! The key that patients' identifiers are hashed with: one an installation, made when a DICOM file first needs it.

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::fsutil::{self, FsError};

/// The file in the home folder that holds the key.
const FILE: &str = "patients.key";

/// The key of an installation. Whoever has it can test whether a hash is that of a known identifier.
#[derive(Debug)]
pub struct PatientKey {
    path: PathBuf,
    key: OnceLock<[u8; 32]>,
}

impl PatientKey {
    /// Looks for the key in a home folder, or will make it there.
    pub fn in_home(root: &std::path::Path) -> Self {
        Self { path: root.join(FILE), key: OnceLock::new() }
    }

    /// Returns the key; the first time it is read, or made for the owner alone to read.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no key.
    pub fn get(&self) -> Result<&[u8; 32], FsError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        if !self.path.exists() {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| self.failed(io::Error::other(error)))?;
            // Of two programs that make one at the same time, the first wins.
            fsutil::create_private(&self.path, &key)?;
        }
        let bytes = fsutil::read(&self.path)?;
        let key = <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| self.failed(io::Error::other("it has not 32 bytes")))?;
        Ok(self.key.get_or_init(|| key))
    }

    fn failed(&self, fault: io::Error) -> FsError {
        FsError::Io { action: "use the key for patients", fault, path: self.path.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("new");
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let make = || *PatientKey::in_home(&root).get().unwrap();
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0] && *key != [0; 32]));
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(root.join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fsutil::write_atomic(&root.join(FILE), b"short").unwrap();
        let error = PatientKey::in_home(&root).get().unwrap_err().to_string();
        assert!(error.starts_with("could not use the key for patients"), "{error}");
    }
}
