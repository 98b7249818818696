//! What one model makes of the films, as ranking needs it.

use std::sync::Arc;

use super::Embedded;
use crate::engine::analysis::Basis;
use crate::query::{ClusterCache, Embeddings, Head, Standardisation, directions};

/// Standardised features to fit on, normalised ones to measure distances in.
pub(super) struct Space {
    pub(super) model: String,
    pub(super) scale: Standardisation,
    pub(super) features: Arc<Embeddings>,
    pub(super) views: Views,
    pub(super) directions: Arc<Embeddings>,
    pub(super) reference: Option<Arc<(Embeddings, Vec<usize>)>>,
    pub(super) unreadable: Vec<usize>,
    pub(super) head: Option<Head>,
    pub(super) clusters: ClusterCache,
}

/// Features of further views of the pool.
pub(super) enum Views {
    /// Nobody needed them.
    Unasked,
    /// The compute thread makes them.
    Asked,
    /// Standardised.
    There(Vec<Embeddings>),
}

impl Views {
    pub(super) fn get(&self) -> Option<&[Embeddings]> {
        match self {
            Self::Unasked | Self::Asked => None,
            Self::There(views) => Some(views),
        }
    }
}

impl Space {
    pub(super) fn new(embedded: Embedded) -> Self {
        Self {
            model: embedded.model,
            directions: Arc::new(directions(&embedded.pool)),
            features: Arc::new(embedded.pool),
            reference: embedded.reference.map(Arc::new),
            unreadable: embedded.unreadable,
            head: None,
            clusters: ClusterCache::default(),
            views: Views::Unasked,
            scale: embedded.scale,
        }
    }

    /// Returns what analyses stand on.
    pub(super) fn basis(&self) -> Basis {
        Basis {
            model: self.model.clone(),
            features: Arc::clone(&self.features),
            directions: Arc::clone(&self.directions),
            reference: self.reference.clone(),
            unreadable: self.unreadable.clone(),
        }
    }

    /// Takes views in; those of other films or another model are of no use.
    pub(super) fn take_views(&mut self, model: &str, views: Vec<Embeddings>) {
        let fits = |view: &Embeddings| {
            (view.len(), view.dim()) == (self.features.len(), self.features.dim())
        };
        if model == self.model && views.iter().all(fits) {
            self.views =
                Views::There(views.into_iter().map(|view| self.scale.apply(view)).collect());
        }
    }
}
