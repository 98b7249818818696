//! Everything that the cells of a simulation share.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::methods::Networks;
use crate::cli::args::{FilmsArgs, SimulateArgs};
use crate::cli::films::Films;
use crate::config::Home;
use crate::dataset::FilmId;
use crate::dataset::planes::PlaneStore;
use crate::device::Compute;
use crate::engine::worker::source_preprocess;
use crate::fsutil;
use crate::learn::{Flow, Setting};
use crate::model::Pretrained;
use crate::model::folder::load_pretrained;
use crate::predict::embed;
use crate::query::{Embeddings, Standardisation};

/// The pool, the evaluation films and the pretrained encoder.
pub struct Bench<'a> {
    /// Where to compute.
    pub compute: &'a Compute,
    /// The pretrained encoder with its projection head.
    pub base: Pretrained,
    /// Edge of the encoder's input in pixels.
    pub size: u32,
    /// The pool; its labels are for the simulated reader alone.
    pub pool: Films,
    /// Planes of the pool.
    pub pool_store: Arc<PlaneStore>,
    /// The evaluation films; their labels are for the figures alone.
    pub eval: Films,
    /// Planes of the evaluation films.
    pub eval_store: Arc<PlaneStore>,
    /// Identities of the pool's films.
    pub ids: Vec<FilmId>,
    /// Features of the pool, standardised.
    pub features: Embeddings,
    /// Features of the pool, normalised.
    pub directions: Embeddings,
    /// Features of the evaluation films, standardised as those of the pool.
    pub eval_features: Embeddings,
    /// The fold networks fine-tuned last.
    pub networks: RefCell<Option<Rc<Networks>>>,
}

impl<'a> Bench<'a> {
    /// Reads the films and embeds them.
    ///
    /// # Errors
    /// Fails if films or the model cannot be read, or a budget is larger than the pool.
    pub fn load(
        home: &Home,
        args: &SimulateArgs,
        compute: &'a Compute,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let (pool, eval) = films(home, args)?;
        if pool.classes != eval.classes {
            bail!(
                "the pool has the classes {:?}, the evaluation films {:?}",
                pool.classes,
                eval.classes
            );
        }
        let shared = pool.patients.iter().collect::<BTreeSet<_>>();
        let crossing = eval.patients.iter().filter(|patient| shared.contains(patient)).count();
        if crossing > 0 {
            eprintln!(
                "warning: {crossing} evaluation films are of patients who are in the pool too"
            );
        }
        if args.budgets.iter().any(|&budget| budget == 0 || budget > pool.files.len()) {
            bail!("a budget is between 1 and the {} films of the pool", pool.files.len());
        }
        let plain = compute.device.clone().inner();
        let (base, card) = load_pretrained(&home.model(&args.model), &plain)?;
        let source = source_preprocess(card.preprocess);
        let pool_store = pool.load(source, threads)?;
        let eval_store = eval.load(source, threads)?;
        let size = card.preprocess.size;
        let all = |store: &PlaneStore| {
            let rows: Vec<usize> = (0..store.len()).collect();
            embed(&base.encoder, store, &rows, size, &plain, &mut |_| Flow::Continue)
        };
        let (embedded, eval_embedded) = (all(&pool_store)?, all(&eval_store)?);
        let scale = Standardisation::measure(&embedded);
        Ok(Self {
            compute,
            size,
            ids: identities(&pool)?,
            features: scale.apply(&embedded),
            directions: embedded.normalised(),
            eval_features: scale.apply(&eval_embedded),
            base,
            pool,
            pool_store,
            eval,
            eval_store,
            networks: RefCell::new(None),
        })
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.pool.classes.len()
    }

    /// Returns the share of the most frequent class among the evaluation films: what guessing scores.
    pub fn majority(&self) -> f64 {
        let count = |class| self.eval.labels.iter().filter(|&&label| label == class).count();
        let most = (0..self.classes()).map(count).max().unwrap_or(0);
        most as f64 / self.eval.labels.len() as f64
    }

    /// Returns what fine-tuning and distillation start from.
    pub fn setting(&self) -> Setting<'_> {
        let (classes, device) = (self.classes(), &self.compute.device);
        Setting { start: &self.base, classes, store: &self.pool_store, device }
    }

    /// Says whether to go on: what long work asks between its steps.
    #[expect(clippy::unused_self, reason = "the answer will come from Ctrl-C")]
    pub fn flow(&self) -> Flow {
        Flow::Continue
    }
}

/// Identifies films by their content, which breaks ties; names may give the class away and are not looked at.
fn identities(films: &Films) -> anyhow::Result<Vec<FilmId>> {
    let identify = |file: &String| Ok(FilmId::of(&fsutil::read(&films.root.join(file))?));
    films.files.iter().map(identify).collect()
}

/// Finds the pool and the evaluation films.
fn films(home: &Home, args: &SimulateArgs) -> anyhow::Result<(Films, Films)> {
    let part = |images: &std::path::Path, labels: &std::path::Path, split: &Option<String>| {
        let labels = Some(labels.to_path_buf());
        Films::find(&FilmsArgs {
            images: images.to_path_buf(),
            labels,
            split: split.clone(),
            limit: None,
        })
    };
    if args.demo {
        let demo = home.demo_films().context("the demo's films are not there")?;
        let (pool, reference) = (demo.join("pool"), demo.join("reference"));
        let pool = part(&pool, &pool.join("labels.csv"), &None)?;
        return Ok((pool, part(&reference, &reference.join("labels.csv"), &None)?));
    }
    let (Some(images), Some(labels)) = (&args.images, &args.labels) else {
        bail!("simulating needs --images and --labels, or --demo");
    };
    let pool = part(images, labels, &args.split)?;
    let eval = match (&args.eval_images, &args.eval_labels, &args.eval_split) {
        (Some(images), Some(labels), split) => part(images, labels, split)?,
        (_, _, Some(split)) => part(images, labels, &Some(split.clone()))?,
        _ => bail!(
            "simulating needs films to measure on: --eval-split, or --eval-images and --eval-labels"
        ),
    };
    Ok((pool, eval))
}
