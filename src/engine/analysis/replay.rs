//! The session replayed from its labels: after so many of them, how good the head on the pretrained features was, on
//! reference films and cross-validated, and how far its predictions have settled.
//!
//! The replay stands on the *pretrained* encoder's features: a fine-tuned one has learnt from labels that came later.

use super::super::Options;
use super::super::message::LabelSet;
use super::super::ranking::FOLDS;
use super::{Basis, learnable};
use crate::learn::Flow;
use crate::learn::figures::Figures;
use crate::learn::finetune::{FoldAssigner, Labelled};
use crate::learn::learning_curve::{Forecast, MeasuredCurve, foresee};
use crate::learn::stopping::Stability;
use crate::query::confident_learning::likeliest;
use crate::query::{Head, L2_GRID, Regularisation, choose_l2, out_of_fold};
use crate::rng;

/// Labels of the first checkpoint.
const FIRST: usize = 5;
/// Checkpoints of a curve, at most.
const CHECKPOINTS: usize = 20;
/// Labels below which cross-validation is noise.
const FEWEST_LABELS: usize = 10;
/// Labels between the models whose predictions are compared.
pub const STABILITY_STEP: usize = 10;
/// Films that they are compared on, at most: what Bloodgood and Vijay-Shanker recommend.
const STOP_SET: usize = 2000;
/// Films below which an agreement says nothing.
const FEWEST_FILMS: usize = 50;
/// Further labels that are asked about.
const MORE: usize = 50;

/// What the session's labels came to, by source.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// [`LabelSet::version`] that it was made from.
    pub version: u64,
    /// Labels with a class.
    pub labels: usize,
    /// Model whose features the replay stands on: the pretrained one.
    pub base: String,
    /// Model in use.
    pub model: String,
    /// Strength of the head's penalty in the replay, chosen by cross-validation on all labels.
    pub l2: f32,
    /// The replay on the reference films.
    pub reference: Vec<Checkpoint>,
    /// The random stream so far, each film predicted by the model in use before its label.
    pub audit: Vec<Checkpoint>,
    /// The replay cross-validated by patient on the labels up to each checkpoint.
    pub cross_validated: Vec<Checkpoint>,
    /// What the model in use holds of the reference films.
    pub held_of_reference: Held,
    /// What the models in use held of the random stream's films before their labels.
    pub held_before_the_label: Held,
    /// What heads on the pretrained features that have not seen a film's patient hold of it.
    pub held_out_of_fold: Held,
    /// How far predictions have settled, of models 10 labels apart on films without a label.
    pub stability: Stability,
    /// What the next 50 labels would buy in accuracy on the reference films.
    pub forecast: Option<Forecast>,
}

/// Figures after so many labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpoint {
    /// Labels with a class.
    pub labels: usize,
    /// The figures.
    pub figures: Figures,
}

/// Predictions of films with a known class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// Rows of the pool; empty for reference films.
    pub rows: Vec<usize>,
    /// Class probabilities, films x classes, row-major.
    pub probabilities: Vec<f32>,
    /// Class of each film.
    pub truth: Vec<usize>,
}

/// Returns numbers of labels from [`FIRST`] to `labels`, about evenly apart in their logarithm.
pub(super) fn checkpoints(labels: usize) -> Vec<usize> {
    if labels < FIRST {
        return Vec::new();
    }
    let ratio = (labels as f64 / FIRST as f64).powf(1.0 / (CHECKPOINTS - 1) as f64);
    let at = |step: usize| (FIRST as f64 * ratio.powi(step as i32)).round() as usize;
    let mut found: Vec<usize> = (0..CHECKPOINTS).map(at).collect();
    found.dedup();
    found
}

/// Returns whether there are two different values.
fn differ(values: &[usize]) -> bool {
    values.windows(2).any(|pair| pair[0] != pair[1])
}

/// Chooses the head's penalty for a replay: by cross-validation on all labels, so that it is the same for all of it.
pub(super) fn penalty(
    options: &Options,
    base: &Basis,
    labelled: &Labelled,
    observe: &mut dyn FnMut() -> Flow,
) -> f32 {
    let Labelled { rows, classes } = labelled;
    let folds = FoldAssigner::new(FOLDS).assign_all(labelled, &options.pool.patients);
    let count = options.classes.len();
    let enough = rows.len() >= FEWEST_LABELS;
    let chosen = enough
        .then(|| choose_l2(&base.features, rows, classes, count, &folds, &L2_GRID, observe))
        .flatten();
    chosen.unwrap_or_else(|| Regularisation::default().l2())
}

