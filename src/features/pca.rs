//! Principal components of a pool by randomised subspace iteration.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;

use super::embeddings::Embeddings;
use super::lbfgs::inner;
use super::nearest::products;
use crate::rng;

/// Directions that are iterated beside the ones asked for, so that those converge.
const OVERSAMPLING: usize = 16;
/// Times that the data are multiplied through; each widens the gaps between variances by their square.
const ITERATIONS: usize = 5;
/// Films that components are found by at most.
const FITTED: usize = 10_000;
/// Films whose coordinates are found at once.
const FILMS: usize = 1024;
/// Sweeps of Jacobi rotations, which converge quadratically; six or so suffice.
const SWEEPS: usize = 30;

/// The directions of largest variance of a pool, measured without looking at labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    mean: Vec<f32>,
    /// Components x width, rows of length one, largest variance first.
    components: Vec<f32>,
    variances: Vec<f32>,
}

impl Pca {
    /// Finds the `count` first components of `x`, or as many as its films and width allow.
    ///
    /// Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithms 4.4 and 5.1: products in
    /// single precision, bases and the small eigenproblem in double. Components are exact where variances fall off or
    /// the width is small; of a flat spectrum the last ones are mixtures of their neighbours. `seed` draws the start.
    /// Each component's largest weight is positive. Values must be finite. Of more than 10,000 films 5,000 to
    /// 10,000 at equal steps are looked at.
    pub fn fit(x: &Embeddings, count: usize, seed: u64) -> Self {
        if x.len() > FITTED {
            let asked: Vec<usize> = (0..x.len()).step_by(x.len().div_ceil(FITTED)).collect();
            return Self::fit(&x.select(&asked), count, seed);
        }
        let (films, width) = (x.len(), x.dim());
        let mean = means(x);
        let count = count.min(width).min(films.saturating_sub(1));
        if count == 0 {
            return Self { mean, components: Vec::new(), variances: Vec::new() };
        }
        let rows = centred(x, &mean, 0..films);
        let columns = transposed(&rows, width);
        let directions = (count + OVERSAMPLING).min(width).min(films);
        let mut draws = rng::stream(seed, "pca", &[count as u64]);
        let mut basis = random(&mut draws, directions * width);
        for _ in 0..ITERATIONS {
            orthonormalise(&mut basis, width);
            let mut scores = products(&basis, &rows, width);
            orthonormalise(&mut scores, films);
            basis = products(&scores, &columns, films);
        }
        // The basis is now the data seen from orthonormal scores: its own components are the data's.
        let (values, vectors) = eigen(gram(&basis, width));
        let mut components = Vec::with_capacity(count * width);
        for vector in vectors.chunks_exact(directions).take(count) {
            components.extend(combination(vector, &basis, width));
        }
        let freedom = films as f64 - 1.0;
        let variances =
            values[..count].iter().map(|value| (value.max(0.0) / freedom) as f32).collect();
        Self { mean, components, variances }
    }

    /// Returns the variance along each component, with one over films less one.
    pub fn variances(&self) -> &[f32] {
        &self.variances
    }

    /// Returns the number of components.
    pub fn count(&self) -> usize {
        self.variances.len()
    }

    /// Returns the share of the variance of `x`, measured with one over films less one, that the first `count` components have,
    /// in 0..=1.
    pub fn explained(&self, x: &Embeddings, count: usize) -> f64 {
        let held: f64 =
            self.variances.iter().take(count).map(|&variance| f64::from(variance)).sum();
        (held / variance(x).max(f64::MIN_POSITIVE)).min(1.0)
    }

    /// Returns the films' coordinates along the components, films x components; `x` must have the width measured.
    pub fn apply(&self, x: &Embeddings) -> Vec<f32> {
        let (width, mut scores) = (x.dim(), Vec::with_capacity(x.len() * self.count()));
        for start in (0..x.len()).step_by(FILMS) {
            let rows = centred(x, &self.mean, start..(start + FILMS).min(x.len()));
            scores.extend(products(&rows, &self.components, width));
        }
        scores
    }
}

