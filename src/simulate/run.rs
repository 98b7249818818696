//! A run over all cells.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Context as _;

use super::bench::{Bench, Loaded, Machine};
use super::cells::{Cells, Outcome};
use super::draw::{Draw, whole_pool};
use super::methods::learn;
use super::parts::Parts;
use super::plan::{Digests, LeftOut, Setup, Slot, slots};
use super::progress::Progress;
use super::report::{Remarks, Report};
use super::settings::Settings;
use super::summary::Cell;
use super::watch::Watch;
use crate::dataset::Labelled;
use crate::dataset::splits::Split;
use crate::device::is_cpu;
use crate::fsutil;
use crate::learn::metrics::Metrics;
use crate::model::ModelCard;
use crate::model::folder::{WEIGHTS, load_card};
use crate::query::Strategy;

/// How a run came out.
pub enum Ended {
    /// With results.
    Reported(Box<Report>),
    /// It was stopped.
    Stopped {
        /// Cells that are computed.
        done: usize,
        /// All cells.
        cells: usize,
    },
}

/// Runs every cell that is not stored yet and returns the results, which are written beside the cells too.
///
/// # Errors
/// Fails if films or the model cannot be read, a budget is larger than the pool, or learning fails otherwise than for too few
/// labels in some draw, for which a row is left out of the table.
pub fn run(settings: &Settings, machine: Machine<'_>, watch: Watch<'_>) -> anyhow::Result<Ended> {
    let card = load_card(&machine.home.model(&settings.model))?;
    let mut parts = Parts::find(machine.home, settings)?;
    let seen = parts.check_encoder(settings, &card);
    for warning in &parts.warnings {
        watch.warn(warning);
    }
    let slots = slots(settings, &parts)?;
    let setup = setup(settings, machine, &card, &parts)?;
    let cells = Cells::open(settings.out.as_deref())?;
    let (parts, left_out) = (&parts, Vec::new());
    let mut run = Run { settings, machine, watch, parts, setup, cells, left_out };
    match run.all(&slots) {
        Ok(()) => {}
        Err(_) if watch.is_stopped() => {
            let (missing, cells) = (run.missing(&slots).len(), slots.len());
            return Ok(Ended::Stopped { done: cells - missing, cells });
        }
        Err(error) => return Err(error),
    }
    Ok(Ended::Reported(Box::new(run.report(&slots, seen)?)))
}

fn setup(
    settings: &Settings,
    machine: Machine<'_>,
    card: &ModelCard,
    parts: &Parts,
) -> anyhow::Result<Setup> {
    let weights = if card.weights_hash.is_empty() {
        let file = machine.home.model(&settings.model).join(WEIGHTS);
        blake3::hash(&fsutil::read(&file)?).to_hex().to_string()
    } else {
        card.weights_hash.clone()
    };
    let compute = machine.compute;
    let digests = |split: &Split| Digests {
        pool: parts.digest(&split.pool),
        evaluation: parts.digest(&split.evaluation),
    };
    Ok(Setup {
        weights,
        size: card.preprocess.size,
        encoder: serde_json::to_value((&card.architecture, card.preprocess))?,
        device: if is_cpu(&compute.device) { "CPU".to_owned() } else { compute.name.clone() },
        digests: parts.splits.iter().map(digests).collect(),
    })
}

/// Says that so many cells may have been computed otherwise than this program would.
fn by_other_builds(cells: usize) -> Option<String> {
    (cells > 0).then(|| format!("{cells} of the cells are by another build of this version"))
}

struct Run<'a> {
    settings: &'a Settings,
    machine: Machine<'a>,
    watch: Watch<'a>,
    parts: &'a Parts,
    setup: Setup,
    cells: Cells,
    left_out: Vec<LeftOut>,
}

