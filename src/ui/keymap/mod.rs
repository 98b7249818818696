//! Which keys stand for which commands: a profile, the classes' own keys, and what the reader has changed.
//!
//! The number pad has no keys of its own: the window's toolkit gives its digits, Enter, Slash, Plus and Minus the names
//! of the keys elsewhere, by sign and by place alike.

mod pressed;
mod profiles;
mod shortcut;

use egui::Key;

pub use self::pressed::{HeldKeys, pressed};
pub use self::shortcut::Shortcut;
use super::command::{UiCommand, View};
use super::film_view::tone::Preset;
use super::film_view::tools::Tool;
use crate::config::{Profile, Settings};
use crate::session::Class;

/// The keys of every command; no key stands for two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keymap {
    rows: Vec<(UiCommand, Vec<Shortcut>)>,
    /// Whether Space held with a left drag moves the film.
    space_moves: bool,
}

impl Keymap {
    /// Makes the keys of a session with these classes, and says in words what of the settings could not be used.
    ///
    /// Where two claim a key, the reader's own comes first, then the classes' keys, then the profile's, then ours; what
    /// comes later goes without.
    pub fn new(settings: &Settings, classes: &[Class]) -> (Self, Vec<String>) {
        let commands = UiCommand::with_keys(classes.len());
        let rows = commands.iter().map(|&command| (command, Vec::new())).collect();
        let (mut made, mut notices) = (Self { rows, space_moves: false }, Vec::new());
        let chosen = |command: UiCommand| settings.keys.get(&command.id()?);
        for &command in &commands {
            for text in chosen(command).into_iter().flatten() {
                match text.parse() {
                    Ok(shortcut) => {
                        if let Err(holder) = made.claim(command, shortcut) {
                            let (holder, loser) = (holder.text(classes), command.text(classes));
                            notices.push(format!("{text} is set for {holder} and for {loser}"));
                        }
                    }
                    Err(reason) => notices.push(reason),
                }
            }
        }
        let mirrored = |shortcut: Shortcut| match settings.profile {
            Profile::LeftHand => shortcut.mirrored(),
            _ => shortcut,
        };
        let open: Vec<UiCommand> =
            commands.into_iter().filter(|&command| chosen(command).is_none()).collect();
        for (index, class) in classes.iter().enumerate() {
            let command = UiCommand::Label(index);
            if let Some(key) = class_key(class).filter(|_| open.contains(&command)) {
                // Who loses a key to a class still has the mouse, and may choose another.
                _ = made.claim(command, mirrored(Shortcut::plain(key)));
            }
        }
        let own = profiles::own(settings.profile);
        let ours = profiles::PENUMBRA
            .iter()
            .filter(|(command, _)| !own.iter().any(|(other, _)| other == command));
        for (command, keys) in own.iter().chain(ours) {
            for shortcut in keys.iter().filter_map(|key| key.parse().ok()) {
                if open.contains(command) {
                    _ = made.claim(*command, mirrored(shortcut));
                }
            }
        }
        made.space_moves = made.command(Shortcut::plain(Key::Space)).is_none();
        (made, notices)
    }

    /// Gives a command a key, unless another has it.
    fn claim(&mut self, command: UiCommand, shortcut: Shortcut) -> Result<(), UiCommand> {
        match self.command(shortcut) {
            Some(holder) if holder != command => Err(holder),
            Some(_) => Ok(()),
            None => {
                if let Some((_, keys)) = self.rows.iter_mut().find(|(other, _)| *other == command) {
                    keys.push(shortcut);
                }
                Ok(())
            }
        }
    }

    /// Returns the keys of a command, the first the one that buttons show.
    pub fn keys(&self, command: UiCommand) -> &[Shortcut] {
        self.rows.iter().find(|(other, _)| *other == command).map_or(&[], |(_, keys)| keys)
    }

    /// Returns the first key of a command as a button writes it; empty if it has none.
    pub fn first(&self, command: UiCommand) -> String {
        self.keys(command).first().map(Shortcut::to_string).unwrap_or_default()
    }

    /// Returns the command that has a key.
    pub fn command(&self, shortcut: Shortcut) -> Option<UiCommand> {
        self.rows.iter().find(|(_, keys)| keys.contains(&shortcut)).map(|(command, _)| *command)
    }

    /// Returns the command that a key stands for as it was pressed.
    pub fn pressed(&self, shortcut: Shortcut) -> Option<UiCommand> {
        let plain = || shortcut.unshifted().and_then(|plain| self.command(plain));
        self.command(shortcut).or_else(plain)
    }

    /// Returns whether Space held with a left drag moves the film: where no command has that key.
    pub const fn space_moves(&self) -> bool {
        self.space_moves
    }

    /// Enters a key for a command into the settings, in place of `instead` where that is given.
    ///
    /// # Errors
    /// If another command has the key; the message names it, and the settings stay as they are.
    pub fn assign(
        &self,
        settings: &mut Settings,
        classes: &[Class],
        command: UiCommand,
        instead: Option<Shortcut>,
        shortcut: Shortcut,
    ) -> Result<(), String> {
        let shortcut = shortcut.unshifted().unwrap_or(shortcut);
        let Some(id) = command.id() else { return Ok(()) };
        match self.command(shortcut) {
            Some(holder) if holder != command => {
                return Err(format!("{shortcut} is the key of “{}”", holder.text(classes)));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        let mut keys = self.keys(command).to_vec();
        match keys.iter_mut().find(|key| Some(**key) == instead) {
            Some(key) => *key = shortcut,
            None => keys.push(shortcut),
        }
        settings.keys.insert(id, keys.iter().map(Shortcut::to_string).collect());
        Ok(())
    }

    /// Takes a key from a command in the settings.
    pub fn remove(&self, settings: &mut Settings, command: UiCommand, shortcut: Shortcut) {
        let Some(id) = command.id() else { return };
        let keys = self.keys(command).iter().filter(|key| **key != shortcut);
        settings.keys.insert(id, keys.map(Shortcut::to_string).collect());
    }
}

/// Returns the key of a class as egui names it.
fn class_key(class: &Class) -> Option<Key> {
    Key::from_name(&class.key.to_string().to_uppercase())
}

#[cfg(test)]
mod tests;
