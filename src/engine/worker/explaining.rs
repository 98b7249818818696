//! What the compute thread answers between two steps: where in a film the head finds its classes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};

use super::state::Worker;
use crate::engine::inbox::panic_text;
use crate::engine::protocol::{Event, Explanation};
use crate::features::Head;
use crate::model::folder::ModelCard;
use crate::model::{Classifier, Encoder};
use crate::predict::{Model, Predictor};
use crate::study::Embedded;

impl Worker {
    /// Explains the row that is asked about, once there is a head to explain.
    pub(super) fn explain_if_asked(&self) {
        let mut state = self.inbox.state();
        let (Some(in_use), Some(ranked)) = (state.in_use.clone(), state.ranked.clone()) else {
            return;
        };
        // Until the new model has ranked there is no head on its features.
        if ranked.model != in_use.model {
            return;
        }
        let Some(row) = state.explain.take() else { return };
        drop(state);
        let answered = catch_unwind(AssertUnwindSafe(|| self.explain(row, &in_use, &ranked.head)))
            .unwrap_or_else(|panic| Err(anyhow!("{}", panic_text(panic.as_ref()))));
        match answered {
            Ok(explanation) => self.inbox.send(Event::Explained(Arc::new(explanation))),
            Err(error) => {
                self.inbox.warn(format!("What the model looked at cannot be shown: {error:#}"));
            }
        }
    }

    fn explain(&self, row: usize, in_use: &Embedded, head: &Head) -> anyhow::Result<Explanation> {
        let (encoder, card) = self.encoder(&in_use.model)?;
        let device = self.options.compute.device.clone().inner();
        let head = in_use.space.linear(head);
        if row >= self.pool.len()
            || head.centre.len() != card.architecture.embedding_blocks().iter().sum::<usize>()
        {
            bail!("the film or the model has changed");
        }
        let (classes, fit) = (self.options.classes.len(), card.preprocess.fit);
        // The head alone speaks: a classifier's own scores, if the model has any, rank nothing.
        let classifier = Classifier {
            encoder,
            ..Classifier::init(&card.architecture, classes, &device).with_probe(&head, &device)
        };
        let predictor = Predictor::new(Model::Classifier(Box::new(classifier)), card, &device);
        let found = predictor.grad_cam(&self.pool, &[row])?.and_then(|mut found| found.pop());
        let found = found.context("the model has no classes")?;
        Ok(Explanation { row, model: in_use.model.clone(), fit, found })
    }

    /// The encoder of a model by its name, the pretrained one's or one that was learnt, and its card.
    pub(super) fn encoder(&self, model: &str) -> anyhow::Result<(Encoder, ModelCard)> {
        if model == self.options.base_name {
            return Ok((self.base.encoder.clone(), self.base_card.clone()));
        }
        let student =
            Predictor::load(&self.options.models.join(model), &self.options.compute.device)?;
        let encoder = match student.model {
            Model::Pretrained(network) => network.encoder,
            Model::Classifier(network) => network.encoder,
        };
        Ok((encoder, student.card))
    }
}
