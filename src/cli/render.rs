//! `penumbra render`: a film as it is shown, as a picture file.

use std::io::Cursor;

use anyhow::Context as _;
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};

use super::answer::Answer;
use super::args::RenderArgs;
use crate::fsutil;
use crate::imaging::{self, View};

/// Writes the film at its default view, or at the window given in the file's own units, as 8-bit grey PNG of its size.
///
/// # Errors
/// Fails if the film cannot be read or the picture not be written.
pub fn run(args: &RenderArgs) -> anyhow::Result<Answer> {
    let film = imaging::decode(&args.file)?;
    for note in &film.about.notes {
        eprintln!("{note}: {}", args.file.display());
    }
    let view = match args.window {
        Some((centre, width)) => View::Window(film.about.window(centre, width)),
        None => film.default_view(),
    };
    let mut grey = Vec::new();
    imaging::render(&film, view, false, &mut grey);
    let mut png = Cursor::new(Vec::new());
    PngEncoder::new(&mut png)
        .write_image(&grey, film.width, film.height, ExtendedColorType::L8)
        .with_context(|| format!("the picture could not be made: {}", args.out.display()))?;
    fsutil::write_atomic(&args.out, png.get_ref())?;
    Ok(Answer::Yes)
}
