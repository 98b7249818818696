//! What the labels would have come to in another order: a strategy is replayed on the films that have a label by now.
//!
//! Each strategy starts from nothing and chooses among the labelled films alone, as no other answers are known; so all
//! curves end at the same point, and strategies that would have left these films differ less here than in life. The head
//! and its penalty are those of [`analyse`](super::analyse).

use super::Task;
use crate::dataset::{FilmId, Flow, Labelled};
use crate::features::Space;
use crate::learn::figures::Values;
use crate::query::{Films, Known, Selector, Strategy};
use crate::rng;

/// Random orders that are averaged.
pub const DRAWS: usize = 5;
/// Points of a curve, about.
const POINTS: usize = 26;
/// Strategies that are replayed beside the session's own order.
const STRATEGIES: [Strategy; 3] = [Strategy::Random, Strategy::Margin, Strategy::Typiclust];

/// What other orders would have come to.
#[derive(Clone, Debug, Default)]
pub struct Counterfactual {
    /// [`LabelSet::version`](crate::study::LabelSet::version) that it was made from.
    pub version: u64,
    /// Labels with a class.
    pub labels: usize,
    /// Reference films.
    pub films: usize,
    /// The session's own order, then the strategies; none without reference films or labels.
    pub arms: Vec<Arm>,
}

/// One order, or the draws of one.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Strategy that chose; `None` for the session's own order.
    pub strategy: Option<Strategy>,
    /// The curve of each draw, on the reference films, at the same numbers of labels.
    pub draws: Vec<Vec<Outcome>>,
}

/// Figures after so many labels; without intervals, as all curves are measured on the same films.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Labels with a class.
    pub labels: usize,
    /// The figures.
    pub values: Values,
}

/// The labelled films, cut out of the pool, and how they are replayed.
struct Course<'a> {
    task: &'a Task,
    space: Space,
    ids: Vec<FilmId>,
    classes: Vec<usize>,
    /// Films between two points of a curve.
    batch: usize,
    l2: f32,
}

/// Replays the strategies; `None` if `observe` ends it.
pub fn replay(task: &Task, observe: &mut dyn FnMut() -> Flow) -> Option<Counterfactual> {
    let labelled = task.labelled();
    let n = labelled.rows.len();
    let films = task.base.reference.as_ref().map_or(0, |reference| reference.1.len());
    let version = task.labels.version;
    let mut found = Counterfactual { version, labels: n, films, arms: Vec::new() };
    if films == 0 || n < 2 {
        return Some(found);
    }
    let course = Course {
        task,
        space: task.base.space.select(&labelled.rows),
        ids: labelled.rows.iter().map(|&row| task.ids[row]).collect(),
        batch: n.div_ceil(POINTS),
        l2: task.penalty(&labelled, observe),
        classes: labelled.classes,
    };
    let own: Vec<usize> = (0..n).collect();
    found.arms.push(Arm { strategy: None, draws: vec![course.curve(&own)] });
    for strategy in STRATEGIES {
        let draws = if strategy == Strategy::Random { DRAWS } else { 1 };
        let mut arm = Arm { strategy: Some(strategy), draws: Vec::new() };
        for draw in 0..draws {
            let seed = task.seed.wrapping_add(draw as u64);
            arm.draws.push(course.curve(&course.order(strategy, seed, observe)?));
        }
        found.arms.push(arm);
    }
    Some(found)
}

impl Course<'_> {
    /// Returns the order in which a strategy would have asked for the films; `None` if `observe` ends it.
    fn order(
        &self,
        strategy: Strategy,
        seed: u64,
        observe: &mut dyn FnMut() -> Flow,
    ) -> Option<Vec<usize>> {
        let n = self.classes.len();
        let mut taken = Labelled::default();
        if strategy == Strategy::Random {
            let mut order: Vec<usize> = (0..n).collect();
            rng::shuffle(&mut rng::stream(seed, "counterfactual", &[]), &mut order);
            return Some(order);
        }
        let mut selector = Selector::new(seed, self.batch);
        let films = Films { ids: &self.ids, space: &self.space, views: None };
        while taken.rows.len() < n {
            let known = Known::new(&self.space, &taken, &[], &[]);
            let next = selector.select(strategy, &films, &known, self.l2, self.batch);
            if next.order.is_empty() || observe() == Flow::Stop {
                return None;
            }
            for film in next.order {
                taken.rows.push(film.index);
                taken.classes.push(self.classes[film.index]);
            }
        }
        Some(taken.rows)
    }

    /// Measures the head on the reference films after each batch of an order.
    fn curve(&self, order: &[usize]) -> Vec<Outcome> {
        let Some(reference) = &self.task.base.reference else { return Vec::new() };
        let classes = order.iter().map(|&film| self.classes[film]).collect();
        let labelled = Labelled { rows: order.to_vec(), classes };
        let steps = (self.batch..order.len()).step_by(self.batch).chain([order.len()]);
        let point = |labels: usize| {
            let head = self.space.head(&labelled.first(labels), self.l2);
            let (held, truth) = (head.probabilities(&reference.0), &reference.1);
            let values = Values::of(&held, truth, self.space.classes(), self.task.positive).ok()?;
            Some(Outcome { labels, values })
        };
        steps.filter_map(point).collect()
    }
}
