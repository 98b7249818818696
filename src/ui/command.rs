//! Every command of the reading room: its words and its key, from which buttons, keyboard and help sheet are made.

use std::collections::BTreeMap;

use egui::Key;

use crate::session::Class;

/// A view of an opened session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// One film after the other.
    #[default]
    Read,
    /// How good the model is, after how many labels.
    Learn,
    /// All films, small.
    Films,
}

/// What the reader can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UiCommand {
    /// Gives the film on screen the class of this index and goes on.
    Label(usize),
    /// Marks the film on screen as impossible to interpret and goes on.
    Uninterpretable,
    /// Puts the film on screen off and goes on.
    Later,
    /// Takes the last answer back.
    Undo,
    /// Swaps black and white.
    ToggleInvert,
    /// Goes back to the automatic window and fits the film.
    ResetView,
    /// Fits the film to the window.
    FitView,
    /// Shows one pixel of the film as one pixel of the screen.
    OneToOne,
    /// Hides everything but the film.
    HidePanels,
    /// Brings the panels back.
    ShowPanels,
    /// Goes to a view.
    View(View),
    /// Opens the export dialog.
    Export,
    /// Opens or closes the help sheet.
    Help,
    /// Pauses background learning, or lets it go on.
    Pause(bool),
    /// Gives the running background learning up.
    Cancel,
    /// Starts background learning now.
    TrainNow,
    /// Ranks by the strategy of this index in [`crate::query::Strategy::ALL`].
    Strategy(usize),
    /// Closes the session and goes to the start screen.
    Close,
    /// Goes back to the film read before.
    PreviousFilm,
    /// Goes on to the film read after.
    NextFilm,
    /// Returns to the film that the queue stands at.
    BackToQueue,
    /// Writes a note on the film.
    Note,
    /// Takes a file that changed since the import as it is now.
    AcceptChange,
    /// Lists the films put off.
    ShowLater,
    /// Has films put off come back after so many others; 0 for when all others are read.
    ReturnAfter(usize),
}

impl UiCommand {
    /// Returns the commands that have a key, in the order of the help sheet, for a number of classes.
    pub fn with_keys(classes: usize) -> Vec<Self> {
        let labels = (0..classes).map(Self::Label);
        let rest = [
            Self::Uninterpretable,
            Self::Later,
            Self::Undo,
            Self::ToggleInvert,
            Self::ResetView,
            Self::FitView,
            Self::OneToOne,
            Self::HidePanels,
            Self::ShowPanels,
            Self::View(View::Read),
            Self::View(View::Learn),
            Self::Export,
            Self::Help,
            Self::View(View::Films),
            Self::PreviousFilm,
            Self::NextFilm,
            Self::BackToQueue,
            Self::Note,
            Self::AcceptChange,
        ];
        labels.chain(rest).collect()
    }

    /// Returns what the command is called.
    pub fn text(self, classes: &[Class]) -> String {
        match self {
            Self::Label(index) => {
                return classes.get(index).map_or_else(String::new, |class| sentence(&class.name));
            }
            Self::Uninterpretable => "Uninterpretable",
            Self::Later => "Later",
            Self::Undo => "Undo",
            Self::ToggleInvert => "Invert",
            Self::ResetView => "Reset window and zoom",
            Self::FitView => "Fit film",
            Self::OneToOne => "Actual size",
            Self::HidePanels => "Film only",
            Self::ShowPanels => "Show panels",
            Self::View(View::Read) => "Read",
            Self::View(View::Learn) => "Learn",
            Self::Export => "Export…",
            Self::Help => "Keys and mouse",
            Self::Pause(true) => "Pause",
            Self::Pause(false) => "Go on",
            Self::Cancel => "Cancel",
            Self::TrainNow => "Train now",
            Self::Strategy(_) => "Strategy",
            Self::Close => "Close session",
            Self::View(View::Films) => "Films",
            Self::PreviousFilm => "Previous film",
            Self::NextFilm => "Next film",
            Self::BackToQueue => "Back to the queue",
            Self::Note => "Note…",
            Self::AcceptChange => "Take the file as it is now",
            Self::ShowLater => "Films put off",
            Self::ReturnAfter(0) => "When all others are read",
            Self::ReturnAfter(films) => return format!("After {films} films"),
        }
        .to_owned()
    }

