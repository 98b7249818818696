//! Batches of pixels: whole films for inference, random views for training, drawn ahead of time on loader threads.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::FilmId;
use super::planes::PlaneStore;
use crate::imaging::{Augment, FixedView, Plane};
use crate::rng;

/// Batches that are made before they are asked for.
const AHEAD: usize = 4;

/// Pixels of several views, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `count * size * size` values in `0..=1`.
    pub pixels: Vec<f32>,
    /// Rows of the batch: films times views.
    pub count: usize,
    /// Columns and rows of every view.
    pub size: u32,
    /// The film of each row of one view, as its place in the plane store; a second view has the same films again.
    pub indices: Vec<usize>,
}

/// Makes the batch of whole films that a network is given outside training.
///
/// # Panics
/// When an index has no film.
pub fn eval_batch(store: &PlaneStore, indices: &[usize], size: u32) -> Batch {
    let mut pixels = Vec::with_capacity(indices.len() * size as usize * size as usize);
    for &index in indices {
        pixels.extend_from_slice(&store.resized(index, size).pixels);
    }
    Batch { pixels, count: indices.len(), size, indices: indices.to_vec() }
}

/// Makes the batch of one fixed view of films; `ids` are those of all films of the store.
///
/// # Panics
/// When an index has no film or no id.
pub fn view_batch(
    store: &PlaneStore,
    ids: &[FilmId],
    indices: &[usize],
    view: FixedView,
    size: u32,
) -> Batch {
    let mut pixels = Vec::with_capacity(indices.len() * size as usize * size as usize);
    for &index in indices {
        pixels.extend(view.apply(store.plane(index), size, ids[index].key()).pixels);
    }
    Batch { pixels, count: indices.len(), size, indices: indices.to_vec() }
}

/// What is drawn in one pass over the films.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// The films of every batch, as places in the plane store, in order.
    pub batches: Vec<Vec<usize>>,
    /// One augmentation a view: a batch has all films under the first, then all under the second, and so on.
    pub views: Vec<Augment>,
    /// Columns and rows of every view.
    pub size: u32,
    /// The run's seed.
    pub seed: u64,
    /// The number of this pass, so that the next one draws other views.
    pub epoch: u64,
}

/// Why a loader could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// A batch asks for a film that the store has not.
    #[error("a batch asks for film {index} of {films}")]
    NoSuchFilm {
        /// The place asked for.
        index: usize,
        /// How many films there are.
        films: usize,
    },
    /// The operating system gave no thread.
    #[error("could not start a thread that prepares films: {0}")]
    Thread(#[from] io::Error),
}

/// A batch, or the panic of the thread that was making it.
type Made = (usize, Result<Batch, Box<dyn Any + Send>>);

/// Yields the batches of an epoch in order while its threads make the next ones.
///
/// A view depends on seed, epoch, film, view and on how often the film was drawn before in the epoch, and on nothing
/// else: neither the number of threads nor the order of films changes it. Dropping the loader ends its threads.
pub struct Loader {
    jobs: Option<Sender<usize>>,
    made: Receiver<Made>,
    /// Batches that were finished before their turn.
    early: BTreeMap<usize, Batch>,
    next: usize,
    total: usize,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Loader {
    /// Starts `threads` threads, at least one, on an epoch.
    ///
    /// # Errors
    /// When a batch asks for a film that is not there, or no thread can be started.
    pub fn start(
        store: Arc<PlaneStore>,
        epoch: Epoch,
        threads: usize,
    ) -> Result<Self, LoaderError> {
        Self::start_at(store, epoch, 0, threads)
    }

    /// Starts in the middle of an epoch: the first `done` batches are left out, the rest are as if they had been made.
    ///
    /// # Errors
    /// When a batch asks for a film that is not there, or no thread can be started.
    pub fn start_at(
        store: Arc<PlaneStore>,
        epoch: Epoch,
        done: usize,
        threads: usize,
    ) -> Result<Self, LoaderError> {
        let films = store.len();
        if let Some(&index) = epoch.batches.iter().flatten().find(|&&index| index >= films) {
            return Err(LoaderError::NoSuchFilm { index, films });
        }
        let (total, ahead) = (epoch.batches.len(), AHEAD.max(threads));
        let ((jobs, waiting), (finished, made)) = (bounded(ahead), bounded(ahead));
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            draws: draws(&epoch.batches, films),
            store,
            epoch,
            stop: Arc::clone(&stop),
        });
        let mut loader = Self {
            jobs: Some(jobs),
            made,
            early: BTreeMap::new(),
            next: done.min(total),
            total,
            stop,
            threads: Vec::new(),
        };
        for n in 0..threads.clamp(1, total.saturating_sub(done).max(1)) {
            let (shared, waiting, finished) =
                (Arc::clone(&shared), waiting.clone(), finished.clone());
            let builder = thread::Builder::new().name(format!("loader-{n}"));
            loader.threads.push(builder.spawn(move || shared.work(&waiting, &finished))?);
        }
        for place in (loader.next..total).take(ahead) {
            loader.ask_for(place);
        }
        Ok(loader)
    }

    /// Asks for a batch; as many are asked for ahead as both channels hold, so no side ever waits to send.
    fn ask_for(&self, place: usize) {
        if let Some(jobs) = self.jobs.as_ref().filter(|_| place < self.total) {
            // A send fails only once every thread has ended, which `next` then finds.
            let _ = jobs.send(place);
        }
    }
}

