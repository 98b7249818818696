//! Stored values to film values: sign, rescale or modality LUT, padding.

use dicom_dictionary_std::tags;

use super::super::About;
use super::dataset::{DataSet, Elements};
use super::lut::Lut;
use super::pixels::Layout;

/// How stored values become film values.
pub struct Mapping {
    /// Film value of each stored word.
    pub table: Vec<u16>,
    /// Bits of film values, 8 or 16.
    pub bits: u8,
    /// The highest film value that there can be.
    pub highest: u16,
    /// Whether values before the VOI LUT can be negative.
    pub signed: bool,
    /// Whether those values are what the file's windows and VOI LUT are about.
    pub sound: bool,
}

impl Mapping {
    /// Reads the modality LUT or the rescale and the padding, and records units and padding.
    pub fn read(set: &DataSet<'_>, layout: &Layout, about: &mut About) -> Self {
        if let Some(item) = &set.modality_lut {
            match Lut::read(item, layout.signed) {
                Ok(lut) => return Self::by_lut(set, layout, &lut, about),
                Err(flaw) => {
                    about.notes.push(format!("the modality LUT is malformed ({flaw}): left out"));
                    return Self {
                        sound: false,
                        ..Self::by_rescale(set, layout, (1.0, 0.0), about)
                    };
                }
            }
        }
        let one = |tag, default| match set.top.numbers(tag).first() {
            Some(number) => Some(*number).filter(|number| number.abs() < 1e9),
            None => Some(default),
        };
        let slope = one(tags::RESCALE_SLOPE, 1.0).filter(|slope| slope.abs() > 1e-9);
        if let Some(rescale) = slope.zip(one(tags::RESCALE_INTERCEPT, 0.0)) {
            return Self::by_rescale(set, layout, rescale, about);
        }
        about.notes.push("the rescale is malformed: left out".to_owned());
        Self { sound: false, ..Self::by_rescale(set, layout, (1.0, 0.0), about) }
    }

    fn by_rescale(
        set: &DataSet<'_>,
        layout: &Layout,
        (slope, intercept): (f64, f64),
        about: &mut About,
    ) -> Self {
        let (lowest, highest) = range(layout);
        let turned = slope < 0.0;
        let film = |stored: i32| (if turned { highest - stored } else { stored - lowest }) as u16;
        let words = 1_u32 << layout.bits;
        let table = (0..words).map(|word| film(stored(word as u16, layout))).collect();
        about.scale = slope.abs() as f32;
        let base = if turned { highest } else { lowest };
        about.offset = (slope * f64::from(base) + intercept) as f32;
        about.padding = padding(&set.top, layout, &mut about.notes).map(|(first, last)| {
            let ends = [film(first), film(last)];
            (ends[0].min(ends[1]), ends[0].max(ends[1]))
        });
        Self {
            table,
            bits: if layout.bits <= 8 { 8 } else { 16 },
            highest: (highest - lowest) as u16,
            signed: slope.min(0.0) * f64::from(highest)
                + slope.max(0.0) * f64::from(lowest)
                + intercept
                < 0.0,
            sound: true,
        }
    }

    fn by_lut(set: &DataSet<'_>, layout: &Layout, lut: &Lut, about: &mut About) -> Self {
        let words = 1_u32 << layout.bits;
        let mut table: Vec<u16> =
            (0..words).map(|word| lut.map(stored(word as u16, layout))).collect();
        if let Some((first, last)) = padding(&set.top, layout, &mut about.notes) {
            // Padding gets a value that nothing else has.
            let free = (0..=u16::MAX).rev().find(|value| !lut.entries.contains(value));
            if let Some(free) = free {
                for (word, value) in table.iter_mut().enumerate() {
                    if (first..=last).contains(&stored(word as u16, layout)) {
                        *value = free;
                    }
                }
                about.padding = Some((free, free));
            }
        }
        Self { table, bits: 16, highest: u16::MAX, signed: false, sound: true }
    }
}

/// Returns the lowest and the highest stored value.
fn range(layout: &Layout) -> (i32, i32) {
    let values = 1 << layout.bits;
    if layout.signed { (-values / 2, values / 2 - 1) } else { (0, values - 1) }
}

/// Returns the value of a stored word.
fn stored(word: u16, layout: &Layout) -> i32 {
    let value = i32::from(word);
    if layout.signed && value >= 1 << (layout.bits - 1) {
        value - (1 << layout.bits)
    } else {
        value
    }
}

/// Reads the stored values that are padding (PS3.3 C.7.5.1.1.2), the lower first.
fn padding(top: &Elements<'_>, layout: &Layout, notes: &mut Vec<String>) -> Option<(i32, i32)> {
    let value = |tag| {
        let word = top.word(tag)?;
        Some(if layout.signed { i32::from(word as i16) } else { i32::from(word) })
    };
    let first = value(tags::PIXEL_PADDING_VALUE)?;
    let last = value(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(first);
    let (first, last) = (first.min(last), first.max(last));
    let (lowest, highest) = range(layout);
    if first > highest || last < lowest {
        notes.push("the padding value is none that can be stored: left out".to_owned());
        return None;
    }
    Some((first.max(lowest), last.min(highest)))
}
