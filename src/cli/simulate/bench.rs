//! Everything that the cells of a split share.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::methods::Networks;
use super::parts::Parts;
use crate::cli::films::Films;
use crate::config::Home;
use crate::dataset::FilmId;
use crate::dataset::planes::PlaneStore;
use crate::dataset::splits::Split;
use crate::device::Compute;
use crate::engine::worker::source_preprocess;
use crate::learn::{Flow, Setting};
use crate::model::Pretrained;
use crate::model::folder::load_pretrained;
use crate::predict::embed;
use crate::query::{Embeddings, Standardisation};

/// The encoder, and all films in memory with their features.
pub struct Loaded {
    base: Pretrained,
    size: u32,
    store: PlaneStore,
    embedded: Embeddings,
}

impl Loaded {
    /// Reads the films and embeds them.
    ///
    /// # Errors
    /// Fails if films or the model cannot be read, or as stopped after Ctrl-C.
    pub fn load(
        home: &Home,
        model: &str,
        films: &Films,
        compute: &Compute,
        threads: usize,
        stop: &AtomicBool,
    ) -> anyhow::Result<Self> {
        let plain = compute.device.clone().inner();
        let (base, card) = load_pretrained(&home.model(model), &plain)?;
        let size = card.preprocess.size;
        let store = films.load(source_preprocess(card.preprocess), threads)?;
        let rows: Vec<usize> = (0..store.len()).collect();
        let embedded = embed(&base.encoder, &store, &rows, size, &plain, &mut |_| flow(stop))?;
        Ok(Self { base, size, store: PlaneStore::clone(&store), embedded })
    }
}

/// The pool, the evaluation films and the pretrained encoder.
pub struct Bench<'a> {
    /// Where to compute.
    pub compute: &'a Compute,
    /// The pretrained encoder with its projection head.
    pub base: &'a Pretrained,
    /// Edge of the encoder's input in pixels.
    pub size: u32,
    /// The pool; its labels are for the simulated reader alone.
    pub pool: Films,
    /// Planes of the pool.
    pub pool_store: Arc<PlaneStore>,
    /// Planes of the evaluation films, whose labels no method sees.
    pub eval_store: Arc<PlaneStore>,
    /// Identities of the pool's films.
    pub ids: Vec<FilmId>,
    /// Features of the pool, standardised.
    pub features: Embeddings,
    /// Features of the pool, normalised.
    pub directions: Embeddings,
    /// Features of the evaluation films, standardised as those of the pool.
    pub eval_features: Embeddings,
    /// The fold networks fine-tuned last.
    pub networks: RefCell<Option<Rc<Networks>>>,
    stop: &'a AtomicBool,
}

impl<'a> Bench<'a> {
    /// Sets up a split.
    pub fn new(
        loaded: &'a Loaded,
        parts: &Parts,
        split: &Split,
        compute: &'a Compute,
        stop: &'a AtomicBool,
    ) -> Self {
        let pool = loaded.embedded.select(&split.pool);
        let scale = Standardisation::measure(&pool);
        Self {
            compute,
            base: &loaded.base,
            size: loaded.size,
            pool: parts.films.select(&split.pool),
            pool_store: Arc::new(loaded.store.select(&split.pool)),
            eval_store: Arc::new(loaded.store.select(&split.evaluation)),
            ids: split.pool.iter().map(|&row| parts.ids[row]).collect(),
            features: scale.apply(&pool),
            directions: pool.normalised(),
            eval_features: scale.apply(&loaded.embedded.select(&split.evaluation)),
            networks: RefCell::new(None),
            stop,
        }
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.pool.classes.len()
    }

    /// Returns what fine-tuning and distillation start from.
    pub fn setting(&self) -> Setting<'_> {
        let (classes, device) = (self.classes(), &self.compute.device);
        Setting { start: self.base, classes, store: &self.pool_store, device }
    }

    /// Says whether to go on: what long work asks between its steps.
    pub fn flow(&self) -> Flow {
        flow(self.stop)
    }
}

fn flow(stop: &AtomicBool) -> Flow {
    if stop.load(Ordering::Relaxed) { Flow::Stop } else { Flow::Continue }
}
