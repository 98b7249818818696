//! The strategies by name, and the one function that ranks the pool.

use std::fmt;
use std::str::FromStr;

use rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::cluster::ClusterCache;
use super::embeddings::Embeddings;
use super::{k_center, typiclust, typiclust_margin, uncertainty};
use crate::dataset::FilmId;
use crate::rng;

/// How the next films are chosen.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Any order, the yardstick for the others.
    Random,
    /// Smallest largest probability first.
    LeastConfidence,
    /// Smallest gap between the two largest probabilities first.
    Margin,
    /// Largest entropy first.
    Entropy,
    /// The most typical film of each cluster without a label.
    Typiclust,
    /// The film farthest from all labelled ones.
    KCenter,
    /// [`Self::Typiclust`] until each class has labels, then [`Self::Margin`] spread over clusters.
    #[default]
    #[serde(rename = "typiclust+margin")]
    TypiclustMargin,
}

/// A strategy name that is not known.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown strategy, choose one of {known}: {name}", known = known_names())]
pub struct UnknownStrategy {
    name: String,
}

impl Strategy {
    /// All strategies, in the order in which they are offered.
    pub const ALL: [Self; 7] = [
        Self::TypiclustMargin,
        Self::Typiclust,
        Self::Margin,
        Self::LeastConfidence,
        Self::Entropy,
        Self::KCenter,
        Self::Random,
    ];

    /// Returns the name used on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::LeastConfidence => "least-confidence",
            Self::Margin => "margin",
            Self::Entropy => "entropy",
            Self::Typiclust => "typiclust",
            Self::KCenter => "k-center",
            Self::TypiclustMargin => "typiclust+margin",
        }
    }

    /// Returns one line that tells a reader what the strategy does.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Random => "Any film: the yardstick for the others",
            Self::LeastConfidence => "Films whose likeliest class is least likely",
            Self::Margin => "Films whose two likeliest classes are closest",
            Self::Entropy => "Films whose probabilities are most even",
            Self::Typiclust => "A typical film of each group that has no label yet",
            Self::KCenter => "The film least like any labelled one",
            Self::TypiclustMargin => "Typical films first, then unsure ones from different groups",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        let known = Self::ALL.into_iter().find(|strategy| strategy.name() == name);
        known.ok_or_else(|| UnknownStrategy { name: name.to_owned() })
    }
}

fn known_names() -> String {
    Strategy::ALL.map(Strategy::name).join(", ")
}

/// The films to choose from and what is known of them; films are numbered by their row in `embeddings`.
///
/// All rows take part in clustering, so films kept back for evaluation do not belong in it.
#[derive(Clone, Copy, Debug)]
pub struct Pool<'a> {
    /// The films' identities, which break ties.
    pub ids: &'a [FilmId],
    /// The films' [normalised](Embeddings::normalised) embeddings.
    pub embeddings: &'a Embeddings,
    /// Films x classes; may be empty for strategies that ask no head.
    pub probabilities: &'a [f32],
    /// The number of classes.
    pub class_count: usize,
    /// Labelled films, in the order in which they were labelled.
    pub labelled: &'a [usize],
    /// The class of each labelled film.
    pub classes: &'a [usize],
    /// Films that may be chosen; none of them labelled, none twice.
    pub candidates: &'a [usize],
}

/// A film in its place of the ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The film's row in [`Pool::embeddings`].
    pub index: usize,
    /// What the strategy measured: see [`Reason`] for the meaning; not comparable between strategies.
    pub score: f32,
    /// Why it stands where it stands; for the reader's eyes only after the label, as it tells the model's opinion.
    pub reason: Reason,
}

/// Why a film was ranked where it was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// By chance.
    Random,
    /// By one less the largest probability.
    LeastConfidence {
        /// The largest probability.
        confidence: f32,
    },
    /// By the gap between the two largest probabilities.
    Margin {
        /// The gap.
        margin: f32,
    },
    /// By the entropy.
    Entropy {
        /// The entropy in nats.
        nats: f32,
    },
    /// As the typical film of its cluster.
    Typical {
        /// The cluster, from zero.
        cluster: usize,
        /// How many clusters there are.
        clusters: usize,
        /// Labels in the cluster before this film's.
        labelled: usize,
        /// The inverse of the mean distance to the film's neighbours.
        typicality: f32,
    },
    /// By the distance to the nearest labelled or earlier ranked film.
    Distance {
        /// The distance, 0..=2 between normalised embeddings; 0 for the first of all.
        distance: f32,
    },
    /// By the gap between the two largest probabilities, one film a cluster at a time.
    MarginInCluster {
        /// The gap.
        margin: f32,
        /// The cluster, from zero.
        cluster: usize,
        /// How many clusters there are.
        clusters: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Random => write!(f, "drawn by chance"),
            Self::LeastConfidence { confidence } => write!(f, "confidence {confidence:.2}"),
            Self::Margin { margin } => write!(f, "margin {margin:.2}"),
            Self::Entropy { nats } => write!(f, "entropy {nats:.2}"),
            Self::Typical { cluster, clusters, labelled, typicality } => {
                let labels = match labelled {
                    0 => "no label yet".to_owned(),
                    1 => "1 label".to_owned(),
                    more => format!("{more} labels"),
                };
                write!(
                    f,
                    "cluster {} of {clusters}, {labels}, typicality {typicality:.1}",
                    cluster + 1
                )
            }
            Self::Distance { distance } => write!(f, "distance {distance:.2} to the nearest label"),
            Self::MarginInCluster { margin, cluster, clusters } => {
                write!(f, "margin {margin:.2}, cluster {} of {clusters}", cluster + 1)
            }
        }
    }
}

