//! A look at the features while they are learnt, with labels that the user names for it. Nothing about the run depends on it.

use std::sync::Arc;

use anyhow::Context as _;

use crate::cli::args::PretrainArgs;
use crate::cli::films::{find, load};
use crate::config::Home;
use crate::dataset::films::FilmSet;
use crate::dataset::planes::PlaneStore;
use crate::device::Compute;
use crate::features::Block;
use crate::imaging::Preprocess;
use crate::learn::pretrain::ProbePoint;
use crate::learn::probe::Probe;
use crate::learn::{Flow, LearnError};
use crate::model::{Architecture, Pretrained};
use crate::predict::embed;

/// Labelled films, and the epochs after which they are looked at.
pub struct Looks {
    probe: Probe,
    store: Arc<PlaneStore>,
    every: u32,
    epochs: u32,
    size: u32,
    /// Dimensions of each block of the features.
    blocks: [usize; 3],
    compute: Compute,
}

impl Looks {
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
        let running = &args.running;
        if running.probe_split.is_none() && running.probe_labels.is_none() {
            return Ok(None);
        }
        let labels = running.probe_labels.as_ref().or(args.films.labels.as_ref());
        let films = find(
            home,
            &FilmSet {
                images: running.probe_images.as_ref().unwrap_or(&args.films.images).clone(),
                labels: Some(
                    labels.context("--probe-split needs --labels or --probe-labels")?.clone(),
                ),
                split: running.probe_split.clone(),
                limit: None,
            },
        )?;
        Ok(Some(Self {
            probe: Probe::new(&films)?,
            store: load(&films, source, threads)?,
            every: running.probe_every.unwrap_or_else(|| (args.epochs / 20).max(1)),
            epochs: args.epochs,
            size: args.size,
            blocks: architecture.embedding_blocks(),
            compute: compute.clone(),
        }))
    }

    /// Labels that are looked at.
    pub fn labels(&self) -> usize {
        self.probe.labels()
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
        let (device, go_on) = (&self.compute.device, &mut |_| Flow::Continue);
        let features = embed(&network.encoder, &self.store, &rows, self.size, device, go_on)?;
        self.probe.look(Block { features, parts: self.blocks.to_vec() }, epoch).map(Some)
    }
}
