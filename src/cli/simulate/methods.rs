//! How a simulation learns from the labels bought so far.
//!
//! A method is a variant, an arm in [`Method::learner`] that gives its settings, and a function that learns from the
//! labels bought and returns the class probabilities of the evaluation films. The settings are part of the name under
//! which a cell is stored, with those that methods share ([`shared_settings`]), so none that changes the outcome stands
//! outside of them.

use std::rc::Rc;
use std::time::Instant;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use super::bench::{Bench, HANDMADE_SEED};
use crate::engine::ranking::FOLDS;
use crate::learn::distill::{DistillConfig, Teacher, distill};
use crate::learn::finetune::{FinetuneConfig, FoldAssigner, Labelled, finetune};
use crate::learn::fixmatch::{FixMatchConfig, fixmatch};
use crate::learn::optimizer::OptimizerConfig;
use crate::learn::pool_means::{COLDEST, PoolMeans, aligned};
use crate::learn::supervised::{SupervisedConfig, supervised};
use crate::learn::{Flow, HeadFit, Setting, StepReport, probabilities};
use crate::model::{Classifier, LinearHead};
use crate::query::propagation::{ALPHA, NEIGHBOURS, vote};
use crate::query::{Head, L2_GRID, Regularisation};

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
    /// Logistic head on hand-made features, gradients and pixels: the floor
    LinearFloor,
    /// Labels spread over the pool along the pretrained features
    Propagation,
    /// FixMatch on the whole pool, from the pretrained encoder
    Fixmatch,
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
            Self::Finetune => Learner::new(Tuning::standard(size, seed), fine_tuned),
            Self::FinetuneSimclr => {
                let finetune = FinetuneConfig::simclr(size, 32, seed);
                Learner::new(Tuning { finetune, pool_means_of_head: false }, fine_tuned)
            }
            Self::Distill => Learner::new(
                (Tuning::standard(size, seed), DistillConfig::standard(size, seed)),
                distilled,
            ),
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
                Learner::new(FixMatchConfig::from_encoder(size, seed), |bench, bought, config| {
                    let head = head_fit(bench, bought);
                    fix_matched(bench, bought, config, &bench.setting(bench.base, Some(&head)))
                })
            }
            Self::FixmatchScratch => {
                Learner::new(FixMatchConfig::from_scratch(size, seed), |bench, bought, config| {
                    let start = bench.random(config.seed);
                    fix_matched(bench, bought, config, &bench.setting(&start, None))
                })
            }
            Self::Supervised => {
                Learner::new(SupervisedConfig::from_scratch(size, seed), supervised_alone)
            }
            Self::Ensemble => {
                let alone = SupervisedConfig::from_scratch(size, seed);
                Learner::new((Tuning::standard(size, seed), alone), ensemble)
            }
        }
    }
}

fn head(bench: &Bench<'_>, bought: &Labelled) -> Learnt {
    let fitted = fit_head(bench, bought, &mut Regularisation::default(), None);
    Learnt {
        probabilities: fitted.probabilities(&bench.eval_features),
        labels_looked_at: bought.rows.len(),
        seconds_before: 0.0,
    }
}

/// Fits the head on the features of the pool, choosing its penalty anew if that is due.
pub fn fit_head(
    bench: &Bench<'_>,
    bought: &Labelled,
    regularisation: &mut Regularisation,
    warm: Option<&Head>,
) -> Head {
    let folds = FoldAssigner::new(FOLDS).assign_all(bought, &bench.pool.patients);
    let classes = bench.classes();
    let Labelled { rows, classes: truth } = bought;
    // A choice of the penalty that is broken off would be another choice: this takes seconds and is not.
    let go_on = &mut || Flow::Continue;
    let l2 = regularisation.refresh(&bench.features, rows, truth, classes, &folds, go_on);
    Head::fit(&bench.features, rows, truth, classes, l2, warm)
}

/// Returns what fits the head to some of the labels bought, with the penalty that suits them all.
fn head_fit<'b>(bench: &'b Bench<'_>, bought: &Labelled) -> impl Fn(&Labelled) -> LinearHead + 'b {
    let mut regularisation = Regularisation::default();
    fit_head(bench, bought, &mut regularisation, None);
    let l2 = regularisation.l2();
    move |Labelled { rows, classes }| {
        let head = Head::fit(&bench.features, rows, classes, bench.classes(), l2, None);
        head.linear(bench.scale())
    }
}

/// Returns the means of the head's probabilities over the pool; their shares estimate the classes' prior, which a strategy's
/// choice of films does not bias as it does the labels' own.
fn pool_means(bench: &Bench<'_>, bought: &Labelled) -> anyhow::Result<PoolMeans> {
    let head = fit_head(bench, bought, &mut Regularisation::default(), None);
    PoolMeans::of(&head.probabilities(&bench.features), bench.classes())
        .context("no films to learn from")
}

