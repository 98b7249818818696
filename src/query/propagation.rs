//! Label propagation: labels spread over a graph of near films (Zhou et al., "Learning with local and global
//! consistency", 2004), and films outside of it ask their neighbours.

use super::embeddings::Embeddings;
use super::nearest::nearest;

/// Neighbours of a film in the graph.
pub const NEIGHBOURS: usize = 15;
/// Share of a film's distribution that comes from its neighbours, the rest from its own label.
pub const ALPHA: f64 = 0.95;

/// Change of all distributions together, relative to the labels' mass, at which spreading ends.
const SETTLED: f64 = 1e-9;
/// Each round shrinks the change to `alpha` of it; this is for an `alpha` near 1.
const ROUNDS: usize = 2000;

/// Which films are near to which.
///
/// Edges are those of scikit-learn's `LabelSpreading(kernel="knn")`: from a film to each of its nearest, of weight one,
/// *not* made symmetric, and divided by the root of both ends' in-degrees (a film that is nobody's neighbour counts as
/// one). scikit-learn counts a film among its own neighbours and then takes that edge away: its `n_neighbors` is one
/// more than the neighbours here.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Films x neighbours.
    neighbours: Vec<usize>,
    films: usize,
    /// One over the root of each film's in-degree.
    scale: Vec<f64>,
}

impl Graph {
    /// Links each film of `x`, rows of length one, to its `count` nearest others, or to all there are.
    pub fn new(x: &Embeddings, count: usize) -> Self {
        let neighbours = nearest(x, x, count, true);
        let mut degrees = vec![0usize; x.len()];
        for &film in &neighbours {
            degrees[film] += 1;
        }
        let scale = degrees.iter().map(|&degree| (degree.max(1) as f64).sqrt().recip()).collect();
        Self { neighbours, films: x.len(), scale }
    }

    /// Spreads the labels `classes` of the films `rows` and returns each film's distribution: films x classes.
    ///
    /// The limit of `F ← alpha · S F + (1 - alpha) · Y`, whose rows are then brought to a sum of one. With a `prior` the
    /// classes' total masses are brought to it before (class mass normalisation, Zhu, Ghahramani and Lafferty 2003), so
    /// that a class does not win films by having more labels. A film that no label reaches has a row of zeros.
    pub fn spread(
        &self,
        rows: &[usize],
        classes: &[usize],
        class_count: usize,
        alpha: f64,
        prior: Option<&[f32]>,
    ) -> Vec<f32> {
        let mut given = vec![0.0f64; self.films * class_count];
        for (&row, &class) in rows.iter().zip(classes) {
            if class < class_count {
                given[row * class_count..][..class_count].fill(0.0);
                given[row * class_count + class] = 1.0;
            }
        }
        let mut mass = given.clone();
        for _ in 0..ROUNDS {
            let next = self.round(&mass, &given, class_count, alpha);
            let change: f64 = next.iter().zip(&mass).map(|(a, b)| (a - b).abs()).sum();
            mass = next;
            if change <= SETTLED * rows.len() as f64 {
                break;
            }
        }
        if let Some(prior) = prior {
            weigh_classes(&mut mass, class_count, prior);
        }
        mass.chunks_exact(class_count).flat_map(distribution).collect()
    }

