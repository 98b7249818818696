//! `penumbra embed`: features as .npy.

use anyhow::bail;

use super::answer::Answer;
use super::args::EmbedArgs;
use super::films::{bar, find, load};
use crate::config::Home;
use crate::dataset::planes::source_preprocess;
use crate::device::Compute;
use crate::fsutil;
use crate::learn::Flow;
use crate::predict::Predictor;
use crate::session::export::npy;

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
    let films = find(home, &args.films.set())?;
    let predictor = Predictor::load(&home.model(&args.model), &compute.device)?;
    let store = load(&films, source_preprocess(predictor.card.preprocess), threads)?;
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
    let mut order = csv::Writer::from_writer(Vec::new());
    order.write_record(["row", "file"])?;
    for (row, file) in films.files.iter().enumerate() {
        order.write_record([&row.to_string(), file])?;
    }
    fsutil::write_atomic(&args.out.with_extension("csv"), &order.into_inner()?)?;
    println!("{} films × {} features: {}", embeddings.len(), embeddings.dim(), args.out.display());
    Ok(Answer::Yes)
}
