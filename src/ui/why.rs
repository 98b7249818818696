//! Why a film was in the queue, in the words of a reading room.

use super::words::sentence;
use crate::query::Reason;
use crate::study::{QueuedFilm, QueuedSource};

/// Why a film was in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// What it means to a radiologist.
    pub phrase: String,
    /// The strategy's figures, where it went by some.
    pub figure: Option<String>,
}

impl Why {
    /// Says why a film was in the queue.
    pub fn of(film: &QueuedFilm) -> Self {
        match (&film.source, &film.reason) {
            (QueuedSource::Chosen, _) => Self { phrase: "You chose it".to_owned(), figure: None },
            (QueuedSource::Ranked { .. }, Some(reason)) => Self::of_reason(reason),
            // A film that the reader is given once more must not be told from others that chance drew.
            (
                QueuedSource::Audit { .. } | QueuedSource::Second { .. } | QueuedSource::Reread,
                _,
            )
            | (QueuedSource::Ranked { .. }, None) => Self::drawn(),
        }
    }

    fn drawn() -> Self {
        Self { phrase: "Drawn at random".to_owned(), figure: None }
    }

    fn of_reason(reason: &Reason) -> Self {
        let phrase = match reason {
            Reason::Random => return Self::drawn(),
            Reason::LeastConfidence { .. }
            | Reason::Margin { .. }
            | Reason::Entropy { .. }
            | Reason::BalancedMargin { .. }
            | Reason::MarginInCluster { .. } => "The model is unsure",
            Reason::DenseEntropy { .. } => "The model is unsure, and of many alike",
            Reason::ViewVariance { .. } => "The model is unsteady when the film is cropped",
            Reason::Disagreement { .. } | Reason::JointDisagreement { .. } => {
                "Models of the same labels disagree"
            }
            Reason::PredictiveInformation { .. } => "Tells most about the other films",
            Reason::Gradient { .. } => "Would change the model in a new way",
            Reason::Coverage { .. } => "Stands for films without a label",
            Reason::Typical { labelled: 0, .. } => "Typical of a group without a label",
            Reason::Typical { .. } => "Typical of a group with few labels",
            Reason::Distance { .. } => "Unlike any labelled film",
        };
        Self { phrase: phrase.to_owned(), figure: Some(sentence(&reason.to_string())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phrase_holds_no_figure_and_the_figure_is_the_strategys() {
        let typical =
            |labelled| Reason::Typical { cluster: 11, clusters: 40, labelled, typicality: 3.1 };
        for (reason, phrase, figure) in [
            (Reason::Random, "Drawn at random", None),
            (Reason::Margin { margin: 0.43 }, "The model is unsure", Some("Margin 0.43")),
            (
                typical(0),
                "Typical of a group without a label",
                Some("Cluster 12 of 40, no label yet, typicality 3.1"),
            ),
            (
                typical(2),
                "Typical of a group with few labels",
                Some("Cluster 12 of 40, 2 labels, typicality 3.1"),
            ),
            (
                Reason::Coverage { films: 3 },
                "Stands for films without a label",
                Some("Stands for 3 films that no label does"),
            ),
            (
                Reason::ViewVariance { deviation: 0.21 },
                "The model is unsteady when the film is cropped",
                Some("Probability ± 0.21 over its views"),
            ),
            (
                Reason::Distance { distance: 0.5 },
                "Unlike any labelled film",
                Some("Distance 0.50 to the nearest label"),
            ),
        ] {
            let why = Why::of_reason(&reason);
            assert_eq!((why.phrase.as_str(), why.figure.as_deref()), (phrase, figure));
        }
    }

    #[test]
    fn a_film_of_the_random_stream_says_so_whatever_its_rank() {
        let reason = Some(Reason::Margin { margin: 0.1 });
        let source = QueuedSource::Audit { predicted: vec![0.5, 0.5], probability: 0.1 };
        assert_eq!(Why::of(&QueuedFilm { row: 0, source, reason }), Why::drawn());
    }
}
