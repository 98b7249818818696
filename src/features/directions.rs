//! The directions that distances between films are measured in.

use super::embeddings::Embeddings;
use super::pca::Pca;

/// Films above which distances are measured within principal components, and how many of these.
const MANY: usize = 20_000;
const COMPONENTS: usize = 64;

/// Returns the films' directions from the pool's mean; of more than 20,000, within their first 64 principal components, where
/// distances are nearly the same and take a fortieth of the time. Films that cannot be read, which are zeros, tell nothing
/// of the components.
pub(super) fn directions(features: &Embeddings, unreadable: &[usize]) -> Embeddings {
    let directions = features.normalised();
    if features.len() <= MANY {
        return directions;
    }
    let axes = if unreadable.is_empty() {
        Pca::fit(&directions, COMPONENTS, 0)
    } else {
        let readable = |row: &usize| !unreadable.contains(row);
        let rows: Vec<usize> = (0..directions.len()).filter(readable).collect();
        Pca::fit(&directions.select(&rows), COMPONENTS, 0)
    };
    Embeddings::new(axes.count(), axes.apply(&directions))
        .map_or(directions, |reduced| reduced.normalised())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::nearest;
    use crate::rng;

    /// Films around twenty centres: those nearest to each are of its own group.
    #[test]
    fn very_many_films_keep_their_neighbours() {
        let (films, dim) = (MANY + 1, 100);
        let mut random = rng::stream(7, "films", &[]);
        let centres: Vec<f32> = (0..20 * dim).map(|_| rng::normal(&mut random)).collect();
        let values = (0..films * dim)
            .map(|place| {
                centres[(place / dim % 20) * dim + place % dim] + 0.3 * rng::normal(&mut random)
            })
            .collect();
        let many = Embeddings::new(dim, values).unwrap();
        let few = many.select(&[0, 5, 7]);
        assert_eq!(directions(&few, &[]), few.normalised());
        let found = directions(&many, &[]);
        assert_eq!((found.len(), found.dim()), (films, COMPONENTS));
        let asked: Vec<usize> = (0..60).collect();
        let near = nearest(&found, &found.select(&asked), 10, false);
        for (film, near) in near.chunks(10).enumerate() {
            assert!(near.contains(&film));
            assert!(near.iter().all(|other| other % 20 == film % 20), "{film}: {near:?}");
        }
    }
}
