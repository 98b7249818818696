//! `penumbra agreement`: how far do readers agree with each other, with themselves and with the model?

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::answer::Answer;
use super::args::AgreementArgs;
use crate::config::Home;
use crate::dataset::FilmId;
use crate::dataset::index::load_index;
use crate::session::Snapshot;
use crate::session::agreement::{Agreement, Arm, Estimate, Intra, Pair, Report, report};
use crate::study::workspace::INDEX;

/// Prints the figures; films of one patient count as one for the intervals.
///
/// # Errors
/// Fails if there is no such session or it cannot be read.
pub fn run(home: &Home, args: &AgreementArgs) -> anyhow::Result<Answer> {
    let folder = home.session(&args.session);
    let snapshot = Snapshot::read(&folder)?;
    let films = load_index(&folder.join(INDEX))?;
    let patients: BTreeMap<FilmId, String> =
        films.into_iter().map(|film| (film.id, film.patient)).collect();
    let report = report(&snapshot.state, &patients);
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&mut out, &args.session, &report)?;
    }
    Ok(Answer::Yes)
}

/// Writes the figures as text.
///
/// # Errors
/// Fails as `out` does.
pub(super) fn print(out: &mut impl Write, session: &str, report: &Report) -> io::Result<()> {
    writeln!(out, "{session}: read by {}", report.readers.join(", "))?;
    writeln!(out, "intervals: 95 %, bootstrap by patient")?;
    writeln!(out, "\nfilms of the random stream: these figures hold for the pool")?;
    agreement(out, &report.random, &report.answers)?;
    writeln!(
        out,
        "\nfilms that were chosen as hard or typical: lower than on the pool, kappa shifted"
    )?;
    agreement(out, &report.chosen, &report.answers)?;
    writeln!(out, "\nconsensus on films read by several")?;
    for settled in &report.consensus {
        writeln!(out, "  {:<22}{}", settled.rule.to_string(), settled.films)?;
    }
    writeln!(out, "  {:<22}{}", "open disagreements", report.disputed)?;
    writeln!(out, "  {:<22}{}", "adjudicated", report.adjudicated)?;
    for Intra { reader, films, agreement, cohen } in &report.rereads {
        writeln!(out, "\n{reader} with themselves, {films} films read again unawares")?;
        figure(out, "agreement", agreement.as_ref(), *films)?;
        figure(out, "Cohen's kappa", cohen.as_ref(), *films)?;
    }
    for exposed in &report.exposure {
        arm(out, exposed)?;
    }
    if report.automation_bias.is_some() {
        writeln!(out, "\nanswers as the model's, opinion shown before less not before")?;
        let labels = report.exposure.iter().map(|arm| arm.labels).min();
        figure(out, "automation bias", report.automation_bias.as_ref(), labels.unwrap_or(0))?;
    }
    Ok(())
}

fn agreement(out: &mut impl Write, of: &Agreement, answers: &[String]) -> io::Result<()> {
    writeln!(out, "  {:<22}{} ({} readings)", "films", of.films, of.readings)?;
    if of.films == 0 {
        return Ok(());
    }
    for (name, value) in [
        ("agreement", &of.agreement),
        ("Fleiss' kappa", &of.fleiss),
        ("Krippendorff's alpha", &of.krippendorff),
        ("PABAK", &of.pabak),
        ("Gwet's AC1", &of.ac1),
    ] {
        figure(out, name, value.as_ref(), of.films)?;
    }
    for Pair { readers: [one, other], films, agreement, cohen, table } in &of.pairs {
        writeln!(out, "  {one} (rows) and {other} (columns), {films} films")?;
        figure(out, "agreement", agreement.as_ref(), *films)?;
        figure(out, "Cohen's kappa", cohen.as_ref(), *films)?;
        for (answer, row) in answers.iter().zip(table) {
            let row: Vec<String> = row.iter().map(|n| format!("{n:>6}")).collect();
            writeln!(out, "    {answer:<20}{}", row.concat())?;
        }
    }
    Ok(())
}

fn arm(out: &mut impl Write, arm: &Arm) -> io::Result<()> {
    let Arm { exposure, labels, with_model, checked, right, model_wrong, misled } = arm;
    writeln!(out, "\nthe model's opinion shown: {exposure}, {labels} answers")?;
    figure(out, "as the model", with_model.as_ref(), *labels)?;
    writeln!(out, "  {:<22}{checked}", "known otherwise")?;
    figure(out, "right", right.as_ref(), *checked)?;
    writeln!(out, "  {:<22}{model_wrong}", "model wrong")?;
    figure(out, "as the model then", misled.as_ref(), *model_wrong)
}

/// Writes a figure of `n` films or answers; resampling few of them gives an interval that is far too narrow.
fn figure(out: &mut impl Write, name: &str, value: Option<&Estimate>, n: usize) -> io::Result<()> {
    const FEW: usize = 10;
    match value {
        Some(Estimate { value, .. }) if n < FEW => {
            writeln!(out, "  {name:<22}{value:.3} (of {n}: too few for an interval)")
        }
        Some(Estimate { value, low, high }) => {
            writeln!(out, "  {name:<22}{value:.3} ({low:.3} to {high:.3})")
        }
        None => writeln!(out, "  {name:<22}undefined"),
    }
}
