//! Films on a plane by their nearest neighbours: UMAP
//! (<https://arxiv.org/abs/1802.03426>).
//!
//! Distances are those of directions, `sqrt(2 - 2 cos)`. Where umap-learn 0.5 differs: neighbours are exact, the layout
//! starts from principal components and not from the spectrum of the graph, and each pair of neighbours is drawn once, not
//! once from either end. One thread does it, so that the same films and seed always come to lie in the same places.

use rand_chacha::ChaCha8Rng;

use crate::dataset::Flow;
use crate::features::Embeddings;
use crate::features::nearest;
use crate::rng;

/// How the films are placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Neighbours of each film.
    pub neighbours: usize,
    /// Passes over the pairs.
    pub epochs: usize,
    /// Films that a film is pushed from for each one that it is pulled to.
    pub repulsions: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { neighbours: 15, epochs: 300, repulsions: 5 }
    }
}

/// Shape of the attraction over distances on the plane, `1 / (1 + a d^2b)`: what umap-learn's `find_ab_params` gives for
/// a spread of 1 and a least distance of 0.1.
const A: f32 = 1.576_943_5;
const B: f32 = 0.895_060_9;
/// Half the width of the plane that the layout starts on.
const EXTENT: f32 = 10.0;
/// Longest step along one axis.
const CLIP: f32 = 4.0;
/// Steps of the bisection for a film's scale.
const BISECTIONS: usize = 64;

/// Two films and how much they are neighbours, in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge {
    one: usize,
    other: usize,
    weight: f32,
}

/// Places the films of `x`, whose rows have length one, starting from `start`; `None` if `observe`, which is asked after
/// every pass, ends it, or there are fewer than three films.
pub fn embed(
    x: &Embeddings,
    start: &[[f32; 2]],
    settings: &Settings,
    seed: u64,
    observe: &mut dyn FnMut() -> Flow,
) -> Option<Vec<[f32; 2]>> {
    let films = x.len();
    if films < 3 || start.len() != films {
        return None;
    }
    let edges = graph(x, settings.neighbours.min(films - 1));
    let mut places = spread(start, seed);
    let most = edges.iter().map(|edge| edge.weight).fold(0.0, f32::max);
    // A pair is due every `most / weight` passes; one that never is, is left out.
    let mut due: Vec<(Edge, f32, f32)> = edges
        .into_iter()
        .filter(|edge| edge.weight * settings.epochs as f32 >= most)
        .map(|edge| (edge, most / edge.weight, most / edge.weight))
        .collect();
    let mut draws = rng::stream(seed, "neighbour embedding", &[]);
    for epoch in 0..settings.epochs {
        let step = 1.0 - epoch as f32 / settings.epochs as f32;
        for (edge, every, next) in &mut due {
            if *next <= epoch as f32 + 1.0 {
                *next += *every;
                pull(&mut places, edge.one, edge.other, step);
                for film in [edge.one, edge.other] {
                    push(&mut places, film, (step, settings.repulsions.div_ceil(2)), &mut draws);
                }
            }
        }
        if observe() == Flow::Stop {
            return None;
        }
    }
    Some(places)
}

/// Scales the start to the plane and parts films that lie on one another.
fn spread(start: &[[f32; 2]], seed: u64) -> Vec<[f32; 2]> {
    let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
    let widest = start.iter().flatten().map(|&value| finite(value).abs()).fold(0.0, f32::max);
    let scale = if widest > 0.0 { EXTENT / widest } else { 1.0 };
    let mut draws = rng::stream(seed, "neighbour embedding start", &[]);
    start
        .iter()
        .map(|place| place.map(|v| scale * finite(v) + 1e-3 * rng::normal(&mut draws)))
        .collect()
}

/// Moves two neighbours towards one another, by the gradient of the logarithm of their attraction.
fn pull(places: &mut [[f32; 2]], one: usize, other: usize, step: f32) {
    let apart = difference(places[one], places[other]);
    let squared = apart[0] * apart[0] + apart[1] * apart[1];
    if squared <= 0.0 {
        return;
    }
    let strength = -2.0 * A * B * squared.powf(B - 1.0) / (1.0 + A * squared.powf(B));
    for axis in 0..2 {
        let by = step * (strength * apart[axis]).clamp(-CLIP, CLIP);
        places[one][axis] += by;
        places[other][axis] -= by;
    }
}

/// Moves a film away from some others, drawn from all.
fn push(places: &mut [[f32; 2]], film: usize, (step, count): (f32, usize), draws: &mut ChaCha8Rng) {
    for _ in 0..count {
        let other = rng::below(draws, places.len());
        if other == film {
            continue;
        }
        let apart = difference(places[film], places[other]);
        let squared = apart[0] * apart[0] + apart[1] * apart[1];
        let strength = 2.0 * B / ((0.001 + squared) * (1.0 + A * squared.powf(B)));
        for axis in 0..2 {
            places[film][axis] += step * (strength * apart[axis]).clamp(-CLIP, CLIP);
        }
    }
}

fn difference(one: [f32; 2], other: [f32; 2]) -> [f32; 2] {
    [one[0] - other[0], one[1] - other[1]]
}