/// Replays the session; `None` if `observe` ends it.
pub(super) fn analyse(
    options: &Options,
    base: &Basis,
    (in_use, head): &(Basis, Option<Head>),
    labels: &LabelSet,
    observe: &mut dyn FnMut() -> Flow,
) -> Option<Analysis> {
    let labelled = learnable(labels, base);
    let l2 = penalty(options, base, &labelled, observe);
    let mut analysis = Analysis {
        version: labels.version,
        labels: labelled.rows.len(),
        base: base.model.clone(),
        model: in_use.model.clone(),
        l2,
        ..Analysis::default()
    };
    let (count, positive) = (options.classes.len(), options.positive);
    if let (Some(reference), Some(head)) = (&in_use.reference, head)
        && !labelled.rows.is_empty()
    {
        analysis.held_of_reference = Held {
            rows: Vec::new(),
            probabilities: head.probabilities(&reference.0),
            truth: reference.1.clone(),
        };
    }
    let mut measured = MeasuredCurve::default();
    let mut warm: Option<Head> = None;
    for at in checkpoints(labelled.rows.len()) {
        let (rows, classes) = (&labelled.rows[..at], &labelled.classes[..at]);
        if let Some(reference) = &base.reference {
            let head = Head::fit(&base.features, rows, classes, count, l2, warm.as_ref());
            let held = head.probabilities(&reference.0);
            warm = Some(head);
            if let Ok(figures) = Figures::of(&held, &reference.1, count, positive) {
                analysis.reference.push(Checkpoint { labels: at, figures });
                measured.labels.push(at);
                let wrong = held.chunks_exact(count).zip(&reference.1);
                measured.wrong.push(wrong.map(|(row, &truth)| likeliest(row) != truth).collect());
            }
        }
        if let Some(held) = cross_validate(options, base, (rows, classes), l2) {
            if let Ok(figures) = Figures::of(&held.probabilities, &held.truth, count, positive) {
                analysis.cross_validated.push(Checkpoint { labels: at, figures });
            }
            analysis.held_out_of_fold = held;
        }
        if observe() == Flow::Stop {
            return None;
        }
    }
    analysis.forecast = foresee(&measured, MORE, options.seed);
    analysis.stability = stability(options, base, &labelled, l2, observe)?;
    Some(analysis)
}

/// Predicts each labelled film by a head that has not seen its patient; `None` for too few labels to compare.
fn cross_validate(
    options: &Options,
    base: &Basis,
    (rows, classes): (&[usize], &[usize]),
    l2: f32,
) -> Option<Held> {
    let labelled = Labelled { rows: rows.to_vec(), classes: classes.to_vec() };
    let folds = FoldAssigner::new(FOLDS).assign_all(&labelled, &options.pool.patients);
    if rows.len() < FEWEST_LABELS || !differ(classes) || !differ(&folds) {
        return None;
    }
    let count = options.classes.len();
    let probabilities = out_of_fold(&base.features, rows, classes, count, &folds, l2);
    Some(Held { rows: labelled.rows, probabilities, truth: labelled.classes })
}

/// Compares models [`STABILITY_STEP`] labels apart on films without a label.
fn stability(
    options: &Options,
    base: &Basis,
    labelled: &Labelled,
    l2: f32,
    observe: &mut dyn FnMut() -> Flow,
) -> Option<Stability> {
    let mut is_open = vec![true; base.features.len()];
    labelled.rows.iter().chain(&base.unreadable).for_each(|&row| is_open[row] = false);
    let mut films: Vec<usize> = (0..is_open.len()).filter(|&row| is_open[row]).collect();
    rng::shuffle(&mut rng::stream(options.seed, "stop set", &[]), &mut films);
    films.truncate(STOP_SET);
    if films.len() < FEWEST_FILMS {
        return Some(Stability { kappas: Vec::new(), films: films.len() });
    }
    let count = options.classes.len();
    let mut models = Vec::new();
    let mut warm: Option<Head> = None;
    for at in (STABILITY_STEP..=labelled.rows.len()).step_by(STABILITY_STEP) {
        let (rows, classes) = (&labelled.rows[..at], &labelled.classes[..at]);
        let head = Head::fit(&base.features, rows, classes, count, l2, warm.as_ref());
        let held = head.probabilities_of(&base.features, &films);
        models.push((at, held.chunks_exact(count).map(likeliest).collect()));
        warm = Some(head);
        if observe() == Flow::Stop {
            return None;
        }
    }
    Some(Stability::of(&models, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_ascend_from_the_first_to_the_last_label() {
        assert!(checkpoints(4).is_empty());
        assert_eq!(checkpoints(5), [5]);
        for labels in [6, 23, 260, 5000] {
            let found = checkpoints(labels);
            assert_eq!((found[0], *found.last().unwrap()), (5, labels));
            assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{found:?}");
            assert!(found.len() <= CHECKPOINTS);
        }
    }
}
