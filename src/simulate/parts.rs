//! The films of a simulation and how they are cut into the pool and the evaluation films.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::settings::{Cut, Settings, Source, SplitKind};
use crate::config::{DEMO, Home};
use crate::dataset::FilmId;
use crate::dataset::films::{FilmSet, Films, FilmsError};
use crate::dataset::splits::Split;
use crate::fsutil;
use crate::learn::metrics::positive_class;
use crate::model::ModelCard;

/// Share of evaluation films where the films come in one part.
const EVALUATION_SHARE: f32 = 0.2;

/// All films in one list, those given as the pool first, and the splits of it.
pub struct Parts {
    /// The films.
    pub films: Films,
    /// Their identities.
    pub ids: Vec<FilmId>,
    /// Number of films given as the pool.
    pub given: usize,
    /// How they are cut.
    pub kind: SplitKind,
    /// The splits.
    pub splits: Vec<Split>,
    /// What a reader of the figures has to know.
    pub warnings: Vec<String>,
}

impl Parts {
    /// Finds the films and cuts them, unless told otherwise by patient where no second part is given.
    ///
    /// # Errors
    /// Fails if films cannot be read, if the parts have other classes, if a film is in both, or if one part is empty.
    pub fn find(home: &Home, settings: &Settings) -> anyhow::Result<Self> {
        let (Given { pool, evaluation }, cut) =
            (Given::find(home, &settings.films)?, &settings.cut);
        let (given, mut proportion) = (pool.files.len(), None);
        let films = match evaluation {
            Some(evaluation) => {
                proportion = Some(evaluation.files.len());
                joined(pool, evaluation)?
            }
            None => pool,
        };
        let ids = identities(&films)?;
        let default = if proportion.is_some() { SplitKind::File } else { SplitKind::Patient };
        let kind = cut.kind.unwrap_or(default);
        let mut parts = Self { films, ids, given, kind, splits: Vec::new(), warnings: Vec::new() };
        match (kind, proportion) {
            (SplitKind::File, Some(_)) => parts.as_given(cut)?,
            (SplitKind::File, None) => bail!(
                "--splits file needs films to measure on: --eval-split, or --eval-images with --eval-labels"
            ),
            _ => parts.cut(cut, proportion)?,
        }
        parts.check_patients();
        Ok(parts)
    }

    fn as_given(&mut self, cut: &Cut) -> anyhow::Result<()> {
        if cut.repeats > 1 || cut.evaluation_share.is_some() {
            bail!(
                "--repeats and --eval-share cut films anew: they need --splits patient or random"
            );
        }
        let pool: BTreeSet<FilmId> = self.ids[..self.given].iter().copied().collect();
        let copies = self.ids[self.given..].iter().filter(|id| pool.contains(id)).count();
        if copies > 0 {
            bail!("{copies} evaluation films are in the pool too; keep the parts apart by --split");
        }
        let split = Split {
            pool: (0..self.given).collect(),
            evaluation: (self.given..self.ids.len()).collect(),
        };
        let shared = split.films_of_shared_patients(&self.films.patients);
        if shared > 0 {
            self.warnings
                .push(format!("{shared} evaluation films are of patients who are in the pool too"));
        }
        self.splits = vec![split];
        Ok(())
    }

