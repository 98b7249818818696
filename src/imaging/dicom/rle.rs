//! RLE Lossless (PS3.5 annex G): bytes of equal significance in segments, each run-length coded.

use super::refusal::{Deadline, Refusal};

/// Decodes one frame into words, channels interleaved.
///
/// # Errors
/// When a segment is missing, lies outside, or is too short.
pub fn decode(
    frame: &[u8],
    pixels: usize,
    channels: usize,
    bytes: usize,
    deadline: Deadline,
) -> Result<Vec<u16>, Refusal> {
    let (heads, _) = frame.get(..64).ok_or(Refusal::Truncated)?.as_chunks::<4>();
    let heads: Vec<usize> = heads.iter().map(|&head| u32::from_le_bytes(head) as usize).collect();
    if heads[0] != channels * bytes {
        let what = format!("its RLE frame has {} segments, not {}", heads[0], channels * bytes);
        return Err(Refusal::Damaged(what));
    }
    let mut values = vec![0; pixels * channels];
    let mut plane = Vec::new();
    for segment in 0..channels * bytes {
        let from = heads[segment + 1];
        let to = if segment + 1 < channels * bytes { heads[segment + 2] } else { frame.len() };
        let coded = frame.get(from..to).ok_or(Refusal::Truncated)?;
        unpack(coded, pixels, &mut plane, deadline)?;
        // The most significant byte of a channel comes first.
        let (channel, shift) = (segment / bytes, 8 * (bytes - 1 - segment % bytes));
        let targets = values.iter_mut().skip(channel).step_by(channels);
        targets.zip(&plane).for_each(|(value, &byte)| *value |= u16::from(byte) << shift);
    }
    Ok(values)
}

/// Undoes `PackBits`: a byte of up to 127 announces that many bytes and one more, one above 128 a run of 257 less it.
fn unpack(
    mut coded: &[u8],
    length: usize,
    plane: &mut Vec<u8>,
    deadline: Deadline,
) -> Result<(), Refusal> {
    plane.clear();
    let mut steps = 0_u32;
    while plane.len() < length {
        steps += 1;
        if steps.is_multiple_of(1 << 16) {
            deadline.check()?;
        }
        let (&head, rest) = coded.split_first().ok_or(Refusal::Truncated)?;
        coded = match head {
            0..128 => {
                let (bytes, rest) =
                    rest.split_at_checked(usize::from(head) + 1).ok_or(Refusal::Truncated)?;
                plane.extend_from_slice(bytes);
                rest
            }
            128 => rest,
            129.. => {
                let (&byte, rest) = rest.split_first().ok_or(Refusal::Truncated)?;
                plane.resize(plane.len() + 257 - usize::from(head), byte);
                rest
            }
        };
    }
    plane.truncate(length);
    Ok(())
}
