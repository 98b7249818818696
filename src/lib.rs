//! Penumbra: label chest X-rays where each label teaches the model most.
//!
//! # The loop
//! Films are decoded by [`imaging`], indexed by [`dataset`] and embedded by an encoder that was pretrained without
//! labels ([`model`], [`learn`]). [`query`] ranks the unlabelled pool by their [`features`]; the reader's label goes to the append-only log
//! of [`session`]; a small logistic head on the cached embeddings is refitted at once and the pool re-ranked. In the
//! background [`engine`] fine-tunes the encoder and, if asked to, distils it into a student; the new embeddings replace the
//! old ones when cross-validation says that they are better.
//!
//! # Rooms
//! A module uses only modules of the rows above its own; those of row 0 may use one another. A test reads this table and holds
//! every file of `src/` to it.
//!
//! | layer | module | what lives there | burn |
//! |---|---|---|---|
//! | 0 | [`fsutil`], [`rng`], [`config`], [`device`], [`chart`], [`stats`] | durable writes; random streams that no thread count changes; folders; the one place that chooses a backend; charts as data, SVG and CSV; the rule for ties | `device` |
//! | 1 | [`imaging`] | decode, window/level, preprocess, augment | no |
//! | 2 | [`dataset`] | scan, index, labels files, planes in memory, batches | no |
//! | 3 | [`session`] | event log, its fold into state, readers, agreement, export | no |
//! | 4 | [`model`] | encoder, heads, model folders; kernels of the CPU backend | yes |
//! | 5 | [`features`] | embeddings on one scale, patient folds, the tier-1 head and its penalty, neighbours, cache | no |
//! | 6 | [`learn`] | losses, optimisers, schedules; pretraining, fine-tuning, distillation, FixMatch, learning from labels; a round of them; metrics | yes |
//! | 7 | [`predict`], [`query`] | inference, saliency; strategies and the selector that ranks by them | `predict` |
//! | 8 | [`study`] | a session with its films: workspace, queue, readers, random stream, analyses and charts | no |
//! | 9 | [`engine`], [`simulate`] | the background threads: commands in, events out; active learning replayed with known labels | `engine` |
//! | 10 | `ui`, [`serve`] | the window; the prediction page and its API | no |
//! | 11 | [`cli`] | one file per subcommand; the only one that prints | no |
//!
//! # Threads
//! The GUI thread never decodes, trains or waits. One compute thread owns every tensor. A ranking thread owns the
//! tier-1 head. An analysis thread answers the researcher. Loader threads decode. A session-writer thread appends, syncs and
//! acknowledges.
//!
//! # Five ways through the code
//!
//! *A label key to the next film.* `ui::keymap` makes a `UiCommand` of the key, and `ui::app::commands` executes it.
//! `Sitting::answer` has `Study::enter` append the event ([`session::Session::append`]; the writer thread syncs it).
//! `Worklist::go_on` shows the film that [`study::ReadingQueue`] has next, which is decoded already. `Learner::labels` puts
//! the labels into the engine's slot. The ranking thread refits and ranks ([`query::Selector::select`]) and sends
//! [`engine::Event::Ranking`]; `Sitting::take_ranking` replaces what follows the film on screen.
//!
//! *DICOM to pixels to a network.* [`imaging::decode`] reads a file within limits and applies its lookup tables. For the
//! screen `ui::film_loader` decodes on loader threads, and `ui::film_view` draws through a display table. For a network
//! [`dataset::planes::PlaneStore`] keeps each film as an 8-bit square ([`dataset::planes::source_preprocess`]),
//! [`dataset::batches`] cuts batches, and [`predict::embed`] runs [`model::Encoder`].
//!
//! *Ten labels to new features.* The ranking thread sees that learning is due and leaves a wish for the compute thread. That
//! one goes through [`learn::round::Round`]: `tune`, `judge`, `align`, perhaps `distil`. A better model is saved, the films
//! are embedded with it ([`features::Space`]), and it is put into the slot of the model in use. The ranking thread tells of
//! it ([`engine::Event::ModelChanged`]) and ranks by it.
//!
//! *One simulated cell.* `simulate::run` lists cells and skips those that are stored. `Draw` buys labels with the window's
//! [`query::Selector`]. A method learns from them through the window's [`learn::round::Round`] and predicts the evaluation
//! films. The cell is kept under what determines it, and tables are made from what is kept.
//!
//! *One pretraining step.* [`learn::pretrain`] draws a batch of two views a film on loader threads ([`imaging::Augment`]),
//! checks memory, projects the views, takes the objective's loss ([`learn::objective`], NT-Xent by default), sums gradients
//! over parts of the batch and steps the optimiser. History and checkpoint follow at the end of an epoch.
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
pub mod stats;

pub mod learn;
pub mod model;

pub mod features;
pub mod predict;
pub mod query;
pub mod study;

pub mod engine;
pub mod simulate;

pub mod cli;
pub mod serve;
#[cfg(feature = "gui")]
pub mod ui;
