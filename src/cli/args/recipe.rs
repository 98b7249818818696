//! What can be typed about a pretraining recipe: objective, optimiser and schedule.

use anyhow::bail;
use clap::ValueEnum;

use crate::learn::objective::ObjectiveConfig;
use crate::learn::optimizer::OptimizerConfig;
use crate::learn::schedule::Scaling;

/// What `pretrain` minimises, and how.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Recipe")]
pub struct RecipeArgs {
    /// What is minimised
    #[arg(long, value_enum, default_value_t = ObjectiveChoice::Simclr)]
    pub objective: ObjectiveChoice,
    /// SimCLR: temperature of the loss [default: 0.2]
    #[arg(long)]
    pub temperature: Option<f32>,
    /// SimCLR: leave the positive out of the denominator
    #[arg(long)]
    pub decoupled: bool,
    /// SimCLR: keys of earlier batches that serve as further negatives
    #[arg(long, value_name = "N")]
    pub queue: Option<usize>,
    /// Momentum of the average that makes the queue's keys [default: 0.999] or BYOL's targets [default: 0.99]
    #[arg(long)]
    pub momentum: Option<f64>,
    /// VICReg: weight of the distance between views [default: 25]
    #[arg(long)]
    pub invariance: Option<f32>,
    /// VICReg: weight of the spread of each dimension [default: 25]
    #[arg(long)]
    pub variance: Option<f32>,
    /// VICReg: weight of the covariances between dimensions [default: 1]
    #[arg(long)]
    pub covariance: Option<f32>,
    /// What moves the weights
    #[arg(long, value_enum, default_value_t = OptimizerChoice::Adamw)]
    pub optimizer: OptimizerChoice,
    /// Peak learning rate before scaling [default: 0.0015 with AdamW, 0.3 with LARS]
    #[arg(long)]
    pub rate: Option<f64>,
    /// How the rate grows with the batch: none, linear (× batch / 256) or sqrt (× √batch) [default: none with AdamW, linear
    /// with LARS]
    #[arg(long, value_parser = scaling)]
    pub scaling: Option<Scaling>,
    /// Weight decay
    #[arg(long, default_value_t = 1e-4)]
    pub weight_decay: f32,
    /// Epochs of warm-up
    #[arg(long, default_value_t = 5)]
    pub warmup: u32,
}

/// What can be minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ObjectiveChoice {
    /// Contrast of views
    Simclr,
    /// Variance, invariance, covariance
    Vicreg,
    /// Prediction of a slowly moving target
    Byol,
}

/// What can move the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OptimizerChoice {
    /// For batches of a small machine
    Adamw,
    /// SimCLR's own, for large batches
    Lars,
}

fn scaling(text: &str) -> Result<Scaling, String> {
    match text {
        "none" => Ok(Scaling::None),
        "linear" => Ok(Scaling::Linear),
        "sqrt" => Ok(Scaling::Sqrt),
        _ => Err("the rate is scaled by none, linear or sqrt".to_owned()),
    }
}

impl RecipeArgs {
    /// Fails, in words, for a number out of its range and for a flag that the objective does not have.
    ///
    /// # Errors
    /// Names the flag.
    pub fn check(&self) -> anyhow::Result<()> {
        self.check_objective()?;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let temperature = self.temperature.map(f64::from);
        if !temperature.is_none_or(positive) || !self.rate.is_none_or(positive) {
            bail!("--temperature and --rate are above 0");
        }
        if !self.momentum.is_none_or(|momentum| (0.0..=1.0).contains(&momentum)) {
            bail!("--momentum is in 0..=1");
        }
        let weights = [self.invariance, self.variance, self.covariance, Some(self.weight_decay)];
        if weights.iter().flatten().any(|weight| !weight.is_finite() || *weight < 0.0) {
            bail!("--invariance, --variance, --covariance and --weight-decay are 0 or more");
        }
        Ok(())
    }

    fn check_objective(&self) -> anyhow::Result<()> {
        use ObjectiveChoice::{Byol, Simclr, Vicreg};
        let flags: [(&str, bool, &[ObjectiveChoice]); 7] = [
            ("--temperature", self.temperature.is_some(), &[Simclr]),
            ("--decoupled", self.decoupled, &[Simclr]),
            ("--queue", self.queue.is_some(), &[Simclr]),
            ("--momentum", self.momentum.is_some(), &[Simclr, Byol]),
            ("--invariance", self.invariance.is_some(), &[Vicreg]),
            ("--variance", self.variance.is_some(), &[Vicreg]),
            ("--covariance", self.covariance.is_some(), &[Vicreg]),
        ];
        for (flag, given, objectives) in flags {
            if given && !objectives.contains(&self.objective) {
                bail!("{flag} does nothing with this --objective; leave it out");
            }
        }
        Ok(())
    }

