//! Embeddings of films for a linear head: what the encoder's groups see, in the whole film and in its parts.
//!
//! Three blocks side by side: the means of the last three groups over the film, and the means of the first and of the last
//! group in the cells of a grid, a spatial pyramid (Lazebnik, Schmid and Ponce, CVPR 2006). Contrastive pretraining makes
//! the film's mean blind to where things are, and the maps are not. A cell of the left half is averaged with the one
//! opposite to it, since a film's mirror image is of the same class. Of each value the square root is taken, which evens
//! features that are skewed after a ReLU, as it does histograms (Arandjelović and Zisserman, "Three things everyone should
//! know to improve object retrieval", CVPR 2012, section 3).

use burn::tensor::{Device, Tensor, TensorData};

use super::architecture::Architecture;
use super::memory_format::MemoryFormat;
use super::resnet::{Encoder, memory_format};

/// Rows of the grid, and columns before opposite ones are averaged.
const CELLS: usize = 4;
/// Cells that are left of those.
const KEPT: usize = CELLS * CELLS / 2;
/// Added to features before the square root, whose slope at 0 is infinite.
pub(super) const ROOT_OFFSET: f32 = 1e-6;

/// Returns how many values each block has.
pub(super) fn blocks(architecture: &Architecture) -> [usize; 3] {
    let outputs = |group| architecture.outputs(group);
    [(1..4).map(outputs).sum(), KEPT * outputs(0), KEPT * outputs(3)]
}

impl Encoder {
    /// Embeds films for a linear head, averaged over each film and its mirror image before the root.
    ///
    /// # Shapes
    /// `[n, 1, size, size]` in 0..=1 to `[n, sum of Architecture::embedding_blocks]`, nothing below 0.
    pub fn embed(&self, films: Tensor<4>) -> Tensor<2> {
        let mirrored = films.clone().flip([3]);
        let format = memory_format(&films);
        let [one, other] =
            [films, mirrored].map(|films| pyramid(&self.groups(films, format), format));
        join(one.into_iter().zip(other).map(|(one, other)| (one + other).mul_scalar(0.5)))
    }

    /// [`Self::forward`] and the embedding of the films alone, without their mirror images.
    pub(super) fn features_and_embedding(&self, films: Tensor<4>) -> (Tensor<2>, Tensor<2>) {
        let format = memory_format(&films);
        let groups = self.groups(films, format);
        (Self::features_of(&groups, format), Self::embedding_of(&groups, format))
    }

    /// The maps of the four groups.
    pub(super) fn groups(&self, films: Tensor<4>, format: MemoryFormat) -> Vec<Tensor<4>> {
        let mut maps: Vec<Tensor<4>> = Vec::new();
        self.forward_in(films, format, &mut |map| {
            // A group's outputs have one shape, and the next group's maps are smaller. The stem's is dropped below.
            maps.pop_if(|last| last.dims() == map.dims());
            maps.push(map.clone());
        });
        maps.split_off(maps.len() - 4)
    }

    /// The features of films whose groups' maps are these.
    pub(super) fn features_of(groups: &[Tensor<4>], format: MemoryFormat) -> Tensor<2> {
        mean(&groups[3], format)
    }

    /// The embedding of films alone whose groups' maps are these.
    pub(super) fn embedding_of(groups: &[Tensor<4>], format: MemoryFormat) -> Tensor<2> {
        join(pyramid(groups, format))
    }
}

/// The blocks before the root.
fn pyramid(groups: &[Tensor<4>], format: MemoryFormat) -> Vec<Tensor<2>> {
    let means = groups.iter().skip(1).map(|map| mean(map, format)).collect();
    let [first, last] = [0, 3].map(|group| grid(&groups[group], format));
    vec![Tensor::cat(means, 1), first, last]
}

fn mean(map: &Tensor<4>, format: MemoryFormat) -> Tensor<2> {
    let mean = format.global_average(map.clone());
    let [n, a, b, c] = mean.dims();
    mean.reshape([n, a * b * c])
}

/// Means over the cells of a grid, opposite columns averaged: for each channel, the columns' rows.
fn grid(map: &Tensor<4>, format: MemoryFormat) -> Tensor<2> {
    let map = match format {
        MemoryFormat::ChannelsFirst => map.clone(),
        MemoryFormat::ChannelsLast => map.clone().permute([0, 3, 1, 2]),
    };
    let ([n, channels, height, width], device) = (map.dims(), map.device());
    let columns = map.reshape([n * channels * height, width]).matmul(column_shares(width, &device));
    let columns = columns.reshape([n * channels, height, CELLS / 2]).swap_dims(1, 2);
    let rows = columns.reshape([n * channels * CELLS / 2, height]);
    rows.matmul(row_shares(height, &device)).reshape([n, channels * KEPT])
}

