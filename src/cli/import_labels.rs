//! `penumbra import --labels`: labels of other programs into a session.

use std::path::Path;

use super::answer::Answer;
use super::args::ImportArgs;
use crate::config::Home;
use crate::session::import::{plan, read_labels_of};
use crate::study::Workspace;

/// Events that are entered between two waits for the disk: fewer than may wait for it.
const AT_A_TIME: usize = 32;

/// Enters the labels of a file. Unless `--keep-going` is given, nothing is entered if one label cannot be: a log keeps
/// everything, mistakes too.
///
/// # Errors
/// Fails if the file or the session cannot be read, or the session not be written.
pub fn run(home: &Home, args: &ImportArgs, labels: &Path) -> anyhow::Result<Answer> {
    let read = read_labels_of(labels)?;
    let mut workspace = Workspace::open(home, &args.session)?;
    for warning in &workspace.warnings {
        eprintln!("{warning}");
    }
    let films: Vec<_> = workspace.films.iter().map(|film| (film.file.as_str(), film.id)).collect();
    let name = labels.file_name().unwrap_or_default().to_string_lossy();
    let plan = plan(&read, &films, workspace.session.state(), &args.reader, &name);
    for problem in &plan.problems {
        eprintln!("not entered: {problem}");
    }
    let path = labels.display();
    if !plan.problems.is_empty() && !args.keep_going {
        println!(
            "nothing is entered, for {} cannot be; --keep-going enters the other {}: {path}",
            count(plan.problems.len(), "label"),
            plan.events.len()
        );
        return Ok(Answer::No);
    }
    let entered = plan.events.len();
    for (number, (reader, event)) in plan.events.into_iter().enumerate() {
        workspace.session.append(&reader, event)?;
        if number % AT_A_TIME == AT_A_TIME - 1 {
            workspace.session.flush()?;
        }
    }
    workspace.session.flush()?;
    println!(
        "{}: {} entered, {} there already, {} not entered: {path}",
        args.session,
        count(entered, "label"),
        plan.known,
        plan.problems.len()
    );
    Ok(if plan.problems.is_empty() { Answer::Yes } else { Answer::No })
}

/// Writes a count with its noun: "1 film", "2 films".
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