    fn cut(&mut self, cut: &Cut, proportion: Option<usize>) -> anyhow::Result<()> {
        self.leave_copies_out();
        let patients: BTreeSet<&String> = self.films.patients.iter().collect();
        if self.kind == SplitKind::Patient && patients.len() == self.ids.len() {
            self.warnings.push(
                "no two films are known to be of one patient, by the labels file, the films or their names: cut film by \
                 film"
                    .to_owned(),
            );
        }
        let share = cut.evaluation_share.unwrap_or(EVALUATION_SHARE);
        let count = match proportion {
            Some(count) if cut.evaluation_share.is_none() => count,
            _ => (share * self.ids.len() as f32).round() as usize,
        };
        let seed = cut.seed;
        for repeat in 0..cut.repeats {
            let split = match self.kind {
                SplitKind::Patient => {
                    Split::by_patient(&self.ids, &self.films.patients, count, seed, repeat)
                }
                _ => Split::by_film(&self.ids, count, seed, repeat),
            };
            if split.pool.is_empty() || split.evaluation.is_empty() {
                bail!("{} films cannot be cut into a pool and {count} others", self.ids.len());
            }
            let shared = split.films_of_shared_patients(&self.films.patients);
            if shared > 0 {
                let n = split.evaluation.len();
                self.warnings.push(format!(
                    "split {repeat}: {shared} of {n} evaluation films are of patients who are in the pool too"
                ));
            }
            self.splits.push(split);
        }
        Ok(())
    }

    /// Warns where nothing can be resampled.
    fn check_patients(&mut self) {
        let evaluation = self.splits.iter().flat_map(|split| &split.evaluation);
        let patients: BTreeSet<&String> =
            evaluation.map(|&row| &self.films.patients[row]).collect();
        if patients.len() < 2 {
            self.warnings.push(
                "the evaluation films are all of one patient: differences have no intervals, and nothing is known of other \
                 patients"
                    .to_owned(),
            );
        }
    }

    /// Leaves out films with the bytes of an earlier one, which a split would put on both sides.
    fn leave_copies_out(&mut self) {
        let mut seen = BTreeSet::new();
        let kept: Vec<usize> =
            (0..self.ids.len()).filter(|&row| seen.insert(self.ids[row])).collect();
        let copies = self.ids.len() - kept.len();
        if copies > 0 {
            self.warnings.push(format!("{copies} films are copies of others and left out"));
            self.given = kept.iter().filter(|&&row| row < self.given).count();
            self.films = self.films.select(&kept);
            self.ids = kept.iter().map(|&row| self.ids[row]).collect();
        }
    }

    /// Says what is known of the encoder having seen evaluation films, without their labels.
    ///
    /// A card names the split that its encoder was pretrained on and the number of films, not the films. They are taken
    /// to be the films given as the pool where both agree.
    pub fn check_encoder(&mut self, settings: &Settings, card: &ModelCard) -> Option<Vec<usize>> {
        let of_card = |name: &str| card.made_by.get(name);
        let split = settings.films.split();
        let same = of_card("split").and_then(|split| split.as_str()) == split
            && split.is_some()
            && of_card("films").and_then(serde_json::Value::as_u64) == Some(self.given as u64);
        // The shipped encoder has seen the demo's pool and none of its reference films (assets/demo/make_demo.py).
        let shipped = matches!(settings.films, Source::Demo) && settings.model == DEMO;
        if !same && !shipped {
            self.warnings.push(
                "the encoder may have been pretrained on evaluation films, without their labels: its card does not say \
                 which films it has seen"
                    .to_owned(),
            );
            return None;
        }
        let seen = |split: &Split| split.evaluation.iter().filter(|&&row| row < self.given).count();
        let counts: Vec<usize> = self.splits.iter().map(seen).collect();
        for (number, (&count, split)) in counts.iter().zip(&self.splits).enumerate() {
            if count > 0 {
                let n = split.evaluation.len();
                self.warnings.push(format!(
                    "split {number}: the encoder was pretrained on {count} of {n} evaluation films, without their labels"
                ));
            }
        }
        Some(counts)
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.films.classes.len()
    }

    /// Returns the class that figures are about.
    pub fn positive(&self) -> usize {
        positive_class(&self.films.classes)
    }

    /// Returns the classes of a split's evaluation films.
    pub fn truth(&self, split: usize) -> Vec<usize> {
        self.splits[split].evaluation.iter().map(|&row| self.films.labels[row]).collect()
    }

