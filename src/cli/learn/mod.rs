//! The stages of learning as commands.

pub mod distill;
mod films;
pub mod finetune;
pub mod fixmatch;
mod head;
mod progress;
mod save;
mod start;
pub mod supervised;
