//! NumPy's array format, version 1.0 (`numpy.lib.format`).

/// Writes the header of an array: padded to a multiple of 64 bytes, the values to follow row by row.
///
/// `descr` is NumPy's name of the type of a value, such as `<f4`.
pub(super) fn npy_header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sides: Vec<_> = shape.iter().map(usize::to_string).collect();
    // A tuple of one has a comma.
    let sides = if let [side] = &sides[..] { format!("{side},") } else { sides.join(", ") };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sides}), }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes
}

/// Writes a table of 32-bit floats, row by row.
pub fn npy(shape: [usize; 2], values: &[f32]) -> Vec<u8> {
    let mut bytes = npy_header("<f4", &shape);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// Writes texts as a one-dimensional array of fixed width in code points (`<U…`), which NumPy reads without pickle.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Vec<u8> {
    let width = texts.clone().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let mut bytes = npy_header(&format!("<U{width}"), &[texts.clone().count()]);
    for text in texts {
        let padded = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(width);
        bytes.extend(padded.flat_map(u32::to_le_bytes));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of `numpy.save` (2.4) for arrays of these shapes and types.
    #[test]
    fn headers_are_numpys() {
        for (descr, shape, dict) in [
            ("<f4", &[1, 3][..], "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }"),
            ("<i8", &[7], "{'descr': '<i8', 'fortran_order': False, 'shape': (7,), }"),
            ("|u1", &[2, 3, 4], "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4), }"),
        ] {
            let bytes = npy_header(descr, shape);
            assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
            assert!(bytes[10..].starts_with(dict.as_bytes()), "{dict}");
            assert_eq!((bytes.len(), bytes[127]), (128, b'\n'));
        }
    }

    #[test]
    fn values_follow_the_header() {
        let bytes = npy([1, 3], &[1.0, 2.0, 3.0]);
        assert_eq!(bytes[128..], [0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64]);
    }

    #[test]
    fn texts_are_padded_code_points() {
        let bytes = texts(["ü", "abc"].into_iter());
        assert!(
            bytes[10..].starts_with(b"{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }")
        );
        let values: Vec<u32> = bytes[128..]
            .chunks_exact(4)
            .map(|value| u32::from_le_bytes(value.try_into().unwrap()))
            .collect();
        assert_eq!(values, [0xFC, 0, 0, 97, 98, 99]);
    }
}
