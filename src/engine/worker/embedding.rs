//! Embedding for the compute thread: the pool, the reference set and further views, kept on disk for the next start.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use super::state::Worker;
use crate::dataset::planes::PlaneStore;
use crate::engine::inbox::panic_text;
use crate::engine::protocol::{Event, Stage};
use crate::features::{Block, Embeddings, Space, SpaceFilms, cache};
use crate::imaging::FixedView;
use crate::learn::{Flow, LearnError, Pace};
use crate::model::folder::ModelCard;
use crate::model::{Encoder, release_buffers};
use crate::predict::{Predictor, embed, embed_views};
use crate::study::{Embedded, Source};

impl Worker {
    /// Embeds pool and reference set with the pretrained encoder.
    pub(super) fn embed_base(
        &self,
        observe: &mut dyn FnMut(usize, usize) -> Flow,
    ) -> anyhow::Result<Embedded> {
        self.embed_all(&self.base.encoder, &self.base_card, &self.options.base_name, observe)
    }

    /// Embeds pool and reference set with the encoder of the model named, from the cache where it has embedded these films
    /// before; `observe` is told the films done, of how many.
    pub(super) fn embed_all(
        &self,
        encoder: &Encoder,
        card: &ModelCard,
        model: &str,
        observe: &mut dyn FnMut(usize, usize) -> Flow,
    ) -> anyhow::Result<Embedded> {
        let total = self.pool.len() + self.reference.as_ref().map_or(0, |(store, _)| store.len());
        let mut before = 0;
        let mut part =
            |store: &Arc<PlaneStore>, source: &Source, whole: bool| -> anyhow::Result<Vec<Block>> {
                let key = cache::key(&card.weights_hash, &source.keys);
                let earlier = before;
                before += store.len();
                let block = |features| {
                    vec![Block { features, parts: card.architecture.embedding_blocks().to_vec() }]
                };
                if let Some(found) = cache::load(&self.options.cache, &key, store.len()) {
                    return Ok(block(found));
                }
                let rows: Vec<usize> = (0..store.len()).collect();
                let size = self.base_card.preprocess.size;
                let device = &self.options.compute.device;
                // Before the first batch too: with a large network that one takes seconds.
                observe(earlier, total);
                let found = embed(encoder, store, &rows, size, device, &mut |done| {
                    observe(earlier + done, total)
                })?;
                // A film that is missing today may be back tomorrow.
                if whole {
                    self.keep(&key, &found);
                }
                Ok(block(found))
            };
        let pool = part(&self.pool, &self.options.pool, self.unreadable.is_empty())?;
        let films = SpaceFilms {
            patients: self.options.pool.patients.clone(),
            classes: self.options.classes.len(),
            unreadable: self.unreadable.clone(),
        };
        let space = Space::new(pool, films)?;
        let reference = match &self.reference {
            Some((store, set)) => {
                let features = space.place(part(store, &set.source, true)?)?;
                Some(Arc::new((features, set.classes.clone())))
            }
            None => None,
        };
        Ok(Embedded { model: model.to_owned(), space: Arc::new(space), reference })
    }

    /// Says how far embedding is while the session opens.
    pub(super) fn preparing(&self, done: usize, total: usize) -> Flow {
        self.inbox.send(Event::Preparing { what: "embedding films", done, total });
        self.inbox.flags.until_closed()
    }

    /// Embeds the films with a model that was learnt, as it was saved; what was kept for other learnt models goes.
    pub(super) fn embed_learnt(&self, name: &str, path: &Path) -> anyhow::Result<Embedded> {
        let learnt = Predictor::load(path, &self.options.compute.device)?;
        let observe = &mut self.showing(Stage::Embedding);
        let embedded = self.embed_all(learnt.model.encoder(), &learnt.card, name, observe)?;
        self.forget_others(&learnt.card.weights_hash);
        Ok(embedded)
    }

