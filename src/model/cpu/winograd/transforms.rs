//! The transforms of F(2×2, 3×3): `V = Bᵀ d B` of input patches, `U = G g Gᵀ` of kernels, `y = Aᵀ m A` of products, and
//! their adjoints.
//!
//! Each works on vectors of channels, which lie side by side; channel counts are multiples of [`CHANNELS`].
#![expect(clippy::needless_range_loop, reason = "one index walks many planes")]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Tiles;

/// Every vector length divides this.
pub const CHANNELS: usize = 16;

/// One row of four of `Bᵀ d B` for the tiles of some tile rows: four planes of `[tiles, channels]`.
pub struct Input<'a> {
    pub planes: [&'a mut [f32]; 4],
    pub values: &'a [f32],
    pub tiles: &'a Tiles,
    pub rows: Range<usize>,
    pub row: usize,
}

impl WithSimd for Input<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { planes: out, values: input, tiles, rows, row } = self;
        let [height, width] = tiles.size;
        let (input, _) = S::as_simd_f32s(input);
        let vectors = input.len() / (tiles.films * height * width);
        let mut out = out.map(|plane| S::as_mut_simd_f32s(plane).0);
        let zeros = vec![simd.splat_f32s(0.0); vectors];
        // Rows 0 to 3 of Bᵀ: d₀ − d₂, d₁ + d₂, d₂ − d₁, d₁ − d₃.
        let (plus, other, sign) = [(0, 2, -1.0), (1, 2, 1.0), (2, 1, -1.0), (1, 3, -1.0)][row];
        let sign = simd.splat_f32s(sign);
        for (tile, [film, top, left]) in tiles.corners(rows).enumerate() {
            // One line and column of zeros lies around the film.
            let pixel = |y: usize, x: usize| {
                let (y, x) = ((top + y).wrapping_sub(1), (left + x).wrapping_sub(1));
                if y < height && x < width {
                    &input[((film * height + y) * width + x) * vectors..][..vectors]
                } else {
                    &zeros[..vectors]
                }
            };
            let p = [pixel(plus, 0), pixel(plus, 1), pixel(plus, 2), pixel(plus, 3)];
            let q = [pixel(other, 0), pixel(other, 1), pixel(other, 2), pixel(other, 3)];
            let [out0, out1, out2, out3] = tile_of(&mut out, tile, vectors);
            for i in 0..vectors {
                let a = simd.mul_add_f32s(sign, q[0][i], p[0][i]);
                let b = simd.mul_add_f32s(sign, q[1][i], p[1][i]);
                let c = simd.mul_add_f32s(sign, q[2][i], p[2][i]);
                let d = simd.mul_add_f32s(sign, q[3][i], p[3][i]);
                out0[i] = simd.sub_f32s(a, c);
                out1[i] = simd.add_f32s(b, c);
                out2[i] = simd.sub_f32s(c, b);
                out3[i] = simd.sub_f32s(b, d);
            }
        }
    }
}

/// One row of four of `A y Aᵀ`, the adjoint of the output's transform: four planes of `[tiles, channels]`.
pub struct Gradient<'a> {
    pub planes: [&'a mut [f32]; 4],
    pub values: &'a [f32],
    pub tiles: &'a Tiles,
    pub rows: Range<usize>,
    pub row: usize,
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { planes: out, values: gradient, tiles, rows, row } = self;
        let [height, width] = tiles.size;
        let (gradient, _) = S::as_simd_f32s(gradient);
        let vectors = gradient.len() / (tiles.films * height * width);
        let mut out = out.map(|plane| S::as_mut_simd_f32s(plane).0);
        let zero = simd.splat_f32s(0.0);
        let zeros = vec![zero; vectors];
        let [upper, lower] =
            [[1.0, 0.0], [1.0, 1.0], [1.0, -1.0], [0.0, -1.0]][row].map(|f| simd.splat_f32s(f));
        for (tile, [film, top, left]) in tiles.corners(rows).enumerate() {
            let pixel = |y: usize, x: usize| {
                let (y, x) = (top + y, left + x);
                if y < height && x < width {
                    &gradient[((film * height + y) * width + x) * vectors..][..vectors]
                } else {
                    &zeros[..vectors]
                }
            };
            let (above, below) = ([pixel(0, 0), pixel(0, 1)], [pixel(1, 0), pixel(1, 1)]);
            let [out0, out1, out2, out3] = tile_of(&mut out, tile, vectors);
            for i in 0..vectors {
                let a = simd.mul_add_f32s(upper, above[0][i], simd.mul_f32s(lower, below[0][i]));
                let b = simd.mul_add_f32s(upper, above[1][i], simd.mul_f32s(lower, below[1][i]));
                out0[i] = a;
                out1[i] = simd.add_f32s(a, b);
                out2[i] = simd.sub_f32s(a, b);
                out3[i] = simd.neg_f32s(b);
            }
        }
    }
}

