//! BYOL: each view predicts what the target network makes of the other (<https://arxiv.org/abs/2006.07733>).

use burn::tensor::Tensor;

/// Computes the loss, `(2 − 2 cos(first, other's target)) + (2 − 2 cos(second, other's target))`, the mean over films
/// (equations 2 and 3).
///
/// # Shapes
/// Both `[2n, d]`, rows `0..n` of the first views and rows `n..2n` of the second views; no gradient reaches the targets.
pub fn loss(predictions: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let n = predictions.dims()[0] / 2;
    let targets = targets.detach();
    let crossed = Tensor::cat(vec![targets.clone().narrow(0, n, n), targets.narrow(0, 0, n)], 0);
    let cosine = (normalised(predictions) * normalised(crossed)).sum_dim(1).mean();
    // The mean is over 2n rows, of which each film has two.
    cosine.mul_scalar(-4.0).add_scalar(4.0)
}

fn normalised(rows: Tensor<2>) -> Tensor<2> {
    let norms = (rows.clone() * rows.clone()).sum_dim(1).add_scalar(1e-12).sqrt();
    rows / norms
}

/// Returns the target's momentum after step `step` of `steps`, both counted from 0: half a cosine from `start` to 1
/// (section 3.3).
pub fn momentum(start: f64, step: u64, steps: u64) -> f64 {
    let done = (step as f64 / steps.max(1) as f64).min(1.0);
    1.0 - (1.0 - start) * ((std::f64::consts::PI * done).cos() + 1.0) / 2.0
}
