//! Decodes the films that come next, ahead of the reader.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::loader::{Loader, Outcome};
use super::words::sentence;
use crate::dataset::{FilmId, FilmRecord, Stamp, is_unchanged, read_current};
use crate::imaging::{About, Film, View, Window};

/// A decoded film with smaller copies of itself, ready to be drawn at any zoom.
#[derive(Debug)]
pub struct LoadedFilm {
    /// The film, then the film at 1/2, 1/4, … of its sides.
    pub levels: Vec<Film>,
    /// What the film opens with.
    pub first: View,
    /// The window of its percentiles.
    pub auto: Window,
    /// The window that spans every value of the film.
    pub full: Window,
    /// Identity of what the file holds, where that is not what it held at import.
    pub changed: Option<FilmId>,
    /// Size and last change of the file when it was read.
    pub stamp: Stamp,
}

impl LoadedFilm {
    /// Side in pixels below which no smaller copy is made.
    const SMALLEST: u32 = 160;

    /// Makes the smaller copies and the windows of a film.
    pub fn new(film: Film) -> Self {
        let (auto, full) = (Window::percentile(&film), Window::full(&film));
        // The percentiles once: they are what most films open with.
        let given = film.about.voi_lut.is_some() || !film.about.windows.is_empty();
        let first = if given { film.default_view() } else { View::Window(auto) };
        let mut levels = vec![film];
        while let Some(smaller) =
            levels.last().filter(|l| l.width.max(l.height) > Self::SMALLEST).map(halve)
        {
            levels.push(smaller);
        }
        Self { levels, first, auto, full, changed: None, stamp: (0, None) }
    }

    /// Returns width and height of the film in pixels.
    pub fn size(&self) -> [u32; 2] {
        self.levels.first().map_or([1, 1], |film| [film.width, film.height])
    }

    /// Returns what the file says beside the values.
    pub fn about(&self) -> &About {
        // There is a first level: the film itself.
        static NOTHING: LazyLock<About> = LazyLock::new(About::default);
        self.levels.first().map_or(&NOTHING, |film| &film.about)
    }

    fn bytes(&self) -> usize {
        self.levels.iter().map(|level| 2 * level.values.len()).sum()
    }
}

/// Halves both sides; each value is the rounded mean of four, at an odd edge of those that there are, twice counted.
fn halve(film: &Film) -> Film {
    let (columns, rows) = (film.width as usize, film.height as usize);
    let (width, height) = (columns.div_ceil(2), rows.div_ceil(2));
    let mut values = Vec::with_capacity(width * height);
    for y in 0..height {
        let row = |dy: usize| {
            let y = (2 * y + dy).min(rows - 1);
            &film.values[y * columns..(y + 1) * columns]
        };
        let (upper, lower) = (row(0), row(1));
        values.extend((0..width).map(|x| {
            let (left, right) = (2 * x, (2 * x + 1).min(columns - 1));
            let sum = [upper[left], upper[right], lower[left], lower[right]]
                .iter()
                .map(|&v| u32::from(v))
                .sum::<u32>();
            ((sum + 2) / 4) as u16
        }));
    }
    Film {
        width: width as u32,
        height: height as u32,
        bits: film.bits,
        values,
        about: film.about.clone(),
    }
}

/// What became of a film that was asked for.
pub type Loaded = Outcome<LoadedFilm>;

/// Threads that decode films in the order in which they are wanted, and the films that they decoded.
pub type FilmLoader = Loader<LoadedFilm>;

/// Bytes of decoded films that are kept.
pub const BUDGET: usize = 512 << 20;

/// Starts to load films that lie under `images`; `wake` is called from the threads whenever one has been decoded.
///
/// # Errors
/// If the system refuses a thread.
pub fn start(
    films: &Arc<Vec<FilmRecord>>,
    images: &Path,
    budget: usize,
    wake: impl Fn() + Send + Sync + 'static,
) -> std::io::Result<FilmLoader> {
    let files = films.iter().map(|film| images.join(&film.file)).collect();
    let films = Arc::clone(films);
    let read = move |row: usize, file: &Path| {
        let record = films.get(row).ok_or("The session lists no such film")?;
        let current = read_current(file, record).map_err(|error| sentence(&error.to_string()))?;
        Ok(LoadedFilm {
            changed: current.changed,
            stamp: current.stamp,
            ..LoadedFilm::new(current.film)
        })
    };
    Loader::new(files, read, (budget, LoadedFilm::bytes), wake)
}

