//! Decoding: image files of 8 or 16 bits a channel to grey films, refusing what is broken, foreign or too large.

use std::fs::File;
use std::io::{self, Cursor, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader,
    Limits,
};

use super::{About, Film, PatientId, dicom};

/// The most pixels of a film that is decoded.
pub const MAX_PIXELS: u64 = 100_000_000;
/// The most memory that a decoded film may take, in bytes, with all its channels.
pub const MAX_DECODED_BYTES: u64 = 512 << 20;
/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

/// Why a file is not taken as a film: each message is one plain sentence that ends in the file.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file could not be read.
    #[error("could not read the file ({fault}): {}", path.display())]
    Read {
        /// The operating system's reason.
        fault: io::Error,
        /// The file.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("the file is empty: {}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The content is none of the formats that are read.
    #[error("not a DICOM, PNG, JPEG, TIFF, BMP or WebP image: {}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The content is a DICOM file without a radiograph.
    #[error("a DICOM file without a film ({what}): {}", path.display())]
    NotAFilm {
        /// What it holds.
        what: String,
        /// The file.
        path: PathBuf,
    },
    /// The film would take too much memory.
    #[error("{what}, more than the limit of {limit}: {}", path.display())]
    TooLarge {
        /// How large it is.
        what: String,
        /// How large it may be.
        limit: String,
        /// The file.
        path: PathBuf,
    },
    /// The image is sound but of a kind that is not read, such as floating-point pixels.
    #[error("images of this kind are not read ({reason}): {}", path.display())]
    Unsupported {
        /// What kind it is.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// The end of the file is missing.
    #[error("the file is cut short, copy it again from its source: {}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The content breaks the rules of its format.
    #[error("the file is damaged ({reason}): {}", path.display())]
    Damaged {
        /// What the decoder found.
        reason: String,
        /// The file.
        path: PathBuf,
    },
}

impl DecodeError {
    /// Returns the sentence without the file, for lists that name the file beside it.
    pub fn reason(&self) -> String {
        let (Self::Read { path, .. }
        | Self::Empty { path }
        | Self::Foreign { path }
        | Self::NotAFilm { path, .. }
        | Self::TooLarge { path, .. }
        | Self::Unsupported { path, .. }
        | Self::Truncated { path }
        | Self::Damaged { path, .. }) = self;
        let text = self.to_string();
        text.strip_suffix(&format!(": {}", path.display())).unwrap_or(&text).to_owned()
    }
}

/// Reads and decodes one film; see [`decode_bytes`].
///
/// # Errors
/// When the file cannot be read, is larger than [`MAX_FILE_BYTES`], or is refused by [`decode_bytes`].
pub fn decode(path: &Path) -> Result<Film, DecodeError> {
    decode_bytes(&read_limited(path)?, path)
}

/// Reads a file that is no larger than [`MAX_FILE_BYTES`].
pub(crate) fn read_limited(path: &Path) -> Result<Vec<u8>, DecodeError> {
    let unreadable = |fault| DecodeError::Read { fault, path: path.to_path_buf() };
    let found = std::fs::metadata(path).map_err(unreadable)?;
    // Opening a pipe waits for whoever writes into it, and a device may have no end.
    if !found.is_file() {
        let kind = if found.is_dir() { "a folder" } else { "a pipe, a socket or a device" };
        return Err(unreadable(io::Error::other(format!("it is {kind}, and no file"))));
    }
    let length = found.len();
    if length > MAX_FILE_BYTES {
        return Err(too_large(format!("the file has {} MiB", length >> 20), MAX_FILE_BYTES, path));
    }
    std::fs::read(path).map_err(unreadable)
}

/// Decodes a film and says whose it is; see [`decode_bytes`].
///
/// The patient is that of a DICOM file, if it names one.
///
/// # Errors
/// As [`decode_bytes`].
pub fn decode_with_patient(
    bytes: &[u8],
    path: &Path,
) -> Result<(Film, Option<PatientId>), DecodeError> {
    // A decoder that panics on hostile bytes must not take a thousand good films with it.
    catch_unwind(AssertUnwindSafe(|| decode_checked(bytes, path))).unwrap_or_else(|_| {
        Err(DecodeError::Damaged {
            reason: "the decoder gave up".to_owned(),
            path: path.to_path_buf(),
        })
    })
}

/// Reads the patient of a DICOM file without decoding its pixels; none for other files and where it cannot be read.
pub fn patient(path: &Path) -> Option<PatientId> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(132).read_to_end(&mut head).ok()?;
    // Whether lengths fit is asked of the whole file.
    if head.get(128..132) != Some(b"DICM") && !matches!(head.first(), Some(2 | 8)) {
        return None;
    }
    let bytes = read_limited(path).ok()?;
    catch_unwind(AssertUnwindSafe(|| dicom::patient(&bytes))).ok()?
}

