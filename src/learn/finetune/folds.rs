//! Labelled films and the cross-validation folds that their patients are in.

use std::collections::{BTreeMap, BTreeSet};

/// Labelled films: rows of the store with class indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labelled {
    /// Rows of the store.
    pub rows: Vec<usize>,
    /// Class of each row.
    pub classes: Vec<usize>,
}

impl Labelled {
    /// Leaves some rows out.
    #[must_use]
    pub fn without(self, left_out: &[usize]) -> Self {
        let kept =
            self.rows.into_iter().zip(self.classes).filter(|(row, _)| !left_out.contains(row));
        let (rows, classes) = kept.unzip();
        Self { rows, classes }
    }

    /// Splits the films into those outside fold `fold` and those in it; `folds` has the fold of each.
    pub(super) fn split(&self, folds: &[usize], fold: usize) -> [Self; 2] {
        let films = self.rows.iter().zip(&self.classes).zip(folds);
        let (held, kept): (Vec<_>, Vec<_>) = films.partition(|&(_, &of)| of == fold);
        [kept, held].map(|part| {
            let (rows, classes) = part.into_iter().map(|((&row, &class), _)| (row, class)).unzip();
            Self { rows, classes }
        })
    }

    /// Returns the number of films of the rarest of `classes` classes.
    pub(super) fn fewest_of_a_class(&self, classes: usize) -> usize {
        let count = |class| self.classes.iter().filter(|&&c| c == class).count();
        (0..classes).map(count).min().unwrap_or(0)
    }
}

/// Puts each patient into the fold that has the fewest films of that class, first come first served, so that labels
/// that arrive later never move earlier ones.
#[derive(Clone, Debug)]
pub struct FoldAssigner {
    folds: usize,
    of_patient: BTreeMap<String, usize>,
    films: Vec<BTreeMap<usize, usize>>,
    counted: BTreeSet<usize>,
}

impl FoldAssigner {
    /// Starts with empty folds.
    pub fn new(folds: usize) -> Self {
        Self {
            folds,
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
    fn assign(&mut self, row: usize, patient: &str, class: usize) -> usize {
        let emptiest = || {
            (0..self.folds)
                .min_by_key(|&fold| {
                    let of_class = self.films[fold].get(&class).copied().unwrap_or(0);
                    (of_class, self.films[fold].values().sum::<usize>(), fold)
                })
                .unwrap_or(0)
        };
        let fold = self.of_patient.get(patient).copied().unwrap_or_else(emptiest);
        self.of_patient.insert(patient.to_owned(), fold);
        if self.counted.insert(row) {
            *self.films[fold].entry(class).or_insert(0) += 1;
        }
        fold
    }

    /// Returns the folds of films in order.
    pub fn assign_all(&mut self, labelled: &Labelled, patients: &[String]) -> Vec<usize> {
        let pairs = labelled.rows.iter().zip(&labelled.classes);
        pairs.map(|(&row, &class)| self.assign(row, &patients[row], class)).collect()
    }
}
