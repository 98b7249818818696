//! The patient of a DICOM file, for grouping only: the identifier leaves this module as a keyed hash.

use std::fmt;

/// A patient's identifier as its file gives it, which cannot be read out or printed, only hashed.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientId(String);

impl PatientId {
    /// Keeps an identifier; none if it is blank.
    pub(super) fn new(id: &str) -> Option<Self> {
        let id = id.trim();
        (!id.is_empty()).then(|| Self(id.to_owned()))
    }

    /// Returns a name for the patient's group: the same for the same identifier and key, and no way back without the key.
    ///
    /// Identifiers of different issuers that are equal fall into one group, which keeps patients apart too little rather
    /// than splits one.
    pub fn hashed(&self, key: &[u8; 32]) -> String {
        let hash = blake3::keyed_hash(key, self.0.as_bytes());
        format!("D{}", &hash.to_hex()[..16])
    }
}

impl fmt::Debug for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientId(…)")
    }
}
