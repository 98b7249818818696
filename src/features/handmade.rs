//! Hand-made features: the linear floor, which a network has to beat to be worth its cost.

use super::embeddings::{Embeddings, RaggedEmbeddings};
use super::pca::Pca;
use crate::dataset::planes::PlaneStore;
use crate::imaging::{HOG_EDGE, hog};

/// Principal components that are kept of the gradients and of the pixels, each.
const COMPONENTS: usize = 96;

/// Principal components of histograms of oriented gradients and of pixels, both of films of 64×64 pixels, each kind with
/// mean 0 and a mean square of 1 over the pool.
///
/// Everything is measured over a pool without looking at labels. Components keep their sizes relative to one another:
/// brought to one deviation each, the last ones, which are noise, drown the first.
#[derive(Clone, Debug)]
pub struct HandMade {
    gradients: Pca,
    pixels: Pca,
}

impl HandMade {
    /// Measures the components over the films of a pool; `seed` draws where the search for them begins.
    ///
    /// # Errors
    /// Never with planes of at least a pixel: rows are whole.
    pub fn measure(pool: &PlaneStore, seed: u64) -> Result<Self, RaggedEmbeddings> {
        let (gradients, pixels) = describe(pool)?;
        Ok(Self {
            gradients: Pca::fit(&gradients, COMPONENTS, seed),
            pixels: Pca::fit(&pixels, COMPONENTS, seed),
        })
    }

    /// Returns the features of films: 192 each, fewer of a pool that has fewer components.
    ///
    /// # Errors
    /// When the pool had no component, being a single film or several alike.
    pub fn features(&self, films: &PlaneStore) -> Result<Embeddings, RaggedEmbeddings> {
        let (gradients, pixels) = describe(films)?;
        let parts = [scaled(&self.gradients, &gradients), scaled(&self.pixels, &pixels)];
        let widths = [self.gradients.count(), self.pixels.count()];
        let mut values = Vec::with_capacity(parts[0].len() + parts[1].len());
        for film in 0..films.len() {
            for (part, width) in parts.iter().zip(widths) {
                values.extend_from_slice(&part[film * width..][..width]);
            }
        }
        Embeddings::new(widths.iter().sum(), values)
    }
}

/// Returns the gradients and the pixels of films.
fn describe(films: &PlaneStore) -> Result<(Embeddings, Embeddings), RaggedEmbeddings> {
    let (mut gradients, mut pixels) = (Vec::new(), Vec::new());
    for film in 0..films.len() {
        let plane = films.resized(film, HOG_EDGE);
        gradients.extend(hog(&plane));
        pixels.extend(plane.pixels);
    }
    let area = HOG_EDGE as usize * HOG_EDGE as usize;
    let per_film = gradients.len() / films.len().max(1);
    Ok((Embeddings::new(per_film, gradients)?, Embeddings::new(area, pixels)?))
}

/// Returns coordinates along the components, over the root of their mean variance: films x components.
fn scaled(pca: &Pca, x: &Embeddings) -> Vec<f32> {
    let mean = pca.variances().iter().sum::<f32>() / pca.count().max(1) as f32;
    let factor = if mean > 0.0 { mean.sqrt().recip() } else { 0.0 };
    pca.apply(x).into_iter().map(|score| score * factor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Plane;
    use crate::rng;

    fn films(count: usize, seed: u64) -> PlaneStore {
        let planes = (0..count).map(|film| {
            let mut draws = rng::stream(seed, "film", &[film as u64]);
            let (across, down) =
                (rng::uniform(&mut draws, 0.1, 0.6), rng::uniform(&mut draws, 0.1, 0.6));
            let wave =
                |i: u32| 0.5 + 0.4 * (across * (i % 70) as f32 + down * (i / 70) as f32).sin();
            Plane { width: 70, height: 70, pixels: (0..70 * 70).map(wave).collect() }
        });
        PlaneStore::from_planes(70, planes)
    }

    #[test]
    fn each_kind_has_mean_0_and_a_mean_square_of_1_over_the_pool() {
        let pool = films(110, 0);
        let x = HandMade::measure(&pool, 1).unwrap().features(&pool).unwrap();
        assert_eq!((x.len(), x.dim()), (110, 192));
        for column in 0..x.dim() {
            let sum: f64 = (0..x.len()).map(|film| f64::from(x.row(film)[column])).sum();
            assert!(sum.abs() < 0.05, "{column}: {sum}");
        }
        for kind in [0..96, 96..192] {
            let square = |film: usize| -> f64 {
                x.row(film)[kind.clone()].iter().map(|&v| f64::from(v).powi(2)).sum()
            };
            let squares: f64 = (0..x.len()).map(square).sum();
            assert!((squares / (96.0 * 109.0) - 1.0).abs() < 1e-3, "{squares}");
        }
    }

    #[test]
    fn a_film_has_the_same_features_whoever_is_beside_it() {
        let measured = HandMade::measure(&films(30, 0), 1).unwrap();
        let (one, many) = (films(1, 5), films(9, 5));
        let (one, many) = (measured.features(&one).unwrap(), measured.features(&many).unwrap());
        // A pool of 30 has 29 components of each.
        assert_eq!(one.dim(), 58);
        one.row(0).iter().zip(&*many.row(0)).for_each(|(a, b)| assert!((a - b).abs() < 1e-4));
        assert!(HandMade::measure(&films(1, 0), 1).unwrap().features(&films(1, 0)).is_err());
    }
}
