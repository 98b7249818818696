//! The program from outside: what it prints, what it writes, how it exits.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use penumbra::fsutil::write_atomic;
use penumbra::session::Event;

pub(super) fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penumbra"));
    command.args(["--device", "cpu", "--threads", "1", "--home"]).arg(home).args(args);
    command
}

pub(super) fn penumbra(home: &Path, args: &[&str]) -> Output {
    command(home, args).output().unwrap()
}

pub(super) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub(super) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Two kinds of films, a labels file, and files that are no films.
pub(super) fn films(folder: &Path, count: u32) -> String {
    fs::create_dir_all(folder).unwrap();
    let mut labels = "file,label,patient,split\n".to_owned();
    for film in 0..count {
        let lower = if film % 2 == 1 { 60 } else { 0 };
        let shade = |x: u32, y: u32| {
            let base = if y >= 20 { lower } else { 60 - lower };
            image::Luma([(60 + base + (x * (film % 5 + 1) + film * 3) % 80) as u8])
        };
        image::GrayImage::from_fn(40, 40, shade)
            .save(folder.join(format!("f{film:03}.png")))
            .unwrap();
        let class = if film % 2 == 1 { "pneumonia" } else { "normal" };
        let split = if film % 4 == 3 || film % 4 == 2 { "val" } else { "train" };
        writeln!(labels, "f{film:03}.png,{class},p{film},{split}").unwrap();
    }
    let file = folder.with_extension("csv");
    write_atomic(&file, labels.as_bytes()).unwrap();
    file.to_string_lossy().into_owned()
}