/// Decodes a DICOM, PNG, JPEG, TIFF, BMP or WebP file held in memory, recognised by its content; `path` is for messages.
///
/// Of DICOM, radiographs are read: their values stay as they are stored, and what they look like is in [`Film::about`].
/// Of the others
/// grey values pass unchanged, and so does colour with equal channels; other colour becomes luma (ITU-R BT.709).
/// Transparency is ignored, an orientation recorded in the file is applied, and of several pages the first is read.
///
/// # Errors
/// When the content is empty, foreign, cut short, damaged, of an unsupported kind, or decodes to more than
/// [`MAX_PIXELS`] or [`MAX_DECODED_BYTES`]; sizes are checked before any pixel is decoded.
pub fn decode_bytes(bytes: &[u8], path: &Path) -> Result<Film, DecodeError> {
    decode_with_patient(bytes, path).map(|(film, _)| film)
}

fn decode_checked(bytes: &[u8], path: &Path) -> Result<(Film, Option<PatientId>), DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty { path: path.to_path_buf() });
    }
    if dicom::recognise(bytes) {
        return dicom::read(bytes, path);
    }
    decode_image(bytes, path).map(|film| (film, None))
}

fn decode_image(bytes: &[u8], path: &Path) -> Result<Film, DecodeError> {
    let owned = || path.to_path_buf();
    let format = image::guess_format(bytes).ok().filter(|format| {
        use ImageFormat::{Bmp, Jpeg, Png, Tiff, WebP};
        matches!(format, Png | Jpeg | Tiff | Bmp | WebP)
    });
    let Some(format) = format else { return Err(DecodeError::Foreign { path: owned() }) };
    if !is_whole(bytes, format) {
        return Err(DecodeError::Truncated { path: owned() });
    }
    let refuse = |error| refusal(error, path);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refuse)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        let limit = format!("{} million pixels", MAX_PIXELS / 1_000_000);
        return Err(DecodeError::TooLarge {
            what: format!("the film has {width}×{height} pixels"),
            limit,
            path: owned(),
        });
    }
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        let what = format!("the film takes {} MiB", decoder.total_bytes() >> 20);
        return Err(too_large(what, MAX_DECODED_BYTES, path));
    }
    if pixels == 0 {
        return Err(DecodeError::Damaged { reason: "it has no pixels".to_owned(), path: owned() });
    }
    // Unreadable metadata is no reason to refuse sound pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let color = decoder.color_type();
    let mut raw = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut raw).map_err(refuse)?;
    let (bits, values) = grey(color, &raw).ok_or_else(|| DecodeError::Unsupported {
        reason: format!("{color:?} pixels"),
        path: owned(),
    })?;
    Ok(orient(Film { width, height, bits, values, about: About::default() }, orientation))
}

/// Says whether the end of a file is there, for formats whose decoders do not tell that from other damage.
fn is_whole(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        // The decoder would fill what is missing with grey.
        ImageFormat::Jpeg => jpeg_ends(bytes),
        // A RIFF file tells its length, less the eight bytes of its head, in the fifth to the eighth.
        ImageFormat::WebP => match bytes.get(4..8) {
            Some(&[a, b, c, d]) => {
                u64::from(u32::from_le_bytes([a, b, c, d])) + 8 <= bytes.len() as u64
            }
            _ => false,
        },
        _ => true,
    }
}

/// Walks the markers of a JPEG file (ITU-T T.81, annex B) and says whether its end-of-image marker is reached.
///
/// Thumbnails inside segments are passed over, and bytes after the marker are allowed: devices pad files.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[byte, marker]) = bytes.get(at..at + 2) {
        match (byte, marker) {
            (0xFF, 0xD9) => return true,
            // A fill byte, a stuffed zero, a restart marker or a marker without a segment.
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, _) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
            // Entropy-coded data.
            _ => at += 1,
        }
    }
    false
}

