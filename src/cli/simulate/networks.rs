//! The networks that a simulation learns from the labels bought, each once for all methods in a row that use it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;

use super::bench::Bench;
use super::heads::{fit_head, head_fit, pool_means};
use crate::dataset::planes::PlaneStore;
use crate::learn::distill::{DistillConfig, Teacher, distill};
use crate::learn::finetune::{FinetuneConfig, Labelled, finetune};
use crate::learn::optimizer::OptimizerConfig;
use crate::learn::pool_means::{COLDEST, aligned};
use crate::learn::supervised::{SupervisedConfig, supervised};
use crate::learn::{HeadFit, StepReport, probabilities};
use crate::model::Classifier;
use crate::query::{Embeddings, Regularisation};

/// A network learnt from the labels that were bought last.
#[derive(Debug)]
pub struct Network {
    settings: serde_json::Value,
    bought: Labelled,
    pub model: Classifier,
    /// Seconds of work that it took, that of the networks it learnt from included.
    seconds: f32,
}

/// A network, and the seconds of work on it that earlier cells spent.
pub type Shared = (Rc<Network>, f32);

/// Learns a network, unless the very same was learnt since labels were bought last. `learn` also returns the seconds that
/// earlier cells spent on what it learns from.
fn shared(
    bench: &Bench<'_>,
    bought: &Labelled,
    settings: &impl Serialize,
    learn: impl FnOnce() -> anyhow::Result<(Classifier, f32)>,
) -> anyhow::Result<Shared> {
    let settings = serde_json::to_value(settings)?;
    bench.shared.borrow_mut().retain(|known| known.bought == *bought);
    let known = bench.shared.borrow().iter().find(|known| known.settings == settings).cloned();
    if let Some(known) = known {
        let seconds = known.seconds;
        return Ok((known, seconds));
    }
    let started = Instant::now();
    let (model, before) = learn()?;
    let seconds = started.elapsed().as_secs_f32() + before;
    let network = Rc::new(Network { settings, bought: bought.clone(), model, seconds });
    bench.shared.borrow_mut().push(Rc::clone(&network));
    Ok((network, before))
}

/// How a simulation fine-tunes.
#[derive(Clone, Debug, Serialize)]
pub struct Tuning {
    pub finetune: FinetuneConfig,
    /// Brings the class shares and the confidence over the pool to the head's.
    pub pool_means_of_head: bool,
}

impl Tuning {
    pub fn standard(size: u32, seed: u64) -> Self {
        Self { finetune: FinetuneConfig::standard(size, seed), pool_means_of_head: true }
    }
}

