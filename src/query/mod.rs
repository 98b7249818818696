//! Which film next: the tier-1 head on cached embeddings and the strategies that rank the pool.
//!
//! Plain loops over `f32` slices, no tensors: the ranking thread runs beside training and owns one core. Label propagation
//! and hand-made features, what the head is measured against, are no part of ranking and take all threads of the pool that
//! they run in.
//!
//! A label goes through here like this: [`Regularisation::refresh`] now and then chooses the penalty, [`Head::fit`]
//! refits, [`Head::probabilities`] re-scores the pool, [`rank`] orders it.

mod augmentation_variance;
mod badge;
mod bald;
mod class_balanced;
mod cluster;
mod committee;
pub mod confident_learning;
mod density_weighted;
mod directions;
mod dot_product;
mod embeddings;
mod epig;
mod handmade;
mod head;
mod k_center;
mod lbfgs;
mod nearest;
pub mod neighbour_embedding;
mod pca;
mod pool;
mod prob_cover;
pub mod propagation;
mod random;
mod reason;
mod regularisation;
mod standardisation;
mod strategy;
mod typiclust;
mod typiclust_margin;
mod uncertainty;

pub use badge::select as badge_select;
pub use bald::{bald, batch_bald};
pub use cluster::{ClusterCache, Clusters, k_means, lloyd};
pub use committee::Opinions;
pub use directions::directions;
pub use embeddings::{EmbeddingRows, Embeddings, RaggedEmbeddings};
pub use epig::epig;
pub use handmade::HandMade;
pub use head::Head;
pub use nearest::nearest;
pub use pca::Pca;
pub use pool::{Pool, Ranked};
pub use prob_cover::{radius as prob_cover_radius, select as prob_cover_select};
pub use reason::Reason;
pub use regularisation::{L2_GRID, Regularisation, choose_l2, out_of_fold};
pub use standardisation::Standardisation;
pub use strategy::{Strategy, UnknownStrategy, rank};
pub use typiclust::select as typiclust_select;
pub use uncertainty::{entropy, least_confidence, margin};
