//! The tier-1 head: logistic regression on cached embeddings, refitted after every label.

use super::dot_product::dot;
use super::embeddings::Embeddings;
use super::lbfgs::{inner, minimise};
use super::standardisation::Standardisation;
use crate::dataset::Labelled;
use crate::model::LinearHead;

/// Relative accuracy to which the weights are solved; see [`Head::fit`].
pub(super) const TOLERANCE: f64 = 1e-4;
/// Rows whose gradients are summed in single precision before they join the double-precision sum.
const BLOCK: usize = 32;

/// A fitted logistic regression over the classes that have labels, and a prior for those that have none.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    dim: usize,
    class_count: usize,
    l2: f32,
    /// Classes with at least one label, ascending.
    present: Vec<usize>,
    /// How many labelled films have each class.
    counts: Vec<usize>,
    /// One row of `dim` weights per logit: none for fewer than two present classes, one for two, else one a class.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    /// Fits the head to labelled films of `x`, each class below `class_count`.
    ///
    /// Minimises `sum of log-losses + l2 / 2 * |weights|^2`, the bias unpenalised: scikit-learn's `LogisticRegression`
    /// with `C = 1 / l2`. Two classes have a single logit; more have a softmax. The objective is `l2`-strongly convex
    /// in the weights, so a gradient of length `l2 * t * |weights|` bounds their relative error by `t`; the solver
    /// stops at 1e-4. It starts from the labels' frequencies and not from an earlier head: the same labels give the same
    /// head to the last bit, whatever came before.
    ///
    /// Films whose embedding is not finite, and labels of `class_count` and above, are left out.
    pub(super) fn fit(x: &Embeddings, labelled: &Labelled, class_count: usize, l2: f32) -> Self {
        Self::fit_within(TOLERANCE, x, labelled, class_count, l2, None)
    }

    /// Fits the head as [`Self::fit`] does, but with weights that are off by up to the relative error `tolerance`. `warm` is
    /// a head to start from, used when its classes and width are the same.
    pub(super) fn fit_within(
        tolerance: f64,
        x: &Embeddings,
        labelled: &Labelled,
        class_count: usize,
        l2: f32,
        warm: Option<&Self>,
    ) -> Self {
        let mut counts = vec![0; class_count];
        let mut values = Vec::with_capacity(labelled.rows.len() * x.dim());
        let mut targets = Vec::with_capacity(labelled.rows.len());
        for (&row, &class) in labelled.rows.iter().zip(&labelled.classes) {
            let features = x.row(row);
            if class < class_count && features.iter().all(|v| v.is_finite()) {
                values.extend_from_slice(&features);
                targets.push(class);
                counts[class] += 1;
            }
        }
        let present: Vec<usize> = (0..class_count).filter(|&class| counts[class] > 0).collect();
        let outputs = logit_count(present.len());
        let mut head = Self {
            dim: x.dim(),
            class_count,
            l2,
            present,
            counts,
            weights: Vec::new(),
            bias: Vec::new(),
        };
        if outputs == 0 {
            return head;
        }
        let position = |class: &usize| head.present.binary_search(class).unwrap_or(0);
        let targets = targets.iter().map(position).collect();
        let l2 = f64::from(l2.max(f32::MIN_POSITIVE));
        let mut problem =
            Problem { values, targets, dim: x.dim(), outputs, l2, weights: Vec::new() };
        let start = match warm {
            Some(warm) if warm.dim == head.dim && warm.present == head.present => warm.parameters(),
            _ => head.log_odds(),
        };
        let split = outputs * x.dim();
        let solution = minimise(
            |point, gradient| problem.evaluate(point, gradient),
            |point, gradient| {
                let weight_scale = inner(&point[..split], &point[..split]).sqrt().max(1e-3);
                inner(gradient, gradient).sqrt() <= tolerance * l2 * weight_scale
            },
            start,
        );
        head.weights = solution[..split].iter().map(|&w| w as f32).collect();
        head.bias = solution[split..].iter().map(|&b| b as f32).collect();
        head
    }

    /// Returns the probabilities of every film of `x`: films x classes, row-major, each row summing to one.
    ///
    /// With `n` labels over `c` classes, a class without a label has probability `1 / (n + c)` (Laplace's rule), and
    /// the others share the rest as the regression says. A film whose embedding is not finite has the labels' own
    /// frequencies, by the same rule.
    pub fn probabilities(&self, x: &Embeddings) -> Vec<f32> {
        let mut out = Vec::with_capacity(x.len() * self.class_count);
        let mut scratch = Vec::new();
        for row in 0..x.len() {
            self.push_probabilities(x.row_in(row, &mut scratch), &mut out);
        }
        out
    }

    /// Returns the probabilities of the films `rows` of `x`, as [`Self::probabilities`] does.
    pub fn probabilities_of(&self, x: &Embeddings, rows: &[usize]) -> Vec<f32> {
        let mut out = Vec::with_capacity(rows.len() * self.class_count);
        for &row in rows {
            self.push_probabilities(&x.row(row), &mut out);
        }
        out
    }

    /// Returns the penalty that it was fitted with.
    pub fn l2(&self) -> f32 {
        self.l2
    }

    /// Returns the weights: one row of the embedding's width per logit.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Returns the bias of each logit.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// Returns the regression as a row of weights a class, for features that were standardised by `scale`.
    ///
    /// A class without a label has no weights and a bias ten below the lowest: practically never. Where labels are of fewer
    /// than two classes there is no regression, and all classes are even.
    pub(super) fn linear(&self, scale: &Standardisation) -> LinearHead {
        let mut weights = vec![0.0; self.class_count * self.dim];
        let lowest = self.bias.iter().copied().fold(0.0, f32::min);
        let mut bias = vec![lowest - 10.0; self.class_count];
        let row = |k: usize| &self.weights[k * self.dim..][..self.dim];
        if let [negative, positive] = self.present[..] {
            // One logit: half of it for one class, and half of its opposite for the other.
            for (class, share) in [(negative, -0.5), (positive, 0.5)] {
                let to = &mut weights[class * self.dim..][..self.dim];
                to.iter_mut().zip(row(0)).for_each(|(to, w)| *to = share * w);
                bias[class] = share * self.bias[0];
            }
        } else if self.present.len() > 2 {
            for (k, &class) in self.present.iter().enumerate() {
                weights[class * self.dim..][..self.dim].copy_from_slice(row(k));
                bias[class] = self.bias[k];
            }
        }
        let (centre, blocks) = (scale.mean().to_vec(), scale.parts());
        LinearHead { centre, blocks, weights, bias }
    }

    fn push_probabilities(&self, features: &[f32], out: &mut Vec<f32>) {
        let start = out.len();
        let total = self.counts.iter().sum::<usize>() + self.class_count;
        out.extend(self.counts.iter().map(|&n| (n as f32 + 1.0) / total as f32));
        if self.present.len() < 2 {
            return;
        }
        let absent = self.class_count - self.present.len();
        let share = 1.0 - absent as f32 / total as f32;
        let logit =
            |k: usize| dot(features, &self.weights[k * self.dim..][..self.dim]) + self.bias[k];
        let row = &mut out[start..];
        if let [negative, positive] = self.present[..] {
            let z = logit(0);
            if z.is_finite() {
                row[positive] = share * sigmoid(z);
                row[negative] = share * sigmoid(-z);
            }
            return;
        }
        let logits: Vec<f32> = (0..self.present.len()).map(logit).collect();
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logits.iter().map(|z| (z - top).exp()).sum();
        if sum.is_finite() {
            for (&class, z) in self.present.iter().zip(&logits) {
                row[class] = share * (z - top).exp() / sum;
            }
        }
    }

    fn parameters(&self) -> Vec<f64> {
        self.weights.iter().chain(&self.bias).map(|&v| f64::from(v)).collect()
    }

    /// The start without a warm head: no weights, and the bias that gives the labels' frequencies.
    fn log_odds(&self) -> Vec<f64> {
        let outputs = logit_count(self.present.len());
        let logs: Vec<f64> = self.present.iter().map(|&c| (self.counts[c] as f64).ln()).collect();
        let mut start = vec![0.0; outputs * self.dim];
        if outputs == 1 {
            start.push(logs[1] - logs[0]);
        } else {
            // Only differences count; scikit-learn's solution has biases that sum to zero.
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            start.extend(logs.iter().map(|l| l - mean));
        }
        start
    }
}

