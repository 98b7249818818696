//! `penumbra verify`: is a session's log, or a release bundle, whole and unaltered?

use std::path::Path;

use super::answer::Answer;
use super::args::VerifyArgs;
use crate::config::Home;
use crate::session::export::check_bundle;
use crate::session::{self, SessionError};

/// Checks the chain of the log and names the first bad line; or names every file of a bundle that is not as it was sealed.
///
/// # Errors
/// Fails if there is no such session or bundle, or it cannot be read.
pub fn run(home: &Home, args: &VerifyArgs) -> anyhow::Result<Answer> {
    let mut answer = Answer::Yes;
    let mut heads: Vec<String> = args.head.clone().into_iter().collect();
    if let Some(bundle) = &args.bundle {
        let check = check_bundle(bundle)?;
        for fault in &check.faults {
            println!("{}: {fault}", bundle.display());
            answer = Answer::No;
        }
        if let Some(sealed) = check.sealed {
            if answer == Answer::Yes {
                println!(
                    "{}: {} files and {} events, as they were sealed; {} films labelled, {} left out\nseal {}\nhead {}",
                    bundle.display(),
                    sealed.files,
                    sealed.lines,
                    sealed.labelled,
                    sealed.left_out,
                    sealed.seal,
                    sealed.head
                );
            }
            heads.push(sealed.head);
        }
    }
    if let Some(name) = &args.session
        && log(name, &home.session(name), &heads)? == Answer::No
    {
        answer = Answer::No;
    }
    Ok(answer)
}

/// Checks a session's log, and that it holds the lines up to each of `heads`.
fn log(name: &str, folder: &Path, heads: &[String]) -> anyhow::Result<Answer> {
    match session::verify(folder) {
        Ok(verified) => {
            for head in heads {
                if session::lines_up_to(folder, head)?.is_none() {
                    let lines = verified.lines;
                    println!(
                        "{name}: the log is sound, but none of its {lines} lines has the head {head}: lines up to it were \
                         cut off or replaced, or it is another session's; put the log back from a copy: {}",
                        folder.join("events.jsonl").display()
                    );
                    return Ok(Answer::No);
                }
            }
            println!(
                "{name}: {} events, whole and unaltered; head {}",
                verified.lines, verified.head
            );
            Ok(Answer::Yes)
        }
        Err(error @ (SessionError::BadLine { .. } | SessionError::Header { .. })) => {
            println!("{name}: {error}");
            Ok(Answer::No)
        }
        Err(error) => Err(error.into()),
    }
}
