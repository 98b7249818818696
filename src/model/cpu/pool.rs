//! Max pooling of channels-last films: 3×3 windows of stride 2.

use rayon::prelude::*;

use super::{buffers, vectorised};

const KERNEL: usize = 3;
const STRIDE: usize = 2;

/// Where the first window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As far before the film as the last ends after it, or one less: TensorFlow's "same".
    Same,
    /// One position before the film.
    One,
}

/// Windows along one axis: how many there are and how far the first begins before the film.
fn windows(size: usize, padding: Padding) -> (usize, usize) {
    let count = size.div_ceil(STRIDE);
    let before = match padding {
        Padding::Same => ((count - 1) * STRIDE + KERNEL).saturating_sub(size) / 2,
        Padding::One => 1,
    };
    (count, before)
}

/// Height and width of the output.
pub fn output(size: [usize; 2]) -> [usize; 2] {
    size.map(|size| size.div_ceil(STRIDE))
}

/// Calls `visit(window, row, column, tap)` for every position of the film that a window covers.
#[inline(always)]
fn visit([height, width]: [usize; 2], padding: Padding, mut visit: impl FnMut(usize, usize, u32)) {
    let ((rows, top), (columns, left)) = (windows(height, padding), windows(width, padding));
    for window in 0..rows * columns {
        let (y, x) = (window / columns * STRIDE, window % columns * STRIDE);
        for tap in 0..(KERNEL * KERNEL) as u32 {
            let (y, x) = (y + tap as usize / KERNEL, x + tap as usize % KERNEL);
            if y >= top && y < height + top && x >= left && x < width + left {
                visit(window, (y - top) * width + x - left, tap);
            }
        }
    }
}

/// The greatest value of each window and channel, and which of the window's nine positions holds it.
pub fn forward(
    input: &[f32],
    size: [usize; 2],
    channels: usize,
    padding: Padding,
) -> (Vec<f32>, Vec<u32>) {
    let film = size[0] * size[1] * channels;
    let [rows, columns] = output(size);
    let pooled = rows * columns * channels;
    let films = input.len() / film;
    let (mut values, mut taps) = (buffers::take(films * pooled), vec![0; films * pooled]);
    values
        .par_chunks_mut(pooled)
        .zip(taps.par_chunks_mut(pooled))
        .zip(input.par_chunks(film))
        .for_each(|((values, taps), film)| {
            values.fill(f32::NEG_INFINITY);
            let compare = |window, position, tap| {
                let range = window * channels..(window + 1) * channels;
                let source = &film[position * channels..][..channels];
                let best = values[range.clone()].iter_mut().zip(&mut taps[range]);
                for ((value, best), source) in best.zip(source) {
                    let greater = *source > *value;
                    *value = if greater { *source } else { *value };
                    *best = if greater { tap } else { *best };
                }
            };
            vectorised(
                #[inline(always)]
                || visit(size, padding, compare),
            );
        });
    (values, taps)
}

/// Gradient of the input from that of the output; `taps` is what [`forward`] returned.
pub fn backward(
    gradient: &[f32],
    taps: &[u32],
    size: [usize; 2],
    channels: usize,
    padding: Padding,
) -> Vec<f32> {
    let film = size[0] * size[1] * channels;
    let [rows, columns] = output(size);
    let pooled = rows * columns * channels;
    let mut result = buffers::take(gradient.len() / pooled * film);
    result
        .par_chunks_mut(film)
        .zip(gradient.par_chunks(pooled))
        .zip(taps.par_chunks(pooled))
        .for_each(|((film, gradient), taps)| {
            film.fill(0.0);
            let add = |window, position, tap| {
                let range = window * channels..(window + 1) * channels;
                let target = &mut film[position * channels..][..channels];
                let passed = gradient[range.clone()].iter().zip(&taps[range]);
                for (target, (gradient, best)) in target.iter_mut().zip(passed) {
                    *target += if *best == tap { *gradient } else { 0.0 };
                }
            };
            vectorised(
                #[inline(always)]
                || visit(size, padding, add),
            );
        });
    result
}
