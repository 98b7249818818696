//! Window and level: which stored values become black and which white.

use super::Film;

/// A window over stored values; what lies below it is black, what lies above it is white.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// The stored value that becomes mid-grey.
    pub centre: f32,
    /// How many stored values span black to white; below 1 counts as 1.
    pub width: f32,
}

impl Window {
    /// Spans every value from 0 to the film's white.
    pub fn full(film: &Film) -> Self {
        Self::spanning(0, film.white())
    }

    /// Spans the film's values from the 0.5th to the 99.5th percentile, so that markers and borders weigh little; padding
    /// is left out.
    pub fn percentile(film: &Film) -> Self {
        Self::percentile_within(film, [0, 0, film.width as usize, film.height as usize])
    }

    /// The same for the values in a part of the film that starts at `x`, `y` and is `width` by `height`.
    ///
    /// # Panics
    /// If the part reaches beyond the film.
    pub fn percentile_within(film: &Film, [x, y, width, height]: [usize; 4]) -> Self {
        let mut histogram = vec![0u64; 1 << 16];
        for row in film.values.chunks_exact(film.width as usize).skip(y).take(height) {
            for &value in &row[x..x + width] {
                histogram[usize::from(value)] += 1;
            }
        }
        if let Some((first, last)) = film.about.padding.filter(|(first, last)| first <= last) {
            histogram[usize::from(first)..=usize::from(last)].fill(0);
        }
        let tail = histogram.iter().sum::<u64>() as f64 * 0.005;
        let low = first_beyond(0..=u16::MAX, &histogram, tail);
        let high = first_beyond((0..=u16::MAX).rev(), &histogram, tail);
        Self::spanning(low.unwrap_or(0), high.unwrap_or(u16::MAX))
    }

    /// Makes `low` black and `high` white.
    fn spanning(low: u16, high: u16) -> Self {
        let width = f32::from(high) - f32::from(low) + 1.0;
        Self { centre: f32::from(low) + width / 2.0, width }
    }

    /// Maps a stored value to `0..=255` by the linear function of DICOM PS3.3 C.11.2.1.2.1.
    pub fn map(&self, value: u16) -> u8 {
        (self.brightness(value) * 255.0).round() as u8
    }

    /// Maps a stored value to 0, black, to 1, white, by the same function.
    pub fn brightness(&self, value: u16) -> f64 {
        let (value, centre) = (f64::from(value), f64::from(self.centre) - 0.5);
        let span = (f64::from(self.width) - 1.0).max(0.0);
        if value <= centre - span / 2.0 {
            0.0
        } else if value > centre + span / 2.0 {
            1.0
        } else {
            (value - centre) / span + 0.5
        }
    }
}

/// Returns the first value at which more than `tail` pixels have been passed.
fn first_beyond(
    mut values: impl Iterator<Item = u16>,
    histogram: &[u64],
    tail: f64,
) -> Option<u16> {
    let mut seen = 0;
    values.find(|&value| {
        seen += histogram[usize::from(value)];
        seen as f64 > tail
    })
}

#[cfg(test)]
mod tests {
    use super::super::{About, render};
    use super::*;

    fn film(bits: u8, values: Vec<u16>) -> Film {
        Film { width: values.len() as u32, height: 1, bits, values, about: About::default() }
    }

    #[test]
    fn the_linear_function_matches_the_standards_example() {
        // PS3.3 C.11.2.1.2.1, note: c = 2048, w = 4096 takes 0 to black and 4095 to white;
        // c = 2048, w = 1 splits at 2047.5; c = 0, w = 100 runs from -50 to 49.
        let wide = Window { centre: 2048.0, width: 4096.0 };
        assert_eq!(
            [0, 2047, 2048, 4095, 9999].map(|value| wide.map(value)),
            [0, 127, 128, 255, 255]
        );
        let step = Window { centre: 2048.0, width: 1.0 };
        assert_eq!([2047, 2048].map(|value| step.map(value)), [0, 255]);
        let below = Window { centre: 0.0, width: 100.0 };
        // ((x + 0.5) / 99 + 0.5) * 255
        assert_eq!([0, 25, 48, 49, 50].map(|value| below.map(value)), [129, 193, 252, 255, 255]);
    }

    #[test]
    fn hostile_windows_give_bytes_and_no_panic() {
        for (centre, width) in
            [(f32::NAN, 10.0), (10.0, f32::NAN), (f32::INFINITY, -3.0), (0.0, f32::INFINITY)]
        {
            let mut out = Vec::new();
            render(&film(8, vec![0, 255]), Window { centre, width }, false, &mut out);
            assert_eq!(out.len(), 2);
        }
    }

    #[test]
    fn the_full_window_leaves_8_bit_films_alone_and_inverts_exactly() {
        let film = film(8, (0..256).collect());
        let mut out = Vec::new();
        render(&film, Window::full(&film), false, &mut out);
        assert_eq!(out, (0..=255).collect::<Vec<u8>>());
        render(&film, Window::full(&film), true, &mut out);
        assert_eq!(out, (0..=255).rev().collect::<Vec<u8>>());
    }

    #[test]
    fn the_full_window_follows_the_detectors_bits() {
        for (brightest, white) in
            [(200, 255), (256, 1023), (4095, 4095), (4096, 16383), (20000, 65535)]
        {
            let film = film(16, vec![0, brightest]);
            assert_eq!(
                (film.white(), Window::full(&film).map(0), Window::full(&film).map(white)),
                (white, 0, 255)
            );
        }
    }

    #[test]
    fn the_percentile_window_ignores_half_a_percent_at_each_end() {
        let mut values = vec![1000; 500];
        values.extend(vec![3000; 500]);
        values[..5].fill(0);
        values[995..].fill(65535);
        assert_eq!(
            Window::percentile(&film(16, values.clone())),
            Window { centre: 2000.5, width: 2001.0 }
        );
        values[5] = 10;
        values[6] = 10;
        assert_eq!(Window::percentile(&film(16, values)).map(10), 0);
        let flat = film(16, vec![700; 9]);
        assert_eq!(Window::percentile(&flat), Window { centre: 700.5, width: 1.0 });
    }
}
