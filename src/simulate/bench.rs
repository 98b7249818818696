//! Everything that the cells of a split share.

use std::cell::OnceCell;
use std::sync::Arc;

use anyhow::Context as _;

use super::memo::Memo;
use super::parts::Parts;
use super::watch::{News, Watch};
use crate::config::Home;
use crate::dataset::FilmId;
use crate::dataset::films::Films;
use crate::dataset::planes::{PlaneStore, source_preprocess};
use crate::dataset::splits::Split;
use crate::device::Compute;
use crate::features::{Block, Embeddings, HandMade, Space, SpaceFilms};
use crate::learn::Flow;
use crate::learn::round::Round;
use crate::model::folder::load_pretrained;
use crate::model::{Architecture, Pretrained};
use crate::predict::{embed, embed_views};

/// What a simulation runs on.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    /// Where models and the shipped films are.
    pub home: &'a Home,
    /// Where to compute.
    pub compute: &'a Compute,
    /// Threads that read films.
    pub threads: usize,
}

/// The encoder, and all films in memory with their features.
pub struct Loaded {
    base: Pretrained,
    architecture: Architecture,
    size: u32,
    store: PlaneStore,
    pub(super) embedded: Embeddings,
    /// Features of further views, if a strategy asks for them.
    views: Option<Vec<Embeddings>>,
}

impl Loaded {
    /// Reads the films and embeds them.
    ///
    /// # Errors
    /// Fails if films or the model cannot be read, or as stopped.
    pub fn load(
        machine: Machine<'_>,
        model: &str,
        parts: &Parts,
        views: bool,
        watch: Watch<'_>,
    ) -> anyhow::Result<Self> {
        let plain = machine.compute.device.clone().inner();
        let (base, card) = load_pretrained(&machine.home.model(model), &plain)?;
        let (size, source) = (card.preprocess.size, source_preprocess(card.preprocess));
        let store = parts.films.load(source, machine.threads, &|done, total| {
            (watch.tell)(News::Reading { done, total });
            watch.flow()
        })?;
        let rows: Vec<usize> = (0..store.len()).collect();
        let embedded = embed(&base.encoder, &store, &rows, size, &plain, &mut |_| watch.flow())?;
        let (encoder, ids) = (&base.encoder, &parts.ids);
        let ask = &mut |_, _| watch.flow();
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
    compute: &'a Compute,
    base: &'a Pretrained,
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
    rows: Vec<usize>,
    /// Features of the pool.
    pub space: Space,
    /// Features of further views of the pool, on the same scale, if a strategy asks for them.
    pub views: Option<Vec<Embeddings>>,
    /// Features of the evaluation films, on the same scale.
    pub eval_features: Embeddings,
    handmade: OnceCell<Featured>,
    /// The networks learnt from the labels bought last.
    pub memo: Memo,
    flow: Box<dyn Fn() -> Flow + 'a>,
}

/// Features of both parts.
pub struct Featured {
    /// The pool's.
    pub pool: Space,
    /// The evaluation films'.
    pub evaluation: Embeddings,
}

impl<'a> Bench<'a> {
    /// Sets up a split.
    ///
    /// # Errors
    /// Fails if features are not of the films.
    pub fn new(
        loaded: &'a Loaded,
        parts: &Parts,
        split: &Split,
        compute: &'a Compute,
        watch: Watch<'a>,
    ) -> anyhow::Result<Self> {
        let block = |of: &Embeddings, rows: &[usize]| Block {
            features: of.select(rows),
            parts: loaded.architecture.embedding_blocks().to_vec(),
        };
        let (pool, evaluation) = (parts.films.select(&split.pool), &split.evaluation);
        let space = Space::new(vec![block(&loaded.embedded, &split.pool)], of_space(&pool))?;
        let eval_features = space.place(vec![block(&loaded.embedded, evaluation)])?;
        let view = |view: &Embeddings| space.place(vec![block(view, &split.pool)]);
        let views = loaded.views.as_ref().map(|views| views.iter().map(view).collect());
        Ok(Self {
            compute,
            base: &loaded.base,
            architecture: &loaded.architecture,
            size: loaded.size,
            pool_store: Arc::new(loaded.store.select(&split.pool)),
            eval_store: Arc::new(loaded.store.select(evaluation)),
            ids: split.pool.iter().map(|&row| parts.ids[row]).collect(),
            rows: (0..split.pool.len()).collect(),
            views: views.transpose()?,
            pool,
            space,
            eval_features,
            handmade: OnceCell::new(),
            memo: Memo::default(),
            flow: Box::new(move || watch.flow()),
        })
    }

    /// Returns what learning from the pool stands on.
    pub fn round(&self) -> Round<'_> {
        Round {
            start: self.base,
            space: &self.space,
            store: &self.pool_store,
            pool: &self.rows,
            size: self.size,
            device: &self.compute.device,
            flow: &*self.flow,
        }
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.pool.classes.len()
    }

    /// Draws a network of the encoder's shape, `width` times as wide if that is not too narrow, with random weights.
    pub fn random(&self, width: f32, seed: u64) -> Pretrained {
        let width = (width * self.architecture.width).max(Architecture::NARROWEST);
        let architecture = Architecture { width, ..self.architecture.clone() };
        Pretrained::init(&architecture, seed, &self.compute.device.clone().inner())
    }

    /// Returns hand-made features, measured over the pool; the first seed counts.
    ///
    /// # Errors
    /// Fails if the pool has a single film or all are alike.
    pub fn handmade(&self, seed: u64) -> anyhow::Result<&Featured> {
        if let Some(known) = self.handmade.get() {
            return Ok(known);
        }
        let measured = HandMade::measure(&self.pool_store, seed)?;
        let made = |store| measured.features(store).context("the pool's films are all alike");
        let pool = Space::scaled(made(&self.pool_store)?, of_space(&self.pool))?;
        let evaluation = made(&self.eval_store)?;
        Ok(self.handmade.get_or_init(|| Featured { pool, evaluation }))
    }

    /// Says whether to go on: what long work asks between its steps.
    pub fn flow(&self) -> Flow {
        (self.flow)()
    }
}

fn of_space(films: &Films) -> SpaceFilms {
    let (patients, classes) = (films.patients.clone(), films.classes.len());
    SpaceFilms { patients, classes, unreadable: Vec::new() }
}
