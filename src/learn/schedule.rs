//! Learning rates as pure functions of the step (SimCLR v2, reference code `model.py`, `learning_rate_schedule`).

use serde::{Deserialize, Serialize};

/// How the configured learning rate grows with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// As configured.
    None,
    /// Times batch / 256.
    Linear,
    /// Times √batch.
    Sqrt,
}

impl Scaling {
    /// Returns the peak learning rate for a batch size.
    pub fn peak(self, rate: f64, batch: usize) -> f64 {
        match self {
            Self::None => rate,
            Self::Linear => rate * batch as f64 / 256.0,
            Self::Sqrt => rate * (batch as f64).sqrt(),
        }
    }
}

/// Returns the steps of warm-up that a share of a run of `steps` is.
pub(super) fn warmup_steps(share: f64, steps: u64) -> u64 {
    (share * steps as f64).round() as u64
}

/// Linear warm-up, then half a cosine down to zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmupCosine {
    /// Highest learning rate.
    pub peak: f64,
    /// Steps of warm-up.
    pub warmup: u64,
    /// Steps in all.
    pub total: u64,
}

impl WarmupCosine {
    /// Makes the reference code's schedule for `films` films, batches of `batch`, and these epochs.
    pub fn reference(peak: f64, films: u64, batch: u64, epochs: u64, warmup_epochs: u64) -> Self {
        Self { peak, warmup: warmup_epochs * films / batch, total: films * epochs / batch + 1 }
    }

    /// Returns the learning rate of step `step`, counted from 0; past the end it stays at zero.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let span = self.total.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / span).min(1.0);
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

/// FixMatch's fall from the peak: a cosine up to 7π / 16, where it is a fifth of the peak.
///
/// Source: google-research/fixmatch, `fixmatch.py`, which has no warm-up; `AdamW` on a pretrained network needs one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SevenSixteenths {
    /// Highest learning rate.
    pub peak: f64,
    /// Steps of a linear rise, during which the cosine falls already; 0 for none.
    pub warmup: u64,
    /// Steps in all.
    pub total: u64,
}

impl SevenSixteenths {
    /// Returns the learning rate of step `step`, counted from 0; past the end it stays as it is there.
    pub fn rate(&self, step: u64) -> f64 {
        let done = (step as f64 / self.total.max(1) as f64).min(1.0);
        let risen = ((step + 1) as f64 / (self.warmup + 1) as f64).min(1.0);
        risen * self.peak * (7.0 * std::f64::consts::PI * done / 16.0).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// .03 cos(7π k / 16 K), worked out in double precision.
    #[test]
    fn fixmatch_falls_by_seven_sixteenths() {
        let schedule = SevenSixteenths { peak: 0.03, warmup: 0, total: 1000 };
        for (step, rate) in [
            (0, 0.03),
            (250, 0.028_246_3),
            (500, 0.023_190_3),
            (1000, 0.005_852_7),
            (2000, 0.005_852_7),
        ] {
            assert!((schedule.rate(step) - rate).abs() < 5e-8, "{step}: {}", schedule.rate(step));
        }
        let risen = SevenSixteenths { warmup: 250, ..schedule };
        assert!((risen.rate(0) - 0.03 / 251.0).abs() < 1e-9);
        assert_eq!(risen.rate(250), schedule.rate(250));
    }

    /// Values of the original system's stages, computed by its reference code's formulas.
    #[test]
    fn reference_schedules() {
        let stage1 = WarmupCosine::reference(Scaling::Linear.peak(0.2, 128), 4708, 128, 500, 10);
        assert_eq!((stage1.total, stage1.warmup), (18391, 367));
        for (step, rate) in [
            (0, 0.0),
            (100, 0.027_247_956),
            (366, 0.099_727_52),
            (367, 0.1),
            (9379, 0.05),
            (18391, 0.0),
        ] {
            assert!((stage1.rate(step) - rate).abs() < 1e-8, "step {step}: {}", stage1.rate(step));
        }
        let stage2 = WarmupCosine::reference(Scaling::Sqrt.peak(0.001, 32), 52, 32, 60, 0);
        assert_eq!(stage2.total, 98);
        assert!((stage2.rate(0) - 0.005_656_854).abs() < 1e-9);
        assert!((stage2.rate(49) - 0.002_828_427).abs() < 1e-9);
        let stage3 = WarmupCosine::reference(Scaling::Sqrt.peak(0.2, 128), 4708, 128, 1000, 10);
        assert_eq!(stage3.total, 36782);
        assert!((stage3.peak - 2.262_741_7).abs() < 1e-7);
    }

    #[test]
    fn stays_at_zero_past_the_end() {
        let schedule = WarmupCosine { peak: 1.0, warmup: 2, total: 10 };
        assert_eq!(schedule.rate(10), 0.0);
        assert_eq!(schedule.rate(1000), 0.0);
    }
}
