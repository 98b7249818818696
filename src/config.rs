//! Where Penumbra keeps its sessions, models and settings.

pub mod readers;
mod settings;

pub use self::readers::Readers;
pub use self::settings::{DragDown, NextFilm, Profile, Settings, Theme, Wheel};

use std::env;
use std::path::{Path, PathBuf};

/// Name of the shipped model, and of the session on the shipped films.
pub const DEMO: &str = "demo";

/// Checks that a session's or a model's name can be a folder's.
///
/// # Errors
/// Says, in words, why it cannot.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(format!("this name is also a folder's, and {name:?} cannot be one"));
    }
    Ok(())
}

/// The folder that holds `sessions/` and `models/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Finds the home folder: the one given, else `PENUMBRA_HOME`, else the current folder if it is a checkout of
    /// Penumbra, else the user's data folder.
    pub fn find(explicit: Option<&Path>) -> Self {
        if let Some(root) = explicit {
            return Self { root: root.to_path_buf() };
        }
        if let Some(root) = env::var_os("PENUMBRA_HOME") {
            return Self { root: root.into() };
        }
        if let Ok(current) = env::current_dir()
            && current.join("models/demo/model.json").is_file()
        {
            return Self { root: current };
        }
        let root = directories::ProjectDirs::from("", "", "penumbra")
            .map_or_else(|| PathBuf::from("."), |dirs| dirs.data_dir().to_path_buf());
        Self { root }
    }

    /// Returns the folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the file of the reader's settings.
    pub fn settings(&self) -> PathBuf {
        self.root.join("settings.json")
    }

    /// Returns the file of the readers' names.
    pub fn readers(&self) -> PathBuf {
        self.root.join("readers.json")
    }

    /// Returns the folder of labelling sessions.
    pub fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }

    /// Returns the folder of one labelling session.
    pub fn session(&self, name: &str) -> PathBuf {
        self.sessions().join(name)
    }

    /// Returns the folder of models.
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// Returns the folder of one model: the user's own if there is one, else the one that was shipped.
    pub fn model(&self, name: &str) -> PathBuf {
        let own = self.models().join(name);
        if own.join("model.json").is_file() {
            return own;
        }
        shipped(Path::new("models").join(name).as_path()).unwrap_or(own)
    }

    /// Returns the folder of the films of the demo, if they were shipped.
    pub fn demo_films(&self) -> Option<PathBuf> {
        let own = self.root.join("assets/demo");
        if own.is_dir() { Some(own) } else { shipped(Path::new("assets/demo")) }
    }
}

/// Finds a shipped folder: beside an installed program (`../share/penumbra`), else in the source tree it was built from.
fn shipped(relative: &Path) -> Option<PathBuf> {
    let installed = env::current_exe().ok().and_then(|program| {
        Some(program.parent()?.parent()?.join("share/penumbra").join(relative))
    });
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(relative);
    installed.into_iter().chain([source]).find(|folder| folder.is_dir())
}
