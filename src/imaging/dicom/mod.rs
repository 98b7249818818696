//! DICOM radiographs (CR, DX, secondary capture) to films: PS3.3, PS3.5 and PS3.10.
//!
//! The order is the standard's: stored value, modality LUT or rescale, then, when the film is shown, VOI LUT or window,
//! then inversion, once. Film values are modality values moved and, where the rescale slope is negative, turned so that
//! they lie in 16 bits and grow with them; [`About::scale`] and [`About::offset`] lead back. What is malformed and can be
//! done without is noted in [`About::notes`].
//!
//! Nothing is allocated by a length that the file claims but has not: elements are slices of the file, and the size of the
//! picture is checked before and against that of its coded frame. See [`refusal::Deadline`] for time.

mod dataset;
mod file;
mod jpeg_ls;
mod lut;
mod patient;
mod pixels;
mod refusal;
mod values;
mod voi;

mod rle;
#[cfg(test)]
mod tests;

use std::path::Path;

use dicom_dictionary_std::{tags, uids};

pub use self::file::recognise;
pub use self::patient::PatientId;

use self::dataset::{DataSet, Elements};
use self::file::{Codec, File};
use self::pixels::{Colour, Layout};
use self::refusal::{Deadline, Refusal};
use self::values::Mapping;
use super::{About, DecodeError, Film, NamedWindow, Spacing, Window, decode};

/// Classes of objects that are radiographs.
const RADIOGRAPHS: [&str; 8] = [
    uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE,
];

/// Decodes the first frame of a radiograph, with the patient whose it is, if the file says.
///
/// # Errors
/// When the file is no radiograph, is of a kind that is not read, is malformed, or is too large.
pub fn read(bytes: &[u8], path: &Path) -> Result<(Film, Option<PatientId>), DecodeError> {
    let deadline = Deadline::start();
    let read = || {
        let file = file::open(bytes, deadline)?;
        let set = dataset::read(&file.body, file.syntax, file.big_endian, deadline)?;
        check_kind(&set.top)?;
        let patient = PatientId::of(&set.top);
        Ok((film(&file, &set, deadline)?, patient))
    };
    read().map_err(|refusal: Refusal| refusal.of(path))
}

/// Reads the patient of a DICOM file; none where it is not one, is malformed, or does not say.
pub fn patient(bytes: &[u8]) -> Option<PatientId> {
    let deadline = Deadline::start();
    let file = file::open(bytes, deadline).ok()?;
    let set = dataset::read(&file.body, file.syntax, file.big_endian, deadline).ok()?;
    PatientId::of(&set.top)
}

/// Refuses what is no radiograph.
fn check_kind(top: &Elements<'_>) -> Result<(), Refusal> {
    let not = |what: &str| Err(Refusal::NotAFilm(what.to_owned()));
    if top.element(tags::DIRECTORY_RECORD_SEQUENCE).is_some()
        || top.element(tags::FILE_SET_ID).is_some()
        || top
            .text(tags::OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY)
            .is_some()
    {
        return not("a DICOMDIR, the index of other files");
    }
    if top.element(tags::ENCAPSULATED_DOCUMENT).is_some() {
        return not("an encapsulated document, such as a PDF");
    }
    match top.code(tags::SOP_CLASS_UID) {
        // Exports that were stripped of it are taken by their pixels.
        None => Ok(()),
        Some(class) if RADIOGRAPHS.contains(&class.as_str()) => Ok(()),
        Some(class) => not(&format!("an object of class {class}, not CR, DX or secondary capture")),
    }
}

