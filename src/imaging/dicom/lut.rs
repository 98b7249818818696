//! Lookup tables of DICOM (PS3.3 C.11.1 and C.11.2), which are malformed often enough to be checked in full.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::dataset::Elements;

/// A lookup table as a file gives it.
#[derive(Debug, PartialEq, Eq)]
pub struct Lut {
    /// The input that maps to the first entry.
    pub first: i32,
    /// At least one entry, none above `2^bits - 1`.
    pub entries: Vec<u16>,
    /// Bits of an entry, 8 to 16.
    pub bits: u8,
}

impl Lut {
    /// Reads the table of a sequence's item; `signed` says how its input is counted where the file leaves that open.
    ///
    /// # Errors
    /// Says, in words, what is malformed.
    pub fn read(item: &Elements<'_>, signed: bool) -> Result<Self, String> {
        let descriptor = item.words(tags::LUT_DESCRIPTOR);
        let &[count, first, bits] = descriptor.as_slice() else {
            return Err(format!("its descriptor has {} values, not 3", descriptor.len()));
        };
        let count = if count == 0 { 1 << 16 } else { usize::from(count) };
        if !(8..=16).contains(&bits) {
            return Err(format!("its entries have {bits} bits"));
        }
        let signed = match item.element(tags::LUT_DESCRIPTOR).map(|element| element.vr) {
            Some(VR::SS) => true,
            // A table that begins at 32768 or above is one whose first input was meant to be negative.
            _ => signed,
        };
        let first = if signed { i32::from(first as i16) } else { i32::from(first) };
        let data = item.element(tags::LUT_DATA).ok_or("it has no entries")?;
        // Entries of 8 bits may be packed, two in a word.
        let entries: Vec<u16> = if bits == 8 && data.bytes.len() == count.next_multiple_of(2) {
            packed(item, count)
        } else {
            item.words(tags::LUT_DATA)
        };
        if entries.len() != count {
            return Err(format!("it has {} entries, not {count}", entries.len()));
        }
        let highest = ((1_u32 << bits) - 1) as u16;
        if let Some(above) = entries.iter().find(|&&entry| entry > highest) {
            return Err(format!("its entry {above} does not fit {bits} bits"));
        }
        if entries.iter().all(|&entry| entry == entries[0]) {
            return Err("all its entries are equal".to_owned());
        }
        Ok(Self { first, entries, bits: bits as u8 })
    }

    /// Looks an input up; inputs outside the table take the nearest entry.
    pub fn map(&self, input: i32) -> u16 {
        let place = i64::from(input) - i64::from(self.first);
        self.entries[place.clamp(0, self.entries.len() as i64 - 1) as usize]
    }
}

/// Splits words into entries of 8 bits, the low byte first.
fn packed(item: &Elements<'_>, count: usize) -> Vec<u16> {
    let words = item.words(tags::LUT_DATA);
    words.iter().flat_map(|word| [word & 0xFF, word >> 8]).take(count).collect()
}
