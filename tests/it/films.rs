//! Films from disk to batches: decoding of sound and hostile files, scanning, and the real films' names.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, Rgba};
use penumbra::dataset::batches::eval_batch;
use penumbra::dataset::labels::read_labels;
use penumbra::dataset::planes::{KeepError, PlaneStore};
use penumbra::dataset::{Flow, PatientRule, Stopped, scan};
use penumbra::fsutil::write_atomic;
use penumbra::imaging::{About, DecodeError, Film, Fit, Preprocess, decode, decode_bytes};

const FORMATS: [ImageFormat; 5] =
    [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::WebP];

fn golden(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(part)
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// A grey picture with structure and noise, so that no format can store it in a few bytes.
fn picture(width: u32, height: u32) -> DynamicImage {
    let mut state = 1u32;
    let noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 27
    };
    let mut noise = noise;
    let pixel = |x: u32, y: u32| Luma([(60 + x * 80 / width + y * 80 / height + noise()) as u8]);
    DynamicImage::ImageLuma8(ImageBuffer::from_fn(width, height, pixel))
}

fn film(bytes: &[u8]) -> Result<Film, DecodeError> {
    decode_bytes(bytes, Path::new("films/a film"))
}

#[test]
fn lossless_formats_keep_grey_values_exactly() {
    let grey = picture(61, 47);
    let values: Vec<u16> = grey.to_luma8().into_raw().into_iter().map(u16::from).collect();
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::WebP] {
        for image in [DynamicImage::from(grey.to_rgb8()), DynamicImage::from(grey.to_rgba8())] {
            let decoded = film(&encode(&image, format)).unwrap();
            assert_eq!((decoded.width, decoded.height, decoded.bits), (61, 47, 8), "{format:?}");
            assert!(decoded.values == values, "{format:?}");
        }
    }
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Bmp] {
        assert!(film(&encode(&grey, format)).unwrap().values == values, "{format:?}");
    }
}

#[test]
fn sixteen_bits_are_kept_exactly() {
    let values: Vec<u16> = (0..64 * 32).map(|i: u32| (i * 31) as u16).collect();
    let grey: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_raw(64, 32, values.clone()).unwrap();
    let rgb = DynamicImage::ImageRgb16(ImageBuffer::from_fn(64, 32, |x, y| {
        Rgb([grey.get_pixel(x, y).0[0]; 3])
    }));
    let rgba = ImageBuffer::from_fn(64, 32, |x, y| {
        let value = grey.get_pixel(x, y).0[0];
        Rgba([value, value, value, 9])
    });
    for image in [DynamicImage::ImageLuma16(grey.clone()), rgb, DynamicImage::ImageRgba16(rgba)] {
        for format in [ImageFormat::Png, ImageFormat::Tiff] {
            let decoded = film(&encode(&image, format)).unwrap();
            assert_eq!(
                decoded,
                Film {
                    width: 64,
                    height: 32,
                    bits: 16,
                    values: values.clone(),
                    about: About::default()
                },
                "{format:?}"
            );
        }
    }
}

#[test]
fn jpeg_comes_close_to_what_was_stored() {
    let grey = picture(64, 64);
    let decoded = film(&encode(&grey, ImageFormat::Jpeg)).unwrap();
    let off = decoded
        .values
        .iter()
        .zip(grey.to_luma8().into_raw())
        .map(|(&a, b)| a.abs_diff(u16::from(b)));
    assert!(f64::from(off.map(u32::from).sum::<u32>()) / 4096.0 < 8.0);
}

#[test]
fn a_file_cut_short_is_refused_in_every_format() {
    for format in FORMATS {
        let whole = encode(&DynamicImage::from(picture(90, 70).to_rgb8()), format);
        assert!(film(&whole).is_ok(), "{format:?}");
        for percent in (1..100).step_by(3) {
            let cut = &whole[..whole.len() * percent / 100];
            let error = film(cut)
                .err()
                .unwrap_or_else(|| panic!("{format:?} at {percent} % was taken for a film"));
            let named = matches!(error, DecodeError::Truncated { .. });
            assert!(named || percent < 10, "{format:?} at {percent} %: {error}");
            let text = error.to_string();
            assert!(
                text.ends_with(": films/a film") && !text.contains('\n'),
                "{format:?} at {percent} %: {text}"
            );
        }
    }
}

