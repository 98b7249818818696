//! The engine: ranks after every label, learns in the background.
//!
//! Three threads. `ranking` holds the tier-1 head and answers within milliseconds whatever else goes on; `worker` owns every
//! tensor and embeds, fine-tunes and distils; `analysis` answers what the researcher asks. The window sends [`Command`]s,
//! drains [`Event`]s, and reads the latest [`Progress`]; neither side ever waits for the other. What the threads tell one
//! another lies in slots that hold the latest value (`inbox.rs`), so that nothing is lost however many come at once.

mod analysis;
mod flags;
mod handle;
mod inbox;
mod options;
mod protocol;
mod ranking;
mod worker;

pub use handle::Engine;
pub use options::{LearningPlan, Options};
pub use protocol::{
    Cards, Change, Command, Event, Explanation, Foreseen, Insight, Learnt, ModelChange, Opinions,
    Progress, Question, Stage, Training,
};
