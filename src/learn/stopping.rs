//! When to stop labelling: stabilising predictions (Bloodgood and Vijay-Shanker 2009). Once successive models agree on
//! films that nobody labels, further labels of this kind change little.

/// Agreement, averaged over the last models, from which stopping is suggested.
pub const THRESHOLD: f64 = 0.99;
/// Agreements that are averaged, one of each model with the one before.
pub const WINDOW: usize = 3;

/// How far the predictions of successive models have settled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stability {
    /// Labels of each model but the first, and its agreement with the model before: Cohen's kappa, 1 for identical ones.
    pub kappas: Vec<(usize, f64)>,
    /// Films that they were compared on.
    pub films: usize,
}

impl Stability {
    /// Compares successive models by their classes of the same films.
    pub fn of(models: &[(usize, Vec<usize>)], class_count: usize) -> Self {
        let kappas = models
            .windows(2)
            .map(|pair| (pair[1].0, cohen_kappa(&pair[0].1, &pair[1].1, class_count)))
            .collect();
        Self { kappas, films: models.first().map_or(0, |(_, classes)| classes.len()) }
    }

    /// Returns the mean of the last [`WINDOW`] agreements; `None` for fewer.
    pub fn average(&self) -> Option<f64> {
        let last = self.kappas.len().checked_sub(WINDOW)?;
        Some(self.kappas[last..].iter().map(|(_, kappa)| kappa).sum::<f64>() / WINDOW as f64)
    }

    /// Returns whether predictions have settled: the average is at least [`THRESHOLD`].
    pub fn settled(&self) -> bool {
        self.average().is_some_and(|average| average >= THRESHOLD)
    }
}

/// Returns Cohen's kappa of two labellings of the same films (Cohen 1960). Two that agree on every film have 1, also where
/// all films are of one class and the quotient is undefined.
pub fn cohen_kappa(one: &[usize], other: &[usize], class_count: usize) -> f64 {
    let n = one.len().min(other.len());
    let agreed = one.iter().zip(other).filter(|(a, b)| a == b).count();
    if n == agreed {
        return 1.0;
    }
    let share = |of: &[usize], class: usize| {
        of[..n].iter().filter(|&&c| c == class).count() as f64 / n as f64
    };
    let expected: f64 = (0..class_count).map(|class| share(one, class) * share(other, class)).sum();
    (agreed as f64 / n as f64 - expected) / (1.0 - expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kappa_is_scikit_learns() {
        let one = [0, 1, 2, 1, 0, 2, 2, 1, 0, 0, 1, 2];
        let other = [0, 1, 1, 1, 0, 2, 0, 1, 0, 2, 1, 2];
        // scikit-learn 1.9.1: cohen_kappa_score.
        assert!((cohen_kappa(&one, &other, 3) - 0.625).abs() < 1e-12);
        assert_eq!(cohen_kappa(&[1, 1], &[1, 1], 2), 1.0);
        assert_eq!(cohen_kappa(&[], &[], 2), 1.0);
        assert!(cohen_kappa(&[0, 1], &[1, 0], 2) < 0.0);
    }

    #[test]
    fn only_several_models_that_agree_have_settled() {
        let classes: Vec<usize> = (0..200).map(|film| film % 2).collect();
        let mut other = classes.clone();
        other[..20].iter_mut().for_each(|class| *class = 1 - *class);
        let models = |changed: &[bool]| -> Stability {
            let model = |(k, &changed): (usize, &bool)| {
                (10 * k, if changed { other.clone() } else { classes.clone() })
            };
            let models: Vec<_> = changed.iter().enumerate().map(model).collect();
            Stability::of(&models, 2)
        };
        assert_eq!(models(&[false; 3]).average(), None, "two agreements are too few");
        assert!(models(&[false; 4]).settled());
        assert!(models(&[true, false, false, false, false]).settled(), "what was long ago is over");
        let wavering = models(&[false, false, false, true]);
        assert!(!wavering.settled());
        // Twenty of two hundred differ, ten of each class: kappa 0.8.
        assert!((wavering.average().unwrap() - 2.8 / 3.0).abs() < 1e-9);
    }
}