/// Returns the pairs of neighbours: how much each is the other's, joined as chances are, `p + q - p q`.
fn graph(x: &Embeddings, count: usize) -> Vec<Edge> {
    let neighbours = nearest(x, x, count, true);
    let mut directed: Vec<Edge> = Vec::with_capacity(neighbours.len());
    for (film, others) in neighbours.chunks_exact(count.max(1)).enumerate() {
        let cosine = |other: usize| -> f32 {
            x.row(film).iter().zip(&*x.row(other)).map(|(a, b)| a * b).sum()
        };
        let distances: Vec<f32> =
            others.iter().map(|&other| (2.0 - 2.0 * cosine(other)).max(0.0).sqrt()).collect();
        for (&other, weight) in others.iter().zip(memberships(&distances)) {
            directed.push(Edge { one: film.min(other), other: film.max(other), weight });
        }
    }
    directed.sort_by_key(|edge| (edge.one, edge.other));
    let joined = directed.chunk_by(|a, b| (a.one, a.other) == (b.one, b.other));
    joined
        .map(|pair| Edge {
            weight: pair.iter().fold(0.0, |p, edge| p + edge.weight - p * edge.weight),
            ..pair[0]
        })
        .collect()
}

/// Returns how much each neighbour of a film is one, from their distances: the nearest wholly, the others so that all add
/// up to the base-2 logarithm of their number (section 3.1).
fn memberships(distances: &[f32]) -> Vec<f32> {
    let nearest = distances.iter().copied().filter(|&d| d > 0.0).fold(f32::INFINITY, f32::min);
    let nearest = if nearest.is_finite() { nearest } else { 0.0 };
    let at = |scale: f32| -> Vec<f32> {
        distances.iter().map(|d| (-(d - nearest).max(0.0) / scale).exp()).collect()
    };
    let target = (distances.len() as f32).log2();
    let (mut low, mut high) = (0.0f32, f32::INFINITY);
    let mut scale = 1.0f32;
    for _ in 0..BISECTIONS {
        if at(scale).iter().sum::<f32>() > target {
            high = scale;
            scale = f32::midpoint(low, high);
        } else {
            low = scale;
            scale = if high.is_finite() { f32::midpoint(low, high) } else { 2.0 * scale };
        }
    }
    // Of neighbours that are all as near there is no scale that adds up.
    at(scale.clamp(1e-6, 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five groups of films in thirty dimensions.
    fn groups() -> (Embeddings, Vec<usize>) {
        let mut draws = rng::stream(4, "groups", &[]);
        let centres: Vec<f32> = (0..5 * 30).map(|_| rng::normal(&mut draws)).collect();
        let of = |film: usize| film % 5;
        let mut values = Vec::new();
        for film in 0..300 {
            let centre = &centres[30 * of(film)..][..30];
            values.extend(centre.iter().map(|c| c + 0.25 * rng::normal(&mut draws)));
        }
        (Embeddings::new(30, values).unwrap().normalised(), (0..300).map(of).collect())
    }

    fn nearest_on_plane(places: &[[f32; 2]], film: usize) -> usize {
        let distance = |other: usize| {
            let apart = difference(places[film], places[other]);
            apart[0] * apart[0] + apart[1] * apart[1]
        };
        let others = (0..places.len()).filter(|&other| other != film);
        others.min_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap()
    }

    #[test]
    fn films_of_a_group_lie_together_and_always_in_the_same_places() {
        let (x, group) = groups();
        let mut draws = rng::stream(8, "start", &[]);
        let start: Vec<[f32; 2]> =
            (0..300).map(|_| [(); 2].map(|()| rng::normal(&mut draws))).collect();
        let settings = Settings { epochs: 120, ..Settings::default() };
        let run = |seed| embed(&x, &start, &settings, seed, &mut || Flow::Continue).unwrap();
        let places = run(1);
        let together = |places: &[[f32; 2]]| {
            (0..300).filter(|&film| group[nearest_on_plane(places, film)] == group[film]).count()
        };
        assert!(together(&start) < 120, "the start gives it away");
        assert!(together(&places) >= 295, "{}", together(&places));
        assert!(places.iter().flatten().all(|value| value.is_finite()));
        assert_eq!(places, run(1));
        assert_ne!(places, run(2));
        assert_eq!(embed(&x, &start, &settings, 1, &mut || Flow::Stop), None);
    }

    #[test]
    fn memberships_add_up_to_the_logarithm_and_the_nearest_is_whole() {
        let distances: Vec<f32> = (0..15).map(|k| 0.2 + 0.03 * k as f32 * k as f32).collect();
        let found = memberships(&distances);
        assert_eq!(found[0], 1.0);
        assert!((found.iter().sum::<f32>() - 15f32.log2()).abs() < 1e-3);
        assert!(found.windows(2).all(|pair| pair[0] >= pair[1]));
        // Copies of a film, and neighbours that are all as near.
        for odd in [vec![0.0; 6], vec![0.5; 6]] {
            assert!(memberships(&odd).iter().all(|m| m.is_finite() && *m > 0.0), "{odd:?}");
        }
    }

    #[test]
    fn pairs_come_once_and_join_as_chances_do() {
        let (x, _) = groups();
        let edges = graph(&x, 10);
        assert!(
            edges
                .iter()
                .all(|edge| edge.one < edge.other && edge.weight > 0.0 && edge.weight <= 1.0)
        );
        let mut pairs: Vec<_> = edges.iter().map(|edge| (edge.one, edge.other)).collect();
        pairs.dedup();
        assert_eq!(pairs.len(), edges.len());
        // Each film has ten neighbours; pairs that are each other's are joined.
        assert!((1500..3000).contains(&edges.len()), "{}", edges.len());
    }
}
