//! Arrays for NumPy: `labels.npz` with the films small and grey, their labels, and who they are.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use rawzip::ZipArchiveWriter;

use super::npy::{npy_header, texts};
use super::record::Record;
use super::{ExportError, ExportReport};
use crate::imaging::{self, Fit, Preprocess};
use crate::session::state::State;

/// Films in memory at a time.
const CHUNK: usize = 64;

/// Writes the archive; films that cannot be read are left out of every array and noted.
///
/// | array | type | what |
/// |---|---|---|
/// | `images` | `uint8`, films × size × size | as a network sees them: default view, padded to a square with black |
/// | `labels` | `int64` | places in `classes` |
/// | `classes` | text | the session's classes in their order |
/// | `files`, `patients`, `films` | text | file, patient and content hash of each film |
pub(super) fn write(
    records: &[Record<'_>],
    state: &State,
    size: u32,
    path: &Path,
    report: &mut ExportReport,
) -> Result<(), ExportError> {
    let io = |what| ExportError::io(what, path);
    let labelled: Vec<_> = records.iter().filter(|record| record.class.is_some()).collect();
    let folder = path.parent().unwrap_or(Path::new("."));
    // How many films there are stands before the first, and is known after the last.
    let mut pixels = tempfile::tempfile_in(folder).map_err(io("make a temporary file for"))?;
    let mut taken = Vec::new();
    for chunk in labelled.chunks(CHUNK) {
        for (record, plane) in chunk.iter().zip(planes(chunk, state, size)) {
            match plane {
                Ok(plane) => {
                    pixels.write_all(&plane).map_err(io("write the films of"))?;
                    taken.push(*record);
                }
                Err(reason) => report.miss(reason),
            }
        }
    }
    report.arrays = taken.len();
    pixels.seek(SeekFrom::Start(0)).map_err(io("read the films of"))?;
    let side = size as usize;
    let file = File::create_new(path).map_err(io("make"))?;
    let mut archive = ZipArchiveWriter::new(BufWriter::new(file));
    let mut labels = npy_header("<i8", &[taken.len()]);
    let classes = taken.iter().map(|record| record.class.unwrap_or_default() as i64);
    labels.extend(classes.flat_map(i64::to_le_bytes));
    let films: Vec<String> = taken.iter().map(|record| record.film.to_string()).collect();
    let members = [
        ("labels", labels),
        ("classes", texts(state.classes().iter().map(String::as_str))),
        ("files", texts(taken.iter().map(|record| record.file))),
        ("patients", texts(taken.iter().map(|record| record.patient))),
        ("films", texts(films.iter().map(String::as_str))),
    ];
    let images = npy_header("|u1", &[taken.len(), side, side]);
    let mut add =
        |name: &str, header: &[u8], rest: &mut dyn io::Read| -> Result<(), rawzip::Error> {
            let (mut entry, config) = archive.new_file(format!("{name}.npy")).start()?;
            let mut writer = config.wrap(&mut entry);
            writer.write_all(header)?;
            io::copy(rest, &mut writer)?;
            let (_, output) = writer.finish()?;
            entry.finish(output).map(|_| ())
        };
    let zip = |fault| ExportError::Zip { fault, path: path.to_owned() };
    let length = (taken.len() * side * side) as u64;
    add("images", &images, &mut pixels.take(length)).map_err(zip)?;
    for (name, bytes) in &members {
        add(name, bytes, &mut io::empty()).map_err(zip)?;
    }
    let file = archive.finish().map_err(zip)?;
    let file = file.into_inner().map_err(|error| io("write")(error.into_error()))?;
    file.sync_all().map_err(io("write to the disk"))
}

/// Reads films and makes their planes of 8 bits, in the order of the list, on as many threads as there are cores.
fn planes(records: &[&Record<'_>], state: &State, size: u32) -> Vec<Result<Vec<u8>, String>> {
    let slots: Vec<_> = records.iter().map(|_| Mutex::new(Err(String::new()))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(place) =
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&n| n < slots.len())
        {
            *slots[place].lock() = plane(records[place], state, size);
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        for n in 1..threads.min(slots.len()) {
            // Without a further thread the films are still read, only more slowly.
            let _ = thread::Builder::new().name(format!("export-{n}")).spawn_scoped(scope, work);
        }
        work();
    });
    slots.into_iter().map(Mutex::into_inner).collect()
}

fn plane(record: &Record<'_>, state: &State, size: u32) -> Result<Vec<u8>, String> {
    let bytes = record.contents(state)?;
    let path = &record.of.file;
    let film = imaging::decode_bytes(&bytes, path).map_err(|error| error.to_string())?;
    let fitted = || Preprocess { size, fit: Fit::Pad }.apply(&film);
    let plane = catch_unwind(AssertUnwindSafe(fitted))
        .map_err(|_| format!("the film could not be resized: {}", path.display()))?;
    Ok(plane.pixels.iter().map(|pixel| (pixel * 255.0).round() as u8).collect())
}
