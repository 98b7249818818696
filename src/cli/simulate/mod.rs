//! `penumbra simulate`: active learning replayed with labels that are known.
//!
//! For each split, draw and strategy labels are bought one after the other up to the largest budget, each chosen by the
//! head on the pretrained features, refitted after every round. The window ranks 48 films ahead and so cuts the pool
//! into more clusters at the start than a simulation, which ranks no more than it buys, and measures distances in a pool of
//! more than 20,000 films within principal components. At each budget every method learns from the labels bought so far,
//! once for each optimisation seed, and is measured on the evaluation films. Nothing but the bought labels is looked at.
//!
//! A cell is one method at one budget of one draw. It is determined by the program and what [`plan::Setup::describe`] lists,
//! kept on disk under that ([`cells`]), and what is told of all of them is computed from what is kept: whether a cell was
//! computed just now or by an earlier run changes no figure.

mod bench;
mod cells;
mod chart;
mod compare;
mod draw;
mod heads;
mod methods;
mod networks;
mod parts;
mod plan;
mod progress;
mod report;
mod summary;
mod table;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context as _;

use self::bench::{Bench, Loaded};
use self::cells::{Cells, Outcome};
use self::draw::{Draw, whole_pool};
pub use self::methods::Method;
use self::parts::Parts;
pub use self::parts::SplitKind;
pub use self::plan::Budget;
use self::plan::{LeftOut, Setup, Slot, slots};
use self::progress::Progress;
use self::report::{Remarks, Report};
use self::summary::Cell;
use super::Answer;
use super::interrupt::stop_on_ctrl_c;
use super::simulate_args::SimulateArgs;
use crate::config::Home;
use crate::device::{Compute, is_cpu};
use crate::fsutil;
use crate::learn::finetune::Labelled;
use crate::learn::metrics::Metrics;
use crate::model::ModelCard;
use crate::model::folder::{WEIGHTS, load_card};
use crate::query::Strategy;

/// What the first Ctrl-C is answered with.
const STOPPING: &str = "stopping after this step; Ctrl-C again ends at once";

/// Runs every cell that is not stored yet and tells the results.
///
/// # Errors
/// Fails if films or the model cannot be read, a budget is larger than the pool, or learning fails otherwise than for too few
/// labels in some draw, for which a row is left out of the table.
pub fn run(
    home: &Home,
    args: &SimulateArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let stop = stop_on_ctrl_c(STOPPING)?;
    let card = load_card(&home.model(&args.model))?;
    let mut parts = Parts::find(home, args)?;
    let seen = parts.check_encoder(args, &card);
    for warning in &parts.warnings {
        eprintln!("warning: {warning}");
    }
    let slots = slots(args, &parts)?;
    let setup = setup(home, args, &card, compute, &parts)?;
    let cells = Cells::open(args.out.as_deref())?;
    let (parts, stop, left_out) = (&parts, &stop, Vec::new());
    let mut run = Run { home, args, compute, threads, parts, setup, cells, left_out, stop };
    match run.all(&slots) {
        Ok(()) => {}
        Err(_) if stop.load(Ordering::Relaxed) => {
            eprintln!("{}", run.stopped(&slots));
            return Ok(Answer::No);
        }
        Err(error) => return Err(error),
    }
    let learnt: Vec<&Slot> = slots.iter().filter(|slot| !run.is_left_out(slot)).collect();
    let cells = learnt.iter().map(|slot| run.scored(slot)).collect::<anyhow::Result<Vec<_>>>()?;
    anyhow::ensure!(!cells.is_empty(), "nothing could be learnt, as is said above");
    let mut warnings = parts.warnings.clone();
    let of_others = cells.iter().filter(|cell| cell.outcome.build != run.cells.build).count();
    warnings.extend(by_other_builds(of_others));
    let remarks = Remarks { seen, left_out: &run.left_out, warnings };
    let report = Report::new(args, compute, parts, &run.setup, &remarks, &cells)?;
    if let Some(out) = &args.out {
        report.write(out, &cells, parts, args.seconds_per_film)?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report.json)?);
    } else {
        print!("{}", report.markdown);
    }
    Ok(Answer::Yes)
}

fn setup(
    home: &Home,
    args: &SimulateArgs,
    card: &ModelCard,
    compute: &Compute,
    parts: &Parts,
) -> anyhow::Result<Setup> {
    let weights = if card.weights_hash.is_empty() {
        let file = home.model(&args.model).join(WEIGHTS);
        blake3::hash(&fsutil::read(&file)?).to_hex().to_string()
    } else {
        card.weights_hash.clone()
    };
    let digests = parts.splits.iter();
    Ok(Setup {
        weights,
        size: card.preprocess.size,
        encoder: serde_json::to_value((&card.architecture, card.preprocess))?,
        device: if is_cpu(&compute.device) { "CPU".to_owned() } else { compute.name.clone() },
        digests: digests
            .map(|split| [parts.digest(&split.pool), parts.digest(&split.evaluation)])
            .collect(),
    })
}

/// Says that so many cells may have been computed otherwise than this program would.
fn by_other_builds(cells: usize) -> Option<String> {
    (cells > 0).then(|| format!("{cells} of the cells are by another build of this version"))
}

/// A run over all cells.
struct Run<'a> {
    home: &'a Home,
    args: &'a SimulateArgs,
    compute: &'a Compute,
    threads: usize,
    parts: &'a Parts,
    setup: Setup,
    cells: Cells,
    left_out: Vec<LeftOut>,
    stop: &'a AtomicBool,
}

