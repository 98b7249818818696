//! Which films are of one patient, read from DICOM or from their names: a patient must never stand on both sides of a split.

use std::path::Path;
use std::sync::Arc;

use regex::Regex;

use super::PatientKey;
use crate::fsutil::FsError;
use crate::imaging::PatientId;

/// Names that are known to carry the patient: a pattern over the path, and the prefix that keeps numberings apart.
const KNOWN: [(&str, &str); 6] = [
    // Kaggle's copy of the paediatric films: diseases share one numbering, for a child can have had both.
    (r"^person(?<patient>\d+)_(?:bacteria|virus)_", "P"),
    (r"^(?:NORMAL\d*-)?IM-(?<patient>\d+)-", "N"),
    // Mendeley's copy of the same films.
    (
        r"^(?:(?:train|test)-)?(?:(?:PNEUMONIA-)?(?:BACTERIA|VIRUS)|NORMAL)-(?<patient>\d+)-\d+$",
        "M",
    ),
    // NIH ChestX-ray14: 00000001_000.png.
    (r"^(?<patient>\d{8})_\d{3}$", "C"),
    // CheXpert: patient00001/study1/view1_frontal.jpg.
    (r"(?:^|/)patient(?<patient>\d+)/study\d+/", "X"),
    // MIMIC-CXR: p10/p10000032/s50414267/….jpg.
    (r"(?:^|/)p(?<patient>\d{8})/s\d{8}/", "S"),
];

/// Reads the patient from a film's path.
#[derive(Clone, Debug)]
pub struct PatientRule {
    given: Option<Regex>,
    known: Vec<(Regex, &'static str)>,
    key: Option<Arc<PatientKey>>,
}

/// A pattern for patients that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPatientRule {
    /// The pattern breaks the rules of regular expressions.
    #[error("the pattern for patients is not a regular expression ({fault}): {pattern}")]
    Syntax {
        /// What is wrong with it.
        fault: Box<regex::Error>,
        /// The pattern as given.
        pattern: String,
    },
    /// The pattern has no group, so that it cannot say which part is the patient.
    #[error("put parentheses around the part of this pattern that is the patient: {pattern}")]
    NoGroup {
        /// The pattern as given.
        pattern: String,
    },
}

impl Default for PatientRule {
    fn default() -> Self {
        let compile = |(pattern, prefix)| Regex::new(pattern).ok().map(|pattern| (pattern, prefix));
        Self { given: None, known: KNOWN.into_iter().filter_map(compile).collect(), key: None }
    }
}

impl PatientRule {
    /// Uses a pattern of the user's over the path relative to the scanned folder, with `/` between folders.
    ///
    /// The group named `patient`, or else the first group, is the patient.
    ///
    /// # Errors
    /// When the pattern is no regular expression or has no group.
    pub fn new(pattern: &str) -> Result<Self, InvalidPatientRule> {
        let given = Regex::new(pattern).map_err(|fault| InvalidPatientRule::Syntax {
            fault: Box::new(fault),
            pattern: pattern.to_owned(),
        })?;
        if given.captures_len() < 2 {
            return Err(InvalidPatientRule::NoGroup { pattern: pattern.to_owned() });
        }
        Ok(Self { given: Some(given), known: Vec::new(), key: None })
    }

    /// Groups DICOM films by the hash of the identifier that they hold, with the key of this home folder, unless a pattern
    /// of the user's was given.
    pub fn with_home(self, root: &Path) -> Self {
        Self { key: Some(Arc::new(PatientKey::in_home(root))), ..self }
    }

    /// Returns the patient of a film whose file names this one; without one, or without a home folder, as [`patient`].
    ///
    /// [`patient`]: Self::patient
    ///
    /// # Errors
    /// When the key cannot be read or made.
    pub fn group(&self, file: &str, id: Option<&PatientId>) -> Result<String, FsError> {
        match (id, &self.key) {
            (Some(id), Some(key)) if self.given.is_none() => Ok(id.hashed(key.get()?)),
            _ => Ok(self.patient(file)),
        }
    }

    /// Returns the patient of a film by its path; a film whose path says nothing is a patient of its own.
    pub fn patient(&self, file: &str) -> String {
        let without_extension = match file.rsplit_once('.') {
            Some((before, extension)) if !before.is_empty() && !extension.contains('/') => before,
            _ => file,
        };
        if let Some(given) = &self.given {
            let captures = given.captures(file);
            let group =
                captures.as_ref().and_then(|found| found.name("patient").or_else(|| found.get(1)));
            return group.map_or(without_extension, |group| group.as_str()).to_owned();
        }
        let stem = without_extension.rsplit('/').next().unwrap_or(without_extension);
        for (pattern, prefix) in &self.known {
            if let Some(found) = pattern.captures(stem).or_else(|| pattern.captures(file)) {
                return format!("{prefix}{}", &found["patient"]);
            }
        }
        without_extension.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_give_their_patient() {
        let rule = PatientRule::default();
        assert_eq!(rule.known.len(), KNOWN.len(), "a pattern does not compile");
        for (file, patient) in [
            ("person1000_bacteria_2931.jpeg", "P1000"),
            ("train/PNEUMONIA/person1000_virus_1681.jpeg", "P1000"),
            ("person447_virus_921_1.jpeg", "P447"),
            ("IM-0011-0001-0002.jpeg", "N0011"),
            ("a/NORMAL2-IM-0011-0001.jpeg", "N0011"),
            ("NORMAL-28501-0001.jpeg", "M28501"),
            ("BACTERIA-30629-0001.jpeg", "M30629"),
            ("train-PNEUMONIA-VIRUS-3590786-0003.jpeg", "M3590786"),
            ("00000013_005.png", "C00000013"),
            ("CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg", "X00001"),
            ("files/p10/p10000032/s50414267/02aa804e.jpg", "S10000032"),
            ("other/film 3.png", "other/film 3"),
            ("v1.0/film", "v1.0/film"),
            (".png", ".png"),
        ] {
            assert_eq!(rule.patient(file), patient, "{file}");
        }
    }

    #[test]
    fn a_pattern_of_the_users_replaces_the_known_ones() {
        let rule = PatientRule::new(r"^(?:site)(\d)/(?<patient>\w+)_").unwrap();
        assert_eq!(rule.patient("site3/ab_1.png"), "ab");
        assert_eq!(rule.patient("person1_virus_1.jpeg"), "person1_virus_1");
        assert_eq!(PatientRule::new(r"^([a-z]+)-").unwrap().patient("abc-9.png"), "abc");
        assert!(matches!(PatientRule::new("("), Err(InvalidPatientRule::Syntax { .. })));
        assert!(matches!(PatientRule::new("a"), Err(InvalidPatientRule::NoGroup { .. })));
    }
}
