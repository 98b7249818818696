//! Weights by a rule that `tests/golden/networks.py` computes too, so that whole networks can be compared with others
//! without being stored.

use burn::store::{ModuleSnapshot, bridge};
use burn::tensor::{Device, Tensor, TensorData};

use super::exchange::Array;

/// Numbers in 0..1, multiples of 2⁻²⁴: the 32-bit finaliser of `MurmurHash3` on a counter that starts at the FNV-1a hash
/// of the name.
fn units(name: &str, count: usize) -> impl Iterator<Item = f32> {
    let start = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..count as u32).map(move |i| {
        let mut x = start.wrapping_add(i.wrapping_mul(0x9e37_79b9));
        x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
        x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
        ((x ^ (x >> 16)) >> 8) as f32 / (1 << 24) as f32
    })
}

/// A tensor of a network, of a spread that its kind has in a trained one.
pub fn array(name: &str, shape: &[usize]) -> Array {
    let count = shape.iter().product();
    let between = |low: f32, width: f32| units(name, count).map(move |unit| low + width * unit);
    let bound = |bound: f64| units(name, count).map(move |unit| (2.0 * unit - 1.0) * bound as f32);
    let values = match (shape, name.rsplit('.').next()) {
        (&[_, inputs, height, width], _) => {
            bound((6.0 / (inputs * height * width) as f64).sqrt()).collect()
        }
        (&[inputs, _], _) => bound((3.0 / inputs as f64).sqrt()).collect(),
        (_, Some("running_mean")) => bound(0.3).collect(),
        (_, Some("bias" | "beta")) => bound(0.2).collect(),
        _ => between(0.5, 1.0).collect(),
    };
    Array { shape: shape.to_vec(), values }
}

/// Gives every tensor of a module the rule's values.
pub fn fill<M: ModuleSnapshot>(module: &mut M) {
    let tensors = module.collect(None, None, false).into_iter().map(|tensor| {
        let Array { shape, values } = array(&tensor.name, &tensor.shape[..]);
        bridge::from_data(TensorData::new(values, shape), tensor.name.clone(), None)
    });
    let tensors = tensors.collect();
    let applied = module.apply(tensors, None, None, false);
    assert!(applied.errors.is_empty() && applied.missing.is_empty(), "{applied}");
}

/// Films of one channel, `[n, 1, size, size]`.
pub fn films(count: usize, size: usize, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = units("films", count * size * size).collect();
    Tensor::from_data(TensorData::new(values, [count, 1, size, size]), device)
}