    /// Returns the key of the command, if it has one.
    pub fn key(self, classes: &[Class]) -> Option<Key> {
        Some(match self {
            Self::Label(index) => return classes.get(index).and_then(class_key),
            Self::Uninterpretable => Key::Semicolon,
            Self::Later => Key::N,
            Self::Undo => Key::U,
            Self::ToggleInvert => Key::I,
            Self::ResetView => Key::R,
            Self::FitView => Key::Num0,
            Self::OneToOne => Key::O,
            Self::HidePanels => Key::F,
            Self::ShowPanels => Key::Tab,
            Self::View(View::Read) => Key::Num1,
            Self::View(View::Learn) => Key::Num2,
            Self::Export => Key::E,
            Self::Help => Key::Questionmark,
            Self::View(View::Films) => Key::G,
            Self::PreviousFilm => Key::PageUp,
            Self::NextFilm => Key::PageDown,
            Self::BackToQueue => Key::Q,
            Self::Note => Key::T,
            Self::AcceptChange => Key::Enter,
            Self::Pause(_)
            | Self::Cancel
            | Self::TrainNow
            | Self::Strategy(_)
            | Self::Close
            | Self::ShowLater
            | Self::ReturnAfter(_) => return None,
        })
    }

    /// Returns whether the command answers for the film on screen.
    pub const fn answers(self) -> bool {
        matches!(self, Self::Label(_) | Self::Uninterpretable | Self::Later)
    }
}

/// Returns the key of a class as egui names it.
pub fn class_key(class: &Class) -> Option<Key> {
    Key::from_name(&class.key.to_string().to_uppercase())
}

/// Returns a key as a help sheet writes it.
pub fn key_name(key: Key) -> &'static str {
    match key {
        Key::Tab => "Tab",
        Key::PageUp => "Page up",
        Key::PageDown => "Page down",
        Key::Enter => "Enter",
        key => key.symbol_or_name(),
    }
}

/// Starts a name with a capital.
pub fn sentence(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

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
/// Keys are left to a text field that has the focus, and to shortcuts with Ctrl, Alt or Cmd, of which Ctrl+Z alone is ours.
pub fn pressed(ctx: &egui::Context, classes: &[Class]) -> Vec<UiCommand> {
    if ctx.text_edit_focused() {
        return Vec::new();
    }
    let commands = UiCommand::with_keys(classes.len());
    ctx.input(|input| {
        let mut found = Vec::new();
        for event in &input.events {
            let egui::Event::Key { key, pressed: true, repeat: false, modifiers, .. } = *event
            else {
                continue;
            };
            if modifiers.command && key == Key::Z {
                found.push(UiCommand::Undo);
            } else if !modifiers.any() || (modifiers.shift_only() && needs_shift(key)) {
                // Classes come first and may have a key that means something else otherwise.
                found.extend(
                    commands.iter().copied().find(|command| command.key(classes) == Some(key)),
                );
            }
        }
        found
    })
}

/// Returns whether some keyboards have a key of ours only together with Shift: "?" on most, ";" on German, digits on
/// French ones.
const fn needs_shift(key: Key) -> bool {
    matches!(key, Key::Questionmark | Key::Semicolon | Key::Num0 | Key::Num1 | Key::Num2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Vec<Class> {
        crate::session::Class::defaults()
    }

    #[test]
    fn no_two_commands_share_a_key() {
        let classes = classes();
        let commands = UiCommand::with_keys(classes.len());
        for (place, command) in commands.iter().enumerate() {
            let key = command.key(&classes);
            assert!(key.is_some(), "{command:?} is on the help sheet but has no key");
            for other in &commands[..place] {
                assert_ne!(key, other.key(&classes), "{command:?} and {other:?} share a key");
            }
        }
    }

    #[test]
    fn every_command_has_words_in_sentence_case() {
        let classes = classes();
        for command in UiCommand::with_keys(classes.len()) {
            let text = command.text(&classes);
            assert!(text.starts_with(char::is_uppercase), "{command:?} reads {text:?}");
            assert!(!text.ends_with('.'), "{text:?} ends with a full stop");
        }
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
            _ = ctx.run_ui(input, |ui| found = pressed(ui.ctx(), &classes()));
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
    fn keys_are_those_on_the_sheet_in_the_reading_room() {
        let classes = classes();
        let key = |command: UiCommand| command.key(&classes).map(key_name);
        assert_eq!(key(UiCommand::Label(0)), Some("J"));
        assert_eq!(key(UiCommand::Label(1)), Some("K"));
        assert_eq!(key(UiCommand::Uninterpretable), Some(";"));
        assert_eq!(key(UiCommand::Later), Some("N"));
        assert_eq!(key(UiCommand::Help), Some("?"));
    }
}
