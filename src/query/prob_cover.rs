//! `ProbCover` (Yehuda, Dekel, Hacohen and Weinshall, `NeurIPS` 2022): the film that stands for most films that no
//! labelled film stands for yet.
//!
//! A film stands for those that lie in a ball around it. The ball should hold one class only: as there, its radius is the
//! largest at which 95 % of all balls are pure, with k-means clusters, as many as there are classes, in place of the
//! unknown labels. Both the radius and the graph of who stands for whom take a product for each pair of films, once for the
//! embeddings, and a bit a pair in memory. Deviation: from 16,385 films on, where that would be more than 2²⁸ pairs, each
//! film's ball is known among a sample at equal steps only, and it is the sample that is covered.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cluster::{ClusterCache, Clusters};
use super::pool::{Pool, Ranked};
use super::reason::Reason;
use crate::features::Embeddings;
use crate::features::{dot, dots};

/// Share of balls that must be pure.
const PURITY: f64 = 0.95;
/// Pairs that are looked at, at most, since nothing else is ranked meanwhile: seconds, and 32 MiB of bits.
pub(super) const MOST_PAIRS: usize = 1 << 28;

/// Ranks up to `count` candidates of `pool`, making the graph if need be.
pub(crate) fn rank(
    pool: &Pool<'_>,
    count: usize,
    seed: u64,
    cache: &mut ClusterCache,
) -> Vec<Ranked> {
    let x = pool.space.directions();
    let classes = pool.space.classes().max(2);
    cache.follow(x);
    if cache.cover.as_ref().is_none_or(|(key, _)| *key != (classes, seed)) {
        let clusters = &cache.clustering(pool.space, classes, seed).clusters;
        let radius = radius(x, clusters, &pool.space.readable());
        cache.cover = Some(((classes, seed), Cover::new(x, radius, MOST_PAIRS)));
    }
    cache.cover.as_ref().map_or_else(Vec::new, |(_, cover)| greedy(pool, cover, count))
}

/// Selects up to `count` candidates given the balls around films, each the one whose ball holds most labelled films and
/// candidates that are in no ball of a labelled, answered or selected film; equals by film id.
///
/// A ball is open and holds at least its own film. Once every film is covered, covering starts again from nothing: the
/// published code then chooses the first film of the list.
pub(super) fn greedy(pool: &Pool<'_>, cover: &Cover, count: usize) -> Vec<Ranked> {
    let all = cover.set(pool.labelled.iter().chain(pool.candidates));
    let mut open = all.clone();
    for &film in pool.labelled.iter().chain(pool.answered) {
        cover.close(film, &mut open, &all);
    }
    let by_gain = |open: &[u64], films: &mut dyn Iterator<Item = usize>| -> BinaryHeap<_> {
        films.map(|film| (cover.gain(film, open), Reverse(pool.ids[film]), film)).collect()
    };
    let mut left = by_gain(&open, &mut pool.candidates.iter().copied());
    let mut selected = Vec::with_capacity(count.min(left.len()));
    while selected.len() < count
        && let Some((known, id, film)) = left.pop()
    {
        // A gain only shrinks until covering starts again, so the first one that still stands is the largest.
        let films = cover.gain(film, &open);
        if films < known {
            left.push((films, id, film));
            continue;
        }
        let reason = Reason::Coverage { films };
        selected.push(Ranked { index: film, score: films as f32, reason });
        if cover.close(film, &mut open, &all) {
            left = by_gain(&open, &mut left.into_iter().map(|(_, _, film)| film));
        }
    }
    selected
}