    /// What is minimised, with its parameters.
    pub fn objective(&self) -> ObjectiveConfig {
        match self.objective {
            ObjectiveChoice::Simclr => ObjectiveConfig::Simclr {
                temperature: self.temperature.unwrap_or(0.2),
                decoupled: self.decoupled,
                queue: self.queue.unwrap_or(0),
                momentum: self.momentum.unwrap_or(0.999),
            },
            ObjectiveChoice::Vicreg => ObjectiveConfig::Vicreg {
                invariance: self.invariance.unwrap_or(25.0),
                variance: self.variance.unwrap_or(25.0),
                covariance: self.covariance.unwrap_or(1.0),
            },
            ObjectiveChoice::Byol => {
                ObjectiveConfig::Byol { momentum: self.momentum.unwrap_or(0.99) }
            }
        }
    }

    /// What moves the weights, with its parameters.
    pub fn optimizer(&self) -> OptimizerConfig {
        let weight_decay = self.weight_decay;
        match self.optimizer {
            OptimizerChoice::Adamw => OptimizerConfig::Adamw { weight_decay },
            OptimizerChoice::Lars => OptimizerConfig::Lars { weight_decay, momentum: 0.9 },
        }
    }

    /// Learning rate before scaling.
    pub fn rate(&self) -> f64 {
        self.rate.unwrap_or(match self.optimizer {
            OptimizerChoice::Adamw => 1.5e-3,
            OptimizerChoice::Lars => 0.3,
        })
    }

    /// How the rate grows with the batch.
    pub fn scaling(&self) -> Scaling {
        self.scaling.unwrap_or(match self.optimizer {
            OptimizerChoice::Adamw => Scaling::None,
            OptimizerChoice::Lars => Scaling::Linear,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        recipe: RecipeArgs,
    }

    fn typed(text: &str) -> RecipeArgs {
        let words = ["pretrain"].into_iter().chain(text.split_whitespace());
        Typed::try_parse_from(words).unwrap().recipe
    }

    #[test]
    fn what_is_not_typed_follows_objective_and_optimiser() {
        let plain = typed("");
        let simclr = |queue, momentum, decoupled| ObjectiveConfig::Simclr {
            temperature: 0.2,
            decoupled,
            queue,
            momentum,
        };
        assert_eq!(plain.objective(), simclr(0, 0.999, false));
        assert_eq!(plain.optimizer(), OptimizerConfig::Adamw { weight_decay: 1e-4 });
        assert_eq!((plain.rate(), plain.scaling()), (1.5e-3, Scaling::None));
        let lars = typed("--optimizer lars --objective byol");
        assert_eq!(lars.objective(), ObjectiveConfig::Byol { momentum: 0.99 });
        assert_eq!(lars.optimizer(), OptimizerConfig::Lars { weight_decay: 1e-4, momentum: 0.9 });
        assert_eq!((lars.rate(), lars.scaling()), (0.3, Scaling::Linear));
        let typed =
            typed("--queue 64 --momentum 0.9 --decoupled --rate 1 --scaling sqrt --optimizer lars");
        assert_eq!(typed.objective(), simclr(64, 0.9, true));
        assert_eq!((typed.rate(), typed.scaling()), (1.0, Scaling::Sqrt));
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_their_flag() {
        typed("").check().unwrap();
        for text in [
            "--temperature 0",
            "--rate -1",
            "--rate inf",
            "--momentum 1.5",
            "--variance nan --objective vicreg",
            "--weight-decay -1",
            "--covariance 2",
            "--temperature 0.5 --objective byol",
            "--decoupled --objective vicreg",
            "--queue 8 --objective byol",
            "--momentum 0.9 --objective vicreg",
        ] {
            let flag = text.split_once(' ').unwrap().0;
            // A number below zero is told from a flag by the equals sign.
            let text = text.replacen(" -1", "=-1", 1);
            assert!(typed(&text).check().unwrap_err().to_string().contains(flag), "{text}");
        }
    }
}
