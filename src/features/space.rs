//! The features of a pool of films, and all that is fitted on them: patient folds, penalty, head.

use std::sync::Arc;

use parking_lot::Mutex;

use super::directions::directions;
use super::embeddings::{EmbeddingRows, Embeddings, RaggedEmbeddings};
use super::folds::FoldAssigner;
use super::head::Head;
use super::penalty::{self, DEFAULT_L2, FEWEST_LABELS, FOLDS};
use super::standardisation::Standardisation;
use crate::dataset::{Flow, Labelled, Stopped};
use crate::model::LinearHead;

/// Relative accuracy of a head that is one of many: resampled labels move its weights by far more.
const ROUGH: f64 = 1e-2;
/// Choices of the penalty that are remembered. Ranking and learning ask about labels that are a few apart.
const REMEMBERED: usize = 8;

/// Features of the films by one encoder, as it gives them.
#[derive(Clone, Debug)]
pub struct Block {
    /// One row a film.
    pub features: Embeddings,
    /// Widths of the parts that a row is made of, side by side.
    pub parts: Vec<usize>,
}

/// Films whose features a [`Space`] holds, in row order.
#[derive(Clone, Debug, Default)]
pub struct SpaceFilms {
    /// Patient of each film.
    pub patients: Vec<String>,
    /// Classes that a film can have.
    pub classes: usize,
    /// Rows that cannot be read; nothing is learnt from them.
    pub unreadable: Vec<usize>,
}

/// Why blocks of features make no space.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// There is no block.
    #[error("there are no features of the films")]
    NoBlock,
    /// Blocks are of different films.
    #[error(
        "{found} films have features of one encoder and {expected} of another; embed them again"
    )]
    Films {
        /// Films of the first block, or patients.
        expected: usize,
        /// Films of the other.
        found: usize,
    },
    /// Values are no whole rows.
    #[error(transparent)]
    Ragged(#[from] RaggedEmbeddings),
}

/// Features of the same films by one or more encoders, side by side on one scale.
///
/// The one place that fits heads and cuts patients into folds, so that the window, a simulation and a command learn the same
/// of the same labels. Everything asked of it is a function of films and labels alone.
#[derive(Debug)]
pub struct Space {
    scale: Standardisation,
    features: Embeddings,
    directions: Embeddings,
    /// Patient of each film.
    patients: Arc<[String]>,
    classes: usize,
    /// Rows that cannot be read.
    unreadable: Vec<usize>,
    /// What penalties were chosen on, and what came of it.
    penalties: Mutex<Vec<(Labelled, f32)>>,
}

impl Space {
    /// Puts blocks side by side and standardises them; rows of films that cannot be read count for nothing.
    ///
    /// # Errors
    /// Fails if there is no block, or if blocks or patients are of different numbers of films.
    pub fn new(blocks: Vec<Block>, films: SpaceFilms) -> Result<Self, SpaceError> {
        let parts: Vec<Vec<usize>> = blocks.iter().map(|block| block.parts.clone()).collect();
        let raw = side_by_side(blocks)?.without(&films.unreadable);
        let scale = Standardisation::measure(&raw, &parts);
        let features = scale.apply(raw);
        Self::on_scale(features, scale, films)
    }

    /// Takes features that are on the head's scale: a mean square of one.
    ///
    /// # Errors
    /// Fails if there is another number of patients than of films.
    pub fn scaled(features: Embeddings, films: SpaceFilms) -> Result<Self, SpaceError> {
        let scale = Standardisation::identity(features.dim());
        Self::on_scale(features, scale, films)
    }

    /// Takes rows as they are as features and as directions.
    #[cfg(test)]
    pub(crate) fn of_rows(x: Embeddings, classes: usize) -> Self {
        let patients = (0..x.len()).map(|film| film.to_string()).collect();
        Self {
            scale: Standardisation::identity(x.dim()),
            directions: x.clone(),
            features: x,
            patients,
            classes,
            unreadable: Vec::new(),
            penalties: Mutex::default(),
        }
    }