/// Returns the largest radius at which at least 95 % of the films' open balls hold films of one cluster only; infinite if
/// so many never meet another cluster.
///
/// Goes by the films `rows`; all others are as if they were not there.
pub(super) fn radius(x: &Embeddings, clusters: &Clusters, rows: &[usize]) -> f32 {
    let sample: Vec<usize> =
        sample(rows.len(), MOST_PAIRS).into_iter().map(|place| rows[place]).collect();
    let mut counts = vec![false; x.len()];
    for &row in rows {
        counts[row] = true;
    }
    let assignment = clusters.assignment();
    // A ball is pure as long as its radius is no more than the distance to the nearest film of another cluster.
    let mut nearest = vec![f32::INFINITY; sample.len()];
    for_each_pair(x, &sample, |film, place, squared| {
        if counts[film] && assignment[film] != assignment[sample[place]] {
            nearest[place] = nearest[place].min(squared);
        }
    });
    // So many may be impure; the little more is for rounding.
    let impure = ((1.0 - PURITY) * sample.len() as f64 + 1e-9) as usize;
    if impure >= nearest.len() {
        return f32::INFINITY;
    }
    let (_, squared, _) = nearest.select_nth_unstable_by(impure, f32::total_cmp);
    squared.max(0.0).sqrt()
}

/// Returns films at equal steps, all of them or as many as make no more than so many pairs with all.
fn sample(films: usize, most_pairs: usize) -> Vec<usize> {
    let step = (films * films).div_ceil(most_pairs).max(1);
    (0..films).step_by(step).collect()
}

/// Who stands for whom.
#[derive(Debug)]
pub(crate) struct Cover {
    /// The films that are to be covered.
    sample: Vec<usize>,
    /// 64-bit words of a row.
    words: usize,
    /// Films x films of the sample, a bit each: which ones lie in the ball around a film.
    balls: Vec<u64>,
}

impl Cover {
    pub(super) fn new(x: &Embeddings, radius: f32, most_pairs: usize) -> Self {
        let sample = sample(x.len(), most_pairs);
        let words = sample.len().div_ceil(64);
        let mut balls = vec![0; x.len() * words];
        let limit = radius * radius;
        for_each_pair(x, &sample, |film, place, squared| {
            // Not so for a NaN.
            if film == sample[place] || squared < limit {
                balls[film * words + place / 64] |= 1 << (place % 64);
            }
        });
        Self { sample, words, balls }
    }

    fn ball(&self, film: usize) -> &[u64] {
        &self.balls[film * self.words..][..self.words]
    }

    /// Returns the set of those of `films` that are to be covered.
    fn set<'a>(&self, films: impl Iterator<Item = &'a usize>) -> Vec<u64> {
        let mut set = vec![0; self.words];
        for place in films.filter_map(|film| self.sample.binary_search(film).ok()) {
            set[place / 64] |= 1 << (place % 64);
        }
        set
    }

    /// Returns how many films of a set are in a film's ball.
    fn gain(&self, film: usize, set: &[u64]) -> usize {
        let both = self.ball(film).iter().zip(set).map(|(ball, set)| (ball & set).count_ones());
        both.sum::<u32>() as usize
    }

    /// Takes a film's ball out of the set of films that are open; once none is, `all` are, which it says.
    fn close(&self, film: usize, open: &mut Vec<u64>, all: &[u64]) -> bool {
        open.iter_mut().zip(self.ball(film)).for_each(|(open, ball)| *open &= !ball);
        let closed = open.iter().all(|&word| word == 0);
        if closed {
            open.clear();
            open.extend_from_slice(all);
        }
        closed
    }
}

