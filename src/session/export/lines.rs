//! JSON Lines: `labels.jsonl`, `notes.jsonl`.

use std::path::Path;

use serde::Serialize;

use super::ExportError;
use super::record::{NoteRow, Record};
use crate::fsutil;

pub(super) fn write(
    records: &[Record<'_>],
    notes: &[NoteRow<'_>],
    folder: &Path,
) -> Result<(), ExportError> {
    write_lines(records, &folder.join("labels.jsonl"))?;
    if !notes.is_empty() {
        write_lines(notes, &folder.join("notes.jsonl"))?;
    }
    Ok(())
}

fn write_lines<T: Serialize>(records: &[T], file: &Path) -> Result<(), ExportError> {
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, record)?;
        lines.push(b'\n');
    }
    Ok(fsutil::write_atomic(file, &lines)?)
}
