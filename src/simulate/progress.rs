//! How far a simulation is, one line a cell.

use std::collections::VecDeque;
use std::time::Instant;

use super::method::Method;
use super::plan::Slot;
use super::summary::Cell;

/// Cells done and to do, and how long they took.
pub struct Progress {
    cells: usize,
    left: VecDeque<Slot>,
    /// Method, labels and seconds, the buying of labels among them, of each cell done.
    done: Vec<(Method, usize, f64)>,
    last: Instant,
}

impl Progress {
    /// Starts with the cells that are missing of so many.
    pub fn new(cells: usize, missing: &[Slot]) -> Self {
        let left = missing.iter().copied().collect();
        Self { cells, left, done: Vec::new(), last: Instant::now() }
    }

    /// Returns what is to be said of the cell that was computed next.
    #[must_use]
    pub fn line(&mut self, Cell { slot, outcome, metrics }: &Cell) -> String {
        self.left.pop_front();
        self.done.push((slot.arm.method, slot.labels, self.last.elapsed().as_secs_f64()));
        self.last = Instant::now();
        // A sum of nothing would be -0.
        let seconds = self.left.iter().fold(0.0, |sum, slot| sum + self.expected(slot));
        let left = if seconds < 90.0 {
            format!("{seconds:.0} s")
        } else {
            format!("{:.0} min", seconds / 60.0)
        };
        format!(
            "{}/{}, about {left} left: split {}, draw {}, seed {}, {}, {} labels {:?}: accuracy {:.3}, AUROC {:.3} \
             ({:.0} s)",
            self.cells - self.left.len(),
            self.cells,
            slot.split,
            slot.draw,
            slot.seed,
            slot.arm,
            slot.labels,
            outcome.of_class,
            metrics.accuracy.value,
            metrics.auroc.map_or(f64::NAN, |auroc| auroc.value),
            outcome.seconds
        )
    }

    /// Passes over the next cell.
    pub fn leave_out(&mut self) {
        self.left.pop_front();
        self.last = Instant::now();
    }

    /// Seconds that a cell will take: the mean of those of its method and budget, else of its method, else of all.
    fn expected(&self, slot: &Slot) -> f64 {
        let mean = |like: &dyn Fn(Method, usize) -> bool| {
            let alike = self.done.iter().filter(|&&(method, labels, _)| like(method, labels));
            let seconds: Vec<f64> = alike.map(|&(_, _, seconds)| seconds).collect();
            (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64)
        };
        let method = slot.arm.method;
        mean(&|other, labels| other == method && labels == slot.labels)
            .or_else(|| mean(&|other, _| other == method))
            .or_else(|| mean(&|_, _| true))
            .unwrap_or_default()
    }
}
