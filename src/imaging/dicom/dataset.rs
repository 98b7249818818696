//! The elements of a DICOM data set, found by walking its tokens: nothing is copied or allocated by a claimed length.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Cursor};

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntax;
use dicom_parser::dataset::LazyDataToken;
use dicom_parser::dataset::lazy_read::LazyDataSetReader;
use dicom_parser::stateful::decode::StatefulDecode;

use super::refusal::{Deadline, Refusal};

/// The most elements and items of a file, far above what radiographs have.
const MAX_TOKENS: usize = 200_000;
/// The deepest nesting of sequences.
const MAX_DEPTH: usize = 32;

/// A value as it lies in the file.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Value representation; for implicit syntaxes the dictionary's.
    pub vr: VR,
    /// The value's bytes.
    pub bytes: &'a [u8],
}

/// Values by tag.
#[derive(Clone, Debug, Default)]
pub struct Elements<'a> {
    of: BTreeMap<Tag, Element<'a>>,
    big_endian: bool,
}

/// The values of a data set that a film needs: the top level, and the first items of its two LUT sequences.
#[derive(Debug, Default)]
pub struct DataSet<'a> {
    /// Values of the top level, without the pixels.
    pub top: Elements<'a>,
    /// First item of the Modality LUT Sequence.
    pub modality_lut: Option<Elements<'a>>,
    /// First item of the VOI LUT Sequence.
    pub voi_lut: Option<Elements<'a>>,
    /// Pixels that are not encapsulated.
    pub native: Option<Element<'a>>,
    /// Encapsulated pixels: the offset table, then the fragments.
    pub fragments: Option<Vec<&'a [u8]>>,
}