#[cfg(unix)]
#[test]
fn whoever_stops_reading_makes_no_command_fail() {
    let home = tempfile::tempdir().unwrap();
    let mut command = command(home.path(), &["doctor"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    // Graphics drivers may have something to say.
    let said = text(&output);
    assert!(output.status.success() && !said.contains("panicked"), "{said}");
}

#[test]
fn import_reports_what_it_refuses_and_verify_finds_a_changed_byte() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    films(&images, 4);
    write_atomic(&images.join("broken.png"), b"no picture").unwrap();
    fs::copy(images.join("f000.png"), images.join("twin.png")).unwrap();
    let home = folder.path().join("home");
    let images = images.to_string_lossy().into_owned();
    let output = penumbra(&home, &["import", &images, "--session", "ward"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let said = text(&output);
    assert!(
        said.contains("4 films of") && said.contains("broken.png") && said.contains("twin.png"),
        "{said}"
    );
    let again = penumbra(&home, &["import", &images, "--session", "ward"]);
    assert_eq!(code(&again), 3, "{}", text(&again));
    assert_eq!(code(&penumbra(&home, &["verify", "--session", "ward"])), 0);
    assert_eq!(code(&penumbra(&home, &["verify", "--session", "nothing"])), 3);
    let header = home.join("sessions/ward/session.json");
    let changed = fs::read_to_string(&header).unwrap().replace("ward", "wart");
    write_atomic(&header, changed.as_bytes()).unwrap();
    let output = penumbra(&home, &["verify", "--session", "ward"]);
    assert_eq!(code(&output), 1, "{}", text(&output));
}

#[test]
fn classes_are_chosen_at_import_and_notes_and_reasons_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    films(&images, 4);
    let (home, images) = (folder.path().join("home"), images.to_string_lossy().into_owned());
    let import = |session: &str, classes: &str| {
        penumbra(&home, &["import", &images, "--session", session, "--classes", classes])
    };
    for (session, classes, names) in [
        ("two", "binary", vec!["normal", "pneumonia"]),
        ("five", "who", vec!["normal", "consolidation", "other infiltrate", "both"]),
        ("own", "clear=A,effusion=S:#CC79A7", vec!["clear", "effusion"]),
    ] {
        let output = import(session, classes);
        assert_eq!(code(&output), 0, "{}", text(&output));
        let header = fs::read(home.join("sessions").join(session).join("session.json")).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
        let found = header["classes"].as_array().unwrap();
        assert!(found.iter().map(|class| &class["name"]).eq(&names), "{found:?}");
        let coloured = found.iter().any(|class| class.get("colour").is_some());
        assert_eq!(header["version"], if coloured { 2 } else { 1 });
        assert_eq!(code(&penumbra(&home, &["verify", "--session", session])), 0);
    }
    for wrong in ["effusion", "a=J,b=J", "a=J,b=N", "a=J,b=K:blue"] {
        assert_eq!(code(&import("wrong", wrong)), 2, "{wrong}");
    }

    let place = penumbra::config::Home::find(Some(&home));
    let mut workspace = penumbra::study::Workspace::open(&place, "five").unwrap();
    let film = workspace.films[0].id;
    let class = |name: &str| penumbra::session::Answer::Class(name.to_owned());
    let shown = penumbra::session::Shown {
        model: String::new(),
        window_centre: 1.0,
        window_width: 1.0,
        zoom: 1.0,
        inverted: false,
        mirrored: false,
        quarter_turns: 0,
        opinion_visible: false,
        opinion: None,
    };
    let source = penumbra::session::Source::Browse;
    let events = [
        Event::Label { film, answer: class("both"), ms: 5, source, shown },
        Event::Relabel {
            film,
            from: class("both"),
            to: class("consolidation"),
            reason: "second look".to_owned(),
            ms: 6,
        },
        Event::Note { film, text: "rotated".to_owned() },
        Event::Note { film: workspace.films[1].id, text: "not read yet".to_owned() },
    ];
    for event in events {
        workspace.session.append("R1", event).unwrap();
    }
    workspace.session.flush().unwrap();
    drop(workspace);
    let out = folder.path().join("out").to_string_lossy().into_owned();
    let output =
        penumbra(&home, &["export", "--session", "five", "--format", "csv,jsonl", "--out", &out]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let read = |name: &str| fs::read_to_string(Path::new(&out).join(name)).unwrap();
    let labels = read("labels.csv");
    assert!(labels.lines().nth(1).unwrap().ends_with(",second look,rotated"), "{labels}");
    assert!(read("notes.csv").contains("not read yet"));
    let line: serde_json::Value = serde_json::from_str(read("labels.jsonl").trim()).unwrap();
    assert_eq!((&line["label"], &line["note"]), (&"consolidation".into(), &"rotated".into()));
}

/// A pipe that nobody writes into would be waited for without end.
#[cfg(unix)]
#[test]
fn pipes_and_devices_in_a_folder_of_films_are_refused_unopened() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    films(&images, 2);
    let pipe = images.join("pipe.png");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", images.join("zero.png")).unwrap();
    std::os::unix::fs::symlink(&pipe, images.join("link.png")).unwrap();
    let home = folder.path().join("home");
    let output = penumbra(&home, &["import", &images.to_string_lossy(), "--session", "ward"]);
    let said = text(&output);
    assert_eq!(code(&output), 0, "{said}");
    assert!(said.contains("2 films of") && said.contains("3 files refused"), "{said}");
    for name in ["pipe.png", "zero.png", "link.png"] {
        let line = said.lines().find(|line| line.ends_with(name)).unwrap();
        assert!(line.contains("a pipe, a socket or a device"), "{line}");
    }
}

#[test]
fn pretrain_embed_and_simulate_run_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    let labels = films(&images, 96);
    let home = folder.path().join("home");
    let images = images.to_string_lossy().into_owned();
    let data = ["--images", &images, "--labels", &labels, "--split", "train"];
    let pretrain = |more: &[&str]| {
        let shape = [
            "--arch", "resnet10", "--width", "0.0625", "--size", "16", "--batch", "16", "--epochs",
            "2",
        ];
        let all = [&["pretrain", "--out", "tiny"][..], &data, &shape, more].concat();
        penumbra(&home, &all)
    };
    let output = pretrain(&[]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(code(&pretrain(&[])), 3, "a model was overwritten");

    let out = folder.path().join("features.npy");
    let out_text = out.to_string_lossy().into_owned();
    let output =
        penumbra(&home, &[&["embed", "--model", "tiny", "--out", &out_text][..], &data].concat());
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(fs::read(&out).unwrap().len(), 128 + 48 * (8 + 16 + 32 + 8 * (4 + 32)) * 4);
    assert_eq!(fs::read_to_string(out.with_extension("csv")).unwrap().lines().count(), 49);

    let simulate = || {
        let cells = [
            "--budgets",
            "12,24",
            "--strategy",
            "random,margin",
            "--method",
            "head,finetune,distill",
        ];
        let rest = ["--eval-split", "val", "--model", "tiny", "--draws", "1", "--json"];
        penumbra(&home, &[&["simulate"][..], &data, &cells, &rest].concat())
    };
    let output = simulate();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["table"].as_array().unwrap().len(), 12);
    assert_eq!(report["n"], 48);
    let figures = |report: &serde_json::Value| {
        let cells = report["cells"].as_array().unwrap().iter();
        cells.map(|cell| (cell["accuracy"].clone(), cell["auroc"].clone())).collect::<Vec<_>>()
    };
    let again: serde_json::Value = serde_json::from_slice(&simulate().stdout).unwrap();
    assert_eq!(figures(&report), figures(&again), "the same seeds gave other figures");

    let every = penumbra::query::Strategy::ALL.map(penumbra::query::Strategy::name).join(",");
    let cells = ["--budgets", "12", "--strategy", &every, "--round", "6", "--method", "head"];
    let rest = ["--eval-split", "val", "--model", "tiny", "--draws", "1", "--json"];
    let output = penumbra(&home, &[&["simulate"][..], &data, &cells, &rest].concat());
    assert_eq!(code(&output), 0, "{}", text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["cells"].as_array().unwrap().len(), 15);
}

#[test]
fn a_probe_looks_on_and_curves_stand_beside_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    let labels = films(&images, 96);
    let images = images.to_string_lossy().into_owned();
    let home = folder.path().join("home");
    let pretrain = |out: &str, more: &[&str]| {
        let args = [
            "pretrain", "--images", &images, "--labels", &labels, "--split", "train", "--arch",
            "resnet10", "--width", "0.0625", "--size", "16", "--batch", "16", "--epochs", "3",
            "--out",
        ];
        let output = penumbra(&home, &[&args[..], &[out], more].concat());
        assert_eq!(code(&output), 0, "{}", text(&output));
        let model = home.join("models").join(out);
        let card: serde_json::Value =
            serde_json::from_slice(&fs::read(model.join("model.json")).unwrap()).unwrap();
        (text(&output), model, card)
    };
    let more = ["--probe-split", "val", "--probe-every", "2", "--accumulate", "2"];
    let (said, model, card) = pretrain("seen", &more);
    assert!(said.contains("looking on with 48 labels"), "{said}");
    assert!(said.contains("epoch 2: on 48 labels"), "{said}");
    let probes = fs::read_to_string(model.join("probe.csv")).unwrap();
    let epochs: Vec<&str> = probes.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(epochs, ["epoch", "2", "3"], "{probes}");
    assert_eq!(card["made_by"]["labels_looked_at_by_probe"], 48);
    assert_eq!(card["made_by"]["pretrain"]["epochs"], 3);
    assert_eq!(card["made_by"]["pretrain"]["micro_batches"], 2);
    assert_eq!(card["metrics"]["probe"]["labels"], 48);
    let svg = fs::read_to_string(model.join("pretrain.svg")).unwrap();
    for words in ["<svg", "contrastive accuracy", "learning rate", "20 nearest", "epoch"] {
        assert!(svg.contains(words), "no {words:?} in the curves");
    }

    // The look changes nothing, and two devices share out what --accumulate does one after the other.
    let (_, blind, unseen) = pretrain("unseen", &["--devices", "2"]);
    assert_eq!(unseen["weights_hash"], card["weights_hash"]);
    assert_eq!(unseen["made_by"]["labels_looked_at_by_probe"], 0);
    assert!(!blind.join("probe.csv").exists());
    assert!(blind.join("pretrain.svg").is_file());
}

