//! `TypiClust` while labels are few, then margin, spread over clusters.
//!
//! The order of the two is that of TCM (Doucet, Estermann, Aczel and Wattenhofer, arXiv 2403.03728): uncertainty of a
//! head that has seen a handful of labels is worse than chance, typical films are not; later it is the other way
//! round. The spread follows Cluster-Margin (Citovsky et al., arXiv 2107.14263): of ten times as many unsure films as are
//! wanted, the ones to be read come from different clusters. Deviations: the clusters are k-means', not those of average
//! linkage, and a round goes from the least sure film on, not from the smallest cluster.

use super::cluster::ClusterCache;
use super::pool::{Pool, Ranked};
use super::reason::Reason;
use super::{typiclust, uncertainty};

/// Labels that the margin needs in all.
const FEWEST_LABELS: usize = 20;
/// Labels of each class that the margin needs.
const FEWEST_OF_A_CLASS: usize = 5;
/// Labels after which a class that is still short no longer holds the margin back: if it is that rare, looking where
/// the head is unsure finds it sooner than looking where films are typical.
const COLD_START_LIMIT: usize = 100;
/// Unsure films per film wanted, among which clusters are told apart (Citovsky et al.).
const BREADTH: usize = 10;
/// The fewest and most clusters for the spread.
const CLUSTERS: (usize, usize) = (20, 500);

/// Says whether labels are still too few for the margin: below 20 in all, or below 5 of some class and 100 in all.
///
/// Twenty labels are what the cold start costs when both classes turn up evenly; five of a class keep the head's bias
/// from being a coin toss.
pub(crate) fn is_cold(pool: &Pool<'_>) -> bool {
    let labels = pool.labelled.len();
    let of_class = |class| pool.classes.iter().filter(|&&c| c == class).count();
    let short = (0..pool.space.classes()).any(|class| of_class(class) < FEWEST_OF_A_CLASS);
    labels < FEWEST_LABELS || (short && labels < COLD_START_LIMIT)
}

/// Ranks up to `count` candidates by whichever rule the labels call for.
pub(crate) fn rank(
    pool: &Pool<'_>,
    count: usize,
    seed: u64,
    cache: &mut ClusterCache,
) -> Vec<Ranked> {
    if is_cold(pool) {
        return typiclust::rank(pool, count, seed, cache);
    }
    // The clusters do not depend on the labels: one clustering serves until the embeddings change. They and the films that
    // they are told apart among go by the batch, not by how many are listed beyond it.
    let cluster_count = pool.batch.clamp(CLUSTERS.0, CLUSTERS.1);
    let clusters = &cache.clustering(pool.space, cluster_count, seed).clusters;
    let mut unsure = uncertainty::rank_by_margin(pool);
    unsure.truncate(
        count.max(pool.batch.saturating_mul(BREADTH)).max(typiclust::SMALLEST_BATCH * BREADTH),
    );
    let mut selected = Vec::with_capacity(count.min(unsure.len()));
    // The round in which a film is due: how many of its cluster are less sure.
    let mut taken = vec![0usize; clusters.count()];
    let mut due: Vec<(usize, usize)> = Vec::with_capacity(unsure.len());
    for (place, film) in unsure.iter().enumerate() {
        let round = &mut taken[clusters.assignment()[film.index]];
        due.push((*round, place));
        *round += 1;
    }
    due.sort_unstable();
    for (_, place) in due.into_iter().take(count) {
        let film = &unsure[place];
        let reason = Reason::MarginInCluster {
            margin: uncertainty::margin(pool.probabilities_of(film.index)),
            cluster: clusters.assignment()[film.index],
            clusters: clusters.count(),
        };
        selected.push(Ranked { reason, ..*film });
    }
    selected
}
