//! The file around a data set: preamble, meta elements, transfer syntax, deflation.

use std::borrow::Cow;
use std::io::Read;

use dicom_encoding::TransferSyntax;
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::super::MAX_DECODED_BYTES;
use super::dataset::fit_to_show;
use super::refusal::{Deadline, Refusal};

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
static REGISTRY: TransferSyntaxRegistry = TransferSyntaxRegistry;

/// How pixels are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    Native,
    /// RLE Lossless.
    Rle,
    /// JPEG: baseline, extended with 8 bits, lossless.
    Jpeg,
    /// JPEG-LS, lossless or near-lossless.
    JpegLs,
    /// JPEG 2000, part 1.
    Jpeg2000,
}

/// A file whose data set can be read.
pub struct File<'a> {
    /// How the data set is written.
    pub syntax: &'static TransferSyntax,
    /// Whether words have their high byte first.
    pub big_endian: bool,
    /// How its pixels are coded; the refusal, if they cannot be decoded.
    pub codec: Result<Codec, Refusal>,
    /// The data set, inflated.
    pub body: Cow<'a, [u8]>,
}

/// Says whether a file is DICOM, with its preamble or, by its first element, without.
pub fn recognise(bytes: &[u8]) -> bool {
    start(bytes).is_some()
}

/// Returns where the meta elements, or without them the data set, begin.
fn start(bytes: &[u8]) -> Option<usize> {
    if bytes.get(128..132) == Some(b"DICM") {
        return Some(132);
    }
    // Without a preamble a file begins with the meta group's length, or with one of the first attributes of group 0008.
    let &[0x02 | 0x08, 0, element, 0, a, b, c, d] = bytes.get(..8)? else { return None };
    let explicit = a.is_ascii_uppercase() && b.is_ascii_uppercase();
    let implicit = u64::from(u32::from_le_bytes([a, b, c, d])) + 8 <= bytes.len() as u64;
    let known = if bytes[0] == 2 { element <= 0x02 && explicit } else { element <= 0x18 };
    (known && (explicit || implicit)).then_some(0)
}

/// Opens a DICOM file.
///
/// # Errors
/// When the meta elements are cut short, the data set is written in an unknown way, or it does not inflate within
/// [`MAX_DECODED_BYTES`].
pub fn open(bytes: &[u8], deadline: Deadline) -> Result<File<'_>, Refusal> {
    let start = start(bytes).ok_or_else(|| Refusal::Damaged("it is not DICOM".to_owned()))?;
    let (uid, at) = meta(bytes, start)?;
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return Err(Refusal::Truncated);
    }
    let uid = uid.unwrap_or_else(|| guess(rest).to_owned());
    let known = REGISTRY.get(&uid);
    let unsupported = || {
        let name = known.map_or("unknown", TransferSyntax::name);
        Refusal::Unsupported(format!("transfer syntax {name}, {uid}, is not supported"))
    };
    let codec = codec(&uid).ok_or_else(unsupported);
    let deflated = uid == "1.2.840.10008.1.2.1.99";
    let writing = if deflated { EXPLICIT } else { &uid };
    let syntax = REGISTRY.get(writing).filter(|_| known.is_some()).ok_or_else(unsupported)?;
    if uid.starts_with("1.2.840.10008.1.2.4.9") && codec.is_err() {
        // Pixels elsewhere, and data sets that may be deflated as a whole.
        return Err(unsupported());
    }
    let body = if deflated {
        Cow::Owned(inflate(rest, MAX_DECODED_BYTES, deadline)?)
    } else {
        Cow::Borrowed(rest)
    };
    Ok(File { syntax, big_endian: uid == "1.2.840.10008.1.2.2", codec, body })
}

fn codec(uid: &str) -> Option<Codec> {
    Some(match uid {
        IMPLICIT | EXPLICIT | "1.2.840.10008.1.2.2" | "1.2.840.10008.1.2.1.99" => Codec::Native,
        "1.2.840.10008.1.2.5" => Codec::Rle,
        "1.2.840.10008.1.2.4.50"
        | "1.2.840.10008.1.2.4.51"
        | "1.2.840.10008.1.2.4.57"
        | "1.2.840.10008.1.2.4.70" => Codec::Jpeg,
        "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => Codec::JpegLs,
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => Codec::Jpeg2000,
        _ => return None,
    })
}

/// Walks the meta elements, which are explicit and little endian, and returns the transfer syntax and where they end.
///
/// Their group length is not trusted: they end where group 2 does.
fn meta(bytes: &[u8], start: usize) -> Result<(Option<String>, usize), Refusal> {
    let (mut at, mut uid) = (start, None);
    while let Some(&[2, 0, element_low, element_high, a, b, c, d]) = bytes.get(at..at + 8) {
        let long = matches!(&[a, b], b"OB" | b"OW" | b"OF" | b"SQ" | b"UT" | b"UN" | b"UC" | b"UR");
        let (from, length) = if long {
            let length = bytes.get(at + 8..at + 12).ok_or(Refusal::Truncated)?;
            (at + 12, u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize)
        } else {
            (at + 8, usize::from(u16::from_le_bytes([c, d])))
        };
        let value = bytes.get(from..).and_then(|rest| rest.get(..length));
        let value = value.ok_or(Refusal::Truncated)?;
        if [element_low, element_high] == [0x10, 0] {
            let text = String::from_utf8_lossy(value);
            uid = Some(fit_to_show(text.trim_matches([' ', '\0']))).filter(|uid| !uid.is_empty());
        }
        at = from + length;
    }
    Ok((uid, at))
}

/// Tells how a data set without meta elements is written: an explicit one has two capitals after its first tag.
fn guess(body: &[u8]) -> &'static str {
    let explicit = body.get(4..6).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
    if explicit { EXPLICIT } else { IMPLICIT }
}

/// Inflates a data set of up to `most` bytes.
pub(super) fn inflate(deflated: &[u8], most: u64, deadline: Deadline) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    let inflating = flate2::read::DeflateDecoder::new(deadline.reader(deflated));
    let read = deadline.reader(inflating.take(most + 1)).read_to_end(&mut body);
    deadline.check()?;
    if body.len() as u64 > most {
        let limit = format!("{} MiB", most >> 20);
        return Err(Refusal::TooLarge { what: "the deflated data set".to_owned(), limit });
    }
    match read {
        Ok(_) => Ok(body),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(Refusal::Truncated),
        Err(error) => Err(Refusal::Damaged(error.to_string())),
    }
}
