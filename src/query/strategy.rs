//! The strategies by name, and the one function that ranks the pool.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::cluster::ClusterCache;
use super::pool::{Pool, Ranked};
use super::{
    augmentation_variance, badge, bald, class_balanced, density_weighted, epig, k_center,
    prob_cover, random, typiclust, typiclust_margin, uncertainty,
};

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
    /// Smallest margin first, as many of each likeliest class as even the labels out.
    ClassBalanced,
    /// Largest product of entropy and mean similarity to the unlabelled films first.
    DensityWeighted,
    /// Largest variance of the probabilities over fixed views first.
    AugmentationVariance,
    /// Largest mutual information of label and head first, by a committee.
    Bald,
    /// The batch of largest mutual information of labels and head, by a committee.
    BatchBald,
    /// Largest mutual information of the label and those of other films first, by a committee.
    Epig,
    /// Films drawn far from one another by their loss gradients.
    Badge,
    /// The film farthest from all labelled ones.
    KCenter,
    /// The film whose ball covers most films that no labelled one's does.
    ProbCover,
    /// The most typical film of each cluster without a label.
    Typiclust,
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
    pub const ALL: [Self; 15] = [
        Self::TypiclustMargin,
        Self::Typiclust,
        Self::ProbCover,
        Self::KCenter,
        Self::Margin,
        Self::LeastConfidence,
        Self::Entropy,
        Self::ClassBalanced,
        Self::DensityWeighted,
        Self::AugmentationVariance,
        Self::Bald,
        Self::BatchBald,
        Self::Epig,
        Self::Badge,
        Self::Random,
    ];

    /// Returns the name used on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::LeastConfidence => "least-confidence",
            Self::Margin => "margin",
            Self::Entropy => "entropy",
            Self::ClassBalanced => "class-balanced",
            Self::DensityWeighted => "density-weighted",
            Self::AugmentationVariance => "augmentation-variance",
            Self::Bald => "bald",
            Self::BatchBald => "batch-bald",
            Self::Epig => "epig",
            Self::Badge => "badge",
            Self::KCenter => "k-center",
            Self::ProbCover => "prob-cover",
            Self::Typiclust => "typiclust",
            Self::TypiclustMargin => "typiclust+margin",
        }
    }

    /// Returns one line that tells a reader what the strategy does.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Random => "Any film: the yardstick for the others",
            Self::LeastConfidence => {
                "Films whose likeliest class is least likely; with two classes the same as margin"
            }
            Self::Margin => {
                "Films whose two likeliest classes are closest: those that the model is least sure of"
            }
            Self::Entropy => {
                "Films whose probabilities are most even; with two classes the same as margin"
            }
            Self::ClassBalanced => "Unsure films that look like the class with fewer labels",
            Self::DensityWeighted => "Unsure films that many others resemble",
            Self::AugmentationVariance => "Films judged otherwise when they are cropped a little",
            Self::Bald => "Films on which models of the same labels disagree",
            Self::BatchBald => {
                "Films on which models of the same labels disagree, each on something else"
            }
            Self::Epig => "Films whose label tells most about the other films",
            Self::Badge => "Films that would change the model most, each in another way",
            Self::KCenter => "The film least like any labelled one",
            Self::ProbCover => "The film that stands for most films without a label near by",
            Self::Typiclust => "A typical film of each group that has no label yet",
            Self::TypiclustMargin => "Typical films first, then unsure ones from different groups",
        }
    }

    /// Returns the strategy that ranks: another than this one only while the views that
    /// [`Self::AugmentationVariance`] needs are not there, when it is [`Self::Margin`].
    pub fn in_force(self, views: bool) -> Self {
        if self == Self::AugmentationVariance && !views { Self::Margin } else { self }
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

/// Ranks the candidates and returns the first `count`, the best first.
///
/// Ranking again before [`Pool::batch`] films are read is cheap and welcome. Equal films stand in the order of their ids, and a film without usable probabilities comes
/// last. The answer depends on the arguments alone: `cache` only saves time.
pub(super) fn rank(
    strategy: Strategy,
    pool: &Pool<'_>,
    count: usize,
    seed: u64,
    cache: &mut ClusterCache,
) -> Vec<Ranked> {
    let mut ranked = match (strategy.in_force(pool.views.is_some()), pool.views) {
        (Strategy::Random, _) => random::rank(pool, seed),
        (Strategy::LeastConfidence, _) => uncertainty::rank_by_least_confidence(pool),
        (Strategy::Margin, _) | (Strategy::AugmentationVariance, None) => {
            uncertainty::rank_by_margin(pool)
        }
        (Strategy::AugmentationVariance, Some(views)) => augmentation_variance::rank(pool, views),
        (Strategy::Entropy, _) => uncertainty::rank_by_entropy(pool),
        (Strategy::ClassBalanced, _) => class_balanced::rank(pool),
        (Strategy::DensityWeighted, _) => density_weighted::rank(pool),
        (Strategy::Bald, _) => bald::rank(pool, seed),
        (Strategy::BatchBald, _) => bald::rank_batch(pool, count, seed),
        (Strategy::Epig, _) => epig::rank(pool, seed),
        (Strategy::Badge, _) => badge::rank(pool, count, seed),
        (Strategy::KCenter, _) => k_center::select(pool, count, cache),
        (Strategy::ProbCover, _) => prob_cover::rank(pool, count, seed, cache),
        (Strategy::Typiclust, _) => typiclust::rank(pool, count, seed, cache),
        (Strategy::TypiclustMargin, _) => typiclust_margin::rank(pool, count, seed, cache),
    };
    ranked.truncate(count);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::FilmId;
    use crate::dataset::Labelled;
    use crate::features::{Embeddings, Space};
    use crate::rng;

    /// On values that half precision holds exactly.
    #[test]
    fn every_strategy_ranks_rows_of_half_precision_the_same() {
        let mut random = rng::stream(5, "films", &[]);
        let value = |place: usize| match place % 6 {
            0 => 1.0,
            _ => rng::below(&mut random, 65) as f32 / 32.0 - 1.0,
        };
        let single = Embeddings::new(6, (0..600).map(value).collect()).unwrap();
        let ids: Vec<FilmId> = (0..100u8).map(|film| FilmId::of(&[film])).collect();
        let (labelled, candidates): (Vec<usize>, Vec<usize>) =
            ((0..20).collect(), (20..100).collect());
        let classes: Vec<usize> = labelled.iter().map(|row| row % 2).collect();
        let ranked = |x: &Embeddings, strategy| {
            let space = Space::of_rows(x.clone(), 2);
            let labels = Labelled { rows: labelled.clone(), classes: classes.clone() };
            let head = space.head(&labels, 1.0);
            let views = [x.clone(), x.clone()];
            let pool = Pool {
                ids: &ids,
                space: &space,
                views: Some(&views),
                head: &head,
                probabilities: &head.probabilities(x),
                labelled: &labelled,
                classes: &classes,
                answered: &[],
                candidates: &candidates,
                batch: 12,
            };
            rank(strategy, &pool, 12, 3, &mut ClusterCache::default())
        };
        let half = single.halved();
        for strategy in Strategy::ALL {
            assert_eq!(ranked(&single, strategy), ranked(&half, strategy), "{strategy}");
        }
    }
}
