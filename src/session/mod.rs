//! The labelling session: an append-only event log, its fold into state, and exports.
//!
//! A session is a folder `sessions/<name>/`:
//!
//! | file | what it is |
//! |---|---|
//! | `session.json` | [`Header`]: written once, sealed with its own hash, never changed |
//! | `events.jsonl` | one [`Event`] a line; every line carries the hash of its own bytes and of the line before it |
//! | `lock` | held while a program writes to the session |
//! | `events.torn-<n>` | an unfinished last line that a crash left behind, moved aside |
//!
//! Nothing is rewritten: relabelling and undoing are events too, and [`State`] is a pure function of header and events.
//! Several readers may work on one session: [`State::of`] is what one of them knows, [`State::consensus`] what counts, and
//! copies that were read apart are joined by [`merge()`].
//!
//! The chain of hashes finds every changed, inserted or removed byte but one case: lines cut off cleanly at the end look
//! like a shorter session. Who needs to exclude that notes [`Verified::head`] elsewhere, or seals the session in a bundle
//! ([`export::write_bundle`]), and asks [`lines_up_to`] later.

pub mod agreement;
mod class;
mod consensus;
mod error;
mod event;
pub mod export;
mod fold_error;
mod header;
pub mod import;
mod line;
mod log;
mod merge;
mod protocol;
mod reading;
mod state;
mod store;
mod time;
mod view;
mod writer;

pub use class::{Class, Colour, InvalidColour};
pub use consensus::{Adjudicated, Verdict};
pub use error::{LineFault, SessionError};
pub use event::{Answer, Entry, Event, MethodFigures, Opinion, Shown, Source};
pub use header::{Header, HeaderError, Reference};
pub use log::{Snapshot, Verified, lines_up_to, verify};
pub use merge::{MergeError, MergeRun, MergeSource, Merged, merge};
pub use protocol::{Exposure, OpinionRule, Protocol, Rule};
pub use state::{Audited, Conflict, Counts, FoldError, Labelled, Note, Point, Reread, State};
pub use store::{Ack, OpenReport, Session, Summary};
pub use time::Time;
pub use view::View;
