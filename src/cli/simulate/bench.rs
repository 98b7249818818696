//! Everything that the cells of a split share.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

use super::networks::Network;
use super::parts::Parts;
use crate::cli::films::Films;
use crate::config::Home;
use crate::dataset::FilmId;
use crate::dataset::planes::PlaneStore;
use crate::dataset::splits::Split;
use crate::device::Compute;
use crate::engine::worker::source_preprocess;
use crate::learn::{Flow, HeadFit, Setting};
use crate::model::folder::load_pretrained;
use crate::model::{Architecture, Pretrained};
use crate::predict::{embed, embed_views};
use crate::query::propagation::{Graph, NEIGHBOURS};
use crate::query::{Embeddings, HandMade, Standardisation};

/// Seed of the search for the hand-made features' components: they are the pool's, whatever the draw.
pub const HANDMADE_SEED: u64 = 0;

/// The encoder, and all films in memory with their features.
pub struct Loaded {
    base: Pretrained,
    architecture: Architecture,
    size: u32,
    store: PlaneStore,
    embedded: Embeddings,
    /// Features of further views, if a strategy asks for them.
    views: Option<Vec<Embeddings>>,
}

impl Loaded {
    /// Reads the films and embeds them.
    ///
    /// # Errors
    /// Fails if films or the model cannot be read, or as stopped after Ctrl-C.
    pub fn load(
        home: &Home,
        model: &str,
        parts: &Parts,
        views: bool,
        compute: &Compute,
        threads: usize,
        stop: &AtomicBool,
    ) -> anyhow::Result<Self> {
        let plain = compute.device.clone().inner();
        let (base, card) = load_pretrained(&home.model(model), &plain)?;
        let size = card.preprocess.size;
        let store = parts.films.load(source_preprocess(card.preprocess), threads)?;
        let rows: Vec<usize> = (0..store.len()).collect();
        let embedded = embed(&base.encoder, &store, &rows, size, &plain, &mut |_| flow(stop))?;
        let (encoder, ids) = (&base.encoder, &parts.ids);
        let ask = &mut |_, _| flow(stop);
        let views =
            views.then(|| embed_views(encoder, &store, ids, size, &plain, ask)).transpose()?;
        Ok(Self {
            base,
            architecture: card.architecture,
            size,
            store: PlaneStore::clone(&store),
            embedded,
            views,
        })
    }
}

/// The pool, the evaluation films and the pretrained encoder.
pub struct Bench<'a> {
    /// Where to compute.
    pub compute: &'a Compute,
    /// The pretrained encoder with its projection head.
    pub base: &'a Pretrained,
    architecture: &'a Architecture,
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
    scale: Standardisation,
    /// Standardised features of further views of the pool, if a strategy asks for them.
    pub views: Option<Vec<Embeddings>>,
    /// Features of the pool, normalised.
    pub directions: Embeddings,
    /// Features of the evaluation films, standardised as those of the pool.
    pub eval_features: Embeddings,
    /// Features of the evaluation films, normalised.
    pub eval_directions: Embeddings,
    /// Hand-made features of the pool and of the evaluation films.
    handmade: OnceCell<(Embeddings, Embeddings)>,
    /// Near films of the pool.
    graph: OnceCell<Graph>,
    /// The networks learnt from the labels bought last.
    pub shared: RefCell<Vec<Rc<Network>>>,
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
        let scale = Standardisation::measure(&pool, &loaded.architecture.embedding_blocks());
        let evaluation = loaded.embedded.select(&split.evaluation);
        let (features, eval_features) = (scale.apply(pool), scale.apply(evaluation));
        let view = |view: &Embeddings| scale.apply(view.select(&split.pool));
        let views = loaded.views.as_ref().map(|views| views.iter().map(view).collect());
        Self {
            compute,
            base: &loaded.base,
            architecture: &loaded.architecture,
            size: loaded.size,
            pool: parts.films.select(&split.pool),
            pool_store: Arc::new(loaded.store.select(&split.pool)),
            eval_store: Arc::new(loaded.store.select(&split.evaluation)),
            ids: split.pool.iter().map(|&row| parts.ids[row]).collect(),
            views,
            scale,
            directions: features.normalised(),
            features,
            eval_directions: eval_features.normalised(),
            eval_features,
            handmade: OnceCell::new(),
            graph: OnceCell::new(),
            shared: RefCell::default(),
            stop,
        }
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.pool.classes.len()
    }

    /// Returns what learning starts from: a network and, beside its zero-initialised classifier, perhaps a linear head.
    pub fn setting<'s>(
        &'s self,
        start: &'s Pretrained,
        head: Option<&'s HeadFit<'s>>,
    ) -> Setting<'s> {
        let (classes, device) = (self.classes(), &self.compute.device);
        Setting { start, classes, store: &self.pool_store, device, head }
    }

    /// Returns how features are standardised.
    pub fn scale(&self) -> &Standardisation {
        &self.scale
    }

    /// Draws a network of the encoder's shape, `width` times as wide if that is not too narrow, with random weights.
    pub fn random(&self, width: f32, seed: u64) -> Pretrained {
        let width = (width * self.architecture.width).max(Architecture::NARROWEST);
        let architecture = Architecture { width, ..self.architecture.clone() };
        Pretrained::init(&architecture, seed, &self.compute.device.clone().inner())
    }

    /// Returns hand-made features of the pool and of the evaluation films, measured over the pool.
    ///
    /// # Errors
    /// Fails if the pool has a single film or all are alike.
    pub fn handmade(&self) -> anyhow::Result<&(Embeddings, Embeddings)> {
        if let Some(known) = self.handmade.get() {
            return Ok(known);
        }
        let measured = HandMade::measure(&self.pool_store, HANDMADE_SEED)?;
        let made = |store| measured.features(store).context("the pool's films are all alike");
        let features = (made(&self.pool_store)?, made(&self.eval_store)?);
        Ok(self.handmade.get_or_init(|| features))
    }

    /// Returns the graph of near films of the pool.
    pub fn graph(&self) -> &Graph {
        self.graph.get_or_init(|| Graph::new(&self.directions, NEIGHBOURS))
    }

    /// Says whether to go on: what long work asks between its steps.
    pub fn flow(&self) -> Flow {
        flow(self.stop)
    }
}

fn flow(stop: &AtomicBool) -> Flow {
    if stop.load(Ordering::Relaxed) { Flow::Stop } else { Flow::Continue }
}
