//! `ProbCover` (Yehuda, Dekel, Hacohen and Weinshall, `NeurIPS` 2022): the film that stands for most films that no
//! labelled film stands for yet.
//!
//! A film stands for those that lie in a ball around it. The ball should hold one class only: as there, its radius is the
//! largest at which 95 % of all balls are pure, with k-means clusters, as many as there are classes, in place of the
//! unknown labels. Both the radius and the graph of who stands for whom take a product for each pair of films, once for the
//! embeddings: quadratic in time, and a bit a pair in memory.

use super::cluster::{ClusterCache, Clusters};
use super::dot_product::{dot, dots};
use super::embeddings::Embeddings;
use super::pool::{Pool, Ranked};
use super::reason::Reason;

/// Share of balls that must be pure.
const PURITY: f64 = 0.95;

/// Ranks up to `count` candidates of `pool`, making the graph if need be.
pub(crate) fn rank(
    pool: &Pool<'_>,
    count: usize,
    seed: u64,
    cache: &mut ClusterCache,
) -> Vec<Ranked> {
    let x = pool.embeddings;
    let classes = pool.class_count.max(2);
    cache.follow(x);
    if cache.cover.as_ref().is_none_or(|(key, _)| *key != (classes, seed)) {
        let radius = radius(x, &cache.clustering(x, classes, seed).clusters);
        cache.cover = Some(((classes, seed), Cover::new(x, radius)));
    }
    cache.cover.as_ref().map_or_else(Vec::new, |(_, cover)| greedy(pool, cover, count))
}

/// Selects up to `count` candidates given the `radius` of the balls, each the one whose ball holds most films that are in
/// no ball of a labelled or selected film.
///
/// A ball is open and holds at least its own film. Once every film is covered, covering starts again from nothing: the
/// published code then chooses the first film of the list.
pub fn select(pool: &Pool<'_>, radius: f32, count: usize) -> Vec<Ranked> {
    greedy(pool, &Cover::new(pool.embeddings, radius), count)
}

fn greedy(pool: &Pool<'_>, cover: &Cover, count: usize) -> Vec<Ranked> {
    let mut open = cover.all();
    for &film in pool.labelled {
        cover.close(film, &mut open);
    }
    let mut left = pool.candidates.to_vec();
    let mut selected = Vec::with_capacity(count.min(left.len()));
    while selected.len() < count && !left.is_empty() {
        // Exact in single precision up to 2^24 films.
        let best = pool.best_of(&left, |film| cover.gain(film, &open) as f32);
        let index = left.swap_remove(best);
        let films = cover.gain(index, &open);
        selected.push(Ranked { index, score: films as f32, reason: Reason::Coverage { films } });
        cover.close(index, &mut open);
    }
    selected
}

/// Returns the largest radius at which at least 95 % of the films' open balls hold films of one cluster only; infinite if
/// so many never meet another cluster.
pub fn radius(x: &Embeddings, clusters: &Clusters) -> f32 {
    if x.is_empty() {
        return f32::INFINITY;
    }
    let assignment = clusters.assignment();
    // A ball is pure as long as its radius is no more than the distance to the nearest film of another cluster.
    let mut nearest = vec![f32::INFINITY; x.len()];
    for_each_pair(x, |a, b, squared| {
        if assignment[a] != assignment[b] {
            nearest[a] = nearest[a].min(squared);
            nearest[b] = nearest[b].min(squared);
        }
    });
    // So many may be impure; the little more is for rounding.
    let impure = ((1.0 - PURITY) * x.len() as f64 + 1e-9) as usize;
    let (_, squared, _) = nearest.select_nth_unstable_by(impure, f32::total_cmp);
    squared.max(0.0).sqrt()
}

/// Who stands for whom.
#[derive(Debug)]
pub(crate) struct Cover {
    films: usize,
    /// 64-bit words of a row.
    words: usize,
    /// Films x films, a bit each: which films lie in the ball around a film.
    balls: Vec<u64>,
}

impl Cover {
    fn new(x: &Embeddings, radius: f32) -> Self {
        let (films, words) = (x.len(), x.len().div_ceil(64));
        let mut cover = Self { films, words, balls: vec![0; films * words] };
        let limit = radius * radius;
        (0..films).for_each(|film| cover.join(film, film));
        for_each_pair(x, |a, b, squared| {
            // Not so for a NaN.
            if squared < limit {
                cover.join(a, b);
                cover.join(b, a);
            }
        });
        cover
    }

