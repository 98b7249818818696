//! A session with its films as it is read: what the window and the commands work on, without a thread.

pub mod analysis;
mod audit;
pub mod charts;
mod checkpoint;
mod embedded;
mod films;
mod labels;
mod queue;
mod ranking;
mod readers;
pub mod workspace;

pub use audit::{AuditPoint, AuditStream, reading_minutes};
pub use checkpoint::{Checkpoint, Held};
pub use embedded::Embedded;
pub use films::{ReferenceSet, Source};
pub use labels::{Assigned, LabelSet};
pub use queue::{QueuedFilm, QueuedSource, ReadingQueue};
pub use ranking::Ranking;
pub use workspace::Workspace;
