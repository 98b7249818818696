//! `penumbra report`: a session as one HTML file that needs nothing else.

mod page;

use std::path::PathBuf;

use super::answer::Answer;
use super::args::ReportArgs;
use crate::config::Home;
use crate::dataset::index::load_index;
use crate::fsutil;
use crate::model::folder::{ModelCard, load_card};
use crate::session::Snapshot;
use crate::study::workspace::INDEX;

/// Writes the report; the session may be open elsewhere.
///
/// # Errors
/// Fails if the session cannot be read or the file not be written.
pub fn run(home: &Home, args: &ReportArgs) -> anyhow::Result<Answer> {
    let folder = home.session(&args.session);
    let snapshot = Snapshot::read(&folder)?;
    let films = load_index(&folder.join(INDEX))?;
    let model = snapshot.state.model().map(str::to_owned);
    let card: Option<Result<ModelCard, String>> = model
        .as_deref()
        .map(|name| load_card(&home.model(name)).map_err(|error| error.to_string()));
    let html = page::html(&page::Contents {
        name: &args.session,
        snapshot: &snapshot,
        films: &films,
        model: model.as_deref().zip(card.as_ref()),
    })?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.html", args.session)));
    fsutil::write_atomic(&out, html.as_bytes())?;
    println!("{}", out.display());
    Ok(Answer::Yes)
}
