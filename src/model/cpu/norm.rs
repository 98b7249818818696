//! Batch norm of channels-last positions with its ReLU and residual sum in one pass (Ioffe and Szegedy,
//! <https://arxiv.org/abs/1502.03167>).

use std::ops::Range;

use rayon::prelude::*;

use super::{buffers, vectorised};

/// Positions that one task sums: fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 256;

/// What a batch norm does beside normalising.
#[derive(Clone, Copy, Debug)]
pub struct Normalise {
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether negative results become zero.
    pub relu: bool,
    /// Whether mean and variance are the batch's own, so that gradients run through them.
    pub of_batch: bool,
}

/// Mean and biased variance of each channel, one after the other.
pub fn statistics(input: &[f32], channels: usize) -> Vec<f32> {
    let chunks: Vec<(usize, Vec<f32>, Vec<f32>)> = input
        .par_chunks(CHUNK * channels)
        .map(|chunk| {
            let (mean, squares) = vectorised(
                #[inline(always)]
                || moments(chunk, channels),
            );
            (chunk.len() / channels, mean, squares)
        })
        .collect();
    // Chan, Golub and LeVeque's pairwise combination, in the chunks' order.
    let (mut total, mut mean, mut squares) =
        (0.0, vec![0.0_f64; channels], vec![0.0_f64; channels]);
    for (count, chunk_mean, chunk_squares) in chunks {
        let count = count as f64;
        for channel in 0..channels {
            let difference = f64::from(chunk_mean[channel]) - mean[channel];
            mean[channel] += difference * count / (total + count);
            squares[channel] += f64::from(chunk_squares[channel])
                + difference * difference * total * count / (total + count);
        }
        total += count;
    }
    let variance = squares.iter().map(|squares| (squares / total) as f32);
    mean.iter().map(|mean| *mean as f32).chain(variance).collect()
}

/// Mean and sum of squared deviations of each channel.
#[inline(always)]
fn moments(chunk: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let count = chunk.len() / channels;
    let mut mean = vec![0.0_f32; channels];
    for row in chunk.chunks_exact(channels) {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value);
    }
    for mean in &mut mean {
        *mean /= count as f32;
    }
    let mut squares = vec![0.0_f32; channels];
    for row in chunk.chunks_exact(channels) {
        for ((square, value), mean) in squares.iter_mut().zip(row).zip(&mean) {
            *square += (value - mean) * (value - mean);
        }
    }
    (mean, squares)
}

/// `1 / sqrt(variance + epsilon)` of each channel.
fn inverse_deviations(variance: &[f32], epsilon: f32) -> Vec<f32> {
    variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect()
}

/// `gamma * (input - mean) / deviation + beta`, plus the residual, through the ReLU, with statistics that are known.
pub struct Affine<'a> {
    scale: Vec<f32>,
    shift: Vec<f32>,
    residual: Option<&'a [f32]>,
    floor: f32,
}

impl<'a> Affine<'a> {
    /// Takes scale, shift, mean and variance of each channel.
    pub fn of(
        [gamma, beta, mean, variance]: [&[f32]; 4],
        residual: Option<&'a [f32]>,
        options: Normalise,
    ) -> Self {
        let inverse = inverse_deviations(variance, options.epsilon);
        let scale: Vec<f32> =
            gamma.iter().zip(&inverse).map(|(gamma, inverse)| gamma * inverse).collect();
        let shift = (0..gamma.len()).map(|c| beta[c] - mean[c] * scale[c]).collect();
        let floor = if options.relu { 0.0 } else { f32::NEG_INFINITY };
        Self { scale, shift, residual, floor }
    }

    fn residual(&self, range: Range<usize>) -> Option<&'a [f32]> {
        self.residual.map(|residual| &residual[range])
    }

    /// Works in place on the values from `start` on: on what a convolution has just written, while it is in the cache.
    pub fn apply(&self, values: &mut [f32], start: usize) {
        let residual = self.residual(start..start + values.len());
        vectorised(
            #[inline(always)]
            || affine_in_place(values, residual, [&self.scale, &self.shift], self.floor),
        );
    }
}

/// Normalises all positions.
pub fn forward(input: &[f32], affine_of: &Affine<'_>) -> Vec<f32> {
    let Affine { scale, shift, floor, .. } = affine_of;
    let mut output = buffers::take(input.len());
    let block = CHUNK * scale.len();
    output.par_chunks_mut(block).enumerate().for_each(|(i, out)| {
        let range = i * block..i * block + out.len();
        let residual = affine_of.residual(range.clone());
        vectorised(
            #[inline(always)]
            || affine(out, &input[range], residual, [scale, shift], *floor),
        );
    });
    output
}

#[inline(always)]
fn affine_in_place(
    values: &mut [f32],
    residual: Option<&[f32]>,
    [scale, shift]: [&[f32]; 2],
    floor: f32,
) {
    let channels = scale.len();
    let rows = values.chunks_exact_mut(channels);
    if let Some(residual) = residual {
        for (values, residual) in rows.zip(residual.chunks_exact(channels)) {
            let affine = scale.iter().zip(shift).zip(residual);
            for (value, ((scale, shift), residual)) in values.iter_mut().zip(affine) {
                *value = (*value * scale + shift + residual).max(floor);
            }
        }
    } else {
        for values in rows {
            for (value, (scale, shift)) in values.iter_mut().zip(scale.iter().zip(shift)) {
                *value = (*value * scale + shift).max(floor);
            }
        }
    }
}

