//! Active learning replayed with labels that are known.
//!
//! For each split, draw and strategy labels are bought one after the other up to the largest budget, each chosen by the
//! head on the pretrained features, refitted after every round, as the window does it: a test holds the two to the same
//! penalty, probabilities and films. At each budget every method learns from the labels bought so far, once for each
//! optimisation seed, and is measured on the evaluation films. Nothing but the bought labels is looked at.
//!
//! A cell is one method at one budget of one draw. It is determined by the program and what `plan::Setup::describe` lists,
//! and kept on disk under that (`cells`). Reports are computed from the stored cells alone, so that a resumed run gives the
//! same figures.
//!
//! The room prints nothing: what is to be said on the way goes to a [`Watch`].

mod bench;
mod cells;
mod chart;
mod compare;
mod comparison;
#[cfg(test)]
mod comparison_tests;
mod draw;
mod memo;
mod method;
mod methods;
mod networks;
#[cfg(test)]
mod parity_tests;
mod parts;
mod plan;
mod progress;
mod report;
mod run;
mod settings;
mod summary;
mod table;
mod watch;

pub use self::bench::Machine;
pub use self::method::{METHODS, Method, Named};
pub use self::report::Report;
pub use self::run::{Ended, run};
pub use self::settings::{Budget, Cut, Settings, Source, SplitKind};
pub use self::watch::{News, Watch};
