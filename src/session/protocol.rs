//! How several readers work on one session: who reads what twice, who is shown the model's opinion, what counts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dataset::FilmId;
use crate::rng;

/// How several readers work on a session. Draws depend on the film, the session's seed and, where each reader has a
/// draw of their own, the reader: never on the order of reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Share of films that several readers read, drawn by film, in 0..=1. If it is above 0, so is every film of the random
    /// stream: agreement on these is that on the pool.
    pub double_share: f32,
    /// Share of the other films with an answer that a further reader reads because the model doubts that answer most, in
    /// 0..=1.
    pub doubt_share: f32,
    /// Readers of a film that several read; 0 for all.
    pub readers: u32,
    /// Share of films that a reader is given again, drawn by film and reader, in 0..=1.
    pub reread_share: f32,
    /// Films that the reader answers between a reading and the next of the same film.
    pub reread_after: u32,
    /// Days between these two readings.
    pub reread_days: u32,
    /// What counts where several readers have read a film.
    pub consensus: Rule,
    /// When a reader is shown the model's opinion of a film.
    pub opinion: OpinionRule,
}

impl Default for Protocol {
    /// Every film read once, and the model's opinion shown after the label.
    fn default() -> Self {
        Self {
            double_share: 0.0,
            doubt_share: 0.0,
            readers: 2,
            reread_share: 0.0,
            reread_after: 100,
            reread_days: 0,
            consensus: Rule::default(),
            opinion: OpinionRule::default(),
        }
    }
}

impl Protocol {
    /// Says which value cannot be worked with, if one cannot.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let shares = [self.double_share, self.doubt_share, self.reread_share];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            return Some("a share lies in 0 to 1");
        }
        (self.readers == 1).then_some("films that several read have two readers or more")
    }

    /// Returns whether chance gives a film to several readers.
    pub fn is_double(&self, seed: u64, film: FilmId) -> bool {
        rng::unit(&mut rng::stream(seed, "double", &[film.key()])) < self.double_share
    }

    /// Returns whether chance gives a film to `reader` again.
    pub fn is_reread(&self, seed: u64, film: FilmId, reader: &str) -> bool {
        rng::unit(&mut rng::stream(seed, "reread", &[film.key(), key(reader)])) < self.reread_share
    }

    /// Returns when `reader` is shown the model's opinion of a film.
    pub fn exposure(&self, seed: u64, film: FilmId, reader: &str) -> Exposure {
        match self.opinion {
            OpinionRule::Before => Exposure::Before,
            OpinionRule::After => Exposure::After,
            OpinionRule::Never => Exposure::Never,
            OpinionRule::Randomised => {
                let arms = Exposure::ALL;
                let mut random = rng::stream(seed, "opinion", &[film.key(), key(reader)]);
                arms[rng::below(&mut random, arms.len())]
            }
        }
    }
}

/// Key of a reader for random streams.
fn key(reader: &str) -> u64 {
    FilmId::of(reader.as_bytes()).key()
}

/// When a reader is shown the model's opinion of a film.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// With the film, before the answer.
    Before,
    /// After the answer.
    After,
    /// Not at all.
    Never,
}

impl Exposure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Before, Self::After, Self::Never];
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Never => "never",
        })
    }
}

/// How it is chosen when a reader is shown the model's opinion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpinionRule {
    /// Always before the answer.
    Before,
    /// Always after it.
    #[default]
    After,
    /// Never.
    Never,
    /// Any of these, drawn by film and reader: the way to measure how far the model sways readers.
    Randomised,
}

impl OpinionRule {
    const ALL: [Self; 4] = [Self::Before, Self::After, Self::Never, Self::Randomised];
}

impl fmt::Display for OpinionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Never => "never",
            Self::Randomised => "randomised",
        })
    }
}

impl FromStr for OpinionRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|rule| rule.to_string() == text);
        found.ok_or_else(|| {
            format!("the opinion is shown before, after, never or randomised, not {text:?}")
        })
    }
}

/// What counts where several readers have read a film.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// What all readers say.
    Unanimous,
    /// What more than half of the readers say.
    Majority,
    /// What the adjudicator says; without one, what all readers say.
    #[default]
    Adjudicator,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unanimous, Self::Majority, Self::Adjudicator];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unanimous => "unanimous",
            Self::Majority => "majority",
            Self::Adjudicator => "adjudicator",
        })
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|rule| rule.to_string() == text);
        found
            .ok_or_else(|| format!("consensus is unanimous, majority or adjudicator, not {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn films(n: u64) -> impl Iterator<Item = FilmId> {
        (0..n).map(|film| FilmId::of(&film.to_le_bytes()))
    }

    #[test]
    fn draws_keep_their_share_and_grow_with_it() {
        let tenth = Protocol { double_share: 0.1, reread_share: 0.1, ..Protocol::default() };
        let fifth = Protocol { double_share: 0.2, ..tenth.clone() };
        // 4 standard deviations of a binomial with n = 5000 and p = 0.1 are 85.
        let double = films(5000).filter(|&film| tenth.is_double(7, film)).count();
        assert!(double.abs_diff(500) < 85, "{double}");
        assert!(films(5000).all(|film| !tenth.is_double(7, film) || fifth.is_double(7, film)));
        let both =
            |film: &FilmId| tenth.is_reread(7, *film, "R1") && tenth.is_reread(7, *film, "R2");
        let both = films(5000).filter(both).count();
        assert!(both.abs_diff(50) < 29, "readers share draws: {both}");
        assert!(films(5000).all(|film| !Protocol::default().is_double(7, film)));
    }

    #[test]
    fn arms_of_the_experiment_are_equally_likely_and_of_each_readers_own() {
        let protocol = Protocol { opinion: OpinionRule::Randomised, ..Protocol::default() };
        let mut counts = [[0_u32; 3]; 3];
        for film in films(9000) {
            let arm = |reader| protocol.exposure(1, film, reader) as usize;
            counts[arm("R1")][arm("R2")] += 1;
        }
        // Chi-square with 8 degrees of freedom: 26.1 is its 99.9th percentile.
        let chi: f64 =
            counts.iter().flatten().map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 26.1, "{counts:?}");
    }

    #[test]
    fn a_protocol_is_read_back_and_what_is_new_is_refused() {
        let protocol = Protocol { double_share: 0.25, ..Protocol::default() };
        let json = serde_json::to_string(&protocol).unwrap();
        assert_eq!(serde_json::from_str::<Protocol>(&json).unwrap(), protocol);
        let more = json.replace('{', "{\"mood\":1,");
        assert!(serde_json::from_str::<Protocol>(&more).is_err());
        for wrong in [
            Protocol { double_share: 1.5, ..Protocol::default() },
            Protocol { reread_share: f32::NAN, ..Protocol::default() },
            Protocol { readers: 1, ..Protocol::default() },
        ] {
            assert!(wrong.fault().is_some(), "{wrong:?}");
        }
        for text in ["unanimous", "majority", "adjudicator"] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        for rule in OpinionRule::ALL {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }
}
