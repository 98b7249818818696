//! DICOM to films: what is not DICOM is made so by a preamble.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use penumbra_fuzz::imaging::{self, Fit, Preprocess};

fuzz_target!(|bytes: &[u8]| {
    penumbra_fuzz::catch_foreign_panics();
    let mut file = bytes.to_vec();
    if file.get(128..132) != Some(b"DICM") {
        file.splice(0..0, [vec![0; 128], b"DICM".to_vec()].concat());
    }
    let Ok((film, _)) = imaging::decode_with_patient(&file, Path::new("film")) else { return };
    assert_eq!(film.values.len(), film.width as usize * film.height as usize);
    assert!(film.bits == 16 || film.bits == 8 && film.values.iter().all(|&value| value < 256));
    if film.values.len() > 1 << 20 {
        return;
    }
    let mut grey = Vec::new();
    imaging::render(&film, film.default_view(), true, &mut grey);
    assert_eq!(grey.len(), film.values.len());
    let plane = Preprocess { size: 16, fit: Fit::Crop }.apply(&film);
    assert!(plane.pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
});
