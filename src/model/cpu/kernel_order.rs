//! Kernels in the order in which patches lie: burn keeps `[output, input, row, column]`, the products want the outputs
//! of one tap side by side.

use rayon::prelude::*;

use super::buffers;
use super::convolution::Geometry;

/// Outputs that are moved at once: a line of the cache.
const LINE: usize = 16;

/// One slice of rows of every tap's plane.
type Planes<'a> = Vec<&'a mut [f32]>;

/// Cuts `[taps, rows, columns]` in blocks of rows, each with its part of every tap's plane.
fn row_blocks(values: &mut [f32], [taps, rows, columns]: [usize; 3]) -> Vec<Planes<'_>> {
    let block = rows.div_ceil(8).max(1);
    let mut blocks: Vec<Planes<'_>> =
        (0..rows.div_ceil(block)).map(|_| Vec::with_capacity(taps)).collect();
    for plane in values.chunks_exact_mut(rows * columns) {
        for (planes, rows) in blocks.iter_mut().zip(plane.chunks_mut(block * columns)) {
            planes.push(rows);
        }
    }
    blocks
}

/// `[row, column, input, output]`: the right side of patches times kernel.
pub fn taps_first(weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    let ([inputs, outputs], taps) = (geometry.channels, geometry.taps());
    let mut result = buffers::take(weight.len());
    let blocks = row_blocks(&mut result, [taps, inputs, outputs]);
    let block = inputs.div_ceil(8).max(1);
    blocks.into_par_iter().enumerate().for_each(|(index, mut planes)| {
        let first = index * block;
        let rows = planes[0].len() / outputs;
        for line in (0..outputs).step_by(LINE) {
            let line = line..(line + LINE).min(outputs);
            for row in 0..rows {
                for output in line.clone() {
                    let source = &weight[(output * inputs + first + row) * taps..][..taps];
                    for (plane, value) in planes.iter_mut().zip(source) {
                        plane[row * outputs + output] = *value;
                    }
                }
            }
        }
    });
    result
}

/// `[row, column, output, input]` with rows and columns counted from the end: the kernel that convolves gradients.
pub fn turned(weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    let ([inputs, outputs], taps) = (geometry.channels, geometry.taps());
    let mut result = buffers::take(weight.len());
    let blocks = row_blocks(&mut result, [taps, outputs, inputs]);
    let block = outputs.div_ceil(8).max(1);
    blocks.into_par_iter().enumerate().for_each(|(index, mut planes)| {
        let rows = planes[0].len();
        let source = weight[index * block * inputs * taps..].chunks_exact(taps).take(rows);
        for (position, source) in source.enumerate() {
            for (plane, value) in planes.iter_mut().rev().zip(source) {
                plane[position] = *value;
            }
        }
    });
    result
}

/// Back from `[row, column, input, output]` to burn's order.
pub fn outputs_first(sums: &[f32], geometry: &Geometry) -> Vec<f32> {
    let ([inputs, outputs], taps) = (geometry.channels, geometry.taps());
    let mut result = buffers::take(sums.len());
    let line = LINE * inputs * taps;
    result.par_chunks_mut(line).enumerate().for_each(|(index, kernels)| {
        let first = index * LINE;
        let count = kernels.len() / (inputs * taps);
        for input in 0..inputs {
            for tap in 0..taps {
                let sums = &sums[(tap * inputs + input) * outputs + first..][..count];
                for (kernel, sum) in kernels.chunks_exact_mut(inputs * taps).zip(sums) {
                    kernel[input * taps + tap] = *sum;
                }
            }
        }
    });
    result
}