#[test]
fn every_objective_and_optimiser_pretrains() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("films");
    films(&images, 16);
    let images = images.to_string_lossy().into_owned();
    let home = folder.path().join("home");
    let recipes: [(&str, &[&str]); 3] = [
        ("simclr", &["--queue", "24", "--decoupled", "--optimizer", "lars", "--scaling", "sqrt"]),
        ("vicreg", &["--optimizer", "lars"]),
        ("byol", &["--momentum", "0.95", "--accumulate", "2", "--scaling", "linear"]),
    ];
    for (objective, more) in recipes {
        let args = [
            "pretrain",
            "--images",
            &images,
            "--objective",
            objective,
            "--out",
            objective,
            "--arch",
            "resnet10",
            "--width",
            "0.0625",
            "--size",
            "16",
            "--batch",
            "8",
            "--epochs",
            "2",
        ];
        let output = penumbra(&home, &[&args[..], more].concat());
        assert_eq!(code(&output), 0, "{}", text(&output));
        let card = fs::read(home.join("models").join(objective).join("model.json")).unwrap();
        let card: serde_json::Value = serde_json::from_slice(&card).unwrap();
        assert!(card["made_by"]["pretrain"]["objective"][objective].is_object(), "{card}");
        assert!(card["metrics"]["loss"].as_f64().unwrap().is_finite());
    }
}

