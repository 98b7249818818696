//! `TypiClust` (Hacohen, Dekel and Weinshall, ICML 2022): a typical film of each cluster that has no label yet.

use std::collections::BTreeMap;

use super::cluster::{ClusterCache, Clusters, Typicality};
use super::pool::{Pool, Ranked};
use super::reason::Reason;
use crate::features::Embeddings;
use crate::features::{dot, dots};

/// Clusters of this size or smaller are outliers, visited only when nothing else is left.
const MIN_CLUSTER_SIZE: usize = 5;
/// The most clusters that are made.
const MAX_CLUSTERS: usize = 500;
/// Neighbours whose mean distance makes typicality.
const NEIGHBOURS: usize = 20;
/// The fewest labels between two clusterings.
pub(super) const SMALLEST_BATCH: usize = 10;

/// Returns the number of clusters for `labelled` labels and batches of `batch`.
///
/// At the start of a batch that is the paper's `min(|L| + B, 500)`. Within a batch it stays: `|L|` is rounded down to
/// whole batches, so the pool is clustered once a batch, and ranking again after each label of a batch goes on in the
/// order of the batch. Batches below ten count as ten, since clustering at each label would cost seconds.
pub(crate) fn cluster_count(labelled: usize, batch: usize) -> usize {
    let batch = batch.max(SMALLEST_BATCH);
    (labelled / batch * batch + batch).min(MAX_CLUSTERS)
}

/// Ranks up to `count` candidates of `pool`, clustering the pool if need be.
pub(crate) fn rank(
    pool: &Pool<'_>,
    count: usize,
    seed: u64,
    cache: &mut ClusterCache,
) -> Vec<Ranked> {
    let clusters = cluster_count(pool.labelled.len(), pool.batch);
    let clustering = cache.clustering(pool.space, clusters, seed);
    // Films beyond a visit to each cluster are ranked again long before they are read, and each takes as long as all others.
    let count = count.min(pool.batch.max(clusters));
    visit(pool, &clustering.clusters, &mut clustering.typicality, count)
}

struct Cluster {
    number: usize,
    size: usize,
    labelled: usize,
    /// Candidates not taken yet, ascending.
    left: Vec<usize>,
}

/// Selects up to `count` candidates of `pool` given its `clusters`.
///
/// Clusters of more than five films (labelled, answered or candidates) are visited in order of fewest labels and answers,
/// then largest size, then number, and round again; each visit takes the film of largest typicality `1 / (d + 1e-5)`, with `d` the mean
/// Euclidean distance to the `min(20, m / 2)` nearest of the cluster's `m` films that are neither labelled nor taken.
/// (The paper's distance; the published code averages squared ones.) A cluster with no film left is passed over;
/// once all are, the smaller clusters are visited in the same way. `known` remembers typicalities.
pub(super) fn visit(
    pool: &Pool<'_>,
    clusters: &Clusters,
    known: &mut BTreeMap<usize, Typicality>,
    count: usize,
) -> Vec<Ranked> {
    let mut selected = Vec::with_capacity(count.min(pool.candidates.len()));
    for mut order in visiting_orders(pool, clusters) {
        let mut round = 0;
        while selected.len() < count && !order.is_empty() {
            for cluster in order.iter_mut().take(count - selected.len()) {
                // Later rounds see a film less; only the first state, the next ranking's too, is worth keeping.
                let best = if round == 0 {
                    let entry = known
                        .entry(cluster.number)
                        .or_insert_with(|| Typicality::of(pool, cluster));
                    if entry.members != cluster.left {
                        *entry = Typicality::of(pool, cluster);
                    }
                    entry.best(pool)
                } else {
                    Typicality::of(pool, cluster).best(pool)
                };
                let Some((position, typicality)) = best else { continue };
                let index = cluster.left.remove(position);
                let reason = Reason::Typical {
                    cluster: cluster.number,
                    clusters: clusters.count(),
                    labelled: cluster.labelled + round,
                    typicality,
                };
                selected.push(Ranked { index, score: typicality, reason });
            }
            order.retain(|cluster| !cluster.left.is_empty());
            round += 1;
        }
    }
    selected
}

