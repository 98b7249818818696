//! Labels files: tables with the columns `file` and `label`, and perhaps `patient` and `split`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use csv::{Position, StringRecord};

use crate::fsutil::{self, FsError};

/// One film's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRow {
    /// Path relative to the folder of films, with `/` between folders.
    pub file: String,
    /// The class.
    pub label: String,
    /// The patient, where the column is there and filled in.
    pub patient: Option<String>,
    /// The part that the film belongs to, such as `train`, where the column is there and filled in.
    pub split: Option<String>,
}

/// Why a labels file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The file could not be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The file is not a table of text.
    #[error("line {line} is not a row of the table ({reason}): {}", path.display())]
    Row {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
        /// The labels file.
        path: PathBuf,
    },
    /// The header has not exactly one column of a name that is needed.
    #[error("line 1 must name one column \"{column}\", it names {found}: {}", path.display())]
    Column {
        /// The column.
        column: &'static str,
        /// How many there are.
        found: usize,
        /// The labels file.
        path: PathBuf,
    },
    /// A cell that must be filled in is empty.
    #[error("line {line} has nothing in column \"{column}\": {}", path.display())]
    Blank {
        /// The line, counted from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// The labels file.
        path: PathBuf,
    },
    /// Two rows of one film disagree.
    #[error(
        "lines {first} and {line} disagree on column \"{column}\" of the film \"{file}\"; keep one of them: {}",
        path.display()
    )]
    Conflict {
        /// The earlier line.
        first: u64,
        /// The later line.
        line: u64,
        /// The column.
        column: &'static str,
        /// The film.
        file: String,
        /// The labels file.
        path: PathBuf,
    },
}

/// A row with its place, and who gave the label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelLine {
    /// The line, counted from 1.
    pub line: u64,
    /// The row.
    pub row: LabelRow,
    /// The reader, where the column is there and filled in.
    pub reader: Option<String>,
}

/// Reads a labels file in UTF-8, with commas, semicolons or tabs between the columns, which may stand in any order.
///
/// Other columns are ignored; rows that repeat an earlier one are dropped.
///
/// # Errors
/// When the file cannot be read, a needed column is missing or named twice, a row is malformed or incomplete, or two
/// rows of one film disagree.
pub fn read_labels(path: &Path) -> Result<Vec<LabelRow>, LabelsError> {
    let mut rows = Vec::<LabelRow>::new();
    let mut seen = BTreeMap::<String, (u64, usize)>::new();
    for LabelLine { line, row, .. } in read_label_lines(path)? {
        if let Some(&(first, earlier)) = seen.get(&row.file) {
            if let Some(column) = difference(&rows[earlier], &row) {
                let (file, path) = (row.file, path.to_path_buf());
                return Err(LabelsError::Conflict { first, line, column, file, path });
            }
            continue;
        }
        seen.insert(row.file.clone(), (line, rows.len()));
        rows.push(row);
    }
    Ok(rows)
}

/// Reads every row of a labels file as [`read_labels`] does, repeated ones and those that disagree too.
///
/// # Errors
/// When the file cannot be read, a needed column is missing or named twice, or a row is malformed or incomplete.
pub fn read_label_lines(path: &Path) -> Result<Vec<LabelLine>, LabelsError> {
    let bytes = fsutil::read(path)?;
    let table = Table { text: bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes), path };
    let header = table.text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t']
        .into_iter()
        .find(|delimiter| header.contains(delimiter))
        .unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(table.text);
    let columns = Columns::find(reader.headers().map_err(|error| table.malformed(&error))?, path)?;
    let mut lines = Vec::new();
    let (mut counted, mut line) = (0, 1);
    for record in reader.records() {
        let record = record.map_err(|error| table.malformed(&error))?;
        let start = table.start(record.position());
        let passed = table.text.get(counted..start).unwrap_or_default();
        line += passed.split(|&byte| byte == b'\n').skip(1).count() as u64;
        counted = start;
        let (row, reader) = columns.row(&record).map_err(|column| LabelsError::Blank {
            line,
            column,
            path: path.to_path_buf(),
        })?;
        lines.push(LabelLine { line, row, reader });
    }
    Ok(lines)
}

/// The labels file as text, for naming what is wrong with it.
struct Table<'a> {
    text: &'a [u8],
    path: &'a Path,
}

impl Table<'_> {
    /// Returns where a record begins.
    ///
    /// The reader's own place is one short after `\r\n` and after blank lines: its records begin at the break.
    fn start(&self, position: Option<&Position>) -> usize {
        let start = position.map_or(0, Position::byte) as usize;
        let rest = self.text.get(start..).unwrap_or_default();
        start + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
    }

    /// Counts the lines up to a record.
    fn line(&self, position: Option<&Position>) -> u64 {
        let before = self.text.get(..self.start(position)).unwrap_or_default();
        before.split(|&byte| byte == b'\n').count() as u64
    }

    fn malformed(&self, error: &csv::Error) -> LabelsError {
        let reason = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("it has {len} columns where line 1 has {expected_len}")
            }
            csv::ErrorKind::Utf8 { .. } => {
                "it is not UTF-8 text, save the table as CSV in UTF-8".to_owned()
            }
            _ => error.to_string(),
        };
        LabelsError::Row {
            line: self.line(error.position()),
            reason,
            path: self.path.to_path_buf(),
        }
    }
}

