//! A key with the modifiers that are held with it.

use std::fmt;
use std::str::FromStr;

use egui::{Key, Modifiers};

/// A key with the modifiers that are held with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortcut {
    /// The key by the sign on it.
    pub key: Key,
    /// Ctrl, on a Mac Cmd.
    pub ctrl: bool,
    /// Alt, on a Mac Option.
    pub alt: bool,
    /// Shift.
    pub shift: bool,
}

impl Shortcut {
    /// Makes the shortcut of a key alone.
    pub const fn plain(key: Key) -> Self {
        Self { key, ctrl: false, alt: false, shift: false }
    }

    /// Makes the shortcut of a key that went down.
    pub const fn of(key: Key, modifiers: Modifiers) -> Self {
        let Modifiers { alt, shift, command, .. } = modifiers;
        Self { key, ctrl: command, alt, shift }
    }

    /// Returns the same without Shift where some keyboards have the sign only together with it, as "?" on most, ";" on
    /// German, digits on French ones; letters and named keys are others with Shift.
    pub fn unshifted(self) -> Option<Self> {
        let sign = self.key.symbol_or_name();
        let letter = self.key.name().len() == 1 && sign.chars().all(char::is_alphabetic);
        let named = sign.chars().count() > 1;
        (self.shift && !letter && !named).then_some(Self { shift: false, ..self })
    }

    /// Returns the shortcut whose key lies as far from the other hand's side of the keyboard, on the American layout.
    pub fn mirrored(self) -> Self {
        const PAIRS: [(Key, Key); 14] = [
            (Key::Q, Key::P),
            (Key::W, Key::O),
            (Key::E, Key::I),
            (Key::R, Key::U),
            (Key::T, Key::Y),
            (Key::A, Key::Semicolon),
            (Key::S, Key::L),
            (Key::D, Key::K),
            (Key::F, Key::J),
            (Key::G, Key::H),
            (Key::Z, Key::Slash),
            (Key::X, Key::Period),
            (Key::C, Key::Comma),
            (Key::V, Key::M),
        ];
        // The fifteenth pair, in the middle of the lowest row.
        let pairs = PAIRS.into_iter().chain([(Key::B, Key::N)]);
        let key = pairs
            .flat_map(|(left, right)| [(left, right), (right, left)])
            .find(|(from, _)| *from == self.key)
            .map_or(self.key, |(_, to)| to);
        if self.ctrl || self.alt { self } else { Self { key, ..self } }
    }
}

impl fmt::Display for Shortcut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, name) in [(self.ctrl, "Ctrl+"), (self.alt, "Alt+"), (self.shift, "Shift+")] {
            if held {
                f.write_str(name)?;
            }
        }
        f.write_str(match self.key {
            Key::Tab => "Tab",
            Key::Escape => "Esc",
            Key::PageUp => "Page up",
            Key::PageDown => "Page down",
            Key::ArrowUp => "Up",
            Key::ArrowDown => "Down",
            Key::ArrowLeft => "Left",
            Key::ArrowRight => "Right",
            Key::Minus => "-",
            Key::Backtick => "`",
            key => key.symbol_or_name(),
        })
    }
}

impl FromStr for Shortcut {
    type Err = String;

    /// Reads what is displayed.
    fn from_str(text: &str) -> Result<Self, String> {
        let (mut rest, mut made) = (text, Self::plain(Key::A));
        let modifiers = [("Ctrl+", 0), ("Alt+", 1), ("Shift+", 2)];
        while let Some((after, which)) = modifiers
            .iter()
            .find_map(|(name, which)| Some((rest.strip_prefix(name)?, which)))
            .filter(|(after, _)| !after.is_empty())
        {
            *[&mut made.ctrl, &mut made.alt, &mut made.shift][*which] = true;
            rest = after;
        }
        let name = match rest {
            "Page up" => "PageUp",
            "Page down" => "PageDown",
            name => name,
        };
        made.key = Key::from_name(name).ok_or_else(|| format!("no key is named {text:?}"))?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_as_it_is_written() {
        for &key in Key::ALL {
            for bits in 0..8 {
                let [ctrl, alt, shift] = [1, 2, 4].map(|bit| bits & bit > 0);
                let shortcut = Shortcut { key, ctrl, alt, shift };
                let text = shortcut.to_string();
                assert_eq!(text.parse(), Ok(shortcut), "{text}");
            }
        }
        for wrong in ["", "Ctrl+", "Strg+A", "AB", "Ctrl"] {
            assert!(wrong.parse::<Shortcut>().is_err(), "{wrong:?} was read");
        }
    }

    #[test]
    fn mirroring_twice_is_nothing_and_two_keys_never_fall_on_one() {
        let mut seen = Vec::new();
        for &key in Key::ALL {
            let mirrored = Shortcut::plain(key).mirrored();
            assert_eq!(mirrored.mirrored(), Shortcut::plain(key));
            assert!(!seen.contains(&mirrored.key), "{key:?}");
            seen.push(mirrored.key);
        }
        assert_eq!(Shortcut::plain(Key::J).mirrored().key, Key::F);
        let undo: Shortcut = "Ctrl+Z".parse().unwrap();
        assert_eq!(undo.mirrored(), undo, "shortcuts that every program has stay");
    }

    #[test]
    fn signs_are_the_same_with_shift_and_letters_are_not() {
        let unshifted = |key| Shortcut { shift: true, ..Shortcut::plain(key) }.unshifted();
        for key in [Key::Questionmark, Key::Semicolon, Key::Num1, Key::Plus, Key::Period] {
            assert_eq!(unshifted(key), Some(Shortcut::plain(key)));
        }
        for key in [Key::A, Key::Z, Key::F1, Key::Tab, Key::Escape, Key::Space] {
            assert_eq!(unshifted(key), None, "{key:?}");
        }
    }
}