#[test]
fn a_real_jpeg_cut_in_its_pixels_is_refused() {
    let path = golden("films/film-1.jpeg");
    let whole = fs::read(&path).unwrap();
    assert!(decode_bytes(&whole, &path).is_ok());
    for cut in [whole.len() - 1, whole.len() - 2, whole.len() / 2, 700] {
        assert!(
            matches!(decode_bytes(&whole[..cut], &path), Err(DecodeError::Truncated { .. })),
            "{cut}"
        );
    }
    let padded = [&whole[..], &[0; 64]].concat();
    assert!(decode_bytes(&padded, &path).is_ok(), "padding after the end is harmless");
}

/// A PNG whose header claims a size, with sound checksums and no pixels.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
            })
        })
    };
    let chunk = |kind: &[u8], data: &[u8]| {
        let body = [kind, data].concat();
        [&(data.len() as u32).to_be_bytes()[..], &body, &crc(&body).to_be_bytes()].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let start = b"\x89PNG\r\n\x1a\n";
    [&start[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", &[0x78, 0x9C]), &chunk(b"IEND", &[])]
        .concat()
}

/// A BMP whose header claims a size.
fn bmp_claiming(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([1, 0, 24, 0]);
    bytes.resize(54 + 64, 0);
    bytes
}

#[test]
fn claimed_sizes_are_refused_before_memory_is_taken() {
    for bytes in
        [png_claiming(60_000, 60_000), png_claiming(20_000, 5_001), bmp_claiming(60_000, 60_000)]
    {
        let error = film(&bytes).unwrap_err();
        assert!(matches!(error, DecodeError::TooLarge { .. }), "{error}");
    }
    assert!(matches!(
        film(&png_claiming(2_000, 2_000)),
        Err(DecodeError::Truncated { .. } | DecodeError::Damaged { .. })
    ));
    assert!(film(&png_claiming(0, 10)).is_err());
    // A JPEG header claims at most 65,535 each way.
    let mut jpeg = encode(&picture(16, 16), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xFF);
    let error = film(&jpeg).unwrap_err();
    assert!(error.to_string().contains("65535×65535 pixels"), "{error}");
}

#[test]
fn what_is_no_film_is_refused_with_the_reason() {
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM\x02\0\0\0UL");
    for (bytes, reason) in [
        (&b""[..], "the file is empty"),
        (b"file,label\na,b\n", "not a DICOM, PNG, JPEG, TIFF, BMP or WebP image"),
        (b"GIF89a\x01\0\x01\0\0\0\0;", "not a DICOM, PNG, JPEG, TIFF, BMP or WebP image"),
        (&dicom, "the file is cut short, copy it again from its source"),
    ] {
        assert_eq!(film(bytes).unwrap_err().reason(), reason);
    }
    assert_eq!(decode_bytes(b"", Path::new("a: b: c")).unwrap_err().reason(), "the file is empty");
    let error = decode(Path::new("no/such film.png")).unwrap_err().to_string();
    assert!(
        error.starts_with("could not read the file") && error.ends_with(": no/such film.png"),
        "{error}"
    );
}

#[test]
fn no_damage_makes_the_decoder_panic() {
    for format in FORMATS {
        let whole = encode(&picture(20, 16), format);
        for at in 0..whole.len().min(400) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xFF;
            if let Ok(film) = film(&damaged) {
                assert_eq!(
                    film.values.len(),
                    film.width as usize * film.height as usize,
                    "{format:?} {at}"
                );
            }
        }
    }
}

#[test]
fn an_exif_orientation_is_applied() {
    let plain = encode(&picture(40, 24), ImageFormat::Jpeg);
    // APP1 with one big-endian TIFF entry: tag 0x0112 (orientation), type SHORT, value 6 (turn right).
    let exif = b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let marked = [&plain[..2], &[0xFF, 0xE1], &length, exif, &plain[2..]].concat();
    let (upright, turned) = (film(&plain).unwrap(), film(&marked).unwrap());
    assert_eq!((turned.width, turned.height), (24, 40));
    for (x, y) in [(0, 0), (39, 0), (5, 23)] {
        assert_eq!(turned.values[x * 24 + 23 - y], upright.values[y * 40 + x]);
    }
}

#[test]
fn real_films_keep_their_aspect_ratio() {
    for name in ["films/film-1.jpeg", "films/film-2.jpeg"] {
        let film = decode(&golden(name)).unwrap();
        assert_eq!((film.height, film.bits), (800, 8));
        let padded = Preprocess { size: 160, fit: Fit::Pad }.apply(&film);
        let rows = (160.0 * 800.0 / f64::from(film.width)).round() as usize;
        let top = (160 - rows) / 2;
        let lit = |row: usize| padded.pixels[row * 160..][..160].iter().any(|&pixel| pixel > 0.0);
        assert!((0..top).chain(top + rows..160).all(|row| !lit(row)), "bars are black");
        assert!(
            (top + 1..top + rows - 1).filter(|&row| lit(row)).count() * 10 > rows * 9,
            "the film is not"
        );
        // Reference: box means of the film, which a smooth region of any good resize comes close to.
        let scale = f64::from(film.width) / 160.0;
        let cropped = Preprocess { size: 160, fit: Fit::Crop }.apply(&film);
        let left = (f64::from(film.width) - 800.0) / 2.0;
        for (plane, step, origin) in
            [(&padded, scale, (0.0, -(top as f64) * scale)), (&cropped, 5.0, (left, 0.0))]
        {
            let off: f64 = (40..120usize)
                .flat_map(|y| (40..120usize).map(move |x| (x, y)))
                .map(|(x, y)| {
                    let mean = box_mean(
                        &film,
                        origin.0 + x as f64 * step,
                        origin.1 + y as f64 * step,
                        step,
                    );
                    (f64::from(plane.pixels[y * 160 + x]) - mean).abs()
                })
                .sum();
            assert!(off / 6400.0 < 0.012, "mean difference {}", off / 6400.0);
        }
    }
}

fn box_mean(film: &Film, x: f64, y: f64, side: f64) -> f64 {
    let span = |from: f64| from.round() as usize..(from + side).round() as usize;
    let cells = span(y).flat_map(|row| span(x).map(move |column| (row, column)));
    let values: Vec<u16> =
        cells.map(|(row, column)| film.values[row * film.width as usize + column]).collect();
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / 255.0 / values.len() as f64
}

#[test]
fn the_patient_rule_agrees_with_real_file_names() {
    let rows = read_labels(&golden("patients.csv")).unwrap();
    assert_eq!(rows.len(), 654);
    let rule = PatientRule::default();
    let wrong: Vec<_> =
        rows.iter().filter(|row| Some(rule.patient(&row.file)) != row.patient).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} rows differ, such as {:?}",
        wrong.len(),
        rows.len(),
        wrong[0]
    );
    let parts = |split: &str| -> BTreeSet<String> {
        rows.iter()
            .filter(|row| row.split.as_deref() == Some(split))
            .map(|row| rule.patient(&row.file))
            .collect()
    };
    assert!(!parts("train").is_empty() && parts("train").is_disjoint(&parts("val")));
}

