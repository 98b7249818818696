//! Comparisons of two runs against SciPy, statsmodels and DeLong's variance.

use approx::assert_abs_diff_eq;
use serde_json::Value;

use super::comparison::{Arm, McNemar, Run, area_under_learning_curve};

fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/golden/comparison.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn count(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

#[test]
fn mcnemar_agrees_with_scipys_binomial_test() {
    for case in golden()["mcnemar"].as_array().unwrap() {
        let test = McNemar::of_counts(count(&case["only_first"]), count(&case["only_second"]));
        let theirs = case["p"].as_f64().unwrap();
        assert!((test.p / theirs - 1.0).abs() < 1e-9, "{test:?}, theirs {theirs}");
    }
}

#[test]
fn two_runs_differ_as_scipy_and_statsmodels_say() {
    for case in golden()["cases"].as_array().unwrap() {
        let truth: Vec<usize> =
            numbers(&case["truth"]).iter().map(|&class| class as usize).collect();
        let films: Vec<usize> = (0..truth.len()).collect();
        let rows = |name: &str| -> Vec<f32> {
            numbers(&case[name]).iter().flat_map(|&p| [1.0 - p as f32, p as f32]).collect()
        };
        let (first, second) = (rows("first"), rows("second"));
        let run = |probabilities| Run { films: &films, truth: &truth, probabilities };
        let test = McNemar::of(&run(&first), &run(&second), 2).unwrap();
        let counts = (count(&case["only_first"]), count(&case["only_second"]));
        assert_eq!((test.only_first, test.only_second), counts);
        assert_abs_diff_eq!(test.p, case["mcnemar"].as_f64().unwrap(), epsilon = 1e-12);

        let [a, b] = [&first, &second].map(|p| Arm::of(&[run(p)], &films, 2, 1).unwrap());
        let n = films.len() as f64;
        let accuracy = case["accuracy"].as_f64().unwrap();
        // The variance of a mean of paired differences, which are -1, 0 or 1.
        let discordant = (counts.0 + counts.1) as f64 / n;
        let error_of_accuracy = ((discordant - accuracy * accuracy) / n).sqrt();
        let error_of_area = case["delong"].as_f64().unwrap();
        for (name, found, error) in [
            ("accuracy", b.accuracy.minus(&a.accuracy).unwrap(), error_of_accuracy),
            ("auroc", b.auroc.minus(&a.auroc).unwrap(), error_of_area),
        ] {
            let [low, high] = numbers(&case[format!("{name}_interval")])[..] else { panic!() };
            assert_abs_diff_eq!(found.value, case[name].as_f64().unwrap(), epsilon = 1e-6);
            // Ends of two bootstraps: with 2,000 resamples one is uncertain by a sixteenth of the standard error.
            assert_abs_diff_eq!(found.low, low, epsilon = 0.25 * error);
            assert_abs_diff_eq!(found.high, high, epsilon = 0.25 * error);
            let ratio = (found.high - found.low) / (2.0 * 1.96 * error);
            assert!((0.88..1.12).contains(&ratio), "{name}: {ratio} times the width of theory");
        }
        // Twice the same run is the run; the mean of both lies half way.
        let both = Arm::of(&[run(&first), run(&second)], &films, 2, 1).unwrap();
        let half = both.auroc.minus(&a.auroc).unwrap().value;
        assert_abs_diff_eq!(2.0 * half, case["auroc"].as_f64().unwrap(), epsilon = 1e-6);
        let twice = Arm::of(&[run(&first), run(&first)], &films, 2, 1).unwrap();
        assert_eq!(twice, a);
        // Every resample of one patient is that patient, and says nothing of others.
        let of_one = |p| Arm::of(&[run(p)], &vec![0; films.len()], 2, 1).unwrap();
        assert_eq!(of_one(&second).accuracy.minus(&of_one(&first).accuracy), None);
    }
}

#[test]
fn area_agrees_with_numpys_trapezoid() {
    let curve = &golden()["curve"];
    let points: Vec<(usize, f64)> = curve["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| (count(&point[0]), point[1].as_f64().unwrap()))
        .collect();
    let area = area_under_learning_curve(&points).unwrap();
    assert_abs_diff_eq!(area, curve["area"].as_f64().unwrap(), epsilon = 1e-12);
}
