//! Any order, the yardstick for the others.

use rand_core::Rng;

use super::pool::{Pool, Ranked};
use super::reason::Reason;
use crate::rng;

/// Ranks all candidates by a number drawn for each film's id: taking one away leaves the others' order.
pub(crate) fn rank(pool: &Pool<'_>, seed: u64) -> Vec<Ranked> {
    let draw = |&index: &usize| {
        let number = rng::stream(seed, "random ranking", &[pool.ids[index].key()]).next_u64();
        (number, pool.ids[index], index)
    };
    let mut films: Vec<_> = pool.candidates.iter().map(draw).collect();
    films.sort_unstable();
    // The first 24 bits, which a single-precision number holds exactly.
    let score = |number: u64| (number >> 40) as f32 / (1u32 << 24) as f32;
    let ranked =
        |(number, _, index)| Ranked { index, score: score(number), reason: Reason::Random };
    films.into_iter().map(ranked).collect()
}