impl Run<'_> {
    /// Computes what is not stored, split by split.
    fn all(&mut self, slots: &[Slot]) -> anyhow::Result<()> {
        let missing = self.missing(slots);
        if missing.len() < slots.len() {
            eprintln!(
                "{} of {} cells are stored already",
                slots.len() - missing.len(),
                slots.len()
            );
        }
        if missing.is_empty() {
            return Ok(());
        }
        let views = self.args.strategy.contains(&Strategy::AugmentationVariance);
        let (model, parts) = (&self.args.model, self.parts);
        let loaded =
            Loaded::load(self.home, model, parts, views, self.compute, self.threads, self.stop)?;
        let mut progress = Progress::new(slots.len(), &missing);
        for missing in missing.chunk_by(|a, b| a.split == b.split) {
            let split = &self.parts.splits[missing[0].split];
            let bench = Bench::new(&loaded, self.parts, split, self.compute, self.stop);
            let draw_of = |slot: &Slot| (slot.draw, slot.arm.strategy);
            for missing in missing.chunk_by(|a, b| draw_of(a) == draw_of(b)) {
                let draw = missing[0]
                    .arm
                    .strategy
                    .map(|strategy| Draw::new(strategy, missing[0].draw_seed(), self.args.round));
                self.draw(&bench, draw, missing, &mut progress)?;
            }
        }
        Ok(())
    }

    /// Computes the missing cells of one draw.
    fn draw(
        &mut self,
        bench: &Bench<'_>,
        mut draw: Option<Draw>,
        missing: &[Slot],
        progress: &mut Progress,
    ) -> anyhow::Result<()> {
        for slot in missing {
            if self.is_left_out(slot) {
                progress.leave_out();
                continue;
            }
            // The cells of a method that takes no seed are all one, which an earlier seed has computed.
            if !matches!(self.find(slot), Ok(Some(_))) {
                let bought = match &mut draw {
                    Some(draw) => draw.labels(bench, slot.labels)?,
                    None => whole_pool(bench),
                };
                match self.compute(bench, slot, &bought) {
                    Ok(outcome) => self.cells.keep(outcome)?,
                    Err(error) => {
                        let left_out = LeftOut::of(slot, error)?;
                        eprintln!("warning: {left_out}");
                        self.left_out.push(left_out);
                        progress.leave_out();
                        continue;
                    }
                }
            }
            progress.tell(&self.scored(slot)?);
        }
        Ok(())
    }

    fn is_left_out(&self, slot: &Slot) -> bool {
        self.left_out.iter().any(|left_out| left_out.row == (slot.arm, slot.budget()))
    }

    fn compute(
        &self,
        bench: &Bench<'_>,
        slot: &Slot,
        bought: &Labelled,
    ) -> anyhow::Result<Outcome> {
        let started = Instant::now();
        let learnt = slot.learner(bench.size)?.learn(bench, bought)?;
        let seconds = started.elapsed().as_secs_f32() + learnt.seconds_before;
        if self.stop.load(Ordering::Relaxed) {
            anyhow::bail!("stopped");
        }
        let count = |class| bought.classes.iter().filter(|&&label| label == class).count();
        Ok(Outcome {
            of: self.describe(slot)?,
            build: self.cells.build.clone(),
            bought: bought.rows.iter().map(|&row| bench.ids[row]).collect(),
            of_class: (0..bench.classes()).map(count).collect(),
            labels_looked_at: learnt.labels_looked_at,
            probabilities: learnt.probabilities,
            seconds,
        })
    }

    fn describe(&self, slot: &Slot) -> anyhow::Result<String> {
        self.setup.describe(slot, &self.parts.films.classes, self.args.round)
    }

    fn find(&mut self, slot: &Slot) -> anyhow::Result<Option<&Outcome>> {
        let of = self.describe(slot)?;
        let films = self.parts.splits[slot.split].evaluation.len();
        self.cells.find(&of, films * self.parts.classes())
    }

    /// Returns the cells that are not stored; says which are and cannot be used.
    fn missing(&mut self, slots: &[Slot]) -> Vec<Slot> {
        let (mut missing, mut damaged) = (Vec::new(), BTreeSet::new());
        let mut others = 0;
        let build = self.cells.build.clone();
        for slot in slots {
            match self.find(slot) {
                Ok(Some(outcome)) => others += usize::from(outcome.build != build),
                Ok(None) => missing.push(*slot),
                Err(error) => {
                    damaged.insert(format!("{error:#}"));
                    missing.push(*slot);
                }
            }
        }
        for error in damaged {
            eprintln!("a stored cell is damaged and computed again: {error}");
        }
        if let Some(warning) = by_other_builds(others) {
            eprintln!(
                "warning: {warning}; should it compute otherwise, remove them or choose another --out"
            );
        }
        missing
    }

    /// Returns a cell that is stored, with its figures.
    fn scored(&mut self, slot: &Slot) -> anyhow::Result<Cell> {
        let (classes, positive) = (self.parts.classes(), self.parts.films.positive());
        let truth = self.parts.truth(slot.split);
        let outcome = self.find(slot)?.context("a cell is missing")?.clone();
        let metrics = Metrics::of(&outcome.probabilities, &truth, classes, positive)?;
        Ok(Cell { slot: *slot, outcome, metrics })
    }

    /// What is said after Ctrl-C.
    fn stopped(&mut self, slots: &[Slot]) -> String {
        let Some(out) = &self.args.out else {
            return "stopped; with --out the same command would go on from here".to_owned();
        };
        let out = out.display().to_string();
        let done = slots.len() - self.missing(slots).len();
        let all = slots.len();
        format!("stopped with {done} of {all} cells; the same command goes on from here: {out}")
    }
}
