//! What a file says of a film beside its values: windows, polarity, units, spacing, padding.

use std::sync::Arc;

use super::Window;

/// What a file says of a film beside its values; nothing, for image files that are not DICOM.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Whether the values are a detector's and need a view to be seen, as in DICOM, or are brightness already.
    pub dicom: bool,
    /// Windows that the file gives, its default first, in film values; with the file's explanation where it has one.
    pub windows: Vec<NamedWindow>,
    /// Whether low values are bright (MONOCHROME1 or an inverse presentation LUT): swaps black and white once, after the
    /// window.
    pub inverted: bool,
    /// The value in the file's own units (Hounsfield-like, or detector counts) of film value `v` is `v * scale + offset`.
    pub scale: f32,
    /// See [`scale`](Self::scale).
    pub offset: f32,
    /// Distance between pixels.
    pub spacing: Option<Spacing>,
    /// Values, from the first to the last, that are padding, not film: shown black, left out of percentiles.
    pub padding: Option<(u16, u16)>,
    /// Where the file gives a VOI LUT instead of, or before, windows: what film values look like.
    pub voi_lut: Option<Arc<VoiLut>>,
    /// What was malformed and fell back, or is not shown, in words for the corner of the screen.
    pub notes: Vec<String>,
    /// Whether the file says that text is burned into the picture.
    pub burned_in: bool,
}

impl Default for About {
    fn default() -> Self {
        Self {
            dicom: false,
            windows: Vec::new(),
            inverted: false,
            scale: 1.0,
            offset: 0.0,
            spacing: None,
            padding: None,
            voi_lut: None,
            notes: Vec::new(),
            burned_in: false,
        }
    }
}

impl About {
    /// Turns a window over the file's own units into one over film values; [`units`](Self::units) is the way back.
    ///
    /// Both follow the linear function of DICOM, whose width is one more than the distance from black to white and whose
    /// centre lies half a unit above the middle, in units on one side and in film values on the other.
    pub fn window(&self, centre: f64, width: f64) -> Window {
        let (scale, offset) = (f64::from(self.scale), f64::from(self.offset));
        Window {
            centre: ((centre - 0.5 - offset) / scale + 0.5) as f32,
            width: ((width - 1.0) / scale + 1.0) as f32,
        }
    }

    /// Returns centre and width of a window over film values in the file's own units.
    pub fn units(&self, window: Window) -> (f64, f64) {
        let (scale, offset) = (f64::from(self.scale), f64::from(self.offset));
        (
            (f64::from(window.centre) - 0.5) * scale + offset + 0.5,
            (f64::from(window.width) - 1.0) * scale + 1.0,
        )
    }

    /// Says whether a film value is padding.
    pub fn is_padding(&self, value: u16) -> bool {
        self.padding.is_some_and(|(first, last)| (first..=last).contains(&value))
    }
}

/// A window with the name that its file gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedWindow {
    /// Explanation, such as `NORMAL` or `HARDER`; empty where the file has none.
    pub name: String,
    /// The window, in film values.
    pub window: Window,
}

/// Distance between the middles of neighbouring pixels, in millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spacing {
    /// Between rows.
    pub row_mm: f32,
    /// Between columns.
    pub column_mm: f32,
    /// Whether it is calibrated to the patient (Pixel Spacing) rather than measured at the detector, where everything is
    /// magnified (Imager Pixel Spacing).
    pub calibrated: bool,
}

/// A table from film values to what they look like before inversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiLut {
    /// Film value of the table's first entry.
    pub first: u16,
    /// From 0, black, to 65535, white; at least one entry. Film values outside take the nearest.
    pub table: Vec<u16>,
}

impl VoiLut {
    /// Returns what a film value looks like, 0 black to 65535 white.
    pub fn map(&self, value: u16) -> u16 {
        let place = usize::from(value.saturating_sub(self.first));
        self.table.get(place).or_else(|| self.table.last()).copied().unwrap_or(0)
    }
}
