//! The logistic head on the pretrained features, fitted to the labels bought.

use anyhow::Context as _;

use super::bench::Bench;
use crate::engine::ranking::FOLDS;
use crate::learn::Flow;
use crate::learn::finetune::{FoldAssigner, Labelled};
use crate::learn::pool_means::PoolMeans;
use crate::model::LinearHead;
use crate::query::{Embeddings, Head, Regularisation};

/// Fits the head on the features of the pool, choosing its penalty anew if that is due.
pub fn fit_head(
    bench: &Bench<'_>,
    bought: &Labelled,
    regularisation: &mut Regularisation,
    warm: Option<&Head>,
) -> Head {
    fit_head_on(&bench.features, bench, bought, regularisation, warm)
}

/// Fits a head on these features of the pool, likewise.
pub fn fit_head_on(
    features: &Embeddings,
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
    let l2 = regularisation.refresh(features, rows, truth, classes, &folds, go_on);
    Head::fit(features, rows, truth, classes, l2, warm)
}

/// Returns what fits the head to some of the labels bought, with the penalty that suits them all.
pub fn head_fit<'b>(
    bench: &'b Bench<'_>,
    bought: &Labelled,
) -> impl Fn(&Labelled) -> LinearHead + 'b {
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
pub fn pool_means(bench: &Bench<'_>, bought: &Labelled) -> anyhow::Result<PoolMeans> {
    let head = fit_head(bench, bought, &mut Regularisation::default(), None);
    PoolMeans::of(&head.probabilities(&bench.features), bench.classes())
        .context("no films to learn from")
}
