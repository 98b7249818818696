//! The queue of films and the thread that computes them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::dataset::planes::PlaneStore;
use crate::dataset::planes::source_preprocess;
use crate::features::Embeddings;
use crate::imaging::{Film, Plane};
use crate::learn::{Flow, LearnError};
use crate::model::folder::Kind;
use crate::predict::{Explained, Predictor};

/// Films that are computed at a time.
const BATCH: usize = 16;

/// A classifier under its name.
#[derive(Debug)]
pub struct Served {
    /// Name of the model's folder.
    pub name: String,
    /// The classifier.
    pub predictor: Predictor,
}

impl Served {
    /// Takes a model that classifies.
    ///
    /// # Errors
    /// Says, in words, what to do where it does not.
    pub fn new(name: String, predictor: Predictor) -> Result<Self, String> {
        if predictor.card.kind == Kind::Classifier {
            return Ok(Self { name, predictor });
        }
        Err(format!(
            "the model {name} embeds films and does not classify them: make a classifier of it with `penumbra finetune \
             --model {name} --images DIR --labels CSV --out NAME` and serve that"
        ))
    }

    /// Loads the model `name` in `folder`.
    ///
    /// # Errors
    /// Fails if it cannot be loaded or does not classify.
    pub fn load(
        name: &str,
        folder: &Path,
        device: &crate::device::Compute,
    ) -> anyhow::Result<Self> {
        let predictor = Predictor::load(folder, &device.device)?;
        Self::new(name.to_owned(), predictor).map_err(anyhow::Error::msg)
    }
}

/// A film on its way.
pub(super) struct Job {
    /// Its plane for each model.
    pub planes: Vec<Plane>,
    pub wanted: Wanted,
    pub reply: oneshot::Sender<Result<Vec<Computed>, String>>,
    /// Held until the film is computed, whether somebody still waits for it or not.
    pub place: OwnedSemaphorePermit,
}

/// What is to be computed beside probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub saliency: bool,
    /// Of the first model alone.
    pub embedding: bool,
}

/// What one model says of a film.
#[derive(Clone, Debug)]
pub(super) struct Computed {
    pub explained: Explained,
    pub embedding: Option<Vec<f32>>,
}

/// Makes the queue; what is admitted elsewhere, up to `places` films, it never refuses.
pub(super) fn queue(places: usize) -> (Sender<Job>, Inbox) {
    let (jobs, inbox) = bounded(places.max(1));
    (jobs, Inbox(inbox))
}

/// Makes a film's plane for a model, as `penumbra predict` does.
pub(super) fn plane(film: &Film, preprocess: crate::imaging::Preprocess) -> Plane {
    source_preprocess(preprocess).apply(film)
}

/// The end of the queue where films are computed.
pub struct Inbox(Receiver<Job>);

impl Inbox {
    /// Computes films, those that wait together, until the server is gone. A panic costs the batch, not the server.
    pub fn compute(&self, models: &[Served]) {
        while let Ok(first) = self.0.recv() {
            let waiting = self.0.try_iter().take(BATCH - 1);
            let jobs: Vec<Job> = std::iter::once(first)
                .chain(waiting)
                .filter(|job| !job.reply.is_closed())
                .collect();
            // Films of which maps are wanted take longer; the others do not wait for them.
            let (plain, explained): (Vec<Job>, Vec<Job>) =
                jobs.into_iter().partition(|job| !job.wanted.saliency);
            for jobs in [plain, explained] {
                answer(models, jobs);
            }
        }
    }
}

/// Computes films of which the same is wanted and sends the answers.
fn answer(models: &[Served], jobs: Vec<Job>) {
    if jobs.is_empty() {
        return;
    }
    let computed = catch_unwind(AssertUnwindSafe(|| of_all(models, &jobs)));
    let computed = match computed {
        Ok(Ok(computed)) => Ok(computed),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("an internal error".to_owned()),
    };
    if let Err(fault) = &computed {
        tracing::error!("films could not be computed: {fault}");
    }
    let mut rows = computed.map(|all| all.into_iter().map(Vec::into_iter).collect::<Vec<_>>());
    for Job { reply, place, .. } in jobs {
        let answer = match &mut rows {
            Ok(models) => Ok(models.iter_mut().filter_map(Iterator::next).collect()),
            Err(fault) => Err(fault.clone()),
        };
        drop(place);
        // Whoever no longer waits needs no answer.
        let _ = reply.send(answer);
    }
}

/// What each model says of each film.
fn of_all(models: &[Served], jobs: &[Job]) -> Result<Vec<Vec<Computed>>, LearnError> {
    let of_model = |(place, model): (usize, &Served)| {
        let planes = jobs.iter().map(|job| job.planes[place].clone());
        let size = source_preprocess(model.predictor.card.preprocess).size;
        let store = PlaneStore::from_planes(size, planes);
        let wanted = Wanted {
            saliency: jobs.iter().any(|job| job.wanted.saliency),
            embedding: place == 0 && jobs.iter().any(|job| job.wanted.embedding),
        };
        of_films(&model.predictor, &store, wanted)
    };
    models.iter().enumerate().map(of_model).collect()
}

fn of_films(
    predictor: &Predictor,
    store: &PlaneStore,
    wanted: Wanted,
) -> Result<Vec<Computed>, LearnError> {
    let rows: Vec<usize> = (0..store.len()).collect();
    let no_class = || LearnError::TooLittle("the model has no classes".to_owned());
    let explained = if wanted.saliency {
        predictor.grad_cam(store, &rows)?.ok_or_else(no_class)?
    } else {
        let all = predictor.probabilities(store, &rows)?.ok_or_else(no_class)?;
        let classes = predictor.card.classes.len().max(1);
        let plain = |row: &[f32]| Explained { probabilities: row.to_vec(), maps: Vec::new() };
        all.chunks(classes).map(plain).collect()
    };
    let embed = || predictor.embed(store, &rows, &mut |_| Flow::Continue);
    let embeddings: Option<Embeddings> = wanted.embedding.then(embed).transpose()?;
    let row = |row: usize| embeddings.as_ref().map(|embeddings| embeddings.row(row).to_vec());
    let with_embedding = |(place, explained)| Computed { explained, embedding: row(place) };
    Ok(explained.into_iter().enumerate().map(with_embedding).collect())
}
