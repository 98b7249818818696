//! Everything that a simulation tells: as JSON, as text, and as files.

use std::path::Path;

use serde_json::json;

use super::chart::{Axis, Figure, svg};
use super::compare::comparisons;
use super::parts::Parts;
use super::plan::{LeftOut, Setup};
use super::settings::Settings;
use super::summary::{Cell, Line, areas, lines};
use super::table::{csv, markdown};
use crate::device::Compute;
use crate::fsutil;
use crate::learn::metrics::Estimate;

/// The results.
pub struct Report {
    /// As JSON.
    pub json: serde_json::Value,
    /// As text.
    pub markdown: String,
    lines: Vec<Line>,
}

/// What is to be said beside the figures.
pub struct Remarks<'a> {
    /// Evaluation films of each split that the encoder has seen without labels, where that is known.
    pub seen: Option<Vec<usize>>,
    /// Rows that are left out.
    pub left_out: &'a [LeftOut],
    /// What may mislead.
    pub warnings: Vec<String>,
}

impl Report {
    /// Gathers the cells.
    ///
    /// # Errors
    /// Fails if predictions cannot be scored.
    pub fn new(
        settings: &Settings,
        compute: &Compute,
        parts: &Parts,
        setup: &Setup,
        Remarks { seen, left_out, warnings }: &Remarks<'_>,
        cells: &[Cell],
    ) -> anyhow::Result<Self> {
        let lines = lines(cells, settings.seconds_per_film);
        let areas = areas(cells);
        let comparisons = comparisons(cells, parts)?;
        let mut notes = vec![about_films(settings, parts)];
        notes.extend(warnings.iter().map(|warning| format!("Warning: {warning}.")));
        notes.extend(left_out.iter().map(|left_out| format!("Warning: {left_out}.")));
        let sizes = |part: fn(&crate::dataset::splits::Split) -> usize| {
            parts.splits.iter().map(part).collect::<Vec<_>>()
        };
        let n = sizes(|split| split.evaluation.len());
        let json = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "model": settings.model,
            "weights_hash": setup.weights,
            "device": compute.name,
            "pool": sizes(|split| split.pool.len()),
            "n": n.first(),
            "classes": parts.films.classes,
            "positive": parts.films.classes.get(parts.positive()),
            "majority": parts.majority(),
            "splits": {
                "kind": parts.kind,
                "seed": settings.cut.seed,
                "repeats": parts.splits.len(),
                "evaluation": n,
                "evaluation_films_seen_by_encoder_without_labels": seen,
            },
            "draws": settings.draws,
            "seeds": settings.seeds,
            "round": settings.round,
            "seconds_per_film": settings.seconds_per_film,
            "warnings": warnings,
            "left_out": left_out,
            "table": lines,
            "areas_under_learning_curves": areas,
            "comparisons": comparisons,
            "cells": cells.iter().map(cell).collect::<Vec<_>>(),
        });
        Ok(Self { json, markdown: markdown(&lines, &areas, &comparisons, &notes), lines })
    }

    /// Writes the results beside the cells.
    ///
    /// # Errors
    /// Fails if a file cannot be written or a figure cannot be drawn.
    pub fn write(
        &self,
        out: &Path,
        cells: &[Cell],
        parts: &Parts,
        seconds_per_film: f64,
    ) -> anyhow::Result<()> {
        let write = |name: &str, bytes: &[u8]| fsutil::write_atomic(&out.join(name), bytes);
        write("results.json", serde_json::to_string_pretty(&self.json)?.as_bytes())?;
        write("results.csv", &csv(cells)?)?;
        write("results.md", self.markdown.as_bytes())?;
        write("splits.csv", &parts.csv()?)?;
        let minutes = Axis::Minutes { seconds_per_film };
        for (name, figure, axis) in [
            ("accuracy.svg", Figure::Accuracy, Axis::Labels),
            ("auroc.svg", Figure::Auroc, Axis::Labels),
            ("accuracy-by-minutes.svg", Figure::Accuracy, minutes),
            ("auroc-by-minutes.svg", Figure::Auroc, minutes),
        ] {
            write(name, svg(&self.lines, figure, axis)?.as_bytes())?;
        }
        Ok(())
    }
}

fn cell(Cell { slot, outcome, metrics }: &Cell) -> serde_json::Value {
    let value = |figure: Option<Estimate>| figure.map(|figure| figure.value);
    json!({
        "split": slot.split,
        "strategy": slot.arm.strategy_name(),
        "method": slot.arm.method.name(),
        "labels": slot.labels,
        "labels_looked_at": outcome.labels_looked_at,
        "of_class": outcome.of_class,
        "draw": slot.draw,
        "seed": slot.seed,
        "accuracy": metrics.accuracy.value,
        "auroc": value(metrics.auroc),
        "balanced_accuracy": metrics.balanced_accuracy.value,
        "sensitivity": value(metrics.sensitivity),
        "specificity": value(metrics.specificity),
        "ece": metrics.ece,
        "brier": metrics.brier,
        "log_loss": metrics.log_loss,
        "seconds": outcome.seconds,
    })
}

/// Says how many films there are, how they are cut, and which model sees them.
fn about_films(settings: &Settings, parts: &Parts) -> String {
    let films = parts.splits.first().map_or((0, 0), |s| (s.pool.len(), s.evaluation.len()));
    format!(
        "{} films to buy labels of and {} to measure on, cut {}{}; always guessing the majority class scores {:.3}. Model {}.",
        films.0,
        films.1,
        parts.kind,
        if parts.splits.len() > 1 {
            format!(" {} times", parts.splits.len())
        } else {
            String::new()
        },
        parts.majority(),
        settings.model
    )
}
