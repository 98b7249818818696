//! Training, validation and test films, whole patients at a time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names of the parts, in the order of their shares.
pub const SPLITS: [&str; 3] = ["train", "val", "test"];

/// A part, by its place in [`SPLITS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Split(usize);

impl Split {
    /// Returns the name, as labels files have it.
    pub const fn name(self) -> &'static str {
        SPLITS[self.0]
    }
}

/// Which share of the patients goes to which part, and the seed of the draw.
///
/// A patient's part depends on nothing but its name, the shares and the seed: films that are added later move nobody, and
/// other programs can draw the same. With `x` the first 8 bytes, the most significant first, of the BLAKE3 hash of
/// `penumbra split`, a zero byte, the seed in decimal digits, a zero byte and the patient, the part is the first whose
/// cumulated share of 2^64 is above `x`. The parts' shares of *films* come out as they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Percent of the patients in each of [`SPLITS`], 100 together.
    percent: [u8; 3],
    pub(super) seed: u64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { percent: [70, 15, 15], seed: 0 }
    }
}

/// Shares that do not make a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "shares are whole percents for training, validation and test, 100 together, as 70,15,15; not {0:?}"
)]
pub struct InvalidShares(String);

impl FromStr for Shares {
    type Err = InvalidShares;

    fn from_str(text: &str) -> Result<Self, InvalidShares> {
        let wrong = || InvalidShares(text.to_owned());
        let shares: Vec<u8> = text
            .split(',')
            .map(|share| share.trim().parse().map_err(|_| wrong()))
            .collect::<Result<_, _>>()?;
        let percent: [u8; 3] = shares.try_into().map_err(|_| wrong())?;
        let whole = percent.iter().map(|&share| u32::from(share)).sum::<u32>() == 100;
        if whole { Ok(Self { percent, seed: 0 }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [train, val, test] = self.percent;
        write!(f, "{train},{val},{test}")
    }
}

impl Shares {
    /// Takes another seed of the draw.
    #[must_use]
    pub const fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Returns the part of a patient.
    pub fn split(&self, patient: &str) -> Split {
        let text = format!("penumbra split\0{}\0{patient}", self.seed);
        let hash = blake3::hash(text.as_bytes());
        let x = hash.as_bytes()[..8].iter().fold(0_u64, |x, &byte| x << 8 | u64::from(byte));
        let mut cumulated = 0_u128;
        for (place, &share) in self.percent.iter().enumerate() {
            cumulated += u128::from(share);
            if u128::from(x) * 100 < cumulated << 64 {
                return Split(place);
            }
        }
        Split(SPLITS.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_make_a_whole() {
        assert_eq!("70,15,15".parse(), Ok(Shares::default()));
        assert_eq!("0, 100, 0".parse::<Shares>().unwrap().split("anyone").name(), "val");
        for wrong in ["", "70", "70,30", "70,20,20", "150,-25,-25", "70,15,15,0", "a,b,c"] {
            assert!(wrong.parse::<Shares>().is_err(), "{wrong:?}");
        }
    }

    /// Parts by the words of the documentation, with Python's package `blake3` 1.0.11.
    #[test]
    fn other_programs_can_draw_the_same() {
        let shares = Shares::default();
        let drawn: Vec<_> = ["P1", "P2", "P3", "P4", "P5", "P6", "ü"]
            .iter()
            .map(|patient| shares.split(patient).name())
            .collect();
        assert_eq!(drawn, ["val", "val", "train", "train", "train", "test", "test"]);
        let seeded = shares.with_seed(7);
        assert!((0..50).any(|n| seeded.split(&n.to_string()) != shares.split(&n.to_string())));
    }

    #[test]
    fn parts_have_their_shares_of_many_patients() {
        let mut counts = [0; 3];
        for patient in 0..10_000 {
            counts[Shares::default().split(&patient.to_string()).0] += 1;
        }
        // Five standard deviations of a binomial with 10,000 draws.
        for (count, share) in counts.into_iter().zip([0.70_f64, 0.15, 0.15]) {
            let (mean, deviation) = (10_000.0 * share, (10_000.0 * share * (1.0 - share)).sqrt());
            assert!((f64::from(count) - mean).abs() < 5.0 * deviation, "{counts:?}");
        }
    }
}
