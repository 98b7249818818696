//! Embeddings of the films in memory.

use std::borrow::Cow;
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use super::standardisation::scale_to;

/// Values, a quarter of a gigabyte of them, above which an embedding matrix is kept in half precision.
const MANY: usize = 1 << 26;

/// An embedding matrix whose length is no multiple of its width.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{values} embedding values cannot be cut into rows of {dim}; embed the films again")]
pub struct RaggedEmbeddings {
    dim: usize,
    values: usize,
}

/// Embeddings of `n` films, row-major, `n` x `dim`; clones share the memory.
///
/// Those of very many films, more than 2²⁶ values, are kept in half precision, each row relative to its largest value: off by
/// up to 1 in 2,048.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    dim: usize,
    values: Values,
    fingerprint: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Values {
    Single(Arc<Vec<f32>>),
    /// Rows in -1..=1, and what each is multiplied by: NaN for a row with a value that is not finite.
    Half(Arc<Vec<f16>>, Vec<f32>),
}

impl Embeddings {
    /// Takes `values` as rows of `dim` numbers each, one row a film.
    ///
    /// # Errors
    /// When `dim` is zero or `values` does not hold whole rows.
    pub fn new(dim: usize, values: Vec<f32>) -> Result<Self, RaggedEmbeddings> {
        if values.len() > MANY {
            let mut rows = EmbeddingRows::new(dim, values.len() / dim.max(1));
            rows.push(&values);
            return rows.finish();
        }
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(RaggedEmbeddings { dim, values: values.len() });
        }
        Ok(Self::of(dim, Values::Single(Arc::new(values))))
    }

    fn of(dim: usize, values: Values) -> Self {
        let fingerprint = match &values {
            Values::Single(values) => fingerprint(dim, values, f32::to_bits),
            Values::Half(values, factors) => fingerprint(
                fingerprint(dim, factors, f32::to_bits) as usize,
                values,
                |value: f16| u32::from(value.to_bits()),
            ),
        };
        Self { dim, values, fingerprint }
    }

    /// Returns the length of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns the number of films.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Single(values) => values.len() / self.dim,
            Values::Half(_, factors) => factors.len(),
        }
    }

    /// Says whether there is no film.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the embedding of film `index`; out of range is a defect of the caller and panics.
    pub fn row(&self, index: usize) -> Cow<'_, [f32]> {
        match &self.values {
            Values::Single(values) => Cow::Borrowed(&values[index * self.dim..][..self.dim]),
            Values::Half(..) => {
                let mut row = Vec::new();
                self.row_in(index, &mut row);
                Cow::Owned(row)
            }
        }
    }

    /// [`Self::row`] that needs no new memory for a row of half precision.
    pub fn row_in<'a>(&'a self, index: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        match &self.values {
            Values::Single(values) => &values[index * self.dim..][..self.dim],
            Values::Half(values, factors) => {
                scratch.resize(self.dim, 0.0);
                widen(&values[index * self.dim..][..self.dim], factors[index], scratch);
                scratch
            }
        }
    }

    /// Returns all rows, one after the other; of very many films a copy of twice their memory.
    pub fn values(&self) -> Cow<'_, [f32]> {
        match &self.values {
            Values::Single(values) => Cow::Borrowed(values),
            Values::Half(..) => {
                (0..self.len()).flat_map(|row| self.row(row).into_owned()).collect()
            }
        }
    }

    /// Says whether the rows are kept in half precision.
    pub fn is_half(&self) -> bool {
        matches!(self.values, Values::Half(..))
    }

    /// Writes the bytes that the embedding of film `index` is kept as over others: little-endian values, behind what each is
    /// multiplied by where they are of half precision.
    pub fn row_bytes(&self, index: usize, bytes: &mut Vec<u8>) {
        bytes.clear();
        let range = index * self.dim..(index + 1) * self.dim;
        match &self.values {
            Values::Single(values) => {
                bytes.extend(values[range].iter().flat_map(|v| v.to_le_bytes()));
            }
            Values::Half(values, factors) => {
                bytes.extend(factors[index].to_le_bytes());
                bytes.extend(values[range].iter().flat_map(|v| v.to_le_bytes()));
            }
        }
    }

    /// Returns the rows of the films in `rows`, in that order; out of range is a defect of the caller and panics.
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut selected = EmbeddingRows::new(self.dim, rows.len());
        for &row in rows {
            selected.push(&self.row(row));
        }
        Self::of(self.dim, selected.values)
    }

    /// Returns a 64-bit digest of the content: what was computed from embeddings is kept under it.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Returns the rows scaled to Euclidean length one; of very many films they share the memory.
    ///
    /// A row of zeros, or with a value that is not finite, becomes a row of zeros: it is then at distance one from
    /// every film and never typical of anything.
    pub fn normalised(&self) -> Self {
        let Values::Half(values, factors) = &self.values else {
            return self.clone().mapped(&mut |row| scale_to(row, 1.0));
        };
        let factor = |(row, factor): (usize, &f32)| {
            let squares = self.row(row).iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
            let factor = (f64::from(*factor) / squares.sqrt()) as f32;
            if factor.is_finite() { factor } else { 0.0 }
        };
        let factors = factors.iter().enumerate().map(factor).collect();
        Self::of(self.dim, Values::Half(Arc::clone(values), factors))
    }

    /// Returns the rows with NaN in all of `rows`, which is what a film without an embedding has.
    pub fn without(self, rows: &[usize]) -> Self {
        if rows.is_empty() {
            return self;
        }
        let mut at = 0..;
        self.mapped(&mut |row| {
            if at.next().is_some_and(|film| rows.contains(&film)) {
                row.fill(f32::NAN);
            }
        })
    }

    /// Returns the rows as `change` leaves them, in this memory if nothing else holds it.
    pub(super) fn mapped(self, change: &mut dyn FnMut(&mut [f32])) -> Self {
        let values = match self.values {
            Values::Single(values) => {
                let mut values = Arc::unwrap_or_clone(values);
                values.chunks_exact_mut(self.dim).for_each(change);
                Values::Single(Arc::new(values))
            }
            Values::Half(values, mut factors) => {
                let (mut values, mut row) = (Arc::unwrap_or_clone(values), vec![0.0; self.dim]);
                for (narrow, factor) in values.chunks_exact_mut(self.dim).zip(&mut factors) {
                    widen(narrow, *factor, &mut row);
                    change(&mut row);
                    *factor = self::narrow(&mut row, narrow);
                }
                Values::Half(Arc::new(values), factors)
            }
        };
        Self::of(self.dim, values)
    }

    /// Returns the same in half precision, whatever the number of films.
    #[cfg(test)]
    pub(crate) fn halved(&self) -> Self {
        let values = Values::Half(Arc::new(Vec::new()), Vec::new());
        let mut rows = EmbeddingRows { dim: self.dim, values, ragged: 0 };
        rows.push(&self.values());
        Self::of(self.dim, rows.values)
    }
}