fn linear_floor(bench: &Bench<'_>, bought: &Labelled) -> anyhow::Result<Learnt> {
    let (pool, evaluation) = bench.handmade()?;
    let folds = FoldAssigner::new(FOLDS).assign_all(bought, &bench.pool.patients);
    let Labelled { rows, classes: truth } = bought;
    let (classes, go_on) = (bench.classes(), &mut || Flow::Continue);
    let l2 = Regularisation::default().refresh(pool, rows, truth, classes, &folds, go_on);
    Ok(Learnt {
        probabilities: Head::fit(pool, rows, truth, classes, l2, None).probabilities(evaluation),
        labels_looked_at: rows.len(),
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
    evaluated(bench, bought, &found.model)
}

fn supervised_alone(
    bench: &Bench<'_>,
    bought: &Labelled,
    config: &SupervisedConfig,
) -> anyhow::Result<Learnt> {
    let (network, seconds_before) = labels_alone(bench, bought, config)?;
    Ok(Learnt { seconds_before, ..evaluated(bench, bought, &network.model)? })
}

/// Learns from labels alone, unless it is [`shared`] already.
fn labels_alone(
    bench: &Bench<'_>,
    bought: &Labelled,
    config: &SupervisedConfig,
) -> anyhow::Result<(Rc<SharedNetwork>, f32)> {
    shared(bench, bought, serde_json::to_value(config)?, || {
        let start = bench.random(config.seed);
        let setting = bench.setting(&start, None);
        supervised(&setting, bought, config, &mut |_| bench.flow())
            .with_context(|| format!("cannot learn from {} labels", bought.rows.len()))
    })
}

/// The head and the fine-tuned network know what the encoder saw in the pool, labels alone what strong views of the labels
/// show: they err on different films. Of chosen labels alone, all of hard films, little may be learnt; a network that is
/// unsure of the pool therefore stays so, and has as little to say.
fn ensemble(
    bench: &Bench<'_>,
    bought: &Labelled,
    (tuning, alone): &(Tuning, SupervisedConfig),
) -> anyhow::Result<Learnt> {
    let (tuned, tuning_before) = tuned_network(bench, bought, tuning)?;
    let (alone, alone_before) = labels_alone(bench, bought, alone)?;
    let tuned = evaluated(bench, bought, &tuned.model)?;
    let alone = evaluated(bench, bought, &align(bench, bought, alone.model.clone(), 1.0)?)?;
    let all = [head(bench, bought), tuned, alone].map(|learnt| learnt.probabilities);
    Ok(Learnt {
        probabilities: mean_of_logits(&all.each_ref().map(Vec::as_slice), bench.classes()),
        seconds_before: tuning_before + alone_before,
        labels_looked_at: bought.rows.len(),
    })
}

/// Returns the probabilities, films x classes, row-major, whose logits are the mean of those of several classifiers: their
/// geometric mean, brought to a sum of one.
fn mean_of_logits(all: &[&[f32]], classes: usize) -> Vec<f32> {
    // Two that are each sure of another class are halfway, not undefined.
    let log = |of: &&[f32], i: usize| of[i].max(f32::MIN_POSITIVE).ln();
    let mean = |i| all.iter().map(|of| log(of, i)).sum::<f32>() / all.len() as f32;
    let values = all.first().map_or(0, |first| first.len());
    let mut means: Vec<f32> = (0..values).map(|i| mean(i).exp()).collect();
    for row in means.chunks_mut(classes.max(1)) {
        let total: f32 = row.iter().sum();
        for p in row {
            *p /= total;
        }
    }
    means
}

/// Predicts the evaluation films with one network.
fn evaluated(bench: &Bench<'_>, bought: &Labelled, model: &Classifier) -> anyhow::Result<Learnt> {
    let rows: Vec<usize> = (0..bench.eval_store.len()).collect();
    let (device, ask) = (&bench.compute.device, &mut |_| bench.flow());
    Ok(Learnt {
        probabilities: probabilities(model, &bench.eval_store, &rows, bench.size, device, ask)?,
        labels_looked_at: bought.rows.len(),
        seconds_before: 0.0,
    })
}

/// How a simulation fine-tunes.
#[derive(Clone, Debug, Serialize)]
struct Tuning {
    finetune: FinetuneConfig,
    /// Brings the class shares and the confidence over the pool to the head's.
    pool_means_of_head: bool,
}

impl Tuning {
    fn standard(size: u32, seed: u64) -> Self {
        Self { finetune: FinetuneConfig::standard(size, seed), pool_means_of_head: true }
    }
}

fn fine_tuned(bench: &Bench<'_>, bought: &Labelled, tuning: &Tuning) -> anyhow::Result<Learnt> {
    let (network, seconds_before) = tuned_network(bench, bought, tuning)?;
    Ok(Learnt { seconds_before, ..evaluated(bench, bought, &network.model)? })
}

fn distilled(
    bench: &Bench<'_>,
    bought: &Labelled,
    (tuning, config): &(Tuning, DistillConfig),
) -> anyhow::Result<Learnt> {
    let (network, seconds_before) = tuned_network(bench, bought, tuning)?;
    let (store, device) = (&bench.pool_store, &bench.compute.device);
    let pool: Vec<usize> = (0..store.len()).collect();
    let ask = &mut |_| bench.flow();
    let teacher = probabilities(&network.model, store, &pool, bench.size, device, ask)?;
    let setting = bench.setting(bench.base, None);
    let teacher = Teacher::Probabilities(&teacher);
    let ask = &mut |_: &StepReport| bench.flow();
    let student = distill(&setting, &network.model, &pool, teacher, config, None, ask)?;
    let student = align(bench, bought, student, COLDEST)?;
    Ok(Learnt { seconds_before, ..evaluated(bench, bought, &student)? })
}

/// Brings a network's class shares and confidence over the pool to the head's, at this temperature or above.
fn align(
    bench: &Bench<'_>,
    bought: &Labelled,
    model: Classifier,
    coldest: f64,
) -> anyhow::Result<Classifier> {
    let (pool, setting): (Vec<usize>, _) =
        ((0..bench.pool_store.len()).collect(), bench.setting(bench.base, None));
    let means = pool_means(bench, bought)?;
    let ask = &mut |_| bench.flow();
    Ok(aligned(model, &setting, &pool, bench.size, &means, coldest, ask)?)
}

/// A network learnt from the labels that were bought last, which several methods in a row use.
#[derive(Debug)]
pub struct SharedNetwork {
    settings: serde_json::Value,
    bought: Labelled,
    model: Classifier,
    seconds: f32,
}

/// Learns a network, unless the very same was learnt since labels were bought last; also returns the seconds that an earlier
/// cell spent on it.
fn shared(
    bench: &Bench<'_>,
    bought: &Labelled,
    settings: serde_json::Value,
    learn: impl FnOnce() -> anyhow::Result<Classifier>,
) -> anyhow::Result<(Rc<SharedNetwork>, f32)> {
    bench.shared.borrow_mut().retain(|known| known.bought == *bought);
    let known = bench.shared.borrow().iter().find(|known| known.settings == settings).cloned();
    if let Some(known) = known {
        let seconds = known.seconds;
        return Ok((known, seconds));
    }
    let started = Instant::now();
    let model = learn()?;
    let (bought, seconds) = (bought.clone(), started.elapsed().as_secs_f32());
    let network = Rc::new(SharedNetwork { settings, bought, model, seconds });
    bench.shared.borrow_mut().push(Rc::clone(&network));
    Ok((network, 0.0))
}

/// Fine-tunes, unless it is [`shared`] already.
fn tuned_network(
    bench: &Bench<'_>,
    bought: &Labelled,
    tuning: &Tuning,
) -> anyhow::Result<(Rc<SharedNetwork>, f32)> {
    shared(bench, bought, serde_json::to_value(tuning)?, || {
        let (patients, config) = (&bench.pool.patients, &tuning.finetune);
        let ask = &mut |_: &StepReport| bench.flow();
        let head = head_fit(bench, bought);
        // SimCLR v2's own form has a zero-initialised classifier alone.
        let head = (!matches!(config.recipe.optimizer, OptimizerConfig::Lars { .. }))
            .then_some(&head as &HeadFit<'_>);
        let setting = bench.setting(bench.base, head);
        let tuned = finetune(&setting, patients, &mut || bought.clone(), config, None, ask)
            .with_context(|| format!("cannot fine-tune on {} labels", bought.rows.len()))?;
        if tuning.pool_means_of_head {
            align(bench, bought, tuned.model, COLDEST)
        } else {
            Ok(tuned.model)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_logits_lies_between_and_sums_to_one() {
        let (a, b) = ([0.9, 0.1, 0.2, 0.8, 1.0, 0.0], [0.5, 0.5, 0.2, 0.8, 0.0, 1.0]);
        let near = |found: &[f32], expected: &[f32]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        };
        // The odds are the geometric mean of 9 and 1, and of a quarter twice.
        near(&mean_of_logits(&[&a, &b], 2), &[0.75, 0.25, 0.2, 0.8, 0.5, 0.5]);
        // Two of three at even odds leave the cube root of 8.
        let expected = [2.0 / 3.0, 1.0 / 3.0];
        near(&mean_of_logits(&[&[8.0 / 9.0, 1.0 / 9.0], &b[..2], &b[..2]], 2), &expected);
    }
}
