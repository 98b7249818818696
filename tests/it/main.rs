//! Integration tests: one binary, one module a concern.
#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing fails by panicking")]

mod cli;
mod dicom;
mod engine;
mod exports;
mod films;
#[cfg(feature = "gpu")]
mod gpu;
mod interrupted;
mod layering;
mod learning;
mod metrics;
mod readers;
mod report;
mod serve;
mod session;
mod simulate;
mod simulated_methods;
mod stages;
mod stages_from_a_head;
