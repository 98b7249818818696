//! The cross-validation folds that patients are in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dataset::Labelled;

/// Puts each patient into the fold that has the fewest films of that class, first come first served, so that labels
/// that arrive later never move earlier ones.
#[derive(Clone, Debug)]
pub struct FoldAssigner {
    folds: usize,
    /// Patient of each film.
    patients: Arc<[String]>,
    of_patient: BTreeMap<String, usize>,
    films: Vec<BTreeMap<usize, usize>>,
    counted: BTreeSet<usize>,
}

impl FoldAssigner {
    /// Starts with empty folds for films of these patients.
    pub(super) fn new(folds: usize, patients: Arc<[String]>) -> Self {
        Self {
            folds,
            patients,
            of_patient: BTreeMap::new(),
            films: vec![BTreeMap::new(); folds],
            counted: BTreeSet::new(),
        }
    }

    /// Returns the number of folds.
    pub fn folds(&self) -> usize {
        self.folds
    }

    /// Returns the fold of a film's patient; a film that comes again counts once.
    fn assign(&mut self, row: usize, class: usize) -> usize {
        let emptiest = || {
            (0..self.folds)
                .min_by_key(|&fold| {
                    let of_class = self.films[fold].get(&class).copied().unwrap_or(0);
                    (of_class, self.films[fold].values().sum::<usize>(), fold)
                })
                .unwrap_or(0)
        };
        let patient = &self.patients[row];
        let fold = self.of_patient.get(patient).copied().unwrap_or_else(emptiest);
        self.of_patient.insert(patient.clone(), fold);
        if self.counted.insert(row) {
            *self.films[fold].entry(class).or_insert(0) += 1;
        }
        fold
    }

    /// Returns the folds of films in order.
    pub fn assign_all(&mut self, labelled: &Labelled) -> Vec<usize> {
        let pairs = labelled.rows.iter().zip(&labelled.classes);
        pairs.map(|(&row, &class)| self.assign(row, class)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_come_late_leave_earlier_films_in_their_folds() {
        let patients: Vec<String> = (0..40).map(|row| format!("p{}", row / 3)).collect();
        let folds = |labels: usize| {
            let rows: Vec<usize> = (0..labels).collect();
            let labelled = Labelled { classes: rows.iter().map(|row| row % 2).collect(), rows };
            FoldAssigner::new(3, patients.clone().into()).assign_all(&labelled)
        };
        let (early, late) = (folds(15), folds(40));
        assert_eq!(early, late[..15]);
        for fold in 0..3 {
            for class in 0..2 {
                assert!(late.iter().enumerate().any(|(row, &f)| f == fold && row % 2 == class));
            }
        }
    }
}
