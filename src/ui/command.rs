//! Every command of the reading room: its words and its name, from which buttons, keys and help sheet are made.

use super::film_view::tone::Preset;
use super::film_view::tools::Tool;
use super::words::sentence;
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
    /// Films on which readers disagree.
    Review,
}

impl View {
    /// Returns whether it shows one film after the other.
    pub const fn shows_film(self) -> bool {
        matches!(self, Self::Read | Self::Review)
    }
}

/// What the reader can ask for with a key or a button, and what needs no more than its name. What carries more is a
/// [`super::request::Request`].
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
    /// Shows the film through a window by name.
    Preset(Preset),
    /// Swaps black and white.
    ToggleInvert,
    /// Turns the film clockwise by 90°.
    RotateRight,
    /// Turns the film anticlockwise by 90°.
    RotateLeft,
    /// Swaps left and right.
    FlipAcross,
    /// Swaps top and bottom.
    FlipDown,
    /// Goes back to the film's own window.
    ResetWindow,
    /// Fits the film to the view: zoom and place are as at first.
    FitView,
    /// Shows the film as at first: window, zoom, place, turns, no rulers.
    ResetView,
    /// Shows one pixel of the film as one pixel of the screen.
    OneToOne,
    /// Zooms in a step.
    ZoomIn,
    /// Zooms out a step.
    ZoomOut,
    /// Gives the left button a tool, or, if it has it, the window again.
    Tool(Tool),
    /// Shows or hides the magnifier; a key that is held shows it as long.
    Magnifier,
    /// Shows or hides the texts in the corners.
    Overlay,
    /// Ends or removes what was done last on the film: a ruler, a tool, the magnifier.
    Clear,
    /// Shows the last film equalised, or the film on screen again.
    Equalise,
    /// Shows where in the last film the model finds its class, or the film on screen again.
    HeatMap,
    /// Shows the film after this one: the one read after it, or the next one without an answer to this.
    NextFilm,
    /// Goes back to the film that was shown before, or read before.
    PreviousFilm,
    /// Hides everything but the film.
    HidePanels,
    /// Brings the panels back.
    ShowPanels,
    /// Goes to a view.
    View(View),
    /// Asks who reads.
    Reader,
    /// Opens the export dialog.
    Export,
    /// Opens or closes the settings.
    Settings,
    /// Opens or closes the help sheet.
    Help,
    /// Pauses background learning, or lets it go on.
    Pause(bool),
    /// Gives the running background learning up.
    Cancel,
    /// Starts background learning now.
    TrainNow,
    /// Closes the session and goes to the start screen.
    Close,
    /// Returns to the film that the queue stands at.
    BackToQueue,
    /// Writes a note on the film.
    Note,
    /// Takes a file that changed since the import as it is now.
    AcceptChange,
    /// Lists the films put off.
    ShowLater,
}

