//! The area under the ROC curve of sessions with more than two classes: the mean of each class against the others.

use super::metrics::{Estimate, RankedScores, bootstrap, percentile_interval};

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;

/// Returns the mean, over the classes that occur among the films and are not all of them, of the area under the ROC curve
/// of the class against the others, each class weighing the same: scikit-learn's `roc_auc_score` with
/// `multi_class="ovr"`, `average="macro"`. `None` if there is no such class.
///
/// `probabilities` is films x classes, row-major; the interval is a bootstrap over films. Hand and Till's measure, which
/// compares classes in pairs, is not used: a reader asks of each class how well it is told from all else.
pub fn macro_auroc(probabilities: &[f32], truth: &[usize], class_count: usize) -> Option<Estimate> {
    let curves = against_the_others(probabilities, truth, class_count);
    let value = mean_area(&curves, None)?;
    let resampled = bootstrap(truth.len(), RESAMPLES, 0, |times| mean_area(&curves, Some(times)));
    Some(percentile_interval(value, resampled.into_iter().flatten().collect()))
}

/// Returns each class's scores, ranked against those of the others.
pub(super) fn against_the_others(
    probabilities: &[f32],
    truth: &[usize],
    class_count: usize,
) -> Vec<RankedScores> {
    let of_class = |class: usize| {
        let scores = probabilities.iter().skip(class).step_by(class_count).copied();
        let positive: Vec<bool> = truth.iter().map(|&of_film| of_film == class).collect();
        RankedScores::new(&scores.collect::<Vec<f32>>(), &positive)
    };
    (0..class_count).map(of_class).collect()
}

/// Returns the mean of the areas that are defined, on the films or on so many of each.
pub(super) fn mean_area(curves: &[RankedScores], times: Option<&[u32]>) -> Option<f64> {
    let areas: Vec<f64> = curves.iter().filter_map(|curve| curve.area(times)).collect();
    (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty-four films of four classes, drawn by NumPy.
    #[rustfmt::skip]
    const P: [f32; 96] = [
        0.103, 0.125, 0.056, 0.716, 0.028, 0.573, 0.137, 0.262, 0.095, 0.093, 0.268, 0.544, 0.532, 0.019, 0.4, 0.049,
        0.306, 0.017, 0.1, 0.577, 0.017, 0.203, 0.091, 0.689, 0.425, 0.061, 0.073, 0.441, 0.675, 0.225, 0.047, 0.053,
        0.114, 0.467, 0.199, 0.22, 0.626, 0.048, 0.199, 0.127, 0.066, 0.392, 0.173, 0.369, 0.018, 0.859, 0.046, 0.077,
        0.155, 0.129, 0.637, 0.079, 0.071, 0.099, 0.027, 0.803, 0.017, 0.01, 0.941, 0.032, 0.093, 0.579, 0.065, 0.263,
        0.221, 0.394, 0.31, 0.075, 0.009, 0.023, 0.054, 0.914, 0.222, 0.515, 0.103, 0.16, 0.1, 0.1, 0.668, 0.132,
        0.137, 0.225, 0.479, 0.159, 0.129, 0.34, 0.183, 0.348, 0.335, 0.098, 0.325, 0.242, 0.13, 0.667, 0.052, 0.151,
    ];
    const Y: [usize; 24] = [2, 3, 3, 2, 3, 3, 3, 0, 1, 2, 1, 1, 2, 3, 2, 0, 2, 3, 0, 2, 1, 3, 0, 1];

    #[test]
    fn it_is_scikit_learns() {
        // scikit-learn 1.9.1: roc_auc_score(y, p, multi_class="ovr", average="macro").
        let auroc = macro_auroc(&P, &Y, 4).unwrap();
        assert!((auroc.value - 0.848_161_591_939_407_3).abs() < 1e-9, "{auroc:?}");
        assert!(auroc.low < auroc.value && auroc.value < auroc.high && auroc.high <= 1.0);
    }

    #[test]
    fn classes_that_do_not_occur_are_left_out() {
        assert_eq!(macro_auroc(&[0.7, 0.2, 0.1, 0.3, 0.6, 0.1], &[0, 1], 3).unwrap().value, 1.0);
        assert!(macro_auroc(&[0.7, 0.2, 0.1], &[0], 3).is_none());
        assert!(macro_auroc(&[], &[], 3).is_none());
    }
}
