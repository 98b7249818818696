//! Nearest neighbours by brute force, and the matrix product that finds them.

use rayon::prelude::*;

use super::dot_product::{dot, dots};
use super::embeddings::Embeddings;

/// Rows of the left matrix that one task multiplies: enough to keep them in the processor's cache while the right one
/// streams past, and fixed, so that nothing depends on the number of threads.
const CHUNK: usize = 64;
/// Films whose similarities to all others are in memory at once.
const QUERIES: usize = 256;

/// Returns the dot product of every row of `a` with every row of `b`, all of `dim` values: rows of `a` x rows of `b`.
pub(super) fn products(a: &[f32], b: &[f32], dim: usize) -> Vec<f32> {
    let columns = b.len() / dim;
    let mut out = vec![0.0; a.len() / dim * columns];
    if columns > 0 {
        let chunks = out.par_chunks_mut(CHUNK * columns).zip(a.par_chunks(CHUNK * dim));
        chunks.for_each(|(out, a)| products_of_chunk(a, b, dim, out));
    }
    out
}

fn products_of_chunk(a: &[f32], b: &[f32], dim: usize, out: &mut [f32]) {
    let rows: Vec<&[f32]> = a.chunks_exact(dim).collect();
    let others: Vec<&[f32]> = b.chunks_exact(dim).collect();
    let (fours, last_rows) = rows.as_chunks::<4>();
    let (pairs, odd) = others.as_chunks::<2>();
    let columns = others.len();
    for (pair, two) in pairs.iter().enumerate() {
        for (four, rows) in fours.iter().enumerate() {
            for (i, product) in dots(*rows, *two).into_iter().enumerate() {
                out[(4 * four + i) * columns + 2 * pair..][..2].copy_from_slice(&product);
            }
        }
    }
    let whole = 4 * fours.len();
    for (row, values) in rows.iter().enumerate() {
        // Rows of a whole four lack the odd column alone.
        let from = if row < whole { columns - odd.len() } else { 0 };
        for column in from..columns {
            out[row * columns + column] = dot(values, others[column]);
        }
    }
    debug_assert_eq!(last_rows.len(), rows.len() - whole);
}

/// Returns for each film of `queries` the `count` films of `x` with the largest dot products, best first, equals in the
/// order of `x`: queries x count indices, or x films where there are fewer.
///
/// On rows of length one these are the nearest films. With `themselves_left_out` the `i`th query is the `i`th film of
/// `x` and no neighbour of its own.
pub fn nearest(
    x: &Embeddings,
    queries: &Embeddings,
    count: usize,
    themselves_left_out: bool,
) -> Vec<usize> {
    let count = count.min(x.len().saturating_sub(usize::from(themselves_left_out)));
    let dim = x.dim();
    let mut found = Vec::with_capacity(queries.len() * count);
    if count == 0 {
        return found;
    }
    let all = x.values();
    for (part, rows) in queries.values().chunks(QUERIES * dim).enumerate() {
        let similarities = products(rows, &all, dim);
        let best: Vec<Vec<usize>> = similarities
            .par_chunks_exact(x.len())
            .enumerate()
            .map(|(row, similarities)| {
                let own = themselves_left_out.then_some(part * QUERIES + row);
                largest(similarities, count, own)
            })
            .collect();
        found.extend(best.into_iter().flatten());
    }
    found
}

/// Returns the places of the `count` largest values but `left_out`, largest first.
fn largest(values: &[f32], count: usize, left_out: Option<usize>) -> Vec<usize> {
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(count + 1);
    for (place, &value) in values.iter().enumerate() {
        // What is no number is nobody's neighbour while there are others.
        let value = if value.is_nan() { f32::NEG_INFINITY } else { value };
        let enters = best.len() < count || best.last().is_some_and(|last| value > last.0);
        if enters && Some(place) != left_out {
            let at = best.partition_point(|known| known.0 >= value);
            best.insert(at, (value, place));
            best.truncate(count);
        }
    }
    best.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn products_and_neighbours_agree_with_a_slow_restatement(
            (dim, values, count) in (1usize..20, 1usize..90)
                .prop_flat_map(|(d, n)| (Just(d), prop::collection::vec(-1f32..1.0, d * n), 1usize..8))
        ) {
            let x = Embeddings::new(dim, values).unwrap();
            let n = x.len();
            let slow = |i: usize, j: usize| -> f64 {
                x.row(i).iter().zip(&*x.row(j)).map(|(&p, &q)| f64::from(p) * f64::from(q)).sum()
            };
            let found = products(&x.values(), &x.values(), dim);
            for i in 0..n {
                for j in 0..n {
                    prop_assert!((f64::from(found[i * n + j]) - slow(i, j)).abs() < 1e-5);
                }
            }
            let neighbours = nearest(&x, &x, count, true);
            let kept = count.min(n - 1);
            prop_assert_eq!(neighbours.len(), n * kept);
            for (i, row) in neighbours.chunks(kept.max(1)).enumerate() {
                prop_assert!(!row.contains(&i));
                let worst = row.iter().map(|&j| slow(i, j)).fold(f64::INFINITY, f64::min);
                let passed_over = (0..n).filter(|j| *j != i && !row.contains(j));
                prop_assert!(passed_over.map(|j| slow(i, j)).all(|other| other < worst + 1e-5));
            }
        }
    }

    #[test]
    fn equals_come_in_order_and_broken_films_last() {
        let x = Embeddings::new(1, vec![1.0, f32::NAN, 2.0, 2.0, 0.5]).unwrap();
        let queries = Embeddings::new(1, vec![1.0]).unwrap();
        assert_eq!(nearest(&x, &queries, 4, false), [2, 3, 0, 4]);
        assert_eq!(nearest(&x, &queries, 9, false), [2, 3, 0, 4, 1]);
        assert_eq!(nearest(&queries, &queries, 3, true), [0usize; 0]);
    }
}