/// Where the columns stand.
struct Columns {
    file: usize,
    label: usize,
    patient: Option<usize>,
    split: Option<usize>,
    reader: Option<usize>,
}

impl Columns {
    fn find(header: &StringRecord, path: &Path) -> Result<Self, LabelsError> {
        let named = |column: &'static str| {
            let mut places =
                header.iter().enumerate().filter(|(_, name)| name.eq_ignore_ascii_case(column));
            let first = places.next().map(|(place, _)| place);
            match places.count() {
                0 => Ok(first),
                more => {
                    Err(LabelsError::Column { column, found: more + 1, path: path.to_path_buf() })
                }
            }
        };
        let needed = |column| {
            named(column)?.ok_or_else(|| LabelsError::Column {
                column,
                found: 0,
                path: path.to_path_buf(),
            })
        };
        Ok(Self {
            file: needed("file")?,
            label: needed("label")?,
            patient: named("patient")?,
            split: named("split")?,
            reader: named("reader")?,
        })
    }

    /// Reads a row and its reader; the error is a column that must be filled in and is not.
    fn row(&self, record: &StringRecord) -> Result<(LabelRow, Option<String>), &'static str> {
        let optional = |place: Option<usize>| {
            let cell = record.get(place?)?;
            (!cell.is_empty()).then(|| cell.to_owned())
        };
        let file = optional(Some(self.file)).ok_or("file")?.replace('\\', "/");
        let row = LabelRow {
            file: file.strip_prefix("./").unwrap_or(&file).to_owned(),
            label: optional(Some(self.label)).ok_or("label")?,
            patient: optional(self.patient),
            split: optional(self.split),
        };
        Ok((row, optional(self.reader)))
    }
}

/// Names the first column on which two rows of one film disagree.
fn difference(a: &LabelRow, b: &LabelRow) -> Option<&'static str> {
    [
        ("label", a.label != b.label),
        ("patient", a.patient != b.patient),
        ("split", a.split != b.split),
    ]
    .into_iter()
    .find_map(|(column, differs)| differs.then_some(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Vec<LabelRow>, LabelsError> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("labels.csv");
        fsutil::write_atomic(&path, text).unwrap();
        read_labels(&path)
    }

    fn row(file: &str, label: &str, patient: Option<&str>, split: Option<&str>) -> LabelRow {
        let owned = |text: &str| text.to_owned();
        LabelRow {
            file: owned(file),
            label: owned(label),
            patient: patient.map(owned),
            split: split.map(owned),
        }
    }

    #[test]
    fn columns_are_found_by_name_whatever_program_wrote_the_table() {
        let expected =
            [row("a/1.png", "normal", Some("P1"), None), row("2.png", "pneu, left", None, None)];
        let tables: [&[u8]; 4] = [
            b"file,label,patient\na/1.png,normal,P1\n2.png,\"pneu, left\",\n",
            b"\xEF\xBB\xBFLabel,Note,Patient,File\r\nnormal,x,P1,a\\1.png\r\n\"pneu, left\",,,./2.png\r\n",
            b"file;label;patient\r\na/1.png;normal;P1\r\n2.png;pneu, left;\r\n",
            b"file\tlabel\tpatient\n a/1.png \tnormal\tP1\n\n2.png\tpneu, left\t\n",
        ];
        for table in tables {
            assert_eq!(parse(table).unwrap(), expected, "{}", String::from_utf8_lossy(table));
        }
    }

    #[test]
    fn errors_name_the_line_and_the_column() {
        for (table, start) in [
            (&b""[..], "line 1 must name one column \"file\", it names 0"),
            (b"file,class\na,b\n", "line 1 must name one column \"label\", it names 0"),
            (b"file,label,Label\na,b,c\n", "line 1 must name one column \"label\", it names 2"),
            (b"file,label\na,b\nc,\n", "line 3 has nothing in column \"label\""),
            (b"file,label\r\n,b\r\n", "line 2 has nothing in column \"file\""),
            (
                b"file,label\na,b\nc\n",
                "line 3 is not a row of the table (it has 1 columns where line 1 has 2)",
            ),
            (
                b"file,label\na,b\nc,\xFF\n",
                "line 3 is not a row of the table (it is not UTF-8 text",
            ),
            (
                b"file,label\na,b\nc,d\n./a,x\n",
                "lines 2 and 4 disagree on column \"label\" of the film \"a\"",
            ),
        ] {
            let error = parse(table).unwrap_err().to_string();
            assert!(error.starts_with(start) && error.ends_with("labels.csv"), "{error}");
        }
    }

    #[test]
    fn repeated_rows_count_once() {
        assert_eq!(parse(b"file,label\na,b\na,b\n").unwrap(), [row("a", "b", None, None)]);
        let error = parse(b"file,label,split\na,b,train\na,b,val\n").unwrap_err().to_string();
        assert!(error.contains("column \"split\""), "{error}");
    }
}
