//! Embeddings of the films in memory, their normalisation, and the dot products that everything here is made of.

/// An embedding matrix whose length is no multiple of its width.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{values} embedding values cannot be cut into rows of {dim}; embed the films again")]
pub struct RaggedEmbeddings {
    dim: usize,
    values: usize,
}

/// Embeddings of `n` films, row-major, `n` x `dim`.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    dim: usize,
    values: Vec<f32>,
    fingerprint: u64,
}

impl Embeddings {
    /// Takes `values` as rows of `dim` numbers each, one row a film.
    ///
    /// # Errors
    /// When `dim` is zero or `values` does not hold whole rows.
    pub fn new(dim: usize, values: Vec<f32>) -> Result<Self, RaggedEmbeddings> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(RaggedEmbeddings { dim, values: values.len() });
        }
        let fingerprint = fingerprint(dim, &values);
        Ok(Self { dim, values, fingerprint })
    }

    /// Returns the length of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns the number of films.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Says whether there is no film.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the embedding of film `index`; out of range is a defect of the caller and panics.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dim..(index + 1) * self.dim]
    }

    /// Returns all rows, one after the other.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Returns the rows of the films in `rows`, in that order; out of range is a defect of the caller and panics.
    pub fn select(&self, rows: &[usize]) -> Self {
        let values: Vec<f32> = rows.iter().flat_map(|&row| self.row(row)).copied().collect();
        Self { dim: self.dim, fingerprint: fingerprint(self.dim, &values), values }
    }

    /// Returns a 64-bit digest of the content: what was computed from embeddings is kept under it.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Returns the rows scaled to Euclidean length one.
    ///
    /// A row of zeros, or with a value that is not finite, becomes a row of zeros: it is then at distance one from
    /// every film and never typical of anything.
    pub fn normalised(&self) -> Self {
        let mut values = self.values.clone();
        for row in values.chunks_exact_mut(self.dim) {
            scale_to(row, 1.0);
        }
        let fingerprint = fingerprint(self.dim, &values);
        Self { dim: self.dim, values, fingerprint }
    }
}

/// Shift of each dimension, measured over the pool without looking at labels, after which every film has one length.
///
/// The logistic head's penalty treats all dimensions alike, so a fixed grid of penalties makes sense only on a
/// fixed scale: the length is the root of the number of dimensions, a mean square of one. With one length for all, no
/// film outweighs the others by lying far out, which tells where labels are few. Each block of an embedding has an equal
/// share of it, so that none drowns the others by its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardisation {
    mean: Vec<f32>,
    /// Dimensions of each block.
    blocks: Vec<usize>,
}

impl Standardisation {
    /// Measures the mean over the finite rows of `x`, whose dimensions are `blocks` side by side.
    pub fn measure(x: &Embeddings, blocks: &[usize]) -> Self {
        let mut sums = vec![0.0f64; x.dim];
        let mut films = 0.0f64;
        for row in x.values.chunks_exact(x.dim).filter(|row| row.iter().all(|v| v.is_finite())) {
            films += 1.0;
            for (sum, &v) in sums.iter_mut().zip(row) {
                *sum += f64::from(v);
            }
        }
        let mean = sums.iter().map(|sum| (sum / films.max(1.0)) as f32).collect();
        Self { mean, blocks: blocks.to_vec() }
    }

    /// Returns the mean of each dimension.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Returns the dimensions of each block.
    pub fn blocks(&self) -> &[usize] {
        &self.blocks
    }

    /// Returns `x` shifted and brought to the one length, its blocks to equal lengths; `x` must have the width that was
    /// measured. A block that is at the mean, or a film with a value that is not finite, becomes zeros.
    pub fn apply(&self, x: &Embeddings) -> Embeddings {
        let mut values = x.values.clone();
        for row in values.chunks_exact_mut(x.dim) {
            for (v, mean) in row.iter_mut().zip(&self.mean) {
                *v -= mean;
            }
            if row.iter().any(|v| !v.is_finite()) {
                row.fill(0.0);
            }
            let length = (x.dim as f64 / self.blocks.len() as f64).sqrt();
            let mut rest = row;
            for &block in &self.blocks {
                let (values, others) = rest.split_at_mut(block.min(rest.len()));
                scale_to(values, length);
                rest = others;
            }
        }
        let fingerprint = fingerprint(x.dim, &values);
        Embeddings { dim: x.dim, values, fingerprint }
    }
}

/// Scales a row to a Euclidean length; one of zeros or with a value that is not finite becomes zeros.
fn scale_to(row: &mut [f32], length: f64) {
    let found = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    if found.is_finite() && found > 0.0 {
        for v in row {
            *v = (f64::from(*v) * length / found) as f32;
        }
    } else {
        row.fill(0.0);
    }
}

