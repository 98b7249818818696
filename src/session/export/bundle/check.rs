//! Is a bundle as it was sealed?

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{EVENTS, FILMS, Facts, MANIFEST, MODEL, Manifest, Model, Sealed, tables};
use crate::dataset::index::load_index;
use crate::fsutil;
use crate::session::export::ExportError;
use crate::session::log::Snapshot;

/// What the check of a bundle found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleCheck {
    /// The bundle, if its list of files could be read.
    pub sealed: Option<Sealed>,
    /// Everything that is not as it was sealed, each naming its file; empty if all is.
    pub faults: Vec<String>,
}

/// Compares every file of a bundle with the manifest, checks the log's chain, and derives the tables and the card from
/// the log again.
///
/// # Errors
/// [`ExportError`] if the folder or its manifest cannot be read at all.
pub fn check_bundle(folder: &Path) -> Result<BundleCheck, ExportError> {
    let bytes = fsutil::read(&folder.join(MANIFEST))?;
    let manifest = match Manifest::from_bytes(&bytes) {
        Ok(manifest) => manifest,
        Err(fault) => {
            let faults = vec![format!("{fault}: {MANIFEST}")];
            return Ok(BundleCheck { sealed: None, faults });
        }
    };
    let mut faults = Vec::new();
    compare(folder, &manifest, &mut faults)?;
    let (mut labelled, mut left_out) = (0, 0);
    match Snapshot::read(folder) {
        Err(error) => faults.push(error.to_string()),
        Ok(snapshot) => {
            let head = snapshot.head.to_string();
            let (lines, sealed) = (snapshot.state.entries(), manifest.lines);
            if !snapshot.torn.is_empty() {
                faults.push(format!("it ends in an unfinished line: {EVENTS}"));
            }
            if head != manifest.head || lines != sealed || snapshot.header.id != manifest.session {
                faults.push(format!("it has {lines} lines and the head {head}, sealed were {sealed} and {}: {EVENTS}", manifest.head));
            }
            match derive(folder, &manifest, &snapshot) {
                Ok(derived) => {
                    (labelled, left_out) = (derived.labelled, derived.left_out);
                    for (name, bytes) in derived.files {
                        if fsutil::read(&folder.join(name)).is_ok_and(|found| found != bytes) {
                            faults.push(format!("it is not what the log says: {name}"));
                        }
                    }
                }
                Err(error) => faults.push(error.to_string()),
            }
        }
    }
    let sealed = Sealed {
        seal: blake3::hash(&bytes).to_string(),
        head: manifest.head,
        lines: manifest.lines,
        files: manifest.files.len(),
        labelled,
        left_out,
    };
    Ok(BundleCheck { sealed: Some(sealed), faults })
}

/// Names files that are changed, missing, or were not there.
fn compare(
    folder: &Path,
    manifest: &Manifest,
    faults: &mut Vec<String>,
) -> Result<(), ExportError> {
    let mut found = BTreeMap::new();
    list(folder, "", &mut found)?;
    found.remove(MANIFEST);
    let sealed: BTreeSet<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    for file in &manifest.files {
        match found.get(file.name.as_str()) {
            None => faults.push(format!("it is missing: {}", file.name)),
            Some(false) => faults.push(format!("it is no plain file any more: {}", file.name)),
            Some(true) => {
                let bytes = fsutil::read(&folder.join(&file.name))?;
                if blake3::hash(&bytes).to_string() != file.blake3 {
                    let (now, then) = (bytes.len(), file.bytes);
                    faults.push(format!(
                        "it was changed after the bundle was sealed ({now} bytes, then {then}): {}",
                        file.name
                    ));
                }
            }
        }
    }
    let added = found.keys().filter(|name| !sealed.contains(name.as_str()));
    faults.extend(added.map(|name| format!("it was added after the bundle was sealed: {name}")));
    Ok(())
}

/// Lists everything below a folder that is no folder, and empty folders; true for plain files.
fn list(
    folder: &Path,
    prefix: &str,
    found: &mut BTreeMap<String, bool>,
) -> Result<(), ExportError> {
    let look = || ExportError::io("look into the folder of the bundle", folder);
    let mut empty = true;
    for entry in fs::read_dir(folder).map_err(look())? {
        let entry = entry.map_err(look())?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(look())?;
        if kind.is_dir() {
            list(&entry.path(), &format!("{name}/"), found)?;
        } else {
            found.insert(name, kind.is_file());
        }
        empty = false;
    }
    if empty && !prefix.is_empty() {
        found.insert(prefix.to_owned(), false);
    }
    Ok(())
}

/// Derives tables and card from the bundle's own log, index and model.
fn derive(
    folder: &Path,
    manifest: &Manifest,
    snapshot: &Snapshot,
) -> Result<tables::Derived, ExportError> {
    let films = load_index(&folder.join(FILMS))?;
    let model = match &manifest.model {
        None => None,
        Some(name) => Some(Model { name: name.clone(), card: fsutil::read(&folder.join(MODEL))? }),
    };
    let (splits, made) = (manifest.splits, manifest.made);
    tables::derive(&Facts { snapshot, films: &films, model: model.as_ref(), splits, made })
}