/// Embeddings that come batch by batch, so that no more than a batch of very many is in memory in full precision.
#[derive(Debug)]
pub struct EmbeddingRows {
    dim: usize,
    values: Values,
    /// Values that are no whole row.
    ragged: usize,
}

impl EmbeddingRows {
    /// Begins with none of `films` rows of `dim` numbers.
    pub fn new(dim: usize, films: usize) -> Self {
        let many = dim.saturating_mul(films);
        let values = if many > MANY {
            Values::Half(Arc::new(Vec::with_capacity(many)), Vec::with_capacity(films))
        } else {
            Values::Single(Arc::new(Vec::with_capacity(many)))
        };
        Self { dim, values, ragged: 0 }
    }

    /// Adds whole rows.
    pub fn push(&mut self, rows: &[f32]) {
        let dim = self.dim.max(1);
        self.ragged += rows.len() % dim;
        match &mut self.values {
            Values::Single(values) => Arc::make_mut(values).extend_from_slice(rows),
            Values::Half(values, factors) => {
                let (values, mut row) = (Arc::make_mut(values), Vec::with_capacity(dim));
                for added in rows.chunks_exact(dim) {
                    row.clear();
                    row.extend_from_slice(added);
                    let start = values.len();
                    values.resize(start + dim, f16::ZERO);
                    factors.push(narrow(&mut row, &mut values[start..]));
                }
            }
        }
    }

    /// Says whether the rows will be kept in half precision.
    pub fn is_half(&self) -> bool {
        matches!(self.values, Values::Half(..))
    }

    /// Adds a row of the bytes that [`Embeddings::row_bytes`] gives of rows of this precision.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        let single = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
        match &mut self.values {
            Values::Single(values) => {
                let (row, rest) = bytes.as_chunks::<4>();
                self.ragged += row.len() % self.dim.max(1) + rest.len();
                Arc::make_mut(values).extend(row.iter().map(single));
            }
            Values::Half(values, factors) => {
                let (factor, row) = bytes.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
                let (row, rest) = row.as_chunks::<2>();
                self.ragged += row.len().abs_diff(self.dim) + rest.len();
                factors.push(single(factor));
                Arc::make_mut(values).extend(row.iter().map(|&bytes| f16::from_le_bytes(bytes)));
            }
        }
    }

    /// Returns the embeddings.
    ///
    /// # Errors
    /// When `dim` is zero or what was added is not whole rows.
    pub fn finish(self) -> Result<Embeddings, RaggedEmbeddings> {
        let Self { dim, values, ragged } = self;
        if dim == 0 || ragged > 0 {
            return Err(RaggedEmbeddings { dim, values: ragged });
        }
        Ok(Embeddings::of(dim, values))
    }
}

/// Writes a row of half precision, times its factor.
fn widen(narrow: &[f16], factor: f32, row: &mut [f32]) {
    narrow.convert_to_f32_slice(row);
    for v in row {
        *v *= factor;
    }
}

