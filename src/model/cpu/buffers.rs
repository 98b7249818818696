//! Memory that goes from one layer or step to the next, because fresh pages cost as much as filling them.
//!
//! Each thread keeps its own, and frees what it has not needed for a while.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut, Range};

/// Buffers below this length are left to the allocator.
const SMALL: usize = 4096;

/// Requests after which an unused buffer is freed: several steps of the networks here.
const KEPT: u64 = 2048;

#[derive(Default)]
struct Free {
    /// Free buffers by length, each with the request after which it came back.
    buffers: BTreeMap<usize, Vec<(u64, Vec<f32>)>>,
    requests: u64,
}

thread_local! {
    static FREE: RefCell<Free> = RefCell::default();
}

impl Free {
    fn take(&mut self, length: usize) -> Vec<f32> {
        self.requests += 1;
        let fit = self.buffers.range_mut(length..=length + length / 4);
        for (_, buffers) in fit {
            if let Some((_, mut buffer)) = buffers.pop() {
                buffer.truncate(length);
                return buffer;
            }
        }
        let oldest = self.requests.saturating_sub(KEPT);
        for buffers in self.buffers.values_mut() {
            buffers.retain(|(returned, _)| *returned >= oldest);
        }
        self.buffers.retain(|_, buffers| !buffers.is_empty());
        vec![0.0; length]
    }
}

/// A buffer of `length` values that mean nothing: whoever takes it writes all of them.
pub fn take(length: usize) -> Vec<f32> {
    if length < SMALL { vec![0.0; length] } else { FREE.with_borrow_mut(|free| free.take(length)) }
}

/// Keeps a buffer for the next [`take`].
pub fn give_back(buffer: Vec<f32>) {
    if buffer.len() >= SMALL {
        FREE.with_borrow_mut(|free| {
            let returned = free.requests;
            free.buffers.entry(buffer.len()).or_default().push((returned, buffer));
        });
    }
}

/// Frees what the calling thread keeps: called when a job has ended and the next may be long in coming.
pub fn release() {
    FREE.take();
}

/// Bytes of a line of the cache, and of the longest vectors.
const LINE: usize = 64;

/// A buffer for the time of one task, which begins with a line of the cache.
pub struct Scratch {
    values: Vec<f32>,
    range: Range<usize>,
}

impl Scratch {
    /// Takes `length` values that mean nothing.
    pub fn take(length: usize) -> Self {
        let values = take(length + LINE / size_of::<f32>());
        let start = values.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        Self { values, range: start..start + length }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.range.clone()]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.range.clone()]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.values));
    }
}