impl Run<'_> {
    /// Computes what is not stored, split by split.
    fn all(&mut self, slots: &[Slot]) -> anyhow::Result<()> {
        let missing = self.missing(slots);
        let (all, stored) = (slots.len(), slots.len() - missing.len());
        if stored > 0 {
            self.watch.note(format!("{stored} of {all} cells are stored already"));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let views = self.settings.strategies.contains(&Strategy::AugmentationVariance);
        let (model, parts) = (&self.settings.model, self.parts);
        let loaded = Loaded::load(self.machine, model, parts, views, self.watch)?;
        let mut progress = Progress::new(all, &missing);
        for missing in missing.chunk_by(|a, b| a.split == b.split) {
            let split = &self.parts.splits[missing[0].split];
            let bench = Bench::new(&loaded, self.parts, split, self.machine.compute, self.watch)?;
            let draw_of = |slot: &Slot| (slot.draw, slot.arm.strategy);
            for missing in missing.chunk_by(|a, b| draw_of(a) == draw_of(b)) {
                let (seed, round) = (missing[0].draw_seed(), self.settings.round);
                let strategy = missing[0].arm.strategy;
                let draw = strategy.map(|strategy| Draw::new(strategy, seed, round));
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
                        self.watch.warn(left_out.to_string());
                        self.left_out.push(left_out);
                        progress.leave_out();
                        continue;
                    }
                }
            }
            let cell = self.scored(slot)?;
            self.watch.note(progress.line(&cell));
        }
        Ok(())
    }

    fn is_left_out(&self, slot: &Slot) -> bool {
        self.left_out.iter().any(|row| (row.arm, row.budget) == (slot.arm, slot.budget()))
    }

    fn compute(
        &self,
        bench: &Bench<'_>,
        slot: &Slot,
        bought: &Labelled,
    ) -> anyhow::Result<Outcome> {
        let started = Instant::now();
        let learnt = learn(bench, bought, &slot.recipe(bench.size))?;
        let seconds = started.elapsed().as_secs_f32() + learnt.seconds_before;
        if self.watch.is_stopped() {
            anyhow::bail!("stopped");
        }
        let count = |class| bought.classes.iter().filter(|&&label| label == class).count();
        Ok(Outcome {
            of: self.describe(slot),
            build: self.cells.build.clone(),
            bought: bought.rows.iter().map(|&row| bench.ids[row]).collect(),
            of_class: (0..bench.classes()).map(count).collect(),
            labels_looked_at: bought.rows.len(),
            probabilities: learnt.probabilities,
            seconds,
        })
    }

    fn describe(&self, slot: &Slot) -> String {
        self.setup.describe(slot, &self.parts.films.classes, self.settings.round)
    }

    fn find(&mut self, slot: &Slot) -> anyhow::Result<Option<&Outcome>> {
        let of = self.describe(slot);
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
            self.watch.note(format!("a stored cell is damaged and computed again: {error}"));
        }
        if let Some(warning) = by_other_builds(others) {
            self.watch.warn(format!(
                "{warning}; should it compute otherwise, remove them or choose another --out"
            ));
        }
        missing
    }

    /// Returns a cell that is stored, with its figures.
    fn scored(&mut self, slot: &Slot) -> anyhow::Result<Cell> {
        let (classes, positive) = (self.parts.classes(), self.parts.positive());
        let truth = self.parts.truth(slot.split);
        let outcome = self.find(slot)?.context("a cell is missing")?.clone();
        let metrics = Metrics::of(&outcome.probabilities, &truth, classes, positive)?;
        Ok(Cell { slot: *slot, outcome, metrics })
    }

    /// Gathers the cells that are not left out and writes the results beside them.
    fn report(&mut self, slots: &[Slot], seen: Option<Vec<usize>>) -> anyhow::Result<Report> {
        let learnt: Vec<&Slot> = slots.iter().filter(|slot| !self.is_left_out(slot)).collect();
        let cells =
            learnt.iter().map(|slot| self.scored(slot)).collect::<anyhow::Result<Vec<_>>>()?;
        anyhow::ensure!(!cells.is_empty(), "nothing could be learnt, as is said above");
        let mut warnings = self.parts.warnings.clone();
        let of_others = cells.iter().filter(|cell| cell.outcome.build != self.cells.build).count();
        warnings.extend(by_other_builds(of_others));
        let remarks = Remarks { seen, left_out: &self.left_out, warnings };
        let (settings, compute, parts) = (self.settings, self.machine.compute, self.parts);
        let report = Report::new(settings, compute, parts, &self.setup, &remarks, &cells)?;
        if let Some(out) = &settings.out {
            report.write(out, &cells, parts, settings.seconds_per_film)?;
        }
        Ok(report)
    }
}
