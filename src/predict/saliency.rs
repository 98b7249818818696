//! Where in a film a class's score comes from: Grad-CAM, and occlusion as a check that needs no gradient.
//!
//! Both explain what [`Predictor::probabilities`] averages: the film's logit and its mirror image's. Both show where a
//! network looks, which is no evidence that it looks at the right thing; and each map is scaled by its own maximum, so
//! that two maps compare in where they are bright and not in how bright they are.

use burn::module::Module;
use burn::tensor::activation::{relu, softmax};

use super::{Model, Predictor};
use crate::dataset::batches::{Batch, eval_batch};
use crate::dataset::planes::PlaneStore;
use crate::imaging::{Fit, Plane};
use crate::learn::{EVAL_BATCH, LearnError, films, read};
use crate::model::Classifier;

/// Patches of [`Predictor::occlusion`] that lie side by side across a film.
const PATCHES: u32 = 8;

/// A film's class probabilities and what speaks for each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Probabilities in the order of the model's classes.
    pub probabilities: Vec<f32>,
    /// One map a class over the square that the network sees, 0 where nothing speaks for the class and 1 where the most
    /// does; black if nothing does. As coarse as the network's last group: a 32nd of the input for most.
    pub maps: Vec<Plane>,
}

impl Predictor {
    /// Classifies the given rows of a store and explains each class by Grad-CAM
    /// ([`Classifier::grad_cam`](crate::model::Classifier::grad_cam)), the film's map averaged with its mirror image's;
    /// `None` if the model does not classify.
    ///
    /// # Errors
    /// Fails if the device failed.
    pub fn grad_cam(
        &self,
        store: &PlaneStore,
        rows: &[usize],
    ) -> Result<Option<Vec<Explained>>, LearnError> {
        let Model::Classifier(model) = &self.model else { return Ok(None) };
        let mut all = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(EVAL_BATCH) {
            let films = films(eval_batch(store, chunk, self.card.preprocess.size), &self.device);
            let (logits, maps) = model.grad_cam(films.clone());
            let (mirrored_logits, mirrored_maps) = model.grad_cam(films.flip([3]));
            let [_, classes, height, width] = maps.dims();
            let probabilities = softmax(logits, 1) + softmax(mirrored_logits, 1);
            let probabilities = read(probabilities.mul_scalar(0.5))?;
            let maps = read(relu(maps + mirrored_maps.flip([3])))?;
            let probabilities = probabilities.chunks(classes);
            all.extend(probabilities.zip(maps.chunks(classes * height * width)).map(
                |(probabilities, maps)| {
                    Explained {
                        probabilities: probabilities.to_vec(),
                        maps: maps
                            .chunks(height * width)
                            .map(|map| scaled([width as u32, height as u32], map.to_vec()))
                            .collect(),
                    }
                },
            ));
        }
        Ok(Some(all))
    }

    /// Explains each class for one row of a store by occlusion (Zeiler and Fergus, ECCV 2014,
    /// <https://arxiv.org/abs/1311.2901>, section 4.2): a grey square, an eighth of the film wide and of its mean brightness,
    /// is put on the film at every half of its width, and each place is given the mean fall of the class's logit under the
    /// squares that cover it. One map a class, of the network's input size, scaled as [`Explained::maps`]; `None` if the
    /// model does not classify.
    ///
    /// # Errors
    /// Fails if the device failed.
    pub fn occlusion(
        &self,
        store: &PlaneStore,
        row: usize,
    ) -> Result<Option<Vec<Plane>>, LearnError> {
        let Model::Classifier(model) = &self.model else { return Ok(None) };
        let size = self.card.preprocess.size;
        let film = store.resized(row, size).pixels;
        let whole = self.both_logits(model, std::slice::from_ref(&film), size)?;
        let mean = film.iter().sum::<f32>() / film.len() as f32;
        let patches = patches(size);
        let area = film.len();
        let (mut falls, mut cover) = (vec![0.0_f32; whole.len() * area], vec![0.0_f32; area]);
        for chunk in patches.chunks(EVAL_BATCH) {
            let occluded: Vec<Vec<f32>> = chunk.iter().map(|at| occlude(&film, at, mean)).collect();
            let logits = self.both_logits(model, &occluded, size)?;
            for (patch, logits) in chunk.iter().zip(logits.chunks(whole.len())) {
                for &place in patch {
                    cover[place] += 1.0;
                    for (class, (whole, occluded)) in whole.iter().zip(logits).enumerate() {
                        falls[class * area + place] += whole - occluded;
                    }
                }
            }
        }
        let map = |falls: &[f32]| {
            let mean =
                falls.iter().zip(&cover).map(|(fall, cover)| (fall / cover.max(1.0)).max(0.0));
            scaled([size, size], mean.collect())
        };
        Ok(Some(falls.chunks(area).map(map).collect()))
    }