impl Iterator for Loader {
    type Item = Batch;

    /// Returns the next batch, waiting for it if need be.
    ///
    /// # Panics
    /// With the panic of a loader thread, should one have panicked.
    fn next(&mut self) -> Option<Batch> {
        if self.next >= self.total {
            return None;
        }
        let batch = loop {
            if let Some(batch) = self.early.remove(&self.next) {
                break batch;
            }
            match self.made.recv().ok()? {
                (place, Ok(batch)) => self.early.insert(place, batch),
                (_, Err(panic)) => resume_unwind(panic),
            };
        };
        self.next += 1;
        self.ask_for(self.next + self.made.capacity().unwrap_or(AHEAD) - 1);
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.total - self.next, Some(self.total - self.next))
    }
}

impl ExactSizeIterator for Loader {}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Counts, for every row of every batch, how often its film was drawn before.
fn draws(batches: &[Vec<usize>], films: usize) -> Vec<Vec<u64>> {
    let mut seen = vec![0; films];
    let mut draw = |&index: &usize| {
        seen[index] += 1;
        seen[index] - 1
    };
    batches.iter().map(|batch| batch.iter().map(&mut draw).collect()).collect()
}

/// What all threads of a loader read.
struct Shared {
    store: Arc<PlaneStore>,
    epoch: Epoch,
    draws: Vec<Vec<u64>>,
    stop: Arc<AtomicBool>,
}

