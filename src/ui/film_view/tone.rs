//! Through which window a film is seen: presets, a window of the reader's own, and what either is called.

use std::borrow::Cow;

use crate::imaging::{View, Window};
use crate::ui::film_loader::LoadedFilm;

/// A window by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// What the file shows first, its VOI LUT or a window of it; [`Preset::Auto`] for files that say nothing.
    Default,
    /// The file's second window; [`Preset::Default`] for files that have none.
    Second,
    /// The 0.5th to the 99.5th percentile of the film.
    Auto,
    /// The darker part of that range.
    Lung,
    /// The brighter part: mediastinum, what lies behind the heart and below the diaphragm.
    Mediastinum,
    /// The brightest part, soft tissue dark.
    Bone,
    /// Every value.
    Full,
}

impl Preset {
    /// All presets, in the order of their keys.
    pub const ALL: [Self; 7] = [
        Self::Auto,
        Self::Default,
        Self::Second,
        Self::Lung,
        Self::Mediastinum,
        Self::Bone,
        Self::Full,
    ];

    /// Returns what the preset is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default of the file",
            Self::Second => "second window of the file",
            Self::Auto => "auto",
            Self::Lung => "lung",
            Self::Mediastinum => "mediastinum",
            Self::Bone => "bone",
            Self::Full => "full range",
        }
    }

    /// Returns where in the percentile range, 0 its black end to 1 its white, the window has its centre, and how much of
    /// the range it spans.
    ///
    /// Detectors have no absolute units, so the parts of a chest are where they lie between the darkest and the
    /// brightest of the film itself. Chosen by eye on frontal films; a drag goes on from there.
    const fn share(self) -> Option<(f32, f32)> {
        match self {
            Self::Lung => Some((0.42, 0.65)),
            Self::Mediastinum => Some((0.72, 0.55)),
            Self::Bone => Some((0.70, 0.80)),
            Self::Default | Self::Second | Self::Auto | Self::Full => None,
        }
    }

    /// Returns which of the file's windows is its second: with a VOI LUT before them, the first one.
    fn second_place(film: &LoadedFilm) -> usize {
        usize::from(film.about().voi_lut.is_none())
    }

    /// Returns what the preset makes of a film.
    pub fn view(self, film: &LoadedFilm) -> View {
        match self {
            Self::Default => film.first.clone(),
            Self::Second => {
                let window = film.about().windows.get(Self::second_place(film));
                window.map_or_else(|| film.first.clone(), |named| View::Window(named.window))
            }
            Self::Full => View::Window(film.full),
            Self::Auto | Self::Lung | Self::Mediastinum | Self::Bone => {
                let (centre, width) = self.share().unwrap_or((0.5, 1.0));
                let centre = if film.about().inverted { 1.0 - centre } else { centre };
                View::Window(Relative { centre, width }.of(film.auto))
            }
        }
    }
}

/// A window as a share of a film's percentile window, so that it can be carried to another film.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Relative {
    /// 0 at the low end to 1 at the high end.
    centre: f32,
    width: f32,
}

impl Relative {
    fn to(window: Window, auto: Window) -> Self {
        let span = auto.width.max(1.0);
        let low = auto.centre - auto.width / 2.0;
        Self { centre: (window.centre - low) / span, width: window.width / span }
    }

    fn of(self, auto: Window) -> Window {
        let span = auto.width.max(1.0);
        let low = auto.centre - auto.width / 2.0;
        Window { centre: low + self.centre * span, width: (self.width * span).max(1.0) }
    }
}

/// Through which window a film is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tone {
    /// A window by name.
    Preset(Preset),
    /// A window set by hand.
    Hand(Window),
    /// The percentiles of a rectangle that the reader drew.
    Region(Window),
}

impl Tone {
    /// Returns how film values become grey.
    pub fn view(self, film: &LoadedFilm) -> View {
        match self {
            Self::Preset(preset) => preset.view(film),
            Self::Hand(window) | Self::Region(window) => View::Window(window),
        }
    }

