//! VICReg: views of a film close together, every dimension spread, no two dimensions alike
//! (<https://arxiv.org/abs/2105.04906>, reference code `main_vicreg.py`).

use burn::tensor::activation::relu;
use burn::tensor::{Bool, Tensor};

/// The three terms, shape `[1]` each, before their weights.
pub struct Terms {
    /// Mean squared difference between the views, over films and dimensions.
    pub invariance: Tensor<1>,
    /// Mean over dimensions of what the standard deviation lacks to 1, and mean of both views.
    ///
    /// The paper's equation 6 adds the two views; the reference code halves the sum, and so does this.
    pub variance: Tensor<1>,
    /// Sum of squared covariances off the diagonal over the number of dimensions, both views added.
    pub covariance: Tensor<1>,
}

/// Computes the terms. Variances and covariances are divided by n − 1: n is at least 2.
///
/// # Shapes
/// `[2n, d]`, rows `0..n` of the first views and rows `n..2n` of the second views.
pub fn terms(embeddings: Tensor<2>) -> Terms {
    let n = embeddings.dims()[0] / 2;
    let first = embeddings.clone().narrow(0, 0, n);
    let second = embeddings.narrow(0, n, n);
    let difference = first.clone() - second.clone();
    let (spread, covariance) = of_view(first);
    let (other_spread, other_covariance) = of_view(second);
    Terms {
        invariance: (difference.clone() * difference).mean(),
        variance: (spread + other_spread).mul_scalar(0.5),
        covariance: covariance + other_covariance,
    }
}

/// Variance and covariance term of one view's `[n, d]`.
fn of_view(view: Tensor<2>) -> (Tensor<1>, Tensor<1>) {
    let [n, d] = view.dims();
    let centred = view.clone() - view.mean_dim(0);
    let covariance = centred.clone().transpose().matmul(centred.clone()).div_scalar((n - 1) as f32);
    let variance = (centred.clone() * centred).sum_dim(0).div_scalar((n - 1) as f32);
    let lacking = relu(variance.add_scalar(1e-4).sqrt().neg().add_scalar(1.0)).mean();
    let own = Tensor::<2, Bool>::diag_mask([d, d], 0, &covariance.device()).bool_not();
    let others = covariance.mask_fill(own, 0.0);
    (lacking, (others.clone() * others).sum().div_scalar(d as f32))
}