fn logit_count(present: usize) -> usize {
    match present {
        0 | 1 => 0,
        2 => 1,
        more => more,
    }
}

fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + (-z).exp())
}

/// The labelled films and the objective over them; parameters are the weights, logit by logit, then the biases.
struct Problem {
    values: Vec<f32>,
    targets: Vec<usize>,
    dim: usize,
    outputs: usize,
    l2: f64,
    /// The weights of the point under evaluation in single precision, which is twice as fast as double.
    weights: Vec<f32>,
}

impl Problem {
    /// Returns the objective at `point` and writes its gradient.
    fn evaluate(&mut self, point: &[f64], gradient: &mut [f64]) -> f64 {
        let (weights, bias) = point.split_at(self.outputs * self.dim);
        self.weights.clear();
        self.weights.extend(weights.iter().map(|&w| w as f32));
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(weights.len());
        for (g, w) in weight_gradient.iter_mut().zip(weights) {
            *g = self.l2 * w;
        }
        bias_gradient.fill(0.0);
        let mut value = 0.5 * self.l2 * inner(weights, weights);
        let mut block_gradient = vec![0.0f32; self.dim];
        let blocks = self.values.chunks(BLOCK * self.dim).zip(self.targets.chunks(BLOCK));
        for (rows, targets) in blocks {
            let mut residuals = self.logits(rows, bias);
            for (logits, &target) in residuals.chunks_exact_mut(self.outputs).zip(targets) {
                value += loss_and_residual(logits, target);
            }
            for output in 0..self.outputs {
                let of_output = residuals.iter().skip(output).step_by(self.outputs);
                bias_gradient[output] += of_output.clone().sum::<f64>();
                block_gradient.fill(0.0);
                add_rows(&mut block_gradient, rows, of_output.map(|&r| r as f32));
                let to = &mut weight_gradient[output * self.dim..][..self.dim];
                to.iter_mut().zip(&block_gradient).for_each(|(g, &b)| *g += f64::from(b));
            }
        }
        value
    }

