//! Pixel data of DICOM to stored values: the first frame, whatever it is coded with.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use jpeg_decoder::{ColorTransform, PixelFormat};

use super::super::{MAX_DECODED_BYTES, MAX_PIXELS};
use super::dataset::{DataSet, words};
use super::file::Codec;
use super::refusal::{Deadline, Refusal};
use super::{jpeg_ls, rle};

/// What colours a pixel's channels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// One channel; whether low is bright.
    Grey {
        /// MONOCHROME1.
        inverted: bool,
    },
    /// Red, green, blue.
    Rgb,
    /// Brightness and two colour differences, full range.
    Ybr,
}

impl Colour {
    fn channels(self) -> usize {
        if matches!(self, Self::Grey { .. }) { 1 } else { 3 }
    }
}

/// How pixels are laid out, as far as it has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Columns, at least 1.
    pub columns: u32,
    /// Rows, at least 1.
    pub rows: u32,
    /// Channels of a pixel.
    pub colour: Colour,
    /// Bits of a stored value, 1 to 16.
    pub bits: u8,
    /// Whether stored values are in two's complement.
    pub signed: bool,
    /// Frames, at least 1.
    pub frames: usize,
    /// Bytes that a channel takes where it is not coded, 1 or 2.
    bytes: usize,
    /// Places by which stored values are to be shifted down.
    shift: u8,
    /// Whether channels follow each other plane by plane.
    planar: bool,
}

