//! The rooms of the crate: imports run one way, burn, egui and printing stay where they belong.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Rooms and their layers, as in the crate's docs.
const LAYERS: [(&str, u32); 17] = [
    ("chart", 0),
    ("fsutil", 0),
    ("rng", 0),
    ("config", 0),
    ("device", 0),
    ("imaging", 1),
    ("dataset", 2),
    ("session", 3),
    ("model", 4),
    ("learn", 5),
    ("predict", 6),
    ("query", 6),
    ("engine", 7),
    ("ui", 8),
    ("cli", 8),
    ("serve", 8),
    ("lib", 9),
];
const MAY_USE_BURN: [&str; 5] = ["device", "model", "learn", "predict", "engine"];

fn layer(room: &str) -> Option<u32> {
    LAYERS.iter().find(|(name, _)| *name == room).map(|&(_, layer)| layer)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What a file imports or prints against the rules; empty if it keeps them.
fn offences(room: &str, text: &str) -> Vec<String> {
    let own = layer(room)
        .unwrap_or_else(|| panic!("src/{room} has no layer: add it to the crate docs and here"));
    let mut offences = Vec::new();
    let code =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(
            "
",
        );
    for import in Regex::new(r"\bcrate::(\w+)").unwrap().captures_iter(&code) {
        if let Some(other) = layer(&import[1])
            && (other > own
                || (other == own
                    && own > 0
                    && import[1] != *room
                    && room != "predict"
                    && room != "cli"))
        {
            offences.push(format!("uses {} (layer {other}, own layer {own})", &import[1]));
        }
    }
    let uses =
        |crate_name: &str| Regex::new(&format!(r"\b{crate_name}::")).unwrap().is_match(&code);
    if uses("burn") && !MAY_USE_BURN.contains(&room) {
        offences.push("uses burn".to_owned());
    }
    if (uses("egui") || uses("eframe")) && room != "ui" {
        offences.push("uses egui".to_owned());
    }
    if Regex::new(r"\be?println?!\(").unwrap().is_match(&code) && room != "cli" {
        offences.push("prints".to_owned());
    }
    offences
}

#[test]
fn imports_run_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 40, "only {} files were found", files.len());
    let mut all = Vec::new();
    for path in files {
        let relative = path.strip_prefix(&src).unwrap();
        let first =
            relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let room = first.trim_end_matches(".rs");
        if room == "main" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // Tests in a file may reach for what they like; they come last.
        let code = text.split("#[cfg(test)]").next().unwrap();
        all.extend(
            offences(room, code)
                .into_iter()
                .map(|offence| format!("{}: {offence}", relative.display())),
        );
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn offences_are_found() {
    assert_eq!(offences("query", "use crate::engine::Engine;").len(), 1);
    assert_eq!(offences("query", "use burn::Tensor;\nprintln!(\"x\");").len(), 2);
    assert_eq!(offences("dataset", "use egui::Ui;").len(), 1);
    assert!(
        offences("engine", "use crate::learn::Flow;\n// println!(\nuse burn::tensor::Tensor;")
            .is_empty()
    );
}

/// A test file that no `mod` line names would silently not run.
#[test]
fn every_test_file_is_declared() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "rs") && name != "main" {
            assert!(
                main.contains(&format!("mod {name};")),
                "tests/it/{name}.rs is not declared in main.rs"
            );
        }
    }
}
