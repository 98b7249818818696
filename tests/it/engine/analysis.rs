//! What the researcher asks of a session is answered beside ranking, the same each time.

use std::sync::Arc;

use penumbra::engine::{Change, Insight, ModelChange, Question};
use penumbra::engine::{Command, Engine, Event, Options};
use penumbra::learn::figures::Figure;
use penumbra::study::AuditStream;
use penumbra::study::analysis::{Analysis, Counterfactual};
use penumbra::study::{LabelSet, ReferenceSet, Source};

use super::{FILMS, Room, ranking_of, room, start, wait};

/// Labels of the pool; the films after them are the reference set.
const LABELS: usize = 30;

fn with_reference(room: &Room) -> Options {
    let options = room.options(0);
    let files: Vec<String> = options.pool.files[40..].to_vec();
    let classes = files.iter().map(|file| file[1..3].parse::<usize>().unwrap() % 2).collect();
    let keys = files.clone();
    let source = Source { root: options.pool.root.clone(), files, keys, ..Source::default() };
    Options { reference: Some(ReferenceSet { source, classes }), ..options }
}

fn ask<T>(engine: &Engine, question: Question, pick: impl Fn(Insight) -> Option<T>) -> T {
    engine.send(Command::Ask(question));
    wait(engine, "an answer", |event| match event {
        Event::Insight(insight) => pick(insight),
        _ => None,
    })
}

fn analysis(engine: &Engine) -> Arc<Analysis> {
    ask(engine, Question::Analyse(AuditStream::default()), |insight| match insight {
        Insight::Analysis(analysis) => Some(analysis),
        _ => None,
    })
}

fn labelled(options: Options, room: &Room) -> Engine {
    let engine = start(options);
    wait(&engine, "the pool", |event| matches!(event, Event::Ready { .. }).then_some(()));
    engine.send(Command::Labels(room.labels(LABELS)));
    ranking_of(&engine, LABELS as u64);
    engine
}

#[test]
fn sources_are_analysed_apart_and_always_alike() {
    let room = room();
    let engine = labelled(with_reference(&room), &room);
    let found = analysis(&engine);
    assert_eq!((found.labels, found.base.as_str(), found.model.as_str()), (LABELS, "tiny", "tiny"));
    let last = found.reference.last().unwrap();
    assert_eq!((last.labels, last.figures.n), (LABELS, 20));
    assert_eq!(found.held_of_reference.truth.len(), 20);
    let last = found.cross_validated.last().unwrap();
    assert_eq!((last.labels, last.figures.n), (LABELS, LABELS));
    assert!(found.cross_validated[0].labels >= 10, "too few labels were cross-validated");
    assert_eq!(found.held_out_of_fold.rows, (0..LABELS).collect::<Vec<_>>());
    assert!(found.audit.is_empty(), "no film was drawn at random");
    assert!(found.forecast.is_some());
    assert_eq!((found.stability.films, found.stability.kappas.len()), (FILMS - LABELS, 0));
    let again = analysis(&engine);
    assert_eq!(again.reference, found.reference);
    assert_eq!(again.held_out_of_fold, found.held_out_of_fold);
    assert_eq!(again.forecast, found.forecast);
}

#[test]
fn other_orders_end_where_the_sessions_own_does() {
    let room = room();
    let engine = labelled(with_reference(&room), &room);
    let counterfactual = |engine: &Engine| -> Arc<Counterfactual> {
        ask(engine, Question::Counterfactual, |insight| match insight {
            Insight::Counterfactual(found) => Some(found),
            _ => None,
        })
    };
    let found = counterfactual(&engine);
    let names: Vec<String> = found
        .arms
        .iter()
        .map(|arm| arm.strategy.map_or_else(String::new, |s| s.to_string()))
        .collect();
    assert_eq!(names, ["", "random", "margin", "typiclust"]);
    let own = found.arms[0].draws[0].last().unwrap().values.get(Figure::Accuracy).unwrap();
    for curve in found.arms.iter().flat_map(|arm| &arm.draws) {
        let last = curve.last().unwrap();
        assert_eq!(last.labels, LABELS);
        let accuracy = last.values.get(Figure::Accuracy).unwrap();
        assert!((accuracy - own).abs() < 0.051, "more than one film of twenty: {accuracy} {own}");
    }
    assert!(found.arms[1].draws.windows(2).any(|pair| pair[0] != pair[1]), "draws are alike");
    // Without reference films there is nothing to measure on, and that is an answer too.
    let engine = labelled(room.options(0), &room);
    assert!(counterfactual(&engine).arms.is_empty());
    assert!(analysis(&engine).reference.is_empty());
}

