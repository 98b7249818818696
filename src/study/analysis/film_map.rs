//! The films on a plane, near one another where the model finds them alike.

use crate::dataset::Flow;
use crate::features::{Embeddings, Pca};
use crate::query::k_means;
use crate::query::neighbour_embedding::{self, Settings};
use crate::study::Embedded;

/// Principal components that distances are measured in.
const COMPONENTS: usize = 50;
/// Groups that films are put into.
pub const CLUSTERS: usize = 12;

/// Where the films lie.
#[derive(Clone, Debug)]
pub struct FilmMap {
    /// Model whose features they are placed by.
    pub model: String,
    /// Place of each film along the first two principal components; of films that cannot be read it means nothing.
    pub components: Vec<[f32; 2]>,
    /// Share of the variance of the directions, in which distances are measured, that the two hold, in 0..=1.
    pub explained: f32,
    /// Place of each film by neighbour embedding, once that is done.
    pub neighbours: Option<Vec<[f32; 2]>>,
    /// Group of each film.
    pub clusters: Vec<usize>,
    /// Directions in the first 50 components, length one: films with the largest products are the most alike.
    pub directions: Embeddings,
}

impl FilmMap {
    /// Returns those of `among` that are most like a film, the most alike first, with their cosine; never the film itself.
    pub fn nearest(&self, film: usize, among: &[usize], count: usize) -> Vec<(usize, f32)> {
        if film >= self.directions.len() {
            return Vec::new();
        }
        let own = self.directions.row(film);
        let cosine = |&other: &usize| {
            let row = self.directions.row(other);
            (other, own.iter().zip(&*row).map(|(a, b)| a * b).sum::<f32>())
        };
        let others = among.iter().filter(|&&other| other != film && other < self.directions.len());
        let mut found: Vec<(usize, f32)> = others.map(cosine).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(count);
        found
    }
}

/// Places the films: tells principal components first, then, as that takes longer, the neighbour embedding too.
pub fn draw(
    embedded: &Embedded,
    seed: u64,
    observe: &mut dyn FnMut() -> Flow,
    tell: &mut dyn FnMut(FilmMap),
) {
    let films = embedded.space.len();
    let pca = Pca::fit(embedded.space.directions(), COMPONENTS, seed);
    let width = pca.count();
    let Ok(reduced) = Embeddings::new(width.max(1), pca.apply(embedded.space.directions())) else {
        return;
    };
    if width < 2 || films == 0 {
        return;
    }
    let directions = reduced.normalised();
    let mut map = FilmMap {
        model: embedded.model.clone(),
        components: (0..films).map(|film| [reduced.row(film)[0], reduced.row(film)[1]]).collect(),
        explained: pca.explained(embedded.space.directions(), 2) as f32,
        neighbours: None,
        clusters: k_means(&directions, CLUSTERS, seed).assignment().to_vec(),
        directions,
    };
    tell(map.clone());
    let placed = neighbour_embedding::embed(
        &map.directions,
        &map.components,
        &Settings::default(),
        seed,
        observe,
    );
    if let Some(placed) = placed {
        map.neighbours = Some(placed);
        tell(map);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_come_first_and_never_the_film_itself() {
        let directions = Embeddings::new(2, vec![1.0, 0.0, 0.8, 0.6, 0.0, 1.0, -1.0, 0.0]).unwrap();
        let map = FilmMap {
            model: String::new(),
            components: Vec::new(),
            explained: 0.0,
            neighbours: None,
            clusters: Vec::new(),
            directions,
        };
        let rows = |film, among: &[usize]| -> Vec<usize> {
            map.nearest(film, among, 2).into_iter().map(|(row, _)| row).collect()
        };
        assert_eq!(rows(0, &[3, 2, 1, 0]), [1, 2]);
        assert_eq!(rows(2, &[0, 3]), [0, 3], "equals by row");
        assert_eq!(rows(9, &[0]), [0usize; 0]);
    }
}
