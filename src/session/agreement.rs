//! How far readers agree with each other, with themselves and with the model.
//!
//! Readers are compared by what each said of a film at first: a change may follow a talk with a colleague. Films of the
//! random stream stand for the pool. Films that a strategy or the model's doubt chose are the hard ones, so agreement on
//! them is lower than on the pool and kappa is shifted with their class shares; both are reported apart.

mod bootstrap;
mod coefficients;

use std::collections::BTreeMap;

use serde::Serialize;

use self::bootstrap::Clusters;
pub use self::bootstrap::Estimate;
pub use self::coefficients::{Votes, ac1, cohen, fleiss, krippendorff, observed, pabak, share};
use super::event::{Answer, Source};
use super::protocol::{Exposure, Rule};
use super::reading::Labelled;
use super::state::State;
use crate::dataset::FilmId;

/// Films of the random stream from which on agreement is stated on them alone.
const ENOUGH: usize = 20;

/// How far readers agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Readers, in the order of their first reading.
    pub readers: Vec<String>,
    /// What was answered, in the order of all tables here.
    pub answers: Vec<String>,
    /// Agreement on films of the random stream: an unbiased estimate of agreement on the pool.
    pub random: Agreement,
    /// Agreement on films that were chosen because they are hard or stand for others: biased, mostly downwards.
    pub chosen: Agreement,
    /// Films on which readers disagree and that nobody has settled.
    pub disputed: usize,
    /// Films that an adjudicator has settled.
    pub adjudicated: usize,
    /// Films read by several with an answer that counts by each rule.
    pub consensus: Vec<Settled>,
    /// How far each reader agrees with themselves on films that they were given again without being told.
    pub rereads: Vec<Intra>,
    /// How far readers follow the model, by when they were shown its opinion.
    pub exposure: Vec<Arm>,
    /// By how much the share of answers that follow the model is higher where its opinion was shown before the answer.
    pub automation_bias: Option<Estimate>,
}

/// Agreement of several readers on films that two or more have read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// Films.
    pub films: usize,
    /// Answers to them.
    pub readings: usize,
    /// Share of films on which two of their readers, drawn at random, agree.
    pub agreement: Option<Estimate>,
    /// Fleiss' kappa.
    pub fleiss: Option<Estimate>,
    /// Krippendorff's alpha, nominal.
    pub krippendorff: Option<Estimate>,
    /// Prevalence- and bias-adjusted kappa.
    pub pabak: Option<Estimate>,
    /// Gwet's AC1.
    pub ac1: Option<Estimate>,
    /// Every two readers with films in common.
    pub pairs: Vec<Pair>,
}

/// Agreement of two readers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// Who.
    pub readers: [String; 2],
    /// Films that both have read.
    pub films: usize,
    /// Share of them on which they agree.
    pub agreement: Option<Estimate>,
    /// Cohen's kappa.
    pub cohen: Option<Estimate>,
    /// Films by the first reader's answer (row) and the second's (column).
    pub table: Vec<Vec<usize>>,
}

/// Films read by several that a rule settles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settled {
    /// The rule.
    pub rule: Rule,
    /// Films.
    pub films: usize,
}

/// Agreement of a reader with themselves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Intra {
    /// Who.
    pub reader: String,
    /// Second readings.
    pub films: usize,
    /// Share with the same answer as before.
    pub agreement: Option<Estimate>,
    /// Cohen's kappa of the readings before and after.
    pub cohen: Option<Estimate>,
}

/// First answers of all readers that were given with the model's opinion shown at one time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Arm {
    /// When the opinion was shown.
    pub exposure: Exposure,
    /// Answers.
    pub labels: usize,
    /// Share that is what the model held most likely.
    pub with_model: Option<Estimate>,
    /// Answers to films of which it is known otherwise what they show: an adjudicator or all other readers say the same.
    pub checked: usize,
    /// Share of these that is right.
    pub right: Option<Estimate>,
    /// Answers of these where the model was wrong.
    pub model_wrong: usize,
    /// Share of these that follows the model.
    pub misled: Option<Estimate>,
}

/// What readers agree on: no model can be shown to be better than the labels that it is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ceiling {
    /// Share of films on which two readers agree.
    pub agreement: Estimate,
    /// Films that two or more have read.
    pub films: usize,
    /// Whether they are films of the random stream, so that the figure holds for the pool; otherwise it is too low.
    pub unbiased: bool,
}

/// Returns the agreement between readers as a ceiling of accuracy: on the random stream once 20 films of it have been read
/// by two or more, before that on all such films; `None` as long as there is none. Films of one patient, where known, count
/// as one for the interval.
pub fn ceiling(state: &State, patients: &BTreeMap<FilmId, String>) -> Option<Ceiling> {
    let answers = answers(state);
    let (random, chosen) = double_read(state);
    let unbiased = random.len() >= ENOUGH;
    let films = if unbiased { random } else { [random, chosen].concat() };
    let rated = clusters(&films, patients, |film| votes(state, film, &answers));
    let agreement = rated.estimate(observed)?;
    Some(Ceiling { agreement, films: films.len(), unbiased })
}

