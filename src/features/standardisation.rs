//! Features on the scale that the logistic head sees.

use super::embeddings::Embeddings;

/// Shift of each dimension, measured over the pool without looking at labels, after which every film has one length.
///
/// The logistic head's penalty treats all dimensions alike, so a fixed grid of penalties makes sense only on a fixed
/// scale. The length is the root of the number of dimensions: a mean square of one. No film outweighs the others by lying
/// far out, which tells where labels are few. Each encoder's block has an equal share of the squared length, and within a
/// block each of its parts, so that none drowns the others by its size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standardisation {
    mean: Vec<f32>,
    /// Dimensions of each part of a row, and the length that it is brought to.
    parts: Vec<(usize, f64)>,
}

impl Standardisation {
    /// Measures the mean over the finite rows of `x`, whose dimensions are `blocks` side by side, each of parts of these
    /// widths.
    pub(super) fn measure(x: &Embeddings, blocks: &[Vec<usize>]) -> Self {
        let mut sums = vec![0.0f64; x.dim()];
        let mut films = 0.0f64;
        for film in 0..x.len() {
            let row = x.row(film);
            if row.iter().all(|v| v.is_finite()) {
                films += 1.0;
                for (sum, &v) in sums.iter_mut().zip(&*row) {
                    *sum += f64::from(v);
                }
            }
        }
        let mean = sums.iter().map(|sum| (sum / films.max(1.0)) as f32).collect();
        let of_block = |block: &Vec<usize>| {
            let length = (x.dim() as f64 / (blocks.len() * block.len()) as f64).sqrt();
            block.iter().map(move |&width| (width, length)).collect::<Vec<_>>()
        };
        Self { mean, parts: blocks.iter().flat_map(of_block).collect() }
    }

    /// Leaves rows of this width as they are.
    pub(super) fn identity(dim: usize) -> Self {
        Self { mean: vec![0.0; dim], parts: Vec::new() }
    }

    /// Returns the mean of each dimension.
    pub(super) fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Returns the dimensions of each part.
    pub(super) fn parts(&self) -> Vec<usize> {
        self.parts.iter().map(|&(width, _)| width).collect()
    }

    /// Returns `x` shifted and brought to the one length, its parts to theirs; `x` must have the width that was measured.
    /// A part that is at the mean, or a film with a value that is not finite, becomes zeros.
    ///
    /// In the memory of `x`, if nothing else holds it.
    pub(super) fn apply(&self, x: Embeddings) -> Embeddings {
        x.mapped(&mut |row| {
            for (v, mean) in row.iter_mut().zip(&self.mean) {
                *v -= mean;
            }
            if row.iter().any(|v| !v.is_finite()) {
                row.fill(0.0);
            }
            let mut rest = row;
            for &(width, length) in &self.parts {
                let (values, others) = rest.split_at_mut(width.min(rest.len()));
                scale_to(values, length);
                rest = others;
            }
        })
    }
}

/// Scales a row to a Euclidean length; one of zeros or with a value that is not finite becomes zeros.
pub(super) fn scale_to(row: &mut [f32], length: f64) {
    let found = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    if found.is_finite() && found > 0.0 {
        for v in row {
            *v = (f64::from(*v) * length / found) as f32;
        }
    } else {
        row.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standardised_films_point_from_the_pools_mean_and_have_one_length() {
        let pool = Embeddings::new(2, vec![1.0, 5.0, 3.0, 5.0, 9.0, 0.0]).unwrap().without(&[2]);
        let scale = Standardisation::measure(&pool, &[vec![2]]);
        let root = 2f32.sqrt();
        assert_eq!(*scale.apply(pool).values(), [-root, 0.0, root, 0.0, 0.0, 0.0]);
        let others = Embeddings::new(2, vec![2.0, 5.0, 2.0, 5.1, 5.0, 9.0]).unwrap();
        let found = scale.apply(others);
        let expected = [0.0, 0.0, 0.0, root, 2f32.sqrt() * 0.6, 2f32.sqrt() * 0.8];
        for (found, expected) in found.values().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    /// Two encoders, the second with two parts: each encoder has half of the squared length.
    #[test]
    fn encoders_share_a_films_length_equally_and_parts_their_encoders() {
        let x = Embeddings::new(4, vec![1.0, 2.0, -900.0, 4.0, -1.0, -2.0, 900.0, -4.0]).unwrap();
        let found = Standardisation::measure(&x, &[vec![2], vec![1, 1]]).apply(x);
        let squares: Vec<f32> = found.row(0).iter().map(|v| v * v).collect();
        for (found, expected) in
            [squares[0] + squares[1], squares[2], squares[3]].iter().zip([2.0, 1.0, 1.0])
        {
            assert!((found - expected).abs() < 1e-5, "{squares:?}");
        }
    }
}
