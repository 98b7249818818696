//! `penumbra export`: the labelled set of a session.

use super::Answer;
use super::args::ExportArgs;
use crate::config::Home;
use crate::engine::Workspace;
use crate::session::export::export;

/// Writes the labelled set.
///
/// # Errors
/// Fails if the session cannot be opened or the folder not be written.
pub fn run(home: &Home, args: &ExportArgs) -> anyhow::Result<Answer> {
    let workspace = Workspace::open(home, &args.session)?;
    for warning in &workspace.warnings {
        eprintln!("{warning}");
    }
    let report =
        export(workspace.session.state(), &workspace.export_films(), &args.format, &args.out)?;
    println!(
        "{} labelled films, {} uninterpretable: {}",
        report.labelled,
        report.uninterpretable,
        args.out.display()
    );
    Ok(Answer::Yes)
}
