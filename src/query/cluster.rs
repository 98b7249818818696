//! Clusters of the pool: k-means++ and Lloyd's iterations, kept until the embeddings or their number change.

use std::collections::BTreeMap;

use rand_core::Rng;

use super::prob_cover::Cover;
use crate::features::{Embeddings, Space};
use crate::features::{dot, dots};
use crate::rng;
use crate::stats::argmax;

/// Lloyd's iterations for up to [`MANY`] clusters; they mostly stop by themselves before.
const ITERATIONS: usize = 30;
/// Above this many clusters the published code switches to mini-batches, in batches of about our whole pool; a few
/// full iterations are as good and reproducible.
const MANY: usize = 50;
const ITERATIONS_MANY: usize = 6;
/// Films that centroids are found by at most.
const SAMPLE: usize = 20_000;
/// Relative gain in inertia below which iterating stops.
const SMALL_GAIN: f64 = 1e-4;

/// A division of films into clusters numbered from zero; a cluster may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    count: usize,
    assignment: Vec<usize>,
    inertia: f64,
}

impl Clusters {
    /// Takes a ready assignment: the cluster of each film.
    pub fn from_assignment(assignment: Vec<usize>) -> Self {
        let count = assignment.iter().max().map_or(0, |&last| last + 1);
        Self { count, assignment, inertia: 0.0 }
    }

    /// Returns the number of clusters.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the cluster of each film.
    pub fn assignment(&self) -> &[usize] {
        &self.assignment
    }

    /// Returns the sum of squared distances to the centroids of the last assignment; zero for a ready assignment.
    pub fn inertia(&self) -> f64 {
        self.inertia
    }
}

/// Clusters all films of `x` into `count` clusters (no more than films) by k-means++ and Lloyd's rounds.
///
/// Of more than 20,000 films 10,000 to 20,000 at equal steps find the centroids, and the others join the nearest.
pub fn k_means(x: &Embeddings, count: usize, seed: u64) -> Clusters {
    let count = count.clamp(1, x.len().max(1));
    if x.is_empty() {
        return Clusters::from_assignment(Vec::new());
    }
    let iterations = if count <= MANY { ITERATIONS } else { ITERATIONS_MANY };
    if x.len() <= SAMPLE.max(count) {
        return lloyd(x, seed_centroids(x, count, seed), iterations);
    }
    let sample: Vec<usize> = (0..x.len()).step_by(x.len().div_ceil(SAMPLE.max(count))).collect();
    let sample = x.select(&sample);
    let count = count.min(sample.len());
    let found = lloyd(&sample, seed_centroids(&sample, count, seed), iterations);
    let centroids = means(&sample, count, &found.assignment, &mut vec![0.0; sample.len()]);
    let (mut assignment, mut distances) = (vec![0; x.len()], vec![0.0; x.len()]);
    assign(x, &centroids, &mut assignment, &mut distances);
    let inertia = inertia(&distances);
    Clusters { count, assignment, inertia }
}

/// Returns the sum of the squared distances that are finite.
fn inertia(distances: &[f32]) -> f64 {
    distances.iter().filter(|d| d.is_finite()).map(|&d| f64::from(d)).sum()
}

/// Draws starting centroids far from one another: k-means++ (Arthur and Vassilvitskii 2007).
fn seed_centroids(x: &Embeddings, count: usize, seed: u64) -> Vec<f32> {
    let mut draws = rng::stream(seed, "clusters", &[count as u64]);
    let mut centroids = Vec::with_capacity(count * x.dim());
    let mut nearest = vec![f32::INFINITY; x.len()];
    let mut next = rng::below(&mut draws, x.len());
    loop {
        centroids.extend_from_slice(&x.row(next));
        if centroids.len() == count * x.dim() {
            return centroids;
        }
        lower_distances(x, next, &mut nearest);
        // A film without a place is no centre.
        nearest.iter_mut().filter(|d| !d.is_finite()).for_each(|d| *d = 0.0);
        let total: f64 = nearest.iter().map(|&d| f64::from(d)).sum();
        let mut target = rng::unit_of_bits(draws.next_u64()) * total;
        // Falls back to the last film with a distance when rounding runs past the end, or to any film.
        next = nearest.iter().rposition(|&d| d > 0.0).unwrap_or(centroids.len() / x.dim());
        for (film, &d) in nearest.iter().enumerate() {
            target -= f64::from(d);
            if d > 0.0 && target < 0.0 {
                next = film;
                break;
            }
        }
    }
}

/// Lowers each film's squared distance in `nearest` to that from film `centre`, where that is smaller.
pub(crate) fn lower_distances(x: &Embeddings, centre: usize, nearest: &mut [f32]) {
    let centre_row = x.row(centre);
    let mut scratch = Vec::new();
    for (film, slot) in nearest.iter_mut().enumerate() {
        let squared = squared_distance(x.row_in(film, &mut scratch), &centre_row);
        // A NaN fails the comparison and changes nothing.
        if squared < *slot {
            *slot = squared;
        }
    }
}