/// Returns all figures. Films of one patient, where known, count as one for the intervals.
pub fn report(state: &State, patients: &BTreeMap<FilmId, String>) -> Report {
    let answers = answers(state);
    let (random, chosen) = double_read(state);
    let all = [&random[..], &chosen].concat();
    let settled = |rule: Rule| Settled {
        rule,
        films: all.iter().filter(|&&film| state.consensus(film, rule).answer().is_some()).count(),
    };
    let exposed = Exposure::ALL.map(|exposure| exposed(state, exposure, patients));
    let [before, ..] = &exposed;
    let unaware = merged(state, patients);
    Report {
        readers: state.readers().to_vec(),
        random: agreement(state, &random, &answers, patients),
        chosen: agreement(state, &chosen, &answers, patients),
        disputed: state.disputed().count(),
        adjudicated: state.adjudications().count(),
        consensus: Rule::ALL.map(settled).into(),
        rereads: state
            .readers()
            .iter()
            .filter_map(|reader| intra(state, reader, &answers, patients))
            .collect(),
        automation_bias: before.difference(&unaware, followed),
        exposure: Exposure::ALL
            .into_iter()
            .zip(&exposed)
            .filter(|(_, labels)| labels.len() > 0)
            .map(|(exposure, labels)| arm(exposure, labels))
            .collect(),
        answers: answers.iter().map(ToString::to_string).collect(),
    }
}

/// Returns what can be answered: the classes and, if a reader gave that answer, uninterpretable.
fn answers(state: &State) -> Vec<Answer> {
    let classes = state.classes.iter().cloned().map(Answer::Class);
    let all = state.films.keys().flat_map(|&film| state.first_labels(film));
    let unreadable = all.map(|(_, label)| &label.answer).any(|answer| answer.class().is_none());
    classes.chain(unreadable.then_some(Answer::Uninterpretable)).collect()
}

/// Returns the films that two or more have read: those of the random stream, and the others.
fn double_read(state: &State) -> (Vec<FilmId>, Vec<FilmId>) {
    let several = |film: &FilmId| state.first_labels(*film).nth(1).is_some();
    let films = state.in_order().map(|(film, _)| film).filter(several);
    films.partition(|&film| is_random(state, film))
}

/// Returns whether nothing but chance gave a film to every one of its readers.
fn is_random(state: &State, film: FilmId) -> bool {
    let sources = || state.first_labels(film).map(|(_, label)| &label.source);
    sources().any(|source| matches!(source, Source::Audit { .. }))
        && sources().all(|source| {
            matches!(source, Source::Audit { .. } | Source::Second { doubted: false })
        })
}

fn votes(state: &State, film: FilmId, answers: &[Answer]) -> Votes {
    let given = |answer: &Answer| {
        state.first_labels(film).filter(|(_, label)| label.answer == *answer).count()
    };
    answers.iter().map(|answer| given(answer) as u32).collect()
}

/// Pairs films with what is measured on them, those of one patient together.
fn clusters<T>(
    films: &[FilmId],
    patients: &BTreeMap<FilmId, String>,
    of: impl Fn(FilmId) -> T,
) -> Clusters<T> {
    Clusters::new(films.iter().map(|&film| (cluster(film, patients), of(film))))
}

/// Returns what films are resampled by: their patient or, where that is not known, the film itself.
fn cluster(film: FilmId, patients: &BTreeMap<FilmId, String>) -> (Option<&String>, Option<FilmId>) {
    let patient = patients.get(&film);
    (patient, patient.is_none().then_some(film))
}

fn agreement(
    state: &State,
    films: &[FilmId],
    answers: &[Answer],
    patients: &BTreeMap<FilmId, String>,
) -> Agreement {
    let rated = clusters(films, patients, |film| votes(state, film, answers));
    let readers = state.readers();
    let pairs = readers.iter().enumerate().flat_map(|(place, one)| {
        readers[place + 1..].iter().map(move |other| [one.clone(), other.clone()])
    });
    Agreement {
        films: films.len(),
        readings: films.iter().map(|&film| state.first_labels(film).count()).sum(),
        agreement: rated.estimate(observed),
        fleiss: rated.estimate(fleiss),
        krippendorff: rated.estimate(krippendorff),
        pabak: rated.estimate(pabak),
        ac1: rated.estimate(ac1),
        pairs: pairs
            .filter_map(|readers| pair(state, films, &readers, answers, patients))
            .collect(),
    }
}