/// `Aᵀ m A` of sixteen planes of `[tiles, channels]`, written to the output lines of some tile rows.
pub struct Output<'a> {
    pub out: &'a mut [f32],
    pub products: &'a [f32],
    /// From one plane to the next.
    pub stride: usize,
    pub channels: usize,
    pub tiles: &'a Tiles,
    pub rows: Range<usize>,
}

impl WithSimd for Output<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { out, products, stride, channels, tiles, rows } = self;
        let [height, width] = tiles.size;
        let (products, _) = S::as_simd_f32s(products);
        let (out, _) = S::as_mut_simd_f32s(out);
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let (plane, vectors) = (stride / lanes, channels / lanes);
        let first = tiles.first_line(rows.start);
        for (tile, [film, top, left]) in tiles.corners(rows).enumerate() {
            let products = &products[tile * vectors..];
            let at = (film * height + top - first) * width + left;
            // A film of odd size has half tiles at its edges.
            let (lower, right) = (top + 1 < height, left + 1 < width);
            let (above, below) = out[at * vectors..].split_at_mut(if lower {
                width * vectors
            } else {
                (1 + usize::from(right)) * vectors
            });
            for c in 0..vectors {
                let column = |x: usize| {
                    let at = x * plane + c;
                    [
                        products[at],
                        products[4 * plane + at],
                        products[8 * plane + at],
                        products[12 * plane + at],
                    ]
                };
                let (p, q, r, s) = (column(0), column(1), column(2), column(3));
                let p = output_pair(simd, p);
                let q = output_pair(simd, q);
                let r = output_pair(simd, r);
                let s = output_pair(simd, s);
                let upper = output_pair(simd, [p[0], q[0], r[0], s[0]]);
                above[c] = upper[0];
                if right {
                    above[vectors + c] = upper[1];
                }
                if lower {
                    let lower = output_pair(simd, [p[1], q[1], r[1], s[1]]);
                    below[c] = lower[0];
                    if right {
                        below[vectors + c] = lower[1];
                    }
                }
            }
        }
    }
}

/// `Aᵀ`: two outputs of four products.
#[inline(always)]
fn output_pair<S: Simd>(simd: S, m: [S::f32s; 4]) -> [S::f32s; 2] {
    [simd.add_f32s(simd.add_f32s(m[0], m[1]), m[2]), simd.sub_f32s(simd.sub_f32s(m[1], m[2]), m[3])]
}

/// Vectors in [`CHANNELS`].
#[inline(always)]
fn lines<S: Simd>() -> usize {
    CHANNELS * size_of::<f32>() / size_of::<S::f32s>()
}

/// One tile of each of four planes.
#[inline(always)]
fn tile_of<'a, T>(planes: &'a mut [&mut [T]; 4], tile: usize, vectors: usize) -> [&'a mut [T]; 4] {
    let range = tile * vectors..(tile + 1) * vectors;
    let [a, b, c, d] = planes;
    [&mut a[range.clone()], &mut b[range.clone()], &mut c[range.clone()], &mut d[range]]
}

/// `G`: four values of a kernel's three, g₀, (g₀ + g₁ + g₂) / 2, (g₀ − g₁ + g₂) / 2, g₂.
#[inline(always)]
fn expand<S: Simd>(simd: S, g: [S::f32s; 3]) -> [S::f32s; 4] {
    let half = simd.splat_f32s(0.5);
    let ends = simd.add_f32s(g[0], g[2]);
    let (sum, difference) = (simd.add_f32s(ends, g[1]), simd.sub_f32s(ends, g[1]));
    [g[0], simd.mul_f32s(half, sum), simd.mul_f32s(half, difference), g[2]]
}

