//! Film values to the grey of the screen by table, fast enough to follow a drag.

use super::{Film, View, Window};

/// How many values a table maps: all that 16 bits can hold.
const VALUES: usize = 1 << 16;

/// The grey of every film value under one view.
///
/// Making it costs a computation for each value on the window's slope and a fill for the rest; applying it costs a load
/// and a store a pixel, whatever the view.
#[derive(Clone, Debug)]
pub struct DisplayTable {
    /// `VALUES` of them.
    grey: Vec<u8>,
}

impl Default for DisplayTable {
    fn default() -> Self {
        Self { grey: vec![0; VALUES] }
    }
}

impl DisplayTable {
    /// Fills the table for films of one kind: `invert` swaps black and white of what is shown, which is swapped already
    /// where [`About::inverted`](super::About) says so; padding is black in any case.
    pub fn set(&mut self, film: &Film, view: &View, invert: bool) {
        let mask = if invert == film.about.inverted { 0 } else { 255 };
        let grey = |value: u16| (view.brightness(value) * 255.0).round() as u8 ^ mask;
        // No value of an 8-bit film lies beyond.
        let end = if film.bits <= 8 { 256 } else { VALUES };
        let slope = match view {
            View::Window(window) => slope(*window),
            View::Lut(_) => 0..VALUES,
        };
        let slope = slope.start.min(end)..slope.end.min(end);
        self.grey[..slope.start].fill(mask);
        for (value, entry) in slope.clone().zip(&mut self.grey[slope.clone()]) {
            *entry = grey(value as u16);
        }
        self.grey[slope.end..].fill(!mask);
        if let Some((first, last)) = film.about.padding.filter(|(first, last)| first <= last) {
            self.grey[usize::from(first)..=usize::from(last)].fill(0);
        }
    }

    /// Returns the grey of a film value.
    pub fn grey(&self, value: u16) -> u8 {
        self.grey.get(usize::from(value)).copied().unwrap_or(0)
    }

    /// Replaces `out` by the part of a film that starts at `x`, `y` and is `width` by `height`, each pixel as `pixel`
    /// makes it of its grey; `out` keeps its memory.
    ///
    /// # Panics
    /// If the part reaches beyond the film.
    pub fn render<T>(
        &self,
        film: &Film,
        [x, y, width, height]: [usize; 4],
        pixel: impl Fn(u8) -> T,
        out: &mut Vec<T>,
    ) {
        let columns = film.width as usize;
        out.clear();
        // A table of known length needs no check a pixel.
        let Ok(grey) = <&[u8; VALUES]>::try_from(self.grey.as_slice()) else { return };
        if width == columns {
            let values = &film.values[y * columns..(y + height) * columns];
            out.extend(values.iter().map(|&value| pixel(grey[usize::from(value)])));
            return;
        }
        out.reserve(width * height);
        for row in film.values[y * columns..(y + height) * columns].chunks_exact(columns) {
            out.extend(row[x..x + width].iter().map(|&value| pixel(grey[usize::from(value)])));
        }
    }
}

/// Returns a range of values outside of which a window is black below and white above; all, for a window of no numbers.
fn slope(window: Window) -> std::ops::Range<usize> {
    let (centre, width) = (f64::from(window.centre), f64::from(window.width));
    if !centre.is_finite() || !width.is_finite() {
        return 0..VALUES;
    }
    let half = (width - 1.0).max(0.0) / 2.0;
    // One more at each end, so that rounding here decides nothing.
    let place = |value: f64| value.clamp(0.0, VALUES as f64) as usize;
    place((centre - 0.5 - half).floor() - 1.0)..place((centre - 0.5 + half).ceil() + 2.0)
}

