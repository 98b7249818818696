//! CSV: `labels.csv`, `uninterpretable.csv`, `notes.csv`.

use std::path::Path;

use super::ExportError;
use super::record::{NoteRow, Record};
use crate::fsutil;

const LABELS: [&str; 10] =
    ["file", "label", "patient", "reader", "time", "ms", "source", "film", "reason", "note"];
const NOTES: [&str; 5] = ["file", "note", "reader", "time", "film"];

pub(super) fn write(
    records: &[Record<'_>],
    notes: &[NoteRow<'_>],
    folder: &Path,
) -> Result<(), ExportError> {
    let (classes, uninterpretable): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record.class.is_some());
    let rows = |records: &[&Record<'_>]| table(&LABELS, records.iter().map(|record| row(record)));
    fsutil::write_atomic(&folder.join("labels.csv"), &rows(&classes)?)?;
    if !uninterpretable.is_empty() {
        fsutil::write_atomic(&folder.join("uninterpretable.csv"), &rows(&uninterpretable)?)?;
    }
    if !notes.is_empty() {
        let rows = notes.iter().map(|NoteRow { file, note, reader, time, film }| {
            [*file, *note, *reader, &time.to_string(), &film.to_string()].map(str::to_owned)
        });
        fsutil::write_atomic(&folder.join("notes.csv"), &table(&NOTES, rows)?)?;
    }
    Ok(())
}

fn row(record: &Record<'_>) -> [String; LABELS.len()] {
    [
        record.file.to_owned(),
        record.answer.to_string(),
        record.patient.to_owned(),
        record.reader.to_owned(),
        record.time.to_string(),
        record.ms.to_string(),
        record.source.to_string(),
        record.film.to_string(),
        record.reason.unwrap_or_default().to_owned(),
        record.note.unwrap_or_default().to_owned(),
    ]
}

/// Writes a table with its header as CSV.
pub(super) fn table<const N: usize>(
    columns: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<Vec<u8>, ExportError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(columns)?;
    for row in rows {
        table.write_record(row)?;
    }
    table.into_inner().map_err(|error| csv::Error::from(error.into_error()).into())
}