/// Calls `see` with every film, every place of `sample`, which is not empty where there are films, and the square of the
/// distance of the two films.
fn for_each_pair(x: &Embeddings, sample: &[usize], mut see: impl FnMut(usize, usize, f32)) {
    let rows: Vec<_> = sample.iter().map(|&film| x.row(film)).collect();
    let squares: Vec<f32> = rows.iter().map(|row| dot(row, row)).collect();
    let last = rows.len().saturating_sub(1);
    for block in (0..x.len()).step_by(4) {
        // The last block and the last pair repeat the last film to stay four and two wide.
        let films: [usize; 4] = std::array::from_fn(|i| (block + i).min(x.len() - 1));
        let own = films.map(|film| x.row(film));
        let own_squares = own.each_ref().map(|row| dot(row, row));
        for pair in (0..rows.len()).step_by(2) {
            let places = [pair, (pair + 1).min(last)];
            let products =
                dots(own.each_ref().map(|row| &**row), places.map(|place| &*rows[place]));
            for i in 0..4.min(x.len() - block) {
                for j in 0..2.min(rows.len() - pair) {
                    let place = places[j];
                    see(films[i], place, own_squares[i] + squares[place] - 2.0 * products[i][j]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(x: &Embeddings) -> Vec<usize> {
        (0..x.len()).collect()
    }

    #[test]
    fn every_pair_is_seen_once_with_its_distance() {
        for (films, step) in (0..14).flat_map(|films| [(films, 1), (films, 3)]) {
            let value = |i: usize| ((i * 7919) % 101) as f32 / 50.0;
            let x = Embeddings::new(3, (0..3 * films).map(value).collect()).unwrap();
            let sample: Vec<usize> = (0..films).step_by(step).collect();
            let mut seen = Vec::new();
            for_each_pair(&x, &sample, |a, place, squared| {
                let other = x.row(sample[place]);
                let exact: f32 = x.row(a).iter().zip(&*other).map(|(p, q)| (p - q).powi(2)).sum();
                assert!((exact - squared).abs() < 1e-4);
                seen.push((a, place));
            });
            seen.sort_unstable();
            let all = (0..films).flat_map(|a| (0..sample.len()).map(move |place| (a, place)));
            assert_eq!(seen, all.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_sample_keeps_to_its_pairs() {
        assert_eq!(sample(0, 100), [] as [usize; 0]);
        assert_eq!(sample(10, 100), (0..10).collect::<Vec<_>>());
        assert_eq!(sample(11, 100), [0, 2, 4, 6, 8, 10]);
        let large = sample(100_000, MOST_PAIRS);
        assert!((2_500..2_685).contains(&large.len()), "{}", large.len());
        assert_eq!(sample(16_384, MOST_PAIRS).len(), 16_384);
    }

    #[test]
    fn the_radius_leaves_one_ball_in_twenty_impure() {
        // Forty films on a line, two clusters that meet between 1.9 and 2.0: of films 19 and 20 the distance is 0.1, of
        // 18 and 21 it is 0.2. Two of forty may be impure.
        let x = Embeddings::new(1, (0..40).map(|i| i as f32 / 10.0).collect()).unwrap();
        let clusters = Clusters::from_assignment((0..40).map(|i| i / 20).collect());
        assert!((radius(&x, &clusters, &all(&x)) - 0.2).abs() < 1e-3);
        let one = Clusters::from_assignment(vec![0; 40]);
        assert_eq!(radius(&x, &one, &all(&x)), f32::INFINITY);
        let none = Embeddings::new(1, Vec::new()).unwrap();
        assert_eq!(radius(&none, &Clusters::from_assignment(Vec::new()), &[]), f32::INFINITY);
    }

    #[test]
    fn all_films_are_open_at_first_and_again_once_all_are_closed() {
        for films in [1, 63, 64, 65, 130] {
            let x = Embeddings::new(1, (0..films).map(|i| i as f32).collect()).unwrap();
            let cover = Cover::new(&x, 0.5, MOST_PAIRS);
            let every: Vec<usize> = (0..films).collect();
            let all = cover.set(every.iter());
            let mut open = all.clone();
            let count = |open: &[u64]| open.iter().map(|word| word.count_ones()).sum::<u32>();
            assert_eq!(count(&open), films as u32);
            for film in 0..films - 1 {
                assert!(!cover.close(film, &mut open, &all));
            }
            assert_eq!((count(&open), cover.gain(films - 1, &open)), (1, 1));
            assert!(cover.close(films - 1, &mut open, &all));
            assert_eq!(count(&open), films as u32);
        }
    }

    #[test]
    fn a_sample_of_many_films_is_covered_by_all_of_them() {
        let x = Embeddings::new(1, (0..11).map(|i| i as f32).collect()).unwrap();
        let cover = Cover::new(&x, 1.5, 100);
        // Of films 0, 2 … 10 the ball around an even film holds itself, that around an odd one both of its neighbours.
        let even = cover.set((0..11).collect::<Vec<_>>().iter());
        assert_eq!(
            (0..11).map(|film| cover.gain(film, &even)).collect::<Vec<_>>(),
            [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1]
        );
    }
}
