//! Small films for the Films view and the map: decoded on threads of their own, only those in sight, kept within a budget.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use egui::{ColorImage, Context, TextureHandle, TextureOptions};
use image::GrayImage;
use image::imageops::{FilterType, resize};

use super::film_loader::LoadedFilm;
use super::loader::Loader;
use super::reading::Study;
use super::words::sentence;
use crate::dataset::{FilmId, FilmRecord, read_current};
use crate::imaging::{self, View, Window};

/// A small film.
#[derive(Debug)]
pub struct Thumbnail {
    grey: GrayImage,
    /// Longer side of the film itself in pixels.
    pub edge: u32,
    /// The window that it is drawn through; the widest where the file gives a table instead.
    pub window: Window,
    /// Identity of what the file holds, where that is not what it held at import.
    pub changed: Option<FilmId>,
}

/// The small films of a session, whose threads start when the first of them is wanted.
#[derive(Default)]
pub struct SmallFilms(Option<Thumbnails>);

impl SmallFilms {
    /// Returns the small films.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn open(&mut self, ctx: &Context, study: &Study) -> std::io::Result<&mut Thumbnails> {
        match self.0 {
            Some(ref mut thumbnails) => Ok(thumbnails),
            None => Ok(self.0.insert(Thumbnails::new(ctx, study.films(), study.images())?)),
        }
    }

    /// Returns a small film once it is in sight.
    pub fn get(&self, row: usize) -> Option<Arc<Thumbnail>> {
        self.0.as_ref()?.get(row)
    }

    /// Returns the number of small films that have been decoded and are kept.
    #[cfg(test)]
    pub fn decoded(&self) -> usize {
        self.0.as_ref().map_or(0, |thumbnails| thumbnails.loader.count())
    }
}

/// The small films that have been decoded, and those that have been uploaded.
pub struct Thumbnails {
    loader: Loader<Thumbnail>,
    textures: BTreeMap<usize, TextureHandle>,
    wanted: Vec<usize>,
}

impl Thumbnails {
    /// Longer side in pixels of what is kept.
    const EDGE: u32 = 256;
    /// Bytes that are kept: some 2,000 films.
    const BUDGET: usize = 128 << 20;
    /// Textures that are kept beside those in sight.
    const TEXTURES: usize = 512;
    /// Textures that a pass uploads at most, so that none takes long.
    const UPLOADS: usize = 16;

    fn new(ctx: &Context, films: &Arc<Vec<FilmRecord>>, images: &Path) -> std::io::Result<Self> {
        let files = films.iter().map(|film| images.join(&film.file)).collect();
        let records = Arc::clone(films);
        let read = move |row: usize, file: &Path| {
            let record = records.get(row).ok_or("The session lists no such film")?;
            let current = read_current(file, record);
            let current = current.map_err(|error| sentence(&error.to_string()))?;
            Ok(Thumbnail { changed: current.changed, ..shrink(current.film) })
        };
        let weigh = |thumbnail: &Thumbnail| thumbnail.grey.len();
        let waker = ctx.clone();
        let wake = move || waker.request_repaint();
        let loader = Loader::new(files, read, (Self::BUDGET, weigh), wake)?;
        Ok(Self { loader, textures: BTreeMap::new(), wanted: Vec::new() })
    }

    /// Says which films are in sight, uploads some of them, and forgets textures that have been out of sight for long.
    pub fn show(&mut self, ctx: &Context, rows: &[usize]) {
        if self.wanted != rows {
            rows.clone_into(&mut self.wanted);
            self.loader.want(rows);
            if self.textures.len() > rows.len() + Self::TEXTURES {
                self.textures.retain(|row, _| rows.contains(row));
            }
        }
        let mut uploads = 0;
        for &row in rows {
            if self.textures.contains_key(&row) {
                continue;
            }
            let Some(Ok(thumbnail)) = self.loader.get(row) else { continue };
            if uploads == Self::UPLOADS {
                ctx.request_repaint();
                break;
            }
            uploads += 1;
            let (width, height) = thumbnail.grey.dimensions();
            let size = [width as usize, height as usize];
            let image = ColorImage::from_gray(size, thumbnail.grey.as_raw());
            let texture =
                ctx.load_texture(format!("small film {row}"), image, TextureOptions::LINEAR);
            self.textures.insert(row, texture);
        }
    }

    /// Returns a small film once it is uploaded.
    pub fn texture(&self, row: usize) -> Option<&TextureHandle> {
        self.textures.get(&row)
    }

    /// Returns why a film cannot be shown, if so.
    pub fn fault(&self, row: usize) -> Option<Arc<str>> {
        self.loader.get(row)?.err()
    }

    fn get(&self, row: usize) -> Option<Arc<Thumbnail>> {
        self.textures.get(&row)?;
        self.loader.get(row)?.ok()
    }
}

fn shrink(film: imaging::Film) -> Thumbnail {
    let edge = film.width.max(film.height);
    let film = LoadedFilm::new(film);
    let view = film.first.clone();
    let window = match &view {
        View::Window(window) => *window,
        View::Lut(_) => film.full,
    };
    // The smallest copy that has a pixel for every pixel of the thumbnail.
    let large_enough = |level: &&imaging::Film| level.width.max(level.height) >= Thumbnails::EDGE;
    let level = film.levels.iter().rev().find(large_enough).or(film.levels.first());
    let mut grey = GrayImage::default();
    if let Some(level) = level {
        let mut values = Vec::new();
        imaging::render(level, view, false, &mut values);
        grey = GrayImage::from_raw(level.width, level.height, values).unwrap_or_default();
    }
    let (width, height) = grey.dimensions();
    let scale = f64::from(Thumbnails::EDGE) / f64::from(width.max(height).max(1));
    if scale < 1.0 {
        let side = |pixels: u32| (f64::from(pixels) * scale).round().max(1.0) as u32;
        grey = resize(&grey, side(width), side(height), FilterType::Triangle);
    }
    Thumbnail { grey, edge, window, changed: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_films_keep_their_shape_and_never_grow() {
        let film = |width: u32, height: u32| {
            let values = (0..width * height).map(|i| (i % 251) as u16).collect();
            imaging::Film { width, height, bits: 8, values, about: imaging::About::default() }
        };
        for (size, small) in [
            ((2000, 1000), (256, 128)),
            ((257, 100), (256, 100)),
            ((40, 30), (40, 30)),
            ((1, 900), (1, 256)),
        ] {
            let thumbnail = shrink(film(size.0, size.1));
            assert_eq!(thumbnail.grey.dimensions(), small, "{size:?}");
            assert_eq!(thumbnail.edge, size.0.max(size.1));
        }
    }
}