/// Fine-tunes the encoder.
pub fn tuned(bench: &Bench<'_>, bought: &Labelled, tuning: &Tuning) -> anyhow::Result<Shared> {
    shared(bench, bought, tuning, || {
        let (patients, config) = (&bench.pool.patients, &tuning.finetune);
        let ask = &mut |_: &StepReport| bench.flow();
        let head = head_fit(bench, bought);
        // SimCLR v2's own form has a zero-initialised classifier alone.
        let head = (!matches!(config.recipe.optimizer, OptimizerConfig::Lars { .. }))
            .then_some(&head as &HeadFit<'_>);
        let setting = bench.setting(bench.base, head);
        let tuned = finetune(&setting, patients, &mut || bought.clone(), config, None, ask)
            .with_context(|| format!("cannot fine-tune on {} labels", bought.rows.len()))?;
        let model = if tuning.pool_means_of_head {
            align(bench, bought, tuned.model, COLDEST)?
        } else {
            tuned.model
        };
        Ok((model, 0.0))
    })
}

/// Learns from labels alone.
pub fn alone(
    bench: &Bench<'_>,
    bought: &Labelled,
    config: &SupervisedConfig,
) -> anyhow::Result<Shared> {
    shared(bench, bought, config, || {
        let start = bench.random(1.0, config.seed);
        let setting = bench.setting(&start, None);
        let model = supervised(&setting, bought, config, &mut |_| bench.flow())
            .with_context(|| format!("cannot learn from {} labels", bought.rows.len()))?;
        Ok((model, 0.0))
    })
}

/// Which networks stand beside the head in an ensemble.
pub type EnsembleConfig = (Tuning, SupervisedConfig);

/// Returns what the head, the fine-tuned network and labels alone together say of films, as probabilities, films x classes,
/// row-major, and the seconds that earlier cells spent on them.
///
/// The head and the fine-tuned network know what the encoder saw in the pool, labels alone what strong views of the labels
/// show: they err on different films. Of chosen labels alone, all of hard films, little may be learnt; a network that is
/// unsure of the pool therefore stays so, and has as little to say.
pub fn ensemble(
    bench: &Bench<'_>,
    bought: &Labelled,
    (tuning, labels_alone): &EnsembleConfig,
    (features, store): (&Embeddings, &Arc<PlaneStore>),
) -> anyhow::Result<(Vec<f32>, f32)> {
    let (network, tuning_before) = tuned(bench, bought, tuning)?;
    let (labels_alone, alone_before) = alone(bench, bought, labels_alone)?;
    let labels_alone = align(bench, bought, labels_alone.model.clone(), 1.0)?;
    let head = fit_head(bench, bought, &mut Regularisation::default(), None);
    let all = [
        head.probabilities(features),
        predicted(bench, &network.model, store)?,
        predicted(bench, &labels_alone, store)?,
    ];
    let mean = mean_of_logits(&all.each_ref().map(Vec::as_slice), bench.classes());
    Ok((mean, tuning_before + alone_before))
}

/// Teaches a student that starts from the fine-tuned network what that network says of the pool.
pub fn student(
    bench: &Bench<'_>,
    bought: &Labelled,
    (tuning, config): &(Tuning, DistillConfig),
) -> anyhow::Result<Shared> {
    shared(bench, bought, &(tuning, config), || {
        let (network, before) = tuned(bench, bought, tuning)?;
        let teacher = predicted(bench, &network.model, &bench.pool_store)?;
        Ok((taught(bench, bought, &network.model, &teacher, config)?, before))
    })
}

/// Teaches a student that starts from the fine-tuned network what the ensemble says of the pool.
pub fn student_of_ensemble(
    bench: &Bench<'_>,
    bought: &Labelled,
    (of, config): &(EnsembleConfig, DistillConfig),
) -> anyhow::Result<Shared> {
    shared(bench, bought, &(of, config), || {
        let pool = (&bench.features, &bench.pool_store);
        let (teacher, before) = ensemble(bench, bought, of, pool)?;
        let (start, _) = tuned(bench, bought, &of.0)?;
        Ok((taught(bench, bought, &start.model, &teacher, config)?, before))
    })
}

/// Teaches a narrower network from random weights what the [`student_of_ensemble`] says of the pool.
pub fn small_student(
    bench: &Bench<'_>,
    bought: &Labelled,
    (teacher, config, width): &((EnsembleConfig, DistillConfig), DistillConfig, f32),
) -> anyhow::Result<Shared> {
    shared(bench, bought, &(teacher, config, width), || {
        let (network, before) = student_of_ensemble(bench, bought, teacher)?;
        let teacher = predicted(bench, &network.model, &bench.pool_store)?;
        let start = bench.random(*width, config.seed);
        let start = bench.setting(&start, None).classifier(bought);
        Ok((taught(bench, bought, &start, &teacher, config)?, before))
    })
}

/// Teaches a student on the whole pool and brings it to the head.
fn taught(
    bench: &Bench<'_>,
    bought: &Labelled,
    student: &Classifier,
    teacher: &[f32],
    config: &DistillConfig,
) -> anyhow::Result<Classifier> {
    let pool: Vec<usize> = (0..bench.pool_store.len()).collect();
    let (setting, teacher) = (bench.setting(bench.base, None), Teacher::Probabilities(teacher));
    let ask = &mut |_: &StepReport| bench.flow();
    let student = distill(&setting, student, &pool, teacher, config, None, ask)?;
    align(bench, bought, student, COLDEST)
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

/// Returns a network's class probabilities of all films of a store, row-major.
pub fn predicted(
    bench: &Bench<'_>,
    model: &Classifier,
    store: &Arc<PlaneStore>,
) -> anyhow::Result<Vec<f32>> {
    let rows: Vec<usize> = (0..store.len()).collect();
    let (device, ask) = (&bench.compute.device, &mut |_| bench.flow());
    Ok(probabilities(model, store, &rows, bench.size, device, ask)?)
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
