//! A look at frozen features with labels: how well they tell the classes apart. Nothing is learnt for later.
//!
//! The films are cut into five folds by patient; each is predicted by a logistic regression and by its 20 nearest neighbours
//! (cosine) of the other folds.

use super::metrics::{Metrics, positive_class};
use super::pretrain::{ProbePoint, Score};
use super::{Flow, LearnError};
use crate::dataset::Labelled;
use crate::dataset::films::Films;
use crate::features::{Block, DEFAULT_L2, Embeddings, FOLDS, Space, SpaceFilms};

/// Neighbours that vote.
const NEIGHBOURS: usize = 20;
/// Temperature of the votes, exp(similarity / temperature) (Wu et al., <https://arxiv.org/abs/1805.01978>, section 3.4).
const TEMPERATURE: f32 = 0.07;

/// Labelled films to look at.
#[derive(Clone, Debug)]
pub struct Probe {
    labelled: Labelled,
    patients: Vec<String>,
    classes: usize,
    positive: usize,
}

impl Probe {
    /// Takes labelled films.
    ///
    /// # Errors
    /// Fails if there is nothing to tell apart.
    pub fn new(films: &Films) -> Result<Self, LearnError> {
        let (classes, patients) = (films.labels.clone(), films.patients.clone());
        if classes.windows(2).all(|pair| pair[0] == pair[1])
            || patients.windows(2).all(|pair| pair[0] == pair[1])
        {
            let fault = "the films to probe on are of one class or of one patient";
            return Err(LearnError::TooLittle(fault.to_owned()));
        }
        let labelled = Labelled { rows: (0..classes.len()).collect(), classes };
        let positive = positive_class(&films.classes);
        Ok(Self { labelled, patients, classes: films.classes.len(), positive })
    }

    /// Returns the number of labels that are looked at.
    pub fn labels(&self) -> usize {
        self.labelled.rows.len()
    }

    /// Looks at the films' features after an epoch.
    ///
    /// # Errors
    /// Fails if features are of other films or not finite.
    pub fn look(&self, block: Block, epoch: u32) -> Result<ProbePoint, LearnError> {
        let Self { labelled, patients, classes, .. } = self;
        let (patients, raw) = (patients.clone(), block.features.clone());
        let films = SpaceFilms { patients, classes: *classes, unreadable: Vec::new() };
        let space = Space::new(vec![block], films)
            .map_err(|fault| LearnError::TooLittle(fault.to_string()))?;
        let folds = space.folds(labelled);
        Ok(ProbePoint {
            epoch,
            labels: self.labels(),
            linear: self.score(&linear(&space, labelled, &folds))?,
            knn: self.score(&nearest(&raw, &labelled.classes, *classes, &folds))?,
        })
    }

    fn score(&self, probabilities: &[f32]) -> Result<Score, LearnError> {
        let metrics =
            Metrics::of(probabilities, &self.labelled.classes, self.classes, self.positive)
                .map_err(|fault| LearnError::TooLittle(fault.to_string()))?;
        let auroc = metrics.auroc.map(|auroc| auroc.value as f32);
        Ok(Score { accuracy: metrics.accuracy.value as f32, auroc })
    }
}

/// Probabilities of every film, films × classes, by a logistic regression on the films of the other folds; its penalty is
/// chosen by cross-validation within those.
fn linear(space: &Space, labelled: &Labelled, folds: &[usize]) -> Vec<f32> {
    let mut out = vec![0.0; labelled.rows.len() * space.classes()];
    for fold in 0..FOLDS {
        let [train, test] = labelled.split(folds, fold);
        let l2 = space.penalty(&train, &mut || Flow::Continue).unwrap_or(DEFAULT_L2);
        let found = space.head(&train, l2).probabilities_of(space.features(), &test.rows);
        for (&film, row) in test.rows.iter().zip(found.chunks_exact(space.classes())) {
            out[film * space.classes()..][..space.classes()].copy_from_slice(row);
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

    /// Features as they are, films of as many patients as there are folds.
    fn space(x: &Embeddings, folds: &[usize]) -> Space {
        let patients = folds.iter().map(usize::to_string).collect();
        let films = SpaceFilms { patients, classes: 2, unreadable: Vec::new() };
        Space::scaled(x.clone(), films).unwrap()
    }

    fn by_head(x: &Embeddings, truth: &[usize], folds: &[usize]) -> Vec<f32> {
        let labelled = Labelled { rows: (0..truth.len()).collect(), classes: truth.to_vec() };
        linear(&space(x, folds), &labelled, folds)
    }

    fn right(found: &[f32], truth: &[usize]) -> usize {
        found.chunks(2).zip(truth).filter(|(p, class)| (p[1] > 0.5) == (**class == 1)).count()
    }

    #[test]
    fn what_can_be_told_apart_is_and_what_cannot_is_not() {
        let (x, truth, folds) = films(6.0);
        for found in [by_head(&x, &truth, &folds), nearest(&x, &truth, 2, &folds)] {
            assert!(right(&found, &truth) >= 110, "{}", right(&found, &truth));
            assert!(found.chunks(2).all(|p| (p[0] + p[1] - 1.0).abs() < 1e-5));
        }
        let (x, truth, folds) = films(0.0);
        for found in [by_head(&x, &truth, &folds), nearest(&x, &truth, 2, &folds)] {
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
        assert!(right(&by_head(&x, &truth, &folds), &truth) < 50);
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
