//! The classes of a session: names, keys and colours, and the sets that come with the program.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::event::UNINTERPRETABLE;
use super::header::HeaderError;

/// One of the things that a film can show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Name in lists, log and exports.
    pub name: String,
    /// Key that answers with this class.
    pub key: char,
    /// Colour on screen, where the session names one; only layout 2 of `session.json` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<Colour>,
}

/// A colour, written as `#RRGGBB`: red, green and blue of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour(pub [u8; 3]);

/// A text that is no colour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a colour is written as #RRGGBB, not {0:?}")]
pub struct InvalidColour(String);

impl FromStr for Colour {
    type Err = InvalidColour;

    fn from_str(text: &str) -> Result<Self, InvalidColour> {
        let digits: Vec<u8> = text
            .strip_prefix('#')
            .map(|digits| digits.chars().map_while(|c| Some(c.to_digit(16)? as u8)).collect())
            .unwrap_or_default();
        match digits[..] {
            [a, b, c, d, e, f] if text.len() == 7 => Ok(Self([16 * a + b, 16 * c + d, 16 * e + f])),
            _ => Err(InvalidColour(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Colour {
    type Error = InvalidColour;

    fn try_from(text: String) -> Result<Self, InvalidColour> {
        text.parse()
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "#{red:02X}{green:02X}{blue:02X}")
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

/// Keys that answer beside the classes, or take an answer back, when the program is new.
const TAKEN: [(char, &str); 3] = [(';', "uninterpretable"), ('N', "later"), ('U', "undo")];

impl Class {
    /// A class without a colour of its own.
    pub fn new(name: impl Into<String>, key: char) -> Self {
        Self { name: name.into(), key, colour: None }
    }

    /// Returns the classes of a session that names none: normal on J, pneumonia on K.
    pub fn defaults() -> Vec<Self> {
        [("normal", 'J'), ("pneumonia", 'K')].map(|(name, key)| Self::new(name, key)).into()
    }

    /// Returns the conclusions of the World Health Organization's standard for paediatric chest radiographs
    /// (WHO/V&B/01.35, as read in PERCH): four classes; the fifth conclusion, uninterpretable, is an answer of every
    /// session. Colours are Okabe and Ito's.
    pub fn who_five() -> Vec<Self> {
        [
            ("normal", 'J', [0x56, 0xB4, 0xE9]),
            ("consolidation", 'K', [0xE6, 0x9F, 0x00]),
            ("other infiltrate", 'L', [0xCC, 0x79, 0xA7]),
            ("both", 'H', [0x00, 0x9E, 0x73]),
        ]
        .map(|(name, key, rgb)| Self { name: name.to_owned(), key, colour: Some(Colour(rgb)) })
        .into()
    }

    /// Reads a set of classes: `binary`, `who`, or `NAME=KEY[:#RRGGBB],…`.
    ///
    /// # Errors
    /// Says what cannot be read, or why a session cannot have these classes.
    pub fn parse_set(text: &str) -> Result<Vec<Self>, String> {
        let classes = match text {
            "binary" => Self::defaults(),
            "who" => Self::who_five(),
            text => text.split(',').map(Self::parse).collect::<Result<_, _>>()?,
        };
        Self::check_new(&classes)?;
        Ok(classes)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("a class is written as NAME=KEY or NAME=KEY:#RRGGBB, not {text:?}");
        let (name, rest) = text.rsplit_once('=').ok_or_else(wrong)?;
        let mut letters = rest.chars();
        let key = letters.next().ok_or_else(wrong)?;
        let colour = match letters.as_str() {
            "" => None,
            rest => {
                let colour = rest.strip_prefix(':').ok_or_else(wrong)?;
                Some(colour.parse().map_err(|error: InvalidColour| error.to_string())?)
            }
        };
        Ok(Self { name: name.trim().to_owned(), key, colour })
    }

    /// Checks that a new session can have these classes: as every session's, and on keys that are free.
    ///
    /// # Errors
    /// Says which class cannot be, and why.
    pub fn check_new(classes: &[Self]) -> Result<(), String> {
        Self::check(classes).map_err(|error| error.to_string())?;
        for Self { name, key, .. } in classes {
            let taken = TAKEN.iter().find(|(taken, _)| key.to_uppercase().eq([*taken]));
            if let Some((taken, what)) = taken {
                return Err(format!(
                    "the class {name:?} cannot have the key {taken}: it means {what}"
                ));
            }
        }
        Ok(())
    }

    /// Checks that a session can have these classes.
    pub(super) fn check(classes: &[Self]) -> Result<(), HeaderError> {
        let wrong = |text: String| Err(HeaderError::Value(text));
        if classes.len() < 2 {
            return wrong(format!("a session needs two classes or more, not {}", classes.len()));
        }
        for (place, Self { name, key, .. }) in classes.iter().enumerate() {
            if !names_a_folder(name) {
                return wrong(format!(
                    "a class cannot be named {name:?}: exports make a folder of that name"
                ));
            }
            if name.eq_ignore_ascii_case(UNINTERPRETABLE) {
                return wrong(format!(
                    "{name:?} is an answer beside the classes and cannot be one of them"
                ));
            }
            if key.is_whitespace() || key.is_control() {
                return wrong(format!(
                    "the class {name:?} needs a key that can be seen, not {key:?}"
                ));
            }
            for other in &classes[..place] {
                if other.name.to_lowercase() == name.to_lowercase() {
                    return wrong(format!("two classes are named {name:?}"));
                }
                if other.key.to_lowercase().eq(key.to_lowercase()) {
                    return wrong(format!(
                        "the classes {:?} and {name:?} share the key {key}",
                        other.name
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Returns whether every common file system takes `name` for a folder.
fn names_a_folder(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    !name.is_empty()
        && name.trim() == name
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains(forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_written_as_on_the_web() {
        assert_eq!("#56b4E9".parse(), Ok(Colour([0x56, 0xB4, 0xE9])));
        assert_eq!(Colour([0, 158, 115]).to_string(), "#009E73");
        for wrong in ["", "#", "56B4E9", "#56B4E", "#56B4E90", "#56B4EG", "#56B4é9", "# 6B4E9"] {
            assert!(wrong.parse::<Colour>().is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn sets_are_read_as_they_are_typed() {
        assert_eq!(Class::parse_set("binary"), Ok(Class::defaults()));
        let who = Class::parse_set("who").unwrap();
        let names: Vec<_> = who.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, ["normal", "consolidation", "other infiltrate", "both"]);
        let own = Class::parse_set("no effusion=A, pleural effusion=s:#CC79A7").unwrap();
        assert_eq!(own[0], Class::new("no effusion", 'A'));
        let colour = Some(Colour([0xCC, 0x79, 0xA7]));
        assert_eq!(own[1], Class { colour, ..Class::new("pleural effusion", 's') });
    }

    #[test]
    fn sets_that_cannot_work_are_refused_with_the_reason() {
        for (wrong, why) in [
            ("", "NAME=KEY"),
            ("normal", "NAME=KEY"),
            ("normal=", "NAME=KEY"),
            ("normal=J", "two classes"),
            ("normal=JK,pneumonia=K", "NAME=KEY"),
            ("normal=J,normal=K", "two classes are named"),
            ("normal=J,pneumonia=j", "share the key"),
            ("normal=J,pneumonia=K:red", "#RRGGBB"),
            ("normal=J,pneumonia=n", "it means later"),
            ("normal=J,pneumonia=;", "it means uninterpretable"),
            ("normal=J,uninterpretable=K", "beside the classes"),
            ("normal=J,a/b=K", "folder"),
        ] {
            let error = Class::parse_set(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong:?}: {error}");
        }
    }
}
