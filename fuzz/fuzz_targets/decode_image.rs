//! PNG, JPEG, TIFF, BMP and WebP to films.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use penumbra_fuzz::imaging::{self, Fit, Preprocess};

fuzz_target!(|bytes: &[u8]| {
    penumbra_fuzz::catch_foreign_panics();
    if let Ok(film) = imaging::decode_bytes(bytes, Path::new("film")) {
        assert_eq!(film.values.len(), film.width as usize * film.height as usize);
        assert!(film.bits == 16 || film.bits == 8 && film.values.iter().all(|&value| value < 256));
        if film.values.len() < 1 << 20 {
            let plane = Preprocess { size: 16, fit: Fit::Pad }.apply(&film);
            assert!(plane.pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
        }
    }
});
