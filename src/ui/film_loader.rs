//! Decodes the films that come next on threads of its own, so that the window never waits for a file.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::command::sentence;
use crate::imaging::{self, About, Film, View, Window};

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
        Self { levels, first, auto, full }
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
pub type Loaded = Result<Arc<LoadedFilm>, Arc<str>>;

#[derive(Default)]
struct Shelf {
    wanted: Vec<usize>,
    loading: BTreeSet<usize>,
    films: BTreeMap<usize, Loaded>,
    /// Rows on the shelf, least recently wanted first.
    age: Vec<usize>,
    closed: bool,
}

impl Shelf {
    fn next(&self) -> Option<usize> {
        let here = |row: &usize| self.films.contains_key(row) || self.loading.contains(row);
        self.wanted.iter().copied().find(|row| !here(row))
    }

    fn bytes(&self) -> usize {
        self.films.values().flatten().map(|film| film.bytes()).sum()
    }

    /// Drops the films wanted longest ago until the rest fits, but none that is wanted now.
    fn trim(&mut self, budget: usize) {
        let mut bytes = self.bytes();
        let Self { wanted, films, age, .. } = self;
        age.retain(|row| {
            if bytes <= budget || wanted.contains(row) {
                return true;
            }
            bytes -= films.remove(row).and_then(Result::ok).map_or(0, |film| film.bytes());
            false
        });
    }
}

struct Shared {
    files: Vec<PathBuf>,
    budget: usize,
    shelf: Mutex<Shelf>,
    work: Condvar,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// Threads that decode films in the order in which they are wanted, and the films that they decoded.
///
/// Dropping it ends the threads after the film that each has in hand.
pub struct FilmLoader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl FilmLoader {
    /// Two suffice to stay ahead of a reader and leave the other cores to learning.
    const THREADS: usize = 2;
    /// Bytes of decoded films that are kept.
    pub const BUDGET: usize = 512 << 20;

    /// Starts the threads; `wake` is called from them whenever a film has been decoded.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(
        files: Vec<PathBuf>,
        budget: usize,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            files,
            budget,
            shelf: Mutex::default(),
            work: Condvar::new(),
            wake: Box::new(wake),
        });
        let mut loader = Self { shared, threads: Vec::new() };
        for number in 0..Self::THREADS {
            let shared = Arc::clone(&loader.shared);
            let thread = std::thread::Builder::new().name(format!("films-{number}"));
            loader.threads.push(thread.spawn(move || decode_wanted(&shared))?);
        }
        Ok(loader)
    }

    /// Says which rows are wanted from now on, the most urgent first; what was wanted before is forgotten.
    pub fn want(&self, rows: &[usize]) {
        let mut shelf = self.shared.shelf.lock();
        if shelf.wanted == rows {
            return;
        }
        rows.clone_into(&mut shelf.wanted);
        let (mut age, recent): (Vec<_>, Vec<_>) =
            shelf.age.iter().partition(|row| !rows.contains(row));
        age.extend(recent);
        shelf.age = age;
        // A film that could not be read, as on a network drive that dropped out, is tried again when it comes again.
        let Shelf { films, age, .. } = &mut *shelf;
        films.retain(|row, film| film.is_ok() || rows.contains(row));
        age.retain(|row| films.contains_key(row));
        shelf.trim(self.shared.budget);
        drop(shelf);
        self.shared.work.notify_all();
    }

    /// Returns a film, or why it cannot be shown; `None` while it is being decoded.
    pub fn get(&self, row: usize) -> Option<Loaded> {
        self.shared.shelf.lock().films.get(&row).cloned()
    }
}

impl Drop for FilmLoader {
    fn drop(&mut self) {
        self.shared.shelf.lock().closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A decoder's panic is caught where it happens; there is nothing to learn from the join.
            drop(thread.join());
        }
    }
}

fn decode_wanted(shared: &Shared) {
    // The window is drawn before films are decoded, and learning waits for both. On Linux this lowers the thread alone.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(5);
    loop {
        let mut shelf = shared.shelf.lock();
        let row = loop {
            if shelf.closed {
                return;
            }
            match shelf.next() {
                Some(row) => break row,
                None => shared.work.wait(&mut shelf),
            }
        };
        shelf.loading.insert(row);
        drop(shelf);
        let film = decode(shared, row);
        let mut shelf = shared.shelf.lock();
        shelf.loading.remove(&row);
        shelf.films.insert(row, film);
        shelf.age.push(row);
        shelf.trim(shared.budget);
        drop(shelf);
        (shared.wake)();
    }
}

fn decode(shared: &Shared, row: usize) -> Loaded {
    let file = shared.files.get(row).ok_or_else(|| Arc::from("The session lists no such film"))?;
    // Files come from anywhere: one that makes a decoder panic must not end the thread that shows the others.
    let film = catch_unwind(AssertUnwindSafe(|| imaging::decode(file).map(LoadedFilm::new)));
    match film {
        Ok(Ok(film)) => Ok(Arc::new(film)),
        Ok(Err(error)) => Err(sentence(&error.to_string()).into()),
        Err(_) => Err(format!("The decoder gave up on this file: {}", file.display()).into()),
    }
}

#[cfg(test)]
mod tests {
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
        let loader = FilmLoader::new(files, 2 * one, || {}).unwrap();
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
        let loader = FilmLoader::new(files, 1, || {}).unwrap();
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
        let loader = FilmLoader::new(files, FilmLoader::BUDGET, || {}).unwrap();
        loader.want(&[0, 2, 7, 1]);
        for row in [0, 2] {
            let reason = wait(&loader, row).unwrap_err();
            assert!(reason.contains(".png"), "{reason:?} names no file");
            assert!(reason.starts_with(char::is_uppercase), "{reason:?} is no sentence");
        }
        assert!(wait(&loader, 7).is_err());
        assert!(wait(&loader, 1).is_ok());
    }
}
