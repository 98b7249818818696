//! What an engine is started with.

use std::path::PathBuf;

use crate::device::Compute;
use crate::learn::metrics::positive_class;
use crate::query::Strategy;
use crate::study::workspace::LABELS_PER_LEARNING;
use crate::study::{ReferenceSet, Source, Workspace};

/// Labels that each class needs before learning starts: one a cross-validation fold.
const LABELS_PER_CLASS: usize = 3;

/// When models are trained in the background, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearningPlan {
    /// New labels after which learning starts; 0 for only when asked.
    pub every: usize,
    /// Whether a student is taught on the whole pool after fine-tuning and used in place of its teacher. It takes minutes
    /// more and was no better where it was measured.
    pub distill: bool,
}

impl Default for LearningPlan {
    fn default() -> Self {
        Self { every: LABELS_PER_LEARNING, distill: false }
    }
}

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Device that learns.
    pub compute: Compute,
    /// Name of the session; new models are named after it.
    pub session: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Index of the class that AUROC and sensitivity are about.
    pub positive: usize,
    /// Films to be labelled.
    pub pool: Source,
    /// Films to measure on.
    pub reference: Option<ReferenceSet>,
    /// Name of the pretrained model.
    pub base_name: String,
    /// Folder of the pretrained model.
    pub base_model: PathBuf,
    /// Name and folder of the model in use that was learnt, if the session has one.
    pub current_model: Option<(String, PathBuf)>,
    /// Labels that it has seen.
    pub learnt_labels: usize,
    /// Folder that new models go into.
    pub models: PathBuf,
    /// Folder that keeps films as a network sees them, and their embeddings, for the next start.
    pub cache: PathBuf,
    /// How to rank.
    pub strategy: Strategy,
    /// When to learn, and how far.
    pub plan: LearningPlan,
    /// Labels that each class must have before it starts.
    pub labels_per_class: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Options {
    /// Returns what the engine of a session is started with, on a pretrained model.
    pub fn of(
        workspace: &Workspace,
        compute: Compute,
        base_name: &str,
        plan: LearningPlan,
    ) -> Self {
        let home = workspace.home();
        let classes = workspace.class_names();
        let learnt = workspace.session.state().model().filter(|name| *name != base_name);
        Self {
            compute,
            session: workspace.name.clone(),
            positive: positive_class(&classes),
            classes,
            pool: workspace.pool(),
            reference: workspace.reference().cloned(),
            base_name: base_name.to_owned(),
            base_model: home.model(base_name),
            learnt_labels: workspace.learnt_labels(),
            current_model: learnt.map(|name| (name.to_owned(), home.models().join(name))),
            models: home.models(),
            cache: home.session(&workspace.name).join("cache"),
            strategy: workspace.strategy(),
            plan,
            labels_per_class: LABELS_PER_CLASS,
            seed: workspace.session.header().seed,
        }
    }
}