/// A folder with sound films, duplicates, companions, hidden files and things that are no films.
fn mixed_folder() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| write_atomic(&root.path().join(name), bytes).unwrap();
    let (a, b) =
        (encode(&picture(30, 20), ImageFormat::Png), encode(&picture(20, 30), ImageFormat::Jpeg));
    put("b/person7_virus_2.jpeg", &b);
    put("b/person7_bacteria_1.png", &a);
    put("a copy.png", &a);
    put("c/named wrongly.jpg", &encode(&picture(9, 9), ImageFormat::Bmp));
    put("c/cut.jpg", &b[..b.len() / 2]);
    put("c/empty.png", b"");
    put("c/notes", b"no film at all");
    put("labels.csv", b"file,label\n");
    put(".hidden/person7_virus_3.jpeg", &b);
    put("c/.hidden.png", &a);
    root
}

#[test]
fn a_scan_finds_films_duplicates_and_refusals() {
    let root = mixed_folder();
    let calls = AtomicUsize::new(0);
    let found = scan(root.path(), &PatientRule::default(), &|done, total| {
        assert!((1..=total).contains(&done) && total == 7);
        calls.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(calls.into_inner(), 7);
    let films: Vec<_> =
        found.films.iter().map(|film| (film.file.as_str(), film.patient.as_str())).collect();
    let expected = [
        ("a copy.png", "a copy"),
        ("b/person7_virus_2.jpeg", "P7"),
        ("c/named wrongly.jpg", "c/named wrongly"),
    ];
    assert_eq!(films, expected);
    assert_eq!((found.films[0].width, found.films[0].height, found.films[0].bits), (30, 20, 8));
    assert_eq!(found.films[0].bytes, fs::metadata(root.path().join("a copy.png")).unwrap().len());
    let duplicates: Vec<_> =
        found.duplicates.iter().map(|twin| (twin.file.as_str(), twin.of.as_str())).collect();
    assert_eq!(duplicates, [("b/person7_bacteria_1.png", "a copy.png")]);
    let refused: BTreeMap<_, _> = found
        .refused
        .iter()
        .map(|refused| (refused.file.as_str(), refused.reason.as_str()))
        .collect();
    assert_eq!(
        refused,
        BTreeMap::from([
            ("c/cut.jpg", "the file is cut short, copy it again from its source"),
            ("c/empty.png", "the file is empty"),
            ("c/notes", "not a DICOM, PNG, JPEG, TIFF, BMP or WebP image"),
        ])
    );
    let gone = scan(&root.path().join("gone"), &PatientRule::default(), &|_, _| {})
        .unwrap_err()
        .to_string();
    assert!(
        gone.starts_with("could not open the folder of films") && gone.ends_with("gone"),
        "{gone}"
    );
}

#[cfg(unix)]
#[test]
fn a_scan_follows_links_once_and_survives_loops() {
    let root = tempfile::tempdir().unwrap();
    let bytes = encode(&picture(8, 8), ImageFormat::Png);
    write_atomic(&root.path().join("a/1.png"), &bytes).unwrap();
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, root.path().join(name)).unwrap();
    };
    link("..", "a/up");
    link(".", "self");
    link("a", "z");
    link("missing", "dangling");
    let found = scan(root.path(), &PatientRule::default(), &|_, _| {}).unwrap();
    assert_eq!(found.films.iter().map(|film| film.file.as_str()).collect::<Vec<_>>(), ["a/1.png"]);
    assert!(found.duplicates.is_empty());
    assert_eq!(
        found.refused.iter().map(|refused| refused.file.as_str()).collect::<Vec<_>>(),
        ["dangling"]
    );
}

