//! Why a film was ranked where it was.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// By the gap between the two largest probabilities, of the likeliest class that has the fewest labels.
    BalancedMargin {
        /// The gap.
        margin: f32,
        /// Labels of the film's likeliest class, the films ranked before it counted as labelled.
        labels: usize,
    },
    /// By the entropy times the mean similarity to the other films.
    DenseEntropy {
        /// The entropy in nats.
        nats: f32,
        /// The mean of `(1 + cosine) / 2` over the unlabelled films, 0..=1.
        similarity: f32,
    },
    /// By how many films its ball covers that no ball of a labelled or earlier ranked film does.
    Coverage {
        /// How many.
        films: usize,
    },
    /// Drawn by the distance of its loss gradient to the nearest of those ranked before.
    Gradient {
        /// The distance; of the first, the length of the gradient.
        distance: f32,
    },
    /// By the mutual information of its label and the head.
    Disagreement {
        /// The information in nats.
        nats: f32,
    },
    /// By what its label adds to the mutual information of the batch's labels and the head.
    JointDisagreement {
        /// The information added, in nats.
        nats: f32,
        /// The information of the films ranked before it, in nats.
        before: f32,
    },
    /// By the mean mutual information of its label and those of other films.
    PredictiveInformation {
        /// The information in nats.
        nats: f32,
    },
    /// By the variance of its probabilities over fixed views.
    ViewVariance {
        /// The standard deviation.
        deviation: f32,
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
                    more => counted(more, "label"),
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
            Self::BalancedMargin { margin, labels } => {
                let labels = counted(labels, "label");
                write!(f, "margin {margin:.2}, likeliest class with {labels}")
            }
            Self::DenseEntropy { nats, similarity } => {
                write!(f, "entropy {nats:.2}, mean similarity {similarity:.2}")
            }
            Self::Coverage { films } => {
                write!(f, "stands for {} that no label does", counted(films, "film"))
            }
            Self::Gradient { distance } => write!(f, "gradient distance {distance:.2}"),
            Self::Disagreement { nats } => write!(f, "disagreement {nats:.3} nats"),
            Self::JointDisagreement { nats, before } => {
                write!(f, "disagreement {nats:.3} nats on top of {before:.3}")
            }
            Self::PredictiveInformation { nats } => {
                write!(f, "information on other films {nats:.4} nats")
            }
            Self::ViewVariance { deviation } => {
                write!(f, "probability ± {deviation:.2} over its views")
            }
        }
    }
}

fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}