#[test]
fn usage_errors_exit_with_two_and_failures_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(&penumbra(folder.path(), &["simulate"])), 2);
    assert_eq!(
        code(&penumbra(folder.path(), &["import", "x", "--session", "s", "--audit-share", "2"])),
        2
    );
    let films = films(&folder.path().join("films"), 4);
    let images = &films[..films.len() - 4];
    let one_class = folder.path().join("one.csv");
    let rows = "file,label,patient\nf000.png,normal,p0\nf002.png,normal,p2\n";
    write_atomic(&one_class, rows.as_bytes()).unwrap();
    let one_class = one_class.to_string_lossy();
    let nowhere = folder.path().join("nowhere").to_string_lossy().into_owned();
    let failures: [(&[&str], &str); 8] = [
        (&["predict", "--model", "nothing", "film.png"], "there is no such model"),
        (&["export", "--session", "nothing", "--out", "x"], "there is no such session"),
        (&["agreement", "--session", "nothing"], "there is no such session"),
        (&["merge", "one", "two", "--out", "three"], "sessions/one"),
        (&["evaluate", "--images", &nowhere, "--labels", &films, "--model", "demo"], "/nowhere"),
        (&["evaluate", "--images", images, "--labels", &films, "--model", "demo"], "not classify"),
        (&["finetune", "--images", images, "--labels", &one_class, "--out", "x"], "two classes"),
        (&["label", "--images", images], "--session"),
    ];
    for (args, words) in failures {
        let output = penumbra(folder.path(), args);
        assert_eq!(code(&output), 3, "{args:?}: {}", text(&output));
        assert!(text(&output).contains(words), "{args:?}: {}", text(&output));
    }
    let output = penumbra(folder.path(), &["protocol", "--session", "s", "--double-share", "-0.1"]);
    assert_eq!(code(&output), 2);
    assert!(text(&output).contains("a share is between 0 and 1"), "{}", text(&output));
}

#[test]
fn doctor_reports_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let output = penumbra(folder.path(), &["doctor", "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["cpu"]["self_test"], serde_json::Value::Null);
    assert!(report["models"].as_array().unwrap().iter().any(|name| name == "demo"));
}

#[test]
fn bench_reports_speed_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    for work in ["train", "infer"] {
        let sizes = ["--width", "0.25", "--size", "32", "--batch", "4", "--steps", "2", "--json"];
        let args = [&["bench", work, "--arch", "resnet18"][..], &sizes].concat();
        let output = penumbra(folder.path(), &args);
        assert_eq!(code(&output), 0, "{}", text(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(report["images_per_second"].as_f64().unwrap() > 0.0);
        assert!(report["peak_rss_mib"].as_u64().unwrap() > 0);
        assert_eq!(report["threads"], 1);
        assert!(report["device"].as_str().unwrap().starts_with("CPU"));
    }
    let refused = penumbra(folder.path(), &["bench", "train", "--arch", "resnet19"]);
    assert_ne!(code(&refused), 0);
    assert!(text(&refused).contains("19"), "{}", text(&refused));
}

/// The shipped model through safetensors and back is the same model, under another name.
#[test]
fn models_go_out_and_in_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (first, second, onnx) = (file("a.safetensors"), file("b.safetensors"), file("a.onnx"));
    let run = |args: &[&str], expected: i32| {
        let output = penumbra(&home, args);
        assert_eq!(code(&output), expected, "{args:?}: {}", text(&output));
        text(&output)
    };
    run(&["model", "export", "demo", "--format", "safetensors", "--out", &first], 0);
    let said = run(&["model", "import", &first, "--out", "copy", "--size", "64"], 0);
    assert!(said.contains("ResNet-18"), "{said}");
    run(&["model", "import", &first, "--out", "copy"], 3);
    run(&["model", "export", "copy", "--format", "safetensors", "--out", &second], 0);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    run(&["model", "export", "copy", "--format", "onnx", "--out", &onnx], 0);
    assert!(fs::metadata(&onnx).unwrap().len() > 1_000_000);
    let said = run(&["model", "list"], 0);
    assert!(said.contains("copy") && said.contains("demo"), "{said}");
    let shown: serde_json::Value =
        serde_json::from_str(&run(&["model", "show", "copy", "--json"], 0)).unwrap();
    assert_eq!(shown["kind"], "pretrained");
    assert_eq!(shown["made_by"]["import"], "a.safetensors");
    let said = run(&["model", "import", &onnx, "--out", "wrong"], 3);
    assert!(said.contains("neither") && said.trim_end().ends_with("a.onnx"), "{said}");
}
