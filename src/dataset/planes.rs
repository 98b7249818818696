//! Films made ready once and kept as 8-bit squares, in memory or on disk, from which every view and batch is taken.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::plane_file::PlaneFile;
use super::{Flow, Refused, Stopped};
use crate::imaging::{self, Plane, Preprocess};

/// Edge of a plane in memory, over the edge of the network's input: crops keep detail without each film staying whole.
const SOURCE_SCALE: f32 = 1.5;

/// The planes of a list of films, in the order of the list.
#[derive(Clone, Debug)]
pub struct PlaneStore {
    /// Columns and rows of every plane.
    pub size: u32,
    pixels: Pixels,
    /// Where in the pixels each film stands, counted in planes.
    places: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Pixels {
    InMemory(Arc<Vec<u8>>),
    OnDisk(Arc<OnDisk>),
}

/// Planes in a file and the films that they were made of.
#[derive(Debug)]
struct OnDisk {
    file: PlaneFile,
    /// Where in the file each film's plane stands; nowhere if the film could not be read.
    places: Vec<Option<usize>>,
    root: PathBuf,
    files: Vec<String>,
    pre: Preprocess,
}

/// Planes that could not be made and kept on disk.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The observer said so.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The files of planes cannot be made, read or written to.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Returns how films are kept in memory for a model that sees them as `preprocess`.
pub fn source_preprocess(preprocess: Preprocess) -> Preprocess {
    Preprocess { size: (preprocess.size as f32 * SOURCE_SCALE).round() as u32, fit: preprocess.fit }
}

impl PlaneStore {
    /// Decodes and preprocesses `files`, paths relative to `root`, on up to `threads` threads.
    ///
    /// `observe` is told, on those threads, how many of how many films are done. A film that cannot be read stays in its
    /// place as a black plane and is reported; reports come in the order of the list.
    ///
    /// # Errors
    /// [`Stopped`] when `observe` says so, after the films that are in hand.
    pub fn load(
        root: &Path,
        files: &[String],
        pre: &Preprocess,
        threads: usize,
        observe: &(dyn Fn(usize, usize) -> Flow + Sync),
    ) -> Result<(Self, Vec<Refused>), Stopped> {
        let pre = Preprocess { size: pre.size.max(1), ..*pre };
        let area = pre.size as usize * pre.size as usize;
        let mut pixels = vec![0; area * files.len()];
        let (done, refused) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let stopped = AtomicBool::new(false);
        let queue = Mutex::new(files.iter().zip(pixels.chunks_exact_mut(area)).enumerate());
        let work = || {
            while !stopped.load(Ordering::Relaxed) {
                // Bound first: in a `while let` the lock would be held through the body.
                let next = queue.lock().next();
                let Some((place, (file, target))) = next else { break };
                if let Err(reason) = fill(&root.join(file), pre, target) {
                    refused.lock().push((place, Refused { file: file.clone(), reason }));
                }
                if observe(done.fetch_add(1, Ordering::Relaxed) + 1, files.len()) == Flow::Stop {
                    stopped.store(true, Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            for n in 1..threads.min(files.len()) {
                // Without a further thread the films are still read, only more slowly.
                let _ =
                    thread::Builder::new().name(format!("planes-{n}")).spawn_scoped(scope, work);
            }
            work();
        });
        if stopped.into_inner() {
            return Err(Stopped);
        }
        let mut refused = refused.into_inner();
        refused.sort_by_key(|(place, _)| *place);
        let places = (0..files.len()).collect();
        let store = Self { size: pre.size, pixels: Pixels::InMemory(Arc::new(pixels)), places };
        Ok((store, refused.into_iter().map(|(_, refused)| refused).collect()))
    }

    /// [`Self::load`] on one thread, from and to the plane file in `folder`: films that are there and whose `keys` it knows
    /// are not decoded again, and none is held in memory.
    ///
    /// # Errors
    /// [`KeepError::Stopped`] when `observe` says so, or when the file of planes cannot be made or written to.
    pub fn kept(
        folder: &Path,
        root: &Path,
        (files, keys): (&[String], &[String]),
        pre: &Preprocess,
        observe: &mut dyn FnMut(usize, usize) -> Flow,
    ) -> Result<(Self, Vec<Refused>), KeepError> {
        let pre = Preprocess { size: pre.size.max(1), ..*pre };
        let mut file = PlaneFile::open(folder, pre)?;
        let mut pixels = vec![0; pre.size as usize * pre.size as usize];
        let (mut places, mut refused) = (Vec::with_capacity(files.len()), Vec::new());
        for (row, (name, key)) in files.iter().zip(keys).enumerate() {
            let path = root.join(name);
            // Who reads is to see the film too.
            let place = match file.place(key).filter(|_| path.is_file()) {
                Some(place) => Some(place),
                None => match fill(&path, pre, &mut pixels) {
                    Ok(()) => Some(file.add(key, &pixels)?),
                    Err(reason) => {
                        refused.push(Refused { file: name.clone(), reason });
                        None
                    }
                },
            };
            places.push(place);
            if observe(row + 1, files.len()) == Flow::Stop {
                return Err(Stopped.into());
            }
        }
        file.keep()?;
        let (root, files) = (root.to_owned(), files.to_vec());
        let rows = (0..places.len()).collect();
        let pixels = Pixels::OnDisk(Arc::new(OnDisk { file, places, root, files, pre }));
        Ok((Self { size: pre.size, pixels, places: rows }, refused))
    }

    /// Keeps planes that are already at hand; those of another size are resized.
    pub fn from_planes(size: u32, planes: impl IntoIterator<Item = Plane>) -> Self {
        let size = size.max(1);
        let (mut pixels, mut places) = (Vec::new(), Vec::new());
        for plane in planes {
            pixels.extend(imaging::resize(plane, size).pixels.into_iter().map(quantise));
            places.push(places.len());
        }
        Self { size, pixels: Pixels::InMemory(Arc::new(pixels)), places }
    }

    /// Returns the films in `rows`, in that order; the pixels are shared.
    ///
    /// # Panics
    /// When there is no such film.
    pub fn select(&self, rows: &[usize]) -> Self {
        let places = rows.iter().map(|&row| self.places[row]).collect();
        Self { size: self.size, pixels: self.pixels.clone(), places }
    }

    /// Returns the number of films.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Says whether there is no film.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns the plane of the `i`th film.
    ///
    /// # Panics
    /// When there is no such film.
    pub fn plane(&self, i: usize) -> Plane {
        let mut plane = Plane { width: 0, height: 0, pixels: Vec::new() };
        self.copy_plane(i, &mut plane);
        plane
    }

    /// Writes the plane of the `i`th film over another, whose memory is kept.
    ///
    /// # Panics
    /// When there is no such film.
    pub fn copy_plane(&self, i: usize, plane: &mut Plane) {
        let area = self.size as usize * self.size as usize;
        (plane.width, plane.height) = (self.size, self.size);
        plane.pixels.clear();
        let mut fill = |pixels: &[u8]| {
            plane.pixels.extend(pixels.iter().map(|&pixel| f32::from(pixel) / 255.0));
        };
        match &self.pixels {
            Pixels::InMemory(pixels) => fill(&pixels[self.places[i] * area..][..area]),
            Pixels::OnDisk(on_disk) => fill(&on_disk.plane(self.places[i])),
        }
    }

    /// Returns the `i`th film at `size` squared, antialiased: what a network sees outside training.
    ///
    /// # Panics
    /// When there is no such film.
    pub fn resized(&self, i: usize, size: u32) -> Plane {
        imaging::resize(self.plane(i), size)
    }
}

impl OnDisk {
    /// Returns the pixels of a film's plane, black if it cannot be read.
    fn plane(&self, row: usize) -> Vec<u8> {
        let area = self.pre.size as usize * self.pre.size as usize;
        let mut pixels = vec![0; area];
        let Some(place) = self.places[row] else { return pixels };
        if let Err(fault) = self.file.read(place, &mut pixels) {
            let path = self.root.join(&self.files[row]);
            tracing::warn!(
                "a plane is made anew, its file is damaged ({fault}): {}",
                path.display()
            );
            pixels.fill(0);
            if let Err(reason) = fill(&path, self.pre, &mut pixels) {
                tracing::error!("a film counts as black: {reason}: {}", path.display());
                pixels.fill(0);
            }
        }
        pixels
    }
}

fn quantise(pixel: f32) -> u8 {
    (pixel * 255.0).round() as u8
}

/// Makes one film's plane; the error is the reason, as one sentence.
fn fill(path: &Path, pre: Preprocess, target: &mut [u8]) -> Result<(), String> {
    let film = imaging::decode(path).map_err(|error| error.reason())?;
    let plane = catch_unwind(AssertUnwindSafe(|| pre.apply(&film)))
        .map_err(|_| "the film could not be resized".to_owned())?;
    target.iter_mut().zip(&plane.pixels).for_each(|(target, pixel)| *target = quantise(*pixel));
    Ok(())
}
