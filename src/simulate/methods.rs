//! Learning from the labels bought, by the method that is asked for.

use anyhow::Context as _;
use serde_json::json;

use super::bench::Bench;
use super::memo::Shared;
use super::method::{PseudoLabelling, Recipe};
use super::networks::{Films, alone, ensemble, predicted, student, tuned};
use crate::dataset::Labelled;
use crate::features::{FOLDS, L2_GRID};
use crate::learn::StepReport;
use crate::learn::fixmatch::fixmatch;
use crate::learn::pool_means::COLDEST;
use crate::learn::round::Round;

/// What a method made of the labels bought.
#[derive(Clone, Debug, PartialEq)]
pub struct Learnt {
    /// Class probabilities of the evaluation films, films x classes, row-major.
    pub probabilities: Vec<f32>,
    /// Seconds of work taken over from an earlier cell, which belong to this one too.
    pub seconds_before: f32,
}

/// Returns the settings of the head, which ranks the pool and which most methods use, and of how networks are brought to it.
pub fn shared_settings() -> serde_json::Value {
    json!({ "folds": FOLDS, "l2_grid": L2_GRID, "coldest": COLDEST })
}

/// Learns from the labels bought and predicts the evaluation films; nothing of what earlier cells did changes the outcome.
///
/// # Errors
/// Fails if there are too few labels, if the device failed, or as stopped.
pub fn learn(bench: &Bench<'_>, bought: &Labelled, recipe: &Recipe) -> anyhow::Result<Learnt> {
    match recipe {
        Recipe::Head => {
            Ok(at_once(bench.round().head(bought)?.probabilities(&bench.eval_features)))
        }
        Recipe::LinearFloor { seed } => {
            let made = bench.handmade(*seed)?;
            let head = Round { space: &made.pool, ..bench.round() }.head(bought)?;
            Ok(at_once(head.probabilities(&made.evaluation)))
        }
        Recipe::Finetune(tuning) => evaluated(bench, &tuned(bench, bought, tuning)?),
        Recipe::Distill(teaching) => evaluated(bench, &student(bench, bought, teaching)?),
        Recipe::Fixmatch(labelling) => fix_matched(bench, bought, labelling),
        Recipe::Supervised(config) => evaluated(bench, &alone(bench, bought, config)?),
        Recipe::Ensemble(of) => {
            let films = Films { features: &bench.eval_features, store: &bench.eval_store };
            let opinion = ensemble(bench, bought, of, films)?;
            let (probabilities, seconds_before) = (opinion.probabilities, opinion.seconds_before);
            Ok(Learnt { probabilities, seconds_before })
        }
    }
}

fn at_once(probabilities: Vec<f32>) -> Learnt {
    Learnt { probabilities, seconds_before: 0.0 }
}

/// Predicts the evaluation films with one network.
fn evaluated(bench: &Bench<'_>, learnt: &Shared) -> anyhow::Result<Learnt> {
    let probabilities = predicted(bench, &learnt.network.model, &bench.eval_store)?;
    Ok(Learnt { probabilities, seconds_before: learnt.seconds_before })
}

fn fix_matched(
    bench: &Bench<'_>,
    bought: &Labelled,
    PseudoLabelling { encoder, fixmatch: config }: &PseudoLabelling,
) -> anyhow::Result<Learnt> {
    let random = (!encoder).then(|| bench.random(1.0, config.seed));
    let mut round = bench.round();
    round.start = random.as_ref().unwrap_or(round.start);
    let head = encoder.then(|| round.head_fit(bought)).transpose()?;
    let setting = match &head {
        Some(head) => round.setting(Some(head)),
        None => round.setting(None),
    };
    let (prior, ask) = (round.means(bought)?.shares, &mut |_: &StepReport| bench.flow());
    let found = fixmatch(&setting, round.pool, bought, Some(&prior), config, ask)
        .with_context(|| format!("cannot learn from {} labels", bought.rows.len()))?;
    Ok(at_once(predicted(bench, &found.model, &bench.eval_store)?))
}
