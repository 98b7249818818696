//! What the fixtures of `tests/dicom` do not reach: hostile files, limits, units.

use std::io::Write as _;

use proptest::prelude::*;

use super::refusal::{Deadline, Refusal};
use super::*;

fn refused(bytes: &[u8]) -> String {
    read(bytes, Path::new("film")).unwrap_err().reason()
}

/// A file of explicit little endian elements after its preamble.
fn file(elements: &[&[u8]]) -> Vec<u8> {
    let syntax = element([2, 0, 0x10, 0], *b"UI", b"1.2.840.10008.1.2.1\0");
    [&[0; 128][..], b"DICM", &syntax, &elements.concat()].concat()
}

fn element(tag: [u8; 4], vr: [u8; 2], value: &[u8]) -> Vec<u8> {
    [&tag[..], &vr, &(value.len() as u16).to_le_bytes(), value].concat()
}

#[test]
fn a_length_that_the_file_has_not_is_refused_before_anything_is_made_of_it() {
    let rows = element([0x28, 0, 0x10, 0], *b"US", &[16, 0]);
    let claimed = [&[0xE0, 0x7F, 0x10, 0][..], b"OW\0\0", &[0xFE, 0xFF, 0xFF, 0xFF, 1, 2]].concat();
    assert!(refused(&file(&[&rows, &claimed])).contains("cut short"));
}

#[test]
fn bombs_of_elements_and_of_sequences_are_refused() {
    let deep =
        [&[0x08, 0, 0x40, 0x11][..], b"SQ\0\0", &[0xFF; 4], &[0xFE, 0xFF, 0, 0xE0], &[0xFF; 4]];
    let reason = "the file is damaged (it has more elements or deeper sequences than any film)";
    assert_eq!(refused(&file(&[&deep.concat().repeat(100_000)])), reason);
    assert_eq!(refused(&file(&[&element([0x09, 0, 1, 0], *b"LO", b"").repeat(300_000)])), reason);
}

#[test]
fn inflating_stops_at_its_limit() {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![7; 3 << 20]).unwrap();
    let deflated = encoder.finish().unwrap();
    let inflate = |most| file::inflate(&deflated, most, Deadline::start());
    assert_eq!(inflate(3 << 20).unwrap().len(), 3 << 20);
    assert!(matches!(inflate((3 << 20) - 1), Err(Refusal::TooLarge { .. })));
}

#[test]
fn what_begins_like_an_element_only_is_not_dicom() {
    for other in [&b"\x08\0\0"[..], b"\x89PNG\r\n\x1a\n....", b"\x08\0\xFF\0AB\0\0", &[2; 200], b""]
    {
        assert!(!recognise(other), "{other:?}");
    }
    assert!(recognise(b"\x08\0\x05\0CS\x0A\0ISO_IR 100"));
    assert!(recognise(b"\x08\0\x05\0\x02\0\0\0AB"));
}

#[test]
fn a_patients_identifier_cannot_be_printed() {
    let id = PatientId::new(b" PEN-4711 ").unwrap();
    assert!(!format!("{id:?}").contains("4711"));
    assert_eq!(id.hashed(&[1; 32]), PatientId::new(b"PEN-4711\0").unwrap().hashed(&[1; 32]));
    assert_ne!(id.hashed(&[1; 32]), id.hashed(&[2; 32]));
    assert!(PatientId::new(b"  ").is_none());
}

#[test]
fn runs_that_leave_their_frame_are_refused() {
    let decode = |frame: &[u8]| rle::decode(frame, 4, 1, 1, Deadline::start());
    let frame = |count: u8, at: u8, coded: &[u8]| {
        let mut frame = [0; 64];
        (frame[0], frame[4]) = (count, at);
        [&frame[..], coded].concat()
    };
    assert_eq!(decode(&frame(1, 64, &[254, 9, 0, 5])).unwrap(), [9, 9, 9, 5]);
    assert_eq!(decode(&frame(1, 64, &[128, 129, 7])).unwrap(), [7; 4]);
    for cut in
        [frame(1, 64, &[254, 9]), frame(1, 64, &[3, 1, 2]), frame(1, 200, &[0, 1]), vec![1; 63]]
    {
        assert_eq!(decode(&cut), Err(Refusal::Truncated));
    }
    assert!(matches!(decode(&frame(2, 64, &[254, 9, 0, 5])), Err(Refusal::Damaged(_))));
}

proptest! {
    /// PS3.3 C.11.2.1.2.1, in the file's own units.
    #[test]
    fn a_window_over_film_values_shows_what_it_shows_in_units(
        scale in prop_oneof![Just(1.0_f32), 0.01..50.0_f32],
        offset in -5000.0..5000.0_f32,
        centre in -5000.0..5000.0_f64,
        width in 2.0..9000.0_f64,
        value: u16,
    ) {
        let about = About { scale, offset, ..About::default() };
        let units = f64::from(value) * f64::from(scale) + f64::from(offset);
        let expected = ((units - (centre - 0.5)) / (width - 1.0) + 0.5).clamp(0.0, 1.0);
        let found = about.window(centre, width).brightness(value);
        // Windows are kept in single precision.
        let step = f64::from(scale) / (width - 1.0);
        prop_assert!((found - expected).abs() < 1e-3 + 0.02 * step, "{found} {expected}");
    }

    #[test]
    fn no_bytes_make_jpeg_ls_panic(scan: Vec<u8>, precision in 2_u8..17, near in 0_u8..4) {
        let head = [
            &[0xFF, 0xD8, 0xFF, 0xF7, 0, 11, precision, 0, 9, 0, 7, 1, 1, 0x11, 0][..],
            &[0xFF, 0xDA, 0, 8, 1, 1, 0, near, 0, 0],
        ].concat();
        let decoded = jpeg_ls::decode(&[head, scan].concat(), 7, 9, Deadline::start());
        if let Ok(values) = decoded {
            prop_assert!(values.iter().all(|&value| u32::from(value) < 1 << precision));
        }
    }
}
