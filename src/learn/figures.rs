//! The figures that are followed over labels, all with 95 % intervals.

use super::macro_auroc::macro_auroc;
use super::metrics::{Estimate, Metrics, MetricsError};
use super::reliability::calibration_error;

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
}
