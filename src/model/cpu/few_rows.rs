//! Convolution where the batch has fewer positions than the kernel has outputs, as in the last group of a ResNet:
//! moving the kernel would cost more than the products, so it stays in burn's order and the patches follow it
//! (channel, kernel row, kernel column).

use rayon::prelude::*;

use super::buffers::{self, Scratch};
use super::convolution::Geometry;
use super::gemm::{Matrix, multiply};
use super::norm::Affine;

/// Whether a convolution has so few positions.
pub fn suit(geometry: &Geometry) -> bool {
    geometry.rows() < geometry.channels[1]
}

/// Rows of a product that one task computes: fixed, so that the split does not depend on the number of threads.
fn block(rows: usize) -> usize {
    rows.div_ceil(8).max(8)
}

/// Calls `visit(tap, position)` for each tap of the patch at output position `row` that falls on the film.
fn taps(geometry: &Geometry, row: usize, mut visit: impl FnMut(usize, usize)) {
    let [height, width] = geometry.size;
    let [out_height, out_width] = geometry.output();
    let film = row / (out_height * out_width);
    let top = row / out_width % out_height * geometry.stride;
    let left = row % out_width * geometry.stride;
    for tap in 0..geometry.taps() {
        let (y, x) = (top + tap / geometry.kernel, left + tap % geometry.kernel);
        let inside = |at: usize, size: usize| {
            at.checked_sub(geometry.padding).filter(|position| *position < size)
        };
        if let (Some(y), Some(x)) = (inside(y, height), inside(x, width)) {
            visit(tap, (film * height + y) * width + x);
        }
    }
}

/// All patches, `[rows, patch]`.
fn patches(input: &[f32], geometry: &Geometry) -> Scratch {
    let (channels, count) = (geometry.channels[0], geometry.taps());
    let mut patches = Scratch::take(geometry.rows() * geometry.patch());
    patches.par_chunks_mut(geometry.patch()).enumerate().for_each(|(row, patch)| {
        patch.fill(0.0);
        taps(geometry, row, |tap, position| {
            let source = &input[position * channels..][..channels];
            for (value, source) in patch[tap..].iter_mut().step_by(count).zip(source) {
                *value = *source;
            }
        });
    });
    patches
}

/// Convolves, and normalises what comes out.
pub fn forward(
    input: &[f32],
    weight: &[f32],
    geometry: &Geometry,
    norm: Option<&Affine<'_>>,
) -> Vec<f32> {
    let (rows, patch, outputs) = (geometry.rows(), geometry.patch(), geometry.channels[1]);
    let patches = patches(input, geometry);
    let columns = Matrix::row_major(&patches, rows, patch).transposed();
    // Outputs come first, so that each part of the kernel is read by one task.
    let mut turned = Scratch::take(rows * outputs);
    let block = block(outputs);
    turned.par_chunks_mut(block * rows).enumerate().for_each(|(i, out)| {
        let kernels = out.len() / rows;
        let kernel =
            Matrix::row_major(&weight[i * block * patch..][..kernels * patch], kernels, patch);
        multiply(out, kernel, columns, false);
    });
    let mut output = buffers::take(rows * outputs);
    output.par_chunks_mut(outputs).enumerate().for_each(|(row, output)| {
        for (output, value) in output.iter_mut().zip(turned[row..].iter().step_by(rows)) {
            *output = *value;
        }
        if let Some(norm) = norm {
            norm.apply(output, row * outputs);
        }
    });
    output
}

/// Gradient of the weight.
pub fn weight_gradient(input: &[f32], gradient: &[f32], geometry: &Geometry) -> Vec<f32> {
    let (rows, patch, outputs) = (geometry.rows(), geometry.patch(), geometry.channels[1]);
    let patches = patches(input, geometry);
    let patches = Matrix::row_major(&patches, rows, patch);
    let mut result = buffers::take(outputs * patch);
    let block = block(outputs);
    result.par_chunks_mut(block * patch).enumerate().for_each(|(i, out)| {
        let gradient = Matrix {
            data: &gradient[i * block..],
            rows: out.len() / patch,
            columns: rows,
            row_stride: 1,
            column_stride: outputs,
        };
        multiply(out, gradient, patches, false);
    });
    result
}

/// Gradient of the input.
pub fn input_gradient(gradient: &[f32], weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    let (rows, patch, outputs) = (geometry.rows(), geometry.patch(), geometry.channels[1]);
    let columns = Matrix::row_major(gradient, rows, outputs).transposed();
    let mut turned = Scratch::take(patch * rows);
    let block = block(patch);
    turned.par_chunks_mut(block * rows).enumerate().for_each(|(i, out)| {
        let kernel = Matrix {
            data: &weight[i * block..],
            rows: out.len() / rows,
            columns: outputs,
            row_stride: 1,
            column_stride: patch,
        };
        multiply(out, kernel, columns, false);
    });
    let (channels, count) = (geometry.channels[0], geometry.taps());
    let film = geometry.size[0] * geometry.size[1] * channels;
    let positions = rows / geometry.batch;
    let mut result = buffers::take(geometry.batch * film);
    result.par_chunks_mut(film).enumerate().for_each(|(index, out)| {
        out.fill(0.0);
        for row in index * positions..(index + 1) * positions {
            taps(geometry, row, |tap, position| {
                let target = &mut out[position * channels - index * film..][..channels];
                let source = turned[tap * rows + row..].iter().step_by(count * rows);
                for (value, source) in target.iter_mut().zip(source) {
                    *value += source;
                }
            });
        }
    });
    result
}
