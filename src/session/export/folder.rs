//! Films copied into a folder a class, as torchvision's `ImageFolder` and others read them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use super::record::Record;
use super::{ExportError, ExportReport};
use crate::dataset::FilmId;
use crate::fsutil;
use crate::session::state::State;

/// Copies the films, and notes those that are gone or no longer what was labelled.
pub(super) fn write(
    records: &[Record<'_>],
    state: &State,
    folder: &Path,
    report: &mut ExportReport,
) -> Result<(), ExportError> {
    let mut taken = BTreeSet::new();
    for record in records {
        let Some(class) = record.answer.class() else { continue };
        let bytes = match record.contents(state) {
            Ok(bytes) => bytes,
            Err(reason) => {
                report.miss(reason);
                continue;
            }
        };
        let (class, file) = (folder.join(class), &record.of.file);
        let plain = class.join(file.file_name().unwrap_or_default());
        let free = taken.insert(plain.to_string_lossy().to_lowercase());
        let target = if free { plain } else { class.join(name_with_id(file, record.film)) };
        fsutil::write_atomic(&target, &bytes)?;
        report.copied += 1;
    }
    Ok(())
}

/// Returns a name for the film that no other film has.
fn name_with_id(file: &Path, id: FilmId) -> String {
    let part = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, extension) = (part(file.file_stem()), part(file.extension()));
    if extension.is_empty() { format!("{stem}-{id}") } else { format!("{stem}-{id}.{extension}") }
}
