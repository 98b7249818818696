//! `penumbra import`: films into a new session, and labels of other programs.

use std::path::Path;

use super::answer::Answer;
use super::args::ImportArgs;
use super::films::{bar, progress};
use super::import_labels::{self, count};
use crate::config::Home;
use crate::study::workspace::{self, NewSession};

/// Indexes the folder, makes the session, and reports what was refused; then enters the labels, if there are any.
///
/// # Errors
/// Fails if the folder holds no film, if there is a session of that name, or if it cannot be written; and as
/// [`import_labels::run`].
pub fn run(home: &Home, args: &ImportArgs) -> anyhow::Result<Answer> {
    if let Some(images) = &args.images {
        films(home, args, images)?;
    }
    args.labels.as_ref().map_or(Ok(Answer::Yes), |labels| import_labels::run(home, args, labels))
}

fn films(home: &Home, args: &ImportArgs, images: &Path) -> anyhow::Result<()> {
    let bar = bar("indexing films");
    let new = NewSession {
        name: args.session.clone(),
        images: images.to_owned(),
        reference: args.reference_images.clone().zip(args.reference_labels.clone()),
        patient_rule: args.patient.clone(),
        audit_share: args.audit_share,
        classes: args.classes.0.clone(),
    };
    let created = workspace::create(home, &new, &|done, total| progress(&bar, done, total));
    bar.finish_and_clear();
    let scan = created?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&scan)?);
        return Ok(());
    }
    for film in &scan.refused {
        println!("refused: {film}");
    }
    for film in &scan.duplicates {
        println!("duplicate of {}: {}", film.of, film.file);
    }
    for film in scan.films.iter().filter(|film| film.burned_in) {
        println!("text burned in: {}", film.file);
    }
    let patients: std::collections::BTreeSet<&str> =
        scan.films.iter().map(|film| film.patient.as_str()).collect();
    println!(
        "{}: {} of {}, {} left out, {} refused",
        args.session,
        count(scan.films.len(), "film"),
        count(patients.len(), "patient"),
        count(scan.duplicates.len(), "duplicate"),
        count(scan.refused.len(), "file")
    );
    Ok(())
}