impl View {
    /// Returns the window that shows mid-greys as the view does: itself, or for a table the window with the same film
    /// values at a quarter and three quarters of brightness.
    ///
    /// A drag that leaves a table starts from it. A falling table has a falling window's values and is taken for rising,
    /// because a window cannot fall.
    pub fn equivalent(&self) -> Window {
        let lut = match self {
            Self::Window(window) => return *window,
            Self::Lut(lut) => lut,
        };
        let first = usize::from(lut.first);
        let rising = lut.table.last() >= lut.table.first();
        let beyond = |level: u16| {
            let found = lut.table.iter().position(|&v| if rising { v >= level } else { v < level });
            (first + found.unwrap_or(lut.table.len())) as f32
        };
        let (one, other) = (beyond(16384), beyond(49152));
        let (low, high) = (one.min(other), one.max(other));
        Window { centre: f32::midpoint(low, high) + 0.5, width: (2.0 * (high - low)).max(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::{About, VoiLut};
    use super::*;

    fn film(bits: u8, values: Vec<u16>, about: About) -> Film {
        Film { width: values.len() as u32, height: 1, bits, values, about }
    }

    fn direct(film: &Film, view: &View, invert: bool, value: u16) -> u8 {
        if film.about.is_padding(value) {
            return 0;
        }
        let grey = (view.brightness(value) * 255.0).round() as u8;
        if invert == film.about.inverted { grey } else { 255 - grey }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        #[test]
        fn the_table_is_the_view_value_by_value(
            centre in -80_000.0_f32..150_000.0,
            width in prop_oneof![0.0_f32..3.0, 1.0_f32..400.0, 1.0_f32..200_000.0],
            inverted: bool, invert: bool, padding in proptest::option::of((0_u16..9, 9_u16..90)),
        ) {
            let about = About { inverted, padding, ..About::default() };
            let film = film(16, vec![0], about);
            let view = View::Window(Window { centre, width });
            let mut table = DisplayTable::default();
            table.set(&film, &view, invert);
            for value in (0..=u16::MAX).step_by(61).chain(0..100).chain(65_400..=65_535) {
                prop_assert_eq!(table.grey(value), direct(&film, &view, invert, value));
            }
            // Where black ends and where white begins.
            for edge in [centre - width / 2.0, centre + width / 2.0] {
                let edge = edge.clamp(8.0, 65_527.0) as u16;
                for value in edge - 8..=edge + 8 {
                    prop_assert_eq!(table.grey(value), direct(&film, &view, invert, value));
                }
            }
        }
    }

    #[test]
    fn hostile_windows_and_tables_are_followed_too() {
        let mut table = DisplayTable::default();
        let lut = VoiLut { first: 3, table: vec![0, 30_000, 65_535, 12] };
        let film = film(8, vec![0], About::default());
        for view in [
            View::Lut(Arc::new(lut)),
            View::Window(Window { centre: f32::NAN, width: 3.0 }),
            View::Window(Window { centre: 3.0, width: f32::INFINITY }),
        ] {
            table.set(&film, &view, false);
            for value in 0..=255 {
                assert_eq!(table.grey(value), direct(&film, &view, false, value), "{view:?}");
            }
        }
    }

    #[test]
    fn a_part_is_cut_out_of_the_film() {
        let film = Film {
            width: 4,
            height: 3,
            bits: 16,
            values: (0..12).map(|v| v * 10).collect(),
            about: About::default(),
        };
        let mut table = DisplayTable::default();
        table.set(&film, &View::Window(Window::full(&film)), false);
        let mut out = vec![9];
        table.render(&film, [1, 1, 2, 2], |grey| grey, &mut out);
        assert_eq!(out, [50, 60, 90, 100]);
        table.render(&film, [0, 2, 4, 1], |grey| 255 - grey, &mut out);
        assert_eq!(out, [175, 165, 155, 145]);
    }

    #[test]
    fn a_drag_from_a_table_starts_where_its_greys_are() {
        // A straight ramp is its own window; a sigmoid with centre c and width w has its quarters at c ± w ln 3 / 4
        // (PS3.3 C.11.2.1.3.1), which makes a window of w ln 3.
        let ramp: Vec<u16> = (0..1000_u32).map(|v| (v * 65_535 / 999) as u16).collect();
        let window = View::Lut(Arc::new(VoiLut { first: 200, table: ramp })).equivalent();
        assert!((window.centre - 700.0).abs() < 2.0 && (window.width - 1000.0).abs() < 4.0);
        let (c, w) = (2048.0, 1000.0);
        let sigmoid = |v: u32| 65_535.0 / (1.0 + (-4.0 * (f64::from(v) - c) / w).exp());
        let table: Vec<u16> = (0..4096).map(|v| sigmoid(v) as u16).collect();
        let window = View::Lut(Arc::new(VoiLut { first: 0, table })).equivalent();
        assert!((f64::from(window.centre) - c).abs() < 2.0, "{window:?}");
        assert!((f64::from(window.width) - w * 3f64.ln()).abs() < 5.0, "{window:?}");
        let flat = View::Lut(Arc::new(VoiLut { first: 7, table: vec![0] })).equivalent();
        assert!(flat.width >= 1.0 && flat.centre.is_finite());
    }
}
