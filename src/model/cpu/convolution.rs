//! Convolution of channels-last films (`[n, height, width, channels]`) over the whole batch: patches are gathered into a
//! matrix one cache-sized tile at a time and multiplied by the whole kernel (im2col and GEMM, Chellapilla et al. 2006).
//!
//! Work is split by shape, never by the number of threads, so results do not depend on it.

use std::ops::Range;

use rayon::prelude::*;

use super::buffers::{self, Scratch};
use super::gemm::{Matrix, multiply};
use super::norm::Affine;
use super::{few_rows, kernel_order, winograd};

/// Shape of a convolution with a square kernel.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Films.
    pub batch: usize,
    /// Height and width of the input.
    pub size: [usize; 2],
    /// Input and output channels.
    pub channels: [usize; 2],
    /// Kernel height and width.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Zeros on all four sides.
    pub padding: usize,
}

impl Geometry {
    /// Height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        self.size.map(|size| (size + 2 * self.padding - self.kernel) / self.stride + 1)
    }

    /// Positions of the output over the batch.
    pub fn rows(&self) -> usize {
        let [height, width] = self.output();
        self.batch * height * width
    }

    /// Positions of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Values in one patch.
    pub fn patch(&self) -> usize {
        self.taps() * self.channels[0]
    }

    /// Whether the input, read as rows of channels, is the patch matrix already.
    fn pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }
}

/// Values in the patches of one tile: 1 MiB, about the second-level cache of a core.
const TILE: usize = 1 << 18;

/// Rows of a tile, such that the number of tiles is even where there is more than one.
fn tile_rows(rows: usize, patch: usize) -> usize {
    let most = (TILE / patch).clamp(64, 1024);
    let tiles = rows.div_ceil(most);
    let tiles = if rows >= 64 { tiles.next_multiple_of(2) } else { tiles };
    rows.div_ceil(tiles.max(1)).max(1)
}

/// Gathers the patches of the output positions `start..start + rows` into `patches`, in the order kernel row, kernel
/// column, channel.
fn gather(patches: &mut [f32], input: &[f32], geometry: &Geometry, start: usize) {
    let [height, width] = geometry.size;
    let [out_height, out_width] = geometry.output();
    let (channels, kernel) = (geometry.channels[0], geometry.kernel);
    for (row, patch) in patches.chunks_exact_mut(geometry.patch()).enumerate() {
        let position = start + row;
        let (film, y, x) = (
            position / (out_height * out_width),
            position / out_width % out_height,
            position % out_width,
        );
        let left = x * geometry.stride;
        // Kernel columns that fall on the film; one run of memory, because columns and channels lie side by side.
        let first = geometry.padding.saturating_sub(left).min(kernel);
        let last = (width + geometry.padding).saturating_sub(left).min(kernel).max(first);
        for (tap, line) in patch.chunks_exact_mut(kernel * channels).enumerate() {
            let y = y * geometry.stride + tap;
            if y < geometry.padding || y - geometry.padding >= height || first == last {
                line.fill(0.0);
                continue;
            }
            let line_start = (film * height + y - geometry.padding) * width;
            let from = (line_start + left + first - geometry.padding) * channels;
            let run = (last - first) * channels;
            line[..first * channels].fill(0.0);
            line[first * channels..last * channels].copy_from_slice(&input[from..from + run]);
            line[last * channels..].fill(0.0);
        }
    }
}

/// Multiplies every patch by `kernel`, a `[patch, output channels]` matrix.
fn patches_times(
    input: &[f32],
    kernel: Matrix<'_>,
    geometry: &Geometry,
    norm: Option<&Affine<'_>>,
) -> Vec<f32> {
    let outputs = kernel.columns;
    let depth = geometry.patch();
    let mut output = buffers::take(geometry.rows() * outputs);
    let tile_length = tile_rows(geometry.rows(), depth);
    let pointwise = geometry.pointwise();
    let scratch = || Scratch::take(if pointwise { 0 } else { tile_length * depth });
    let tiles = output.par_chunks_mut(tile_length * outputs).enumerate();
    tiles.for_each_init(scratch, |patches, (i, out)| {
        let rows = out.len() / outputs;
        let tile = if pointwise {
            &input[i * tile_length * depth..][..rows * depth]
        } else {
            gather(&mut patches[..rows * depth], input, geometry, i * tile_length);
            &patches[..rows * depth]
        };
        multiply(out, Matrix::row_major(tile, rows, depth), kernel, false);
        if let Some(norm) = norm {
            norm.apply(out, i * tile_length * outputs);
        }
    });
    output
}

