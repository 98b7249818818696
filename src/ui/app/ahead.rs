//! Films that are decoded before they are asked for.

use super::reading::Reading;
use crate::engine::message::Foreseen;
use crate::ui::command::View;
use crate::ui::film_loader;

impl Reading {
    /// Has the films decoded that may come first after the film on screen. Nothing else is touched: what is read ahead
    /// and never comes leaves no trace.
    pub fn foresee(&mut self, foreseen: &Foreseen) {
        if self.upcoming.first().is_some_and(|film| film.row == foreseen.row) {
            self.foreseen = union_of_heads(&foreseen.heads);
            self.read_ahead();
        }
    }

    /// Returns the rows that are decoded ahead, the most urgent first.
    pub fn near(&self) -> &[usize] {
        &self.near
    }

    pub(super) fn queue_changed(&mut self) {
        let before = self.near.first().copied();
        self.upcoming = self.queue.upcoming(Self::AHEAD);
        self.read_ahead();
        if let Some(row) = self.row() {
            self.film_view.show_film(row);
            if before != Some(row) {
                // It may have been read ahead long ago.
                self.loader.doubt(row, film_loader::is_current);
            }
        }
    }

    /// Has the films decoded that are on screen or come next: those of the queue, those beside the one that the reader
    /// looks back at, and those that may come first after the film on screen.
    fn read_ahead(&mut self) {
        let disputed = if self.view == View::Review { &self.disputed[..] } else { &[] };
        let disputed = disputed.iter().copied().take(Self::AHEAD);
        let on_screen = self.row().into_iter().chain(disputed).chain(self.browsing_neighbours());
        let queued = self.upcoming.iter().map(|film| film.row);
        let mut near: Vec<usize> = Vec::new();
        for row in on_screen.chain(queued).chain(self.foreseen.iter().copied()) {
            if !near.contains(&row) {
                near.push(row);
            }
        }
        self.loader.want(&near);
        self.film_view.keep(&near[..near.len().min(Self::UPLOADED)]);
        self.thumbnails.retain(|row, _| near.contains(row));
        self.stamps.retain(|row, _| near.contains(row));
        self.near = near;
    }
}

/// Returns the rows of several orders, the first of each before the second of any.
fn union_of_heads(heads: &[Vec<usize>]) -> Vec<usize> {
    let longest = heads.iter().map(Vec::len).max().unwrap_or(0);
    let mut rows = Vec::new();
    for row in (0..longest).flat_map(|place| heads.iter().filter_map(move |head| head.get(place))) {
        if !rows.contains(row) {
            rows.push(*row);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_first_is_read_first() {
        let heads = [vec![4, 7, 1], vec![4, 9], vec![]];
        assert_eq!(union_of_heads(&heads), [4, 7, 9, 1]);
        assert!(union_of_heads(&[]).is_empty());
    }
}