    /// Returns the logits of a block of rows, rows x outputs.
    fn logits(&self, rows: &[f32], bias: &[f64]) -> Vec<f64> {
        let mut logits = vec![0.0; rows.len() / self.dim * self.outputs];
        for (output, weights) in self.weights.chunks_exact(self.dim).enumerate() {
            let of_output = logits.iter_mut().skip(output).step_by(self.outputs);
            for (logit, row) in of_output.zip(rows.chunks_exact(self.dim)) {
                *logit = f64::from(dot(row, weights)) + bias[output];
            }
        }
        logits
    }
}

/// Adds each of `rows` times its factor to `sum`, four rows at a time to touch `sum` less often.
fn add_rows(sum: &mut [f32], rows: &[f32], factors: impl Iterator<Item = f32>) {
    let dim = sum.len();
    let factors: Vec<f32> = factors.collect();
    let (fours, rest) = factors.as_chunks::<4>();
    let (whole, last) = rows.split_at(fours.len() * 4 * dim);
    for (four, [f0, f1, f2, f3]) in whole.chunks_exact(4 * dim).zip(fours) {
        let (front, back) = four.split_at(2 * dim);
        let ((r0, r1), (r2, r3)) = (front.split_at(dim), back.split_at(dim));
        for ((((s, v0), v1), v2), v3) in sum.iter_mut().zip(r0).zip(r1).zip(r2).zip(r3) {
            *s += (f0 * v0 + f1 * v1) + (f2 * v2 + f3 * v3);
        }
    }
    for (row, factor) in last.chunks_exact(dim).zip(rest) {
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += factor * v);
    }
}