/// Ranks the candidates and returns the first `count`, the best first.
///
/// `count` is the number of films that are read before the strategy is asked for the next batch; ranking again sooner
/// is cheap and welcome. Equal films stand in the order of their ids, and a film without usable probabilities comes
/// last. The answer depends on the arguments alone: `cache` only saves time.
pub fn rank(
    strategy: Strategy,
    pool: &Pool<'_>,
    count: usize,
    seed: u64,
    cache: &mut ClusterCache,
) -> Vec<Ranked> {
    match strategy {
        Strategy::Typiclust => typiclust::rank(pool, count, seed, cache),
        Strategy::KCenter => k_center::select(pool, count, cache),
        Strategy::TypiclustMargin => typiclust_margin::rank(pool, count, seed, cache),
        Strategy::Random => {
            let mut ranked = pool.at_random(seed);
            ranked.truncate(count);
            ranked
        }
        Strategy::LeastConfidence | Strategy::Margin | Strategy::Entropy => {
            let mut ranked = pool.by_uncertainty(strategy);
            ranked.truncate(count);
            ranked
        }
    }
}

impl Pool<'_> {
    /// Returns the probabilities of film `index`; empty when there are none.
    pub(crate) fn probabilities_of(&self, index: usize) -> &[f32] {
        self.probabilities
            .get(index * self.class_count..(index + 1) * self.class_count)
            .unwrap_or(&[])
    }

    /// Returns the position in `films` of the largest value; equals by film id, NaN below all else.
    pub(crate) fn best_of(&self, films: &[usize], value: impl Fn(usize) -> f32) -> usize {
        let key = |film: usize| {
            let value = value(film);
            if value.is_nan() { f32::NEG_INFINITY } else { value }
        };
        let better = |a: &(usize, f32, FilmId), b: &(usize, f32, FilmId)| {
            a.1.total_cmp(&b.1).then_with(|| b.2.cmp(&a.2))
        };
        let keyed =
            films.iter().enumerate().map(|(position, &film)| (position, key(film), self.ids[film]));
        keyed.max_by(better).map_or(0, |best| best.0)
    }

    /// Ranks all candidates by least confidence, margin or entropy.
    pub(crate) fn by_uncertainty(&self, strategy: Strategy) -> Vec<Ranked> {
        let film = |&index: &usize| {
            let p = self.probabilities_of(index);
            let (urgency, score, reason) = match strategy {
                Strategy::LeastConfidence => {
                    let score = uncertainty::least_confidence(p);
                    (score, score, Reason::LeastConfidence { confidence: 1.0 - score })
                }
                Strategy::Entropy => {
                    let nats = uncertainty::entropy(p);
                    (nats, nats, Reason::Entropy { nats })
                }
                _ => {
                    let margin = uncertainty::margin(p);
                    (-margin, margin, Reason::Margin { margin })
                }
            };
            let urgency = if urgency.is_nan() { f32::NEG_INFINITY } else { urgency };
            (urgency, Ranked { index, score, reason })
        };
        let mut films: Vec<(f32, Ranked)> = self.candidates.iter().map(film).collect();
        films.sort_unstable_by(|a, b| {
            b.0.total_cmp(&a.0).then_with(|| self.ids[a.1.index].cmp(&self.ids[b.1.index]))
        });
        films.into_iter().map(|(_, ranked)| ranked).collect()
    }

    /// Ranks all candidates by a number drawn for each film's id: taking one away leaves the others' order.
    fn at_random(&self, seed: u64) -> Vec<Ranked> {
        let draw = |&index: &usize| {
            let number = rng::stream(seed, "random ranking", &[self.ids[index].key()]).next_u64();
            (number, self.ids[index], index)
        };
        let mut films: Vec<_> = self.candidates.iter().map(draw).collect();
        films.sort_unstable();
        // The first 24 bits, which a single-precision number holds exactly.
        let score = |number: u64| (number >> 40) as f32 / (1u32 << 24) as f32;
        let ranked =
            |(number, _, index)| Ranked { index, score: score(number), reason: Reason::Random };
        films.into_iter().map(ranked).collect()
    }
}
