//! Where the model looks, asked while nothing runs and between two steps of learning.

use std::sync::Arc;

use penumbra::engine::{Command, Engine, Event, Explanation};

use super::*;

fn explanation(engine: &Engine, row: usize) -> Arc<Explanation> {
    engine.send(Command::Explain(row));
    wait(engine, "an explanation", |event| match event {
        Event::Explained(found) if found.row == row => Some(found),
        _ => None,
    })
}

#[test]
fn a_film_is_explained_by_the_head_that_ranks_also_while_learning_runs() {
    let room = room();
    let engine = start(room.options(0));
    engine.send(Command::Labels(room.labels(12)));
    ranking_of(&engine, 12);
    // With the first labels that allow it the penalty is chosen, and the films are ranked once more.
    let ranking = ranking_of(&engine, 12);
    let found = explanation(&engine, 3);
    assert_eq!((found.model.as_str(), found.found.maps.len()), ("tiny", 2));
    for (found, ranked) in found.found.probabilities.iter().zip(&ranking.probabilities[6..8]) {
        // The head sees the mean of a film and its mirror image; an explanation is of each, and then averaged.
        assert!((found - ranked).abs() < 0.15, "{found} where the ranking has {ranked}");
    }
    let lit = |map: &penumbra::imaging::Plane| map.pixels.contains(&1.0);
    assert!(found.found.maps.iter().any(lit), "{:?}", found.found.maps);
    engine.send(Command::TrainNow);
    wait(&engine, "learning", |event| matches!(event, Event::LearningStarted { .. }).then_some(()));
    assert_eq!(explanation(&engine, 5).row, 5);
    engine.pause(true);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(explanation(&engine, 6).row, 6, "while learning is paused");
    assert!(engine.progress().unwrap().paused);
    engine.cancel();
}

#[test]
fn a_film_that_is_not_there_is_a_warning() {
    let room = room();
    let engine = start(room.options(0));
    engine.send(Command::Labels(room.labels(2)));
    ranking_of(&engine, 2);
    engine.send(Command::Explain(10_000));
    let text = wait(&engine, "a warning", |event| match event {
        Event::Warning(text) => Some(text),
        _ => None,
    });
    assert!(text.contains("cannot be shown"), "{text}");
}
