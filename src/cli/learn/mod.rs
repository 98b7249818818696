//! The stages of learning as commands: what fine-tuning, distillation, FixMatch and learning from labels share.

pub mod distill;
pub mod finetune;
pub mod fixmatch;
mod progress;
pub mod supervised;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::args::FilmsArgs;
use super::films::{Films, bar, patient_of, progress};
use super::stage_args::{StageArgs, StartArgs, UnlabelledArgs};
use crate::config::{Home, check_name};
use crate::dataset::labels::read_labels;
use crate::dataset::planes::PlaneStore;
use crate::dataset::{PatientRule, scan};
use crate::device::Compute;
use crate::engine::ranking::FOLDS;
use crate::engine::worker::source_preprocess;
use crate::imaging::Preprocess;
use crate::learn::Flow;
use crate::learn::finetune::{FoldAssigner, Labelled};
use crate::model::folder::{self, Kind, ModelCard, SIZES, load_pretrained};
use crate::model::{Architecture, Classifier, LinearHead, Pretrained};
use crate::predict::embed;
use crate::query::{Embeddings, Head, Regularisation, Standardisation};

/// The films of a stage: the labelled ones first.
pub struct Lesson {
    /// Every film; only the first ones have a label.
    films: Films,
    /// The labels.
    labelled: Labelled,
}

impl Lesson {
    /// Finds the labelled films.
    ///
    /// # Errors
    /// Fails if the labels file cannot be read or nothing is left.
    pub fn labelled(home: &Home, args: &StageArgs) -> anyhow::Result<Self> {
        let films = Films::find(
            home,
            &FilmsArgs {
                images: args.images.clone(),
                labels: Some(args.labels.clone()),
                split: args.split.clone(),
                limit: args.limit,
            },
        )?;
        let labelled =
            Labelled { rows: (0..films.files.len()).collect(), classes: films.labels.clone() };
        Ok(Self { films, labelled })
    }

    /// Adds the unlabelled films; of a split, no label is looked at.
    ///
    /// # Errors
    /// Fails if the labels file or the folder cannot be read, or there is no such film.
    pub fn and_unlabelled(
        mut self,
        home: &Home,
        args: &StageArgs,
        unlabelled: &UnlabelledArgs,
    ) -> anyhow::Result<Self> {
        let rule = PatientRule::default().with_home(home.root());
        let rows = read_labels(&args.labels)?;
        let before = self.films.files.len();
        if let Some(split) = &unlabelled.unlabelled_split {
            let known: BTreeSet<String> = self.films.files.iter().cloned().collect();
            for row in rows {
                if row.split.as_ref() == Some(split) && !known.contains(&row.file) {
                    self.films.patients.push(patient_of(&row, &args.images, &rule)?);
                    self.films.files.push(row.file);
                }
            }
        } else {
            let named: BTreeSet<String> = rows.into_iter().map(|row| row.file).collect();
            let indexing = bar("indexing films");
            let found = scan(&args.images, &rule, &|done, total| {
                progress(&indexing, done, total);
            })?;
            indexing.finish_and_clear();
            for film in &found.refused {
                eprintln!("refused: {film}");
            }
            for film in found.films.into_iter().filter(|film| !named.contains(&film.file)) {
                self.films.patients.push(film.patient);
                self.films.files.push(film.file);
            }
        }
        if self.films.files.len() == before {
            bail!(
                "there are no films without a label; name their split with --unlabelled-split: {}",
                args.images.display()
            );
        }
        Ok(self)
    }

    /// Reads the films as a network of this input sees them.
    fn load(&self, preprocess: Preprocess, threads: usize) -> anyhow::Result<Arc<PlaneStore>> {
        self.films.load(source_preprocess(preprocess), threads)
    }

    /// Rows of all films.
    fn rows(&self) -> Vec<usize> {
        (0..self.films.files.len()).collect()
    }

    fn classes(&self) -> usize {
        self.films.classes.len()
    }
}

/// What a network starts from.
pub struct Start {
    network: Pretrained,
    architecture: Architecture,
    preprocess: Preprocess,
    /// Name of the pretrained model; none for random weights.
    parent: Option<String>,
    /// Hash of its weights.
    weights_hash: Option<String>,
}

impl Start {
    /// Loads a pretrained model.
    ///
    /// # Errors
    /// Fails if it cannot be loaded or classifies.
    pub fn pretrained(home: &Home, name: &str, compute: &Compute) -> anyhow::Result<Self> {
        let (network, card) = load_pretrained(&home.model(name), &compute.device.clone().inner())?;
        let ModelCard { architecture, preprocess, weights_hash, .. } = card;
        let (parent, weights_hash) = (Some(name.to_owned()), Some(weights_hash));
        Ok(Self { network, architecture, preprocess, parent, weights_hash })
    }

