//! Embedding for the compute thread: the pool, the reference set and further views, kept on disk for the next start.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use super::{Worker, panic_text};
use crate::dataset::planes::PlaneStore;
use crate::engine::message::{Event, Stage};
use crate::engine::ranking::{Embedded, ToRanking};
use crate::engine::{Source, cache};
use crate::imaging::FixedView;
use crate::learn::{Flow, LearnError, Pace};
use crate::model::release_buffers;
use crate::predict::{Predictor, embed, embed_views};
use crate::query::{Embeddings, Standardisation};

impl Worker {
    /// Embeds pool and reference set, from the cache where this model has embedded these films before, and standardises;
    /// `observe` is told the films done, of how many.
    pub(super) fn embed_all(
        &self,
        student: Option<&Predictor>,
        model: &str,
        hash: &str,
        observe: &mut dyn FnMut(usize, usize) -> Flow,
    ) -> anyhow::Result<Embedded> {
        let encoder = student.map_or(&self.base.encoder, |student| student.model.encoder());
        let card = student.map_or(&self.base_card, |student| &student.card);
        let total = self.pool.len() + self.reference.as_ref().map_or(0, |(store, _)| store.len());
        let mut before = 0;
        let mut part =
            |store: &Arc<PlaneStore>, source: &Source, whole: bool| -> anyhow::Result<Embeddings> {
                let key = cache::key(hash, &source.keys);
                let earlier = before;
                before += store.len();
                if let Some(found) = cache::load(&self.options.cache, &key, store.len()) {
                    return Ok(found);
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
                Ok(found)
            };
        // A film that cannot be read has no place among the others: it becomes zeros, and no mean counts it.
        let pool = part(&self.pool, &self.options.pool, self.unreadable.is_empty())?
            .without(&self.unreadable);
        let scale = Standardisation::measure(&pool, &card.architecture.embedding_blocks());
        let pool = scale.apply(pool);
        let reference = match &self.reference {
            Some((store, set)) => {
                let features = scale.apply(part(store, &set.source, true)?);
                Some((features, set.classes.clone()))
            }
            None => None,
        };
        let unreadable = self.unreadable.clone();
        Ok(Embedded { model: model.to_owned(), scale, pool, reference, unreadable })
    }

    /// Says how far embedding is while the session opens.
    pub(super) fn preparing(&self, done: usize, total: usize) -> Flow {
        self.shared.send(Event::Preparing { what: "embedding films", done, total });
        self.shared.flags.until_closed()
    }

    /// Embeds the films with a model that was learnt, as it was saved; what was kept for other learnt models goes.
    pub(super) fn embed_learnt(&self, name: &str, path: &Path) -> anyhow::Result<Embedded> {
        let student = Predictor::load(path, &self.options.compute.device)?;
        let observe = &mut self.showing(Stage::Embedding);
        let hash = &student.card.weights_hash;
        let embedded = self.embed_all(Some(&student), name, hash, observe)?;
        self.forget_others(hash);
        Ok(embedded)
    }

    /// Embeds further views of the pool with the model in use, from the cache where it has done so before; says so if it
    /// cannot.
    pub(super) fn embed_views(&self) {
        self.shared.flags.begin();
        let model = self.in_use.as_deref();
        let result = catch_unwind(AssertUnwindSafe(|| self.views_of(model)))
            .unwrap_or_else(|panic| Err(anyhow::anyhow!("{}", panic_text(panic.as_ref()))));
        *self.shared.progress.lock() = None;
        release_buffers();
        let text = match result {
            Ok(views) => {
                let model = model.unwrap_or(&self.options.base_name).to_owned();
                self.to_ranking.send(ToRanking::Views { model, views }).ok();
                return;
            }
            Err(error) if matches!(error.downcast_ref(), Some(LearnError::Stopped)) => {
                "Embedding views was cancelled; choose the strategy again to go on".to_owned()
            }
            Err(error) => format!("Views of films could not be embedded: {error:#}"),
        };
        if !self.shared.flags.closing() {
            self.shared.send(Event::Warning(text));
        }
    }

    /// Returns the pool's views as the model named sees them, or the pretrained encoder.
    fn views_of(&self, student: Option<&str>) -> anyhow::Result<Vec<Embeddings>> {
        let folder = |name| self.options.models.join(name);
        let student = student
            .map(|name| Predictor::load(&folder(name), &self.options.compute.device))
            .transpose()?;
        let encoder =
            student.as_ref().map_or(&self.base.encoder, |student| student.model.encoder());
        let card = student.as_ref().map_or(&self.base_card, |student| &student.card);
        let keys = self.view_keys(&card.weights_hash);
        let load = |key: &String| cache::load(&self.options.cache, key, self.pool.len());
        if let Some(views) = keys.iter().map(load).collect() {
            return Ok(views);
        }
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
            self.shared.send(Event::Warning(text));
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
