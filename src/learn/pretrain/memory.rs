//! Whether a step fits into memory, and which batch would.
//!
//! On the CPU this is found out before the first step, because the system ends a process that takes too much without a
//! word: a step of 4 films and one of up to 32 are measured, and the line through both is extended to the batch at hand. On
//! a GPU an allocation that failed is caught, and halves of the batch are tried until one runs.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::PretrainConfig;
use super::State;
use crate::device;
use crate::learn::LearnError;
use crate::learn::objective::ObjectiveConfig;
use crate::learn::throughput::random_films;
use crate::model::release_buffers;

/// Films of the first step that is measured, and the least and most of the second.
const FEW: usize = 4;
const MANY: [usize; 2] = [8, 32];
/// Share of the free memory that the second step may take, as far as the first one tells.
const TRIED: f64 = 0.25;
/// Share of the free memory that a step may take: the rest is for the system and for what is not measured.
const SHARE: f64 = 0.9;
/// Bytes a pair of views, or a view and a key of the queue: the matrices of similarities of a contrastive loss and their
/// gradients, of four bytes each.
const PAIR: f64 = 40.0;
/// Parts of a batch that are drawn ahead of their turn, about.
const DRAWN_AHEAD: f64 = 8.0;
/// Copies of the weights that training holds beside what a step without an optimiser has: two moments, the weights
/// being moved, a target network, and one while a checkpoint is written.
const COPIES: f64 = 5.0;

/// Bytes that a step takes: `fixed + view · v + pair · v²` for `v` views in a part of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StepMemory {
    fixed: f64,
    view: f64,
    pair: f64,
}

impl StepMemory {
    /// Draws the line through the bytes of two steps of `films` films each, to which the queue's keys, that such steps
    /// have not got yet, are added.
    fn through(
        films: [usize; 2],
        bytes: [u64; 2],
        weights: u64,
        objective: &ObjectiveConfig,
    ) -> Self {
        let [few, many] = films.map(|films| 2.0 * films as f64);
        let [low, high] = bytes.map(|bytes| bytes as f64);
        let view = ((high - low) / (many - few)).max(0.0);
        let fixed = (low - few * view).max(0.0) + COPIES * weights as f64;
        match objective {
            ObjectiveConfig::Simclr { queue, .. } => {
                Self { fixed, view: view + PAIR * *queue as f64, pair: PAIR }
            }
            ObjectiveConfig::Vicreg { .. } | ObjectiveConfig::Byol { .. } => {
                Self { fixed, view, pair: 0.0 }
            }
        }
    }

    /// Bytes of a step with parts of this many films.
    pub(super) fn of(&self, films: usize) -> u64 {
        let views = 2.0 * films as f64;
        (self.fixed + self.view * views + self.pair * views * views) as u64
    }

    /// Films of the largest part that takes no more than `available` bytes; 0 if none does.
    pub(super) fn largest(&self, available: u64) -> usize {
        let (mut fits, mut too_many) = (0, 1);
        while too_many < 1 << 24 && self.of(too_many) <= available {
            (fits, too_many) = (too_many, 2 * too_many);
        }
        while too_many - fits > 1 {
            let middle = usize::midpoint(fits, too_many);
            if self.of(middle) <= available { fits = middle } else { too_many = middle }
        }
        fits
    }

    /// Refuses a batch whose parts take more than nine tenths of the `available` bytes.
    pub(super) fn check(&self, config: &PretrainConfig, available: u64) -> Result<(), LearnError> {
        let needed = self.of(config.micro_batch());
        let allowed = (available as f64 * SHARE) as u64;
        if needed <= allowed {
            return Ok(());
        }
        let fits = self.largest(allowed) * config.micro_batches;
        Err(LearnError::TooLarge { batch: config.batch, fits, needed: Some((needed, available)) })
    }
}

/// Checks on the CPU that a step fits; does nothing on other devices or where the system does not tell its memory.
pub(super) fn check(config: &PretrainConfig, device: &Device) -> Result<(), LearnError> {
    if !device::is_cpu(device) || config.micro_batch() <= MANY[0] {
        return Ok(());
    }
    let Some(memory) = measure(config, device)? else { return Ok(()) };
    tracing::debug!("a step takes about {} MiB", memory.of(config.micro_batch()) >> 20);
    device::available_memory().map_or(Ok(()), |available| memory.check(config, available))
}

