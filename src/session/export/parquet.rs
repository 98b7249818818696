//! Apache Parquet: `labels.parquet`, a flat table of texts, whole numbers and times.
//!
//! What is written of the format (<https://parquet.apache.org/docs/file-format/>, its structures in
//! `parquet.thrift`): PLAIN values, uncompressed, one page a column and row group, footer in Thrift's compact protocol.
//! Every reader knows this subset. It is one flat table of three column types, checked with pyarrow; the `parquet` crate
//! would add nine dependencies for it.

use std::path::Path;

use super::ExportError;
use super::record::Record;
use crate::fsutil;

/// Rows of a row group.
const ROWS: usize = 1 << 16;
const MAGIC: &[u8] = b"PAR1";

pub(super) fn write(records: &[Record<'_>], folder: &Path) -> Result<(), ExportError> {
    let text = |of: &dyn Fn(&Record<'_>) -> String| {
        Values::Text(records.iter().map(|record| Some(of(record))).collect())
    };
    let optional =
        |of: &dyn Fn(&Record<'_>) -> Option<String>| Values::Text(records.iter().map(of).collect());
    let numbers = |of: &dyn Fn(&Record<'_>) -> i64| records.iter().map(of).collect();
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let columns = [
        Column::required("file", text(&|record| record.file.to_owned())),
        Column::required("label", text(&|record| record.answer.to_string())),
        Column::required("patient", text(&|record| record.patient.to_owned())),
        Column::required("reader", text(&|record| record.reader.to_owned())),
        Column::required("time", Values::Time(numbers(&|record| record.time.milliseconds()))),
        Column::required("ms", Values::Number(numbers(&|record| record.ms as i64))),
        Column::required("source", text(&|record| record.source.to_string())),
        Column::required("film", text(&|record| record.film.to_string())),
        Column::optional("reason", optional(&|record| owned(record.reason))),
        Column::optional("note", optional(&|record| owned(record.note))),
        Column::required("seq", Values::Number(numbers(&|record| record.seq as i64))),
    ];
    Ok(fsutil::write_atomic(&folder.join("labels.parquet"), &file(&columns, records.len()))?)
}

/// A column of the table.
struct Column {
    name: &'static str,
    optional: bool,
    values: Values,
}

/// Values of a column, a row each.
enum Values {
    Text(Vec<Option<String>>),
    Number(Vec<i64>),
    /// Milliseconds after 1970-01-01T00:00:00Z.
    Time(Vec<i64>),
}

// Numbers of the enumerations Type, ConvertedType, FieldRepetitionType, Encoding and PageType.
const INT64: i32 = 2;
const BYTE_ARRAY: i32 = 6;
const UTF8: i32 = 0;
const TIMESTAMP_MILLIS: i32 = 9;
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const UNCOMPRESSED: i32 = 0;
const DATA_PAGE: i32 = 0;

impl Column {
    const fn required(name: &'static str, values: Values) -> Self {
        Self { name, optional: false, values }
    }

    const fn optional(name: &'static str, values: Values) -> Self {
        Self { name, optional: true, values }
    }

    const fn physical(&self) -> i32 {
        match self.values {
            Values::Text(_) => BYTE_ARRAY,
            Values::Number(_) | Values::Time(_) => INT64,
        }
    }

    /// The bytes of a page: which rows have a value, where some may not, and the values.
    fn page(&self, rows: std::ops::Range<usize>) -> Vec<u8> {
        let mut bytes = Vec::new();
        match &self.values {
            Values::Number(values) | Values::Time(values) => {
                bytes.extend(values[rows].iter().flat_map(|value| value.to_le_bytes()));
            }
            Values::Text(values) => {
                if self.optional {
                    let levels = levels(&values[rows.clone()]);
                    bytes.extend((levels.len() as u32).to_le_bytes());
                    bytes.extend(levels);
                }
                for text in values[rows].iter().flatten() {
                    bytes.extend((text.len() as u32).to_le_bytes());
                    bytes.extend(text.as_bytes());
                }
            }
        }
        bytes
    }

    /// A `SchemaElement`.
    fn schema(&self, footer: &mut Compact) {
        footer.begin();
        footer.number(1, self.physical());
        footer.number(3, i32::from(self.optional));
        footer.text(4, self.name);
        match self.values {
            Values::Text(_) => {
                footer.number(6, UTF8);
                footer.inside(10, |logical| logical.inside(1, |_string| {}));
            }
            Values::Time(_) => {
                footer.number(6, TIMESTAMP_MILLIS);
                footer.inside(10, |logical| {
                    logical.inside(8, |time| {
                        time.truth(1);
                        time.inside(2, |unit| unit.inside(1, |_millis| {}));
                    });
                });
            }
            Values::Number(_) => {}
        }
        footer.end();
    }
}

/// Runs of rows with (1) and without (0) a value, in the hybrid encoding at one bit a level.
fn levels<T>(values: &[Option<T>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for run in values.chunk_by(|a, b| a.is_some() == b.is_some()) {
        varint(&mut bytes, (run.len() as u64) << 1);
        bytes.push(u8::from(run[0].is_some()));
    }
    bytes
}

/// Where a column of a row group stands in the file.
struct Chunk {
    offset: usize,
    length: usize,
    rows: usize,
}

/// Writes a table.
fn file(columns: &[Column], rows: usize) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let mut groups = Vec::new();
    for start in (0..rows).step_by(ROWS) {
        let range = start..(start + ROWS).min(rows);
        let chunks: Vec<_> =
            columns.iter().map(|column| chunk(&mut bytes, column, &range)).collect();
        groups.push(chunks);
    }
    let footer = footer(columns, rows, &groups);
    bytes.extend(&footer);
    bytes.extend((footer.len() as u32).to_le_bytes());
    bytes.extend(MAGIC);
    bytes
}

/// Appends the page of a column with its `PageHeader`.
fn chunk(bytes: &mut Vec<u8>, column: &Column, rows: &std::ops::Range<usize>) -> Chunk {
    let (offset, page) = (bytes.len(), column.page(rows.clone()));
    let mut header = Compact::default();
    header.begin();
    header.number(1, DATA_PAGE);
    header.number(2, page.len() as i32);
    header.number(3, page.len() as i32);
    header.inside(5, |data| {
        data.number(1, rows.len() as i32);
        data.number(2, PLAIN);
        data.number(3, RLE);
        data.number(4, RLE);
    });
    header.end();
    bytes.extend(header.bytes);
    bytes.extend(page);
    Chunk { offset, length: bytes.len() - offset, rows: rows.len() }
}

/// The `FileMetaData`.
fn footer(columns: &[Column], rows: usize, groups: &[Vec<Chunk>]) -> Vec<u8> {
    let mut footer = Compact::default();
    footer.begin();
    footer.number(1, 1);
    footer.list(2, STRUCT, columns.len() + 1);
    footer.begin();
    footer.text(4, "labels");
    footer.number(5, columns.len() as i32);
    footer.end();
    for column in columns {
        column.schema(&mut footer);
    }
    footer.long(3, rows);
    footer.list(4, STRUCT, groups.len());
    for chunks in groups {
        footer.begin();
        footer.list(1, STRUCT, chunks.len());
        for (column, chunk) in columns.iter().zip(chunks) {
            footer.begin();
            footer.long(2, chunk.offset);
            footer.inside(3, |data| {
                data.number(1, column.physical());
                data.list(2, I32, 2);
                data.bare_number(PLAIN);
                data.bare_number(RLE);
                data.list(3, BINARY, 1);
                data.bare_text(column.name);
                data.number(4, UNCOMPRESSED);
                data.long(5, chunk.rows);
                data.long(6, chunk.length);
                data.long(7, chunk.length);
                data.long(9, chunk.offset);
            });
            footer.end();
        }
        footer.long(2, chunks.iter().map(|chunk| chunk.length).sum());
        footer.long(3, chunks.first().map_or(0, |chunk| chunk.rows));
        footer.end();
    }
    footer.text(6, concat!("Penumbra version ", env!("CARGO_PKG_VERSION")));
    footer.end();
    footer.bytes
}

const TRUE: u8 = 1;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// Thrift's compact protocol, as much as is needed; fields of a structure come in ascending order.
#[derive(Default)]
struct Compact {
    bytes: Vec<u8>,
    /// The last field of each structure that is open.
    open: Vec<u8>,
}

impl Compact {
    fn begin(&mut self) {
        self.open.push(0);
    }

    fn end(&mut self) {
        self.open.pop();
        self.bytes.push(0);
    }

    fn field(&mut self, id: u8, kind: u8) {
        if let Some(last) = self.open.last_mut() {
            self.bytes.push((id - *last) << 4 | kind);
            *last = id;
        }
    }

    fn number(&mut self, id: u8, value: i32) {
        self.field(id, I32);
        self.bare_number(value);
    }

    fn bare_number(&mut self, value: i32) {
        varint(&mut self.bytes, u64::from((value << 1 ^ value >> 31) as u32));
    }

    fn long(&mut self, id: u8, value: usize) {
        self.field(id, I64);
        varint(&mut self.bytes, (value as u64) << 1);
    }

    fn truth(&mut self, id: u8) {
        self.field(id, TRUE);
    }

    fn text(&mut self, id: u8, text: &str) {
        self.field(id, BINARY);
        self.bare_text(text);
    }

    fn bare_text(&mut self, text: &str) {
        varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    fn list(&mut self, id: u8, kind: u8, length: usize) {
        self.field(id, LIST);
        if length < 15 {
            self.bytes.push((length as u8) << 4 | kind);
        } else {
            self.bytes.push(0xF0 | kind);
            varint(&mut self.bytes, length as u64);
        }
    }

    fn inside(&mut self, id: u8, write: impl FnOnce(&mut Self)) {
        self.field(id, STRUCT);
        self.begin();
        write(self);
        self.end();
    }
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
