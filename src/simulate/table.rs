//! The results as Markdown and CSV.

use std::fmt::Write as _;

use anyhow::Context as _;

use super::compare::Comparison;
use super::summary::{Area, Cell, Line, Spread};
use crate::learn::metrics::Estimate;

/// Writes the table, the areas under the curves, and each arm against the first one of its budget.
pub fn markdown(
    lines: &[Line],
    areas: &[Area],
    comparisons: &[Comparison],
    notes: &[String],
) -> String {
    let mut text = String::new();
    write_lines(&mut text, lines);
    if !areas.is_empty() {
        write_areas(&mut text, areas);
    }
    if !comparisons.is_empty() {
        write_comparisons(&mut text, lines, comparisons);
    }
    for note in notes {
        writeln!(text, "\n{note}").ok();
    }
    text
}

fn write_lines(text: &mut String, lines: &[Line]) {
    text.push_str(
        "| labels | strategy | method | looked at | draws | runs | n | accuracy | AUROC | balanced | sensitivity | \
         specificity | ECE | s |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for line in lines {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} |",
            line.labels,
            line.strategy,
            line.method,
            line.labels_looked_at,
            line.draws,
            line.runs,
            line.n,
            figure(line.accuracy),
            perhaps(line.auroc),
            figure(line.balanced_accuracy),
            perhaps(line.sensitivity),
            perhaps(line.specificity),
            figure(line.ece),
            line.seconds
        )
        .ok();
    }
    text.push_str(
        "\nMean ± standard deviation over draws, or over seeds where there is one draw.\n",
    );
}

fn write_areas(text: &mut String, areas: &[Area]) {
    text.push_str(
        "\n| arm | labels | area under accuracy | area under AUROC |\n|---|---|---|---|\n",
    );
    for area in areas {
        let [first, last] = area.labels;
        let (accuracy, auroc) = (figure(area.accuracy), perhaps(area.auroc));
        writeln!(text, "| {} | {first} to {last} | {accuracy} | {auroc} |", area.arm).ok();
    }
    text.push_str(
        "\nAreas under the learning curves, over a linear axis of labels, divided by its span.\n",
    );
}

fn write_comparisons(text: &mut String, lines: &[Line], comparisons: &[Comparison]) {
    text.push_str(
        "\n| labels | arm | against | accuracy | AUROC | McNemar's p |\n|---|---|---|---|---|---|\n",
    );
    for pair in comparisons {
        let whole = pair.first.strategy.is_none();
        let first = lines.iter().find(|line| {
            line.arm.strategy.is_none() == whole && (whole || line.labels == pair.labels)
        });
        if first.is_none_or(|line| line.arm != pair.first) {
            continue;
        }
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            pair.labels,
            pair.second,
            pair.first,
            difference(pair.accuracy),
            difference(pair.auroc),
            pair.p.map_or_else(|| "–".to_owned(), |p| format!("{p:.3}"))
        )
        .ok();
    }
    text.push_str(
        "\nDifferences of means over runs with 95 % intervals of a paired bootstrap over the evaluation films' patients; \
         McNemar's exact test of each two runs takes films for independent, also those of one patient; combined as \
         dependent tests (Rüger). Draws and seeds are not resampled. All pairs are in results.json; nothing is corrected for their number.\n",
    );
}

fn figure(spread: Spread) -> String {
    let sd = spread.sd.map_or_else(String::new, |sd| format!(" ± {sd:.3}"));
    format!("{:.3}{sd}", spread.mean)
}

fn perhaps(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), figure)
}

fn difference(estimate: Option<Estimate>) -> String {
    let Some(Estimate { value, low, high }) = estimate else { return "–".to_owned() };
    format!("{value:+.3} ({low:+.3} to {high:+.3})")
}

/// Writes one row a cell; what is undefined is empty.
///
/// # Errors
/// Fails if the table cannot be written.
pub fn csv(cells: &[Cell]) -> anyhow::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "split",
        "strategy",
        "method",
        "labels",
        "labels_looked_at",
        "draw",
        "seed",
        "n",
        "accuracy",
        "auroc",
        "balanced_accuracy",
        "sensitivity",
        "specificity",
        "ece",
        "brier",
        "log_loss",
        "seconds",
    ])?;
    for Cell { slot, outcome, metrics } in cells {
        let six = |value: f64| format!("{value:.6}");
        let perhaps = |figure: Option<Estimate>| figure.map_or_else(String::new, |f| six(f.value));
        table.write_record([
            slot.split.to_string(),
            slot.arm.strategy_name().to_owned(),
            slot.arm.method.name().to_owned(),
            slot.labels.to_string(),
            outcome.labels_looked_at.to_string(),
            slot.draw.to_string(),
            slot.seed.to_string(),
            metrics.n.to_string(),
            six(metrics.accuracy.value),
            perhaps(metrics.auroc),
            six(metrics.balanced_accuracy.value),
            perhaps(metrics.sensitivity),
            perhaps(metrics.specificity),
            six(metrics.ece),
            six(metrics.brier),
            six(metrics.log_loss),
            format!("{:.1}", outcome.seconds),
        ])?;
    }
    table.into_inner().context("the table of cells cannot be written")
}
