//! A look at the features while they are learnt, with labels that the user names for it.
//!
//! The labelled films are embedded by the frozen encoder and cut into five folds by patient; each film is predicted by a
//! logistic regression and by its 20 nearest neighbours (cosine) of the other folds. Nothing about the run depends on it.

use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::cli::args::{FilmsArgs, PretrainArgs};
use crate::cli::films::Films;
use crate::config::Home;
use crate::dataset::planes::PlaneStore;
use crate::device::Compute;
use crate::imaging::Preprocess;
use crate::learn::finetune::{FoldAssigner, Labelled};
use crate::learn::metrics::Metrics;
use crate::learn::pretrain::{ProbePoint, Score};
use crate::learn::{Flow, LearnError};
use crate::model::{Architecture, Pretrained};
use crate::predict::embed;
use crate::query::{Embeddings, Head, L2_GRID, Standardisation, choose_l2};

/// Folds of the cross-validation.
const FOLDS: usize = 5;
/// Neighbours that vote.
const NEIGHBOURS: usize = 20;
/// Temperature of the votes, exp(similarity / temperature) (Wu et al., <https://arxiv.org/abs/1805.01978>, section 3.4).
const TEMPERATURE: f32 = 0.07;

/// Labelled films to look at, cut into folds.
pub struct Probe {
    films: Films,
    store: Arc<PlaneStore>,
    folds: Vec<usize>,
    every: u32,
    epochs: u32,
    size: u32,
    /// Dimensions of each block of the features.
    blocks: [usize; 3],
    compute: Compute,
}

impl Probe {
    /// Reads the films that the arguments name for it; none if they name none.
    ///
    /// # Errors
    /// Fails if films or labels cannot be read, or if there is nothing to tell apart.
    pub fn find(
        home: &Home,
        args: &PretrainArgs,
        architecture: &Architecture,
        source: Preprocess,
        compute: &Compute,
        threads: usize,
    ) -> anyhow::Result<Option<Self>> {
        if args.running.probe_split.is_none() && args.running.probe_labels.is_none() {
            return Ok(None);
        }
        let labels = args.running.probe_labels.as_ref().or(args.films.labels.as_ref());
        let wanted = FilmsArgs {
            images: args.running.probe_images.as_ref().unwrap_or(&args.films.images).clone(),
            labels: Some(labels.context("--probe-split needs --labels or --probe-labels")?.clone()),
            split: args.running.probe_split.clone(),
            limit: None,
        };
        let films = Films::find(home, &wanted)?;
        let labelled =
            Labelled { rows: (0..films.files.len()).collect(), classes: films.labels.clone() };
        let folds = FoldAssigner::new(FOLDS).assign_all(&labelled, &films.patients);
        if films.labels.iter().all(|&label| label == films.labels[0])
            || folds.iter().all(|&fold| fold == folds[0])
        {
            bail!("the films to probe on are of one class or of one patient");
        }
        let store = films.load(source, threads)?;
        let every = args.running.probe_every.unwrap_or_else(|| (args.epochs / 20).max(1));
        Ok(Some(Self {
            films,
            store,
            folds,
            every,
            epochs: args.epochs,
            size: args.size,
            blocks: architecture.embedding_blocks(),
            compute: compute.clone(),
        }))
    }

    /// Labels that are looked at.
    pub fn labels(&self) -> usize {
        self.films.labels.len()
    }

    /// Looks at a network if it is the turn of this epoch, counted from 1.
    ///
    /// # Errors
    /// Fails if the device failed.
    pub fn look(&self, network: &Pretrained, epoch: u32) -> Result<Option<ProbePoint>, LearnError> {
        if !epoch.is_multiple_of(self.every) && epoch != self.epochs {
            return Ok(None);
        }
        let rows: Vec<usize> = (0..self.store.len()).collect();
        let device = &self.compute.device;
        let on = &mut |_| Flow::Continue;
        let features = embed(&network.encoder, &self.store, &rows, self.size, device, on)?;
        let standardised =
            Standardisation::measure(&features, &self.blocks).apply(features.clone());
        let (truth, classes) = (&self.films.labels, self.films.classes.len());
        let score = |probabilities: &[f32]| self.score(probabilities);
        Ok(Some(ProbePoint {
            epoch,
            labels: self.labels(),
            linear: score(&linear(&standardised, truth, classes, &self.folds))?,
            knn: score(&nearest(&features, truth, classes, &self.folds))?,
        }))
    }

    fn score(&self, probabilities: &[f32]) -> Result<Score, LearnError> {
        let (truth, classes) = (&self.films.labels, self.films.classes.len());
        let metrics = Metrics::of(probabilities, truth, classes, self.films.positive())
            .map_err(|fault| LearnError::TooLittle(fault.to_string()))?;
        let auroc = metrics.auroc.map(|auroc| auroc.value as f32);
        Ok(Score { accuracy: metrics.accuracy.value as f32, auroc })
    }
}

