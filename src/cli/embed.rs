//! `penumbra embed`: features as .npy.

use std::fmt::Write as _;

use anyhow::bail;

use super::Answer;
use super::args::EmbedArgs;
use super::films::{Films, bar};
use crate::config::Home;
use crate::device::Compute;
use crate::engine::worker::source_preprocess;
use crate::fsutil;
use crate::learn::Flow;
use crate::predict::Predictor;
use crate::session::export::npy_header;

/// Embeds films and writes `FILE.npy` (32-bit floats, films × features) and the row order beside it as `FILE.csv`.
///
/// # Errors
/// Fails if the model or a film cannot be read, or a file not be written.
pub fn run(
    home: &Home,
    args: &EmbedArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    if args.out.extension().is_none_or(|extension| extension != "npy") {
        bail!("features are written as .npy: {}", args.out.display());
    }
    let films = Films::find(home, &args.films)?;
    let predictor = Predictor::load(&home.model(&args.model), &compute.device)?;
    let store = films.load(source_preprocess(predictor.card.preprocess), threads)?;
    let rows: Vec<usize> = (0..store.len()).collect();
    let bar = bar("embedding films");
    bar.set_length(rows.len() as u64);
    let embeddings = predictor.embed(&store, &rows, &mut |done| {
        bar.set_position(done as u64);
        Flow::Continue
    })?;
    bar.finish_and_clear();
    let shape = [embeddings.len(), embeddings.dim()];
    fsutil::write_atomic(&args.out, &npy(shape, &embeddings.values()))?;
    let mut order = "row,file\n".to_owned();
    for (row, file) in films.files.iter().enumerate() {
        writeln!(order, "{row},\"{}\"", file.replace('"', "\"\"")).ok();
    }
    fsutil::write_atomic(&args.out.with_extension("csv"), order.as_bytes())?;
    println!("{} films × {} features: {}", embeddings.len(), embeddings.dim(), args.out.display());
    Ok(Answer::Yes)
}

/// Writes a table as NumPy's format has it, row by row.
pub(super) fn npy(shape: [usize; 2], values: &[f32]) -> Vec<u8> {
    let mut bytes = npy_header("<f4", &shape);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of `numpy.save` for `[[1, 2, 3]]` as float32: magic, header length 118, and the values from byte 128.
    #[test]
    fn header_is_numpys() {
        let bytes = npy([1, 3], &[1.0, 2.0, 3.0]);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert!(
            bytes[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }")
        );
        assert_eq!(bytes[127], b'\n');
        assert_eq!(bytes[128..], [0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64]);
    }
}
