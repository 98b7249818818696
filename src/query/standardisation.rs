//! Features on the scale that the logistic head sees.

use super::embeddings::Embeddings;

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
    ///
    /// In the memory of `x`, if nothing else holds it.
    pub fn apply(&self, x: Embeddings) -> Embeddings {
        let length = (x.dim() as f64 / self.blocks.len() as f64).sqrt();
        x.mapped(&mut |row| {
            for (v, mean) in row.iter_mut().zip(&self.mean) {
                *v -= mean;
            }
            if row.iter().any(|v| !v.is_finite()) {
                row.fill(0.0);
            }
            let mut rest = row;
            for &block in &self.blocks {
                let (values, others) = rest.split_at_mut(block.min(rest.len()));
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
        let scale = Standardisation::measure(&pool, &[2]);
        let root = 2f32.sqrt();
        assert_eq!(*scale.apply(pool).values(), [-root, 0.0, root, 0.0, 0.0, 0.0]);
        let others = Embeddings::new(2, vec![2.0, 5.0, 2.0, 5.1, 5.0, 9.0]).unwrap();
        let found = scale.apply(others);
        let expected = [0.0, 0.0, 0.0, root, 2f32.sqrt() * 0.6, 2f32.sqrt() * 0.8];
        for (found, expected) in found.values().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }
}
