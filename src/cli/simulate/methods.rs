//! How a simulation learns from the labels bought so far.
//!
//! A method is a variant, an arm in [`Method::learner`] that gives its settings, and a function that learns from the
//! labels bought and returns the class probabilities of the evaluation films. The settings are part of the name under
//! which a cell is stored, with those that methods share ([`shared_settings`]); what no method sets, such as the rule by
//! which penalties are chosen anew, is the program's code and stands for its build.

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use super::bench::{Bench, HANDMADE_SEED};
use super::heads::{fit_head, fit_head_on, head_fit, pool_means};
use super::networks::{
    EnsembleConfig, Shared, Tuning, alone, ensemble, predicted, small_student, student,
    student_of_ensemble, tuned,
};
use crate::engine::ranking::FOLDS;
use crate::learn::distill::DistillConfig;
use crate::learn::finetune::{FinetuneConfig, Labelled};
use crate::learn::fixmatch::{FixMatchConfig, fixmatch};
use crate::learn::pool_means::COLDEST;
use crate::learn::pseudo_labels::PseudoLabelConfig;
use crate::learn::supervised::SupervisedConfig;
use crate::learn::{Setting, StepReport};
use crate::model::Classifier;
use crate::query::propagation::{ALPHA, NEIGHBOURS, vote};
use crate::query::{L2_GRID, Regularisation};

/// How a simulation learns from the labels bought so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Method {
    /// Logistic head on the pretrained features
    Head,
    /// Encoder fine-tuned beside the head, stopped and calibrated by cross-validation, half-way back to the start
    Finetune,
    /// Fine-tuned as SimCLR v2 does it: no head, LARS, mirror images alone
    FinetuneSimclr,
    /// Student taught by the fine-tuned network on the whole pool
    Distill,
    /// Student that starts from the fine-tuned network, taught by the ensemble on the whole pool
    DistillEnsemble,
    /// Student of half the width from random weights, taught by the ensemble's student on the whole pool
    DistillSmall,
    /// Logistic head on hand-made features, gradients and pixels: the floor
    LinearFloor,
    /// Labels spread over the pool along the pretrained features
    Propagation,
    /// FixMatch on the whole pool, from the pretrained encoder
    Fixmatch,
    /// The same with FreeMatch's adaptive threshold
    FixmatchAdaptive,
    /// FixMatch on the whole pool, from random weights; the head on the pretrained features estimates the prior
    FixmatchScratch,
    /// Labels alone, from random weights
    Supervised,
    /// The mean of the logits of the head, the fine-tuned network and labels alone, these brought to the head's shares
    Ensemble,
}

/// What a method made of the labels bought.
#[derive(Clone, Debug, PartialEq)]
pub struct Learnt {
    /// Class probabilities of the evaluation films, films x classes, row-major.
    pub probabilities: Vec<f32>,
    /// Labels that the method looked at, for cross-validation too.
    pub labels_looked_at: usize,
    /// Seconds of work taken over from an earlier cell, which belong to this one too.
    pub seconds_before: f32,
}

/// Width of the small student over the encoder's.
const SMALL: f32 = 0.5;

type Learn = Box<dyn Fn(&Bench<'_>, &Labelled) -> anyhow::Result<Learnt>>;

/// Returns the settings of the head, which ranks the pool and which most methods use, and of how networks are brought to it.
pub fn shared_settings() -> serde_json::Value {
    json!({ "folds": FOLDS, "l2_grid": L2_GRID, "coldest": COLDEST })
}

/// A method with its settings.
pub struct Learner {
    /// The method's own settings, the seed of the optimisation among them.
    pub config: serde_json::Value,
    learn: Learn,
}

impl Learner {
    fn new<C: Serialize + 'static>(
        config: C,
        learn: fn(&Bench<'_>, &Labelled, &C) -> anyhow::Result<Learnt>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            config: serde_json::to_value(&config)?,
            learn: Box::new(move |bench, bought| learn(bench, bought, &config)),
        })
    }

    /// A method whose outcome is one network.
    fn of_network<C: Serialize + 'static>(
        config: C,
        network: fn(&Bench<'_>, &Labelled, &C) -> anyhow::Result<Shared>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            config: serde_json::to_value(&config)?,
            learn: Box::new(move |bench, bought| {
                let (network, seconds_before) = network(bench, bought, &config)?;
                evaluated(bench, bought, &network.model, seconds_before)
            }),
        })
    }

    /// Learns from the labels bought and predicts the evaluation films; nothing of what earlier cells did changes the
    /// outcome.
    ///
    /// # Errors
    /// Fails if there are too few labels, if the device failed, or as stopped after Ctrl-C.
    pub fn learn(&self, bench: &Bench<'_>, bought: &Labelled) -> anyhow::Result<Learnt> {
        (self.learn)(bench, bought)
    }
}

