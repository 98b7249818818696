//! The film that was answered last, in place of the one on screen: after its label only, and never the film to be read.

mod equalised;
mod heat_map;
mod picture;

use egui::Ui;

pub use self::equalised::Equalised;
pub use self::heat_map::HeatMap;

use super::command::UiCommand;

/// What is shown of the last film.
pub enum Aside {
    /// The film equalised.
    Equalised(Equalised),
    /// The film under the map of its likeliest class.
    HeatMap(HeatMap),
}

impl Aside {
    /// Draws it; returns whether the reader goes back to the film that waits.
    pub fn ui(&mut self, ui: &mut Ui) -> bool {
        match self {
            Self::Equalised(equalised) => equalised.ui(ui),
            Self::HeatMap(map) => map.ui(ui),
        }
    }

    /// Returns the command that ends it.
    pub const fn command(&self) -> UiCommand {
        match self {
            Self::Equalised(_) => UiCommand::Equalise,
            Self::HeatMap(_) => UiCommand::HeatMap,
        }
    }
}
