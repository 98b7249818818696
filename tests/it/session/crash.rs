//! What is left when a program is killed or the disk takes no more.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use penumbra::session::export::{Shares, write_bundle};
use penumbra::session::{Event, Header, Session, SessionError, verify};

use super::{READER, class, film, label};

/// Set for a second run of this program, which then writes to the session in that folder.
const CHILD_FOLDER: &str = "PENUMBRA_TEST_SESSION";

/// Starts this program again to run one of the tests below on the session in `folder`; `shell` goes before it.
fn child(test: &str, folder: &Path, shell: &str) -> std::process::Child {
    Command::new("sh")
        .args([
            "-c",
            &format!(
                "{} \"$0\" \"$@\"",
                if shell.starts_with("exec") { shell.to_owned() } else { format!("{shell} exec") }
            ),
        ])
        .arg(std::env::current_exe().unwrap())
        .args([
            &format!("{}::{test}", module_path!().split_once("::").unwrap().1),
            "--exact",
            "--nocapture",
        ])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test of its own: enters labels without end and says which are acknowledged, until it is killed.
#[test]
fn child_that_labels_without_end() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let (mut session, _) = Session::open(Path::new(&folder)).unwrap();
    println!();
    loop {
        match session.append(READER, label(film(session.entered()), class("normal"))) {
            Ok(_) | Err(SessionError::Busy) => {}
            Err(error) => panic!("{error}"),
        }
        for ack in session.poll_acks() {
            assert!(ack.saved);
            println!("saved {}", ack.seq);
        }
    }
}

/// Moments at which a program is killed: `PENUMBRA_TEST_KILLS`, else few enough for every run of the tests.
fn kills() -> u64 {
    std::env::var("PENUMBRA_TEST_KILLS").map_or(20, |kills| kills.parse().unwrap())
}

#[test]
fn a_killed_program_loses_no_acknowledged_label() {
    let folder = tempfile::tempdir().unwrap();
    drop(Session::create(folder.path(), Header::new("test", "/films")).unwrap());
    let mut acknowledged = 0;
    for round in 0..kills() {
        let mut child = child("child_that_labels_without_end", folder.path(), "");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut saved = lines.filter_map(|line| line.strip_prefix("saved ")?.parse::<u64>().ok());
        let before = acknowledged;
        acknowledged = saved.nth((round * 7 % 13) as usize).expect("the child saves labels") + 1;
        std::thread::sleep(Duration::from_micros(round * 1_237 % 5_000));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = saved.last().map_or(acknowledged, |seq| seq + 1);
        assert!(acknowledged > before);
        let (session, _) = Session::open(folder.path()).unwrap();
        assert!(
            session.entered() >= acknowledged,
            "{} of {acknowledged} labels are left",
            session.entered()
        );
        for entry in session.entries() {
            assert_eq!(entry.event, label(film(entry.seq), class("normal")));
        }
        acknowledged = session.entered();
    }
}

/// Not a test of its own: enters labels until the disk takes no more.
#[test]
fn child_that_labels_until_the_disk_is_full() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let (mut session, _) = Session::open(Path::new(&folder)).unwrap();
    let fault = loop {
        session.append(READER, label(film(session.entered()), class("normal"))).unwrap();
        if let Err(error) = session.flush() {
            break error.to_string();
        }
    };
    let refused =
        session.append(READER, Event::Skip { film: film(1_000_000), source: None }).unwrap_err();
    assert!(matches!(refused, SessionError::Faulted(_)), "{refused}");
    assert!(!session.ready());
    let unsaved = session.poll_acks().pop().map(|ack| (ack.seq, ack.saved));
    assert_eq!(unsaved, Some((session.durable(), false)));
    println!("\nsafe {} {fault}", session.durable());
}

#[cfg(target_os = "linux")]
#[test]
fn a_line_that_does_not_fit_on_the_disk_leaves_the_log_sound() {
    let folder = tempfile::tempdir().unwrap();
    drop(Session::create(folder.path(), Header::new("test", "/films")).unwrap());
    // A limit on file size takes part of a line and refuses the rest, as a full disk does.
    let child = child(
        "child_that_labels_until_the_disk_is_full",
        folder.path(),
        "trap '' XFSZ; ulimit -f 8;",
    );
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let safe = said.lines().find_map(|line| line.strip_prefix("safe ")).expect("the child reports");
    let (lines, fault) = safe.split_once(' ').unwrap();
    assert!(fault.contains(&format!("{lines} events before it are safe")), "{fault}");
    let verified = verify(folder.path()).expect("the part of a line was taken back");
    assert_eq!(verified.lines, lines.parse::<u64>().unwrap());
    assert!(verified.lines > 3, "the limit came before the first lines: {said}");
}

/// Not a test of its own: exports a session to a disk that takes little.
#[test]
fn child_that_exports_until_the_disk_is_full() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let folder = Path::new(&folder);
    let out = folder.with_extension("export");
    let error = write_bundle(folder, None, Shares::default(), &out).unwrap_err();
    assert!(!out.exists());
    println!("\nfailed {error}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_export_that_does_not_fit_on_the_disk_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("session");
    let mut session = Session::create(&folder, Header::new("test", "/films")).unwrap();
    penumbra::dataset::index::save_index(&folder.join("films.jsonl"), &[]).unwrap();
    for number in 0..30 {
        session.append(READER, label(film(number), class("normal"))).unwrap();
    }
    drop(session);
    let test = "child_that_exports_until_the_disk_is_full";
    let output = child(test, &folder, "trap '' XFSZ; ulimit -f 8;").wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let failed = said.lines().find_map(|line| line.strip_prefix("failed ")).unwrap_or_default();
    assert!(failed.contains("events.jsonl") && failed.contains("no file of that size"), "{said}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1, "something is left");
    assert_eq!(verify(&folder).unwrap().lines, 30);
}

/// Not a test of its own: opens a session that it may not write to.
#[test]
fn child_that_may_not_write() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let folder = Path::new(&folder);
    assert_eq!(verify(folder).unwrap().lines, 1, "checking needs no right to write");
    println!("\nopen {}", Session::open(folder).unwrap_err());
    let create = Session::create(&folder.join("more"), Header::new("test", "/films"));
    println!("create {}", create.unwrap_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_may_not_be_written_to_is_named_with_a_remedy() {
    use std::os::unix::fs::PermissionsExt as _;

    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("session");
    let mut session = Session::create(&folder, Header::new("test", "/films")).unwrap();
    session.append(READER, label(film(1), class("normal"))).unwrap();
    drop(session);
    let allow = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(scratch.path(), 0o755);
    allow(&folder.join("lock"), 0o444);
    allow(&folder, 0o555);
    // The superuser may write anywhere, and becomes nobody.
    let root = rustix::process::geteuid().is_root();
    let shell = if root { "exec setpriv --reuid=65534 --clear-groups --" } else { "" };
    let output = child("child_that_may_not_write", &folder, shell).wait_with_output().unwrap();
    allow(&folder, 0o755);
    let said = String::from_utf8(output.stdout).unwrap();
    for (what, file) in [("open ", "lock"), ("create ", "more")] {
        let error = said.lines().find_map(|line| line.strip_prefix(what)).unwrap_or_default();
        assert!(error.contains("get the right to write") && error.ends_with(file), "{said}");
    }
}
