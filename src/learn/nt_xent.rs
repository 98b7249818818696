//! NT-Xent, the contrastive loss of SimCLR (<https://arxiv.org/abs/2002.05709>, section 2.1).

use burn::tensor::{Bool, Tensor};

/// Loss and what it was computed from.
pub struct NtXent {
    /// Mean over all 2n rows, shape `[1]`.
    pub loss: Tensor<1>,
    /// Similarities over the temperature, shape `[2n, 2n]`, the diagonal at −1e9.
    pub similarities: Tensor<2>,
}

/// Computes the loss of `2n` projections, rows `0..n` the first views and rows `n..2n` the second views of the same
/// films.
///
/// This is the paper's mean over 2n rows. Google's code adds the means of the two halves and so returns exactly twice
/// this value (`objective.py`).
///
/// # Shapes
/// `[2n, d]`, any scale: rows are normalised here.
pub fn nt_xent(projections: Tensor<2>, temperature: f32) -> NtXent {
    contrastive(projections, temperature, false, None)
}

/// [`nt_xent`] with two options.
///
/// `decoupled` leaves each row's positive out of its denominator (<https://arxiv.org/abs/2110.06848>, equation 6); there
/// must then be another film or a key. `keys` are further negatives of every row, `[k, d]` of length 1.
pub fn contrastive(
    projections: Tensor<2>,
    temperature: f32,
    decoupled: bool,
    keys: Option<Tensor<2>>,
) -> NtXent {
    let device = projections.device();
    let rows = projections.dims()[0];
    let n = rows / 2;
    let norms = (projections.clone() * projections.clone()).sum_dim(1).add_scalar(1e-12).sqrt();
    let z = projections / norms;
    let first = z.clone().narrow(0, 0, n);
    let second = z.clone().narrow(0, n, n);
    let positives = (first * second).sum_dim(1).div_scalar(temperature);
    let diagonal = |offset| Tensor::<2, Bool>::diag_mask([rows, rows], offset, &device).bool_not();
    let similarities = z
        .clone()
        .matmul(z.clone().transpose())
        .div_scalar(temperature)
        .mask_fill(diagonal(0), -1e9);
    let mut logits = similarities.clone();
    if decoupled {
        let partner = n as i64;
        logits = logits.mask_fill(diagonal(partner), -1e9).mask_fill(diagonal(-partner), -1e9);
    }
    if let Some(keys) = keys {
        logits = Tensor::cat(vec![logits, z.matmul(keys.transpose()).div_scalar(temperature)], 1);
    }
    let highest = logits.clone().detach().max_dim(1);
    let partition = (logits - highest.clone()).exp().sum_dim(1).log() + highest;
    // Each positive pair counts for both of its rows.
    let loss = partition.mean() - positives.mean();
    NtXent { loss, similarities }
}

/// Returns the share of first views whose most similar row is their own second view; chance is 1 / (2n − 1).
///
/// # Shapes
/// `similarities` holds `[2n, 2n]`, row-major.
pub fn contrastive_accuracy(similarities: &[f32], n: usize) -> f32 {
    let hits = (0..n)
        .filter(|&row| {
            let others = &similarities[row * 2 * n..(row + 1) * 2 * n];
            let positive = others[n + row];
            others.iter().enumerate().all(|(column, &value)| column == n + row || value < positive)
        })
        .count();
    hits as f32 / n.max(1) as f32
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::rng;

    fn loss(values: &[f32], rows: usize, temperature: f32) -> f32 {
        let data = TensorData::new(values.to_vec(), [rows, values.len() / rows]);
        nt_xent(Tensor::from_data(data, &Device::flex()), temperature).loss.into_scalar()
    }

    /// Triple-loop reference in double precision.
    fn slow(values: &[f32], rows: usize, temperature: f64) -> f64 {
        let d = values.len() / rows;
        let row =
            |i: usize| values[i * d..(i + 1) * d].iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let similarity = |i: usize, j: usize| {
            let (a, b) = (row(i), row(j));
            let dot: f64 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
            dot / (norm(&a) * norm(&b)) / temperature
        };
        let mut total = 0.0;
        for i in 0..rows {
            let partner = (i + rows / 2) % rows;
            let partition: f64 =
                (0..rows).filter(|&j| j != i).map(|j| similarity(i, j).exp()).sum();
            total -= similarity(i, partner) - partition.ln();
        }
        total / rows as f64
    }

    const VIEWS: [f32; 12] = [1., 2., 3., 4., -1., 0.5, 0.9, 2.1, 2.5, 3., -2., 1.];

    #[test]
    fn golden_values() {
        for (temperature, expected) in
            [(0.1, 0.000_783_970_9), (0.5, 0.339_298_2), (1.0, 0.640_371_7)]
        {
            let found = loss(&VIEWS, 4, temperature);
            assert!((found - expected).abs() < 2e-6, "T {temperature}: {found} is not {expected}");
        }
    }

    #[test]
    fn golden_gradient() {
        let device = Device::flex().autodiff();
        let z =
            Tensor::<2>::from_data(TensorData::new(VIEWS.to_vec(), [4, 3]), &device).require_grad();
        let gradients = nt_xent(z.clone(), 0.5).loss.backward();
        let found = z.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
        let expected =
            [0.066_906_94, -0.044_657_387, 0.007_469_278, 0.011_754_796, 0.069_365_8, 0.044_693_24];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    #[test]
    fn agrees_with_a_slow_reference() {
        let mut random = rng::stream(7, "test", &[]);
        for n in [1, 2, 4, 8, 16] {
            for d in [2, 16, 64] {
                let values: Vec<f32> = (0..2 * n * d).map(|_| rng::normal(&mut random)).collect();
                for temperature in [0.1, 1.0, 10.0] {
                    let found = f64::from(loss(&values, 2 * n, temperature));
                    let expected = slow(&values, 2 * n, f64::from(temperature));
                    assert!(
                        (found - expected).abs() < 1e-4 * expected.max(1.0),
                        "{found} is not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn identical_rows_cost_the_logarithm_of_their_number() {
        for n in [2_usize, 5, 20] {
            let found = loss(&[0.3, -0.7].repeat(2 * n), 2 * n, 0.5);
            assert!((found - ((2 * n - 1) as f32).ln()).abs() < 1e-5);
        }
    }

    #[test]
    fn accuracy_counts_first_views_that_find_their_second() {
        // Film 0 finds its own second view, film 1 finds film 0's.
        let similarities = [-9., 0., 1., 0., 0., -9., 1., 0.5, 1., 1., -9., 0., 0., 0.5, 0., -9.];
        assert_eq!(contrastive_accuracy(&similarities, 2), 0.5);
    }
}