/// Words a decoder's refusal.
fn refusal(error: ImageError, path: &Path) -> DecodeError {
    let path = path.to_path_buf();
    match error {
        ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { path }
        }
        ImageError::Limits(_) => {
            too_large("the film's pixels".to_owned(), MAX_DECODED_BYTES, &path)
        }
        ImageError::Unsupported(error) => {
            DecodeError::Unsupported { reason: error.to_string(), path }
        }
        other => {
            let reason = other.to_string();
            let cut =
                ["unexpected end", "failed to fill whole buffer", "exhausted", "unexpected eof"];
            if cut.iter().any(|sign| reason.to_lowercase().contains(sign)) {
                DecodeError::Truncated { path }
            } else {
                DecodeError::Damaged { reason, path }
            }
        }
    }
}

fn too_large(what: String, limit: u64, path: &Path) -> DecodeError {
    DecodeError::TooLarge { what, limit: format!("{} MiB", limit >> 20), path: path.to_path_buf() }
}

/// Turns decoded bytes into grey values and their bits; none for floating-point pixels.
fn grey(color: ColorType, raw: &[u8]) -> Option<(u8, Vec<u16>)> {
    let channels = usize::from(color.channel_count());
    let wide = match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => false,
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => true,
        _ => return None,
    };
    if !wide {
        let values = raw
            .chunks_exact(channels)
            .map(|pixel| luma(pixel.len(), |c| u16::from(pixel[c])))
            .collect();
        return Some((8, values));
    }
    let value = |pixel: &[u8], c: usize| u16::from_ne_bytes([pixel[2 * c], pixel[2 * c + 1]]);
    let values =
        raw.chunks_exact(2 * channels).map(|pixel| luma(channels, |c| value(pixel, c))).collect();
    Some((16, values))
}

/// Returns the brightness of a pixel, rounded: 0.2126 R + 0.7152 G + 0.0722 B (ITU-R BT.709), exact for equal channels.
pub(super) fn luma(channels: usize, channel: impl Fn(usize) -> u16) -> u16 {
    if channels < 3 {
        return channel(0);
    }
    let [r, g, b] = [0, 1, 2].map(|c| u32::from(channel(c)));
    ((2126 * r + 7152 * g + 722 * b + 5000) / 10_000) as u16
}

/// Turns a film the way up that its file asks for.
fn orient(film: Film, orientation: Orientation) -> Film {
    if orientation == Orientation::NoTransforms {
        return film;
    }
    let Film { width, height, bits, values, about } = film;
    let Some(buffer) = ImageBuffer::from_raw(width, height, values) else {
        return Film { width, height, bits, values: Vec::new(), about };
    };
    let mut turned = DynamicImage::ImageLuma16(buffer);
    turned.apply_orientation(orientation);
    Film {
        width: turned.width(),
        height: turned.height(),
        bits,
        values: turned.into_luma16().into_raw(),
        about,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_is_exact_for_grey_and_rounds_colour() {
        for value in [0, 1, 77, 255, 40_000, 65_535] {
            assert_eq!(luma(3, |_| value), value);
        }
        assert_eq!(
            [[255, 0, 0], [0, 255, 0], [0, 0, 255]].map(|rgb: [u16; 3]| luma(3, |c| rgb[c])),
            [54, 182, 18]
        );
    }

    #[test]
    fn the_jpeg_walk_passes_thumbnails_padding_and_restarts() {
        let whole = [
            0xFF, 0xD8, 0xFF, 0xE1, 0, 6, 0xFF, 0xD9, 0xFF, 0xD9, 0xFF, 0xDA, 0, 2, 7, 0xFF, 0,
            0xFF, 0xD0, 9,
        ];
        assert!(!jpeg_ends(&whole), "the end-of-image marker lies in a segment only");
        let ended = [&whole[..], &[0xFF, 0xFF, 0xD9, 0, 0]].concat();
        assert!(jpeg_ends(&ended));
    }

    #[test]
    fn orientations_move_the_corner() {
        let film = Film {
            width: 2,
            height: 1,
            bits: 16,
            values: vec![1, 60_000],
            about: About::default(),
        };
        let turned = orient(film, Orientation::Rotate90);
        assert_eq!(
            turned,
            Film {
                width: 1,
                height: 2,
                bits: 16,
                values: vec![1, 60_000],
                about: About::default()
            }
        );
        let film =
            Film { width: 2, height: 1, bits: 8, values: vec![1, 2], about: About::default() };
        assert_eq!(orient(film, Orientation::FlipHorizontal).values, [2, 1]);
    }
}
