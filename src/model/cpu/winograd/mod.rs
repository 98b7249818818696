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
use super::convolution::{Geometry, add_parts};
use super::gemm::{Matrix, multiply, multiply_columns};
use super::norm::Affine;

/// Tiles of a block: its transformed patches and products stay in the second-level cache while channels are few, and
/// the transformed kernel is read once a block.
const BLOCK: usize = 192;

/// Tiles below which transforming the kernel costs more than it saves.
const FEWEST: usize = 48;

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

    fn count(&self) -> usize {
        self.rows() * self.across()
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
    let [kernel, stride, padding] = [geometry.kernel, geometry.stride, geometry.padding];
    [kernel, stride, padding] == [3, 1, 1]
        && whole
        && large
        && Tiles::of(geometry).count() >= FEWEST
}

/// Values between planes, so that they do not all fall on the same lines of the caches.
const GAP: usize = 5 * CHANNELS;

/// Output channels that lie side by side in a transformed kernel: as many as the matrix product takes at once.
const PANEL: usize = 64;

/// Cuts memory in `N` planes of a length, with gaps between them.
fn planes<const N: usize>(memory: &mut [f32], length: usize) -> [&mut [f32]; N] {
    let mut rest = memory;
    std::array::from_fn(|_| {
        let (plane, tail) = std::mem::take(&mut rest).split_at_mut(length + GAP);
        rest = tail;
        &mut plane[..length]
    })
}

/// Transforms kernels to sixteen planes; in each, panels of up to [`PANEL`] output channels for every input channel.
/// Turned kernels exchange inputs and outputs and convolve gradients.
fn transformed(weight: &[f32], [inputs, outputs]: [usize; 2], turned: bool) -> Scratch {
    let mut result = Scratch::take(16 * (inputs * outputs + GAP));
    let mut panels: Vec<Vec<&mut [f32]>> = Vec::new();
    panels.resize_with(outputs.div_ceil(PANEL), Vec::new);
    for plane in planes::<16>(&mut result, inputs * outputs) {
        for (panel, part) in panels.iter_mut().zip(plane.chunks_mut(inputs * PANEL)) {
            panel.push(part);
        }
    }
    panels.into_par_iter().enumerate().for_each(|(index, mut panel)| {
        let width = panel[0].len() / inputs;
        for first in (0..width).step_by(CHANNELS) {
            let output = index * PANEL + first;
            let (start, step, next) =
                if turned { (output, 1, outputs) } else { (output * inputs, inputs, 1) };
            let mut lines = panel.iter_mut();
            let out = std::array::from_fn(|_| {
                lines.next().map_or(&mut [][..], |line| &mut line[first..])
            });
            pulp::Arch::new().dispatch(Kernel {
                out,
                weight: &weight[9 * start..],
                step: 9 * step,
                next: [9 * next, width],
                vectors: inputs,
                turned,
            });
        }
    });
    result
}

/// Convolves `input` with [`transformed`] kernels.
fn convolve(
    input: &[f32],
    kernels: &[f32],
    tiles: &Tiles,
    [inputs, outputs]: [usize; 2],
    norm: Option<&Affine<'_>>,
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
    let length = |channels| 16 * (most * channels + GAP);
    let scratch = || [inputs, outputs].map(|channels| Scratch::take(length(channels)));
    tasks.into_par_iter().for_each_init(scratch, |[patches, products], (rows, out)| {
        let count = rows.len() * tiles.across();
        transform_patches(patches, input, tiles, &rows, inputs);
        let stride = count * outputs + GAP;
        let kernels = kernels.chunks_exact(inputs * outputs + GAP);
        let patches = patches.chunks_exact(count * inputs + GAP);
        for ((out, patches), kernel) in products.chunks_exact_mut(stride).zip(patches).zip(kernels)
        {
            let patches = Matrix::row_major(&patches[..count * inputs], count, inputs);
            let panels = kernel[..inputs * outputs].chunks(inputs * PANEL);
            for (index, panel) in panels.enumerate() {
                let panel = Matrix::row_major(panel, inputs, panel.len() / inputs);
                multiply_columns(&mut out[index * PANEL..], outputs, patches, panel, false);
            }
        }
        let start = tiles.first_line(rows.start) * line;
        let transform = Output { out: &mut *out, products, stride, channels: outputs, tiles, rows };
        pulp::Arch::new().dispatch(transform);
        if let Some(norm) = norm {
            norm.apply(out, start);
        }
    });
    output
}