/// `Gᵀ`, the adjoint of [`expand`].
#[inline(always)]
fn reduce<S: Simd>(simd: S, u: [S::f32s; 4]) -> [S::f32s; 3] {
    let half = simd.splat_f32s(0.5);
    let sum = simd.mul_f32s(half, simd.add_f32s(u[1], u[2]));
    let difference = simd.mul_f32s(half, simd.sub_f32s(u[1], u[2]));
    [simd.add_f32s(u[0], sum), difference, simd.add_f32s(sum, u[3])]
}

/// `G g Gᵀ` of kernels (`[output, input, row, column]`) for 16 output channels and all input channels, or, turned, for
/// 16 input channels and one output channel.
pub struct Kernel<'a> {
    /// Lines of sixteen planes.
    pub out: [&'a mut [f32]; 16],
    /// The first kernel.
    pub weight: &'a [f32],
    /// Weights from one channel of a vector to the next.
    pub step: usize,
    /// Weights and values of a plane from one vector to the next.
    pub next: [usize; 2],
    pub vectors: usize,
    /// Whether taps are counted from the end.
    pub turned: bool,
}

impl WithSimd for Kernel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { out, weight, step, next, vectors, turned } = self;
        for vector in 0..vectors {
            let mut taps = [[0.0; CHANNELS]; 9];
            for channel in 0..CHANNELS {
                let source = &weight[vector * next[0] + channel * step..][..9];
                for (tap, value) in source.iter().enumerate() {
                    taps[if turned { 8 - tap } else { tap }][channel] = *value;
                }
            }
            let mut g = [&[][..]; 9];
            for (g, taps) in g.iter_mut().zip(&taps) {
                *g = S::as_simd_f32s(taps).0;
            }
            for i in 0..lines::<S>() {
                let columns = [
                    expand(simd, [g[0][i], g[3][i], g[6][i]]),
                    expand(simd, [g[1][i], g[4][i], g[7][i]]),
                    expand(simd, [g[2][i], g[5][i], g[8][i]]),
                ];
                for row in 0..4 {
                    let line = expand(simd, [columns[0][row], columns[1][row], columns[2][row]]);
                    for x in 0..4 {
                        let out = &mut out[4 * row + x][vector * next[1]..][..CHANNELS];
                        S::as_mut_simd_f32s(out).0[i] = line[x];
                    }
                }
            }
        }
    }
}

/// `Gᵀ u G`, the adjoint of [`Kernel`]: kernels of one output channel (`[input, row, column]`) from its line of each of
/// sixteen planes.
pub struct KernelGradient<'a> {
    pub out: &'a mut [f32],
    pub sums: [&'a [f32]; 16],
}

impl WithSimd for KernelGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { out, sums } = self;
        for (vector, out) in out.chunks_exact_mut(9 * CHANNELS).enumerate() {
            let mut u = [&[][..]; 16];
            for (u, sums) in u.iter_mut().zip(&sums) {
                *u = S::as_simd_f32s(&sums[vector * CHANNELS..][..CHANNELS]).0;
            }
            let mut taps = [[0.0; CHANNELS]; 9];
            for i in 0..lines::<S>() {
                let columns = [
                    reduce(simd, [u[0][i], u[4][i], u[8][i], u[12][i]]),
                    reduce(simd, [u[1][i], u[5][i], u[9][i], u[13][i]]),
                    reduce(simd, [u[2][i], u[6][i], u[10][i], u[14][i]]),
                    reduce(simd, [u[3][i], u[7][i], u[11][i], u[15][i]]),
                ];
                for row in 0..3 {
                    let line = [columns[0][row], columns[1][row], columns[2][row], columns[3][row]];
                    let line = reduce(simd, line);
                    for x in 0..3 {
                        S::as_mut_simd_f32s(&mut taps[3 * row + x]).0[i] = line[x];
                    }
                }
            }
            for (channel, out) in out.chunks_exact_mut(9).enumerate() {
                for (value, taps) in out.iter_mut().zip(&taps) {
                    *value = taps[channel];
                }
            }
        }
    }
}