/// Returns the squared Euclidean distance, exact for near-equal rows, where `a² + b² - 2ab` would cancel.
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (p, q) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            let d = p[lane] - q[lane];
            lanes[lane] += d * d;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(p, q)| (p - q) * (p - q)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// Runs Lloyd's iterations from `centroids` (clusters x the width of `x`) until the assignment or the inertia settles.
///
/// A cluster that loses its last film is moved to the film that lies farthest from its own centroid.
pub(super) fn lloyd(x: &Embeddings, mut centroids: Vec<f32>, iterations: usize) -> Clusters {
    let count = centroids.len() / x.dim();
    let mut assignment = vec![0; x.len()];
    let mut distances = vec![0.0f32; x.len()];
    let mut inertia = f64::INFINITY;
    for iteration in 0..iterations.max(1) {
        let before = inertia;
        let changed = assign(x, &centroids, &mut assignment, &mut distances);
        inertia = self::inertia(&distances);
        let settled = before - inertia <= SMALL_GAIN * inertia;
        if iteration > 0 && (!changed || settled) {
            break;
        }
        centroids = means(x, count, &assignment, &mut distances);
    }
    Clusters { count, assignment, inertia }
}

/// Assigns every film to its nearest centroid, the first of equals; returns whether any assignment changed.
fn assign(
    x: &Embeddings,
    centroids: &[f32],
    assignment: &mut [usize],
    distances: &mut [f32],
) -> bool {
    let dim = x.dim();
    let rows: Vec<&[f32]> = centroids.chunks_exact(dim).collect();
    let halves: Vec<f32> = rows.iter().map(|c| 0.5 * dot(c, c)).collect();
    let mut changed = false;
    let mut settle = |film: usize, own: &[f32], best: (f32, usize)| {
        let squared = dot(own, own) + 2.0 * best.0;
        changed |= assignment[film] != best.1;
        assignment[film] = best.1;
        distances[film] = if squared.is_nan() { 0.0 } else { squared.max(0.0) };
    };
    let whole = x.len() / 4 * 4;
    for film in (0..whole).step_by(4) {
        let own = [x.row(film), x.row(film + 1), x.row(film + 2), x.row(film + 3)];
        let films = own.each_ref().map(|row| &**row);
        // Half the squared distance less half the film's own square, which all centroids share.
        let mut best = [(f32::INFINITY, 0usize); 4];
        let mut offer = |cluster: usize, products: [f32; 4]| {
            for (best, product) in best.iter_mut().zip(products) {
                let score = halves[cluster] - product;
                if score < best.0 {
                    *best = (score, cluster);
                }
            }
        };
        let (pairs, odd) = rows.as_chunks::<2>();
        for (pair, centres) in pairs.iter().enumerate() {
            let products = dots(films, *centres);
            offer(2 * pair, products.map(|p| p[0]));
            offer(2 * pair + 1, products.map(|p| p[1]));
        }
        for &centre in odd {
            offer(rows.len() - 1, films.map(|film| dot(film, centre)));
        }
        for (i, best) in best.into_iter().enumerate() {
            settle(film + i, films[i], best);
        }
    }
    for film in whole..x.len() {
        let own = x.row(film);
        let mut best = (f32::INFINITY, 0);
        for (cluster, centre) in rows.iter().enumerate() {
            let score = halves[cluster] - dot(&own, centre);
            if score < best.0 {
                best = (score, cluster);
            }
        }
        settle(film, &own, best);
    }
    changed
}

/// Returns each cluster's mean; an empty one gets the farthest film, whose distance is then set to zero.
fn means(x: &Embeddings, count: usize, assignment: &[usize], distances: &mut [f32]) -> Vec<f32> {
    let dim = x.dim();
    let mut sums = vec![0.0f64; count * dim];
    let mut sizes = vec![0usize; count];
    let mut scratch = Vec::new();
    for (film, &cluster) in assignment.iter().enumerate() {
        let row = x.row_in(film, &mut scratch);
        if row.iter().all(|v| v.is_finite()) {
            sizes[cluster] += 1;
            let sum = &mut sums[cluster * dim..][..dim];
            sum.iter_mut().zip(row).for_each(|(s, &v)| *s += f64::from(v));
        }
    }
    let mut centroids = Vec::with_capacity(count * dim);
    for (sum, &size) in sums.chunks_exact(dim).zip(&sizes) {
        if size > 0 {
            centroids.extend(sum.iter().map(|s| (s / size as f64) as f32));
            continue;
        }
        let film = argmax(distances).unwrap_or(0);
        distances[film] = 0.0;
        centroids.extend_from_slice(&x.row(film));
    }
    centroids
}

/// Clusters the films of a space as if those that cannot be read were not there; these are put into the first cluster, where
/// nobody asks for them.
fn cluster(space: &Space, count: usize, seed: u64) -> Clusters {
    if space.unreadable().is_empty() {
        return k_means(space.directions(), count, seed);
    }
    let rows = space.readable();
    let found = k_means(&space.directions().select(&rows), count, seed);
    let mut assignment = vec![0; space.len()];
    for (row, &cluster) in rows.into_iter().zip(found.assignment()) {
        assignment[row] = cluster;
    }
    Clusters { assignment, ..found }
}

