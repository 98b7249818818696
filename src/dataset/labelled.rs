//! Labelled films, as rows and classes.

/// Labelled films in the order in which they were labelled: rows of a store with class indices.
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

    /// Returns the first `count` films, all if there are fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        let count = count.min(self.rows.len());
        Self { rows: self.rows[..count].to_vec(), classes: self.classes[..count].to_vec() }
    }

    /// Returns the films in these places; out of range is a defect of the caller and panics.
    #[must_use]
    pub fn at(&self, places: &[usize]) -> Self {
        let pairs = places.iter().map(|&place| (self.rows[place], self.classes[place]));
        let (rows, classes) = pairs.unzip();
        Self { rows, classes }
    }

    /// Returns the films and one more.
    #[must_use]
    pub fn with(&self, row: usize, class: usize) -> Self {
        let mut more = self.clone();
        more.rows.push(row);
        more.classes.push(class);
        more
    }

    /// Splits the films into those outside fold `fold` and those in it; `folds` has the fold of each.
    pub(crate) fn split(&self, folds: &[usize], fold: usize) -> [Self; 2] {
        let (held, kept): (Vec<_>, Vec<_>) =
            (0..folds.len()).partition(|&place| folds[place] == fold);
        [self.at(&kept), self.at(&held)]
    }

    /// Returns the number of films of the rarest of `classes` classes.
    pub(crate) fn fewest_of_a_class(&self, classes: usize) -> usize {
        let count = |class| self.classes.iter().filter(|&&c| c == class).count();
        (0..classes).map(count).min().unwrap_or(0)
    }
}
