//! The patient of a DICOM file, for grouping only: the identifier leaves this module as a keyed hash.

use std::fmt;

use dicom_dictionary_std::tags;

use super::dataset::Elements;

/// A patient's identifier as its file gives it, which cannot be read out or printed, only hashed.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientId(Vec<u8>);

impl PatientId {
    /// Keeps the identifier of a data set; none if it is blank.
    ///
    /// Its bytes are not decoded: the character set changes nothing about who it is.
    pub(super) fn of(top: &Elements<'_>) -> Option<Self> {
        Self::new(top.element(tags::PATIENT_ID)?.bytes)
    }

    /// Keeps an identifier without the padding at its ends; none if it is blank.
    pub(super) fn new(id: &[u8]) -> Option<Self> {
        let id = id.strip_suffix(b"\0").unwrap_or(id).trim_ascii();
        (!id.is_empty()).then(|| Self(id.to_vec()))
    }

    /// Returns a name for the patient's group: the same for the same identifier and key, and no way back without the key.
    ///
    /// Identifiers of different issuers that are equal fall into one group, which keeps patients apart too little rather
    /// than splits one.
    pub fn hashed(&self, key: &[u8; 32]) -> String {
        let hash = blake3::keyed_hash(key, &self.0);
        format!("D{}", &hash.to_hex()[..16])
    }
}

impl fmt::Debug for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientId(…)")
    }
}