#[test]
fn the_map_comes_at_once_and_the_neighbour_embedding_after_it() {
    let room = room();
    let engine = start(room.options(0));
    wait(&engine, "the pool", |event| matches!(event, Event::Ready { .. }).then_some(()));
    engine.send(Command::Ask(Question::Map));
    let mut first = None;
    let map = wait(&engine, "the map", |event| match event {
        Event::Insight(Insight::Map(map)) if map.neighbours.is_some() => Some(map),
        Event::Insight(Insight::Map(map)) => {
            first = Some(map);
            None
        }
        _ => None,
    });
    let first = first.unwrap();
    assert_eq!(first.components, map.components);
    assert_eq!((map.components.len(), map.clusters.len()), (FILMS, FILMS));
    assert!(map.neighbours.iter().flatten().flatten().all(|value| value.is_finite()));
    assert!(map.explained > 0.0 && map.explained <= 1.0, "{}", map.explained);
    // The two kinds of films lie apart: the nearest film is of the same kind.
    let others: Vec<usize> = (0..FILMS).collect();
    let alike =
        (0..FILMS).filter(|&film| map.nearest(film, &others, 1)[0].0 % 2 == film % 2).count();
    assert!(alike > 3 * FILMS / 4, "{alike} of {FILMS}");
}

#[test]
fn a_model_can_be_taken_back_into_use_and_one_that_is_gone_cannot() {
    let room = room();
    let engine = labelled(room.options(0), &room);
    let names = vec!["nothing".to_owned(), "tiny".to_owned()];
    let cards = ask(&engine, Question::Cards(names), |insight| match insight {
        Insight::Cards(cards) => Some(cards),
        _ => None,
    });
    assert!(cards[0].1.is_err() && cards[1].1.as_ref().unwrap().preprocess.size == 16);
    engine.send(Command::Use("tiny".to_owned()));
    wait(&engine, "the model", |event| match event {
        Event::ModelChanged(ModelChange { model, change: Change::Chosen }) => {
            assert_eq!(model, "tiny");
            Some(())
        }
        _ => None,
    });
    engine.send(Command::Use("nothing".to_owned()));
    let warning = wait(&engine, "a refusal", |event| match event {
        Event::Warning(text) => Some(text),
        _ => None,
    });
    assert!(warning.starts_with("The model nothing was not taken into use"), "{warning}");
    assert!(engine.progress().is_none());
}

/// After a restart with many labels: the order that stands is that of the chosen penalty, and so is what goes into the log.
#[test]
fn the_first_choice_of_a_penalty_counts_at_once_and_is_what_is_measured() {
    let room = room();
    let engine = start(with_reference(&room));
    engine.send(Command::Labels(room.labels(30)));
    let before = ranking_of(&engine, 30);
    let chosen = ranking_of(&engine, 30);
    assert!(!before.settled && before.reference.is_none());
    assert!(chosen.settled && chosen.reference.is_some());
    let again = LabelSet { version: 31, ..(*room.labels(30)).clone() };
    engine.send(Command::Labels(Arc::new(again)));
    let again = ranking_of(&engine, 31);
    assert_eq!(again.order, chosen.order);
    assert_eq!(again.probabilities, chosen.probabilities);
}
