//! Films that are decoded before they are asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use egui::Context;

use crate::dataset::Stamp;
use crate::engine::Foreseen;
use crate::study::Workspace;
use crate::ui::film_loader::{self, FilmLoader, Loaded};

/// The film on screen and those that may follow it, decoded.
pub struct FilmsAhead {
    loader: FilmLoader,
    /// Rows that may come first after the film on screen, by what the engine foresees.
    foreseen: Vec<usize>,
    /// Rows that are decoded ahead, the most urgent first.
    near: Vec<usize>,
    /// State of the files that the textures of films were made from.
    stamps: BTreeMap<usize, Stamp>,
}

impl FilmsAhead {
    /// Films whose textures wait on the graphics card, the one on screen included.
    const UPLOADED: usize = 4;

    /// Starts the threads that decode.
    ///
    /// # Errors
    /// If the system refuses one.
    pub fn new(ctx: &Context, workspace: &Workspace) -> std::io::Result<Self> {
        let waker = ctx.clone();
        let wake = move || waker.request_repaint();
        let loader =
            film_loader::start(&workspace.films, &workspace.images, film_loader::BUDGET, wake)?;
        let (foreseen, near, stamps) = (Vec::new(), Vec::new(), BTreeMap::new());
        Ok(Self { loader, foreseen, near, stamps })
    }

    /// Returns a film, or why it cannot be shown; `None` while it is being decoded.
    pub fn get(&self, row: usize) -> Option<Loaded> {
        self.loader.get(row)
    }

    /// Returns for how long a film has been waited for, if it is not there yet.
    pub fn waited(&self, row: usize) -> Option<Duration> {
        self.loader.waited(row)
    }

    /// Returns the rows that are decoded ahead, the most urgent first.
    pub fn near(&self) -> &[usize] {
        &self.near
    }

    /// Returns the rows whose textures are made ahead, the most urgent first.
    pub fn to_upload(&self) -> &[usize] {
        &self.near[..self.near.len().min(Self::UPLOADED)]
    }

    /// Keeps in mind what may come first after the film on screen.
    pub fn foresee(&mut self, foreseen: &Foreseen) {
        self.foreseen = union_of_heads(&foreseen.heads);
    }

    /// Has these films decoded, the first of them first, and after them what is foreseen.
    pub fn read_ahead(&mut self, soon: impl Iterator<Item = usize>) {
        let mut near: Vec<usize> = Vec::new();
        for row in soon.chain(self.foreseen.iter().copied()) {
            if !near.contains(&row) {
                near.push(row);
            }
        }
        self.loader.want(&near);
        self.stamps.retain(|row, _| near.contains(row));
        self.near = near;
    }

    /// Has a film read again if its file was written to: it may have been read ahead long ago.
    pub fn doubt(&self, row: usize) {
        self.loader.doubt(row, film_loader::is_current);
    }

    /// Returns whether a film was read again because its file had changed.
    pub fn was_read_again(&mut self, row: usize) -> bool {
        let Some(Ok(loaded)) = self.loader.get(row) else { return false };
        self.stamps.insert(row, loaded.stamp).is_some_and(|before| before != loaded.stamp)
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
