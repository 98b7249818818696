//! What the left button does, and rulers.

use egui::Pos2;

use crate::imaging::Spacing;

/// What a drag with the left button does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Window and level.
    #[default]
    Window,
    /// Moves the film.
    Move,
    /// Zooms.
    Zoom,
    /// Measures.
    Ruler,
    /// Takes the window from a rectangle.
    Region,
}

impl Tool {
    /// All tools.
    pub const ALL: [Self; 5] = [Self::Window, Self::Move, Self::Zoom, Self::Ruler, Self::Region];

    /// Returns what the tool is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Window => "Window",
            Self::Move => "Move",
            Self::Zoom => "Zoom",
            Self::Ruler => "Ruler",
            Self::Region => "Window from a region",
        }
    }
}

/// A measured line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ruler {
    /// One end, in film pixels.
    pub from: Pos2,
    /// The other end.
    pub to: Pos2,
}

impl Ruler {
    /// Says how long the line is: in millimetres and where they hold, or in pixels where the film has no scale.
    pub fn text(self, spacing: Option<Spacing>) -> String {
        let across = self.to - self.from;
        let Some(Spacing { row_mm, column_mm, calibrated }) = spacing else {
            return format!("{:.0} pixels", across.length());
        };
        let length = (across.x * column_mm).hypot(across.y * row_mm);
        let place = if calibrated { "calibrated" } else { "at the detector" };
        format!("{length:.1} mm {place}")
    }
}

#[cfg(test)]
mod tests {
    use egui::pos2;

    use super::*;

    #[test]
    fn a_ruler_says_what_its_length_is_worth() {
        let ruler = Ruler { from: pos2(10.0, 10.0), to: pos2(40.0, 50.0) };
        assert_eq!(ruler.text(None), "50 pixels");
        let spacing = |calibrated| Some(Spacing { row_mm: 0.1, column_mm: 0.1, calibrated });
        assert_eq!(ruler.text(spacing(true)), "5.0 mm calibrated");
        assert_eq!(ruler.text(spacing(false)), "5.0 mm at the detector");
        let oblong = Some(Spacing { row_mm: 0.2, column_mm: 0.5, calibrated: false });
        assert_eq!(ruler.text(oblong), "17.0 mm at the detector", "15 across and 8 down");
    }
}