/// What the strategies remember between labels: clusterings, typicalities, distances to the labelled films, and who stands
/// for whom.
///
/// Everything in it is a function of embeddings, seed and labels: an empty cache gives the same ranking, later.
#[derive(Debug, Default)]
pub struct ClusterCache {
    fingerprint: u64,
    clusterings: BTreeMap<(usize, u64), Clustering>,
    pub(crate) reach: Reach,
    /// Who stands for whom, with the number of clusters and the seed that the radius was found with.
    pub(crate) cover: Option<((usize, u64), Cover)>,
}

/// A clustering and the typicalities computed on it so far.
#[derive(Debug)]
pub(crate) struct Clustering {
    pub(crate) clusters: Clusters,
    pub(crate) typicality: BTreeMap<usize, Typicality>,
}

/// The typicality of the films `members` of a cluster among one another.
#[derive(Debug)]
pub(crate) struct Typicality {
    pub(crate) members: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// Each film's squared distance to the nearest of the films `centres`.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    pub(crate) centres: Vec<usize>,
    pub(crate) nearest: Vec<f32>,
}

impl ClusterCache {
    /// Returns the clustering of the films that can be read into `count` clusters, computed if it is not known.
    pub(crate) fn clustering(&mut self, space: &Space, count: usize, seed: u64) -> &mut Clustering {
        self.follow(space.directions());
        self.clusterings.entry((count, seed)).or_insert_with(|| Clustering {
            clusters: cluster(space, count, seed),
            typicality: BTreeMap::new(),
        })
    }

    /// Forgets everything when the embeddings are others than before.
    pub(crate) fn follow(&mut self, x: &Embeddings) {
        if self.fingerprint != x.fingerprint() {
            *self = Self { fingerprint: x.fingerprint(), ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten groups far apart are found whole, though most of their films are in no sample.
    #[test]
    fn clusters_of_many_films_are_those_of_a_sample() {
        let films = 2 * SAMPLE + 500;
        let place = |film: usize| [(film % 10 * 100) as f32, ((film * 7919) % 101) as f32 / 50.0];
        let x = Embeddings::new(2, (0..films).flat_map(place).collect()).unwrap();
        let found = k_means(&x, 10, 1);
        assert_eq!((found.count(), found.assignment().len()), (10, films));
        for film in 0..films {
            assert_eq!(found.assignment()[film], found.assignment()[film % 10], "{film}");
        }
        let numbers: std::collections::BTreeSet<_> = found.assignment()[..10].iter().collect();
        assert_eq!(numbers.len(), 10);
        assert!(found.inertia() > 0.0 && found.inertia() < films as f64);
    }

    fn blobs() -> Embeddings {
        let wobble = |i: usize| ((i * 7919) % 101) as f32 / 1000.0;
        let values = (0..90).flat_map(|i| {
            let corner = i % 3;
            [wobble(i) + (corner == 1) as u8 as f32, wobble(i + 500) + (corner == 2) as u8 as f32]
        });
        Embeddings::new(2, values.collect()).unwrap()
    }

    #[test]
    fn separate_blobs_are_found() {
        let clusters = k_means(&blobs(), 3, 1);
        for i in 0..90 {
            assert_eq!(clusters.assignment()[i], clusters.assignment()[i % 3]);
        }
        assert_eq!(clusters, k_means(&blobs(), 3, 1));
    }

    #[test]
    fn every_cluster_has_a_film_and_more_clusters_fit_better() {
        let x = blobs();
        let mut inertia = f64::INFINITY;
        for count in [1, 2, 5, 40, 90, 200] {
            let clusters = k_means(&x, count, 3);
            let mut used = clusters.assignment().to_vec();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used.len(), count.min(90));
            assert!(clusters.inertia() < inertia + 1e-3);
            inertia = clusters.inertia();
        }
    }

    #[test]
    fn equal_or_broken_films_do_not_hang_or_spread() {
        let same = Embeddings::new(2, vec![1.0; 20]).unwrap();
        assert_eq!(k_means(&same, 4, 0).assignment().len(), 10);
        let mut values = blobs().values().to_vec();
        values[7] = f32::NAN;
        let broken = Embeddings::new(2, values).unwrap();
        let clusters = k_means(&broken, 3, 0);
        // All but the film that has no place, which is in a cluster of its choice.
        for film in 4..90 {
            assert_eq!(clusters.assignment()[film], clusters.assignment()[film % 3], "{film}");
        }
    }

    #[test]
    fn other_embeddings_empty_the_cache() {
        let mut cache = ClusterCache::default();
        let x = blobs();
        cache.clustering(&Space::of_rows(x.clone(), 2), 3, 0);
        cache.clustering(&Space::of_rows(x.clone(), 2), 3, 0);
        cache.clustering(&Space::of_rows(x.clone(), 2), 4, 0);
        assert_eq!(cache.clusterings.len(), 2);
        let other = Embeddings::new(2, vec![0.5; 180]).unwrap();
        cache.clustering(&Space::of_rows(other.clone(), 2), 3, 0);
        assert_eq!(cache.clusterings.len(), 1);
    }
}