    /// Returns the share of the most frequent class among the evaluation films of all splits: what guessing scores.
    pub fn majority(&self) -> f64 {
        let truth: Vec<usize> =
            (0..self.splits.len()).flat_map(|split| self.truth(split)).collect();
        let count = |class| truth.iter().filter(|&&label| label == class).count();
        let most = (0..self.classes()).map(count).max().unwrap_or(0);
        most as f64 / truth.len().max(1) as f64
    }

    /// Digests what a part is: its films, their classes and patients, in order.
    pub fn digest(&self, rows: &[usize]) -> String {
        let mut hasher = blake3::Hasher::new();
        for &row in rows {
            let (label, patient) = (self.films.labels[row], &self.films.patients[row]);
            hasher.update(format!("{} {label} {patient:?}\n", self.ids[row]).as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Lists which film is in which part of which split.
    ///
    /// # Errors
    /// Fails if the table cannot be written.
    pub fn csv(&self) -> anyhow::Result<Vec<u8>> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(["split", "part", "film", "file", "patient", "label"])?;
        for (number, split) in self.splits.iter().enumerate() {
            for (part, rows) in [("pool", &split.pool), ("evaluation", &split.evaluation)] {
                for &row in rows {
                    table.write_record([
                        &number.to_string(),
                        part,
                        &self.ids[row].to_string(),
                        &self.films.files[row],
                        &self.films.patients[row],
                        &self.films.classes[self.films.labels[row]],
                    ])?;
                }
            }
        }
        table.into_inner().context("the table of splits cannot be written")
    }
}

/// The films that are given.
struct Given {
    pool: Films,
    /// Films to measure on.
    evaluation: Option<Films>,
}

impl Given {
    fn find(home: &Home, source: &Source) -> anyhow::Result<Self> {
        // Labels files name every film, so that nothing is indexed and no film refused.
        let find = |set: &FilmSet| Ok::<_, FilmsError>(Films::find(home, set, &|_, _| ())?.0);
        match source {
            Source::Listed { pool, evaluation } => Ok(Self {
                pool: find(pool)?,
                evaluation: evaluation.as_ref().map(find).transpose()?,
            }),
            Source::Demo => {
                let demo = home.demo_films().context("the demo's films are not there")?;
                let part = |name: &str| {
                    let images = demo.join(name);
                    let labels = Some(images.join("labels.csv"));
                    find(&FilmSet { images, labels, split: None, limit: None })
                };
                Ok(Self { pool: part("pool")?, evaluation: Some(part("reference")?) })
            }
        }
    }
}

fn joined(pool: Films, evaluation: Films) -> anyhow::Result<Films> {
    if pool.classes != evaluation.classes {
        bail!(
            "the pool has the classes {:?}, the evaluation films {:?}",
            pool.classes,
            evaluation.classes
        );
    }
    let [first, second] = if pool.root == evaluation.root {
        [pool, evaluation]
    } else {
        [unrooted(pool)?, unrooted(evaluation)?]
    };
    Ok(Films {
        root: first.root,
        files: [first.files, second.files].concat(),
        labels: [first.labels, second.labels].concat(),
        patients: [first.patients, second.patients].concat(),
        classes: first.classes,
    })
}

/// Names films by their whole paths, so that two folders' go into one list.
fn unrooted(films: Films) -> anyhow::Result<Films> {
    let whole = |file: &String| {
        let path = films.root.join(file).into_os_string();
        path.into_string().map_err(|path| {
            anyhow::anyhow!("this path is not Unicode: {}", PathBuf::from(path).display())
        })
    };
    let files = films.files.iter().map(whole).collect::<anyhow::Result<_>>()?;
    Ok(Films { root: PathBuf::new(), files, ..films })
}

/// Identifies films by their content, which breaks ties; names may give the class away and are not looked at.
fn identities(films: &Films) -> anyhow::Result<Vec<FilmId>> {
    let identify = |file: &String| Ok(FilmId::of(&fsutil::read(&films.root.join(file))?));
    films.files.iter().map(identify).collect()
}
