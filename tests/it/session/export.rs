//! Exports are complete, can be read back, and never overwrite anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use penumbra::dataset::FilmId;
use penumbra::session::export::{ExportError, ExportFilm, Format, export};
use penumbra::session::{Answer, Entry, Event, Header, Session, Source, State, Time};

use super::{READER, class, label, scratch, shown};

/// Three labelled films of which two have one name, one uninterpretable film, and one put off.
fn labelled(folder: &Path) -> (State, BTreeMap<FilmId, ExportFilm>) {
    let mut films = BTreeMap::new();
    let mut ids = Vec::new();
    for relative in
        ["a/film.png", "b/FILM.png", "b/other, \"odd\".png", "b/dark.png", "b/later.png"]
    {
        let file = folder.join("films").join(relative);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, relative).unwrap();
        let id = FilmId::of(relative.as_bytes());
        let patient = format!("patient of {relative}");
        let (relative, width, height) = (relative.to_owned(), 3, 2);
        films.insert(id, ExportFilm { file, relative, patient, width, height });
        ids.push(id);
    }
    let mut session =
        Session::create(&folder.join("session"), Header::new("test", "/films")).unwrap();
    let audit = Source::Audit { predicted: vec![0.25, 0.75], probability: 0.2 };
    let events = [
        label(ids[1], class("pneumonia")),
        label(ids[0], class("normal")),
        Event::Label {
            film: ids[2],
            answer: class("normal"),
            ms: 77,
            source: audit,
            shown: shown(),
        },
        label(ids[3], Answer::Uninterpretable),
        Event::Skip { film: ids[4], source: None },
        Event::Relabel {
            film: ids[0],
            from: class("normal"),
            to: class("pneumonia"),
            reason: "seen again".to_owned(),
            ms: 12,
        },
        Event::Note { film: ids[0], text: "rotated, \"left\"".to_owned() },
        Event::Note { film: ids[4], text: "ask the ward".to_owned() },
        Event::Note { film: ids[1], text: "removed".to_owned() },
        Event::Note { film: ids[1], text: String::new() },
    ];
    for event in events {
        session.append(READER, event).unwrap();
    }
    (session.state().clone(), films)
}

fn rows(file: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(file).unwrap().deserialize().collect::<Result<_, _>>().unwrap()
}