/// Transforms the patches of some rows of tiles to sixteen planes.
fn transform_patches(
    patches: &mut [f32],
    input: &[f32],
    tiles: &Tiles,
    rows: &Range<usize>,
    channels: usize,
) {
    let length = rows.len() * tiles.across() * channels;
    for (row, four) in patches.chunks_exact_mut(4 * (length + GAP)).take(4).enumerate() {
        let planes = planes(four, length);
        pulp::Arch::new().dispatch(Input { planes, values: input, tiles, rows: rows.clone(), row });
    }
}

/// Convolves, and normalises what comes out.
pub fn forward(
    input: &[f32],
    weight: &[f32],
    geometry: &Geometry,
    norm: Option<&Affine<'_>>,
) -> Vec<f32> {
    let kernels = transformed(weight, geometry.channels, false);
    convolve(input, &kernels, &Tiles::of(geometry), geometry.channels, norm)
}

/// Gradient of the input: the gradient convolved with the turned kernel.
pub fn input_gradient(gradient: &[f32], weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    let [inputs, outputs] = geometry.channels;
    let kernels = transformed(weight, [outputs, inputs], true);
    convolve(gradient, &kernels, &Tiles::of(geometry), [outputs, inputs], None)
}

/// Gradient of the weight: sums over the tiles of transformed gradients times transformed patches.
pub fn weight_gradient(input: &[f32], gradient: &[f32], geometry: &Geometry) -> Vec<f32> {
    let tiles = Tiles::of(geometry);
    let [inputs, outputs] = geometry.channels;
    let plane = inputs * outputs;
    let blocks = tiles.blocks();
    let most = blocks.first().map_or(0, Range::len) * tiles.across();
    // Each task sums one row of four of the transform, over all blocks or, where sums are small, over a part of them.
    let share = blocks.len().div_ceil((blocks.len() * SMALL_PLANE / plane).clamp(1, 4));
    let parts = blocks.len().div_ceil(share);
    let mut sums = Scratch::take(parts * 16 * (plane + GAP));
    let scratch = || [inputs, outputs].map(|channels| Scratch::take(4 * (most * channels + GAP)));
    let tasks = sums.par_chunks_exact_mut(4 * (plane + GAP)).enumerate();
    tasks.for_each_init(scratch, |[patches, gradients], (task, sums)| {
        let (part, row) = (task / 4, task % 4);
        let own = blocks.iter().skip(part * share).take(share).enumerate();
        for (block, rows) in own {
            let count = rows.len() * tiles.across();
            let (tiles, arch) = (&tiles, pulp::Arch::new());
            let planes_of = planes(patches, count * inputs);
            arch.dispatch(Input {
                planes: planes_of,
                values: input,
                tiles,
                rows: rows.clone(),
                row,
            });
            let planes_of = planes(gradients, count * outputs);
            let (values, rows) = (gradient, rows.clone());
            arch.dispatch(Gradient { planes: planes_of, values, tiles, rows, row });
            let patches = patches.chunks_exact(count * inputs + GAP);
            let gradients = gradients.chunks_exact(count * outputs + GAP);
            let sums = sums.chunks_exact_mut(plane + GAP);
            for ((sum, patches), gradients) in sums.zip(patches).zip(gradients) {
                let patches = Matrix::row_major(&patches[..count * inputs], count, inputs);
                let gradients = &gradients[..count * outputs];
                let gradients = Matrix::row_major(gradients, count, outputs).transposed();
                multiply(&mut sum[..plane], gradients, patches, block > 0);
            }
        }
    });
    let total = add_parts(&mut sums, 16 * (plane + GAP));
    let mut result = buffers::take(9 * plane);
    result.par_chunks_exact_mut(9 * inputs).enumerate().for_each(|(output, out)| {
        let sums = std::array::from_fn(|i| &total[i * (plane + GAP) + output * inputs..][..inputs]);
        pulp::Arch::new().dispatch(KernelGradient { out, sums });
    });
    result
}