impl Layout {
    /// Reads and checks the attributes of the Image Pixel module (PS3.3 C.7.6.3).
    ///
    /// # Errors
    /// When one is missing or malformed, or the film would be too large.
    pub fn read(set: &DataSet<'_>) -> Result<Self, Refusal> {
        let damaged = |what: String| Refusal::Damaged(what);
        let side = |tag, name| match set.top.word(tag) {
            Some(0) | None => Err(damaged(format!("it has no {name}"))),
            Some(side) => Ok(u32::from(side)),
        };
        let (rows, columns) = (side(tags::ROWS, "rows")?, side(tags::COLUMNS, "columns")?);
        let photometric = set.top.code(tags::PHOTOMETRIC_INTERPRETATION).unwrap_or_default();
        let colour = match photometric.as_str() {
            // One channel without a word about its meaning is read as it almost always is.
            "MONOCHROME2" | "" => Colour::Grey { inverted: false },
            "MONOCHROME1" => Colour::Grey { inverted: true },
            // The JPEG 2000 decoder undoes the colour transforms of its own.
            "RGB" | "YBR_ICT" | "YBR_RCT" => Colour::Rgb,
            "YBR_FULL" | "YBR_FULL_422" => Colour::Ybr,
            _ => return Err(Refusal::Unsupported(format!("{photometric} pixels"))),
        };
        let samples = set.top.word(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        if usize::from(samples) != colour.channels() {
            return Err(damaged(format!("it has {samples} channels and is {photometric}")));
        }
        let allocated = set.top.word(tags::BITS_ALLOCATED).unwrap_or(0);
        if allocated != 8 && (allocated != 16 || colour.channels() == 3) {
            return Err(Refusal::Unsupported(format!("{allocated} bits a channel")));
        }
        let stored = set.top.word(tags::BITS_STORED).unwrap_or(allocated);
        let high = set.top.word(tags::HIGH_BIT).unwrap_or(stored.wrapping_sub(1));
        if stored == 0 || stored > allocated || high >= allocated || high + 1 < stored {
            return Err(damaged(format!("{stored} bits up to bit {high} are not in {allocated}")));
        }
        let bytes = usize::from(allocated / 8);
        check_size(columns, rows, colour.channels() * bytes)?;
        let frames = set.top.numbers(tags::NUMBER_OF_FRAMES).first().map_or(1.0, |n| n.max(1.0));
        Ok(Self {
            columns,
            rows,
            colour,
            bits: stored as u8,
            signed: set.top.word(tags::PIXEL_REPRESENTATION) == Some(1),
            frames: frames as usize,
            bytes,
            shift: (high + 1 - stored) as u8,
            planar: set.top.word(tags::PLANAR_CONFIGURATION) == Some(1),
        })
    }

    fn pixels(&self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// Decodes the first frame: words with channels interleaved, of which the lowest [`bits`](Self::bits) count.
    ///
    /// # Errors
    /// When there are no pixels, or they are cut short, malformed or of a kind that is not read.
    pub fn first_frame(
        &self,
        set: &DataSet<'_>,
        codec: Codec,
        big_endian: bool,
        deadline: Deadline,
    ) -> Result<Vec<u16>, Refusal> {
        if codec == Codec::Native {
            return Ok(self.kept(self.native(set, big_endian)?, self.shift));
        }
        let frame = self.encapsulated(set)?;
        let channels = self.colour.channels();
        let values = match codec {
            Codec::Native | Codec::Rle => {
                rle::decode(&frame, self.pixels(), channels, self.bytes, deadline)?
            }
            Codec::Jpeg => self.jpeg(&frame, deadline)?,
            Codec::JpegLs if channels == 1 => {
                jpeg_ls::decode(&frame, self.columns as usize, self.rows as usize, deadline)?
            }
            Codec::JpegLs => return Err(Refusal::Unsupported("JPEG-LS in colour".to_owned())),
            Codec::Jpeg2000 => self.jpeg_2000(&frame)?,
        };
        Ok(self.kept(values, if codec == Codec::Rle { self.shift } else { 0 }))
    }

    /// Leaves the bits that count.
    fn kept(&self, mut values: Vec<u16>, shift: u8) -> Vec<u16> {
        let mask = ((1_u32 << self.bits) - 1) as u16;
        for value in &mut values {
            *value = (*value >> shift) & mask;
        }
        values
    }

    fn native(&self, set: &DataSet<'_>, big_endian: bool) -> Result<Vec<u16>, Refusal> {
        let element = set.native.ok_or_else(no_pixels)?;
        let channels = self.colour.channels();
        if self.colour == Colour::Ybr
            && set.top.code(tags::PHOTOMETRIC_INTERPRETATION).is_some_and(|p| p.ends_with("422"))
        {
            return Err(Refusal::Unsupported("YBR_FULL_422 pixels without compression".to_owned()));
        }
        let needed = self.pixels() * channels * self.bytes;
        let Some(bytes) = element.bytes.get(..needed) else {
            let found = element.bytes.len();
            return Err(Refusal::Damaged(format!("its pixels have {found} bytes, not {needed}")));
        };
        if self.bytes == 2 {
            return Ok(words(bytes, big_endian));
        }
        let mut values: Vec<u16> = if big_endian && element.vr == VR::OW {
            // Two pixels in each word, the first in its low byte.
            let words = words(element.bytes, true);
            words.iter().flat_map(|word| [word & 0xFF, word >> 8]).take(needed).collect()
        } else {
            bytes.iter().map(|&byte| u16::from(byte)).collect()
        };
        if values.len() < needed {
            return Err(Refusal::Truncated);
        }
        if self.planar && channels == 3 {
            let (red, rest) = values.split_at(self.pixels());
            let (green, blue) = rest.split_at(self.pixels());
            let planes = red.iter().zip(green).zip(blue);
            values = planes.flat_map(|((&r, &g), &b)| [r, g, b]).collect();
        }
        Ok(values)
    }

    /// Joins the fragments of the first frame.
    fn encapsulated(&self, set: &DataSet<'_>) -> Result<Vec<u8>, Refusal> {
        let fragments = set.fragments.as_deref().ok_or_else(no_pixels)?;
        let Some((table, fragments)) = fragments.split_first() else { return Err(no_pixels()) };
        if fragments.is_empty() {
            return Err(no_pixels());
        }
        if self.frames == fragments.len() {
            return Ok(fragments[0].to_vec());
        }
        // Where the second frame begins, if the table tells, counted from the first fragment's item.
        let second = match table.get(4..8) {
            Some(&[a, b, c, d]) if self.frames > 1 => u32::from_le_bytes([a, b, c, d]) as usize,
            _ => usize::MAX,
        };
        let (mut frame, mut at) = (Vec::new(), 0);
        for fragment in fragments {
            if at >= second {
                break;
            }
            frame.extend_from_slice(fragment);
            at += fragment.len() + 8;
        }
        Ok(frame)
    }

    fn jpeg(&self, frame: &[u8], deadline: Deadline) -> Result<Vec<u16>, Refusal> {
        self.check_jpeg(frame)?;
        let mut decoder = jpeg_decoder::Decoder::new(deadline.reader(frame));
        decoder.set_max_decoding_buffer_size(MAX_DECODED_BYTES as usize);
        match self.colour {
            Colour::Grey { .. } => {}
            Colour::Rgb => decoder.set_color_transform(ColorTransform::RGB),
            Colour::Ybr => decoder.set_color_transform(ColorTransform::YCbCr),
        }
        let decoded = decoder.decode().map_err(jpeg_refusal);
        deadline.check()?;
        let decoded = decoded?;
        let format = decoder.info().map(|info| info.pixel_format);
        let values: Vec<u16> = match (format, self.colour.channels()) {
            (Some(PixelFormat::L8), 1) | (Some(PixelFormat::RGB24), 3) => {
                decoded.into_iter().map(u16::from).collect()
            }
            (Some(PixelFormat::L16), 1) => {
                decoded.as_chunks::<2>().0.iter().map(|&pair| u16::from_ne_bytes(pair)).collect()
            }
            _ => return Err(Refusal::Damaged("its JPEG has other channels".to_owned())),
        };
        self.whole(values)
    }

    /// Checks a JPEG's frame header before its decoder allocates, and that no scan comes twice.
    fn check_jpeg(&self, jpeg: &[u8]) -> Result<(), Refusal> {
        let (mut at, mut scans, mut channels) = (2, 0, None);
        while let Some(&[byte, marker]) = jpeg.get(at..at + 2) {
            match (byte, marker) {
                (0xFF, 0xD9) => break,
                (0xFF, 0xFF) => at += 1,
                (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
                (0xFF, _) => {
                    let &[high, low, precision, r1, r0, c1, c0, components] =
                        jpeg.get(at + 2..at + 10).ok_or(Refusal::Truncated)?
                    else {
                        return Err(Refusal::Truncated);
                    };
                    match marker {
                        0xC1 if precision > 8 => {
                            let what = format!("JPEG Extended of {precision} bits");
                            return Err(Refusal::Unsupported(what));
                        }
                        0xC0 | 0xC1 | 0xC3 => {
                            let [rows, columns] = [[r1, r0], [c1, c0]].map(u16::from_be_bytes);
                            self.same_size(columns.into(), rows.into())?;
                            channels = Some(usize::from(components));
                        }
                        0xC2 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                            let what = "a progressive, hierarchical or arithmetic JPEG";
                            return Err(Refusal::Unsupported(what.to_owned()));
                        }
                        0xDA => scans += 1,
                        _ => {}
                    }
                    at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
                }
                _ => at += 1,
            }
        }
        match channels {
            None => Err(Refusal::Damaged("its JPEG has no frame".to_owned())),
            Some(channels) if channels != self.colour.channels() || scans > channels => {
                let what = format!("its JPEG has {channels} channels in {scans} scans");
                Err(Refusal::Damaged(what))
            }
            Some(_) => Ok(()),
        }
    }

    fn jpeg_2000(&self, frame: &[u8]) -> Result<Vec<u16>, Refusal> {
        let damaged = |error: hayro_jpeg2000::DecodeError| Refusal::Damaged(error.to_string());
        check_jpeg_2000(frame)?;
        // The decoder works in single precision, on coefficients and on samples.
        check_size(self.columns, self.rows, self.colour.channels() * 8)?;
        let settings = hayro_jpeg2000::DecodeSettings { strict: true, ..Default::default() };
        let image = hayro_jpeg2000::Image::new(frame, &settings).map_err(damaged)?;
        self.same_size(image.width(), image.height())?;
        let channels = usize::from(image.color_space().num_channels());
        if channels != self.colour.channels() || image.has_alpha() {
            return Err(Refusal::Damaged(format!("its JPEG 2000 has {channels} channels")));
        }
        let mut context = hayro_jpeg2000::DecoderContext::default();
        let decoded = image.decode(&mut context).map_err(damaged)?;
        // The decoder shifts every component up as if it were unsigned.
        let depth = frame.get(42).copied().unwrap_or_default();
        let half = 1 << (depth & 0x7F);
        let down = if depth & 0x80 == 0 { 0 } else { half };
        let mut values = vec![0; self.pixels() * channels];
        for (channel, component) in decoded.components().iter().enumerate().take(channels) {
            let targets = values.iter_mut().skip(channel).step_by(channels);
            if component.samples().len() != self.pixels() {
                return Err(Refusal::Unsupported("JPEG 2000 with smaller channels".to_owned()));
            }
            for (target, &sample) in targets.zip(component.samples()) {
                *target = ((sample.round() as i32).clamp(0, 2 * half - 1) - down) as u16;
            }
        }
        Ok(values)
    }

    fn same_size(&self, columns: u32, rows: u32) -> Result<(), Refusal> {
        if (columns, rows) == (self.columns, self.rows) {
            return Ok(());
        }
        Err(Refusal::Damaged(format!(
            "its coded picture has {columns}×{rows} pixels, not {}×{}",
            self.columns, self.rows
        )))
    }

    fn whole(&self, values: Vec<u16>) -> Result<Vec<u16>, Refusal> {
        if values.len() == self.pixels() * self.colour.channels() {
            Ok(values)
        } else {
            Err(Refusal::Truncated)
        }
    }
}

/// Refuses a film that would take too much, `bytes` being those of one pixel while it is decoded.
fn check_size(columns: u32, rows: u32, bytes: usize) -> Result<(), Refusal> {
    let pixels = u64::from(columns) * u64::from(rows);
    let (limit, too_large) = if pixels > MAX_PIXELS {
        (format!("{} million pixels", MAX_PIXELS / 1_000_000), true)
    } else {
        let limit = format!("{} MiB", MAX_DECODED_BYTES >> 20);
        (limit, pixels * bytes as u64 > MAX_DECODED_BYTES)
    };
    if too_large {
        return Err(Refusal::TooLarge {
            what: format!("the film has {columns}×{rows} pixels"),
            limit,
        });
    }
    Ok(())
}

/// Checks that a codestream (ITU-T T.800, A.5.1 and A.6.1) is not cut into more pieces than any film needs.
fn check_jpeg_2000(stream: &[u8]) -> Result<(), Refusal> {
    let odd = || Refusal::Unsupported("JPEG 2000 of this structure".to_owned());
    // DICOM holds bare codestreams (PS3.5 A.4.4): SOC, then SIZ, then the other headers.
    if !stream.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) {
        return Err(odd());
    }
    let long = |at: usize| match stream.get(at..at + 4) {
        Some(&[a, b, c, d]) => Ok(u64::from(u32::from_be_bytes([a, b, c, d]))),
        _ => Err(Refusal::Truncated),
    };
    let (width, height, tile_width, tile_height) = (long(8)?, long(12)?, long(24)?, long(28)?);
    let tiles = width.div_ceil(tile_width.max(1)) * height.div_ceil(tile_height.max(1));
    let components = *stream.get(41).ok_or(Refusal::Truncated)?;
    let deep = stream.get(42).is_none_or(|depth| depth & 0x7F > 15);
    if deep || tiles > 4096 || !matches!(components, 1 | 3) || stream.get(40) != Some(&0) {
        return Err(odd());
    }
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = stream.get(at..at + 4) {
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        let segment = stream.get(at + 4..at + 2 + length).ok_or(Refusal::Truncated)?;
        match marker {
            // Coding style: precincts, where given, have at least 64 pixels a side but at the lowest resolution.
            0x52 | 0x53 => {
                let (style, precincts) = if marker == 0x52 {
                    (segment.first(), segment.get(10..))
                } else {
                    (segment.get(1), segment.get(7..))
                };
                let given = style.is_some_and(|style| style & 1 == 1);
                let small = |precinct: &u8| precinct & 15 < 6 || precinct >> 4 < 6;
                let highest =
                    precincts.and_then(|precincts| precincts.get(1..)).unwrap_or_default();
                if given && highest.iter().any(small) {
                    return Err(odd());
                }
            }
            0x90 | 0x93 => break,
            _ => {}
        }
        at += 2 + length;
    }
    Ok(())
}

fn jpeg_refusal(error: jpeg_decoder::Error) -> Refusal {
    use jpeg_decoder::Error::{Format, Internal, Io, Unsupported};
    match error {
        Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Refusal::Truncated,
        Unsupported(feature) => Refusal::Unsupported(format!("JPEG with {feature:?}")),
        Io(error) => Refusal::Damaged(error.to_string()),
        Format(reason) => Refusal::Damaged(reason),
        Internal(error) => Refusal::Damaged(error.to_string()),
    }
}

fn no_pixels() -> Refusal {
    Refusal::NotAFilm("it has no pixels".to_owned())
}
