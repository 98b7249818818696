//! Films on which readers disagree, in the order in which they are settled.

use super::study::Study;

/// The disagreements as they stand for one reader.
#[derive(Clone, Debug, Default)]
pub struct Disputes {
    /// Rows that the reader can settle, the next first.
    rows: Vec<usize>,
    /// Those of them that the reader has put behind the others.
    put_off: Vec<usize>,
    left_to_others: usize,
}

impl Disputes {
    /// Returns the films that the reader can settle, those put off at the end.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// Returns how many films readers disagree on that the reader has read and that somebody else has to settle.
    pub const fn left_to_others(&self) -> usize {
        self.left_to_others
    }

    /// Brings the films up to date.
    pub fn refresh(&mut self, study: &Study) {
        let state = study.state();
        let films: Vec<_> =
            if study.has_review() { state.disputed().collect() } else { Vec::new() };
        let own = state.of(study.reader());
        let open = films.iter().filter(|&&film| own.label(film).is_none());
        let mut rows: Vec<usize> = open.filter_map(|&film| study.row(film)).collect();
        self.left_to_others = films.len() - rows.len();
        self.put_off.retain(|row| rows.contains(row));
        rows.retain(|row| !self.put_off.contains(row));
        rows.extend(&self.put_off);
        self.rows = rows;
    }

    /// Puts a film behind the others.
    pub fn put_off(&mut self, row: usize) {
        self.put_off.retain(|&other| other != row);
        self.put_off.push(row);
    }

    /// Shows a film first whose adjudication was taken back.
    pub fn show(&mut self, row: usize) {
        self.rows.retain(|&other| other != row);
        self.rows.insert(0, row);
    }
}