impl Shared {
    fn work(&self, waiting: &Receiver<usize>, finished: &Sender<Made>) {
        // The window comes first. On Linux this lowers the thread alone; elsewhere it would lower the whole program.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(10);
        let mut source = Plane { width: 0, height: 0, pixels: Vec::new() };
        while let Ok(place) = waiting.recv() {
            let made = catch_unwind(AssertUnwindSafe(|| self.make(place, &mut source)));
            let sent = match made {
                Ok(Some(batch)) => finished.send((place, Ok(batch))),
                Ok(None) => return,
                Err(panic) => finished.send((place, Err(panic))),
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// Makes one batch; none when the loader was dropped meanwhile.
    fn make(&self, place: usize, source: &mut Plane) -> Option<Batch> {
        let Epoch { batches, views, size, seed, epoch } = &self.epoch;
        let films = &batches[place];
        let area = *size as usize * *size as usize;
        let mut pixels = vec![0.0; films.len() * views.len() * area];
        for (row, (&film, &draw)) in films.iter().zip(&self.draws[place]).enumerate() {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            self.store.copy_plane(film, source);
            for (view, augment) in views.iter().enumerate() {
                let mut rng =
                    rng::stream(*seed, "augment", &[*epoch, film as u64, view as u64, draw]);
                let drawn = augment.apply(source, *size, &mut rng);
                pixels[(view * films.len() + row) * area..][..area].copy_from_slice(&drawn.pixels);
            }
        }
        Some(Batch {
            pixels,
            count: films.len() * views.len(),
            size: *size,
            indices: films.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(films: usize) -> Arc<PlaneStore> {
        let plane = |film: usize| {
            let mut rng = rng::stream(film as u64, "test", &[]);
            Plane { width: 24, height: 24, pixels: (0..576).map(|_| rng::unit(&mut rng)).collect() }
        };
        Arc::new(PlaneStore::from_planes(24, (0..films).map(plane)))
    }

    fn epoch(batches: Vec<Vec<usize>>) -> Epoch {
        Epoch {
            batches,
            views: vec![Augment::simclr(), Augment::weak()],
            size: 16,
            seed: 7,
            epoch: 3,
        }
    }

    fn batches() -> Vec<Vec<usize>> {
        (0..23).map(|batch| (0..=batch % 5).map(|row| (batch * 7 + row) % 11).collect()).collect()
    }

    #[test]
    fn any_number_of_threads_gives_the_same_batches_in_order() {
        let store = store(11);
        let one: Vec<Batch> =
            Loader::start(Arc::clone(&store), epoch(batches()), 1).unwrap().collect();
        assert!(one.iter().map(|batch| &batch.indices).eq(&batches()));
        for threads in [0, 2, 4, 9] {
            let many: Vec<Batch> =
                Loader::start(Arc::clone(&store), epoch(batches()), threads).unwrap().collect();
            assert!(one == many, "{threads} threads");
        }
    }

    #[test]
    fn an_epoch_goes_on_in_its_middle_as_if_it_had_begun_at_its_start() {
        let store = store(11);
        let whole: Vec<Batch> =
            Loader::start(Arc::clone(&store), epoch(batches()), 2).unwrap().collect();
        for done in [1, 9, 22, 23, 40] {
            let rest: Vec<Batch> =
                Loader::start_at(Arc::clone(&store), epoch(batches()), done, 2).unwrap().collect();
            assert!(rest == whole[done.min(23)..], "after {done} batches");
        }
    }

    #[test]
    fn views_follow_each_other_and_do_not_depend_on_the_batch() {
        let store = store(4);
        let views = |batches, film: usize| -> Vec<f32> {
            let all: Vec<Batch> =
                Loader::start(Arc::clone(&store), epoch(batches), 2).unwrap().collect();
            let (batch, row) = all
                .iter()
                .find_map(|batch| {
                    Some((batch, batch.indices.iter().position(|&index| index == film)?))
                })
                .unwrap();
            assert_eq!(batch.count, 2 * batch.indices.len());
            let row_at = |row: usize| &batch.pixels[row * 256..][..256];
            [row_at(row), row_at(batch.indices.len() + row)].concat()
        };
        let expected: Vec<f32> = [Augment::simclr(), Augment::weak()]
            .iter()
            .enumerate()
            .flat_map(|(view, augment)| {
                let mut rng = rng::stream(7, "augment", &[3, 2, view as u64, 0]);
                augment.apply(&store.plane(2), 16, &mut rng).pixels
            })
            .collect();
        assert_eq!(views(vec![vec![0, 1], vec![2, 3]], 2), expected);
        assert_eq!(views(vec![vec![3, 2, 1, 0]], 2), expected);
    }

    #[test]
    fn a_film_drawn_twice_in_an_epoch_is_seen_in_two_ways() {
        let all: Vec<Batch> =
            Loader::start(store(1), epoch(vec![vec![0, 0], vec![0]]), 1).unwrap().collect();
        let rows = [&all[0].pixels[..256], &all[0].pixels[256..512], &all[1].pixels[..256]];
        assert!(rows[0] != rows[1] && rows[1] != rows[2] && rows[0] != rows[2]);
    }

    #[test]
    fn dropping_a_loader_early_ends_its_threads() {
        let store = store(3);
        let mut loader =
            Loader::start(Arc::clone(&store), epoch(vec![vec![0, 1, 2]; 1000]), 4).unwrap();
        assert_eq!(loader.len(), 1000);
        assert!(loader.next().is_some());
        drop(loader);
        assert_eq!(Arc::strong_count(&store), 1, "a thread still holds the films");
    }

    #[test]
    fn no_more_is_made_ahead_than_promised() {
        let mut loader = Loader::start(store(2), epoch(vec![vec![0, 1]; 100]), 2).unwrap();
        let first = loader.next().unwrap();
        assert_eq!(first.indices, [0, 1]);
        thread::sleep(std::time::Duration::from_millis(150));
        assert!(loader.made.len() <= AHEAD, "{}", loader.made.len());
        assert_eq!(loader.count(), 99);
    }

    #[test]
    fn impossible_films_are_refused_and_empty_epochs_end_at_once() {
        let error = Loader::start(store(2), epoch(vec![vec![0, 2]]), 1).err().unwrap();
        assert_eq!(error.to_string(), "a batch asks for film 2 of 2");
        assert_eq!(Loader::start(store(2), epoch(Vec::new()), 1).unwrap().count(), 0);
    }

    #[test]
    fn evaluation_batches_hold_whole_films() {
        let store = store(3);
        let batch = eval_batch(&store, &[2, 0], 24);
        assert_eq!((batch.count, batch.indices.as_slice()), (2, &[2, 0][..]));
        assert_eq!(batch.pixels, [store.plane(2).pixels, store.plane(0).pixels].concat());
        assert_eq!(eval_batch(&store, &[1], 12).pixels, store.resized(1, 12).pixels);
    }
}