#[inline(always)]
fn affine(
    out: &mut [f32],
    input: &[f32],
    residual: Option<&[f32]>,
    [scale, shift]: [&[f32]; 2],
    floor: f32,
) {
    let channels = scale.len();
    let rows = out.chunks_exact_mut(channels).zip(input.chunks_exact(channels));
    if let Some(residual) = residual {
        for ((out, input), residual) in rows.zip(residual.chunks_exact(channels)) {
            let affine = scale.iter().zip(shift).zip(input).zip(residual);
            for (out, (((scale, shift), input), residual)) in out.iter_mut().zip(affine) {
                *out = (input * scale + shift + residual).max(floor);
            }
        }
    } else {
        for (out, input) in rows {
            let affine = scale.iter().zip(shift).zip(input);
            for (out, ((scale, shift), input)) in out.iter_mut().zip(affine) {
                *out = (input * scale + shift).max(floor);
            }
        }
    }
}

/// Gradients of a batch norm.
pub struct Gradients {
    /// Of the input.
    pub input: Vec<f32>,
    /// Of the residual: the output's, where the ReLU let it through.
    pub residual: Vec<f32>,
    /// Of the scale.
    pub gamma: Vec<f32>,
    /// Of the shift.
    pub beta: Vec<f32>,
}

/// Gradients from that of the output; `output` is what [`forward`] returned.
pub fn backward(
    gradient: &[f32],
    [input, output]: [&[f32]; 2],
    [gamma, mean, variance]: [&[f32]; 3],
    options: Normalise,
) -> Gradients {
    let channels = gamma.len();
    let inverse = inverse_deviations(variance, options.epsilon);
    let block = CHUNK * channels;
    let mut passed = buffers::take(gradient.len());
    let sums: Vec<[Vec<f32>; 2]> = passed
        .par_chunks_mut(block)
        .enumerate()
        .map(|(i, passed)| {
            let range = i * block..i * block + passed.len();
            let sources = [&gradient[range.clone()], &input[range.clone()], &output[range]];
            vectorised(
                #[inline(always)]
                || pass(passed, sources, mean, options.relu),
            )
        })
        .collect();
    let (mut beta, mut scale) = (vec![0.0_f64; channels], vec![0.0_f64; channels]);
    for [plain, weighted] in sums {
        beta.iter_mut().zip(plain).for_each(|(sum, value)| *sum += f64::from(value));
        scale.iter_mut().zip(weighted).for_each(|(sum, value)| *sum += f64::from(value));
    }
    scale.iter_mut().zip(&inverse).for_each(|(sum, inverse)| *sum *= f64::from(*inverse));
    let rows = (gradient.len() / channels) as f64;
    let part = if options.of_batch { 1.0 / rows } else { 0.0 };
    // gamma / deviation * (gradient - centre - (input - mean) * slope), as one affine function of gradient and input.
    let factor: Vec<f32> = (0..channels).map(|c| gamma[c] * inverse[c]).collect();
    let slope: Vec<f32> =
        (0..channels).map(|c| -factor[c] * (scale[c] * part) as f32 * inverse[c]).collect();
    let shift: Vec<f32> =
        (0..channels).map(|c| -factor[c] * (beta[c] * part) as f32 - slope[c] * mean[c]).collect();
    let mut result = buffers::take(gradient.len());
    result.par_chunks_mut(block).enumerate().for_each(|(i, out)| {
        let range = i * block..i * block + out.len();
        let sources = [&passed[range.clone()], &input[range]];
        vectorised(
            #[inline(always)]
            || centred(out, sources, [&factor, &slope, &shift]),
        );
    });
    let narrow = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
    Gradients { input: result, residual: passed, gamma: narrow(scale), beta: narrow(beta) }
}

/// `value` where `condition` holds, else zero, without a branch: the loops above it become vector code.
#[inline(always)]
fn where_true(condition: bool, value: f32) -> f32 {
    f32::from_bits(value.to_bits() & u32::from(condition).wrapping_neg())
}

/// Writes what the ReLU lets through of the gradient; returns its sum and its sum weighted by the centred input.
#[inline(always)]
fn pass(
    passed: &mut [f32],
    [gradient, input, output]: [&[f32]; 3],
    mean: &[f32],
    relu: bool,
) -> [Vec<f32>; 2] {
    let channels = mean.len();
    let (mut plain, mut weighted) = (vec![0.0; channels], vec![0.0; channels]);
    let rows = gradient.chunks_exact(channels).zip(input.chunks_exact(channels));
    let rows = rows.zip(output.chunks_exact(channels)).zip(passed.chunks_exact_mut(channels));
    for (((gradient, input), output), passed) in rows {
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        for (passed, (gradient, output)) in passed.iter_mut().zip(gradient.iter().zip(output)) {
            *passed = where_true(*output > floor, *gradient);
        }
        for (plain, kept) in plain.iter_mut().zip(passed.iter()) {
            *plain += kept;
        }
        let centred = passed.iter().zip(input).zip(mean);
        for (weighted, ((kept, input), mean)) in weighted.iter_mut().zip(centred) {
            *weighted += kept * (input - mean);
        }
    }
    [plain, weighted]
}

#[inline(always)]
fn centred(out: &mut [f32], [passed, input]: [&[f32]; 2], [factor, slope, shift]: [&[f32]; 3]) {
    let channels = factor.len();
    let rows = passed.chunks_exact(channels).zip(input.chunks_exact(channels));
    for (out, (passed, input)) in out.chunks_exact_mut(channels).zip(rows) {
        let values = passed.iter().zip(input).zip(factor).zip(slope).zip(shift);
        for (out, ((((passed, input), factor), slope), shift)) in out.iter_mut().zip(values) {
            *out = factor * passed + slope * input + shift;
        }
    }
}