    /// Loads the model that the arguments name, or draws random weights.
    ///
    /// # Errors
    /// Fails if the model cannot be loaded or the shape is not supported.
    pub fn find(
        home: &Home,
        args: &StartArgs,
        seed: u64,
        compute: &Compute,
    ) -> anyhow::Result<Self> {
        if let Some(name) = &args.model {
            return Self::pretrained(home, name, compute);
        }
        let architecture = args.arch.architecture(args.width, args.stem);
        architecture.blocks().map_err(anyhow::Error::msg)?;
        if !SIZES.contains(&args.size) {
            bail!("--size is in {}..={}", SIZES.start(), SIZES.end());
        }
        let network = Pretrained::init(&architecture, seed, &compute.device.clone().inner());
        let preprocess = Preprocess { size: args.size, fit: args.fit };
        Ok(Self { network, architecture, preprocess, parent: None, weights_hash: None })
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} px", self.architecture, self.preprocess.size)
    }
}

/// Features of the films and the head's penalty, from which a head for some of the labels is fitted.
pub struct Embedded {
    features: Embeddings,
    scale: Standardisation,
    classes: usize,
    l2: f32,
}

impl Embedded {
    /// Embeds the films and chooses the penalty by cross-validation on the labels.
    fn new(
        start: &Start,
        lesson: &Lesson,
        store: &PlaneStore,
        compute: &Compute,
    ) -> anyhow::Result<Self> {
        let (size, device) = (start.preprocess.size, &compute.device);
        let go_on = &mut |_| Flow::Continue;
        let embedded = embed(&start.network.encoder, store, &lesson.rows(), size, device, go_on)?;
        let scale = Standardisation::measure(&embedded, &start.architecture.embedding_blocks());
        let features = scale.apply(embedded);
        let Labelled { rows, classes: truth } = &lesson.labelled;
        let folds = FoldAssigner::new(FOLDS).assign_all(&lesson.labelled, &lesson.films.patients);
        let (classes, go_on) = (lesson.classes(), &mut || Flow::Continue);
        let mut regularisation = Regularisation::default();
        let l2 = regularisation.refresh(&features, rows, truth, classes, &folds, go_on);
        Ok(Self { features, scale, classes, l2 })
    }

    /// [`Self::new`], or nothing where the start has random weights: a head on their features says little.
    fn of_pretrained(
        start: &Start,
        lesson: &Lesson,
        store: &PlaneStore,
        compute: &Compute,
    ) -> anyhow::Result<Option<Self>> {
        start.parent.as_ref().map(|_| Self::new(start, lesson, store, compute)).transpose()
    }

    /// Fits a head to some of the labels.
    fn fit(&self, Labelled { rows, classes }: &Labelled) -> LinearHead {
        let head = Head::fit(&self.features, rows, classes, self.classes, self.l2, None);
        head.linear(&self.scale)
    }
}

/// Returns the folder of the new model.
///
/// # Errors
/// Fails if the name cannot be a folder's or is taken.
fn new_folder(home: &Home, name: &str) -> anyhow::Result<PathBuf> {
    check_name(name).map_err(anyhow::Error::msg)?;
    let folder = home.models().join(name);
    if folder.join(folder::CARD).is_file() {
        bail!("there is a model of this name already; choose another --out: {}", folder.display());
    }
    Ok(folder)
}

/// What a stage made and how.
struct Made {
    model: Classifier,
    /// The stage with its configuration, for the card.
    how: Value,
    /// Figures that were measured on the way.
    metrics: Value,
}

/// Saves the classifier and says so.
///
/// # Errors
/// Fails if the folder cannot be written.
fn finish(
    made: Made,
    args: &StageArgs,
    lesson: &Lesson,
    start: Start,
    folder: &Path,
    started: Instant,
) -> anyhow::Result<()> {
    let card = ModelCard {
        version: folder::VERSION,
        kind: Kind::Classifier,
        architecture: start.architecture,
        preprocess: start.preprocess,
        classes: lesson.films.classes.clone(),
        parent: start.parent,
        seed: args.seed,
        made_by: made.how,
        metrics: made.metrics.clone(),
        weights_hash: String::new(),
    };
    folder::save(&made.model, card, folder).context("the model could not be saved")?;
    let seconds = started.elapsed().as_secs_f32();
    if args.json {
        let report = json!({
            "model": args.out,
            "labels": lesson.labelled.rows.len(),
            "films": lesson.films.files.len(),
            "seconds": seconds,
            "metrics": made.metrics,
        });
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("saved {} ({seconds:.0} s)", folder.display());
    }
    Ok(())
}
