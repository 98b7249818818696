//! The figures that are followed over labels, all with 95 % intervals.

use super::macro_auroc::{against_the_others, macro_auroc, mean_area};
use super::metrics::{
    Confusion, Estimate, Metrics, MetricsError, check, expected_calibration_error,
};
use super::reliability::{BINS, calibration_error};

/// How well a classifier did on some films; `None` where the films leave a figure undefined, for want of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Number of films.
    pub n: usize,
    /// As in [`Metrics`].
    pub accuracy: Estimate,
    /// As in [`Metrics`].
    pub balanced_accuracy: Estimate,
    /// As in [`Metrics`]; with more than two classes the mean of each class against the others.
    pub auroc: Option<Estimate>,
    /// As in [`Metrics`].
    pub sensitivity: Option<Estimate>,
    /// As in [`Metrics`].
    pub specificity: Option<Estimate>,
    /// Expected calibration error, 15 bins; bootstrap interval.
    pub ece: Estimate,
}

/// The figures without their intervals, which take a hundred times as long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values([Option<f64>; 6]);

/// One of the figures by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Figure {
    /// [`Figures::accuracy`].
    #[default]
    Accuracy,
    /// [`Figures::auroc`].
    Auroc,
    /// [`Figures::balanced_accuracy`].
    BalancedAccuracy,
    /// [`Figures::sensitivity`].
    Sensitivity,
    /// [`Figures::specificity`].
    Specificity,
    /// [`Figures::ece`].
    CalibrationError,
}

impl Figures {
    /// Scores `probabilities` (films x classes, row-major) against `truth`.
    ///
    /// # Errors
    /// When the arguments do not fit together or a probability is not finite.
    pub fn of(
        probabilities: &[f32],
        truth: &[usize],
        class_count: usize,
        positive: usize,
    ) -> Result<Self, MetricsError> {
        let metrics = Metrics::of(probabilities, truth, class_count, positive)?;
        let auroc = if class_count > 2 {
            macro_auroc(probabilities, truth, class_count)
        } else {
            metrics.auroc
        };
        Ok(Self {
            n: metrics.n,
            accuracy: metrics.accuracy,
            balanced_accuracy: metrics.balanced_accuracy,
            auroc,
            sensitivity: metrics.sensitivity,
            specificity: metrics.specificity,
            ece: calibration_error(probabilities, truth, class_count),
        })
    }

    /// Returns one of the figures.
    pub const fn get(&self, figure: Figure) -> Option<Estimate> {
        match figure {
            Figure::Accuracy => Some(self.accuracy),
            Figure::Auroc => self.auroc,
            Figure::BalancedAccuracy => Some(self.balanced_accuracy),
            Figure::Sensitivity => self.sensitivity,
            Figure::Specificity => self.specificity,
            Figure::CalibrationError => Some(self.ece),
        }
    }
}

impl Values {
    /// Scores `probabilities` (films x classes, row-major) against `truth`.
    ///
    /// # Errors
    /// When the arguments do not fit together or a probability is not finite.
    pub fn of(
        probabilities: &[f32],
        truth: &[usize],
        class_count: usize,
        positive: usize,
    ) -> Result<Self, MetricsError> {
        check(probabilities, truth, class_count, positive)?;
        let confusion = Confusion::new(probabilities, truth, class_count);
        let curves = against_the_others(probabilities, truth, class_count);
        let auroc =
            if class_count > 2 { mean_area(&curves, None) } else { curves[positive].area(None) };
        let value = |estimate: Option<Estimate>| estimate.map(|estimate| estimate.value);
        Ok(Self([
            Some(confusion.correct() as f64 / truth.len() as f64),
            auroc,
            confusion.balanced_accuracy(),
            value(confusion.sensitivity(positive)),
            value(confusion.specificity(positive)),
            Some(expected_calibration_error(probabilities, truth, class_count, BINS)),
        ]))
    }

    /// Returns one of the figures.
    pub const fn get(&self, figure: Figure) -> Option<f64> {
        self.0[figure as usize]
    }
}

impl Figure {
    /// All figures in the order in which they are offered.
    pub const ALL: [Self; 6] = [
        Self::Accuracy,
        Self::Auroc,
        Self::BalancedAccuracy,
        Self::Sensitivity,
        Self::Specificity,
        Self::CalibrationError,
    ];

    /// Returns the figure's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "Accuracy",
            Self::Auroc => "AUROC",
            Self::BalancedAccuracy => "Balanced accuracy",
            Self::Sensitivity => "Sensitivity",
            Self::Specificity => "Specificity",
            Self::CalibrationError => "Calibration error",
        }
    }

    /// Returns how its interval is made.
    pub const fn interval(self) -> &'static str {
        match self {
            Self::Accuracy | Self::Sensitivity | Self::Specificity => "Wilson",
            Self::Auroc | Self::BalancedAccuracy | Self::CalibrationError => "bootstrap over films",
        }
    }

    /// Returns whether less is better.
    pub const fn is_error(self) -> bool {
        matches!(self, Self::CalibrationError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_metrics() {
        let p: Vec<f32> =
            (0..40).flat_map(|i| [(i % 9) as f32 / 9.0, 1.0 - (i % 9) as f32 / 9.0]).collect();
        let truth: Vec<usize> = (0..40).map(|i| usize::from(i % 9 < 4 || i % 7 == 0)).collect();
        let (figures, metrics) =
            (Figures::of(&p, &truth, 2, 1).unwrap(), Metrics::of(&p, &truth, 2, 1).unwrap());
        assert_eq!(figures.get(Figure::Auroc), metrics.auroc);
        assert_eq!(figures.get(Figure::Sensitivity), metrics.sensitivity);
        assert_eq!(figures.get(Figure::CalibrationError).unwrap().value, metrics.ece);
        for estimate in Figure::ALL.into_iter().filter_map(|figure| figures.get(figure)) {
            assert!(estimate.low <= estimate.value && estimate.value <= estimate.high);
        }
        assert!(Figures::of(&[], &[], 2, 1).is_err());
    }

    #[test]
    fn values_are_those_of_the_figures() {
        for classes in [2, 3] {
            let raw = |i: usize| ((i * 29) % 31) as f32 / 31.0;
            let mut p: Vec<f32> = (0..30 * classes).map(raw).collect();
            for row in p.chunks_exact_mut(classes) {
                let sum: f32 = row.iter().sum();
                for value in row {
                    *value /= sum.max(0.1);
                }
            }
            let truth: Vec<usize> = (0..30).map(|i| (i * 7 + i / 4) % classes).collect();
            let figures = Figures::of(&p, &truth, classes, 1).unwrap();
            let values = Values::of(&p, &truth, classes, 1).unwrap();
            for figure in Figure::ALL {
                let expected = figures.get(figure).map(|estimate| estimate.value).unwrap();
                let found = values.get(figure).unwrap();
                assert!((found - expected).abs() < 1e-12, "{figure:?} of {classes} classes");
            }
        }
    }
}