/// Returns a film's log-loss and turns its logits into the loss's derivatives.
fn loss_and_residual(logits: &mut [f64], target: usize) -> f64 {
    if let [z] = logits {
        let signed = if target == 1 { *z } else { -*z };
        // log(1 + e^-s) without overflow.
        let loss = (-signed.abs()).exp().ln_1p() + (-signed).max(0.0);
        *z = 1.0 / (1.0 + (-*z).exp()) - f64::from(target == 1);
        return loss;
    }
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|z| (z - top).exp()).sum();
    let loss = sum.ln() + top - logits[target];
    for (class, z) in logits.iter_mut().enumerate() {
        *z = (*z - top).exp() / sum - f64::from(class == target);
    }
    loss
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn fit(rows: &[usize], classes: &[usize], class_count: usize) -> Head {
        let labelled = Labelled { rows: rows.to_vec(), classes: classes.to_vec() };
        Head::fit(&toy(), &labelled, class_count, 1.0)
    }

    fn toy() -> Embeddings {
        Embeddings::new(2, vec![1.0, 0.0, 0.8, 0.3, -1.0, 0.2, -0.7, -0.4, 0.1, f32::NAN]).unwrap()
    }

    #[test]
    fn no_label_means_no_opinion() {
        let head = fit(&[], &[], 3);
        assert!(head.probabilities(&toy()).iter().all(|&p| (p - 1.0 / 3.0).abs() < 1e-6));
    }

    #[test]
    fn one_class_follows_laplace() {
        let head = fit(&[0, 1, 2], &[1, 1, 1], 2);
        for row in head.probabilities(&toy()).chunks(2) {
            assert!((row[0] - 0.2).abs() < 1e-6 && (row[1] - 0.8).abs() < 1e-6);
        }
    }

    #[test]
    fn a_class_without_labels_keeps_a_small_share() {
        let head = fit(&[0, 1, 2, 3], &[0, 0, 2, 2], 3);
        for row in head.probabilities(&toy()).chunks(3) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            assert!((row[1] - 1.0 / 7.0).abs() < 1e-6);
        }
        assert!(head.probabilities(&toy())[0] > 0.5);
    }

    #[test]
    fn a_broken_embedding_gets_the_frequencies() {
        let head = fit(&[0, 1, 2, 4], &[0, 0, 1, 1], 2);
        let p = head.probabilities_of(&toy(), &[4]);
        assert!((p[0] - 0.6).abs() < 1e-6 && (p[1] - 0.4).abs() < 1e-6, "{p:?}");
    }

    #[test]
    fn a_warm_start_does_not_change_the_answer() {
        let x = toy();
        let far = Head::fit(&x, &Labelled { rows: vec![0, 2], classes: vec![1, 0] }, 2, 1e-3);
        let labelled = Labelled { rows: vec![0, 1, 2, 3], classes: vec![0, 1, 1, 0] };
        let cold = Head::fit(&x, &labelled, 2, 0.5);
        let warm = Head::fit_within(TOLERANCE, &x, &labelled, 2, 0.5, Some(&far));
        for (a, b) in cold.weights().iter().zip(warm.weights()) {
            assert!((a - b).abs() < 1e-3);
        }
    }

    /// `tests/golden/query.py` with scikit-learn's `LogisticRegression`.
    #[test]
    fn agrees_with_scikit_learn() {
        let golden: Value =
            serde_json::from_str(include_str!("../../tests/golden/query.json")).unwrap();
        let doubles = |value: &Value| -> Vec<f64> {
            value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
        };
        for case in golden["regression"].as_array().unwrap() {
            let values = doubles(&case["x"]).into_iter().map(|v| v as f32).collect();
            let x = Embeddings::new(case["width"].as_u64().unwrap() as usize, values).unwrap();
            let classes = doubles(&case["y"]).into_iter().map(|class| class as usize).collect();
            let labelled = Labelled { rows: (0..x.len()).collect(), classes };
            let (count, l2) = (case["classes"].as_u64().unwrap(), case["l2"].as_f64().unwrap());
            let head = Head::fit(&x, &labelled, count as usize, l2 as f32);
            let close = |ours: &[f32], theirs: &Value, tolerance: f64| {
                let theirs = doubles(theirs);
                assert_eq!(ours.len(), theirs.len());
                for (&a, b) in ours.iter().zip(theirs) {
                    assert!((f64::from(a) - b).abs() <= tolerance, "{a} is not {b}");
                }
            };
            close(head.weights(), &case["coef"], 5e-4);
            close(head.bias(), &case["intercept"], 1e-3);
            close(&head.probabilities(&x), &case["probabilities"], 2e-4);
        }
    }
}
