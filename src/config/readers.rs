//! Who reads on this machine. One file, replaced whole.

use serde::{Deserialize, Serialize};

use super::Home;
use crate::fsutil::{self, FsError};

/// The readers of this machine, by the names that stand in the logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Readers {
    /// All names, in the order in which they were entered.
    pub names: Vec<String>,
    /// Who read last.
    pub last: Option<String>,
}

impl Readers {
    /// Reads the readers of a home; none if there is no such file or it cannot be read, which the log says.
    pub fn load(home: &Home) -> Self {
        let bytes = match std::fs::read(home.readers()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::default(),
            bytes => bytes,
        };
        let readers = bytes
            .map_err(|error| error.to_string())
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
        let path = home.readers();
        let unread = |error: &String| {
            tracing::warn!("the list of readers cannot be read: {error}: {}", path.display());
        };
        readers.inspect_err(unread).unwrap_or_default()
    }

    /// Replaces the readers of a home.
    ///
    /// # Errors
    /// If the file cannot be written; the old one is then untouched.
    pub fn save(&self, home: &Home) -> Result<(), FsError> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        fsutil::write_atomic(&home.readers(), &json)
    }

    /// Notes who reads now.
    ///
    /// # Errors
    /// Says, in words, why this cannot be a reader's name.
    pub fn choose(&mut self, name: &str) -> Result<(), String> {
        let name = check(name)?;
        if !self.names.iter().any(|other| other == name) {
            self.names.push(name.to_owned());
        }
        self.last = Some(name.to_owned());
        Ok(())
    }
}

/// Returns who reads when nobody has said so: the account that the program runs under.
pub fn account() -> String {
    let account =
        ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    account.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "reader".to_owned())
}

/// Returns a name without space around it.
///
/// # Errors
/// Says, in words, why it cannot be a reader's.
pub fn check(name: &str) -> Result<&str, String> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 40 || name.chars().any(char::is_control) {
        return Err("a reader's name has 1 to 40 letters or signs".to_owned());
    }
    Ok(name)
}

/// Returns the initials of a name, at most three.
pub fn initials(name: &str) -> String {
    let words =
        name.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let initials: String = words.clone().filter_map(|word| word.chars().next()).take(3).collect();
    match words.count() {
        // One word, as "R1", is short enough to stand for itself.
        1 => name.trim().chars().take(3).collect::<String>().to_uppercase(),
        _ => initials.to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_come_back_as_they_were_saved_and_stand_once() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::find(Some(folder.path()));
        assert_eq!(Readers::load(&home), Readers::default());
        let mut readers = Readers::default();
        for name in ["A. Levy", " B. Cohen ", "A. Levy"] {
            readers.choose(name).unwrap();
        }
        assert_eq!(readers.names, ["A. Levy", "B. Cohen"]);
        for wrong in ["", "  ", "a\nb", &"x".repeat(41)] {
            assert!(readers.choose(wrong).is_err(), "{wrong:?}");
        }
        readers.save(&home).unwrap();
        assert_eq!(Readers::load(&home), readers);
        assert_eq!(readers.last.as_deref(), Some("A. Levy"));
        fsutil::write_atomic(&home.readers(), b"{").unwrap();
        assert_eq!(Readers::load(&home), Readers::default());
    }

    #[test]
    fn initials_are_short() {
        for (name, short) in
            [("Anna Levy", "AL"), ("r1", "R1"), ("Ö. de la Cruz", "ÖDL"), ("radiology", "RAD")]
        {
            assert_eq!(initials(name), short);
        }
        assert_eq!(initials("–"), "");
    }
}
