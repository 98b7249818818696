//! Which film next: the strategies that rank the pool.
//!
//! Plain loops over `f32` slices, no tensors: the ranking thread runs beside training and owns one core. A label goes through
//! [`Selector::select`]: the head is refitted, the pool scored and ranked.

mod augmentation_variance;
mod badge;
mod bald;
mod class_balanced;
mod cluster;
mod committee;
pub mod confident_learning;
mod density_weighted;
mod epig;
mod k_center;
pub mod neighbour_embedding;
mod pool;
mod prob_cover;
mod random;
mod reason;
mod selector;
mod strategy;
#[cfg(test)]
mod tests;
mod typiclust;
mod typiclust_margin;
mod uncertainty;

pub use cluster::k_means;
pub use pool::Ranked;
pub use reason::Reason;
pub use selector::{Films, Known, Selection, Selector};
pub use strategy::{Strategy, UnknownStrategy};
pub use uncertainty::{entropy, least_confidence, margin};