    /// Embeds further views of the pool with the model in use, from the cache where it has done so before; says so if it
    /// cannot.
    pub(super) fn embed_views(&self) {
        let Some(in_use) = self.inbox.state().in_use.clone() else { return };
        self.inbox.flags.begin();
        let result = catch_unwind(AssertUnwindSafe(|| self.views_of(&in_use)))
            .unwrap_or_else(|panic| Err(anyhow::anyhow!("{}", panic_text(panic.as_ref()))));
        *self.inbox.progress.lock() = None;
        release_buffers();
        let text = match result {
            Ok(views) => {
                self.inbox.state().views = Some((in_use.model, Arc::new(views)));
                self.inbox.ranking.ring();
                return;
            }
            Err(error) if matches!(error.downcast_ref(), Some(LearnError::Stopped)) => {
                "Embedding views was cancelled; choose the strategy again to go on".to_owned()
            }
            Err(error) => format!("Views of films could not be embedded: {error:#}"),
        };
        if !self.inbox.flags.closing() {
            self.inbox.warn(text);
        }
    }

    /// Returns the pool's views as the model in use sees them, on its scale.
    fn views_of(&self, in_use: &Embedded) -> anyhow::Result<Vec<Embeddings>> {
        let (encoder, card) = self.encoder(&in_use.model)?;
        let keys = self.view_keys(&card.weights_hash);
        let load = |key: &String| cache::load(&self.options.cache, key, self.pool.len());
        let views = match keys.iter().map(load).collect() {
            Some(views) => views,
            None => self.embed_all_views(&encoder, &keys)?,
        };
        let parts = card.architecture.embedding_blocks().to_vec();
        let place =
            |features| Ok(in_use.space.place(vec![Block { features, parts: parts.clone() }])?);
        views.into_iter().map(place).collect()
    }

    fn embed_all_views(
        &self,
        encoder: &Encoder,
        keys: &[String],
    ) -> Result<Vec<Embeddings>, LearnError> {
        let observe = &mut self.showing(Stage::Views);
        let size = self.base_card.preprocess.size;
        let ids = &self.options.pool.ids;
        let device = &self.options.compute.device;
        let views = embed_views(encoder, &self.pool, ids, size, device, observe)?;
        if self.unreadable.is_empty() {
            for (key, view) in keys.iter().zip(&views) {
                self.keep(key, view);
            }
        }
        Ok(views)
    }

    fn view_keys(&self, hash: &str) -> [String; FixedView::ALL.len()] {
        FixedView::ALL.map(|view| cache::key(&format!("{hash} {view:?}"), &self.options.pool.keys))
    }

    /// Removes embeddings kept for models that are neither the pretrained one nor that of the hash `in_use`.
    pub(super) fn forget_others(&self, in_use: &str) {
        let mut keys = Vec::new();
        for hash in [&self.base_card.weights_hash, in_use] {
            keys.extend(self.view_keys(hash));
            keys.push(cache::key(hash, &self.options.pool.keys));
            keys.extend(self.reference.iter().map(|(_, set)| cache::key(hash, &set.source.keys)));
        }
        cache::keep_only(&self.options.cache, &keys);
    }

    /// Keeps embeddings for the next start.
    fn keep(&self, key: &str, embeddings: &Embeddings) {
        if let Err(error) = cache::save(&self.options.cache, key, embeddings) {
            let text = format!("Embeddings could not be kept for the next start: {error}");
            self.inbox.warn(text);
        }
    }

    /// Returns an observer that shows films done of how many, and waits while paused.
    pub(super) fn showing(&self, stage: Stage) -> impl FnMut(usize, usize) -> Flow {
        let (mut pace, mut before) = (Pace::new(0), 0);
        move |done: usize, total: usize| {
            let (step, steps) = (done as u64, total as u64);
            let speed = pace.after(done - before, step, steps);
            before = done;
            self.show(stage, (step, steps), speed, None);
            pace.ask(|| self.flow())
        }
    }
}
