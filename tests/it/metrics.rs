//! Figures of merit against scikit-learn, published values and theory.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use approx::assert_abs_diff_eq;
use penumbra::learn::metrics::{
    Confusion, Estimate, Metrics, MetricsError, expected_calibration_error, wilson,
};
use penumbra::rng;
use serde_json::Value;

fn singles(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

#[test]
fn metrics_agree_with_scikit_learn() {
    let golden: Value = serde_json::from_str(include_str!("../golden/query.json")).unwrap();
    for case in golden["metrics"].as_array().unwrap() {
        let (p, y, classes) =
            (singles(&case["p"]), indices(&case["y"]), case["classes"].as_u64().unwrap() as usize);
        let metrics = Metrics::of(&p, &y, classes, 1).unwrap();
        let theirs = |name: &str| case[name].as_f64().unwrap();
        assert_abs_diff_eq!(metrics.auroc.unwrap().value, theirs("auroc"), epsilon = 1e-9);
        assert_abs_diff_eq!(
            metrics.balanced_accuracy.value,
            theirs("balanced_accuracy"),
            epsilon = 1e-9
        );
        assert_abs_diff_eq!(metrics.brier, theirs("brier"), epsilon = 1e-9);
        assert_abs_diff_eq!(metrics.log_loss, theirs("log_loss"), epsilon = 1e-9);

        let confusion = Confusion::new(&p, &y, classes);
        let counts: Vec<usize> =
            (0..classes * classes).map(|i| confusion.count(i / classes, i % classes)).collect();
        assert_eq!(counts, indices(&case["confusion"]));
        let of = |i: usize| counts[i] as f64;
        let accuracy = (0..classes).map(|c| of(c * classes + c)).sum::<f64>() / y.len() as f64;
        assert_abs_diff_eq!(metrics.accuracy.value, accuracy, epsilon = 1e-12);
        if classes == 2 {
            assert_abs_diff_eq!(
                metrics.sensitivity.unwrap().value,
                of(3) / (of(2) + of(3)),
                epsilon = 1e-12
            );
            assert_abs_diff_eq!(
                metrics.specificity.unwrap().value,
                of(0) / (of(0) + of(1)),
                epsilon = 1e-12
            );
        }
        for interval in [metrics.accuracy, metrics.balanced_accuracy, metrics.auroc.unwrap()] {
            assert!(0.0 <= interval.low && interval.low <= interval.value);
            assert!(interval.value <= interval.high && interval.high <= 1.0);
        }
        let json = serde_json::to_string(&metrics).unwrap();
        assert_eq!(serde_json::from_str::<Metrics>(&json).unwrap().n, y.len());
    }
}

#[test]
fn calibration_error_matches_published_values() {
    // baal, tests/utils/metrics_test.py
    let sure = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    assert_abs_diff_eq!(expected_calibration_error(&sure, &[2, 1], 3, 3), 0.5, epsilon = 1e-6);
    let unsure = [0.4, 0.5, 0.1, 0.1, 0.8, 0.1];
    assert_abs_diff_eq!(expected_calibration_error(&unsure, &[2, 1], 3, 3), 0.35, epsilon = 1e-6);
}

#[test]
fn wilson_matches_published_values() {
    // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    for (successes, trials, low, high) in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ] {
        let interval = wilson(successes, trials);
        assert_abs_diff_eq!(interval.low, low, epsilon = 5e-5);
        assert_abs_diff_eq!(interval.high, high, epsilon = 5e-5);
    }
    assert_eq!(wilson(0, 0), Estimate { value: 0.0, low: 0.0, high: 1.0 });
    assert_eq!(wilson(7, 7).high, 1.0);
}

/// Area under the curve of the films that are positive, by their scores.
fn area(scores: &[f32], positive: &[bool]) -> Option<Estimate> {
    let probabilities: Vec<f32> = scores.iter().flat_map(|&score| [1.0 - score, score]).collect();
    let truth: Vec<usize> = positive.iter().map(|&positive| usize::from(positive)).collect();
    Metrics::of(&probabilities, &truth, 2, 1).unwrap().auroc
}

#[test]
fn area_counts_pairs() {
    let scores = [0.1, 0.4, 0.4, 0.8, 0.8, 0.8, 0.2];
    let positive = [false, true, false, true, false, true, true];
    let (mut wins, mut pairs) = (0.0, 0.0);
    for i in (0..7).filter(|&i| positive[i]) {
        for j in (0..7).filter(|&j| !positive[j]) {
            pairs += 1.0;
            wins += f64::from(scores[i] > scores[j]) + 0.5 * f64::from(scores[i] == scores[j]);
        }
    }
    assert_eq!(area(&scores, &positive).unwrap().value, wins / pairs);
    assert_eq!(area(&[0.0, -0.0], &[true, false]).unwrap().value, 0.5);
    assert_eq!(area(&scores, &[true; 7]), None);
}

#[test]
fn bootstrap_interval_is_as_wide_as_theory_says() {
    // Hanley and McNeil, Radiology 143 (1982): the standard error from the area alone, for scores such as these.
    let mut draws = rng::stream(5, "test", &[]);
    let positive: Vec<bool> = (0..600).map(|i| i % 2 == 0).collect();
    let mut unit = || (rng::below(&mut draws, 1 << 24) as f32 + 0.5) / (1 << 24) as f32;
    let scores: Vec<f32> =
        positive.iter().map(|&p| -unit().ln() * if p { 4.0 } else { 1.0 }).collect();
    let interval = area(&scores, &positive).unwrap();
    let a = interval.value;
    let (q1, q2) = (a / (2.0 - a), 2.0 * a * a / (1.0 + a));
    let spread = a * (1.0 - a) + 299.0 * (q1 - a * a) + 299.0 * (q2 - a * a);
    let theory = 2.0 * 1.96 * (spread / (300.0 * 300.0)).sqrt();
    let ratio = (interval.high - interval.low) / theory;
    assert!((0.85..1.15).contains(&ratio), "{interval:?}, {ratio}");
    assert_eq!(Some(interval), area(&scores, &positive), "the same films give another interval");
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let score = |p: &[f32], y: &[usize]| Metrics::of(p, y, 2, 1);
    assert_eq!(score(&[], &[]), Err(MetricsError::Empty));
    assert!(matches!(score(&[0.5], &[0]), Err(MetricsError::Shape { .. })));
    assert!(matches!(score(&[0.5, 0.5], &[2]), Err(MetricsError::Class { class: 2, .. })));
    let broken = score(&[0.5, 0.5, f32::NAN, 0.5], &[0, 1]);
    assert_eq!(broken, Err(MetricsError::NotFinite { film: 1 }));
}

#[test]
fn one_kind_of_film_leaves_figures_undefined() {
    let metrics = Metrics::of(&[0.2, 0.8, 0.6, 0.4], &[1, 1], 2, 1).unwrap();
    assert_eq!((metrics.auroc, metrics.specificity), (None, None));
    assert_eq!(metrics.sensitivity.unwrap().value, 0.5);
    assert_eq!(metrics.balanced_accuracy.value, 0.5);
    let shown = metrics.to_string();
    assert!(
        shown.contains("AUROC              undefined") && shown.contains("0.500 (0.095 to 0.905)"),
        "{shown}"
    );
    let text = serde_json::to_string(&metrics).unwrap();
    let read = serde_json::from_str::<Metrics>(&text).unwrap();
    assert_eq!((read.auroc, read.specificity), (None, None));
    assert_abs_diff_eq!(read.accuracy.high, metrics.accuracy.high, epsilon = 1e-12);
}
