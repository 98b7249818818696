//! `MODEL_CARD.md`: what was labelled, by whom, how films were chosen, and which model ranked them.
//!
//! The headings follow Mitchell et al., Model Cards for Model Reporting (2019), as far as a labelled set has them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::tables::Read;
use super::{Facts, Model, SPLITS};
use crate::session::event::{Answer, Event, Source};
use crate::session::protocol::Rule;
use crate::stats::argmax;

/// Writes the card.
pub(super) fn card(facts: &Facts<'_>, read: &[Read<'_>]) -> String {
    let header = &facts.snapshot.header;
    let mut card = format!("# {}\n\n", header.name);
    // Writing to a string cannot fail.
    let mut line = |text: String| _ = writeln!(card, "{text}");
    line("Labels of chest X-rays, made with Penumbra. Research data; not a medical device, not for diagnosis.\n".to_owned());
    line("| | |\n|---|---|".to_owned());
    line(format!(
        "| session | {}, made {} with Penumbra {} |",
        header.id, header.created, header.app_version
    ));
    line(format!("| sealed | {} with Penumbra {} |", facts.made, env!("CARGO_PKG_VERSION")));
    line(format!(
        "| log | {} events, head `{}` |",
        facts.snapshot.state.entries(),
        facts.snapshot.head
    ));
    let patients: BTreeSet<&str> = facts.films.iter().map(|film| film.patient.as_str()).collect();
    line(format!(
        "| films | {} of {} patients; {} were read |\n",
        facts.films.len(),
        patients.len(),
        read.len()
    ));
    classes(facts, read, &mut line);
    readers(read, &mut line);
    choice(read, &mut line);
    audit(facts, &mut line);
    model(facts.model, &mut line);
    line(format!(
        "## Splits\n\nWhole patients, drawn by the hash of their names: {} percent of them for {}, seed {}. Patients are \
         as the session groups them, by DICOM Patient ID, file name or a pattern; a wrong grouping leaks.\n",
        facts.splits,
        SPLITS.join(", "),
        facts.splits.seed
    ));
    line(
        "## Limits\n\n- Films chosen by a strategy are the ones that the model was unsure of, or found typical: classes \
         have other shares among them than in the pool, and agreement and accuracy on them are not those of the pool. \
         Only the random audit stream is free of that.\n- Age, sex, detector and site are not recorded here.\n- File \
         names, readers' names and notes stand in the log as they were entered; look through them before publishing."
            .to_owned(),
    );
    card
}

/// Answers by split.
fn classes(facts: &Facts<'_>, read: &[Read<'_>], line: &mut dyn FnMut(String)) {
    let rule = facts.snapshot.state.rule();
    let meant = match rule {
        Rule::Unanimous => "all readers of a film give one answer",
        Rule::Majority => "more than half of a film's readers give one answer",
        Rule::Adjudicator => "an adjudicator's answer; without one, all readers of a film give one",
    };
    line(format!("## Labels\n\nConsensus: {rule} ({meant}).\n"));
    line(format!("| answer | {} |\n|---|{}", SPLITS.join(" | "), "---|".repeat(SPLITS.len())));
    let count = |name: &str, holds: &dyn Fn(Option<&Answer>) -> bool| {
        let of = |split: &&str| {
            read.iter().filter(|read| read.split == *split && holds(read.agreed)).count()
        };
        let counts: Vec<_> = SPLITS.iter().map(|split| of(split).to_string()).collect();
        format!("| {name} | {} |", counts.join(" | "))
    };
    for class in facts.snapshot.state.classes() {
        line(count(class, &|agreed| agreed.and_then(Answer::class) == Some(class)));
    }
    line(count("uninterpretable", &|agreed| agreed == Some(&Answer::Uninterpretable)));
    line(format!("{}\n", count("unresolved", &|agreed| agreed.is_none())));
}

/// Films and median reading time of each reader.
fn readers(read: &[Read<'_>], line: &mut dyn FnMut(String)) {
    let mut readers = BTreeMap::<&str, (usize, Vec<u64>)>::new();
    for reading in read.iter().flat_map(|read| &read.readings) {
        let (films, times) = readers.entry(reading.reader).or_default();
        *films += 1;
        // How long others took is not known.
        if !matches!(reading.source, Some(Source::Import { .. })) {
            times.push(reading.ms);
        }
    }
    line("## Readers\n\n| reader | films | median reading time |\n|---|---|---|".to_owned());
    for (reader, (films, mut times)) in readers {
        times.sort_unstable();
        let median = times.get(times.len() / 2).map(|&ms| format!("{:.1} s", ms as f64 / 1e3));
        line(format!("| {reader} | {films} | {} |", median.unwrap_or_default()));
    }
    let twice = read.iter().filter(|read| read.readings.len() > 1).count();
    line(format!("\n{twice} films were read by more than one reader.\n"));
}

/// Why films were read.
fn choice(read: &[Read<'_>], line: &mut dyn FnMut(String)) {
    let mut sources = BTreeMap::<String, usize>::new();
    for reading in read.iter().flat_map(|read| &read.readings) {
        let source =
            reading.source.map_or_else(|| "change of an answer".to_owned(), ToString::to_string);
        *sources.entry(source).or_default() += 1;
    }
    line("## How films were chosen\n\n| source | readings |\n|---|---|".to_owned());
    for (source, count) in sources {
        line(format!("| {source} | {count} |"));
    }
    line("\n`queue:` is a strategy's ranking, `audit` a random draw, `browse` the reader's own choice, `import:` labels from a file.\n".to_owned());
}

/// What the model held of randomly drawn films before they were read.
fn audit(facts: &Facts<'_>, line: &mut dyn FnMut(String)) {
    let classes = facts.snapshot.state.classes();
    let (mut right, mut all) = (0, 0);
    for audited in facts.snapshot.state.audit() {
        let best = argmax(audited.predicted);
        let Some((class, best)) = audited.answer.class().zip(best) else { continue };
        all += 1;
        right += usize::from(classes.get(best).is_some_and(|name| name == class));
    }
    let visible = facts.snapshot.entries.iter().filter(|entry| {
        matches!(&entry.event, Event::Label { source, shown, .. }
            if shown.opinion_visible && !matches!(source, Source::Import { .. }))
    });
    line(format!(
        "## Random audit\n\nOf {all} films drawn at random and called a class, the model's prediction before the reading \
         was the reader's answer on {right}. The model's opinion could be seen before the answer on {} films.\n",
        visible.count()
    ));
}

/// The model that ranked the films.
fn model(model: Option<&Model>, line: &mut dyn FnMut(String)) {
    line("## Model\n".to_owned());
    let Some(Model { name, card }) = model else {
        return line("No model is recorded with this set.\n".to_owned());
    };
    line(format!(
        "Films were ranked, last, by a logistic head on the features of `{name}`; all about it is in `model.json`.\n"
    ));
    let Ok(Value::Object(card)) = serde_json::from_slice(card) else { return };
    line("| | |\n|---|---|".to_owned());
    for key in ["kind", "architecture", "preprocess", "parent", "seed", "metrics", "weights_hash"] {
        let Some(value) = card.get(key).filter(|value| !value.is_null()) else { continue };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        line(format!("| {key} | {} |", text.replace('|', "\\|")));
    }
    line(String::new());
}
