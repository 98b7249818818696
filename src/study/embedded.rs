//! What one model makes of the films.

use std::sync::Arc;

use crate::features::{Embeddings, Space};

/// Features of the pool and of the reference set by one model; clones share the memory.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Name of the model.
    pub model: String,
    /// The pool.
    pub space: Arc<Space>,
    /// Features, on the pool's scale, and classes of the reference set.
    pub reference: Option<Arc<(Embeddings, Vec<usize>)>>,
}
