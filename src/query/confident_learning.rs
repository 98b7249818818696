//! Labels that are probably wrong, by confident learning (Northcutt, Jiang and Chuang, *Confident Learning: Estimating
//! Uncertainty in Dataset Labels*, JAIR 2021, <https://arxiv.org/abs/1911.00068>).
//!
//! A class's threshold is the mean probability that films with its label have for it. A film is confidently of a class
//! whose threshold its probability reaches, of several the likeliest. Films that are confidently of another class than
//! their label are the off-diagonal of the paper's confident joint: they are suspected, the one with the least normalised
//! margin (probability of the label less the largest other one) first. Films whose likeliest class is their label are
//! left out, as in cleanlab's `find_label_issues(filter_by="confident_learning",
//! return_indices_ranked_by="normalized_margin")`, which this agrees with but for one case: of a film that reaches several
//! thresholds, but not that of its likeliest class, cleanlab takes that class all the same; here, as in the paper, it is
//! one whose threshold is reached.

use std::cmp::Ordering;

use crate::stats::likeliest;

/// Slack with which a threshold is reached, as in cleanlab.
const SLACK: f64 = 1e-6;

/// A label that is probably wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspect {
    /// Place in the labels.
    pub place: usize,
    /// Class that the film is confidently of.
    pub class: usize,
    /// Probability of the label less the largest other one, in -1..=0.
    pub margin: f32,
}

/// Returns the thresholds: for each class the mean probability that films with this label have for it, `None` for a class
/// without a film. `probabilities` is labels x classes, row-major.
pub fn thresholds(probabilities: &[f32], labels: &[usize], class_count: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_u32); class_count];
    for (row, &label) in probabilities.chunks_exact(class_count).zip(labels) {
        let (sum, n) = &mut sums[label];
        *sum += f64::from(row[label]);
        *n += 1;
    }
    sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / f64::from(n))).collect()
}

/// Returns the class that a film is confidently of, if any: the likeliest whose threshold it reaches.
fn confident(row: &[f32], thresholds: &[Option<f64>]) -> Option<usize> {
    let reaches = |class: &usize| {
        thresholds[*class].is_some_and(|threshold| f64::from(row[*class]) >= threshold - SLACK)
    };
    let likelier = |best: usize, class: usize| if row[class] > row[best] { class } else { best };
    (0..row.len()).filter(reaches).reduce(likelier)
}

/// Returns the confident joint before calibration: films by label (row) and by the class that they are confidently of.
pub fn confident_joint(
    probabilities: &[f32],
    labels: &[usize],
    class_count: usize,
) -> Vec<Vec<usize>> {
    let thresholds = thresholds(probabilities, labels, class_count);
    let mut joint = vec![vec![0; class_count]; class_count];
    for (row, &label) in probabilities.chunks_exact(class_count).zip(labels) {
        if let Some(class) = confident(row, &thresholds) {
            joint[label][class] += 1;
        }
    }
    joint
}

/// Returns the suspected labels, the most suspect first.
///
/// `probabilities` must come from models that have not seen the film's own label: labels x classes, row-major. Labels
/// are below `class_count`.
pub fn suspects(probabilities: &[f32], labels: &[usize], class_count: usize) -> Vec<Suspect> {
    let thresholds = thresholds(probabilities, labels, class_count);
    let rows = probabilities.chunks_exact(class_count.max(1)).zip(labels).enumerate();
    let mut suspects: Vec<Suspect> = rows
        .filter_map(|(place, (row, &label))| {
            let class = confident(row, &thresholds)?;
            let suspected = class != label && likeliest(row) != label;
            suspected.then(|| Suspect { place, class, margin: margin(row, label) })
        })
        .collect();
    let order = |a: &Suspect, b: &Suspect| -> Ordering {
        a.margin.total_cmp(&b.margin).then(a.place.cmp(&b.place))
    };
    suspects.sort_by(order);
    suspects
}

/// Probability of the label less the largest other one.
fn margin(row: &[f32], label: usize) -> f32 {
    let others = row.iter().enumerate().filter(|&(class, _)| class != label);
    row[label] - others.map(|(_, &p)| p).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_that_is_surely_of_the_other_class_is_suspected() {
        let probabilities = [0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.05, 0.95];
        let labels = [0, 0, 1, 1, 1, 0];
        let suspects = suspects(&probabilities, &labels, 2);
        assert_eq!(suspects.len(), 1);
        assert_eq!((suspects[0].place, suspects[0].class), (5, 1));
        assert!((suspects[0].margin + 0.9).abs() < 1e-6);
    }

    #[test]
    fn disagreement_without_confidence_is_no_suspicion() {
        // The likeliest class of the last film is the other one, but no film of that class is as unsure.
        let probabilities = [0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.2, 0.8, 0.45, 0.55];
        assert_eq!(suspects(&probabilities, &[0, 0, 1, 1, 0], 2), []);
    }

    #[test]
    fn classes_without_labels_and_no_labels_at_all_are_no_fault() {
        assert_eq!(suspects(&[], &[], 3), []);
        let found = suspects(&[0.1, 0.05, 0.85, 0.05, 0.1, 0.85], &[0, 1], 3);
        assert_eq!(found, [], "nothing is known of the class without a label");
        assert_eq!(thresholds(&[0.1, 0.1, 0.8], &[0], 3)[2], None);
    }
}