    fn on_scale(
        features: Embeddings,
        scale: Standardisation,
        films: SpaceFilms,
    ) -> Result<Self, SpaceError> {
        let (expected, found) = (features.len(), films.patients.len());
        if expected != found {
            return Err(SpaceError::Films { expected, found });
        }
        let directions = directions(&features, &films.unreadable);
        let SpaceFilms { patients, classes, unreadable } = films;
        let patients = patients.into();
        let penalties = Mutex::default();
        Ok(Self { scale, features, directions, patients, classes, unreadable, penalties })
    }

    /// Returns other films, or other views of these, on the same scale.
    ///
    /// # Errors
    /// Fails if there is no block or if blocks are of different numbers of films.
    pub fn place(&self, blocks: Vec<Block>) -> Result<Embeddings, SpaceError> {
        Ok(self.scale.apply(side_by_side(blocks)?))
    }

    /// Returns some of the films as a space of their own, on the same scale.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let patients = rows.iter().map(|&row| self.patients[row].clone()).collect();
        let unreadable = |&place: &usize| self.unreadable.contains(&rows[place]);
        Self {
            scale: self.scale.clone(),
            features: self.features.select(rows),
            directions: self.directions.select(rows),
            patients,
            classes: self.classes,
            unreadable: (0..rows.len()).filter(unreadable).collect(),
            penalties: Mutex::default(),
        }
    }

    /// Returns the features, standardised: what heads see.
    pub fn features(&self) -> &Embeddings {
        &self.features
    }

    /// Returns the directions from the pool's mean, in which distances are measured: of length one, of more than 20,000 films in principal components.
    pub fn directions(&self) -> &Embeddings {
        &self.directions
    }

    /// Returns the number of films.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Says whether there is no film.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Returns the rows that cannot be read.
    pub fn unreadable(&self) -> &[usize] {
        &self.unreadable
    }

    /// Returns the rows that can be read, ascending.
    pub fn readable(&self) -> Vec<usize> {
        let mut readable = vec![true; self.len()];
        self.unreadable.iter().for_each(|&row| readable[row] = false);
        (0..self.len()).filter(|&row| readable[row]).collect()
    }

    /// Returns the labels that can be learnt from, in their order.
    #[must_use]
    pub fn learnable(&self, labelled: &Labelled) -> Labelled {
        labelled.clone().without(&self.unreadable)
    }

    /// Returns empty folds for the films' patients.
    pub fn assigner(&self, folds: usize) -> FoldAssigner {
        FoldAssigner::new(folds, Arc::clone(&self.patients))
    }

    /// Returns the cross-validation fold of each labelled film; labels that arrive later move none.
    pub fn folds(&self, labelled: &Labelled) -> Vec<usize> {
        self.assigner(FOLDS).assign_all(labelled)
    }

    /// Returns the head's penalty for these labels, chosen by cross-validation: at ten labels, and again each time that they
    /// have grown by a fifth. Between two choices the labels of the earlier one count alone, so that the penalty depends on
    /// the labels and not on when it was asked for. Where those are of one class or of one patient, all labels count; where
    /// these are too, the default holds.
    ///
    /// # Errors
    /// As stopped when `observe`, which is asked after every fit, says so.
    pub fn penalty(
        &self,
        labelled: &Labelled,
        observe: &mut dyn FnMut() -> Flow,
    ) -> Result<f32, Stopped> {
        let Some((basis, folds)) = self.basis(labelled) else { return Ok(DEFAULT_L2) };
        if let Some(l2) = self.remembered(&basis) {
            return Ok(l2);
        }
        let l2 = penalty::choose(&self.features, &basis, self.classes, &folds, observe)?;
        let mut known = self.penalties.lock();
        known.truncate(REMEMBERED - 1);
        known.insert(0, (basis, l2));
        Ok(l2)
    }

    /// Returns [`Self::penalty`] if it takes no cross-validation.
    pub fn known_penalty(&self, labelled: &Labelled) -> Option<f32> {
        self.basis(labelled).map_or(Some(DEFAULT_L2), |(basis, _)| self.remembered(&basis))
    }

    fn remembered(&self, basis: &Labelled) -> Option<f32> {
        let known = self.penalties.lock();
        known.iter().find(|(of, _)| of == basis).map(|&(_, l2)| l2)
    }

    /// Returns the labels that the penalty is chosen on, with their folds.
    fn basis(&self, labelled: &Labelled) -> Option<(Labelled, Vec<usize>)> {
        let all = labelled.rows.len();
        let folds = self.folds(labelled);
        [penalty::chosen_on(all)?, all].into_iter().find_map(|count| {
            let (basis, folds) = (labelled.first(count), folds[..count].to_vec());
            comparable(&basis.classes, &folds).then_some((basis, folds))
        })
    }

    /// Fits the head at a penalty: scikit-learn's `LogisticRegression` with `C = 1 / l2`. The same labels give the same head
    /// to the last bit.
    #[must_use]
    pub fn head(&self, labelled: &Labelled, l2: f32) -> Head {
        Head::fit(&self.features, labelled, self.classes, l2)
    }

    /// Fits a head that is one of many, from the solution of another: its weights are off by up to a hundredth.
    pub(crate) fn rough_head(&self, labelled: &Labelled, l2: f32, warm: &Head) -> Head {
        Head::fit_within(ROUGH, &self.features, labelled, self.classes, l2, Some(warm))
    }

    /// Returns a head as a row of weights a class, for embeddings as the one encoder of this space gives them.
    pub fn linear(&self, head: &Head) -> LinearHead {
        head.linear(&self.scale)
    }

    /// Returns what fits a linear head to some of `labelled`, at the penalty that suits them all.
    ///
    /// # Errors
    /// As [`Self::penalty`].
    pub fn head_fit<'s>(
        &'s self,
        labelled: &Labelled,
        observe: &mut dyn FnMut() -> Flow,
    ) -> Result<impl Fn(&Labelled) -> LinearHead + use<'s>, Stopped> {
        let l2 = self.penalty(labelled, observe)?;
        Ok(move |part: &Labelled| self.linear(&self.head(part, l2)))
    }

    /// Returns each labelled film's probabilities by a head fitted without the film's fold: films x classes, row-major.
    pub fn out_of_fold(&self, labelled: &Labelled, folds: &[usize], l2: f32) -> Vec<f32> {
        penalty::out_of_fold(&self.features, labelled, self.classes, folds, l2)
    }

    /// Returns each labelled film's probabilities by a head that has not seen its patient; `None` where labels are too few
    /// for that to be more than noise, of one class or of one patient.
    pub fn cross_validated(&self, labelled: &Labelled, l2: f32) -> Option<Vec<f32>> {
        let folds = self.folds(labelled);
        let enough = labelled.rows.len() >= FEWEST_LABELS && comparable(&labelled.classes, &folds);
        enough.then(|| self.out_of_fold(labelled, &folds, l2))
    }
}

/// Says whether labels have two classes and two folds.
fn comparable(classes: &[usize], folds: &[usize]) -> bool {
    let differ = |values: &[usize]| values.windows(2).any(|pair| pair[0] != pair[1]);
    differ(classes) && differ(folds)
}

fn side_by_side(mut blocks: Vec<Block>) -> Result<Embeddings, SpaceError> {
    if blocks.len() == 1
        && let Some(block) = blocks.pop()
    {
        return Ok(block.features);
    }
    let expected = blocks.first().ok_or(SpaceError::NoBlock)?.features.len();
    let other = blocks.iter().map(|block| block.features.len()).find(|&films| films != expected);
    if let Some(found) = other {
        return Err(SpaceError::Films { expected, found });
    }
    let mut rows = EmbeddingRows::new(blocks.iter().map(|b| b.features.dim()).sum(), expected);
    for film in 0..expected {
        let row: Vec<f32> =
            blocks.iter().flat_map(|block| block.features.row(film).into_owned()).collect();
        rows.push(&row);
    }
    Ok(rows.finish()?)
}