#[test]
fn reading_films_ends_when_asked() {
    let root = mixed_folder();
    let files = vec!["a copy.png".to_owned(); 40];
    let pre = Preprocess { size: 12, fit: Fit::Pad };
    let asked = AtomicUsize::new(0);
    let stopped = PlaneStore::load(root.path(), &files, &pre, 1, &|done, total| {
        asked.store(done, Ordering::Relaxed);
        if (done, total) == (3, 40) { Flow::Stop } else { Flow::Continue }
    });
    assert!(matches!(stopped, Err(Stopped)));
    assert_eq!(asked.into_inner(), 3, "films were read after the end");
}

/// Kept on disk they are what they are in memory, made once, and films that are gone are reported each time.
#[test]
fn kept_planes_are_those_in_memory() {
    let (root, cache) = (mixed_folder(), tempfile::tempdir().unwrap());
    let files =
        ["b/person7_virus_2.jpeg", "c/cut.jpg", "a copy.png", "gone.png"].map(str::to_owned);
    let keys = ["1", "2", "3", "4"].map(str::to_owned);
    let pre = Preprocess { size: 12, fit: Fit::Crop };
    let (memory, refused) =
        PlaneStore::load(root.path(), &files, &pre, 1, &|_, _| Flow::Continue).unwrap();
    let kept = || {
        let go_on = &mut |_, _| Flow::Continue;
        PlaneStore::kept(cache.path(), root.path(), (&files, &keys), &pre, go_on).unwrap()
    };
    let same = |store: &PlaneStore| {
        assert_eq!((store.len(), store.size), (4, 12));
        (0..4).all(|film| store.plane(film) == memory.plane(film))
    };
    for _ in 0..2 {
        let (store, refused_too) = kept();
        assert_eq!(refused_too, refused);
        assert!(same(&store) && store.select(&[2]).plane(0) == memory.plane(2));
    }
    // Other contents under a name whose film is known: its plane is not made again until it is found damaged.
    let first = root.path().join(&files[0]);
    let film = std::fs::read(&first).unwrap();
    std::fs::copy(root.path().join(&files[2]), &first).unwrap();
    let (store, _) = kept();
    assert!(same(&store));
    write_atomic(&first, &film).unwrap();
    let pixels = std::fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().path());
    let pixels = pixels.filter(|path| path.extension().is_some_and(|part| part == "pixels"));
    for path in pixels {
        // In place, where the store has it open.
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all(&vec![7; file.metadata().unwrap().len() as usize]).unwrap();
    }
    assert!(same(&store), "a damaged plane was taken for the film");
    std::fs::remove_file(&first).unwrap();
    let (_, refused) = kept();
    assert_eq!(refused.len(), 3, "{refused:?}");
    let go_on = &mut |done, _| if done == 2 { Flow::Stop } else { Flow::Continue };
    let stopped = PlaneStore::kept(cache.path(), root.path(), (&files, &keys), &pre, go_on);
    assert!(matches!(stopped, Err(KeepError::Stopped(_))));
    let no_folder = root.path().join(&files[2]);
    let go_on = &mut |_, _| Flow::Continue;
    let refused = PlaneStore::kept(&no_folder, root.path(), (&files, &keys), &pre, go_on);
    assert!(matches!(refused, Err(KeepError::Io(_))));
}

