//! What the labels would have come to in another order: a strategy is replayed on the films that have a label by now.
//!
//! Each strategy starts from nothing and chooses among the labelled films alone, as no other answers are known; so all
//! curves end at the same point, and strategies that would have left these films differ less here than in life. The head
//! and its penalty are the replay's of [`super::replay`].

use std::collections::BTreeSet;

use super::super::Options;
use super::super::message::LabelSet;
use super::replay::penalty;
use super::{Basis, learnable};
use crate::dataset::FilmId;
use crate::learn::Flow;
use crate::learn::figures::Values;
use crate::query::{ClusterCache, Embeddings, Head, Pool, Strategy, rank};
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
    /// [`LabelSet::version`] that it was made from.
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

/// The labelled films, cut out of the pool.
struct Films {
    features: Embeddings,
    directions: Embeddings,
    ids: Vec<FilmId>,
    classes: Vec<usize>,
}

/// Replays the strategies; `None` if `observe` ends it.
pub(super) fn replay(
    options: &Options,
    base: &Basis,
    labels: &LabelSet,
    observe: &mut dyn FnMut() -> Flow,
) -> Option<Counterfactual> {
    let labelled = learnable(labels, base);
    let n = labelled.rows.len();
    let films = base.reference.as_ref().map_or(0, |reference| reference.1.len());
    let (version, arms) = (labels.version, Vec::new());
    let mut found = Counterfactual { version, labels: n, films, arms };
    if films == 0 || n < 2 {
        return Some(found);
    }
    let l2 = penalty(options, base, &labelled, observe);
    let films = Films {
        features: base.features.select(&labelled.rows),
        directions: base.directions.select(&labelled.rows),
        ids: labelled.rows.iter().map(|&row| options.pool.ids[row]).collect(),
        classes: labelled.classes,
    };
    let batch = n.div_ceil(POINTS);
    let own: Vec<usize> = (0..n).collect();
    let curve = curve(options, base, &films, (&own, batch), l2);
    found.arms.push(Arm { strategy: None, draws: vec![curve] });
    for strategy in STRATEGIES {
        let draws = if strategy == Strategy::Random { DRAWS } else { 1 };
        let mut arm = Arm { strategy: Some(strategy), draws: Vec::new() };
        for draw in 0..draws {
            let seed = options.seed.wrapping_add(draw as u64);
            let order = order(strategy, &films, options.classes.len(), (batch, seed), l2, observe)?;
            arm.draws.push(self::curve(options, base, &films, (&order, batch), l2));
        }
        found.arms.push(arm);
    }
    Some(found)
}

/// Returns the order in which a strategy would have asked for the films; `None` if `observe` ends it.
fn order(
    strategy: Strategy,
    films: &Films,
    class_count: usize,
    (batch, seed): (usize, u64),
    l2: f32,
    observe: &mut dyn FnMut() -> Flow,
) -> Option<Vec<usize>> {
    let n = films.classes.len();
    let mut order: Vec<usize> = (0..n).collect();
    if strategy == Strategy::Random {
        rng::shuffle(&mut rng::stream(seed, "counterfactual", &[]), &mut order);
        return Some(order);
    }
    let mut cache = ClusterCache::default();
    let mut taken: Vec<usize> = Vec::with_capacity(n);
    let mut head: Option<Head> = None;
    while taken.len() < n {
        let classes: Vec<usize> = taken.iter().map(|&film| films.classes[film]).collect();
        let fitted = Head::fit(&films.features, &taken, &classes, class_count, l2, head.as_ref());
        let known: BTreeSet<usize> = taken.iter().copied().collect();
        let candidates: Vec<usize> = (0..n).filter(|film| !known.contains(film)).collect();
        let pool = Pool {
            ids: &films.ids,
            embeddings: &films.directions,
            features: &films.features,
            views: None,
            head: &fitted,
            probabilities: &fitted.probabilities(&films.features),
            class_count,
            labelled: &taken,
            classes: &classes,
            answered: &[],
            candidates: &candidates,
            batch,
        };
        let next = rank(strategy, &pool, batch, seed, &mut cache);
        if next.is_empty() || observe() == Flow::Stop {
            return None;
        }
        head = Some(fitted);
        taken.extend(next.iter().map(|ranked| ranked.index));
    }
    Some(taken)
}

/// Measures the head on the reference films after each batch of an order.
fn curve(
    options: &Options,
    base: &Basis,
    films: &Films,
    (order, batch): (&[usize], usize),
    l2: f32,
) -> Vec<Outcome> {
    let Some(reference) = &base.reference else { return Vec::new() };
    let count = options.classes.len();
    let mut warm: Option<Head> = None;
    let mut points = Vec::new();
    let steps = (batch..order.len()).step_by(batch).chain([order.len()]);
    for at in steps {
        let rows = &order[..at];
        let classes: Vec<usize> = rows.iter().map(|&film| films.classes[film]).collect();
        let head = Head::fit(&films.features, rows, &classes, count, l2, warm.as_ref());
        let held = head.probabilities(&reference.0);
        warm = Some(head);
        if let Ok(values) = Values::of(&held, &reference.1, count, options.positive) {
            points.push(Outcome { labels: at, values });
        }
    }
    points
}
