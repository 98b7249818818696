//! DICOM films against what pydicom shows of them: the fixtures of `tests/dicom/make.py`.

use std::fs;
use std::path::{Path, PathBuf};

use penumbra::dataset::{PatientRule, scan};
use penumbra::imaging::{self, DecodeError, Film, Fit, Preprocess, Window};

use super::cli::{code, penumbra, text};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dicom")
}

fn film(name: &str) -> Film {
    imaging::decode(&fixtures().join(format!("{name}.dcm"))).unwrap()
}

fn shown(film: &Film) -> Vec<u8> {
    let mut grey = Vec::new();
    imaging::render(film, film.default_view(), false, &mut grey);
    grey
}

/// Names of the fixtures with what pydicom shows of them.
fn expected() -> Vec<(String, image::GrayImage)> {
    let mut expected: Vec<_> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, image::open(path).unwrap().into_luma8())
        })
        .collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    expected
}

#[test]
fn films_are_shown_as_pydicom_shows_them() {
    let expected = expected();
    assert_eq!(expected.len(), 42);
    for (name, picture) in expected {
        let film = film(&name);
        assert_eq!((film.width, film.height), picture.dimensions(), "{name}");
        // Decoders of JPEG differ in their rounding, and once more in that of colour.
        let allowed = if name == "colour-jpeg" { 2 } else { 1 };
        let off = shown(&film).iter().zip(picture.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(off.unwrap() <= allowed, "{name} differs by {off:?}");
        let spread = picture.iter().max().unwrap() - picture.iter().min().unwrap();
        assert!(spread > 100, "{name} shows next to nothing: {spread}");
    }
}

#[test]
fn the_render_command_writes_what_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("shown.png");
    let render = |name: &str, more: &[&str]| {
        let file = fixtures().join(name).to_string_lossy().into_owned();
        penumbra(home.path(), &[&["render", &file, "--out", out.to_str().unwrap()], more].concat())
    };
    let done = render("voi-lut.dcm", &[]);
    assert_eq!(code(&done), 0, "{}", text(&done));
    let written = image::open(&out).unwrap();
    assert_eq!(written.color(), image::ColorType::L8);
    assert_eq!(written.into_luma8().into_raw(), shown(&film("voi-lut")));

    // A window in the file's own units, of a film whose rescale slope is -10.
    assert_eq!(code(&render("signed-negative-slope.dcm", &["--window", "3000,22000"])), 0);
    assert_eq!(
        image::open(&out).unwrap().into_luma8().into_raw(),
        shown(&film("signed-negative-slope"))
    );
    assert_eq!(code(&render("voi-lut.dcm", &["--window", "wide"])), 2);

    fs::remove_file(&out).unwrap();
    let refused = render("mpeg.dcm", &[]);
    assert_eq!(code(&refused), 3);
    let said = text(&refused);
    assert!(said.contains("MPEG2 Main Profile / Main Level, 1.2.840.10008.1.2.4.100"), "{said}");
    assert!(!out.exists());
    // What fell back is said.
    assert!(text(&render("short-lut.dcm", &[])).contains("the VOI LUT is malformed"));
}

#[test]
fn files_that_hold_no_film_are_refused_with_the_reason() {
    for (name, reason) in [
        ("bad-bits-stored", "the file is damaged (20 bits up to bit 19 are not in 16)"),
        (
            "ct",
            "a DICOM file without a film (an object of class 1.2.840.10008.5.1.4.1.1.2, not CR, DX or secondary capture)",
        ),
        ("dicomdir", "a DICOM file without a film (a DICOMDIR, the index of other files)"),
        ("huge", "the film has 60000×60000 pixels, more than the limit of 100 million pixels"),
        ("jpeg-extended-12", "images of this kind are not read (JPEG Extended of 12 bits)"),
        (
            "mpeg",
            "images of this kind are not read (transfer syntax MPEG2 Main Profile / Main Level, 1.2.840.10008.1.2.4.100, is not supported)",
        ),
        ("no-pixels", "a DICOM file without a film (it has no pixels)"),
        ("no-rows", "the file is damaged (it has no rows)"),
        ("palette", "images of this kind are not read (PALETTE COLOR pixels)"),
        ("pdf", "a DICOM file without a film (an encapsulated document, such as a PDF)"),
        (
            "private-syntax",
            "images of this kind are not read (transfer syntax unknown, 1.2.3.4.5.6, is not supported)",
        ),
        ("truncated", "the file is cut short, copy it again from its source"),
        ("truncated-deflated", "the file is cut short, copy it again from its source"),
        ("truncated-rle", "the file is cut short, copy it again from its source"),
        ("wrong-length", "the file is damaged (its pixels have 18720 bytes, not 56160)"),
    ] {
        let path = fixtures().join(format!("{name}.dcm"));
        assert_eq!(imaging::decode(&path).unwrap_err().reason(), reason, "{name}");
    }
}

#[test]
fn every_fixture_is_shown_or_refused() {
    let shown = expected().len();
    let all = fs::read_dir(fixtures()).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "dcm")
    });
    assert_eq!(all.count(), shown + 15);
}

#[test]
fn files_cut_anywhere_are_refused_and_nothing_panics() {
    let path = Path::new("cut");
    for (name, _) in expected() {
        let whole = fs::read(fixtures().join(format!("{name}.dcm"))).unwrap();
        for percent in (0..100).step_by(7) {
            let cut = &whole[..whole.len() * percent / 100];
            match imaging::decode_bytes(cut, path) {
                Ok(_) => panic!("{name} at {percent} % was taken for a film"),
                Err(DecodeError::Damaged { reason, .. }) => {
                    assert_ne!(reason, "the decoder gave up", "{name} at {percent} %");
                }
                Err(_) => {}
            }
        }
    }
}