/// Convolves `input` with `weight` (`[output, input, row, column]`), and normalises what comes out.
pub fn forward(
    input: &[f32],
    weight: &[f32],
    geometry: &Geometry,
    norm: Option<&Affine<'_>>,
) -> Vec<f32> {
    if winograd::suits(geometry) {
        return winograd::forward(input, weight, geometry, norm);
    }
    if few_rows::suit(geometry) {
        return few_rows::forward(input, weight, geometry, norm);
    }
    let [inputs, outputs] = geometry.channels;
    if geometry.kernel == 1 {
        let kernel = Matrix::row_major(weight, outputs, inputs).transposed();
        return patches_times(input, kernel, geometry, norm);
    }
    let kernel = kernel_order::taps_first(weight, geometry);
    let columns = Matrix::row_major(&kernel, geometry.patch(), outputs);
    let output = patches_times(input, columns, geometry, norm);
    buffers::give_back(kernel);
    output
}

/// Gradient of the input from that of the output.
pub fn input_gradient(gradient: &[f32], weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    if winograd::suits(geometry) {
        return winograd::input_gradient(gradient, weight, geometry);
    }
    if few_rows::suit(geometry) {
        return few_rows::input_gradient(gradient, weight, geometry);
    }
    let [inputs, outputs] = geometry.channels;
    if geometry.stride > 1 {
        return strided_input_gradient(gradient, weight, geometry);
    }
    // At stride 1 it is a convolution of the gradient with the turned kernel.
    let turned = Geometry {
        size: geometry.output(),
        channels: [outputs, inputs],
        padding: geometry.kernel - 1 - geometry.padding,
        ..*geometry
    };
    if geometry.kernel == 1 {
        let kernel = Matrix::row_major(weight, outputs, inputs);
        return patches_times(gradient, kernel, &turned, None);
    }
    let kernel = kernel_order::turned(weight, geometry);
    let kernel_matrix = Matrix::row_major(&kernel, turned.patch(), inputs);
    let result = patches_times(gradient, kernel_matrix, &turned, None);
    buffers::give_back(kernel);
    result
}

/// The same for strides above 1: gradients of the patches, scattered back film by film.
fn strided_input_gradient(gradient: &[f32], weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    let [inputs, outputs] = geometry.channels;
    let [height, width] = geometry.size;
    let [out_height, out_width] = geometry.output();
    let positions = out_height * out_width;
    let reordered = kernel_order::taps_first(weight, geometry);
    let kernel = Matrix::row_major(&reordered, geometry.patch(), outputs).transposed();
    let film = height * width * inputs;
    let films = (TILE / geometry.patch()).max(64).div_ceil(positions);
    let films = films.min(geometry.batch.div_ceil(2)).max(1);
    let mut result = buffers::take(geometry.batch * film);
    let scratch = || Scratch::take(films * positions * geometry.patch());
    let groups = result.par_chunks_mut(films * film).enumerate();
    groups.for_each_init(scratch, |patches, (group, out)| {
        out.fill(0.0);
        let rows = out.len() / film * positions;
        let from = group * films * positions * outputs;
        let patches = &mut patches[..rows * geometry.patch()];
        let gradient = Matrix::row_major(&gradient[from..from + rows * outputs], rows, outputs);
        multiply(patches, gradient, kernel, false);
        for (row, patch) in patches.chunks_exact(geometry.patch()).enumerate() {
            let (y, x) = (row / out_width % out_height, row % out_width);
            let film = &mut out[row / positions * film..][..film];
            scatter(film, patch, geometry, [y, x]);
        }
    });
    buffers::give_back(reordered);
    result
}

