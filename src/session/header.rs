//! What a session is about, fixed when it is made.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::class::Class;
use super::time::Time;

/// Layout of `session.json` without colours, and of every line of `events.jsonl`.
pub(super) const VERSION: u32 = 1;
/// Layout of a `session.json` whose classes have colours; the newest that this program reads. A session without colours
/// keeps layout 1, which older programs read too.
const LAYOUT_WITH_COLOURS: u32 = 2;

/// What a session is about: written to `session.json` when the session is made and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Layout of this file: 1, or 2 where classes have colours.
    pub version: u32,
    /// Identity of the session, 32 hexadecimal digits drawn when it is made.
    pub id: String,
    /// Name as the reader gave it.
    pub name: String,
    /// When the session was made.
    pub created: Time,
    /// Version of the program that made it.
    pub app_version: String,
    /// What a film can show, in the order in which models number the classes.
    pub classes: Vec<Class>,
    /// Folder that the films lie under.
    pub images: PathBuf,
    /// Films with known labels that the model is measured on while the reader works.
    pub reference: Option<Reference>,
    /// Regular expression that finds the patient in a film's path, where the file names carry it.
    pub patient_rule: Option<String>,
    /// Share of films that are drawn at random for an unbiased estimate of accuracy, in 0..=1.
    pub audit_share: f32,
    /// Seed of every random choice in the session.
    pub seed: u64,
}

/// Films with known labels, never shown to the reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Folder that the reference films lie under.
    pub images: PathBuf,
    /// CSV with the columns `file` (relative to that folder) and `label`.
    pub labels: PathBuf,
}

/// What is wrong with the header of a session.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The bytes do not match the hash that they end with.
    #[error("it was changed after it was written, or damaged on disk; put it back from a copy")]
    Changed,
    /// A newer program made the session.
    #[error(
        "the session has layout {version} and was made by Penumbra {app_version}; Penumbra {} reads layouts up to {LAYOUT_WITH_COLOURS}: use the newer program",
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// Layout of the session.
        version: u32,
        /// Program that made it.
        app_version: String,
    },
    /// The fields are not those of a header, or cannot be written as JSON.
    #[error("it is no session header: {0}")]
    Json(#[from] serde_json::Error),
    /// A field has a value that the program cannot work with.
    #[error("{0}")]
    Value(String),
}

impl Header {
    /// Makes the header of a new session with the default classes, no reference films and a tenth of films for audit.
    pub fn new(name: impl Into<String>, images: impl Into<PathBuf>) -> Self {
        let (name, images) = (name.into(), images.into());
        // Two draws of the standard library's randomly keyed hash: an identity needs no more than to be different.
        let id = [(); 2]
            .map(|()| format!("{:016x}", RandomState::new().hash_one((&name, std::process::id()))));
        Self {
            version: VERSION,
            id: id.concat(),
            name,
            created: Time::now(),
            app_version: env!("CARGO_PKG_VERSION").to_owned(),
            classes: Class::defaults(),
            images,
            reference: None,
            patient_rule: None,
            audit_share: 0.1,
            seed: 0,
        }
    }

    /// Takes other classes, and the layout that they need.
    #[must_use]
    pub fn with_classes(self, classes: Vec<Class>) -> Self {
        let coloured = classes.iter().any(|class| class.colour.is_some());
        let version = if coloured { LAYOUT_WITH_COLOURS } else { VERSION };
        Self { version, classes, ..self }
    }

    /// Checks that the program can work with the values.
    ///
    /// # Errors
    /// [`HeaderError::Value`] says which value is wrong and why.
    pub fn check(&self) -> Result<(), HeaderError> {
        let wrong = |text: String| Err(HeaderError::Value(text));
        if self.name.trim().is_empty() {
            return wrong("a session needs a name".to_owned());
        }
        if !(0.0..=1.0).contains(&self.audit_share) {
            return wrong(format!(
                "the share of audit films must lie in 0 to 1, not {}",
                self.audit_share
            ));
        }
        if self.version < LAYOUT_WITH_COLOURS && self.classes.iter().any(|c| c.colour.is_some()) {
            return wrong(format!("classes with colours need layout {LAYOUT_WITH_COLOURS}"));
        }
        Class::check(&self.classes)?;
        Ok(())
    }

    /// Writes the bytes of `session.json`: JSON whose last field is the BLAKE3 hash of all bytes before it.
    ///
    /// # Errors
    /// [`HeaderError`] if a value is wrong or a path is not UTF-8.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, HeaderError> {
        self.check()?;
        let text = serde_json::to_string_pretty(self)?;
        let body = text.strip_suffix("\n}").unwrap_or(&text);
        Ok(format!("{body}{}", seal(body.as_bytes())).into_bytes())
    }

    /// Reads the bytes of `session.json`.
    ///
    /// # Errors
    /// [`HeaderError`] if the bytes were changed, come from a newer program or hold values that cannot be worked with.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, HeaderError> {
        #[derive(Deserialize)]
        struct Origin {
            version: u32,
            app_version: String,
        }

        let length = bytes.len().checked_sub(SEAL).ok_or(HeaderError::Changed)?;
        let (body, tail) = bytes.split_at(length);
        if tail != seal(body).as_bytes() {
            return Err(HeaderError::Changed);
        }
        let body = [body, b"}"].concat();
        let Origin { version, app_version } = serde_json::from_slice(&body)?;
        if !(VERSION..=LAYOUT_WITH_COLOURS).contains(&version) {
            return Err(HeaderError::Newer { version, app_version });
        }
        let header: Self = serde_json::from_slice(&body)?;
        header.check()?;
        Ok(header)
    }
}

