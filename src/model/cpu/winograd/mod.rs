//! 3×3 convolutions of stride 1 with 2.25 times fewer products: minimal filtering F(2×2, 3×3) of Winograd, as Lavin and
//! Gray apply it to networks (<https://arxiv.org/abs/1509.09308>, section 4.1).
//!
//! Every tile of 2×2 outputs reads a patch of 4×4 inputs; the sixteen values of the transformed patches are multiplied
//! by those of the transformed kernel in sixteen matrix products. Gradients are the adjoints of the same three steps.

mod transforms;

use std::ops::Range;

use rayon::prelude::*;

use self::transforms::{CHANNELS, Gradient, Input, Kernel, KernelGradient, Output};
use super::buffers::{self, Scratch};
use super::convolution::Geometry;
use super::gemm::{Matrix, multiply};
use super::kernel_order;

/// Tiles of a block: its transformed patches and products stay in the second-level cache while channels are few, and
/// the transformed kernel is read once a block.
const BLOCK: usize = 192;

/// Values of a kernel's plane below which a weight gradient is summed in parts.
const SMALL_PLANE: usize = 1 << 14;

/// Tiles of 2×2 outputs over the films of a batch.
pub struct Tiles {
    films: usize,
    /// Height and width of the films.
    size: [usize; 2],
}

impl Tiles {
    fn of(geometry: &Geometry) -> Self {
        Self { films: geometry.batch, size: geometry.size }
    }

    /// Tiles side by side.
    fn across(&self) -> usize {
        self.size[1].div_ceil(2)
    }

    /// Rows of tiles in a film.
    fn down(&self) -> usize {
        self.size[0].div_ceil(2)
    }

    fn rows(&self) -> usize {
        self.films * self.down()
    }

    /// Line of the batch that a row of tiles begins at.
    fn first_line(&self, row: usize) -> usize {
        row / self.down() * self.size[0] + 2 * (row % self.down())
    }

    /// Film, line and column of the first output of each tile in some rows.
    fn corners(&self, rows: Range<usize>) -> impl Iterator<Item = [usize; 3]> {
        let (down, across) = (self.down(), self.across());
        rows.flat_map(move |row| (0..across).map(move |x| [row / down, 2 * (row % down), 2 * x]))
    }

    /// Rows of tiles cut in blocks of about [`BLOCK`] tiles, and at least two where there is that much work.
    fn blocks(&self) -> Vec<Range<usize>> {
        let rows = (BLOCK / self.across()).clamp(1, self.rows().div_ceil(2));
        let starts = (0..self.rows()).step_by(rows);
        starts.map(|start| start..(start + rows).min(self.rows())).collect()
    }
}

/// Whether a convolution has this form and enough positions for the transforms of its kernel to pay.
pub fn suits(geometry: &Geometry) -> bool {
    let whole = geometry.channels.iter().all(|channels| channels.is_multiple_of(CHANNELS));
    let large = geometry.size.iter().all(|&size| size >= 2);
    let [inputs, outputs] = geometry.channels;
    let [kernel, stride, padding] = [geometry.kernel, geometry.stride, geometry.padding];
    [kernel, stride, padding] == [3, 1, 1]
        && whole
        && large
        && geometry.rows() >= inputs.max(outputs)
}

/// Cuts memory in `N` planes of equal length.
#[inline(always)]
fn planes<const N: usize, T>(memory: &mut [T]) -> [&mut [T]; N] {
    let plane = memory.len() / N;
    let mut rest = memory;
    std::array::from_fn(|_| {
        let (head, tail) = std::mem::take(&mut rest).split_at_mut(plane);
        rest = tail;
        head
    })
}

/// Transforms nine planes of `[rows, columns]` to sixteen.
fn transformed_kernel(taps: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let plane = rows * columns;
    let mut result = buffers::take(16 * plane);
    let blocks = kernel_order::row_blocks(&mut result, [16, rows, columns]);
    let length = blocks.first().map_or(0, |block| block[0].len());
    blocks.into_par_iter().enumerate().for_each(|(index, mut out)| {
        let range = index * length..index * length + out[0].len();
        let taps = std::array::from_fn(|tap| &taps[tap * plane..][range.clone()]);
        pulp::Arch::new().dispatch(Kernel { out: &mut out, taps });
    });
    result
}

