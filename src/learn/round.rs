//! A round of learning from labels: tune, judge, align, distil, figures.
//!
//! The window, simulations and commands go through here, so that they learn the same of the same labels. All of it stands
//! beside the linear head on the pretrained features: networks start from it, are judged against it, and are brought to its
//! class shares and confidence over the pool ([`pool_means`](super::pool_means)).

use std::sync::Arc;

use burn::tensor::Device;

use super::calibration::{apply_temperature, fit_temperature};
use super::distill::{DistillConfig, Teacher, distill};
use super::finetune::{FineTuned, FinetuneConfig, finetune};
use super::metrics::log_loss;
use super::pool_means::{COLDEST, PoolMeans, aligned};
use super::{Flow, HeadFit, LearnError, Setting, StepReport, probabilities};
use crate::dataset::planes::PlaneStore;
use crate::dataset::{Labelled, Stopped};
use crate::features::{Head, Space};
use crate::model::{Classifier, LinearHead, Pretrained};

/// What learning stands on.
#[derive(Clone, Copy)]
pub struct Round<'a> {
    /// The pretrained network.
    pub start: &'a Pretrained,
    /// Its features of the films.
    pub space: &'a Space,
    /// The films.
    pub store: &'a Arc<PlaneStore>,
    /// Rows whose class shares are the pool's.
    pub pool: &'a [usize],
    /// Edge of the network's input in pixels.
    pub size: u32,
    /// Where to compute.
    pub device: &'a Device,
    /// Says whether to go on, between steps.
    pub flow: &'a dyn Fn() -> Flow,
}

/// Fine-tuning against the head, both on films that they have not seen, each at the temperature that suits it best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Log-loss of the head.
    pub head: f64,
    /// Log-loss of fine-tuning.
    pub tuned: f64,
}

impl Judgement {
    /// Says whether fine-tuning helped.
    pub fn is_better(&self) -> bool {
        self.tuned < self.head
    }
}

impl<'a> Round<'a> {
    /// Returns the head's penalty for these labels.
    ///
    /// # Errors
    /// As stopped.
    pub fn penalty(&self, labelled: &Labelled) -> Result<f32, LearnError> {
        let penalty = self.space.penalty(labelled, &mut || (self.flow)());
        penalty.map_err(|Stopped| LearnError::Stopped)
    }

    /// Fits the head to labels at the penalty that suits them.
    ///
    /// # Errors
    /// As stopped.
    pub fn head(&self, labelled: &Labelled) -> Result<Head, LearnError> {
        Ok(self.space.head(labelled, self.penalty(labelled)?))
    }

    /// Returns what fits a linear head to some of `labelled`, at the penalty that suits them all.
    ///
    /// # Errors
    /// As stopped.
    pub fn head_fit(
        &self,
        labelled: &Labelled,
    ) -> Result<impl Fn(&Labelled) -> LinearHead + use<'a>, LearnError> {
        let fit = self.space.head_fit(labelled, &mut || (self.flow)());
        fit.map_err(|Stopped| LearnError::Stopped)
    }

    /// Returns what networks start from.
    pub fn setting<'s>(&'s self, head: Option<&'s HeadFit<'s>>) -> Setting<'s> {
        let classes = self.space.classes();
        Setting { start: self.start, classes, store: self.store, device: self.device, head }
    }

    /// Fine-tunes on labels as they arrive, as [`finetune`] does.
    ///
    /// # Errors
    /// Those of [`finetune`].
    pub fn tune(
        &self,
        config: &FinetuneConfig,
        labels: &mut dyn FnMut() -> Labelled,
        earlier: Option<&FineTuned>,
        observe: &mut dyn FnMut(&StepReport) -> Flow,
    ) -> Result<FineTuned, LearnError> {
        let fit = self.head_fit(&labels())?;
        let setting = self.setting(config.starts_from_head().then_some(&fit));
        finetune(&setting, self.space.assigner(config.folds), labels, config, earlier, observe)
    }

    /// Compares fine-tuning with the head on films that neither has seen.
    ///
    /// # Errors
    /// As stopped.
    pub fn judge(&self, tuned: &FineTuned) -> Result<Judgement, LearnError> {
        let (labelled, classes) = (&tuned.labelled, self.space.classes());
        let l2 = self.penalty(labelled)?;
        let mut found = self.space.out_of_fold(labelled, &tuned.folds, l2);
        // As fine-tuning's: a head that is only too sure is not a worse one.
        let temperature = fit_temperature(&found, &labelled.classes, classes);
        apply_temperature(&mut found, classes, temperature as f32);
        Ok(Judgement {
            head: log_loss(&found, &labelled.classes, classes),
            tuned: log_loss(&tuned.out_of_fold, &labelled.classes, classes),
        })
    }

    /// Returns the means of the head's probabilities over the pool. Their shares estimate the classes' prior, which a
    /// strategy's choice of films does not bias as it does the labels' own.
    ///
    /// # Errors
    /// As stopped, or if the pool has no film.
    pub fn means(&self, labelled: &Labelled) -> Result<PoolMeans, LearnError> {
        let held = self.head(labelled)?.probabilities_of(self.space.features(), self.pool);
        let nothing = || LearnError::TooLittle("there are no films to learn from".to_owned());
        PoolMeans::of(&held, self.space.classes()).ok_or_else(nothing)
    }

    /// Brings a network's class shares and confidence over the pool to the head's, at the temperature `coldest` or above.
    ///
    /// # Errors
    /// Fails as stopped or if the device failed.
    pub fn align(
        &self,
        network: Classifier,
        labelled: &Labelled,
        coldest: f64,
    ) -> Result<Classifier, LearnError> {
        let (means, setting) = (self.means(labelled)?, self.setting(None));
        let ask = &mut |_| (self.flow)();
        aligned(network, &setting, self.pool, self.size, &means, coldest, ask)
    }

    /// Teaches `student` on the pool what a teacher says of it, films x classes, row-major, and aligns it.
    ///
    /// # Errors
    /// Those of [`distill`].
    pub fn distil(
        &self,
        student: &Classifier,
        teacher: &[f32],
        labelled: &Labelled,
        config: &DistillConfig,
        observe: &mut dyn FnMut(&StepReport) -> Flow,
    ) -> Result<Classifier, LearnError> {
        let (setting, teacher) = (self.setting(None), Teacher::Probabilities(teacher));
        let student = distill(&setting, student, self.pool, teacher, config, None, observe)?;
        self.align(student, labelled, COLDEST)
    }

    /// Returns a network's class probabilities of some rows of a store, row-major.
    ///
    /// # Errors
    /// Fails as stopped or if the device failed.
    pub fn predicted(
        &self,
        network: &Classifier,
        store: &PlaneStore,
        rows: &[usize],
    ) -> Result<Vec<f32>, LearnError> {
        probabilities(network, store, rows, self.size, self.device, &mut |_| (self.flow)())
    }
}
