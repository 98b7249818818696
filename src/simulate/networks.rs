//! The networks that a simulation learns from the labels bought.

use anyhow::Context as _;

use super::bench::Bench;
use super::memo::{Fresh, Shared};
use super::method::{Ensemble, StudentStart, Teacher, Teaching, Tuning};
use crate::dataset::Labelled;
use crate::dataset::planes::PlaneStore;
use crate::features::Embeddings;
use crate::learn::StepReport;
use crate::learn::pool_means::COLDEST;
use crate::learn::round::Round;
use crate::learn::supervised::{SupervisedConfig, supervised};
use crate::model::Classifier;

/// Fine-tunes the encoder.
pub fn tuned(bench: &Bench<'_>, bought: &Labelled, tuning: &Tuning) -> anyhow::Result<Shared> {
    bench.memo.network(bought, tuning, || {
        let (round, ask) = (bench.round(), &mut |_: &StepReport| bench.flow());
        let tuned = round
            .tune(&tuning.finetune, &mut || bought.clone(), None, ask)
            .with_context(|| format!("cannot fine-tune on {} labels", bought.rows.len()))?;
        let model = if tuning.pool_means_of_head {
            round.align(tuned.model, bought, COLDEST)?
        } else {
            tuned.model
        };
        Ok(Fresh { model, seconds_before: 0.0 })
    })
}

/// Learns from labels alone.
pub fn alone(
    bench: &Bench<'_>,
    bought: &Labelled,
    config: &SupervisedConfig,
) -> anyhow::Result<Shared> {
    bench.memo.network(bought, config, || {
        let start = bench.random(1.0, config.seed);
        let round = Round { start: &start, ..bench.round() };
        let model = supervised(&round.setting(None), bought, config, &mut |_| bench.flow())
            .with_context(|| format!("cannot learn from {} labels", bought.rows.len()))?;
        Ok(Fresh { model, seconds_before: 0.0 })
    })
}

/// What several networks say of films.
pub struct Opinion {
    /// Class probabilities, films x classes, row-major.
    pub probabilities: Vec<f32>,
    /// Seconds that earlier cells spent on the networks.
    pub seconds_before: f32,
}

/// Films with their features on the head's scale.
#[derive(Clone, Copy)]
pub struct Films<'a> {
    /// Their features.
    pub features: &'a Embeddings,
    /// Their planes.
    pub store: &'a PlaneStore,
}

/// Returns what the head, the fine-tuned network and labels alone together say of films.
///
/// The head and the fine-tuned network know what the encoder saw in the pool, labels alone what strong views of the labels
/// show: they err on different films. Of chosen labels alone, all of hard films, little may be learnt; a network that is
/// unsure of the pool therefore stays so, and has as little to say.
pub fn ensemble(
    bench: &Bench<'_>,
    bought: &Labelled,
    Ensemble { tuning, labels_alone }: &Ensemble,
    films: Films<'_>,
) -> anyhow::Result<Opinion> {
    let tuned = tuned(bench, bought, tuning)?;
    let alone = alone(bench, bought, labels_alone)?;
    let round = bench.round();
    let aligned = round.align(alone.network.model.clone(), bought, 1.0)?;
    let all = [
        round.head(bought)?.probabilities(films.features),
        predicted(bench, &tuned.network.model, films.store)?,
        predicted(bench, &aligned, films.store)?,
    ];
    let probabilities = mean_of_logits(&all.each_ref().map(Vec::as_slice), bench.classes());
    Ok(Opinion { probabilities, seconds_before: tuned.seconds_before + alone.seconds_before })
}

/// Teaches a student on the whole pool and brings it to the head.
pub fn student(
    bench: &Bench<'_>,
    bought: &Labelled,
    teaching: &Teaching,
) -> anyhow::Result<Shared> {
    bench.memo.network(bought, teaching, || {
        let Teaching { teacher, start, distill } = teaching;
        let teacher = opinion(bench, bought, teacher)?;
        let round = bench.round();
        let start = match start {
            StudentStart::Tuned(tuning) => tuned(bench, bought, tuning)?.network.model.clone(),
            StudentStart::Random { width } => {
                let start = bench.random(*width, distill.seed);
                Round { start: &start, ..round }.setting(None).classifier(bought)
            }
        };
        let ask = &mut |_: &StepReport| bench.flow();
        let model = round.distil(&start, &teacher.probabilities, bought, distill, ask)?;
        Ok(Fresh { model, seconds_before: teacher.seconds_before })
    })
}

/// Returns what a teacher says of the pool.
fn opinion(bench: &Bench<'_>, bought: &Labelled, teacher: &Teacher) -> anyhow::Result<Opinion> {
    let pool = Films { features: bench.space.features(), store: &bench.pool_store };
    let Shared { network, seconds_before } = match teacher {
        Teacher::Ensemble(of) => return ensemble(bench, bought, of, pool),
        Teacher::Tuned(tuning) => tuned(bench, bought, tuning)?,
        Teacher::Student(teaching) => student(bench, bought, teaching)?,
    };
    let probabilities = predicted(bench, &network.model, pool.store)?;
    Ok(Opinion { probabilities, seconds_before })
}

/// Returns a network's class probabilities of all films of a store, row-major.
pub fn predicted(
    bench: &Bench<'_>,
    model: &Classifier,
    store: &PlaneStore,
) -> anyhow::Result<Vec<f32>> {
    let rows: Vec<usize> = (0..store.len()).collect();
    Ok(bench.round().predicted(model, store, &rows)?)
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
