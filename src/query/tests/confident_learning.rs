//! Confident learning against cleanlab, and against the paper's words, read slowly.

use crate::query::confident_learning::{confident_joint, suspects, thresholds};
use proptest::prelude::*;
use serde_json::Value;

use super::{indices, singles};

#[test]
fn thresholds_joint_and_suspects_are_cleanlabs() {
    let cases: Value =
        serde_json::from_str(include_str!("../../../tests/golden/confident_learning.json"))
            .unwrap();
    for case in cases.as_array().unwrap() {
        let classes = case["classes"].as_u64().unwrap() as usize;
        let (labels, p) = (indices(&case["labels"]), singles(&case["probabilities"]));
        for (ours, theirs) in
            thresholds(&p, &labels, classes).iter().zip(singles(&case["thresholds"]))
        {
            assert!((ours.unwrap() - f64::from(theirs)).abs() < 1e-6, "{ours:?} {theirs}");
        }
        let joint: Vec<Vec<usize>> =
            case["joint"].as_array().unwrap().iter().map(indices).collect();
        assert_eq!(confident_joint(&p, &labels, classes), joint);
        let found = suspects(&p, &labels, classes);
        let places: Vec<usize> = found.iter().map(|suspect| suspect.place).collect();
        assert_eq!(places, indices(&case["issues"]));
        assert!(places.len() > 10, "a case in which nothing is suspected shows nothing");
        for (suspect, theirs) in found.iter().zip(singles(&case["margins"])) {
            assert!((suspect.margin - theirs).abs() < 1e-6, "{suspect:?} {theirs}");
        }
    }
}

/// The paper's count, one film at a time: of the classes whose threshold a film reaches the likeliest one.
fn slow(p: &[f32], labels: &[usize], classes: usize) -> Vec<usize> {
    let mut found = Vec::new();
    for (i, &label) in labels.iter().enumerate() {
        let row = &p[i * classes..][..classes];
        let mut best: Option<usize> = None;
        for class in 0..classes {
            let of_class: Vec<f64> = (0..labels.len())
                .filter(|&j| labels[j] == class)
                .map(|j| f64::from(p[j * classes + class]))
                .collect();
            if of_class.is_empty() {
                continue;
            }
            let threshold = of_class.iter().sum::<f64>() / of_class.len() as f64;
            let reached = f64::from(row[class]) >= threshold - 1e-6;
            if reached && best.is_none_or(|best| row[class] > row[best]) {
                best = Some(class);
            }
        }
        let most = row.iter().copied().fold(0.0, f32::max);
        if best.is_some_and(|best| best != label) && row[label] < most {
            found.push(i);
        }
    }
    found
}

proptest! {
    #[test]
    fn suspects_are_the_off_diagonal_of_the_confident_joint(
        rows in proptest::collection::vec((0..3_usize, proptest::array::uniform3(0.01_f32..1.0)), 0..40),
    ) {
        let labels: Vec<usize> = rows.iter().map(|row| row.0).collect();
        let p: Vec<f32> =
            rows.iter().flat_map(|(_, p)| { let sum: f32 = p.iter().sum(); p.map(|v| v / sum) }).collect();
        let found = suspects(&p, &labels, 3);
        let mut places: Vec<usize> = found.iter().map(|suspect| suspect.place).collect();
        prop_assert!(found.windows(2).all(|pair| pair[0].margin <= pair[1].margin));
        places.sort_unstable();
        prop_assert_eq!(places, slow(&p, &labels, 3));
        prop_assert!(found.iter().all(|suspect| suspect.margin <= 0.0));
    }
}