    /// Logits averaged over films and their mirror images, row-major.
    fn both_logits(
        &self,
        model: &Classifier,
        planes: &[Vec<f32>],
        size: u32,
    ) -> Result<Vec<f32>, LearnError> {
        let batch =
            Batch { pixels: planes.concat(), count: planes.len(), size, indices: Vec::new() };
        let (model, films) = (model.valid(), films(batch, &self.device));
        let logits = model.forward(films.clone()) + model.forward(films.flip([3]));
        read(logits.mul_scalar(0.5))
    }
}

/// The places, in a plane of `size` squared, of each patch.
fn patches(size: u32) -> Vec<Vec<usize>> {
    let edge = (size / PATCHES).max(1);
    let mut starts: Vec<u32> = (0..size - edge).step_by((edge / 2).max(1) as usize).collect();
    starts.push(size - edge);
    let patch = |top: u32, left: u32| {
        (top..top + edge)
            .flat_map(move |y| (left..left + edge).map(move |x| (y * size + x) as usize))
    };
    let corners = starts.iter().flat_map(|&top| starts.iter().map(move |&left| (top, left)));
    corners.map(|(top, left)| patch(top, left).collect()).collect()
}

fn occlude(film: &[f32], places: &[usize], value: f32) -> Vec<f32> {
    let mut film = film.to_vec();
    for &place in places {
        film[place] = value;
    }
    film
}

/// Divides a map by its maximum, if anything is above 0 in it.
fn scaled([width, height]: [u32; 2], mut pixels: Vec<f32>) -> Plane {
    let most = pixels.iter().copied().fold(0.0, f32::max);
    if most > 0.0 {
        for pixel in &mut pixels {
            *pixel /= most;
        }
    }
    Plane { width, height, pixels }
}

/// Lays a map over the square that the network sees onto the film that it was made from, at `size` columns and rows:
/// bilinear between the centres of the map's cells, as those of PyTorch's `interpolate`, to within a pixel of the
/// network's input. `film` has the film's columns and rows; what the network does not see of it is 0.
pub fn on_film(map: &Plane, fit: Fit, film: [u32; 2], size: [u32; 2]) -> Plane {
    let [width, height] = film.map(f64::from);
    let side = match fit {
        Fit::Pad => width.max(height),
        Fit::Crop => width.min(height),
    };
    let along = |length: f64, count: u32, cells: u32| -> Vec<Option<Between>> {
        let place = |i: u32| (f64::from(i) + 0.5) / f64::from(count) * length;
        (0..count).map(|i| Between::of((place(i) + (side - length) / 2.0) / side, cells)).collect()
    };
    let columns = along(width, size[0], map.width);
    let rows = along(height, size[1], map.height);
    let row_of = |row: u32| &map.pixels[(row * map.width) as usize..][..map.width as usize];
    let mut pixels = Vec::with_capacity(columns.len() * rows.len());
    for row in &rows {
        for column in &columns {
            let (Some(row), Some(column)) = (row, column) else {
                pixels.push(0.0);
                continue;
            };
            let [upper, lower] = row.cells.map(|row| column.mix(row_of(row)));
            pixels.push(upper + (lower - upper) * row.share);
        }
    }
    Plane { width: size[0], height: size[1], pixels }
}

/// Two neighbouring cells and the share of the second.
struct Between {
    cells: [u32; 2],
    share: f32,
}

impl Between {
    /// The cells around a place in 0..=1 along a row of `cells`; beyond the outer cells' centres these alone.
    fn of(place: f64, cells: u32) -> Option<Self> {
        let last = cells.checked_sub(1)?;
        if !(0.0..=1.0).contains(&place) {
            return None;
        }
        let at = (place * f64::from(cells) - 0.5).clamp(0.0, f64::from(last));
        let first = at.floor() as u32;
        Some(Self { cells: [first, (first + 1).min(last)], share: (at - at.floor()) as f32 })
    }

    fn mix(&self, row: &[f32]) -> f32 {
        let [first, second] = self.cells.map(|cell| row[cell as usize]);
        first + (second - first) * self.share
    }
}

#[cfg(test)]
#[path = "saliency_tests.rs"]
mod tests;