/// Returns whether a film's file has not been written to since it was loaded.
pub fn is_current(file: &Path, film: &LoadedFilm) -> bool {
    is_unchanged(file, film.stamp)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::*;

    fn film(width: u32, height: u32, value: impl Fn(u32, u32) -> u16) -> Film {
        let values = (0..width * height).map(|i| value(i % width, i / width)).collect();
        Film { width, height, bits: 16, values, about: crate::imaging::About::default() }
    }

    fn folder(films: usize) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..films).map(|i| folder.path().join(format!("{i}.png"))).collect();
        for (i, file) in files.iter().enumerate() {
            image::GrayImage::from_fn(64, 48, |x, y| image::Luma([(x + y) as u8 + i as u8]))
                .save(file)
                .unwrap();
        }
        (folder, files)
    }

    fn load(files: &[PathBuf], budget: usize) -> FilmLoader {
        let record = |file: &PathBuf| FilmRecord {
            id: FilmId::of(b"as it was"),
            file: file.display().to_string(),
            width: 64,
            height: 48,
            bits: 8,
            bytes: 0,
            patient: String::new(),
            burned_in: false,
            modified: None,
        };
        let films = Arc::new(files.iter().map(record).collect());
        start(&films, Path::new(""), budget, || {}).unwrap()
    }

    fn wait(loader: &FilmLoader, row: usize) -> Loaded {
        let start = Instant::now();
        loop {
            if let Some(film) = loader.get(row) {
                return film;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "film {row} never came");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn halving_averages_and_keeps_odd_edges() {
        let small = halve(&film(3, 3, |x, y| (10 * y + x) as u16));
        assert_eq!((small.width, small.height), (2, 2));
        assert_eq!(
            small.values,
            [6, 7, 21, 22],
            "means of 0 1 10 11, 2 2 12 12, 20 21 20 21 and 22, halves up"
        );
        assert_eq!(
            halve(&film(4, 4, |_, _| 65535)).values,
            [65535; 4],
            "the brightest film does not overflow"
        );
    }

    #[test]
    fn levels_end_at_a_thumbnail() {
        let loaded = LoadedFilm::new(film(700, 500, |x, _| x as u16));
        let sizes: Vec<_> = loaded.levels.iter().map(|l| (l.width, l.height)).collect();
        assert_eq!(sizes, [(700, 500), (350, 250), (175, 125), (88, 63)]);
        assert_eq!(LoadedFilm::new(film(1, 1, |_, _| 7)).levels.len(), 1);
    }

    #[test]
    fn wanted_films_come_and_the_budget_holds() {
        let (_folder, files) = folder(6);
        let one = 2 * 64 * 48;
        let loader = load(&files, 2 * one);
        for row in 0..6 {
            loader.want(&[row]);
            assert_eq!(wait(&loader, row).unwrap().size(), [64, 48]);
        }
        loader.want(&[5]);
        let kept: Vec<_> = (0..6).filter(|&row| loader.get(row).is_some()).collect();
        assert_eq!(kept, [4, 5], "the films wanted last are the ones kept");
    }

    #[test]
    fn more_wanted_than_the_budget_is_kept_all_the_same() {
        let (_folder, files) = folder(3);
        let loader = load(&files, 1);
        loader.want(&[2, 1, 0]);
        for row in 0..3 {
            wait(&loader, row).unwrap();
        }
        assert!((0..3).all(|row| loader.get(row).is_some()));
    }

    #[test]
    fn a_broken_film_says_why_and_the_next_one_comes() {
        let (folder, mut files) = folder(1);
        let broken = folder.path().join("broken.png");
        std::io::Write::write_all(
            &mut std::fs::File::create(&broken).unwrap(),
            b"\x89PNG\r\n\x1a\nnothing",
        )
        .unwrap();
        files.insert(0, broken);
        files.push(folder.path().join("gone.png"));
        let loader = load(&files, BUDGET);
        loader.want(&[0, 2, 7, 1]);
        for row in [0, 2] {
            let reason = wait(&loader, row).unwrap_err();
            assert!(reason.contains(".png"), "{reason:?} names no file");
            assert!(reason.starts_with(char::is_uppercase), "{reason:?} is no sentence");
        }
        assert!(wait(&loader, 7).is_err());
        assert!(wait(&loader, 1).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_place_of_a_film_is_not_waited_for() {
        let (folder, mut files) = folder(1);
        let pipe = folder.path().join("pipe.png");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        files.insert(0, pipe.clone());
        let loader = load(&files, BUDGET);
        loader.want(&[0, 1]);
        let reason = wait(&loader, 0).unwrap_err();
        assert!(reason.contains("pipe") && reason.contains("no file"), "{reason}");
        assert!(wait(&loader, 1).is_ok());
    }
}
