//! What the compute thread answers between two steps: where in a film the head finds its classes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};

use super::{Worker, panic_text};
use crate::engine::ToExplain;
use crate::engine::message::{Event, Explanation};
use crate::model::folder::ModelCard;
use crate::model::{Classifier, Encoder};
use crate::predict::{Model, Predictor};

impl Worker {
    /// Answers the question that waits, if there is one.
    pub(super) fn explain_if_asked(&self) {
        if let Ok(question) = self.shared.to_explain.1.try_recv() {
            self.explain(question);
        }
    }

    /// Answers a question.
    pub(super) fn explain(&self, question: ToExplain) {
        let answered = catch_unwind(AssertUnwindSafe(|| self.answer(question)))
            .unwrap_or_else(|panic| Err(anyhow!("{}", panic_text(panic.as_ref()))));
        match answered {
            Ok(explanation) => self.shared.send(Event::Explained(Arc::new(explanation))),
            Err(error) => {
                let text = format!("What the model looked at cannot be shown: {error:#}");
                self.shared.send(Event::Warning(text));
            }
        }
    }

    fn answer(&self, ToExplain { row, model, head }: ToExplain) -> anyhow::Result<Explanation> {
        let (encoder, card) = self.encoder(&model)?;
        let device = self.options.compute.device.clone().inner();
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
        Ok(Explanation { row, model, fit, found })
    }

    /// The encoder of a model by its name, the pretrained one's or one that was learnt, and its card.
    fn encoder(&self, model: &str) -> anyhow::Result<(Encoder, ModelCard)> {
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