/// Writes a row in half precision, relative to its largest value, and returns that; the row is spoilt.
fn narrow(row: &mut [f32], narrow: &mut [f16]) -> f32 {
    let largest = row.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
    // A NaN is never the larger one.
    if !largest.is_finite() || row.iter().any(|v| v.is_nan()) {
        narrow.fill(f16::ZERO);
        return f32::NAN;
    }
    let scale = if largest > 0.0 { largest.recip() } else { 0.0 };
    // The reciprocal of what is nearly zero is not finite.
    let scale = if scale.is_finite() { scale } else { 0.0 };
    for v in row.iter_mut() {
        *v *= scale;
    }
    narrow.convert_from_f32_slice(row);
    largest
}

/// Mixes the bits of all values into 64; four chains side by side, since one would wait on its multiplications.
fn fingerprint<T: Copy>(dim: usize, values: &[T], bits: impl Fn(T) -> u32) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |chain: u64, v: T| (chain ^ u64::from(bits(v))).wrapping_mul(ODD).rotate_left(29);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn normalised_rows_have_length_one(values in prop::collection::vec(-9f32..9.0, 12)) {
            let single = Embeddings::new(4, values).unwrap();
            for x in [single.normalised(), single.halved().normalised()] {
                for film in 0..3 {
                    let length: f64 = x.row(film).iter().map(|&v| f64::from(v).powi(2)).sum();
                    prop_assert!((length - 1.0).abs() < 1e-5 || length == 0.0);
                }
            }
        }

        /// Of any size: a row is relative to its largest value.
        #[test]
        fn half_precision_is_off_by_one_in_two_thousand(
            values in prop::collection::vec(-1f32..1.0, 12), exponent in -30i32..30
        ) {
            let size = 10f32.powi(exponent);
            let values: Vec<f32> = values.into_iter().map(|v| v * size).collect();
            let x = Embeddings::new(4, values).unwrap();
            let half = x.halved();
            prop_assert_eq!((half.len(), half.dim()), (3, 4));
            for film in 0..3 {
                let (exact, found) = (x.row(film), half.row(film));
                let largest = exact.iter().fold(0f32, |largest, v| largest.max(v.abs()));
                for (exact, found) in exact.iter().zip(&*found) {
                    prop_assert!((exact - found).abs() <= largest / 2048.0, "{} of {}", found, exact);
                }
            }
            let selected = half.select(&[0, 1, 2]);
            prop_assert_eq!(half.values(), selected.values());
        }
    }

    #[test]
    fn rows_that_are_not_finite_become_zero() {
        let values = vec![3.0, 4.0, f32::NAN, 1.0, 0.0, 0.0, f32::INFINITY, 1.0];
        let x = Embeddings::new(2, values).unwrap();
        assert_eq!(*x.normalised().values(), [0.6, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let half = x.halved();
        assert!(half.row(1).iter().chain(&*half.row(3)).all(|v| v.is_nan()));
        assert_eq!(half.normalised().values()[2..], [0.0; 6]);
    }

    #[test]
    fn ragged_values_are_refused() {
        assert!(Embeddings::new(3, vec![0.0; 4]).is_err());
        assert!(Embeddings::new(0, Vec::new()).is_err());
        let mut rows = EmbeddingRows::new(3, 2);
        rows.push(&[0.0; 4]);
        assert!(rows.finish().is_err());
        assert!(EmbeddingRows::new(0, 2).finish().is_err());
    }

    #[test]
    fn rows_that_come_in_batches_are_the_same() {
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let mut rows = EmbeddingRows::new(3, 4);
        values.chunks(6).for_each(|batch| rows.push(batch));
        assert_eq!(rows.finish().unwrap(), Embeddings::new(3, values).unwrap());
    }

    /// So many that a matrix is kept in half precision, as its users would have it.
    #[test]
    fn very_many_take_half_the_memory() {
        let dim = 1 << 20;
        let mut rows = EmbeddingRows::new(dim, 65);
        let row: Vec<f32> = (0..dim).map(|v| v as f32).collect();
        (0..65).for_each(|_| rows.push(&row));
        let x = rows.finish().unwrap();
        let directions = x.normalised();
        let (Values::Half(one, _), Values::Half(two, _)) = (&x.values, &directions.values) else {
            panic!("full precision")
        };
        assert!(Arc::ptr_eq(one, two));
        let moved = x.mapped(&mut |row| row.iter_mut().for_each(|v| *v += 1.0));
        assert!((moved.row(64)[dim - 1] - dim as f32).abs() < 512.0);
    }

    #[test]
    fn fingerprint_follows_the_content() {
        let x = Embeddings::new(3, (0..9).map(|v| v as f32).collect()).unwrap();
        assert_eq!(x.fingerprint(), x.clone().fingerprint());
        for i in 0..9 {
            let mut values = x.values().to_vec();
            values[i] += 0.5;
            let other = Embeddings::new(3, values).unwrap();
            assert_ne!(other.fingerprint(), x.fingerprint());
            assert_ne!(other.halved().fingerprint(), x.halved().fingerprint());
        }
        let flat = Embeddings::new(9, x.values().to_vec()).unwrap();
        assert_ne!(flat.fingerprint(), x.fingerprint());
        assert_ne!(x.halved().normalised().fingerprint(), x.halved().fingerprint());
    }
}
