//! How strongly the head is penalised: chosen by cross-validation, and kept until the labels have grown by a fifth.

use super::embeddings::Embeddings;
use super::head::Head;
use crate::dataset::Flow;

/// Penalties that are tried, for embeddings standardised to a mean variance of one.
pub const L2_GRID: [f32; 11] =
    [1.0, 2.2, 5.0, 11.0, 25.0, 56.0, 125.0, 280.0, 625.0, 1400.0, 3125.0];

/// Labels below which a comparison of penalties is noise.
const FEWEST_LABELS: usize = 10;

/// The penalty in use and when it was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regularisation {
    l2: f32,
    chosen_at: usize,
}

impl Default for Regularisation {
    /// Starts at the stronger half of the grid: with a handful of labels a weak penalty is overconfident.
    fn default() -> Self {
        Self { l2: L2_GRID[6], chosen_at: 0 }
    }
}

impl Regularisation {
    /// Returns the penalty in use.
    pub fn l2(&self) -> f32 {
        self.l2
    }

    /// Says whether it was chosen by cross-validation; else it is what a choice starts from.
    pub fn is_chosen(&self) -> bool {
        self.chosen_at > 0
    }

    /// Says whether `labels` labels call for a new choice: ten at least, and a fifth more than at the last one.
    pub fn is_due(&self, labels: usize) -> bool {
        labels >= FEWEST_LABELS && 5 * labels >= 6 * self.chosen_at && labels != self.chosen_at
    }

    /// Chooses anew by [`choose_l2`] if that [is due](Self::is_due), and returns the penalty to use.
    ///
    /// Undone labels are followed too: with fewer labels than at the last choice the count starts from there, so that
    /// the next fifth is a fifth of what is left. A choice that `observe` ends stays due.
    pub fn refresh(
        &mut self,
        x: &Embeddings,
        rows: &[usize],
        classes: &[usize],
        class_count: usize,
        folds: &[usize],
        observe: &mut dyn FnMut() -> Flow,
    ) -> f32 {
        if self.is_due(rows.len()) {
            // While there is nothing to compare, the choice stays due and costs nothing.
            let chosen = choose_l2(x, rows, classes, class_count, folds, &L2_GRID, observe);
            if let Some(l2) = chosen {
                *self = Self { l2, chosen_at: rows.len() };
            }
        }
        self.chosen_at = self.chosen_at.min(rows.len());
        self.l2
    }
}

/// Returns the penalty of `grid` with the smallest out-of-fold log-loss, the stronger one when two are equal.
///
/// `folds` gives the fold of each labelled film; films of one patient belong into one fold. `None` when there is
/// nothing to compare, fewer than two folds or classes or an empty grid, and when `observe`, which is asked after every
/// fit, ends it.
pub fn choose_l2(
    x: &Embeddings,
    rows: &[usize],
    classes: &[usize],
    class_count: usize,
    folds: &[usize],
    grid: &[f32],
    observe: &mut dyn FnMut() -> Flow,
) -> Option<f32> {
    let differ = |ids: &[usize]| ids.windows(2).any(|pair| pair[0] != pair[1]);
    if !differ(classes) || !differ(folds) {
        return None;
    }
    let mut strongest_first = grid.to_vec();
    strongest_first.sort_unstable_by(|a, b| b.total_cmp(a));
    let folds = distinct(folds, rows.len());
    let mut losses = vec![0.0; strongest_first.len()];
    for (train, test) in &folds {
        let take = |from: &[usize], at: &[usize]| at.iter().map(|&i| from[i]).collect::<Vec<_>>();
        let (train_rows, train_classes) = (take(rows, train), take(classes, train));
        let test_rows = take(rows, test);
        // Each penalty starts from the solution of the next stronger one.
        let mut warm: Option<Head> = None;
        for (&l2, loss) in strongest_first.iter().zip(&mut losses) {
            let head = Head::fit(x, &train_rows, &train_classes, class_count, l2, warm.as_ref());
            let probabilities = head.probabilities_of(x, &test_rows);
            for (row, &i) in probabilities.chunks_exact(class_count).zip(test) {
                let p = row.get(classes[i]).map_or(f64::MIN_POSITIVE, |&p| f64::from(p));
                *loss -= p.max(f64::from(f32::EPSILON)).ln();
            }
            warm = Some(head);
            if observe() == Flow::Stop {
                return None;
            }
        }
    }
    let best = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?;
    Some(strongest_first[best.0])
}

/// Returns each labelled film's probabilities by a head fitted without the film's fold: films x classes.
///
/// Two encoders' embeddings of the same films are compared by the log-loss of these.
pub fn out_of_fold(
    x: &Embeddings,
    rows: &[usize],
    classes: &[usize],
    class_count: usize,
    folds: &[usize],
    l2: f32,
) -> Vec<f32> {
    let mut out = vec![0.0; rows.len() * class_count];
    for (train, test) in distinct(folds, rows.len()) {
        let take = |from: &[usize], at: &[usize]| at.iter().map(|&i| from[i]).collect::<Vec<_>>();
        let head = Head::fit(x, &take(rows, &train), &take(classes, &train), class_count, l2, None);
        let probabilities = head.probabilities_of(x, &take(rows, &test));
        for (&i, row) in test.iter().zip(probabilities.chunks_exact(class_count)) {
            out[i * class_count..][..class_count].copy_from_slice(row);
        }
    }
    out
}