/// Share of each of `length` places in the mean of each cell, `[length, CELLS]`. Where cells do not part the places evenly
/// they overlap, as in PyTorch's `adaptive_avg_pool2d`.
pub(super) fn shares(length: usize) -> Vec<[f32; CELLS]> {
    let share = |place: usize, cell: usize| {
        let (from, to) = (length * cell / CELLS, (length * (cell + 1)).div_ceil(CELLS));
        if (from..to).contains(&place) { 1.0 / (to - from) as f32 } else { 0.0 }
    };
    (0..length).map(|place| std::array::from_fn(|cell| share(place, cell))).collect()
}

/// [`shares`] with opposite cells averaged, `[length, CELLS / 2]`, row-major.
pub(super) fn opposite_shares(length: usize) -> Vec<f32> {
    let pairs = |cells: [f32; CELLS]| {
        (0..CELLS / 2).map(move |cell| 0.5 * (cells[cell] + cells[CELLS - 1 - cell]))
    };
    shares(length).into_iter().flat_map(pairs).collect()
}

fn row_shares(height: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(shares(height).concat(), [height, CELLS]), device)
}

fn column_shares(width: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(opposite_shares(width), [width, CELLS / 2]), device)
}

/// Takes roots and joins the blocks.
fn join(blocks: impl IntoIterator<Item = Tensor<2>>) -> Tensor<2> {
    Tensor::cat(blocks.into_iter().map(|block| block.add_scalar(ROOT_OFFSET).sqrt()).collect(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Pretrained, Stem, seeded};

    fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// The definition, cell by cell: maps that four divides and maps that it does not, both block kinds.
    #[test]
    fn agrees_with_loops_over_the_maps() {
        let device = Device::flex();
        for (depth, size, stem) in [(18, 64, Stem::Standard), (14, 40, Stem::Small)] {
            let architecture = Architecture::resnet(depth, 0.125, stem);
            let mut encoder = Pretrained::init(&architecture, 0, &device).encoder;
            seeded::fill(&mut encoder);
            let films = seeded::films(2, size, &device);
            let mut maps: Vec<Tensor<4>> = Vec::new();
            encoder.forward_in(films.clone(), MemoryFormat::ChannelsFirst, &mut |map| {
                maps.push(map.clone());
            });
            // The last block of each group; two blocks a group at depth 18, one at 14.
            let per_group = (maps.len() - 1) / 4;
            let groups: Vec<&Tensor<4>> = (1..=4).map(|group| &maps[group * per_group]).collect();
            let found = read(encoder.features_and_embedding(films).1);
            let lengths = blocks(&architecture);
            let total: usize = lengths.iter().sum();
            assert_eq!(found.len(), 2 * total);
            for (film, found) in found.chunks(total).enumerate() {
                let mut expected = Vec::new();
                let mut block = Vec::new();
                groups[1..].iter().for_each(|map| block.extend(cells(map, film, 1)));
                for block in [block, cells(groups[0], film, 4), cells(groups[3], film, 4)] {
                    expected.extend(block.iter().map(|v| (v + f64::from(ROOT_OFFSET)).sqrt()));
                }
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((f64::from(*found) - expected).abs() < 1e-4, "{found}, {expected}");
                }
            }
        }
    }

    /// Means of a film's map, channel by channel, in `count` x `count` cells, column pairs before rows.
    fn cells(map: &Tensor<4>, film: usize, count: usize) -> Vec<f64> {
        let [_, channels, height, width] = map.dims();
        let values = read(map.clone());
        let mean = |channel: usize, row: usize, column: usize| {
            let (top, bottom) = (height * row / count, (height * (row + 1)).div_ceil(count));
            let (left, right) = (width * column / count, (width * (column + 1)).div_ceil(count));
            let mut sum = 0.0;
            for y in top..bottom {
                for x in left..right {
                    let plane = film * channels + channel;
                    sum += f64::from(values[(plane * height + y) * width + x]);
                }
            }
            sum / ((bottom - top) * (right - left)) as f64
        };
        let mut all = Vec::new();
        for channel in 0..channels {
            for column in 0..count.div_ceil(2) {
                for row in 0..count {
                    let opposite = mean(channel, row, count - 1 - column);
                    all.push(0.5 * (mean(channel, row, column) + opposite));
                }
            }
        }
        all
    }

    #[test]
    fn a_mirror_image_has_the_films_embedding() {
        let device = Device::flex();
        let architecture = Architecture::resnet(18, 0.125, Stem::Standard);
        let encoder = Pretrained::init(&architecture, 3, &device).encoder;
        let films = seeded::films(3, 64, &device);
        let mirrored = encoder.embed(films.clone().flip([3]));
        for (one, other) in read(encoder.embed(films)).iter().zip(read(mirrored)) {
            assert!((one - other).abs() < 1e-4, "{one} and {other}");
        }
    }
}
