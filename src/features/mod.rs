//! Features of the films and the tier-1 head on them: embeddings, their scale, patient folds, penalty, head, neighbours, cache.
//!
//! Plain loops over `f32` slices, no tensors: the ranking thread runs beside training and owns one core.

pub mod cache;
mod directions;
mod dot_product;
mod embeddings;
mod folds;
mod handmade;
mod head;
mod lbfgs;
mod nearest;
mod pca;
mod penalty;
mod space;
mod standardisation;

pub(crate) use dot_product::{dot, dots};
pub use embeddings::{EmbeddingRows, Embeddings, RaggedEmbeddings};
pub use folds::FoldAssigner;
pub use handmade::HandMade;
pub use head::Head;
pub use nearest::nearest;
pub use pca::Pca;
pub use penalty::{DEFAULT_L2, FOLDS, L2_GRID};
pub use space::{Block, Space, SpaceError, SpaceFilms};