/// Returns, fold by fold, the positions outside and inside it.
fn distinct(folds: &[usize], films: usize) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut ids = folds.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(|id| (0..films).partition(|&i| folds[i] != id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> Flow {
        Flow::Continue
    }

    #[test]
    fn a_new_choice_is_due_after_a_fifth_more_labels() {
        let mut kept = Regularisation::default();
        assert!(!kept.is_due(9));
        assert!(kept.is_due(10));
        kept.chosen_at = 50;
        assert!(!kept.is_due(59));
        assert!(kept.is_due(60));
        assert!(!kept.is_due(50));
    }

    #[test]
    fn undone_labels_bring_the_next_choice_nearer() {
        let x = Embeddings::new(1, vec![0.0; 40]).unwrap();
        let mut kept = Regularisation { l2: 1.0, chosen_at: 40 };
        let rows: Vec<usize> = (0..20).collect();
        assert_eq!(kept.refresh(&x, &rows, &[0; 20], 2, &[0; 20], &mut on), 1.0);
        assert!(!kept.is_due(23));
        assert!(kept.is_due(24));
    }

    #[test]
    fn a_choice_waits_for_the_second_class() {
        let x = Embeddings::new(1, (0..12).map(|v| v as f32).collect()).unwrap();
        let rows: Vec<usize> = (0..12).collect();
        let folds: Vec<usize> = (0..12).map(|i| i % 3).collect();
        let mut classes = vec![0; 12];
        let mut kept = Regularisation::default();
        kept.refresh(&x, &rows[..10], &classes[..10], 2, &folds[..10], &mut on);
        assert!(kept.is_due(11));
        classes[6..].fill(1);
        kept.refresh(&x, &rows, &classes, 2, &folds, &mut on);
        assert!(!kept.is_due(13) && kept.is_due(15));
    }

    #[test]
    fn one_class_or_one_fold_gives_no_choice() {
        let x = Embeddings::new(1, vec![0.0, 1.0, 2.0]).unwrap();
        assert_eq!(choose_l2(&x, &[0, 1, 2], &[1, 1, 1], 2, &[0, 1, 0], &L2_GRID, &mut on), None);
        assert_eq!(choose_l2(&x, &[0, 1, 2], &[1, 0, 1], 2, &[3, 3, 3], &L2_GRID, &mut on), None);
        assert_eq!(choose_l2(&x, &[0, 1, 2], &[1, 0, 1], 2, &[0, 1, 1], &[], &mut on), None);
    }

    #[test]
    fn out_of_fold_never_sees_its_own_fold() {
        let x = Embeddings::new(1, vec![-2.0, -1.0, 1.0, 2.0, 0.5]).unwrap();
        let p = out_of_fold(&x, &[0, 1, 2, 3, 4], &[0, 0, 1, 1, 0], 2, &[0, 1, 0, 1, 2], 0.1);
        let without = Head::fit(&x, &[0, 1, 2, 3], &[0, 0, 1, 1], 2, 0.1, None);
        assert_eq!(p[8..10], without.probabilities_of(&x, &[4])[..]);
        assert!(p[9] > 0.5, "the film's own label must not have been used");
    }

    #[test]
    fn noise_asks_for_a_stronger_penalty_than_signal() {
        let hash = |i: usize| ((i * 2_654_435_761) >> 7) % 1000;
        let noise = |i: usize| hash(i) as f32 / 500.0 - 1.0;
        let classes: Vec<usize> = (0..60).map(|i| hash(i + 9000) % 2).collect();
        let rows: Vec<usize> = (0..60).collect();
        let folds: Vec<usize> = (0..60).map(|i| i % 5).collect();
        let random = Embeddings::new(8, (0..480).map(noise).collect()).unwrap();
        let mut values = random.values().to_vec();
        for (i, &class) in classes.iter().enumerate() {
            values[i * 8] += 4.0 * class as f32;
        }
        let signal = Embeddings::new(8, values).unwrap();
        let weak = choose_l2(&signal, &rows, &classes, 2, &folds, &L2_GRID, &mut on).unwrap();
        let strong = choose_l2(&random, &rows, &classes, 2, &folds, &L2_GRID, &mut on).unwrap();
        assert!(weak < strong, "{weak} {strong}");
    }

    #[test]
    fn a_choice_that_is_ended_stops_at_once_and_stays_due() {
        let x = Embeddings::new(1, (0..40).map(|v| v as f32).collect()).unwrap();
        let rows: Vec<usize> = (0..40).collect();
        let classes: Vec<usize> = rows.iter().map(|row| row % 2).collect();
        let folds: Vec<usize> = rows.iter().map(|row| row / 8).collect();
        let mut kept = Regularisation::default();
        let mut fits = 0;
        let l2 = kept.refresh(&x, &rows, &classes, 2, &folds, &mut || {
            fits += 1;
            if fits == 3 { Flow::Stop } else { Flow::Continue }
        });
        assert_eq!((fits, l2), (3, Regularisation::default().l2()));
        assert!(kept.is_due(40));
    }
}
