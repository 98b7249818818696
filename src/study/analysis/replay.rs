//! The session replayed from its labels: after so many of them, how good the head on the pretrained features was, on
//! reference films and cross-validated, and how far its predictions have settled.
//!
//! The replay stands on the *pretrained* encoder's features: a fine-tuned one has learnt from labels that came later.

use super::Task;
use crate::dataset::{Flow, Labelled};
use crate::features::Head;
use crate::learn::figures::Figures;
use crate::learn::learning_curve::{Forecast, MeasuredCurve, foresee};
use crate::learn::stopping::Stability;
use crate::rng;
use crate::stats::likeliest;
use crate::study::{Checkpoint, Embedded, Held};

/// Labels of the first checkpoint.
const FIRST: usize = 5;
/// Checkpoints of a curve, at most.
const CHECKPOINTS: usize = 20;
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
    /// [`LabelSet::version`](crate::study::LabelSet::version) that it was made from.
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

/// Replays the session; `head` is the one that ranks now, on the features of the model in use. `None` if `observe` ends it.
pub fn analyse(
    task: &Task,
    in_use: &Embedded,
    head: Option<&Head>,
    observe: &mut dyn FnMut() -> Flow,
) -> Option<Analysis> {
    let (space, labelled) = (&task.base.space, task.labelled());
    let l2 = task.penalty(&labelled, observe);
    let mut analysis = Analysis {
        version: task.labels.version,
        labels: labelled.rows.len(),
        base: task.base.model.clone(),
        model: in_use.model.clone(),
        l2,
        ..Analysis::default()
    };
    let (count, positive) = (space.classes(), task.positive);
    if let (Some(reference), Some(head)) = (&in_use.reference, head)
        && !labelled.rows.is_empty()
    {
        let probabilities = head.probabilities(&reference.0);
        analysis.held_of_reference =
            Held { rows: Vec::new(), probabilities, truth: reference.1.clone() };
    }
    let mut measured = MeasuredCurve::default();
    for at in checkpoints(labelled.rows.len()) {
        let labelled = labelled.first(at);
        if let Some(reference) = &task.base.reference {
            let held = space.head(&labelled, l2).probabilities(&reference.0);
            if let Ok(figures) = Figures::of(&held, &reference.1, count, positive) {
                analysis.reference.push(Checkpoint { labels: at, figures });
                measured.labels.push(at);
                let wrong = held.chunks_exact(count).zip(&reference.1);
                measured.wrong.push(wrong.map(|(row, &truth)| likeliest(row) != truth).collect());
            }
        }
        if let Some(probabilities) = space.cross_validated(&labelled, l2) {
            let held = Held { rows: labelled.rows, probabilities, truth: labelled.classes };
            if let Ok(figures) = Figures::of(&held.probabilities, &held.truth, count, positive) {
                analysis.cross_validated.push(Checkpoint { labels: at, figures });
            }
            analysis.held_out_of_fold = held;
        }
        if observe() == Flow::Stop {
            return None;
        }
    }
    analysis.forecast = foresee(&measured, MORE, task.seed);
    analysis.stability = stability(task, &labelled, l2, observe)?;
    Some(analysis)
}

/// Compares models [`STABILITY_STEP`] labels apart on films without a label.
fn stability(
    task: &Task,
    labelled: &Labelled,
    l2: f32,
    observe: &mut dyn FnMut() -> Flow,
) -> Option<Stability> {
    let space = &task.base.space;
    let mut is_open = vec![true; space.len()];
    labelled.rows.iter().chain(space.unreadable()).for_each(|&row| is_open[row] = false);
    let mut films: Vec<usize> = (0..is_open.len()).filter(|&row| is_open[row]).collect();
    rng::shuffle(&mut rng::stream(task.seed, "stop set", &[]), &mut films);
    films.truncate(STOP_SET);
    if films.len() < FEWEST_FILMS {
        return Some(Stability { kappas: Vec::new(), films: films.len() });
    }
    let count = space.classes();
    let mut models = Vec::new();
    for at in (STABILITY_STEP..=labelled.rows.len()).step_by(STABILITY_STEP) {
        let head = space.head(&labelled.first(at), l2);
        let held = head.probabilities_of(space.features(), &films);
        models.push((at, held.chunks_exact(count).map(likeliest).collect()));
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