fn pair(
    state: &State,
    films: &[FilmId],
    readers: &[String; 2],
    answers: &[Answer],
    patients: &BTreeMap<FilmId, String>,
) -> Option<Pair> {
    let class = |film: FilmId, reader: &str| {
        let mut labels = state.first_labels(film);
        let (_, label) = labels.find(|(other, _)| *other == reader)?;
        answers.iter().position(|answer| *answer == label.answer)
    };
    let both = |film: FilmId| Some((class(film, &readers[0])?, class(film, &readers[1])?));
    let common: Vec<FilmId> = films.iter().copied().filter(|&film| both(film).is_some()).collect();
    let mut table = vec![vec![0; answers.len()]; answers.len()];
    common.iter().filter_map(|&film| both(film)).for_each(|(one, other)| table[one][other] += 1);
    let pairs = clusters(&common, patients, |film| both(film).unwrap_or_default());
    (!common.is_empty()).then(|| Pair {
        films: common.len(),
        agreement: pairs.estimate(|pairs| share(&owned(pairs))),
        cohen: pairs.estimate(|pairs| cohen(&owned(pairs), answers.len())),
        table,
        readers: readers.clone(),
    })
}

fn owned(pairs: &[&(usize, usize)]) -> Vec<(usize, usize)> {
    pairs.iter().map(|pair| **pair).collect()
}

fn intra(
    state: &State,
    reader: &str,
    answers: &[Answer],
    patients: &BTreeMap<FilmId, String>,
) -> Option<Intra> {
    let class = |answer: &Answer| answers.iter().position(|other| other == answer);
    let pairs = Clusters::new(state.of(reader).rereads().filter_map(|(film, reread)| {
        Some((cluster(film, patients), (class(&reread.before)?, class(&reread.answer)?)))
    }));
    (pairs.len() > 0).then(|| Intra {
        reader: reader.to_owned(),
        films: pairs.len(),
        agreement: pairs.estimate(|pairs| share(&owned(pairs))),
        cohen: pairs.estimate(|pairs| cohen(&owned(pairs), answers.len())),
    })
}

/// A first answer that was given with the model's opinion known to the program.
#[derive(Clone, Copy, Debug)]
struct Exposed {
    /// Whether it is what the model held most likely.
    follows: bool,
    /// Whether it is right, and whether the model is, if that is known.
    right: Option<(bool, bool)>,
}

/// Returns the first answers that were given with the model's opinion shown at one time.
fn exposed(
    state: &State,
    exposure: Exposure,
    patients: &BTreeMap<FilmId, String>,
) -> Clusters<Exposed> {
    let films = state.films.keys().flat_map(|&film| {
        state.first_labels(film).map(move |(reader, label)| (film, reader, label))
    });
    Clusters::new(films.filter_map(|(film, reader, label)| {
        let opinion = label.shown.opinion.as_ref().filter(|held| held.exposure == exposure)?;
        // Who took a first answer back has seen the opinion all the same.
        if label.shown.opinion_visible != (exposure == Exposure::Before) {
            return None;
        }
        let held = |answer: &Answer| answer.class() == Some(opinion.class.as_str());
        let truth = known_otherwise(state, film, reader);
        let right = truth.map(|truth| (label.answer == *truth, held(truth)));
        Some((cluster(film, patients), Exposed { follows: held(&label.answer), right }))
    }))
}

/// Returns the first answers that were given before the model's opinion could be seen.
fn merged(state: &State, patients: &BTreeMap<FilmId, String>) -> Clusters<Exposed> {
    let [_, after, never] = Exposure::ALL.map(|exposure| exposed(state, exposure, patients));
    after.with(never)
}

/// Returns what a film shows by others than `reader`: its adjudicator, else all other readers if they agree.
fn known_otherwise<'a>(state: &'a State, film: FilmId, reader: &str) -> Option<&'a Answer> {
    let settled = state.adjudicated(film).map(|settled| &settled.answer);
    settled.or_else(|| {
        let others = || state.first_labels(film).filter(|(other, _)| *other != reader);
        let (_, Labelled { answer, .. }) = others().next()?;
        others().all(|(_, other)| other.answer == *answer).then_some(answer)
    })
}

fn followed(labels: &[&Exposed]) -> Option<f64> {
    part(labels.iter().map(|label| label.follows))
}

fn arm(exposure: Exposure, labels: &Clusters<Exposed>) -> Arm {
    let checked = |labels: &[&Exposed]| -> Vec<(bool, bool, bool)> {
        let known =
            |label: &&Exposed| label.right.map(|(right, model)| (right, model, label.follows));
        labels.iter().filter_map(known).collect()
    };
    let wrong = |labels: &[&Exposed]| -> Vec<bool> {
        let wrong = checked(labels).into_iter().filter(|(_, model, _)| !model);
        wrong.map(|(.., follows)| follows).collect()
    };
    Arm {
        exposure,
        labels: labels.len(),
        with_model: labels.estimate(followed),
        checked: checked(&labels.all()).len(),
        right: labels.estimate(|labels| part(checked(labels).into_iter().map(|(right, ..)| right))),
        model_wrong: wrong(&labels.all()).len(),
        misled: labels.estimate(|labels| part(wrong(labels).into_iter())),
    }
}

/// Returns the share of what is so; `None` of nothing.
fn part(so: impl ExactSizeIterator<Item = bool>) -> Option<f64> {
    let n = so.len();
    (n > 0).then(|| so.filter(|&so| so).count() as f64 / n as f64)
}

#[cfg(test)]
mod tests;
