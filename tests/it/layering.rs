//! The rooms of the crate: imports run one way, burn, egui and printing stay where they belong, and no files go in circles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A room as the table in the crate's docs has it.
#[derive(Debug, PartialEq, Eq)]
struct Room {
    layer: u32,
    burn: bool,
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Reads the table of the crate's docs.
fn rooms() -> BTreeMap<String, Room> {
    let text = fs::read_to_string(src().join("lib.rs")).unwrap();
    let row = Regex::new(r"^//! \| (\d+) \| ([^|]+) \| [^|]+ \| ([^|]+) \|$").unwrap();
    let name = Regex::new(r"`(\w+)`").unwrap();
    let mut rooms = BTreeMap::new();
    for row in text.lines().filter_map(|line| row.captures(line)) {
        for (_, [room]) in name.captures_iter(&row[2]).map(|name| name.extract()) {
            let burn = row[3].trim() == "yes" || row[3].contains(&format!("`{room}`"));
            let layer = row[1].parse().unwrap();
            assert!(rooms.insert(room.to_owned(), Room { layer, burn }).is_none(), "{room} twice");
        }
    }
    rooms
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

/// Returns the place after the item that begins at `start`: after its braces, or its semicolon if that comes first.
fn end_of_item(text: &str, start: usize) -> usize {
    let mut depth = 0;
    for (place, c) in text[start..].char_indices() {
        match c {
            ';' if depth == 0 => return start + place + 1,
            '{' => depth += 1,
            '}' if depth == 1 => return start + place + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns the program text: no comments, no contents of strings, nothing that is compiled for tests alone.
fn program(text: &str) -> String {
    let dull =
        Regex::new(r##"(?s)//[^\n]*|r#".*?"#|"(?:[^"\\]|\\.)*"|'(?:[^'\\\n]|\\[^\n])'"##).unwrap();
    let mut text = dull.replace_all(text, "\"\"").into_owned();
    let test_only = Regex::new(r"#\[cfg\(test\)\]").unwrap();
    while let Some(found) = test_only.find(&text) {
        let end = end_of_item(&text, found.end());
        text.replace_range(found.start()..end, "");
    }
    text
}

/// Splits the inside of braces at its own commas.
fn parts(inside: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (place, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[from..place]);
                from = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[from..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Takes a tree of imports apart into its paths.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    if let Some((path, inside)) = tree.split_once('{') {
        let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
        for part in parts(inside) {
            expand(&format!("{prefix}{path}"), part, found);
        }
    } else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        found.push(format!("{prefix}{path}").split_whitespace().collect());
    }
}

/// Returns all paths that start in the crate: those of `use`, taken apart, and those in expressions.
fn paths(program: &str) -> Vec<String> {
    let mut found = Vec::new();
    let import = Regex::new(r"(?s)\buse\s+((?:crate|super|self)\b[^;]*);").unwrap();
    for import in import.captures_iter(program) {
        expand("", &import[1], &mut found);
    }
    let rest = import.replace_all(program, "");
    let path = Regex::new(r"\b(?:crate|super|self)(?:::\w+)+").unwrap();
    found.extend(path.find_iter(&rest).map(|path| path.as_str().to_owned()));
    found
}

/// What a file imports or prints against the rules; empty if it keeps them.
fn offences(rooms: &BTreeMap<String, Room>, room: &str, text: &str) -> Vec<String> {
    let own = rooms.get(room).unwrap_or_else(|| {
        panic!("src/{room} has no layer: add it to the table of the crate docs")
    });
    let code = program(text);
    let mut offences = BTreeSet::new();
    for path in paths(&code) {
        let other = path.strip_prefix("crate::").and_then(|path| path.split("::").next());
        let Some((other, found)) = other.and_then(|name| Some((name, rooms.get(name)?))) else {
            continue;
        };
        let beside = found.layer == own.layer && own.layer > 0 && other != room;
        if found.layer > own.layer || beside {
            let (theirs, own) = (found.layer, own.layer);
            offences.insert(format!("uses {other} (layer {theirs}, own layer {own})"));
        }
    }
    let uses = |name: &str| Regex::new(&format!(r"\b{name}::")).unwrap().is_match(&code);
    if uses("burn") && !own.burn {
        offences.insert("uses burn".to_owned());
    }
    if (uses("egui") || uses("eframe")) && room != "ui" {
        offences.insert("uses egui".to_owned());
    }
    if Regex::new(r"\be?print(?:ln)?!\(").unwrap().is_match(&code) && room != "cli" {
        offences.insert("prints".to_owned());
    }
    offences.into_iter().collect()
}

/// All files of `src/`, relative to it, with their text.
fn files() -> Vec<(PathBuf, String)> {
    let (src, mut found) = (src(), Vec::new());
    sources(&src, &mut found);
    assert!(found.len() > 40, "only {} files were found", found.len());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(&src).unwrap().to_owned(), text)
    };
    found.into_iter().map(read).collect()
}

/// The path of a file's module: `engine::worker` for `engine/worker/mod.rs`.
fn module(file: &Path) -> String {
    let names: Vec<String> =
        file.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let names = names.strip_suffix(&["mod".to_owned()][..]).unwrap_or(&names);
    names.join("::")
}

fn is_for_tests(file: &Path) -> bool {
    let name = |part: &std::ffi::OsStr| {
        let part = part.to_string_lossy();
        part.trim_end_matches(".rs").ends_with("tests")
    };
    file.iter().any(name)
}

#[test]
fn imports_run_one_way() {
    let rooms = rooms();
    let mut all = Vec::new();
    for (file, text) in files() {
        let module = module(&file);
        let room = module.split("::").next().unwrap();
        if room == "main" || room == "lib" || is_for_tests(&file) {
            continue;
        }
        let offences = offences(&rooms, room, &text).into_iter();
        all.extend(offences.map(|offence| format!("{}: {offence}", file.display())));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn every_room_has_a_layer_and_every_layer_its_rooms() {
    let text = fs::read_to_string(src().join("lib.rs")).unwrap();
    let declared: BTreeSet<String> = Regex::new(r"(?m)^pub mod (\w+);")
        .unwrap()
        .captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect();
    assert_eq!(declared, rooms().into_keys().collect());
}

#[test]
fn offences_are_found() {
    let rooms = rooms();
    let count = |room: &str, text: &str| offences(&rooms, room, text).len();
    assert_eq!(count("query", "use crate::engine::Engine;"), 1);
    assert_eq!(count("query", "use burn::Tensor;\nprintln!(\"x\");"), 2);
    assert_eq!(count("dataset", "use egui::Ui;"), 1);
    assert_eq!(
        count("engine", "use crate::learn::Flow;\n// println!(\nuse burn::tensor::Tensor;"),
        0
    );
    // Grouped, nested and spread over lines; renamed; in an expression; of the same row.
    assert_eq!(count("dataset", "use crate::{rng,\n    model::{folder::{load, save}}};"), 1);
    assert_eq!(count("dataset", "pub(crate) use crate::learn::Flow as Onward;"), 1);
    assert_eq!(count("dataset", "fn f() -> usize { crate::session::of(\"a;{\") }"), 1);
    assert_eq!(count("query", "use crate::predict::Predictor;"), 1);
    assert_eq!(count("ui", "use crate::serve::run;"), 1);
    // What follows a test's item is read, and the item itself is not.
    let early = "#[cfg(test)]\nmod tests;\nuse crate::cli::run;";
    assert_eq!(count("learn", early), 1);
    let late = "#[cfg(test)]\nmod tests { use crate::cli::{run, stop}; fn f() {} }\nfn g() {}";
    assert_eq!(count("learn", late), 0);
    assert_eq!(
        count("learn", "//! [`crate::cli`] is above.\nconst A: &str = \"crate::cli::b\";"),
        0
    );
}

/// Returns the circles that the files of a room go in, by the paths that they use.
fn circles(files: &[(PathBuf, String)], room: &str) -> Vec<Vec<String>> {
    let mut programs = BTreeMap::new();
    for (file, text) in files.iter().filter(|(file, _)| !is_for_tests(file)) {
        let module = module(file);
        if module.split("::").next() == Some(room) {
            programs.insert(module, program(text));
        }
    }
    // A file that declares others and hands their items on has nothing of its own to depend on.
    let declares = Regex::new(
        r"(?s)\A\s*(?:(?:pub(?:\([^)]*\))?\s+)?(?:mod|use)\b[^;]*;\s*|#!?\[[^\]]*\]\s*|\x22\x22\s*)*\z",
    );
    let declares = declares.unwrap();
    let nodes: BTreeSet<&String> = programs
        .iter()
        .filter(|(_, text)| !declares.is_match(text))
        .map(|(name, _)| name)
        .collect();
    let uses = |from: &String, text: &str| -> BTreeSet<String> {
        let absolute = |path: String| {
            let mut at: Vec<&str> = from.split("::").collect();
            let mut names = path.split("::").peekable();
            match names.next() {
                Some("crate") => at.clear(),
                Some("super") => _ = at.pop(),
                _ => {}
            }
            while names.next_if_eq(&"super").is_some() {
                at.pop();
            }
            at.extend(names);
            // The longest module that the path goes through.
            (1..=at.len())
                .rev()
                .map(|end| at[..end].join("::"))
                .find(|name| programs.contains_key(name))
        };
        let found = paths(text).into_iter().filter_map(absolute);
        found.filter(|to| to != from && nodes.contains(to)).collect()
    };
    let edges: BTreeMap<&String, BTreeSet<String>> =
        nodes.iter().map(|&name| (name, uses(name, &programs[name]))).collect();
    let reached = |from: &String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(next) = open.pop() {
            open.extend(edges[&next].iter().filter(|to| seen.insert((*to).clone())).cloned());
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<String>> =
        nodes.iter().map(|&name| (name, reached(name))).collect();
    let together = |one: &&String| -> Vec<String> {
        let with = nodes
            .iter()
            .filter(|other| reach[one].contains(**other) && reach[*other].contains(*one));
        with.map(|name| (*name).clone()).collect()
    };
    let found: BTreeSet<Vec<String>> =
        nodes.iter().map(together).filter(|circle| !circle.is_empty()).collect();
    found.into_iter().collect()
}

#[test]
fn files_of_engine_and_cli_do_not_go_in_circles() {
    let files = files();
    for room in ["engine", "cli"] {
        let found = circles(&files, room);
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn circles_are_found() {
    let file = |name: &str, text: &str| (PathBuf::from(name), text.to_owned());
    let mut all = vec![
        file("engine/mod.rs", "mod a;\nmod b;\npub use a::A;"),
        file("engine/a.rs", "use super::b::B;\nstruct A;"),
        file("engine/b.rs", "fn f() { crate::engine::c::g() }"),
        file("engine/c/mod.rs", "mod d;\nfn g() {}"),
    ];
    assert!(circles(&all, "engine").is_empty());
    all.push(file(
        "engine/c/d.rs",
        "use super::super::a::A;\nstruct D;\n#[cfg(test)]\nuse super::g;",
    ));
    assert!(circles(&all, "engine").is_empty());
    all[3].1 = "mod d;\nuse d::D;\nfn g() { self::d::D }".to_owned();
    assert_eq!(circles(&all, "engine"), [["engine::a", "engine::b", "engine::c", "engine::c::d"]]);
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