/// Measures two small steps; none where the system does not tell what the process holds.
fn measure(config: &PretrainConfig, device: &Device) -> Result<Option<StepMemory>, LearnError> {
    let mut state = State::new(config, device);
    let weights = 4 * state.learner.num_params() as u64;
    let mut bytes_of = |films: usize| {
        release_buffers();
        let Some(before) = device::resident_memory() else { return Ok(None) };
        let (result, peak) = peak_during(|| step(config, &mut state, films, device));
        result.map(|()| Some(peak.saturating_sub(before)))
    };
    let (Some(low), Some(available)) = (bytes_of(FEW)?, device::available_memory()) else {
        return Ok(None);
    };
    let affordable = available as f64 * TRIED / (low.max(1) as f64 / FEW as f64);
    let many = (affordable as usize).clamp(MANY[0], MANY[1].min(config.micro_batch()));
    let Some(high) = bytes_of(many)? else { return Ok(None) };
    release_buffers();
    let mut memory = StepMemory::through([FEW, many], [low, high], weights, &config.objective);
    memory.view += DRAWN_AHEAD * 4.0 * f64::from(config.size).powi(2);
    Ok(Some(memory))
}

/// Computes loss and gradients of random films.
fn step(
    config: &PretrainConfig,
    state: &mut State,
    films: usize,
    device: &Device,
) -> Result<(), LearnError> {
    let views = random_films(2 * films, config.size as usize, &device.clone().inner());
    let outcome = state.objective.loss(&state.learner, Tensor::from_inner(views));
    let gradients = GradientsParams::from_grads(outcome.loss.backward(), &state.learner);
    device.sync()?;
    drop(gradients);
    Ok(())
}

/// Runs `work` and returns with its result the most memory that the process was seen to hold meanwhile.
fn peak_during<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let look = || {
        let held = device::resident_memory().unwrap_or(0);
        peak.fetch_max(held, Ordering::Relaxed);
    };
    let result = thread::scope(|scope| {
        // Without the thread the memory after the work is seen, which is nearly as much: freed pages stay for a while.
        let _ = thread::Builder::new().name("memory".to_owned()).spawn_scoped(scope, || {
            while !done.load(Ordering::Relaxed) {
                look();
                thread::sleep(Duration::from_micros(200));
            }
        });
        let result = catch_unwind(AssertUnwindSafe(work));
        look();
        done.store(true, Ordering::Relaxed);
        result
    });
    (result.unwrap_or_else(|panic| resume_unwind(panic)), peak.into_inner())
}

/// Runs a step and turns a failed allocation, which comes as an error or a panic, into [`LearnError::TooLarge`].
///
/// To say which batch would fit, halves of a part are tried.
pub(super) fn guard<T>(
    config: &PretrainConfig,
    device: &Device,
    work: impl FnOnce() -> Result<T, LearnError>,
) -> Result<T, LearnError> {
    let fault = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Err(LearnError::Device(fault))) if is_allocation(&fault) => fault,
        Ok(result) => return result,
        Err(panic) => match panic_text(panic.as_ref()) {
            Some(text) if is_allocation(text) => text.to_owned(),
            _ => resume_unwind(panic),
        },
    };
    tracing::debug!("an allocation failed: {fault}");
    let fits = largest_half(config.micro_batch(), |films| {
        let attempt = || {
            device.memory_cleanup();
            step(config, &mut State::new(config, device), films, device)
        };
        matches!(catch_unwind(AssertUnwindSafe(attempt)), Ok(Ok(())))
    });
    let fits = fits * config.micro_batches;
    Err(LearnError::TooLarge { batch: config.batch, fits, needed: None })
}

/// Halves `films` until `runs` says yes; 0 if it never does.
fn largest_half(films: usize, mut runs: impl FnMut(usize) -> bool) -> usize {
    let halves = std::iter::successors(Some(films / 2), |films| Some(films / 2));
    halves.take_while(|&films| films >= 2).find(|&films| runs(films)).unwrap_or(0)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
}