fn film(file: &File<'_>, set: &DataSet<'_>, deadline: Deadline) -> Result<Film, Refusal> {
    if set.native.is_none() && set.fragments.is_none() {
        return Err(Refusal::NotAFilm("it has no pixels".to_owned()));
    }
    let codec = match &file.codec {
        Ok(codec) => *codec,
        Err(Refusal::Unsupported(reason)) => return Err(Refusal::Unsupported(reason.clone())),
        Err(_) => return Err(Refusal::Unsupported("its transfer syntax".to_owned())),
    };
    let layout = Layout::read(set)?;
    let mut about = About {
        dicom: true,
        spacing: spacing(&set.top),
        burned_in: set.top.code(tags::BURNED_IN_ANNOTATION).as_deref() == Some("YES"),
        ..About::default()
    };
    if layout.frames > 1 {
        about.notes.push(format!("the first of {} frames", layout.frames));
    }
    let raw = layout.first_frame(set, codec, file.big_endian, deadline)?;
    let (bits, values) = match layout.colour {
        Colour::Grey { inverted } => {
            let mapping = Mapping::read(set, &layout, &mut about);
            about.inverted = inverted || inverse_shape(&set.top, &mut about.notes);
            voi::read(set, &mapping, &mut about);
            let values = raw.into_iter().map(|raw| mapping.table[usize::from(raw)]).collect();
            (mapping.bits, values)
        }
        colour => {
            // The decoder of JPEG has made RGB of it.
            let colour = if codec == Codec::Jpeg { Colour::Rgb } else { colour };
            // Colour is shown as it is: its values are brightness, not a detector's.
            let window = Window { centre: 128.0, width: 256.0 };
            about.windows.push(NamedWindow { name: String::new(), window });
            (8, luma(&raw, colour))
        }
    };
    Ok(Film { width: layout.columns, height: layout.rows, bits, values, about })
}

/// Says whether the presentation LUT swaps black and white, alone or together with MONOCHROME1.
fn inverse_shape(top: &Elements<'_>, notes: &mut Vec<String>) -> bool {
    let inverse = top.code(tags::PRESENTATION_LUT_SHAPE).as_deref() == Some("INVERSE");
    if inverse && top.code(tags::PHOTOMETRIC_INTERPRETATION).as_deref() == Some("MONOCHROME2") {
        notes.push("MONOCHROME2 with an inverse presentation LUT: shown inverted".to_owned());
    }
    inverse
}

/// Turns interleaved channels into brightness, as for other image files.
fn luma(raw: &[u16], colour: Colour) -> Vec<u16> {
    let pixel = |&[a, b, c]: &[u16; 3]| {
        let rgb = if colour == Colour::Ybr { rgb([a, b, c]) } else { [a, b, c] };
        decode::luma(3, |channel| rgb[channel])
    };
    raw.as_chunks::<3>().0.iter().map(pixel).collect()
}

/// Turns full-range YBR into RGB (PS3.3 C.7.6.3.1.2).
fn rgb([y, b, r]: [u16; 3]) -> [u16; 3] {
    let [y, b, r] = [f32::from(y), f32::from(b) - 128.0, f32::from(r) - 128.0];
    [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b]
        .map(|channel| channel.round().clamp(0.0, 255.0) as u16)
}

/// Reads the distance between pixels (PS3.3 10.7.1.3): Pixel Spacing is calibrated where it differs from Imager Pixel
/// Spacing, which is the detector's, or where the file says how it was calibrated.
fn spacing(top: &Elements<'_>) -> Option<Spacing> {
    let pair = |tag| match top.numbers(tag)[..] {
        [row, column] if row > 0.0 && column > 0.0 && row < 100.0 && column < 100.0 => {
            Some((row as f32, column as f32))
        }
        _ => None,
    };
    let (pixel, imager) = (pair(tags::PIXEL_SPACING), pair(tags::IMAGER_PIXEL_SPACING));
    let ((row_mm, column_mm), calibrated) = match (pixel, imager) {
        (Some(pixel), imager) => {
            let said = top.text(tags::PIXEL_SPACING_CALIBRATION_TYPE).is_some();
            (pixel, said || imager.is_some_and(|imager| imager != pixel))
        }
        (None, Some(imager)) => (imager, false),
        (None, None) => return None,
    };
    Some(Spacing { row_mm, column_mm, calibrated })
}
