//! What the reader has set: keys, mouse, how films are displayed. One file, replaced whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Home;
use crate::fsutil::{self, FsError};

/// Whose keys the window answers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Our own: answers under the right hand.
    #[default]
    Penumbra,
    /// Our own, mirrored: answers under the left hand, the right one on the mouse.
    LeftHand,
    /// Where OHIF has a key for a command, that one.
    Ohif,
    /// The same for Weasis.
    Weasis,
    /// The same for Horos and `OsiriX`.
    Horos,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 5] =
        [Self::Penumbra, Self::LeftHand, Self::Ohif, Self::Weasis, Self::Horos];

    /// Returns the profile's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Penumbra => "Penumbra",
            Self::LeftHand => "Penumbra, left hand",
            Self::Ohif => "OHIF",
            Self::Weasis => "Weasis",
            Self::Horos => "Horos",
        }
    }
}

/// What the mouse's wheel does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wheel {
    /// Zooms at the pointer.
    #[default]
    Zoom,
    /// Goes to the film after or before, without an answer.
    Films,
    /// Widens or narrows the window.
    Width,
}

/// What a drag downwards does to the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DragDown {
    /// Darkens, as in OHIF.
    #[default]
    Darker,
    /// Brightens, as in Weasis.
    Brighter,
}

/// How the next film opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextFilm {
    /// With its own window, fitted.
    #[default]
    Automatic,
    /// With the window and zoom of the film before.
    Sticky,
}

/// Which parts of the window are bright. What stands on a film, and the black around it, never are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    /// None.
    #[default]
    Dark,
    /// All but the Read view with what opens over it.
    Light,
    /// The Read view's panels too.
    LightEverywhere,
}

/// What the reader has set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Settings {
    /// Whose keys.
    pub profile: Profile,
    /// Keys of the reader's own, by the names of their commands; what has none here has the profile's.
    pub keys: BTreeMap<String, Vec<String>>,
    /// What the wheel does.
    pub wheel: Wheel,
    /// What a drag downwards does.
    pub drag_down: DragDown,
    /// How the next film opens.
    pub next_film: NextFilm,
    /// Which parts of the window are bright.
    pub theme: Theme,
}

impl Settings {
    /// Reads the settings of a home. What cannot be read is moved aside, and the second value says so in words.
    pub fn load(home: &Home) -> (Self, Option<String>) {
        let path = home.settings();
        let reason = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::fresh(None),
            Err(error) => error.to_string(),
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(settings) => return (settings, None),
                Err(error) => error.to_string(),
            },
        };
        let kept = match set_aside(&path) {
            Ok(aside) => format!("they are kept as {}", aside.display()),
            Err(error) => format!("they could not be moved aside ({error}): {}", path.display()),
        };
        Self::fresh(Some(format!("the settings could not be read ({reason}); {kept}")))
    }

    fn fresh(notice: Option<String>) -> (Self, Option<String>) {
        (Self::default(), notice)
    }

    /// Replaces the settings of a home.
    ///
    /// # Errors
    /// If the file cannot be written; the old one is then untouched.
    pub fn save(&self, home: &Home) -> Result<(), FsError> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        fsutil::write_atomic(&home.settings(), &json)
    }
}

/// Renames a file to a name that nothing has yet.
fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let aside = (1..=u16::MAX)
        .map(|number| path.with_extension(format!("broken-{number}.json")))
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| path.with_extension("broken.json"));
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_as_they_were_saved() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::find(Some(folder.path()));
        assert_eq!(Settings::load(&home), (Settings::default(), None));
        let settings = Settings {
            profile: Profile::Weasis,
            keys: [("invert".to_owned(), vec!["Ctrl+I".to_owned()])].into(),
            wheel: Wheel::Films,
            drag_down: DragDown::Brighter,
            next_film: NextFilm::Sticky,
            theme: Theme::LightEverywhere,
        };
        settings.save(&home).unwrap();
        assert_eq!(Settings::load(&home), (settings, None));
    }

    #[test]
    fn broken_settings_are_kept_aside_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::find(Some(folder.path()));
        let broken =
            ["{\"profile\": \"weasis\",", "{\"profile\": \"emacs\"}", "{\"new\": 1}", "\u{0}"];
        for (number, text) in broken.into_iter().enumerate() {
            fsutil::write_atomic(&home.settings(), text.as_bytes()).unwrap();
            let (settings, notice) = Settings::load(&home);
            assert_eq!(settings, Settings::default());
            let aside = folder.path().join(format!("settings.broken-{}.json", number + 1));
            assert!(notice.unwrap().contains(&aside.display().to_string()));
            assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
            assert!(!home.settings().exists());
        }
        let part = "{\"wheel\": \"width\"}";
        fsutil::write_atomic(&home.settings(), part.as_bytes()).unwrap();
        let (settings, notice) = Settings::load(&home);
        assert_eq!(
            (settings.wheel, settings.profile, notice),
            (Wheel::Width, Profile::Penumbra, None)
        );
    }
}
