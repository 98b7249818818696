//! Random streams that depend on what they are for, never on the order of work or the number of threads.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Opens the random stream of one purpose, such as `"augment"`, and its keys, such as epoch, film and view.
///
/// Streams whose seed, purpose or keys differ are independent: the generator is seeded with the BLAKE3 hash of all.
pub fn stream(seed: u64, purpose: &str, keys: &[u64]) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key("penumbra random stream v1");
    hasher.update(&seed.to_le_bytes());
    // The length keeps ("a", [b'b' …]) and ("ab", […]) apart.
    hasher.update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    for key in keys {
        hasher.update(&key.to_le_bytes());
    }
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

/// Draws a number from `[0, 1)`, a multiple of 2⁻²⁴.
pub fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// Returns the number in `[0, 1)` that 53 of 64 random bits are.
pub fn unit_of_bits(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Draws a number between two bounds; rounding may return `high` itself.
pub fn uniform(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * unit(rng)
}

/// Draws an integer from `0..n`, each equally likely; `n` of 0 gives 0.
///
/// Source: D. Lemire, "Fast random integer generation in an interval", 2019, algorithm 5.
pub fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    let n = n as u64;
    let mut product = u128::from(rng.next_u64()) * u128::from(n);
    if (product as u64) < n {
        let threshold = n.wrapping_neg() % n.max(1);
        while (product as u64) < threshold {
            product = u128::from(rng.next_u64()) * u128::from(n);
        }
    }
    (product >> 64) as usize
}

/// Draws from the standard normal distribution (Box and Muller, 1958).
pub fn normal(rng: &mut ChaCha8Rng) -> f32 {
    // 1 - u lies in (0, 1]: its logarithm is finite.
    let radius = (-2.0 * f64::from(1.0 - unit(rng)).ln()).sqrt();
    (radius * (std::f64::consts::TAU * f64::from(unit(rng))).cos()) as f32
}

/// Puts items into a random order, each equally likely (Fisher and Yates).
pub fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_in_every_part_of_their_name() {
        let first = |seed, purpose, keys: &[u64]| stream(seed, purpose, keys).next_u64();
        let base = first(1, "augment", &[2, 3]);
        assert_eq!(base, first(1, "augment", &[2, 3]));
        let others = [
            first(2, "augment", &[2, 3]),
            first(1, "augmen", &[2, 3]),
            first(1, "augment", &[3, 2]),
            first(1, "augment", &[2]),
            first(1, "augment", &[2, 3, 0]),
        ];
        assert!(others.iter().all(|&other| other != base));
    }

    #[test]
    fn a_stream_never_changes_between_versions() {
        // Recorded once: another value would silently change every split and every run.
        let mut rng = stream(42, "split", &[7]);
        assert_eq!([rng.next_u64(), rng.next_u64()], GOLDEN);
    }

    const GOLDEN: [u64; 2] = [15_165_653_098_848_140_175, 7_799_479_988_392_684_927];

    #[test]
    fn below_is_unbiased_and_in_range() {
        let mut rng = stream(0, "test", &[]);
        assert_eq!((below(&mut rng, 0), below(&mut rng, 1)), (0, 0));
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[below(&mut rng, 7)] += 1;
        }
        // Chi-square with 6 degrees of freedom: 22.46 is its 99.9th percentile.
        let chi: f64 = counts.iter().map(|&count| (f64::from(count) - 1e4).powi(2) / 1e4).sum();
        assert!(chi < 22.46, "{counts:?}");
    }

    #[test]
    fn unit_and_normal_have_their_moments() {
        let mut rng = stream(0, "test", &[1]);
        let n = 100_000;
        let units: Vec<f64> = (0..n).map(|_| f64::from(unit(&mut rng))).collect();
        assert!(units.iter().all(|&u| (0.0..1.0).contains(&u)));
        assert!((units.iter().sum::<f64>() / n as f64 - 0.5).abs() < 0.004);
        let normals: Vec<f64> = (0..n).map(|_| f64::from(normal(&mut rng))).collect();
        let mean = normals.iter().sum::<f64>() / n as f64;
        let variance = normals.iter().map(|x| x * x).sum::<f64>() / n as f64;
        let within_one = normals.iter().filter(|x| x.abs() < 1.0).count() as f64 / n as f64;
        assert!(mean.abs() < 0.013 && (variance - 1.0).abs() < 0.018, "{mean} {variance}");
        assert!((within_one - 0.682_689).abs() < 0.006, "{within_one}");
    }

    #[test]
    fn every_order_of_three_is_equally_likely() {
        let mut rng = stream(0, "test", &[2]);
        let mut counts = std::collections::BTreeMap::<[u8; 3], f64>::new();
        for _ in 0..60_000 {
            let mut items = [0, 1, 2];
            shuffle(&mut rng, &mut items);
            *counts.entry(items).or_default() += 1.0;
        }
        // Chi-square with 5 degrees of freedom: 20.52 is its 99.9th percentile.
        assert_eq!(counts.len(), 6);
        assert!(
            counts.values().map(|count| (count - 1e4).powi(2) / 1e4).sum::<f64>() < 20.52,
            "{counts:?}"
        );
    }
}