/// Returns the variance of the films over all dimensions together, with one over films less one.
fn variance(x: &Embeddings) -> f64 {
    let n = x.len() as f64;
    let mut sums = vec![0.0f64; x.dim()];
    let mut squares = 0.0f64;
    for film in 0..x.len() {
        for (sum, &value) in sums.iter_mut().zip(&*x.row(film)) {
            *sum += f64::from(value);
            squares += f64::from(value).powi(2);
        }
    }
    let of_mean: f64 = sums.iter().map(|sum| sum * sum).sum::<f64>() / n;
    (squares - of_mean) / (n - 1.0).max(1.0)
}

fn means(x: &Embeddings) -> Vec<f32> {
    let mut sums = vec![0.0f64; x.dim()];
    for film in 0..x.len() {
        sums.iter_mut().zip(&*x.row(film)).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let films = x.len().max(1) as f64;
    sums.into_iter().map(|sum| (sum / films) as f32).collect()
}

fn centred(x: &Embeddings, mean: &[f32], films: Range<usize>) -> Vec<f32> {
    let shift =
        |row: &[f32]| row.iter().zip(mean).map(|(value, mean)| value - mean).collect::<Vec<_>>();
    films.flat_map(|film| shift(&x.row(film))).collect()
}

fn transposed(rows: &[f32], width: usize) -> Vec<f32> {
    let films = rows.len() / width;
    let mut columns = vec![0.0; rows.len()];
    for (film, row) in rows.chunks_exact(width).enumerate() {
        for (column, &value) in row.iter().enumerate() {
            columns[column * films + film] = value;
        }
    }
    columns
}

fn random(draws: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng::normal(draws)).collect()
}

/// Makes rows of `width` orthonormal by Gram and Schmidt's method, twice over for accuracy; a row that depends on those
/// before becomes zeros.
fn orthonormalise(rows: &mut [f32], width: usize) {
    let mut done: Vec<Vec<f64>> = Vec::new();
    for row in rows.chunks_exact_mut(width) {
        let mut own: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        let before = inner(&own, &own).sqrt();
        for _ in 0..2 {
            for other in &done {
                let along = inner(&own, other);
                own.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
            }
        }
        let length = inner(&own, &own).sqrt();
        // Single precision knows the row to a part in 10⁷ only.
        let independent = length > 1e-6 * before;
        let factor = if independent { length.recip() } else { 0.0 };
        for value in &mut own {
            *value *= factor;
        }
        row.iter_mut().zip(&own).for_each(|(value, &own)| *value = own as f32);
        done.push(own);
    }
}

/// The inner products of rows of `width`, row-major, in double precision.
fn gram(rows: &[f32], width: usize) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = rows
        .chunks_exact(width)
        .map(|row| row.iter().map(|&value| f64::from(value)).collect())
        .collect();
    let of_row = |row: &Vec<f64>| rows.iter().map(|other| inner(row, other)).collect::<Vec<f64>>();
    rows.iter().flat_map(of_row).collect()
}

/// Adds up rows of `width` with weights and brings the sum to length one and its largest value above zero.
fn combination(weights: &[f64], rows: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0f64; width];
    for (weight, row) in weights.iter().zip(rows.chunks_exact(width)) {
        sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += weight * f64::from(value));
    }
    let length = inner(&sum, &sum).sqrt();
    let largest = sum
        .iter()
        .copied()
        .fold(0.0f64, |best, value| if value.abs() > best.abs() { value } else { best });
    let divisor = if length > 0.0 { length.copysign(largest) } else { 1.0 };
    sum.into_iter().map(|value| (value / divisor) as f32).collect()
}

/// Eigenvalues, largest first, and eigenvectors, one a row, of a symmetric matrix (cyclic Jacobi; Golub and Van Loan,
/// "Matrix computations", section 8.5).
fn eigen(mut a: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
    let n = (a.len() as f64).sqrt().round() as usize;
    let mut vectors = vec![0.0; n * n];
    for i in 0..n {
        vectors[i * n + i] = 1.0;
    }
    let scale: f64 = a.iter().map(|value| value * value).sum();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i * n + j].powi(2))
            .sum();
        if off <= 1e-28 * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut vectors, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    (values, order.iter().flat_map(|&i| vectors[i * n..][..n].to_vec()).collect())
}

