//! The dot products that everything here is made of.

/// Returns the dot products of four rows with two, all of one length.
///
/// Eight at a time, because each loaded value then serves several products: three times as fast as one by one.
pub(crate) fn dots(a: [&[f32]; 4], b: [&[f32]; 2]) -> [[f32; 2]; 4] {
    const LANES: usize = 4;
    let a = a.map(|row| row.as_chunks::<LANES>());
    let b = b.map(|row| row.as_chunks::<LANES>());
    let mut lanes = [[[0.0f32; LANES]; 2]; 4];
    // Zipped and not indexed, so that no bound is checked inside.
    let first = a[0].0.iter().zip(a[1].0).zip(a[2].0).zip(a[3].0);
    for ((((a0, a1), a2), a3), (b0, b1)) in first.zip(b[0].0.iter().zip(b[1].0)) {
        for (sums, values) in lanes.iter_mut().zip([a0, a1, a2, a3]) {
            for lane in 0..LANES {
                sums[0][lane] += values[lane] * b0[lane];
                sums[1][lane] += values[lane] * b1[lane];
            }
        }
    }
    let mut products = [[0.0; 2]; 4];
    for i in 0..4 {
        for j in 0..2 {
            let rest: f32 = a[i].1.iter().zip(b[j].1).map(|(p, q)| p * q).sum();
            products[i][j] = lanes[i][j].iter().sum::<f32>() + rest;
        }
    }
    products
}

/// Returns the dot product of two rows.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (p, q) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += p[lane] * q[lane];
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(p, q)| p * q).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&p, &q)| f64::from(p) * f64::from(q)).sum()
    }

    proptest! {
        #[test]
        fn dot_products_agree_with_double_precision(
            rows in (1usize..70).prop_flat_map(|d| prop::collection::vec(prop::collection::vec(-1f32..1.0, d), 6))
        ) {
            let r: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            let tile = dots([r[0], r[1], r[2], r[3]], [r[4], r[5]]);
            for i in 0..4 {
                for j in 0..2 {
                    prop_assert!((f64::from(tile[i][j]) - slow(r[i], r[4 + j])).abs() < 1e-4);
                    prop_assert!((f64::from(dot(r[i], r[4 + j])) - slow(r[i], r[4 + j])).abs() < 1e-4);
                }
            }
        }
    }
}