/// Convolves `input` with transformed kernels, sixteen planes of `[input channels, output channels]`.
fn convolve(
    input: &[f32],
    kernels: &[f32],
    tiles: &Tiles,
    [inputs, outputs]: [usize; 2],
) -> Vec<f32> {
    let line = tiles.size[1] * outputs;
    let mut output = buffers::take(tiles.films * tiles.size[0] * line);
    let blocks = tiles.blocks();
    let most = blocks.first().map_or(0, Range::len) * tiles.across();
    let mut rest = output.as_mut_slice();
    let mut tasks = Vec::with_capacity(blocks.len());
    for rows in blocks {
        let lines = tiles.first_line(rows.end) - tiles.first_line(rows.start);
        let (out, others) = std::mem::take(&mut rest).split_at_mut(lines * line);
        rest = others;
        tasks.push((rows, out));
    }
    let scratch = || Scratch::take(16 * most * (inputs + outputs));
    tasks.into_par_iter().for_each_init(scratch, |scratch, (rows, out)| {
        let count = rows.len() * tiles.across();
        let (patches, rest) = scratch.split_at_mut(16 * count * inputs);
        let products = &mut rest[..16 * count * outputs];
        let arch = pulp::Arch::new();
        for (row, planes) in planes::<4, _>(patches).into_iter().enumerate() {
            arch.dispatch(Input { planes, input, tiles, rows: rows.clone(), row });
        }
        let kernels = kernels.chunks_exact(inputs * outputs);
        let patches = patches.chunks_exact(count * inputs);
        let products_of = products.chunks_exact_mut(count * outputs);
        for ((out, patches), kernel) in products_of.zip(patches).zip(kernels) {
            let patches = Matrix::row_major(patches, count, inputs);
            multiply(out, patches, Matrix::row_major(kernel, inputs, outputs), false);
        }
        arch.dispatch(Output { out, products, tiles, rows });
    });
    output
}

/// Convolves.
pub fn forward(input: &[f32], weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    let taps = kernel_order::taps_first(weight, geometry);
    let kernels = transformed_kernel(&taps, geometry.channels);
    buffers::give_back(taps);
    let output = convolve(input, &kernels, &Tiles::of(geometry), geometry.channels);
    buffers::give_back(kernels);
    output
}

/// Gradient of the input: the gradient convolved with the turned kernel.
pub fn input_gradient(gradient: &[f32], weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    let [inputs, outputs] = geometry.channels;
    let taps = kernel_order::turned(weight, geometry);
    let kernels = transformed_kernel(&taps, [outputs, inputs]);
    buffers::give_back(taps);
    let result = convolve(gradient, &kernels, &Tiles::of(geometry), [outputs, inputs]);
    buffers::give_back(kernels);
    result
}

/// Gradient of the weight: sums over the tiles of transformed patches times transformed gradients.
pub fn weight_gradient(input: &[f32], gradient: &[f32], geometry: &Geometry) -> Vec<f32> {
    let tiles = Tiles::of(geometry);
    let [inputs, outputs] = geometry.channels;
    let plane = inputs * outputs;
    let blocks = tiles.blocks();
    let most = blocks.first().map_or(0, Range::len) * tiles.across();
    // Each task sums one row of four of the transform, over all blocks or, where sums are small, over a part of them.
    let share = blocks.len().div_ceil((blocks.len() * SMALL_PLANE / plane).clamp(1, 4));
    let parts = blocks.len().div_ceil(share);
    let mut sums = buffers::take(parts * 16 * plane);
    let scratch = || Scratch::take(4 * most * (inputs + outputs));
    let tasks = sums.par_chunks_exact_mut(4 * plane).enumerate();
    tasks.for_each_init(scratch, |scratch, (task, sums)| {
        let (part, row) = (task / 4, task % 4);
        let own = blocks.iter().skip(part * share).take(share).enumerate();
        for (block, rows) in own {
            let count = rows.len() * tiles.across();
            let (patches, rest) = scratch.split_at_mut(4 * count * inputs);
            let gradients = &mut rest[..4 * count * outputs];
            let (tiles, arch) = (&tiles, pulp::Arch::new());
            arch.dispatch(Input { planes: patches, input, tiles, rows: rows.clone(), row });
            let rows = rows.clone();
            arch.dispatch(Gradient { planes: gradients, gradient, tiles, rows, row });
            let patches = patches.chunks_exact(count * inputs);
            let gradients = gradients.chunks_exact(count * outputs);
            for ((sum, patches), gradients) in
                sums.chunks_exact_mut(plane).zip(patches).zip(gradients)
            {
                let patches = Matrix::row_major(patches, count, inputs).transposed();
                let gradients = Matrix::row_major(gradients, count, outputs);
                multiply(sum, patches, gradients, block > 0);
            }
        }
    });
    let (total, others) = sums.split_at_mut(16 * plane);
    total.par_chunks_mut(1 << 14).enumerate().for_each(|(i, total)| {
        for other in others.chunks_exact(16 * plane) {
            let other = &other[i << 14..][..total.len()];
            total.iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
        }
    });
    let mut taps = buffers::take(9 * plane);
    let blocks = kernel_order::row_blocks(&mut taps, [9, inputs, outputs]);
    let length = blocks.first().map_or(0, |block| block[0].len());
    blocks.into_par_iter().enumerate().for_each(|(index, mut out)| {
        let range = index * length..index * length + out[0].len();
        let sums = std::array::from_fn(|i| &total[i * plane..][range.clone()]);
        pulp::Arch::new().dispatch(KernelGradient { out: &mut out, sums });
    });
    buffers::give_back(sums);
    let result = kernel_order::outputs_first(&taps, geometry);
    buffers::give_back(taps);
    result
}
