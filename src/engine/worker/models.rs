//! Which model is in use: the one of last time, or one that the reader goes back to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::state::Worker;
use crate::engine::inbox::panic_text;
use crate::engine::protocol::{Change, ModelChange, Stage};
use crate::model::folder::load_card;
use crate::model::release_buffers;
use crate::predict::Predictor;
use crate::study::Embedded;

impl Worker {
    /// Goes on with the learnt model that the session used last; if it is gone, says so, and the pretrained encoder serves.
    pub(super) fn take_up(&self, name: &str, path: &Path) {
        let embedded = Predictor::load(path, &self.options.compute.device)
            .map_err(anyhow::Error::from)
            .and_then(|learnt| {
                if learnt.card.preprocess != self.base_card.preprocess {
                    let base = &self.options.base_name;
                    anyhow::bail!("it sees films in another size or fit than {base}");
                }
                let observe = &mut |done, total| self.preparing(done, total);
                self.embed_all(learnt.model.encoder(), &learnt.card, name, observe)
            });
        match embedded {
            Ok(embedded) => {
                let (model, change) = (name.to_owned(), Change::Opened);
                self.inbox.change_model(embedded, ModelChange { model, change });
            }
            Err(error) => self.inbox.warn(format!(
                "The model {name} cannot be used, the pretrained one serves instead: {error:#}"
            )),
        }
    }

    /// Takes a model into use that was made before, or the pretrained one, and says so; if it cannot be used, the one in
    /// use stays.
    pub(super) fn use_model(&self, name: String) {
        self.inbox.flags.begin();
        let result = catch_unwind(AssertUnwindSafe(|| self.embed_for_use(&name)))
            .unwrap_or_else(|panic| Err(anyhow::anyhow!("{}", panic_text(panic.as_ref()))));
        *self.inbox.progress.lock() = None;
        release_buffers();
        match result {
            Ok(embedded) => {
                let change = ModelChange { model: name, change: Change::Chosen };
                self.inbox.change_model(embedded, change);
            }
            Err(error) => {
                self.inbox.warn(format!("The model {name} was not taken into use: {error:#}"));
            }
        }
    }

    fn embed_for_use(&self, name: &str) -> anyhow::Result<Embedded> {
        if name == self.options.base_name {
            return self.embed_base(&mut self.showing(Stage::Embedding));
        }
        let path = self.options.models.join(name);
        if load_card(&path)?.preprocess != self.base_card.preprocess {
            let base = &self.options.base_name;
            anyhow::bail!("it sees films in another size or fit than {base}");
        }
        self.embed_learnt(name, &path)
    }
}