impl<'a> Elements<'a> {
    /// Returns a value's bytes.
    pub fn element(&self, tag: Tag) -> Option<Element<'a>> {
        self.of.get(&tag).copied().filter(|element| !element.bytes.is_empty())
    }

    /// Returns the words of a value, in order.
    pub fn words(&self, tag: Tag) -> Vec<u16> {
        self.element(tag).map_or_else(Vec::new, |element| words(element.bytes, self.big_endian))
    }

    /// Returns the first word of a value.
    pub fn word(&self, tag: Tag) -> Option<u16> {
        self.words(tag).first().copied()
    }

    /// Returns a text without the padding at its ends; bytes that are not UTF-8 become the replacement character.
    pub fn text(&self, tag: Tag) -> Option<String> {
        let text = String::from_utf8_lossy(self.element(tag)?.bytes).into_owned();
        let text = text.trim_matches([' ', '\0']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Returns a keyword or an identifier, fit to be shown: short and without control characters.
    pub fn code(&self, tag: Tag) -> Option<String> {
        self.text(tag).map(|text| fit_to_show(&text))
    }

    /// Returns the numbers of a value that is text; what is no number is NaN.
    pub fn numbers(&self, tag: Tag) -> Vec<f64> {
        let number = |text: &str| text.trim_matches([' ', '\0']).parse().unwrap_or(f64::NAN);
        self.text(tag).map_or_else(Vec::new, |text| text.split('\\').map(number).collect())
    }
}

/// Leaves of a text what can stand in a message.
pub fn fit_to_show(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Reads bytes as words.
pub fn words(bytes: &[u8], big_endian: bool) -> Vec<u16> {
    let word = if big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
    bytes.as_chunks::<2>().0.iter().map(|&pair| word(pair)).collect()
}

/// Where the walk stands.
#[derive(Default)]
struct Place {
    /// Tags of the sequences that are open, the outermost first.
    open: Vec<Tag>,
    /// Items of the outermost open sequence so far.
    items: usize,
    tokens: usize,
}

/// Reads a data set; what follows the pixels may be broken.
///
/// # Errors
/// When it is cut short, breaks the rules before the pixels, is nested too deeply, has too many elements, or takes too
/// long.
pub fn read<'a>(
    body: &'a [u8],
    syntax: &TransferSyntax,
    big_endian: bool,
    deadline: Deadline,
) -> Result<DataSet<'a>, Refusal> {
    let empty = || Elements { of: BTreeMap::new(), big_endian };
    let mut set = DataSet { top: empty(), ..DataSet::default() };
    let damaged = |error: &dyn Error| Refusal::Damaged(error.to_string());
    let mut reader = LazyDataSetReader::new_with_ts(Cursor::new(body), syntax)
        .map_err(|error| damaged(&error))?;
    let mut place = Place::default();
    while let Some(token) = reader.advance() {
        let token = match token {
            Ok(token) => token,
            Err(_) if set.native.is_some() || set.fragments.is_some() && place.open.is_empty() => {
                break;
            }
            Err(error) if ends(&error) => return Err(Refusal::Truncated),
            Err(error) => return Err(damaged(&error)),
        };
        place.tokens += 1;
        if place.tokens.is_multiple_of(1024) {
            deadline.check()?;
        }
        if place.tokens > MAX_TOKENS || place.open.len() > MAX_DEPTH {
            let what = "it has more elements or deeper sequences than any film";
            return Err(Refusal::Damaged(what.to_owned()));
        }
        match token {
            LazyDataToken::SequenceStart { tag, .. } => place.enter(tag),
            LazyDataToken::PixelSequenceStart => {
                place.enter(tags::PIXEL_DATA);
                if place.open.len() == 1 {
                    set.fragments.get_or_insert_default();
                }
            }
            LazyDataToken::SequenceEnd => {
                place.open.pop();
            }
            LazyDataToken::ItemStart { .. } => {
                if let [tag] = place.open[..] {
                    place.items += 1;
                    match (tag, place.items) {
                        (tags::PIXEL_DATA, _) => {
                            set.fragments.get_or_insert_default().push(&[]);
                        }
                        (tags::MODALITY_LUT_SEQUENCE, 1) => set.modality_lut = Some(empty()),
                        (tags::VOILUT_SEQUENCE, 1) => set.voi_lut = Some(empty()),
                        _ => {}
                    }
                }
            }
            LazyDataToken::LazyValue { header, decoder } => {
                let length = header.len.get().unwrap_or(u32::MAX);
                let bytes = value(body, decoder.position(), length)?;
                decoder.skip_bytes(length).map_err(|error| damaged(&error))?;
                set.keep(header.tag, Element { vr: header.vr, bytes }, &place);
            }
            LazyDataToken::LazyItemValue { len, decoder } => {
                let bytes = value(body, decoder.position(), len)?;
                decoder.skip_bytes(len).map_err(|error| damaged(&error))?;
                if let ([tags::PIXEL_DATA], Some(fragments)) = (&place.open[..], &mut set.fragments)
                    && let Some(last) = fragments.last_mut()
                {
                    *last = bytes;
                }
            }
            _ => {}
        }
    }
    Ok(set)
}

impl Place {
    fn enter(&mut self, tag: Tag) {
        if self.open.is_empty() {
            self.items = 0;
        }
        self.open.push(tag);
    }
}

impl<'a> DataSet<'a> {
    /// Keeps a value if a film may need it; of equal tags the first counts.
    fn keep(&mut self, tag: Tag, element: Element<'a>, place: &Place) {
        let elements = match (&place.open[..], place.items) {
            ([], _) if tag == tags::PIXEL_DATA => {
                self.native.get_or_insert(element);
                return;
            }
            ([], _) => &mut self.top,
            ([tags::MODALITY_LUT_SEQUENCE], 1) => match &mut self.modality_lut {
                Some(item) => item,
                None => return,
            },
            ([tags::VOILUT_SEQUENCE], 1) => match &mut self.voi_lut {
                Some(item) => item,
                None => return,
            },
            _ => return,
        };
        elements.of.entry(tag).or_insert(element);
    }
}

/// Returns the bytes that a length claims.
fn value(body: &[u8], position: u64, length: u32) -> Result<&[u8], Refusal> {
    let start = usize::try_from(position).map_err(|_| Refusal::Truncated)?;
    let end = start.checked_add(length as usize).ok_or(Refusal::Truncated)?;
    body.get(start..end).ok_or(Refusal::Truncated)
}

/// Says whether an error is that the bytes end.
fn ends(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::UnexpectedEof;
        }
        cause = error.source();
    }
    false
}