/// Mixes the bits of all values into 64; four chains side by side, since one would wait on its multiplications.
fn fingerprint(dim: usize, values: &[f32]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix =
        |chain: u64, v: f32| (chain ^ u64::from(v.to_bits())).wrapping_mul(ODD).rotate_left(29);
    let mut chains = [1u64, 2, 3, dim as u64];
    let (blocks, rest) = values.as_chunks::<4>();
    for block in blocks {
        for (chain, &v) in chains.iter_mut().zip(block) {
            *chain = mix(*chain, v);
        }
    }
    chains[0] = rest.iter().fold(chains[0], |chain, &v| mix(chain, v));
    chains
        .iter()
        .fold(values.len() as u64, |all, &chain| (all ^ chain).wrapping_mul(ODD).rotate_left(31))
}

/// Returns the dot products of four rows with two, all of one length.
///
/// Eight at a time, because each loaded value then serves several products: three times as fast as one by one.
pub(crate) fn dots(a: [&[f32]; 4], b: [&[f32]; 2]) -> [[f32; 2]; 4] {
    const LANES: usize = 4;
    let a = a.map(|row| row.as_chunks::<LANES>());
    let b = b.map(|row| row.as_chunks::<LANES>());
    let mut lanes = [[[0.0f32; LANES]; 2]; 4];
    // Zipped and not indexed, so that no bound is checked inside.
    let first = a[0].0.iter().zip(a[1].0).zip(a[2].0).zip(a[3].0);
    for ((((a0, a1), a2), a3), (b0, b1)) in first.zip(b[0].0.iter().zip(b[1].0)) {
        for (sums, values) in lanes.iter_mut().zip([a0, a1, a2, a3]) {
            for lane in 0..LANES {
                sums[0][lane] += values[lane] * b0[lane];
                sums[1][lane] += values[lane] * b1[lane];
            }
        }
    }
    let mut products = [[0.0; 2]; 4];
    for i in 0..4 {
        for j in 0..2 {
            let rest: f32 = a[i].1.iter().zip(b[j].1).map(|(p, q)| p * q).sum();
            products[i][j] = lanes[i][j].iter().sum::<f32>() + rest;
        }
    }
    products
}

/// Returns the dot product of two rows.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (p, q) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += p[lane] * q[lane];
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(p, q)| p * q).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&p, &q)| f64::from(p) * f64::from(q)).sum()
    }

    proptest! {
        #[test]
        fn dot_products_agree_with_double_precision(
            rows in (1usize..70).prop_flat_map(|d| prop::collection::vec(prop::collection::vec(-1f32..1.0, d), 6))
        ) {
            let r: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            let tile = dots([r[0], r[1], r[2], r[3]], [r[4], r[5]]);
            for i in 0..4 {
                for j in 0..2 {
                    prop_assert!((f64::from(tile[i][j]) - slow(r[i], r[4 + j])).abs() < 1e-4);
                    prop_assert!((f64::from(dot(r[i], r[4 + j])) - slow(r[i], r[4 + j])).abs() < 1e-4);
                }
            }
        }

        #[test]
        fn normalised_rows_have_length_one(values in prop::collection::vec(-9f32..9.0, 12)) {
            let x = Embeddings::new(4, values).unwrap().normalised();
            for i in 0..3 {
                let length = slow(x.row(i), x.row(i));
                prop_assert!((length - 1.0).abs() < 1e-5 || length == 0.0);
            }
        }
    }

    #[test]
    fn rows_that_are_not_finite_become_zero() {
        let x = Embeddings::new(2, vec![3.0, 4.0, f32::NAN, 1.0, 0.0, 0.0]).unwrap().normalised();
        assert_eq!(x.values(), [0.6, 0.8, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn ragged_values_are_refused() {
        assert!(Embeddings::new(3, vec![0.0; 4]).is_err());
        assert!(Embeddings::new(0, Vec::new()).is_err());
    }

    #[test]
    fn standardised_films_point_from_the_pools_mean_and_have_one_length() {
        let pool = Embeddings::new(2, vec![1.0, 5.0, 3.0, 5.0, f32::NAN, 0.0]).unwrap();
        let scale = Standardisation::measure(&pool, &[2]);
        let root = 2f32.sqrt();
        assert_eq!(scale.apply(&pool).values(), [-root, 0.0, root, 0.0, 0.0, 0.0]);
        let others = Embeddings::new(2, vec![2.0, 5.0, 2.0, 5.1, 5.0, 9.0]).unwrap();
        let found = scale.apply(&others);
        let expected = [0.0, 0.0, 0.0, root, 2f32.sqrt() * 0.6, 2f32.sqrt() * 0.8];
        for (found, expected) in found.values().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    #[test]
    fn fingerprint_follows_the_content() {
        let x = Embeddings::new(3, (0..9).map(|v| v as f32).collect()).unwrap();
        assert_eq!(x.fingerprint(), x.clone().fingerprint());
        for i in 0..9 {
            let mut values = x.values().to_vec();
            values[i] += 0.5;
            assert_ne!(Embeddings::new(3, values).unwrap().fingerprint(), x.fingerprint());
        }
        let flat = Embeddings::new(9, x.values().to_vec()).unwrap();
        assert_ne!(flat.fingerprint(), x.fingerprint());
    }
}
