//! What a run has done so far: its curves, its probes, its rollbacks. Part of every checkpoint.
//!
//! Figures are in single precision, which a checkpoint's text gives back to the last bit.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// An epoch's point on the curves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochPoint {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Steps done at its end.
    pub step: u64,
    /// Mean loss of its steps.
    pub loss: f32,
    /// Mean contrastive accuracy of those of its steps at which it was measured.
    pub accuracy: Option<f32>,
    /// Learning rate of its last step.
    pub rate: f32,
    /// Views a second over its steps, loading included.
    pub images_per_second: f32,
}

/// How well labels can be read off frozen features.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Share of films whose likeliest class is theirs, 0..=1.
    pub accuracy: f32,
    /// Area under the ROC curve of the positive class; none where films of one class only were looked at.
    pub auroc: Option<f32>,
}

/// A look at the frozen features with labels, which learning neither sees nor follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbePoint {
    /// Epochs done.
    pub epoch: u32,
    /// Labels that were looked at.
    pub labels: usize,
    /// Logistic regression.
    pub linear: Score,
    /// Vote of the nearest neighbours.
    pub knn: Score,
}

/// A return to an earlier checkpoint because numbers were no longer finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// Steps done when it was noticed.
    pub at: u64,
    /// Steps done at the checkpoint.
    pub to: u64,
}

/// Curves of a run, and the steps of the epoch that it is in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Finished epochs.
    pub epochs: Vec<EpochPoint>,
    /// Probes, if any were asked for.
    pub probes: Vec<ProbePoint>,
    /// Rollbacks; each halves the peak of the learning rate and changes the order of films.
    pub rollbacks: Vec<Rollback>,
    losses: Vec<f32>,
    accuracies: Vec<f32>,
    views: u64,
    seconds: f64,
}

fn mean(values: &[f32]) -> f32 {
    (values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len().max(1) as f64) as f32
}

impl History {
    /// Adds a step to the epoch under way.
    pub(super) fn add_step(
        &mut self,
        loss: f32,
        accuracy: Option<f32>,
        views: usize,
        seconds: f64,
    ) {
        self.losses.push(loss);
        self.accuracies.extend(accuracy);
        self.views += views as u64;
        self.seconds += seconds;
    }

    /// Turns the steps of the epoch under way into a point.
    pub(super) fn end_epoch(&mut self, epoch: u32, step: u64, rate: f64) {
        self.epochs.push(EpochPoint {
            epoch,
            step,
            loss: mean(&self.losses),
            accuracy: (!self.accuracies.is_empty()).then(|| mean(&self.accuracies)),
            rate: rate as f32,
            images_per_second: (self.views as f64 / self.seconds.max(1e-9)) as f32,
        });
        self.losses.clear();
        self.accuracies.clear();
        (self.views, self.seconds) = (0, 0.0);
    }

    /// Mean loss of the epoch under way, or of the last one at its end.
    pub fn loss(&self) -> Option<f32> {
        let last = self.epochs.last().map(|point| point.loss);
        if self.losses.is_empty() { last } else { Some(mean(&self.losses)) }
    }

    /// The epochs as CSV with a header.
    pub fn epochs_csv(&self) -> String {
        let mut csv = "epoch,step,loss,contrastive_accuracy,rate,images_per_second\n".to_owned();
        for EpochPoint { epoch, step, loss, accuracy, rate, images_per_second } in &self.epochs {
            let accuracy = accuracy.map(|value| format!("{value:.4}")).unwrap_or_default();
            writeln!(csv, "{epoch},{step},{loss:.5},{accuracy},{rate:.4e},{images_per_second:.1}")
                .ok();
        }
        csv
    }

    /// The probes as CSV with a header.
    pub fn probes_csv(&self) -> String {
        let mut csv =
            "epoch,labels,linear_accuracy,linear_auroc,knn_accuracy,knn_auroc\n".to_owned();
        let auroc = |score: Score| score.auroc.map(|v| format!("{v:.4}")).unwrap_or_default();
        for ProbePoint { epoch, labels, linear, knn } in &self.probes {
            let (linear_auroc, knn_auroc) = (auroc(*linear), auroc(*knn));
            writeln!(
                csv,
                "{epoch},{labels},{:.4},{linear_auroc},{:.4},{knn_auroc}",
                linear.accuracy, knn.accuracy
            )
            .ok();
        }
        csv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_cut_in_two_by_a_checkpoint_has_the_same_point() {
        let steps = [(3.25, Some(0.1)), (2.5, None), (1.75, Some(0.4)), (1.0, None)];
        let mut whole = History::default();
        let mut cut = History::default();
        for (index, (loss, accuracy)) in steps.into_iter().enumerate() {
            whole.add_step(loss, accuracy, 32, 0.5);
            cut.add_step(loss, accuracy, 32, 0.5);
            if index == 1 {
                cut = serde_json::from_str(&serde_json::to_string(&cut).unwrap()).unwrap();
            }
        }
        whole.end_epoch(1, 4, 1e-3);
        cut.end_epoch(1, 4, 1e-3);
        assert_eq!(cut, whole);
        let point = &whole.epochs[0];
        assert_eq!((point.loss, point.accuracy), (2.125, Some(0.25)));
        assert_eq!(point.images_per_second, 64.0);
        assert_eq!(
            whole.epochs_csv(),
            "epoch,step,loss,contrastive_accuracy,rate,images_per_second\n1,4,2.12500,0.2500,1.0000e-3,64.0\n"
        );
    }
}