    fn round(&self, mass: &[f64], given: &[f64], class_count: usize, alpha: f64) -> Vec<f64> {
        let count = self.neighbours.len() / self.films.max(1);
        let mut next: Vec<f64> = given.iter().map(|value| (1.0 - alpha) * value).collect();
        for (film, row) in next.chunks_exact_mut(class_count).enumerate() {
            for &near in &self.neighbours[film * count..][..count] {
                let weight = alpha * self.scale[film] * self.scale[near];
                let of_near = &mass[near * class_count..][..class_count];
                row.iter_mut().zip(of_near).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        next
    }
}

/// Returns the distributions of films outside of the graph: queries x classes.
///
/// Each is the mean of its `count` nearest pool films' (Delalleau, Bengio and Le Roux, "Efficient non-parametric
/// function induction in semi-supervised learning", 2005, with weights of one, as scikit-learn has it): the queries take
/// no part in the graph, so that they neither pass labels on nor see one another. A film none of whose neighbours was
/// reached by a label has the `prior`, one share a class. Rows of both are of length one.
pub fn vote(
    x: &Embeddings,
    distributions: &[f32],
    queries: &Embeddings,
    count: usize,
    prior: &[f32],
) -> Vec<f32> {
    let classes = prior.len();
    let count = count.min(x.len());
    let near = nearest(x, queries, count, false);
    let mut out = Vec::with_capacity(queries.len() * classes);
    for query in 0..queries.len() {
        let neighbours = &near[query * count..][..count];
        let mut mass = vec![0.0f64; classes];
        for &film in neighbours {
            let of_film = &distributions[film * classes..][..classes];
            mass.iter_mut().zip(of_film).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        if mass.iter().all(|&value| value == 0.0) {
            mass = prior.iter().map(|&share| f64::from(share)).collect();
        }
        out.extend(distribution(&mass));
    }
    out
}

/// Scales each class so that its share of the total mass is the prior's; a class without mass stays without.
fn weigh_classes(mass: &mut [f64], class_count: usize, prior: &[f32]) {
    let mut totals = vec![0.0f64; class_count];
    for row in mass.chunks_exact(class_count) {
        totals.iter_mut().zip(row).for_each(|(total, value)| *total += value);
    }
    for row in mass.chunks_exact_mut(class_count) {
        for ((value, total), &share) in row.iter_mut().zip(&totals).zip(prior) {
            if *total > 0.0 {
                *value *= f64::from(share) / total;
            }
        }
    }
}

/// Brings a row to a sum of one; one of zeros stays.
fn distribution(row: &[f64]) -> Vec<f32> {
    let total: f64 = row.iter().sum();
    let divisor = if total > 0.0 { total } else { 1.0 };
    row.iter().map(|value| (value / divisor) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pairs of films that point the same way each, and a third direction without a label.
    fn directions() -> Embeddings {
        let rows = [
            [1.0, 0.0, 0.0],
            [1.0, 0.1, 0.0],
            [0.0, 1.0, 0.0],
            [0.1, 1.0, 0.0],
            [0.0, 0.0, 1.0],
            [0.0, 0.1, 1.0],
        ];
        Embeddings::new(3, rows.concat()).unwrap().normalised()
    }

    /// scikit-learn 1.9.1, made by `tests/golden/propagation.py`.
    #[test]
    fn distributions_and_votes_match_scikit_learn() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/propagation.json")).unwrap();
        let numbers = |key: &str| -> Vec<f32> {
            golden[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
        };
        let indices = |key: &str| -> Vec<usize> {
            golden[key].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
        };
        let number = |key: &str| golden[key].as_u64().unwrap() as usize;
        let (width, classes, count) = (number("width"), number("classes"), number("neighbours"));
        let x = Embeddings::new(width, numbers("x")).unwrap();
        let graph = Graph::new(&x, count);
        let found = graph.spread(&indices("rows"), &indices("labels"), classes, ALPHA, None);
        let expected = numbers("distributions");
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 2e-6, "{found} {expected}");
        }
        // scikit-learn asks as many films as it counts neighbours.
        let queries = Embeddings::new(width, numbers("queries")).unwrap();
        let votes = vote(&x, &found, &queries, count + 1, &[0.0; 3]);
        for (found, expected) in votes.iter().zip(numbers("votes")) {
            assert!((found - expected).abs() < 2e-6, "{found} {expected}");
        }
    }

    #[test]
    fn pairs_share_a_label_and_what_is_not_reached_has_the_prior() {
        let x = directions();
        let graph = Graph::new(&x, 1);
        let found = graph.spread(&[0, 2], &[0, 1], 2, ALPHA, None);
        assert_eq!(found, [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        let queries = Embeddings::new(3, vec![1.0, 0.05, 0.0, 0.0, 0.0, 1.0]).unwrap();
        assert_eq!(vote(&x, &found, &queries, 2, &[0.3, 0.7]), [1.0, 0.0, 0.3, 0.7]);
    }

    #[test]
    fn two_films_follow_the_closed_form() {
        // S exchanges the two: F = (1 - a) (I - a S)^-1 Y has rows (1, a) and (a, 1) times 1 / (1 + a).
        let x = Embeddings::new(2, vec![1.0, 0.0, 0.8, 0.6]).unwrap();
        let found = Graph::new(&x, 5).spread(&[0, 1], &[0, 1], 2, 0.5, None);
        for (found, expected) in found.iter().zip([2.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn class_masses_become_the_prior() {
        let mut mass = vec![3.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        weigh_classes(&mut mass, 2, &[0.2, 0.8]);
        let total = |class: usize| mass.iter().skip(class).step_by(2).sum::<f64>();
        assert!((total(0) - 0.2).abs() < 1e-6 && (total(1) - 0.8).abs() < 1e-6, "{mass:?}");
    }

    #[test]
    fn nothing_to_learn_from_does_not_panic() {
        let x = directions();
        assert!(
            Graph::new(&x, 3)
                .spread(&[], &[], 2, ALPHA, Some(&[0.5, 0.5]))
                .iter()
                .all(|&p| p == 0.0)
        );
        let one = Embeddings::new(2, vec![1.0, 0.0]).unwrap();
        assert_eq!(Graph::new(&one, 3).spread(&[0], &[1], 2, ALPHA, None), [0.0, 1.0]);
        let none = Embeddings::new(2, Vec::new()).unwrap();
        assert!(Graph::new(&none, 3).spread(&[], &[], 2, ALPHA, None).is_empty());
        assert_eq!(vote(&none, &[], &one, 3, &[0.5, 0.5]), [0.5, 0.5]);
    }
}
