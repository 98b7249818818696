//! Cells on disk: what a run has computed, the next run takes over.
//!
//! A cell is `cells/KEY.json`. KEY is the BLAKE3 hash of the cell's settings and of the program's version. The cell names the
//! build that computed it; cells of other builds are used, and the report says how many there are. A file is used only if it
//! is whole, of these settings, and of the evaluation films.
//!
//! Settings are hashed with the names of their fields. Cells of programs whose settings had no names (up to December 2026) have
//! other keys: they are not found, and computed again.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::dataset::FilmId;
use crate::fsutil;

/// What was computed for a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// What determines it, as JSON. Text, because a number read back may differ in its last bit.
    pub of: String,
    /// Hash of the program that computed it.
    pub build: String,
    /// The films bought, in order.
    pub bought: Vec<FilmId>,
    /// How many of them are of each class.
    pub of_class: Vec<usize>,
    /// Labels that the method looked at.
    pub labels_looked_at: usize,
    /// Class probabilities of the evaluation films, films x classes, row-major.
    pub probabilities: Vec<f32>,
    /// Time that it took.
    pub seconds: f32,
}

/// A cell's file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// BLAKE3 hash of the cell as JSON without white space.
    hash: String,
    cell: Outcome,
}

/// Cells by what determines them, in memory and, if there is a folder, on disk.
pub struct Cells {
    folder: Option<PathBuf>,
    /// Hash of this program.
    pub build: String,
    known: BTreeMap<String, Outcome>,
}

impl Cells {
    /// Opens the cells of a folder; without one they last as long as the run.
    ///
    /// # Errors
    /// Fails if the program cannot be read, whose hash tells its builds apart.
    pub fn open(out: Option<&Path>) -> anyhow::Result<Self> {
        let build = match out {
            Some(_) => {
                let program = std::env::current_exe().context("the program is not found")?;
                let bytes = File::open(&program).context("the program cannot be read")?;
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(bytes).context("the program cannot be read")?;
                hasher.finalize().to_hex()[..16].to_owned()
            }
            None => String::new(),
        };
        let folder = out.map(|out| out.join("cells"));
        Ok(Self { folder, build, known: BTreeMap::new() })
    }

    /// Looks for the cell of a description, with so many probabilities.
    ///
    /// # Errors
    /// Says why a file that is there is not used.
    pub fn find(&mut self, of: &str, probabilities: usize) -> anyhow::Result<Option<&Outcome>> {
        let key = key(of);
        if !self.known.contains_key(&key) {
            let Some(path) = self.path(&key).filter(|path| path.exists()) else { return Ok(None) };
            let outcome = fsutil::read(&path)
                .map_err(anyhow::Error::from)
                .and_then(|bytes| decode(&bytes, of, probabilities))
                .with_context(|| format!("{}", path.display()))?;
            self.known.insert(key.clone(), outcome);
        }
        Ok(self.known.get(&key))
    }

    /// Keeps a cell.
    ///
    /// # Errors
    /// Fails if it cannot be written.
    pub fn keep(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        let key = key(&outcome.of);
        if let Some(path) = self.path(&key) {
            fsutil::write_atomic(&path, &encode(&outcome)?)?;
        }
        self.known.insert(key, outcome);
        Ok(())
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{key}.json")))
    }
}

fn key(of: &str) -> String {
    blake3::hash(of.as_bytes()).to_hex()[..32].to_owned()
}

fn digest(outcome: &Outcome) -> anyhow::Result<String> {
    Ok(blake3::hash(&serde_json::to_vec(outcome)?).to_hex().to_string())
}

fn encode(outcome: &Outcome) -> anyhow::Result<Vec<u8>> {
    let stored = Stored { hash: digest(outcome)?, cell: outcome.clone() };
    Ok(serde_json::to_vec(&stored)?)
}

fn decode(bytes: &[u8], of: &str, probabilities: usize) -> anyhow::Result<Outcome> {
    let stored: Stored = serde_json::from_slice(bytes)?;
    let cell = stored.cell;
    anyhow::ensure!(digest(&cell)? == stored.hash, "its hash is another");
    anyhow::ensure!(cell.of == of, "it is of another cell");
    anyhow::ensure!(cell.probabilities.len() == probabilities, "it is of other films");
    Ok(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outcome(probabilities: Vec<f32>) -> Outcome {
        Outcome {
            of: serde_json::json!({ "labels": 2, "rate": 0.1f32, "seed": u64::MAX }).to_string(),
            build: "b".to_owned(),
            bought: vec![FilmId::of(b"1"), FilmId::of(b"2")],
            of_class: vec![1, 1],
            labels_looked_at: 2,
            probabilities,
            seconds: 0.1,
        }
    }

    proptest! {
        #[test]
        fn a_cell_is_read_as_it_was_written_to_the_last_bit(
            bits in prop::collection::vec(0u32..=0x3f80_0000, 0..40)
        ) {
            let written = outcome(bits.iter().map(|&bits| f32::from_bits(bits)).collect());
            let read = decode(&encode(&written).unwrap(), &written.of, bits.len()).unwrap();
            prop_assert_eq!(&read, &written);
            let read: Vec<u32> = read.probabilities.iter().map(|p| p.to_bits()).collect();
            prop_assert_eq!(read, bits);
        }
    }

    #[test]
    fn what_is_not_the_cell_as_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let written = outcome(vec![0.25, 0.75]);
        let (out, build) = (Some(folder.path().to_owned()), String::new());
        let mut cells = Cells { folder: out, build, known: BTreeMap::new() };
        cells.keep(written.clone()).unwrap();
        let path = cells.path(&key(&written.of)).unwrap();
        let text = String::from_utf8(fsutil::read(&path).unwrap()).unwrap();
        for (from, to) in
            [("0.75", "0.5"), ("\"labels_looked_at\":2", "\"labels_looked_at\":3"), ("}}", "}")]
        {
            assert!(text.contains(from), "{text}");
            fsutil::write_atomic(&path, text.replace(from, to).as_bytes()).unwrap();
            cells.known.clear();
            let error = format!("{:#}", cells.find(&written.of, 2).unwrap_err());
            assert!(error.contains(".json"), "{error}");
        }
        fsutil::write_atomic(&path, text.as_bytes()).unwrap();
        assert!(cells.find(&written.of, 4).is_err(), "it has the films of another split");
        assert!(cells.find("{}", 2).unwrap().is_none());
        assert!(cells.find(&written.of, 2).unwrap().is_some());
    }
}