impl Method {
    /// Returns the name used on the command line and in files.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Returns the method with its settings for an encoder of this input size and an optimisation seed.
    ///
    /// # Errors
    /// Fails if the settings cannot be written as JSON.
    pub fn learner(self, size: u32, seed: u64) -> anyhow::Result<Learner> {
        match self {
            Self::Head => Learner::new((), |bench, bought, ()| Ok(head(bench, bought))),
            Self::Finetune => Learner::of_network(Tuning::standard(size, seed), tuned),
            Self::FinetuneSimclr => {
                let finetune = FinetuneConfig::simclr(size, 32, seed);
                Learner::of_network(Tuning { finetune, pool_means_of_head: false }, tuned)
            }
            Self::Distill => {
                let config = (Tuning::standard(size, seed), DistillConfig::standard(size, seed));
                Learner::of_network(config, student)
            }
            Self::DistillEnsemble => {
                Learner::of_network(of_ensemble(size, seed), student_of_ensemble)
            }
            Self::DistillSmall => {
                let small = DistillConfig::from_scratch(size, seed);
                Learner::of_network((of_ensemble(size, seed), small, SMALL), small_student)
            }
            Self::LinearFloor => {
                let settings = json!({ "seed": HANDMADE_SEED });
                Learner::new(settings, |bench, bought, _| linear_floor(bench, bought))
            }
            Self::Propagation => {
                let settings =
                    json!({ "neighbours": NEIGHBOURS, "alpha": ALPHA, "prior": "of the head" });
                Learner::new(settings, |bench, bought, _| propagated(bench, bought))
            }
            Self::Fixmatch => {
                Learner::new(FixMatchConfig::from_encoder(size, seed), fix_matched_from_encoder)
            }
            Self::FixmatchAdaptive => {
                let pseudo_labels = PseudoLabelConfig::adaptive();
                let fixed = FixMatchConfig::from_encoder(size, seed);
                Learner::new(FixMatchConfig { pseudo_labels, ..fixed }, fix_matched_from_encoder)
            }
            Self::FixmatchScratch => {
                Learner::new(FixMatchConfig::from_scratch(size, seed), |bench, bought, config| {
                    let start = bench.random(1.0, config.seed);
                    fix_matched(bench, bought, config, &bench.setting(&start, None))
                })
            }
            Self::Supervised => {
                Learner::of_network(SupervisedConfig::from_scratch(size, seed), alone)
            }
            Self::Ensemble => Learner::new(ensemble_config(size, seed), ensembled),
        }
    }
}

fn ensemble_config(size: u32, seed: u64) -> EnsembleConfig {
    (Tuning::standard(size, seed), SupervisedConfig::from_scratch(size, seed))
}

fn of_ensemble(size: u32, seed: u64) -> (EnsembleConfig, DistillConfig) {
    (ensemble_config(size, seed), DistillConfig::standard(size, seed))
}

fn head(bench: &Bench<'_>, bought: &Labelled) -> Learnt {
    let fitted = fit_head(bench, bought, &mut Regularisation::default(), None);
    Learnt {
        probabilities: fitted.probabilities(&bench.eval_features),
        labels_looked_at: bought.rows.len(),
        seconds_before: 0.0,
    }
}

fn linear_floor(bench: &Bench<'_>, bought: &Labelled) -> anyhow::Result<Learnt> {
    let (pool, evaluation) = bench.handmade()?;
    let fitted = fit_head_on(pool, bench, bought, &mut Regularisation::default(), None);
    Ok(Learnt {
        probabilities: fitted.probabilities(evaluation),
        labels_looked_at: bought.rows.len(),
        seconds_before: 0.0,
    })
}

fn propagated(bench: &Bench<'_>, bought: &Labelled) -> anyhow::Result<Learnt> {
    let prior = pool_means(bench, bought)?.shares;
    let Labelled { rows, classes } = bought;
    let spread = bench.graph().spread(rows, classes, bench.classes(), ALPHA, Some(&prior));
    let (pool, evaluation) = (&bench.directions, &bench.eval_directions);
    Ok(Learnt {
        probabilities: vote(pool, &spread, evaluation, NEIGHBOURS, &prior),
        labels_looked_at: rows.len(),
        seconds_before: 0.0,
    })
}

fn fix_matched_from_encoder(
    bench: &Bench<'_>,
    bought: &Labelled,
    config: &FixMatchConfig,
) -> anyhow::Result<Learnt> {
    let head = head_fit(bench, bought);
    fix_matched(bench, bought, config, &bench.setting(bench.base, Some(&head)))
}

fn fix_matched(
    bench: &Bench<'_>,
    bought: &Labelled,
    config: &FixMatchConfig,
    setting: &Setting<'_>,
) -> anyhow::Result<Learnt> {
    let prior = pool_means(bench, bought)?.shares;
    let pool: Vec<usize> = (0..bench.pool_store.len()).collect();
    let ask = &mut |_: &StepReport| bench.flow();
    let found = fixmatch(setting, &pool, bought, Some(&prior), config, ask)
        .with_context(|| format!("cannot learn from {} labels", bought.rows.len()))?;
    evaluated(bench, bought, &found.model, 0.0)
}

fn ensembled(
    bench: &Bench<'_>,
    bought: &Labelled,
    config: &EnsembleConfig,
) -> anyhow::Result<Learnt> {
    let evaluation = (&bench.eval_features, &bench.eval_store);
    let (probabilities, seconds_before) = ensemble(bench, bought, config, evaluation)?;
    Ok(Learnt { probabilities, seconds_before, labels_looked_at: bought.rows.len() })
}

/// Predicts the evaluation films with one network.
fn evaluated(
    bench: &Bench<'_>,
    bought: &Labelled,
    model: &Classifier,
    seconds_before: f32,
) -> anyhow::Result<Learnt> {
    let probabilities = predicted(bench, model, &bench.eval_store)?;
    Ok(Learnt { probabilities, seconds_before, labels_looked_at: bought.rows.len() })
}
