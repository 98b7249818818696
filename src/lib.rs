//! Penumbra: label chest X-rays where each label teaches the model most.
//!
//! # The loop
//! Films are decoded by [`imaging`], indexed by [`dataset`] and embedded by an encoder that was pretrained without
//! labels ([`model`], [`learn`]). [`query`] ranks the unlabelled pool; the reader's label goes to the append-only log
//! of [`session`]; a small logistic head on the cached embeddings is refitted at once and the pool re-ranked. In the
//! background [`engine`] fine-tunes the encoder and, if asked to, distils it into a student; the new embeddings replace the
//! old ones when cross-validation says that they are better.
//!
//! # Rooms
//! A module uses only modules of its own row or of the rows above it; a test walks `src/` and holds it to that.
//!
//! | layer | module | what lives there | burn |
//! |---|---|---|---|
//! | 0 | [`fsutil`], [`rng`], [`config`], [`device`], [`chart`] | durable writes; random streams that no thread count changes; folders; the one place that chooses a backend; charts as data, SVG and CSV | `device` |
//! | 1 | [`imaging`] | decode, window/level, preprocess, augment | no |
//! | 2 | [`dataset`] | scan, index, labels files, planes in memory, batches | no |
//! | 3 | [`session`] | event log, its fold into state, readers, agreement, export | no |
//! | 4 | [`model`] | encoder, heads, model folders; kernels of the CPU backend | yes |
//! | 5 | [`learn`] | losses, optimisers, schedules; pretraining, fine-tuning, distillation, FixMatch, learning from labels; metrics | yes |
//! | 6 | [`predict`], [`query`] | inference, saliency; tier-1 head, query strategies, label propagation, hand-made features | `predict` |
//! | 7 | [`engine`] | the background worker: commands in, events out | yes |
//! | 8 | `ui`, [`serve`], [`cli`] | the window; the prediction page and its API; one file per subcommand | no |
//!
//! # Threads
//! The GUI thread never decodes, trains or waits. One compute thread owns every tensor. A ranking thread owns the
//! tier-1 head. Loader threads decode. A session-writer thread appends, syncs and acknowledges.
//!
//! Penumbra is research software and not a medical device.

pub mod chart;
pub mod config;
pub mod dataset;
pub mod device;
pub mod fsutil;
pub mod imaging;
pub mod rng;
pub mod session;

pub mod learn;
pub mod model;

pub mod predict;
pub mod query;

pub mod engine;

pub mod cli;
pub mod serve;
#[cfg(feature = "gui")]
pub mod ui;
