//! How strongly the head is penalised: chosen by cross-validation each time that the labels have grown by a fifth.

use super::embeddings::Embeddings;
use super::head::{Head, TOLERANCE};
use crate::dataset::{Flow, Labelled, Stopped};

/// Folds in which the penalty is chosen and heads are cross-validated.
pub const FOLDS: usize = 5;

/// Penalties that are tried, for features with a mean square of one.
pub const L2_GRID: [f32; 11] =
    [1.0, 2.2, 5.0, 11.0, 25.0, 56.0, 125.0, 280.0, 625.0, 1400.0, 3125.0];

/// The penalty where there is no choice: of the grid's stronger half, as with a handful of labels a weak one is
/// overconfident.
pub const DEFAULT_L2: f32 = L2_GRID[6];

/// Labels below which cross-validation is noise.
pub(super) const FEWEST_LABELS: usize = 10;

/// Returns how many of `labels` labels, the first ones, the penalty is chosen on; `None` where there are too few.
///
/// Ten, and from there each time a fifth more: a choice takes 55 fits, more than a reader can wait for at each label. It
/// depends on the number of labels alone, so that a session that was closed meanwhile, or read in other steps, has the same
/// penalty.
pub(super) fn chosen_on(labels: usize) -> Option<usize> {
    let grow = |&at: &usize| Some((6 * at).div_ceil(5));
    std::iter::successors(Some(FEWEST_LABELS), grow).take_while(|&at| at <= labels).last()
}

/// Returns the penalty of [`L2_GRID`] with the smallest out-of-fold log-loss, the stronger one of equals.
///
/// `folds` has the fold of each labelled film, two different ones at least; films of one patient belong into one fold.
///
/// # Errors
/// As stopped when `observe`, which is asked after every fit, says so.
pub(super) fn choose(
    x: &Embeddings,
    labelled: &Labelled,
    class_count: usize,
    folds: &[usize],
    observe: &mut dyn FnMut() -> Flow,
) -> Result<f32, Stopped> {
    let mut strongest_first = L2_GRID;
    strongest_first.reverse();
    let mut losses = [0.0; L2_GRID.len()];
    for (train, test) in distinct(folds) {
        let (train, test) = (labelled.at(&train), labelled.at(&test));
        // Each penalty starts from the solution of the next stronger one.
        let mut warm: Option<Head> = None;
        for (&l2, loss) in strongest_first.iter().zip(&mut losses) {
            let head = Head::fit_within(TOLERANCE, x, &train, class_count, l2, warm.as_ref());
            let probabilities = head.probabilities_of(x, &test.rows);
            for (row, &class) in probabilities.chunks_exact(class_count).zip(&test.classes) {
                let p = row.get(class).map_or(f64::MIN_POSITIVE, |&p| f64::from(p));
                *loss -= p.max(f64::from(f32::EPSILON)).ln();
            }
            warm = Some(head);
            if observe() == Flow::Stop {
                return Err(Stopped);
            }
        }
    }
    let best = losses.iter().zip(strongest_first).min_by(|a, b| a.0.total_cmp(b.0));
    Ok(best.map_or(DEFAULT_L2, |(_, l2)| l2))
}

/// Returns each labelled film's probabilities by a head fitted without the film's fold: films x classes.
pub(super) fn out_of_fold(
    x: &Embeddings,
    labelled: &Labelled,
    class_count: usize,
    folds: &[usize],
    l2: f32,
) -> Vec<f32> {
    let mut out = vec![0.0; labelled.rows.len() * class_count];
    for (train, test) in distinct(folds) {
        let head = Head::fit(x, &labelled.at(&train), class_count, l2);
        let probabilities = head.probabilities_of(x, &labelled.at(&test).rows);
        for (&place, row) in test.iter().zip(probabilities.chunks_exact(class_count)) {
            out[place * class_count..][..class_count].copy_from_slice(row);
        }
    }
    out
}

/// Returns, fold by fold, the places outside and inside it.
fn distinct(folds: &[usize]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut ids = folds.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(|id| (0..folds.len()).partition(|&place| folds[place] != id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> Flow {
        Flow::Continue
    }

    fn labelled(classes: Vec<usize>) -> Labelled {
        Labelled { rows: (0..classes.len()).collect(), classes }
    }

    #[test]
    fn a_choice_is_made_at_ten_labels_and_at_each_fifth_more() {
        assert_eq!(chosen_on(9), None);
        let at: Vec<usize> =
            (10..=48).filter(|&labels| chosen_on(labels) == Some(labels)).collect();
        assert_eq!(at, [10, 12, 15, 18, 22, 27, 33, 40, 48]);
        assert_eq!((chosen_on(32), chosen_on(52)), (Some(27), Some(48)));
    }

    #[test]
    fn out_of_fold_never_sees_its_own_fold() {
        let x = Embeddings::new(1, vec![-2.0, -1.0, 1.0, 2.0, 0.5]).unwrap();
        let p = out_of_fold(&x, &labelled(vec![0, 0, 1, 1, 0]), 2, &[0, 1, 0, 1, 2], 0.1);
        let without = Head::fit(&x, &labelled(vec![0, 0, 1, 1]), 2, 0.1);
        assert_eq!(p[8..10], without.probabilities_of(&x, &[4])[..]);
        assert!(p[9] > 0.5, "the film's own label must not have been used");
    }

    #[test]
    fn noise_asks_for_a_stronger_penalty_than_signal() {
        let hash = |i: usize| ((i * 2_654_435_761) >> 7) % 1000;
        let noise = |i: usize| hash(i) as f32 / 500.0 - 1.0;
        let labelled = labelled((0..60).map(|i| hash(i + 9000) % 2).collect());
        let folds: Vec<usize> = (0..60).map(|i| i % 5).collect();
        let random = Embeddings::new(8, (0..480).map(noise).collect()).unwrap();
        let mut values = random.values().to_vec();
        for (i, &class) in labelled.classes.iter().enumerate() {
            values[i * 8] += 4.0 * class as f32;
        }
        let signal = Embeddings::new(8, values).unwrap();
        let weak = choose(&signal, &labelled, 2, &folds, &mut on).unwrap();
        let strong = choose(&random, &labelled, 2, &folds, &mut on).unwrap();
        assert!(weak < strong, "{weak} {strong}");
    }

    #[test]
    fn a_choice_that_is_ended_stops_at_once() {
        let x = Embeddings::new(1, (0..40).map(|v| v as f32).collect()).unwrap();
        let labelled = labelled((0..40).map(|row| row % 2).collect());
        let folds: Vec<usize> = (0..40).map(|row| row / 8).collect();
        let mut fits = 0;
        let stopped = choose(&x, &labelled, 2, &folds, &mut || {
            fits += 1;
            if fits == 3 { Flow::Stop } else { Flow::Continue }
        });
        assert_eq!((fits, stopped), (3, Err(Stopped)));
    }
}