#[test]
fn planes_keep_their_places_whatever_the_threads() {
    let root = mixed_folder();
    let files =
        ["b/person7_virus_2.jpeg", "c/cut.jpg", "a copy.png", "gone.png", "c/named wrongly.jpg"]
            .map(str::to_owned);
    let pre = Preprocess { size: 12, fit: Fit::Pad };
    let load =
        |threads| PlaneStore::load(root.path(), &files, &pre, threads, &|_, _| Flow::Continue);
    let (one, refused) = load(1).unwrap();
    let (four, refused_again) = load(4).unwrap();
    assert_eq!(
        refused.iter().map(|refused| refused.file.as_str()).collect::<Vec<_>>(),
        ["c/cut.jpg", "gone.png"]
    );
    assert_eq!(refused, refused_again);
    assert_eq!((one.len(), one.size), (5, 12));
    for place in 0..5 {
        assert_eq!(one.plane(place), four.plane(place));
        let black = one.plane(place).pixels.iter().all(|&pixel| pixel == 0.0);
        assert_eq!(black, [1, 3].contains(&place));
    }
    let exact = pre.apply(&decode(&root.path().join("a copy.png")).unwrap());
    let kept = eval_batch(&one, &[2], 12);
    assert!(
        exact.pixels.iter().zip(&kept.pixels).all(|(a, b)| (a - b).abs() <= 0.5 / 255.0 + 1e-6)
    );
}
