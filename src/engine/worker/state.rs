//! What the compute thread holds, and how it says where it stands.

use std::sync::Arc;

use super::films::{load, load_reference};
use crate::dataset::Labelled;
use crate::dataset::planes::{PlaneStore, source_preprocess};
use crate::device;
use crate::engine::inbox::Inbox;
use crate::engine::options::Options;
use crate::engine::protocol::{Change, Event, ModelChange, Progress, Stage, Training};
use crate::features::{Embeddings, Space, SpaceFilms};
use crate::learn::finetune::FineTuned;
use crate::learn::{Flow, StepReport};
use crate::model::Pretrained;
use crate::model::folder::{ModelCard, load_pretrained};
use crate::study::ReferenceSet;

/// Everything that the compute thread holds.
pub(super) struct Worker {
    pub(super) options: Arc<Options>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) base: Pretrained,
    pub(super) base_card: ModelCard,
    /// The pretrained model's features: what fine-tuning starts from and has to beat.
    pub(super) space: Arc<Space>,
    pub(super) pool: Arc<PlaneStore>,
    /// Rows of the pool that cannot be read: neither ranked nor learnt from.
    pub(super) unreadable: Vec<usize>,
    pub(super) reference: Option<(Arc<PlaneStore>, ReferenceSet)>,
    /// What the last fine-tuning made: the next one starts between it and the encoder.
    pub(super) tuned: Option<FineTuned>,
}

impl Worker {
    /// Loads the model and the films and embeds the pool.
    pub(super) fn prepare(options: Arc<Options>, inbox: Arc<Inbox>) -> anyhow::Result<Self> {
        let plain = options.compute.device.clone().inner();
        let (base, base_card) = load_pretrained(&options.base_model, &plain)?;
        let preprocess = source_preprocess(base_card.preprocess);
        let (pool, unreadable) =
            load(&options.cache, &options.pool, preprocess, "reading films", &inbox)?;
        let reference = options.reference.as_ref();
        let reference = reference
            .map(|part| load_reference(&options.cache, part, preprocess, &inbox))
            .transpose()?;
        if reference.as_ref().is_some_and(|(store, _)| store.is_empty()) {
            let text = "No film of the reference set can be read; there is no accuracy curve";
            inbox.warn(text.to_owned());
        }
        let reference = reference.filter(|(store, _)| !store.is_empty());
        // Until the pool is embedded there are no features.
        let none = Space::scaled(Embeddings::new(1, Vec::new())?, SpaceFilms::default())?;
        let mut worker = Self {
            options,
            inbox,
            base,
            base_card,
            space: Arc::new(none),
            pool,
            unreadable,
            reference,
            tuned: None,
        };
        let base = worker.embed_base(&mut |done, total| worker.preparing(done, total))?;
        worker.space = Arc::clone(&base.space);
        worker.inbox.state().base = Some(base.clone());
        let model = base.model.clone();
        worker.inbox.change_model(base, ModelChange { model, change: Change::Opened });
        if let Some((name, path)) = worker.options.current_model.clone() {
            worker.take_up(&name, &path);
        }
        let device = worker.options.compute.name.clone();
        worker.inbox.send(Event::Ready { device });
        Ok(worker)
    }

    /// The labels of films that can be read.
    pub(super) fn labelled(&self) -> Labelled {
        self.space.learnable(&self.inbox.labelled())
    }

    /// Notes a step, and says whether to go on.
    pub(super) fn observe(&self, stage: Stage, report: &StepReport) -> Flow {
        self.explain_if_asked();
        let speed = (report.images_per_second, report.seconds_left);
        let StepReport { epoch, epochs, loss, .. } = *report;
        let training = Some(Training { epoch, epochs, loss });
        self.show(stage, (report.step, report.steps), speed, training);
        let mut losses = self.inbox.losses.lock();
        // A job that ends before its first step leaves the last one's losses to be looked at.
        if stage == Stage::FineTuning && report.step == 1 {
            losses.clear();
        }
        // Each stage counts its own steps; in the plot the later stage's follow the earlier one's.
        let step = losses.last().map_or(1, |&(last, _)| last + 1);
        losses.push((step, report.loss));
        drop(losses);
        self.flow()
    }

    /// Says whether to go on; what is asked while the job is paused is answered.
    pub(super) fn flow(&self) -> Flow {
        self.inbox.flags.check(&|| self.explain_if_asked())
    }

    /// Shows steps done of how many, films a second and seconds left, and where training stands, if it trains.
    pub(super) fn show(
        &self,
        stage: Stage,
        (step, steps): (u64, u64),
        (images_per_second, seconds_left): (f32, f32),
        training: Option<Training>,
    ) {
        let labels = self.inbox.labelled().rows.len();
        let memory = device::resident_memory();
        let mut shown = self.inbox.progress.lock();
        let paused = self.inbox.flags.paused();
        *shown = Some(Progress {
            stage,
            step,
            steps,
            images_per_second,
            seconds_left,
            labels,
            training,
            memory,
            paused,
        });
    }
}