/// Turns rows and columns `p` and `q` so that their common element becomes zero.
fn rotate(a: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    let common = a[p * n + q];
    if common == 0.0 {
        return;
    }
    let tau = (a[q * n + q] - a[p * n + p]) / (2.0 * common);
    let tangent = tau.signum() / (tau.abs() + tau.hypot(1.0));
    let cos = tangent.hypot(1.0).recip();
    let sin = tangent * cos;
    let turn = |x: f64, y: f64| (cos * x - sin * y, sin * x + cos * y);
    for k in 0..n {
        (a[k * n + p], a[k * n + q]) = turn(a[k * n + p], a[k * n + q]);
    }
    for k in 0..n {
        (a[p * n + k], a[q * n + k]) = turn(a[p * n + k], a[q * n + k]);
        (vectors[p * n + k], vectors[q * n + k]) = turn(vectors[p * n + k], vectors[q * n + k]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_of_a_matrix_known_in_closed_form() {
        // The second difference of n points has eigenvalues 2 - 2 cos(k pi / (n + 1)).
        let n = 9;
        let value = |i: usize, j: usize| match i.abs_diff(j) {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        };
        let matrix: Vec<f64> = (0..n * n).map(|at| value(at / n, at % n)).collect();
        let (values, vectors) = eigen(matrix.clone());
        for (i, &found) in values.iter().enumerate() {
            let k = (n - i) as f64;
            let expected = 2.0 - 2.0 * (k * std::f64::consts::PI / (n as f64 + 1.0)).cos();
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            let vector = &vectors[i * n..][..n];
            for row in 0..n {
                let product = inner(&matrix[row * n..][..n], vector);
                assert!((product - found * vector[row]).abs() < 1e-12);
            }
        }
    }

    /// scikit-learn 1.9.1, made by `tests/golden/pca.py`; both make each component's largest weight positive.
    #[test]
    fn components_match_scikit_learn() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/pca.json")).unwrap();
        for case in golden.as_array().unwrap() {
            let numbers = |key: &str| -> Vec<f32> {
                case[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
            };
            let number = |key: &str| case[key].as_u64().unwrap() as usize;
            let x = Embeddings::new(number("width"), numbers("x")).unwrap();
            let pca = Pca::fit(&x, number("components"), 3);
            assert_eq!(pca.count(), number("components"));
            let largest = pca.variances()[0];
            for (found, expected) in pca.variances().iter().zip(numbers("variances")) {
                assert!((found - expected).abs() < 1e-5 * largest, "{found} {expected}");
            }
            let scores = numbers("scores");
            for (found, expected) in pca.apply(&x).iter().zip(&scores) {
                assert!((found - expected).abs() < 1e-4 * largest.sqrt(), "{found} {expected}");
            }
            assert_eq!(scores.len(), 5 * pca.count());
        }
    }

    #[test]
    fn no_more_components_than_there_are() {
        let flat = Embeddings::new(4, [1.0, 2.0, 3.0, 4.0].repeat(5)).unwrap();
        let pca = Pca::fit(&flat, 3, 0);
        assert_eq!(pca.variances(), [0.0; 3]);
        assert!(pca.apply(&flat).iter().all(|value| value.abs() < 1e-6));
        let one = Embeddings::new(4, vec![1.0; 4]).unwrap();
        assert_eq!(Pca::fit(&one, 3, 0).count(), 0);
        assert!(Pca::fit(&one, 3, 0).apply(&one).is_empty());
        let two = Embeddings::new(2, vec![0.0, 0.0, 3.0, 4.0]).unwrap();
        let pca = Pca::fit(&two, 9, 0);
        assert_eq!(pca.count(), 1);
        assert!((pca.variances()[0] - 12.5).abs() < 1e-5);
        assert!((pca.apply(&two)[1] - 2.5).abs() < 1e-6);
    }

    #[test]
    fn the_variance_is_that_of_its_definition() {
        // Columns 1, 2, 6 and 0, 0, 3: variances 7 and 3.
        let x = Embeddings::new(2, vec![1.0, 0.0, 2.0, 0.0, 6.0, 3.0]).unwrap();
        assert!((variance(&x) - 10.0).abs() < 1e-9);
    }
}