impl UiCommand {
    /// Returns the commands that can have keys, for a number of classes, in sections by what they are about.
    pub fn sections(classes: usize) -> [(&'static str, Vec<Self>); 5] {
        let answers =
            [Self::Uninterpretable, Self::Later, Self::Undo, Self::Note, Self::AcceptChange];
        let display = vec![
            Self::ToggleInvert,
            Self::ResetWindow,
            Self::FitView,
            Self::OneToOne,
            Self::ZoomIn,
            Self::ZoomOut,
            Self::RotateRight,
            Self::RotateLeft,
            Self::FlipAcross,
            Self::FlipDown,
            Self::ResetView,
        ];
        let tools = [Self::Magnifier, Self::Clear, Self::Overlay];
        let program = vec![
            Self::Equalise,
            Self::HeatMap,
            Self::NextFilm,
            Self::PreviousFilm,
            Self::BackToQueue,
            Self::HidePanels,
            Self::ShowPanels,
            Self::View(View::Read),
            Self::View(View::Learn),
            Self::View(View::Films),
            Self::View(View::Review),
            Self::Reader,
            Self::Export,
            Self::Settings,
            Self::Help,
        ];
        [
            ("Answers", (0..classes).map(Self::Label).chain(answers).collect()),
            ("Window", Preset::ALL.map(Self::Preset).to_vec()),
            ("Film", display),
            ("Tools", Tool::ALL.map(Self::Tool).into_iter().chain(tools).collect()),
            ("Program", program),
        ]
    }

    /// Returns the commands that can have keys, for a number of classes.
    pub fn with_keys(classes: usize) -> Vec<Self> {
        Self::sections(classes).into_iter().flat_map(|(_, commands)| commands).collect()
    }

    /// Returns what the command is called.
    pub fn text(self, classes: &[Class]) -> String {
        match self {
            Self::Label(index) => {
                return classes.get(index).map_or_else(String::new, |class| sentence(&class.name));
            }
            Self::Preset(preset) => return sentence(preset.name()),
            Self::Tool(tool) => tool.name(),
            Self::Uninterpretable => "Uninterpretable",
            Self::Later => "Later",
            Self::Undo => "Undo",
            Self::ToggleInvert => "Invert",
            Self::RotateRight => "Rotate to the right",
            Self::RotateLeft => "Rotate to the left",
            Self::FlipAcross => "Mirror left to right",
            Self::FlipDown => "Mirror top to bottom",
            Self::ResetWindow => "Reset window",
            Self::FitView => "Fit film",
            Self::ResetView => "Reset everything",
            Self::OneToOne => "Actual size",
            Self::ZoomIn => "Zoom in",
            Self::ZoomOut => "Zoom out",
            Self::Magnifier => "Magnifier",
            Self::Overlay => "Texts on the film",
            Self::Clear => "Remove ruler or end tool",
            Self::Equalise => "Last film equalised",
            Self::HeatMap => "Last film, heat map",
            Self::NextFilm => "Next film",
            Self::PreviousFilm => "Previous film",
            Self::HidePanels => "Film only",
            Self::ShowPanels => "Show panels",
            Self::View(View::Read) => "Read",
            Self::View(View::Learn) => "Learn",
            Self::View(View::Films) => "Films",
            Self::View(View::Review) => "Review",
            Self::Reader => "Change reader…",
            Self::BackToQueue => "Back to the queue",
            Self::Note => "Note…",
            Self::AcceptChange => "Take the file as it is now",
            Self::ShowLater => "Films put off",
            Self::Export => "Export…",
            Self::Settings => "Settings…",
            Self::Help => "Keys and mouse",
            Self::Pause(true) => "Pause",
            Self::Pause(false) => "Go on",
            Self::Cancel => "Cancel",
            Self::TrainNow => "Train now",
            Self::Close => "Close session",
        }
        .to_owned()
    }

    /// Returns the name under which the settings keep the command's keys, if it can have any.
    pub fn id(self) -> Option<String> {
        Some(
            match self {
                Self::Label(index) => return Some(format!("label-{}", index + 1)),
                Self::Preset(preset) => match preset {
                    Preset::Default => "window-default",
                    Preset::Second => "window-second",
                    Preset::Auto => "window-auto",
                    Preset::Lung => "window-lung",
                    Preset::Mediastinum => "window-mediastinum",
                    Preset::Bone => "window-bone",
                    Preset::Full => "window-full",
                },
                Self::Tool(tool) => match tool {
                    Tool::Window => "tool-window",
                    Tool::Move => "tool-move",
                    Tool::Zoom => "tool-zoom",
                    Tool::Ruler => "tool-ruler",
                    Tool::Region => "tool-region",
                },
                Self::Uninterpretable => "uninterpretable",
                Self::Later => "later",
                Self::Undo => "undo",
                Self::ToggleInvert => "invert",
                Self::RotateRight => "rotate-right",
                Self::RotateLeft => "rotate-left",
                Self::FlipAcross => "mirror",
                Self::FlipDown => "flip",
                Self::ResetWindow => "reset-window",
                Self::FitView => "fit",
                Self::ResetView => "reset",
                Self::OneToOne => "actual-size",
                Self::ZoomIn => "zoom-in",
                Self::ZoomOut => "zoom-out",
                Self::Magnifier => "magnifier",
                Self::Overlay => "overlay",
                Self::Clear => "clear",
                Self::Equalise => "equalise",
                Self::HeatMap => "heat-map",
                Self::NextFilm => "next-film",
                Self::PreviousFilm => "previous-film",
                Self::HidePanels => "film-only",
                Self::ShowPanels => "show-panels",
                Self::View(View::Read) => "read",
                Self::View(View::Learn) => "learn",
                Self::View(View::Films) => "films",
                Self::View(View::Review) => "review",
                Self::Reader => "reader",
                Self::BackToQueue => "queue",
                Self::Note => "note",
                Self::AcceptChange => "accept-change",
                Self::Export => "export",
                Self::Settings => "settings",
                Self::Help => "help",
                Self::Pause(_) | Self::Cancel | Self::TrainNow | Self::Close | Self::ShowLater => {
                    return None;
                }
            }
            .to_owned(),
        )
    }

    /// Returns whether the command answers for the film on screen.
    pub const fn answers(self) -> bool {
        matches!(self, Self::Label(_) | Self::Uninterpretable | Self::Later)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_has_words_in_sentence_case_and_a_name_of_its_own() {
        let classes = Class::defaults();
        let mut names = BTreeSet::new();
        for command in UiCommand::with_keys(classes.len()) {
            let text = command.text(&classes);
            assert!(text.starts_with(char::is_uppercase), "{command:?} reads {text:?}");
            assert!(!text.ends_with('.'), "{text:?} ends with a full stop");
            let name = command.id().unwrap_or_else(|| panic!("{command:?} has no name"));
            assert!(names.insert(name), "{command:?} shares its name");
        }
    }
}
