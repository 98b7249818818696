//! `penumbra export`: the labelled set of a session, or a sealed release.

use super::answer::Answer;
use super::args::ExportArgs;
use crate::config::Home;
use crate::fsutil;
use crate::model::folder::CARD;
use crate::session::Session;
use crate::session::export::{ExportError, Model, export, write_bundle};
use crate::study::Workspace;

/// Writes the labelled set or the release.
///
/// # Errors
/// Fails if the session cannot be opened or the folder not be written.
pub fn run(home: &Home, args: &ExportArgs) -> anyhow::Result<Answer> {
    let workspace = Workspace::open(home, &args.session)?;
    for warning in &workspace.warnings {
        eprintln!("{warning}");
    }
    let out = args.out.display();
    if args.bundle {
        let model = model(home, &workspace.session);
        let splits = args.splits.with_seed(args.split_seed);
        let folder = workspace.session.folder();
        let sealed = write_bundle(folder, model.as_ref(), splits, &args.out)?;
        println!(
            "{} films labelled, {} left out, {} events sealed: {out}\nseal {}\nhead {}",
            sealed.labelled, sealed.left_out, sealed.lines, sealed.seal, sealed.head
        );
        return Ok(Answer::Yes);
    }
    let (state, films) = (workspace.session.state(), workspace.export_films());
    let report = match export(state, &films, &args.format, &args.out) {
        Ok(report) => report,
        Err(error @ ExportError::Missing { .. }) => {
            eprintln!("{error}");
            return Ok(Answer::No);
        }
        Err(error) => return Err(error.into()),
    };
    println!(
        "{} labelled films, {} uninterpretable: {out}",
        report.labelled, report.uninterpretable
    );
    Ok(Answer::Yes)
}

/// Finds the model that ranked the films last, if its card is still there.
fn model(home: &Home, session: &Session) -> Option<Model> {
    let name = session.state().model().or(session.ranked_by())?;
    let card = fsutil::read(&home.model(name).join(CARD)).ok()?;
    Some(Model { name: name.to_owned(), card })
}