/// Bytes from the comma before the hash to the end of a sealed file.
pub(super) const SEAL: usize = ",\n  \"hash\": \"\"\n}\n".len() + 64;

/// Closes the JSON object that `body` leaves open with its hash, as `session.json` and a bundle's list have it.
pub(super) fn seal(body: &[u8]) -> String {
    format!(",\n  \"hash\": \"{}\"\n}}\n", blake3::hash(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let mut header = Header::new("Ward 7 \"north\"", "/films");
        header.reference =
            Some(Reference { images: "/reference".into(), labels: "/reference/labels.csv".into() });
        header
    }

    #[test]
    fn round_trip() {
        let header = header();
        let bytes = header.to_bytes().unwrap();
        assert_eq!(Header::from_bytes(&bytes).unwrap(), header);
        let json: serde_json::Value = serde_json::from_slice(&bytes).expect("session.json is JSON");
        assert_eq!(json["classes"][1]["name"], "pneumonia");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let bytes = header().to_bytes().unwrap();
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << bit;
                assert!(
                    matches!(Header::from_bytes(&changed), Err(HeaderError::Changed)),
                    "bit {bit} of byte {place} went unseen"
                );
            }
        }
    }

    #[test]
    fn a_newer_layout_names_its_program() {
        let newer = Header { version: 3, app_version: "9.1.0".to_owned(), ..header() };
        let error = Header::from_bytes(&newer.to_bytes().unwrap()).unwrap_err();
        assert!(error.to_string().contains("9.1.0"), "{error}");
    }

    #[test]
    fn values_that_cannot_work_are_refused() {
        let class = |name: &str, key| Class::new(name, key);
        let with = |classes: Vec<Class>| Header { classes, ..header() };
        assert!(header().check().is_ok());
        for wrong in [
            Header { name: " ".to_owned(), ..header() },
            Header { audit_share: f32::NAN, ..header() },
            Header { audit_share: 1.5, ..header() },
            with(vec![class("normal", 'j')]),
            with(vec![class("normal", 'j'), class("Normal", 'k')]),
            with(vec![class("normal", 'j'), class("pneumonia", 'J')]),
            with(vec![class("normal", 'j'), class("../pneumonia", 'k')]),
            with(vec![class("normal", 'j'), class("Uninterpretable", 'k')]),
            with(vec![class("normal", 'j'), class("pneumonia", ' ')]),
            with(Class::who_five()),
        ] {
            assert!(matches!(wrong.check(), Err(HeaderError::Value(_))), "{wrong:?}");
        }
    }

    #[test]
    fn colours_raise_the_layout_and_a_session_without_them_stays_readable_to_older_programs() {
        let plain = Header::new("ward", "/films").with_classes(Class::defaults());
        let text = String::from_utf8(plain.to_bytes().unwrap()).unwrap();
        assert!(text.contains("\"version\": 1") && !text.contains("colour"), "{text}");
        let who = Header::new("ward", "/films").with_classes(Class::who_five());
        let bytes = who.to_bytes().unwrap();
        assert_eq!(Header::from_bytes(&bytes).unwrap(), who);
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            (&json["version"], &json["classes"][1]["colour"]),
            (&2.into(), &"#E69F00".into())
        );
    }

    #[test]
    fn a_header_of_the_first_layout_is_read() {
        // As version 0.1.0 of the program wrote it.
        let body = r#"{
  "version": 1,
  "id": "0123456789abcdef0123456789abcdef",
  "name": "ward",
  "created": "2026-11-24T02:41:00.123Z",
  "app_version": "0.1.0",
  "classes": [
    {
      "name": "normal",
      "key": "J"
    },
    {
      "name": "pneumonia",
      "key": "K"
    }
  ],
  "images": "/films",
  "reference": null,
  "patient_rule": null,
  "audit_share": 0.1,
  "seed": 0"#;
        let bytes = format!("{body}{}", seal(body.as_bytes())).into_bytes();
        let header = Header::from_bytes(&bytes).unwrap();
        assert_eq!(header.classes, Class::defaults());
        assert_eq!(header.to_bytes().unwrap(), bytes, "it is written as it was");
    }

    #[test]
    fn identities_differ() {
        assert_eq!(header().id.len(), 32);
        assert_ne!(header().id, header().id);
    }
}