/// Whether a fault of the device is one of memory, by the words of cubecl's and wgpu's errors.
fn is_allocation(fault: &str) -> bool {
    let fault = fault.to_lowercase();
    ["out of memory", "out-of-memory", "outofmemory", "out of device memory", "not enough memory"]
        .iter()
        .chain(&["buffertoobig", "too large to allocate", "memory allocation"])
        .any(|words| fault.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::pretrain::tests::{byol, config, simclr};

    #[test]
    fn the_line_goes_through_both_measures() {
        // 1000 bytes and 50 a view; 10 bytes of weights, five more copies of which are held.
        let through =
            |bytes, weights, objective| StepMemory::through([4, 12], bytes, weights, &objective);
        let memory = through([1400, 2200], 10, simclr(0));
        assert_eq!(memory, StepMemory { fixed: 1050.0, view: 50.0, pair: PAIR });
        assert_eq!(memory.of(4), 1050 + 8 * 50 + 64 * 40);
        assert_eq!(through([1400, 2200], 10, simclr(100)).view, 50.0 + 100.0 * PAIR);
        assert_eq!(through([1400, 2200], 10, byol()).of(4), 1050 + 8 * 50);
        // What shrinks with the batch is noise.
        assert_eq!(through([9, 5], 0, byol()).view, 0.0);
    }

    #[test]
    fn the_largest_batch_is_the_last_that_fits() {
        let memory = StepMemory { fixed: 100.0, view: 10.0, pair: 1.0 };
        assert_eq!(memory.of(5), 300);
        assert_eq!([99, 299, 300, 435, 436].map(|bytes| memory.largest(bytes)), [0, 4, 5, 6, 7]);
        for available in (200..5000).step_by(37) {
            let fits = memory.largest(available);
            assert!(memory.of(fits) <= available && memory.of(fits + 1) > available);
        }
    }

    #[test]
    fn a_batch_that_does_not_fit_is_refused_with_one_that_does() {
        let memory = StepMemory { fixed: 0.0, view: 1e6, pair: 0.0 };
        let config = PretrainConfig { batch: 96, micro_batches: 3, ..config(1) };
        // 32 films a part are 64 views: 64 MB of nine tenths of what is free.
        assert!(memory.check(&config, 72_000_000).is_ok());
        let refused = memory.check(&config, 40_000_000).unwrap_err();
        assert!(matches!(refused, LearnError::TooLarge { batch: 96, fits: 54, .. }), "{refused}");
        assert!(refused.to_string().contains("batch of 96"), "{refused}");
        assert!(refused.to_string().contains("about 54 would"), "{refused}");
    }

    #[test]
    fn measured_steps_grow_with_the_batch() {
        let device = Device::flex().autodiff();
        let config = PretrainConfig { size: 64, batch: 64, ..config(1) };
        let memory = measure(&config, &device).unwrap().unwrap();
        // The pixels of a view alone are 16 KiB, and the first layer's output is as large.
        assert!(memory.view > 16_384.0, "{memory:?}");
        assert!(memory.of(64) < 1 << 30, "{memory:?}");
        check(&config, &device).unwrap();
    }

    #[test]
    fn failed_allocations_are_told_from_other_faults() {
        let device = Device::flex().autodiff();
        let config = PretrainConfig { batch: 16, ..config(1) };
        let fail = |text: &str| {
            let text = text.to_owned();
            guard(&config, &device, || Err::<(), _>(LearnError::Device(text)))
        };
        let memory = "An out-of-memory error happened during launch\nCaused by: …";
        assert!(matches!(fail(memory), Err(LearnError::TooLarge { batch: 16, fits: 8, .. })));
        assert!(matches!(fail("a kernel faulted"), Err(LearnError::Device(_))));
        let panicked = guard(&config, &device, || -> Result<(), LearnError> {
            panic!("out of device memory allocating 17 bytes")
        });
        assert!(matches!(panicked, Err(LearnError::TooLarge { fits: 8, .. })));
        assert_eq!(largest_half(100, |films| films < 30), 25);
        assert_eq!(largest_half(100, |_| false), 0);
    }
}
