//! `penumbra agreement`: how far do readers agree with each other, with themselves and with the model?

use std::collections::BTreeMap;

use super::Answer;
use super::readers_args::AgreementArgs;
use crate::config::Home;
use crate::dataset::FilmId;
use crate::dataset::index::load_index;
use crate::engine::workspace::INDEX;
use crate::session::Snapshot;
use crate::session::agreement::{Agreement, Arm, Estimate, Intra, Pair, Report, report};

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
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&args.session, &report);
    }
    Ok(Answer::Yes)
}

fn print(session: &str, report: &Report) {
    println!("{session}: read by {}", report.readers.join(", "));
    println!("intervals: 95 %, bootstrap by patient");
    println!("\nfilms of the random stream: these figures hold for the pool");
    agreement(&report.random, &report.answers);
    println!("\nfilms that were chosen as hard or typical: lower than on the pool, kappa shifted");
    agreement(&report.chosen, &report.answers);
    println!("\nconsensus on films read by several");
    for settled in &report.consensus {
        println!("  {:<22}{}", settled.rule.to_string(), settled.films);
    }
    println!("  {:<22}{}", "open disagreements", report.disputed);
    println!("  {:<22}{}", "adjudicated", report.adjudicated);
    for Intra { reader, films, agreement, cohen } in &report.rereads {
        println!("\n{reader} with themselves, {films} films read again unawares");
        figure("agreement", agreement.as_ref(), *films);
        figure("Cohen's kappa", cohen.as_ref(), *films);
    }
    report.exposure.iter().for_each(arm);
    if report.automation_bias.is_some() {
        println!("\nanswers as the model's, opinion shown before less not before");
        let labels = report.exposure.iter().map(|arm| arm.labels).min();
        figure("automation bias", report.automation_bias.as_ref(), labels.unwrap_or(0));
    }
}

fn agreement(of: &Agreement, answers: &[String]) {
    println!("  {:<22}{} ({} readings)", "films", of.films, of.readings);
    if of.films == 0 {
        return;
    }
    for (name, value) in [
        ("agreement", &of.agreement),
        ("Fleiss' kappa", &of.fleiss),
        ("Krippendorff's alpha", &of.krippendorff),
        ("PABAK", &of.pabak),
        ("Gwet's AC1", &of.ac1),
    ] {
        figure(name, value.as_ref(), of.films);
    }
    for Pair { readers: [one, other], films, agreement, cohen, table } in &of.pairs {
        println!("  {one} (rows) and {other} (columns), {films} films");
        figure("agreement", agreement.as_ref(), *films);
        figure("Cohen's kappa", cohen.as_ref(), *films);
        for (answer, row) in answers.iter().zip(table) {
            let row: Vec<String> = row.iter().map(|n| format!("{n:>6}")).collect();
            println!("    {answer:<20}{}", row.concat());
        }
    }
}

fn arm(arm: &Arm) {
    let Arm { exposure, labels, with_model, checked, right, model_wrong, misled } = arm;
    println!("\nthe model's opinion shown: {exposure}, {labels} answers");
    figure("as the model", with_model.as_ref(), *labels);
    println!("  {:<22}{checked}", "known otherwise");
    figure("right", right.as_ref(), *checked);
    println!("  {:<22}{model_wrong}", "model wrong");
    figure("as the model then", misled.as_ref(), *model_wrong);
}

/// Writes a figure of `n` films or answers; resampling few of them gives an interval that is far too narrow.
fn figure(name: &str, value: Option<&Estimate>, n: usize) {
    const FEW: usize = 10;
    match value {
        Some(Estimate { value, .. }) if n < FEW => {
            println!("  {name:<22}{value:.3} (of {n}: too few for an interval)");
        }
        Some(Estimate { value, low, high }) => {
            println!("  {name:<22}{value:.3} ({low:.3} to {high:.3})");
        }
        None => println!("  {name:<22}undefined"),
    }
}
