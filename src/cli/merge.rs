//! `penumbra merge`: joins copies of a session that were read on several machines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::bail;

use super::answer::Answer;
use super::args::MergeArgs;
use crate::config::{Home, check_name};
use crate::dataset::index::{load_index, save_index};
use crate::dataset::{FilmId, FilmRecord};
use crate::session;
use crate::study::workspace::INDEX;

/// Joins the sessions to a new one; those joined stay as they are.
///
/// # Errors
/// Fails if the sessions do not belong together, if there is one of the new name, or if it cannot be written.
pub fn run(home: &Home, args: &MergeArgs) -> anyhow::Result<Answer> {
    check_name(&args.out).map_err(anyhow::Error::msg)?;
    let folder = home.session(&args.out);
    if folder.exists() {
        bail!("there is a session of this name already: {}", folder.display());
    }
    // A session of another machine is most easily given as the folder that was copied here.
    let folders: Vec<_> = args
        .sessions
        .iter()
        .map(|session| match home.session(session) {
            named if named.join("session.json").is_file() => Ok(named),
            named if !Path::new(session).join("session.json").is_file() => {
                bail!("there is no such session, and no folder of one: {}", named.display())
            }
            _ => Ok(session.into()),
        })
        .collect::<anyhow::Result<_>>()?;
    let films = films(&folders)?;
    let merged = session::merge(&folders, &args.out)?;
    save_index(&folder.join(INDEX), &films)?;
    let head = merged.write(&folder)?;
    println!(
        "{}: {} events, {} in common from the start; head {head}",
        args.out,
        merged.entries.len(),
        merged.shared
    );
    for (session, own) in args.sessions.iter().zip(&merged.own) {
        println!("  {own} only in {session}");
    }
    for conflict in merged.conflicts() {
        let origin = merged.origin(conflict.seq);
        let place = origin.map_or_else(String::new, |(source, seq)| {
            format!(", line {} of the session with the head {}", seq + 1, &source.head[..12])
        });
        println!("without effect: line {}{place}: {}", conflict.seq + 1, conflict.fault);
    }
    Ok(Answer::Yes)
}

/// Returns the films of all sessions, those of the first in its order.
///
/// # Errors
/// Fails if an index cannot be read or two films have the same file, as in folders that differ.
fn films(folders: &[std::path::PathBuf]) -> anyhow::Result<Vec<FilmRecord>> {
    let mut films: Vec<FilmRecord> = Vec::new();
    let (mut known, mut files) = (BTreeSet::<FilmId>::new(), BTreeMap::<String, FilmId>::new());
    for folder in folders {
        for film in load_index(&folder.join(INDEX))? {
            if !known.insert(film.id) {
                continue;
            }
            if files.insert(film.file.clone(), film.id).is_some() {
                bail!(
                    "the sessions hold different films under the name {:?}, so their folders of films differ: {}",
                    film.file,
                    folder.display()
                );
            }
            films.push(film);
        }
    }
    Ok(films)
}