    fn join(&mut self, film: usize, to: usize) {
        self.balls[film * self.words + to / 64] |= 1 << (to % 64);
    }

    fn ball(&self, film: usize) -> &[u64] {
        &self.balls[film * self.words..][..self.words]
    }

    /// Returns the set of all films.
    fn all(&self) -> Vec<u64> {
        let bits = |word: usize| (self.films - 64 * word).min(64);
        (0..self.words).map(|word| u64::MAX >> (64 - bits(word))).collect()
    }

    /// Returns how many films of a set are in a film's ball.
    fn gain(&self, film: usize, set: &[u64]) -> usize {
        let both = self.ball(film).iter().zip(set).map(|(ball, set)| (ball & set).count_ones());
        both.sum::<u32>() as usize
    }

    /// Takes a film's ball out of the set of films that are open; once none is, all are.
    fn close(&self, film: usize, open: &mut Vec<u64>) {
        open.iter_mut().zip(self.ball(film)).for_each(|(open, ball)| *open &= !ball);
        if open.iter().all(|&word| word == 0) {
            *open = self.all();
        }
    }
}

/// Calls `see` with every two different films and the square of their distance.
fn for_each_pair(x: &Embeddings, mut see: impl FnMut(usize, usize, f32)) {
    let rows: Vec<_> = (0..x.len()).map(|film| x.row(film)).collect();
    let squares: Vec<f32> = rows.iter().map(|row| dot(row, row)).collect();
    let last = rows.len().saturating_sub(1);
    for block in (0..rows.len()).step_by(4) {
        // The last block and the last pair repeat the last film to stay four and two wide.
        let at: [usize; 4] = std::array::from_fn(|i| (block + i).min(last));
        for pair in (block..rows.len()).step_by(2) {
            let others = [pair, (pair + 1).min(last)];
            let products = dots(at.map(|film| &*rows[film]), others.map(|film| &*rows[film]));
            for i in 0..4.min(rows.len() - block) {
                for j in 0..2.min(rows.len() - pair) {
                    let (a, b) = (at[i], others[j]);
                    if a < b {
                        see(a, b, squares[a] + squares[b] - 2.0 * products[i][j]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_seen_once_with_its_distance() {
        for films in 0..14 {
            let value = |i: usize| ((i * 7919) % 101) as f32 / 50.0;
            let x = Embeddings::new(3, (0..3 * films).map(value).collect()).unwrap();
            let mut seen = Vec::new();
            for_each_pair(&x, |a, b, squared| {
                let exact: f32 =
                    x.row(a).iter().zip(&*x.row(b)).map(|(p, q)| (p - q).powi(2)).sum();
                assert!((exact - squared).abs() < 1e-4);
                seen.push((a, b));
            });
            seen.sort_unstable();
            let all = (0..films).flat_map(|a| (a + 1..films).map(move |b| (a, b)));
            assert_eq!(seen, all.collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_radius_leaves_one_ball_in_twenty_impure() {
        // Forty films on a line, two clusters that meet between 1.9 and 2.0: of films 19 and 20 the distance is 0.1, of
        // 18 and 21 it is 0.2. Two of forty may be impure.
        let x = Embeddings::new(1, (0..40).map(|i| i as f32 / 10.0).collect()).unwrap();
        let clusters = Clusters::from_assignment((0..40).map(|i| i / 20).collect());
        assert!((radius(&x, &clusters) - 0.2).abs() < 1e-3);
        let one = Clusters::from_assignment(vec![0; 40]);
        assert_eq!(radius(&x, &one), f32::INFINITY);
    }

    #[test]
    fn all_films_are_open_at_first_and_again_once_all_are_closed() {
        for films in [1, 63, 64, 65, 130] {
            let x = Embeddings::new(1, (0..films).map(|i| i as f32).collect()).unwrap();
            let cover = Cover::new(&x, 0.5);
            let mut open = cover.all();
            let count = |open: &[u64]| open.iter().map(|word| word.count_ones()).sum::<u32>();
            assert_eq!(count(&open), films as u32);
            for film in 0..films - 1 {
                cover.close(film, &mut open);
            }
            assert_eq!((count(&open), cover.gain(films - 1, &open)), (1, 1));
            cover.close(films - 1, &mut open);
            assert_eq!(count(&open), films as u32);
        }
    }
}