    /// Returns what it is called in the corner of a film; empty for a window set by hand.
    pub fn name(self, film: &LoadedFilm) -> Cow<'static, str> {
        let about = film.about();
        let named = |place: usize, otherwise: &'static str| {
            let name = about.windows.get(place)?.name.trim();
            Some(if name.is_empty() { otherwise.into() } else { name.to_lowercase().into() })
        };
        match self {
            Self::Hand(_) => "".into(),
            Self::Region(_) => "region".into(),
            Self::Preset(Preset::Default) if about.voi_lut.is_some() => "table of the file".into(),
            Self::Preset(Preset::Default) => {
                named(0, "window of the file").unwrap_or_else(|| Preset::Auto.name().into())
            }
            Self::Preset(preset @ Preset::Second) => {
                let found = named(Preset::second_place(film), preset.name());
                found.unwrap_or_else(|| Self::Preset(Preset::Default).name(film))
            }
            Self::Preset(preset) => preset.name().into(),
        }
    }

    /// Returns what a film that follows is seen through: the same preset, or a window that lies in its percentile range as
    /// this one did in that of the film before, because values of two detectors cannot be compared.
    pub fn carried(self, before: Window, after: Window) -> Self {
        match self {
            Self::Preset(_) => self,
            Self::Hand(window) | Self::Region(window) => {
                Self::Hand(Relative::to(window, before).of(after))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::imaging::{About, Film, NamedWindow, VoiLut};

    fn film(about: About) -> LoadedFilm {
        let values = (0..=1000).collect();
        LoadedFilm::new(Film { width: 1001, height: 1, bits: 16, values, about })
    }

    fn window(tone: Tone, film: &LoadedFilm) -> Window {
        tone.view(film).equivalent()
    }

    #[test]
    fn presets_lie_within_the_films_own_range() {
        let plain = film(About::default());
        let auto = window(Tone::Preset(Preset::Auto), &plain);
        assert_eq!(auto, plain.auto);
        assert_eq!(window(Tone::Preset(Preset::Default), &plain), plain.auto);
        assert_eq!(Tone::Preset(Preset::Second).name(&plain).as_ref(), "auto");
        let centre = |preset| window(Tone::Preset(preset), &plain).centre;
        assert!(centre(Preset::Lung) < auto.centre && auto.centre < centre(Preset::Mediastinum));
        // Where low values are bright, the lung's are the high ones.
        let negative = film(About { inverted: true, ..About::default() });
        assert!(window(Tone::Preset(Preset::Lung), &negative).centre > negative.auto.centre);
    }

    #[test]
    fn the_files_own_windows_come_first_by_name() {
        let named = |name: &str, centre| NamedWindow {
            name: name.to_owned(),
            window: Window { centre, width: 50.0 },
        };
        let windows = vec![named("NORMAL", 100.0), named("", 200.0)];
        let dicom = film(About { windows: windows.clone(), ..About::default() });
        let (first, second) = (Tone::Preset(Preset::Default), Tone::Preset(Preset::Second));
        assert_eq!((window(first, &dicom).centre, first.name(&dicom).as_ref()), (100.0, "normal"));
        assert_eq!(window(second, &dicom).centre, 200.0);
        assert_eq!(second.name(&dicom).as_ref(), "second window of the file");
        let lut = Some(Arc::new(VoiLut { first: 0, table: vec![0, 65_535] }));
        let table = film(About { windows, voi_lut: lut, ..About::default() });
        assert!(matches!(first.view(&table), View::Lut(_)));
        assert_eq!(first.name(&table).as_ref(), "table of the file");
        assert_eq!(window(second, &table).centre, 100.0, "the window behind the table");
    }

    #[test]
    fn a_window_set_by_hand_keeps_its_place_in_the_range() {
        let (before, after) =
            (Window { centre: 500.0, width: 1000.0 }, Window { centre: 20_000.0, width: 10_000.0 });
        let hand = Tone::Hand(Window { centre: 250.0, width: 100.0 });
        assert_eq!(
            hand.carried(before, after),
            Tone::Hand(Window { centre: 17_500.0, width: 1000.0 })
        );
        let lung = Tone::Preset(Preset::Lung);
        assert_eq!(lung.carried(before, after), lung);
    }
}
