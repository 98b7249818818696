//! How the session went so far: what the model was worth after how many labels.

use super::reading::Reading;
use crate::session::{Event, Point, State};

impl Reading {
    /// Returns the model's figures on the reference films, oldest first.
    pub fn measures(&self) -> &[Point] {
        self.workspace.session.state().curve()
    }

    /// Returns after how many labels which model was taken into use.
    pub fn swaps(&self) -> Vec<(usize, String)> {
        let swap = |event: &Event| match event {
            Event::ModelSwap { model, accepted: true, labels, .. } => {
                Some((*labels, model.clone()))
            }
            _ => None,
        };
        self.workspace.session.entries().iter().filter_map(|entry| swap(&entry.event)).collect()
    }

    /// Returns how many films of the random stream the model had right before their label, and how many there were.
    pub fn audit(&self) -> (usize, usize) {
        self.audit_course.last().map_or((0, 0), |&(_, correct, n)| (correct, n))
    }
}

/// Returns for every film of the random stream the films read so far, and of the stream's so far how many the model had
/// right and how many there were.
pub(super) fn audit_course(state: &State) -> Vec<(usize, usize, usize)> {
    let (mut correct, mut n) = (0, 0);
    let mut course = Vec::new();
    // Both go by first answers, so that one walk finds the place of every drawn film.
    let mut places = state.in_order().enumerate();
    for drawn in state.audit() {
        let place = places.find(|(_, (film, _))| *film == drawn.film).map(|(place, _)| place);
        let class = drawn.answer.class().and_then(|name| state.class_index(name));
        let (Some(place), Some(class)) = (place, class) else { continue };
        n += 1;
        correct += usize::from(most_likely(drawn.predicted).is_some_and(|(held, _)| held == class));
        course.push((place + 1, correct, n));
    }
    course
}

/// Returns the most likely class, the first of equals as on the reference films, and its probability.
pub(super) fn most_likely(probabilities: &[f32]) -> Option<(usize, f32)> {
    let likelier =
        |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    probabilities.iter().copied().enumerate().reduce(likelier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equally_likely_classes_the_first_counts_as_on_the_reference_films() {
        for probabilities in [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.1, 0.2, 0.7]] {
            let (class, probability) = most_likely(&probabilities).unwrap();
            let reference = crate::learn::metrics::Confusion::new(&probabilities, &[class], 3);
            assert_eq!(reference.count(class, class), 1, "{probabilities:?}");
            assert!(probabilities.iter().all(|other| *other <= probability));
        }
        assert_eq!(most_likely(&[]), None);
    }
}