/// Returns the clusters with a candidate in visiting order: first those above the smallest size, then the others.
fn visiting_orders(pool: &Pool<'_>, clusters: &Clusters) -> [Vec<Cluster>; 2] {
    let empty = |number| Cluster { number, size: 0, labelled: 0, left: Vec::new() };
    let mut order: Vec<Cluster> = (0..clusters.count()).map(empty).collect();
    for &film in pool.labelled.iter().chain(pool.answered) {
        let cluster = &mut order[clusters.assignment()[film]];
        cluster.size += 1;
        cluster.labelled += 1;
    }
    for &film in pool.candidates {
        let cluster = &mut order[clusters.assignment()[film]];
        cluster.size += 1;
        cluster.left.push(film);
    }
    for cluster in &mut order {
        cluster.left.sort_unstable();
    }
    order.retain(|c| !c.left.is_empty());
    order.sort_by_key(|c| (c.labelled, std::cmp::Reverse(c.size), c.number));
    order.into_iter().partition::<Vec<_>, _>(|c| c.size > MIN_CLUSTER_SIZE).into()
}

impl Typicality {
    fn of(pool: &Pool<'_>, cluster: &Cluster) -> Self {
        let values = typicality(pool.space.directions(), &cluster.left);
        Self { members: cluster.left.clone(), values }
    }

    /// Returns position and value of the largest typicality; equals in the order of film ids.
    fn best(&self, pool: &Pool<'_>) -> Option<(usize, f32)> {
        (0..self.members.len())
            .max_by(|&a, &b| {
                let ids = || pool.ids[self.members[b]].cmp(&pool.ids[self.members[a]]);
                self.values[a].total_cmp(&self.values[b]).then_with(ids)
            })
            .map(|position| (position, self.values[position]))
    }
}

/// Returns the typicality of each of `films` among them; zero for a film alone or with an embedding not finite.
fn typicality(x: &Embeddings, films: &[usize]) -> Vec<f32> {
    let neighbours = NEIGHBOURS.min(films.len() / 2);
    if neighbours == 0 {
        return vec![0.0; films.len()];
    }
    let rows: Vec<_> = films.iter().map(|&film| x.row(film)).collect();
    let squares: Vec<f32> = rows.iter().map(|row| dot(row, row)).collect();
    let mut distances = [(); 4].map(|()| vec![0.0f32; films.len()]);
    let mut values = Vec::with_capacity(films.len());
    let last = films.len() - 1;
    for block in (0..films.len()).step_by(4) {
        // The last block and the last pair repeat the last film to stay four and two wide.
        let at: [usize; 4] = std::array::from_fn(|i| (block + i).min(last));
        for other in (0..films.len()).step_by(2) {
            let others = [other, (other + 1).min(last)];
            let products = dots(at.map(|a| &*rows[a]), others.map(|o| &*rows[o]));
            for i in 0..4 {
                for j in 0..2 {
                    let squared = squares[at[i]] + squares[others[j]] - 2.0 * products[i][j];
                    let own = at[i] == others[j];
                    let unknown = own || squared.is_nan();
                    distances[i][others[j]] =
                        if unknown { f32::INFINITY } else { squared.max(0.0) };
                }
            }
        }
        for (row, _) in distances.iter_mut().zip(block..films.len()) {
            row.select_nth_unstable_by(neighbours - 1, f32::total_cmp);
            let sum: f64 = row[..neighbours].iter().map(|&d| f64::from(d).sqrt()).sum();
            let value = 1.0 / (sum / neighbours as f64 + 1e-5);
            values.push(if value.is_finite() { value as f32 } else { 0.0 });
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_grow_batch_by_batch_up_to_the_limit() {
        assert_eq!(cluster_count(0, 52), 52);
        assert_eq!(cluster_count(52, 52), 104);
        assert_eq!(cluster_count(103, 52), 104);
        assert_eq!(cluster_count(0, 1), 10);
        assert_eq!(cluster_count(9, 1), 10);
        assert_eq!(cluster_count(10, 1), 20);
        assert_eq!(cluster_count(4000, 20), 500);
    }

    #[test]
    fn typicality_by_hand() {
        // Four films on a line at 0, 1, 3, 7: two neighbours each.
        let x = Embeddings::new(1, vec![0.0, 1.0, 3.0, 7.0]).unwrap();
        let values = typicality(&x, &[0, 1, 2, 3]);
        for (value, mean) in values.iter().zip([2.0, 1.5, 2.5, 5.0]) {
            assert!((value - 1.0 / (mean + 1e-5)).abs() < 1e-5);
        }
        assert_eq!(typicality(&x, &[2]), [0.0]);
        // A film without an embedding is nobody's neighbour and typical of nothing.
        let broken = Embeddings::new(1, vec![0.0, f32::NAN, 1.0, 7.0]).unwrap();
        let values = typicality(&broken, &[0, 1, 2, 3]);
        assert_eq!(values[1], 0.0);
        assert!((values[0] - 1.0 / (4.0 + 1e-5)).abs() < 1e-5);
    }
}
