//! From key presses to commands.

use std::collections::BTreeMap;

use egui::Key;

use super::{Keymap, Shortcut};
use crate::ui::command::UiCommand;

/// The names under which keys went down, by their place on the keyboard.
///
/// A "?" that is let go of after Shift is reported as released under another name. The window's toolkit counts held keys
/// by name and would take every later "?" for one that repeats.
#[derive(Debug, Default)]
pub struct HeldKeys(BTreeMap<Key, Key>);

impl HeldKeys {
    /// Gives each key the name that it went down with until it is let go of.
    pub fn rename(&mut self, events: &mut [egui::Event]) {
        for event in events {
            match event {
                egui::Event::Key { key, physical_key: Some(place), pressed: true, .. } => {
                    *key = *self.0.entry(*place).or_insert(*key);
                }
                egui::Event::Key { key, physical_key: Some(place), pressed: false, .. } => {
                    *key = self.0.remove(place).unwrap_or(*key);
                }
                // What is let go of in another window is not reported.
                egui::Event::WindowFocused(_) => self.0.clear(),
                _ => {}
            }
        }
    }
}

/// Collects the commands whose keys were pressed in this pass; a key that repeats because it is held counts once.
///
/// Keys are left to a text field that has the focus, and Space and Enter to any other widget that has it.
pub fn pressed(ctx: &egui::Context, keymap: &Keymap) -> Vec<UiCommand> {
    if ctx.text_edit_focused() {
        return Vec::new();
    }
    let focused = ctx.memory(|memory| memory.focused().is_some());
    ctx.input(|input| {
        let command = |event: &egui::Event| {
            let egui::Event::Key { key, pressed: true, repeat: false, modifiers, .. } = *event
            else {
                return None;
            };
            let left = focused && matches!(key, Key::Space | Key::Enter);
            if left { None } else { keymap.pressed(Shortcut::of(key, modifiers)) }
        };
        input.events.iter().filter_map(command).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::session::Class;

    fn keymap() -> Keymap {
        Keymap::new(&Settings::default(), &Class::defaults()).0
    }

    #[test]
    fn a_key_that_is_let_go_of_after_shift_works_again() {
        let event = |key, pressed| egui::Event::Key {
            key,
            physical_key: Some(Key::Slash),
            pressed,
            repeat: false,
            modifiers: if pressed { egui::Modifiers::SHIFT } else { egui::Modifiers::NONE },
        };
        let (down, up) = (event(Key::Questionmark, true), event(Key::Slash, false));
        let (ctx, mut held) = (egui::Context::default(), HeldKeys::default());
        let mut press = |mut events: Vec<egui::Event>| {
            held.rename(&mut events);
            let mut found = Vec::new();
            let input = egui::RawInput { events, ..Default::default() };
            _ = ctx.run_ui(input, |ui| found = super::pressed(ui.ctx(), &keymap()));
            found
        };
        assert_eq!(press(vec![down.clone()]), [UiCommand::Help]);
        assert_eq!(press(vec![down.clone()]), [], "a held key counts once");
        assert_eq!(press(vec![up]), []);
        assert_eq!(press(vec![down.clone()]), [UiCommand::Help]);
        let away = [false, true].map(egui::Event::WindowFocused).to_vec();
        press(away);
        assert_eq!(press(vec![event(Key::Slash, true)]), [], "a key let go of elsewhere stuck");
    }

    #[test]
    fn modifiers_make_another_key_but_for_signs() {
        let command = |key, modifiers| keymap().pressed(Shortcut::of(key, modifiers));
        let (none, shift, ctrl) =
            (egui::Modifiers::NONE, egui::Modifiers::SHIFT, egui::Modifiers::COMMAND);
        assert_eq!(command(Key::U, none), Some(UiCommand::Undo));
        assert_eq!(command(Key::U, shift), None);
        assert_eq!(command(Key::J, ctrl), None);
        assert_eq!(command(Key::Z, ctrl), Some(UiCommand::Undo));
        assert_eq!(command(Key::Semicolon, shift), Some(UiCommand::Uninterpretable));
    }
}