#[test]
fn a_fallback_is_noted_and_a_sound_file_is_not() {
    for (name, _) in expected() {
        let notes = film(&name).about.notes;
        let bad = ["bad-", "short-", "high-"].iter().any(|sign| name.starts_with(sign));
        assert_eq!(!notes.is_empty(), bad || name.contains("frames"), "{name}: {notes:?}");
    }
    assert_eq!(
        film("bad-bits").about.notes,
        ["the VOI LUT is malformed (its entries have 40 bits): shown by percentiles"]
    );
    assert_eq!(film("frames").about.notes, ["the first of 2 frames"]);
}

#[test]
fn what_a_file_says_beside_its_values_is_kept() {
    let film = film("mono1-12-windows");
    let about = &film.about;
    assert!(about.inverted && about.dicom);
    assert_eq!(about.windows.len(), 2);
    assert_eq!(about.windows[1].name, "HARDER");
    assert_eq!(about.windows[1].window, Window { centre: 1500.5, width: 900.0 });
    let spacing = about.spacing.unwrap();
    assert_eq!((spacing.row_mm, spacing.column_mm, spacing.calibrated), (0.14, 0.15, true));
    assert!(self::film("mono2-8").about.burned_in && !about.burned_in);
}

#[test]
fn units_and_film_values_lead_to_each_other() {
    // Slope -10, intercept 3000: stored -1500 is 18,000.
    let film = film("signed-negative-slope");
    let about = &film.about;
    assert_eq!(about.scale, 10.0);
    // Stored values run from -2048 to 2047; the highest has the lowest units.
    assert_eq!(about.offset, 3000.0 - 20470.0);
    let (centre, width) = about.units(about.window(3000.0, 22000.0));
    assert!((centre - 3000.0).abs() < 0.01 && (width - 22000.0).abs() < 0.01, "{centre} {width}");
}

#[test]
fn padding_is_black_whatever_is_inverted_and_weighs_nothing() {
    let film = film("padding");
    assert_eq!(film.about.padding, Some((0, 5)));
    let mut grey = Vec::new();
    for invert in [false, true] {
        imaging::render(&film, film.default_view(), invert, &mut grey);
        assert!(grey[..12 * film.width as usize].iter().all(|&value| value == 0), "{invert}");
    }
    let low = film.values.iter().filter(|&&value| value > 5).min().unwrap();
    let window = Window::percentile(&film);
    assert!(window.centre - window.width / 2.0 >= f32::from(*low) - 1.0, "{window:?}");
}

#[test]
fn a_model_sees_the_default_view_of_a_film() {
    for name in ["mono1-12-windows", "voi-lut", "padding", "signed-negative-slope", "modality-lut"]
    {
        let film = film(name);
        let plane = Preprocess { size: film.width, fit: Fit::Pad }.apply(&film);
        let top = ((film.width - film.height) / 2 * film.width) as usize;
        for (brightness, grey) in plane.pixels[top..].iter().zip(shown(&film)) {
            assert!((brightness * 255.0 - f32::from(grey)).abs() < 0.51, "{name}");
        }
    }
}

#[test]
fn patients_are_grouped_by_a_hash_that_differs_from_home_to_home() {
    let (folder, homes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (from, to) in [("mono2-8", "a"), ("jpeg-ls", "b.dcm"), ("deflated", "person7_virus_1.dcm")]
    {
        fs::copy(fixtures().join(format!("{from}.dcm")), folder.path().join(to)).unwrap();
    }
    let patients = |rule: &PatientRule| -> Vec<String> {
        let found = scan(folder.path(), rule, &|_, _| {}).unwrap();
        assert_eq!((found.films.len(), found.refused.len()), (3, 0));
        assert!(found.films[0].burned_in && !found.films[1].burned_in);
        assert!(!serde_json::to_string(&found.films).unwrap().contains("4711"));
        found.films.into_iter().map(|film| film.patient).collect()
    };
    let hashed = |home: &str| patients(&PatientRule::default().with_home(&homes.path().join(home)));
    let one = hashed("one");
    assert!(one[0].starts_with('D') && one.iter().all(|patient| *patient == one[0]), "{one:?}");
    assert_eq!(hashed("one"), one);
    assert_ne!(hashed("two")[0], one[0]);
    assert_eq!(patients(&PatientRule::default()), ["a", "b", "P7"]);
    let given = PatientRule::new("^(.)").unwrap().with_home(&homes.path().join("three"));
    assert_eq!(patients(&given), ["a", "b", "p"]);
    assert!(!homes.path().join("three").exists(), "a key that nothing needed");
}

#[test]
fn import_reads_dicom_and_lists_burned_in_text() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    fs::create_dir(&images).unwrap();
    fs::copy(fixtures().join("mono2-8.dcm"), images.join("IM000001")).unwrap();
    fs::copy(fixtures().join("rle.dcm"), images.join("b.dcm")).unwrap();
    fs::copy(fixtures().join("pdf.dcm"), images.join("c.dcm")).unwrap();
    let home = folder.path().join("home");
    let done = penumbra(&home, &["import", images.to_str().unwrap(), "--session", "s"]);
    let said = text(&done);
    assert_eq!(code(&done), 0, "{said}");
    assert!(said.contains("2 films of 1 patient, 0 duplicates left out, 1 file refused"), "{said}");
    assert!(said.contains("text burned in: IM000001"), "{said}");
    assert!(said.contains("an encapsulated document, such as a PDF): c.dcm"), "{said}");
    for entry in fs::read_dir(home.join("sessions/s")).unwrap() {
        let contents = fs::read(entry.unwrap().path()).unwrap();
        assert!(!contents.windows(4).any(|bytes| bytes == b"4711"));
    }
}