#[test]
fn csv_and_jsonl_read_back() {
    let folder = scratch();
    let (state, films) = labelled(folder.path());
    let out = folder.path().join("exports/first");
    let report = export(&state, &films, &[Format::Jsonl, Format::Csv, Format::Csv], &out).unwrap();
    assert_eq!((report.labelled, report.uninterpretable, report.copied), (3, 1, 0));

    let header = fs::read_to_string(out.join("labels.csv")).unwrap();
    assert!(
        header.starts_with("file,label,patient,reader,time,ms,source,film,reason,note\n"),
        "{header}"
    );
    let labels = rows(&out.join("labels.csv"));
    let pairs: Vec<_> = labels.iter().map(|row| (&*row["file"], &*row["label"])).collect();
    let expected = [
        ("b/FILM.png", "pneumonia"),
        ("a/film.png", "pneumonia"),
        ("b/other, \"odd\".png", "normal"),
    ];
    assert_eq!(pairs, expected, "in the order of labelling, as they stand");
    assert_eq!(labels[2]["source"], "audit");
    assert_eq!(labels[0]["source"], "queue:margin");
    assert_eq!(labels[1]["ms"], "12");
    assert_eq!(labels[1]["film"], FilmId::of(b"a/film.png").to_string());
    assert_eq!(labels[1]["patient"], "patient of a/film.png");
    let said = |row: usize| (&*labels[row]["reason"], &*labels[row]["note"]);
    assert_eq!([said(0), said(1)], [("", ""), ("seen again", "rotated, \"left\"")]);
    let notes = rows(&out.join("notes.csv"));
    let notes: Vec<_> = notes.iter().map(|row| (&*row["file"], &*row["note"])).collect();
    let expected = [("a/film.png", "rotated, \"left\""), ("b/later.png", "ask the ward")];
    assert_eq!(notes, expected, "films without an answer have notes too");
    let dark = rows(&out.join("uninterpretable.csv"));
    assert_eq!(dark.iter().map(|row| &*row["file"]).collect::<Vec<_>>(), ["b/dark.png"]);

    let lines = fs::read_to_string(out.join("labels.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[1]["relabel_reason"], "seen again");
    assert_eq!(
        (&lines[1]["note"], lines[0]["note"].is_null()),
        (&"rotated, \"left\"".into(), true)
    );
    assert_eq!(fs::read_to_string(out.join("notes.jsonl")).unwrap().lines().count(), 2);
    assert_eq!(lines[1]["shown"]["window_centre"], 127.5);
    assert_eq!(lines[2]["source"]["audit"]["predicted"][1], 0.75);
    assert_eq!(lines[3]["label"], "uninterpretable");
    assert_eq!(
        fs::read_dir(folder.path().join("exports")).unwrap().count(),
        1,
        "nothing temporary is left"
    );
}

#[test]
fn films_go_to_class_folders_and_names_do_not_collide() {
    let folder = scratch();
    let (state, films) = labelled(folder.path());
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let report = export(&state, &films, &[Format::Folder], &out).unwrap();
    assert_eq!(report.copied, 3);
    let pneumonia = out.join("films/pneumonia");
    assert_eq!(fs::read(pneumonia.join("FILM.png")).unwrap(), b"b/FILM.png");
    let second = format!("film-{}.png", FilmId::of(b"a/film.png"));
    assert_eq!(fs::read(pneumonia.join(second)).unwrap(), b"a/film.png");
    assert_eq!(fs::read_dir(&pneumonia).unwrap().count(), 2);
    assert_eq!(fs::read_dir(out.join("films/normal")).unwrap().count(), 1);
    assert_eq!(
        fs::read_dir(out.join("films")).unwrap().count(),
        2,
        "uninterpretable films are left out"
    );
}

#[test]
fn films_that_are_gone_or_changed_are_named_and_the_rest_exported() {
    let folder = scratch();
    let (state, mut films) = labelled(folder.path());
    let unknown = FilmId::of(b"b/dark.png");
    films.remove(&unknown);
    fs::write(folder.path().join("films/a/film.png"), "another film").unwrap();
    fs::remove_file(folder.path().join("films/b/FILM.png")).unwrap();
    let out = folder.path().join("out");
    let error = export(&state, &films, &[Format::Csv, Format::Folder], &out).unwrap_err();
    let text = error.to_string();
    let ExportError::Missing { report, .. } = error else { panic!("{text}") };
    assert_eq!((report.missing.len(), report.copied), (3, 1));
    assert!(text.starts_with("3 of 4 labelled films"), "{text}");
    for named in [&*unknown.to_string(), "a/film.png", "b/FILM.png"] {
        assert!(text.contains(named), "{named} is not named in {text}");
    }
    assert_eq!(rows(&out.join("labels.csv")).len(), 3, "a labels file needs no film files");
}

#[test]
fn a_changed_file_that_the_reader_took_as_it_is_is_copied() {
    let folder = scratch();
    let (mut state, films) = labelled(folder.path());
    let (film, now) = (FilmId::of(b"a/film.png"), FilmId::of(b"another film"));
    fs::write(folder.path().join("films/a/film.png"), "another film").unwrap();
    let event = Event::FileChanged { film, now };
    let (seq, time) = (state.entries(), Time::from_milliseconds(0));
    state.apply(&Entry { seq, time, reader: READER.to_owned(), event }).unwrap();
    let out = folder.path().join("out");
    let report = export(&state, &films, &[Format::Folder], &out).unwrap();
    assert_eq!((report.copied, report.missing.len()), (3, 0));
    let copy = out.join(format!("films/pneumonia/film-{film}.png"));
    assert_eq!(fs::read(copy).unwrap(), b"another film");
}

#[test]
fn nothing_is_overwritten() {
    let folder = scratch();
    let (state, films) = labelled(folder.path());
    let out = folder.path().join("out");
    export(&state, &films, &[Format::Csv], &out).unwrap();
    let before = fs::read(out.join("labels.csv")).unwrap();
    for taken in [&out, &out.join("labels.csv")] {
        let again = export(&state, &films, &[Format::Jsonl], taken);
        assert!(matches!(again, Err(ExportError::NotEmpty { .. })), "{again:?}");
    }
    assert_eq!(fs::read(out.join("labels.csv")).unwrap(), before);
    assert!(!out.join("labels.jsonl").exists());
}

/// What a table as pyarrow 26 and pandas 3 read it; `tests/export/check.py` reads whole exports.
#[test]
fn parquet_is_the_file_that_was_read_by_others() {
    let folder = scratch();
    let (state, films) = labelled(folder.path());
    let out = folder.path().join("out");
    export(&state, &films, &[Format::Parquet], &out).unwrap();
    let bytes = fs::read(out.join("labels.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let footer = &bytes[bytes.len() - 8 - length..];
    // FileMetaData: version 1; a list of 12 schema elements, the first the root with 11 children.
    assert_eq!(footer[..15], *b"\x15\x02\x19\xCC\x48\x06labels\x15\x16\x00");
    // The first page: a header of type DATA_PAGE with four PLAIN values, the first of eight bytes, `b/FILM.png`.
    let page = bytes.windows(14).position(|at| at == b"\x0A\0\0\0b/FILM.png").unwrap();
    assert_eq!(bytes[4..6], [0x15, 0x00]);
    assert!(page < 40, "the values do not follow their header: {page}");
}

#[test]
fn coco_has_a_category_a_class_and_an_annotation_a_film() {
    let folder = scratch();
    let (state, films) = labelled(folder.path());
    let out = folder.path().join("out");
    export(&state, &films, &[Format::Coco], &out).unwrap();
    let coco: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("labels.coco.json")).unwrap()).unwrap();
    assert_eq!(coco["categories"][1]["name"], "pneumonia");
    assert_eq!(coco["images"].as_array().unwrap().len(), 3, "uninterpretable films are left out");
    let ids = |of: &str, field: &str| {
        let list = coco[of].as_array().unwrap();
        list.iter().map(|item| item[field].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids("annotations", "image_id"), ids("images", "id"));
    assert_eq!(ids("annotations", "category_id"), [2, 2, 1]);
    assert_eq!(coco["annotations"][0]["bbox"], serde_json::json!([0, 0, 3, 2]));
    assert_eq!(coco["images"][2]["file_name"], "b/other, \"odd\".png");
}

#[test]
fn arrays_hold_the_films_that_can_be_read() {
    let folder = scratch();
    let (state, films) = labelled(folder.path());
    let out = folder.path().join("out");
    let error = export(&state, &films, &[Format::Npz { size: 16 }], &out).unwrap_err();
    let ExportError::Missing { report, .. } = error else { panic!("{error}") };
    assert_eq!((report.arrays, report.missing.len()), (0, 3), "these films are no pictures");
    let bytes = fs::read(out.join("labels.npz")).unwrap();
    let names = rawzip_names(&bytes);
    let expected = ["images", "labels", "classes", "files", "patients", "films"];
    assert_eq!(names, expected.map(|name| format!("{name}.npy")));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "nothing temporary is left");
}

fn rawzip_names(bytes: &[u8]) -> Vec<String> {
    let archive = rawzip::ZipArchive::from_slice(bytes).unwrap();
    let mut entries = archive.entries();
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().unwrap() {
        names.push(String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned());
    }
    names
}

#[test]
fn formats_are_found_by_name() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    let error = "xlsx".parse::<Format>().unwrap_err();
    assert_eq!(
        error,
        "exports are written as csv, jsonl, parquet, coco, npz, folder, not \"xlsx\""
    );
    assert_eq!("npz:64".parse(), Ok(Format::Npz { size: 64 }));
    for wrong in ["npz:", "npz:0", "npz:9999", "npz:x", "csv:1"] {
        assert!(wrong.parse::<Format>().is_err(), "{wrong}");
    }
}