/// Adds a patch's gradient to the film's.
fn scatter(film: &mut [f32], patch: &[f32], geometry: &Geometry, [y, x]: [usize; 2]) {
    let [height, width] = geometry.size;
    let (channels, kernel) = (geometry.channels[0], geometry.kernel);
    let left = x * geometry.stride;
    let first = geometry.padding.saturating_sub(left).min(kernel);
    let last = (width + geometry.padding).saturating_sub(left).min(kernel).max(first);
    for (tap, line) in patch.chunks_exact(kernel * channels).enumerate() {
        let y = y * geometry.stride + tap;
        if y < geometry.padding || y - geometry.padding >= height || first == last {
            continue;
        }
        let to = ((y - geometry.padding) * width + left + first - geometry.padding) * channels;
        let run = &line[first * channels..last * channels];
        for (value, gradient) in film[to..to + run.len()].iter_mut().zip(run) {
            *value += gradient;
        }
    }
}

/// Gradient of the weight (`[output, input, row, column]`) from that of the output.
pub fn weight_gradient(input: &[f32], gradient: &[f32], geometry: &Geometry) -> Vec<f32> {
    if winograd::suits(geometry) {
        return winograd::weight_gradient(input, gradient, geometry);
    }
    if few_rows::suit(geometry) {
        return few_rows::weight_gradient(input, gradient, geometry);
    }
    let [_, outputs] = geometry.channels;
    let (rows, patch) = (geometry.rows(), geometry.patch());
    // Sums over few rows are split by rows of the kernel instead, which costs gathering the patches anew.
    let chunks = (rows / 256).clamp(1, 8);
    let parts = 4_usize.div_ceil(chunks).min(patch);
    let chunk_rows = rows.div_ceil(chunks);
    let part = patch.div_ceil(parts);
    let parts = patch.div_ceil(part);
    let tile = tile_rows(chunk_rows, patch);
    let mut partial = buffers::take(chunks * patch * outputs);
    // Parts of the patch follow each other in each chunk's sum.
    let tasks: Vec<&mut [f32]> = partial
        .chunks_exact_mut(patch * outputs)
        .flat_map(|sum| sum.chunks_mut(part * outputs))
        .collect();
    let scratch = || Scratch::take(if geometry.pointwise() { 0 } else { tile * patch });
    tasks.into_par_iter().enumerate().for_each_init(scratch, |patches, (task, sum)| {
        let (chunk, first) = (task / parts, task % parts * part);
        let rows = chunk * chunk_rows..rows.min((chunk + 1) * chunk_rows);
        let columns = first..first + sum.len() / outputs;
        products_of_rows(sum, [input, gradient], geometry, [rows, columns], (patches, tile));
    });
    let result = kernel_order::outputs_first(add_parts(&mut partial, patch * outputs), geometry);
    buffers::give_back(partial);
    result
}

/// Adds parts of equal length to the first, in their order, and returns it.
pub fn add_parts(parts: &mut [f32], length: usize) -> &[f32] {
    /// Values that one task adds.
    const SHARE: usize = 1 << 14;
    let (total, others) = parts.split_at_mut(length);
    total.par_chunks_mut(SHARE).enumerate().for_each(|(i, total)| {
        for other in others.chunks_exact(length) {
            let other = &other[i * SHARE..][..total.len()];
            total.iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
        }
    });
    total
}

/// Sums the products of some columns of the patches with the gradients, over some rows.
fn products_of_rows(
    sum: &mut [f32],
    [input, gradient]: [&[f32]; 2],
    geometry: &Geometry,
    [rows, columns]: [Range<usize>; 2],
    (patches, tile): (&mut [f32], usize),
) {
    let (patch, outputs) = (geometry.patch(), geometry.channels[1]);
    let mut start = rows.start;
    if rows.is_empty() {
        sum.fill(0.0);
    }
    while start < rows.end {
        let count = tile.min(rows.end - start);
        let tile = if geometry.pointwise() {
            &input[start * patch..][..count * patch]
        } else {
            gather(&mut patches[..count * patch], input, geometry, start);
            &patches[..count * patch]
        };
        let transposed = Matrix {
            data: &tile[columns.start..],
            rows: columns.len(),
            columns: count,
            row_stride: 1,
            column_stride: patch,
        };
        let gradient = &gradient[start * outputs..][..count * outputs];
        let gradient = Matrix::row_major(gradient, count, outputs);
        multiply(sum, transposed, gradient, start > rows.start);
        start += count;
    }
}
