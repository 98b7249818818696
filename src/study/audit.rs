//! How a session went, from its log alone: what the model held of the random stream before each answer, and how long the
//! reading took.

use super::{Checkpoint, Held};
use crate::learn::figures::Figures;
use crate::session::State;
use crate::stats::likeliest;

/// Films of the stream below which its figures say nothing.
const FEWEST: usize = 10;
/// Points of its curve, at most.
const POINTS: usize = 20;

/// How the random stream had gone when one of its films was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPoint {
    /// Films answered by then, of the stream or not.
    pub read: usize,
    /// Films of the stream that the model had right before their label.
    pub correct: usize,
    /// Films of the stream.
    pub n: usize,
}

/// The random stream: films drawn whatever the ranking said, predicted before they were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditStream {
    /// Films answered when each film of the stream had got its answer, ascending.
    pub read: Vec<usize>,
    /// Labels with a class when each film had got its own, ascending.
    pub labels: Vec<usize>,
    /// What the model in use then held of each film; rows are left out.
    pub held: Held,
}

impl AuditStream {
    /// Collects the stream; films that were called uninterpretable have no class to be right about.
    pub fn of(state: &State) -> Self {
        let mut stream = Self::default();
        let mut drawn = state.audit().peekable();
        let mut labels = 0;
        // Both go by first answers, so that one walk finds the place of every drawn film.
        for (place, (film, label)) in state.in_order().enumerate() {
            let class = label.answer.class().and_then(|name| state.class_index(name));
            labels += usize::from(class.is_some());
            let Some(audited) = drawn.next_if(|audited| audited.film == film) else { continue };
            if let Some(class) = class {
                stream.read.push(place + 1);
                stream.labels.push(labels);
                stream.held.probabilities.extend_from_slice(audited.predicted);
                stream.held.truth.push(class);
            }
        }
        stream
    }

    /// Returns for every film of the stream how many the model in use had right before their label, of how many so far.
    pub fn course(&self) -> Vec<AuditPoint> {
        let n = self.read.len();
        let classes = (self.held.probabilities.len() / n.max(1)).max(1);
        let held = self.held.probabilities.chunks_exact(classes);
        let mut correct = 0;
        let mut point = |(place, ((&read, held), &truth)): (usize, ((&usize, &[f32]), &usize))| {
            correct += usize::from(likeliest(held) == truth);
            AuditPoint { read, correct, n: place + 1 }
        };
        self.read.iter().zip(held).zip(&self.held.truth).enumerate().map(&mut point).collect()
    }

    /// Returns the figures on the films of the stream so far, as it grew: each film by the model that was in use before
    /// its label, so that figures lag behind a model that has become better.
    pub fn curve(&self, class_count: usize, positive: usize) -> Vec<Checkpoint> {
        let n = self.labels.len();
        if n < FEWEST {
            return Vec::new();
        }
        let step = (n - FEWEST).div_ceil(POINTS - 1).max(1);
        let mut ends: Vec<usize> = (FEWEST..n).step_by(step).chain([n]).collect();
        ends.dedup();
        let at = |&end: &usize| {
            let probabilities = &self.held.probabilities[..end * class_count];
            let truth = &self.held.truth[..end];
            let figures = Figures::of(probabilities, truth, class_count, positive).ok()?;
            Some(Checkpoint { labels: self.labels[end - 1], figures })
        };
        ends.iter().filter_map(at).collect()
    }
}

/// Returns minutes of reading for the first 0, 1, 2 … labels with a class; readings of films called uninterpretable on the
/// way are in them, time on films put off is not.
pub fn reading_minutes(state: &State) -> Vec<f64> {
    let mut minutes = vec![0.0];
    let mut sum = 0.0;
    for (_, label) in state.in_order() {
        sum += label.ms as f64 / 60_000.0;
        if label.answer.class().is_some() {
            minutes.push(sum);
        }
    }
    minutes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_course_counts_what_was_right_by_the_first_of_equals() {
        let held = Held {
            rows: Vec::new(),
            probabilities: vec![0.5, 0.5, 0.2, 0.8, 0.5, 0.5],
            truth: vec![0, 0, 1],
        };
        let stream = AuditStream { read: vec![2, 5, 9], labels: vec![2, 4, 8], held };
        let course = stream.course();
        let points: Vec<_> = course.iter().map(|p| (p.read, p.correct, p.n)).collect();
        assert_eq!(points, [(2, 1, 1), (5, 1, 2), (9, 1, 3)]);
        assert!(AuditStream::default().course().is_empty());
    }
}
