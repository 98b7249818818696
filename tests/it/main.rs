//! Integration tests: one binary, one module a concern.

mod films;
#[cfg(feature = "gui")]
mod gui;
mod layering;
mod learning;
mod metrics;
mod query;
mod session;