/// Probabilities of every film, films × classes, by a logistic regression on the films of the other folds; its penalty is
/// chosen by cross-validation within those.
fn linear(x: &Embeddings, truth: &[usize], classes: usize, folds: &[usize]) -> Vec<f32> {
    let mut out = vec![0.0; truth.len() * classes];
    for fold in 0..FOLDS {
        let (test, train): (Vec<usize>, Vec<usize>) =
            (0..truth.len()).partition(|&film| folds[film] == fold);
        let of = |from: &[usize]| train.iter().map(|&film| from[film]).collect::<Vec<_>>();
        let (known, inner) = (of(truth), of(folds));
        let on = &mut || Flow::Continue;
        let l2 = choose_l2(x, &train, &known, classes, &inner, &L2_GRID, on);
        let head = Head::fit(x, &train, &known, classes, l2.unwrap_or(L2_GRID[3]), None);
        let found = head.probabilities_of(x, &test);
        for (&film, row) in test.iter().zip(found.chunks_exact(classes)) {
            out[film * classes..][..classes].copy_from_slice(row);
        }
    }
    out
}

/// Probabilities of every film, films × classes, by the weighted vote of its nearest films of the other folds.
fn nearest(x: &Embeddings, truth: &[usize], classes: usize, folds: &[usize]) -> Vec<f32> {
    let x = x.normalised();
    let mut out = vec![0.0; truth.len() * classes];
    for (film, votes) in out.chunks_exact_mut(classes).enumerate() {
        let cosine =
            |other: usize| x.row(film).iter().zip(&*x.row(other)).map(|(a, b)| a * b).sum::<f32>();
        let others = (0..truth.len()).filter(|&other| folds[other] != folds[film]);
        let mut others: Vec<(f32, usize)> = others.map(|other| (cosine(other), other)).collect();
        others.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for &(cosine, other) in others.iter().take(NEIGHBOURS) {
            votes[truth[other]] += ((cosine - 1.0) / TEMPERATURE).exp();
        }
        let sum: f32 = votes.iter().sum();
        for vote in votes {
            *vote = if sum > 0.0 { *vote / sum } else { 1.0 / classes as f32 };
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    /// Two groups of patients with three films each, apart in the first of four dimensions by `gap`.
    fn films(gap: f32) -> (Embeddings, Vec<usize>, Vec<usize>) {
        let mut random = rng::stream(3, "films", &[]);
        let truth: Vec<usize> = (0..120).map(|film| (film / 3) % 2).collect();
        let values = truth.iter().flat_map(|&class| {
            let mut row = [0.0; 4].map(|_: f32| rng::normal(&mut random));
            row[0] += gap * class as f32;
            row
        });
        let values = values.collect();
        let folds = (0..120).map(|film| (film / 3) % FOLDS).collect();
        (Embeddings::new(4, values).unwrap(), truth, folds)
    }

    fn right(found: &[f32], truth: &[usize]) -> usize {
        found.chunks(2).zip(truth).filter(|(p, class)| (p[1] > 0.5) == (**class == 1)).count()
    }

    #[test]
    fn what_can_be_told_apart_is_and_what_cannot_is_not() {
        let (x, truth, folds) = films(6.0);
        for found in [linear(&x, &truth, 2, &folds), nearest(&x, &truth, 2, &folds)] {
            assert!(right(&found, &truth) >= 110, "{}", right(&found, &truth));
            assert!(found.chunks(2).all(|p| (p[0] + p[1] - 1.0).abs() < 1e-5));
        }
        let (x, truth, folds) = films(0.0);
        for found in [linear(&x, &truth, 2, &folds), nearest(&x, &truth, 2, &folds)] {
            assert!((40..=80).contains(&right(&found, &truth)), "{}", right(&found, &truth));
        }
    }

    /// Each film's only look-alikes are in its own fold: what is seen there must not help.
    #[test]
    fn a_film_is_never_judged_by_its_own_fold() {
        let folds: Vec<usize> = (0..50).map(|film| film % FOLDS).collect();
        // Features tell the fold exactly; classes are equal within a fold and balanced otherwise.
        let values =
            folds.iter().flat_map(|&fold| (0..5).map(move |d| f32::from(u8::from(d == fold))));
        let x = Embeddings::new(5, values.collect()).unwrap();
        let truth: Vec<usize> = folds.iter().map(|&fold| fold % 2).collect();
        assert!(right(&nearest(&x, &truth, 2, &folds), &truth) < 50);
        assert!(right(&linear(&x, &truth, 2, &folds), &truth) < 50);
    }

    /// The definition, written out: scikit-learn's `KNeighborsClassifier(20, metric="cosine")` with the same weights.
    #[test]
    fn votes_are_weighted_by_similarity() {
        let x = Embeddings::new(2, vec![1.0, 0.0, 0.8, 0.6, 0.0, 2.0]).unwrap();
        let found = nearest(&x, &[0, 0, 1], 2, &[0, 1, 2]);
        let (near, far) = ((0.8_f32 / 0.07).exp(), (0.0_f32 / 0.07).exp());
        assert!((found[1] - far / (near + far)).abs() < 1e-7);
        let (first, last) = ((0.8_f32 / 0.07).exp(), (0.6_f32 / 0.07).exp());
        assert!((found[3] - last / (first + last)).abs() < 1e-6);
    }
}
