//! The kernels against burn's own operations, against finite differences and against themselves on other threads.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use super::convolution::{self, Geometry};
use super::norm::{self, Affine, Normalise};
use super::pool::Padding;
use super::{convolve, convolve_and_normalise, max_pool, normalise, pool};
use crate::rng;

/// Kernel, stride and padding of every convolution in the networks.
const CONVOLUTIONS: [[usize; 3]; 5] = [[7, 2, 3], [3, 2, 1], [3, 1, 1], [1, 2, 0], [1, 1, 0]];

fn normal(name: &str, count: usize) -> Vec<f32> {
    let mut random = rng::stream(3, name, &[count as u64]);
    (0..count).map(|_| rng::normal(&mut random)).collect()
}

fn tensor<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = normal(name, shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// To and from channels last.
fn last(tensor: Tensor<4>) -> Tensor<4> {
    tensor.permute([0, 2, 3, 1])
}

fn first(tensor: Tensor<4>) -> Tensor<4> {
    tensor.permute([0, 3, 1, 2])
}

/// Holds every value within `tolerance` of the largest.
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error <= tolerance * scale,
            "{what}: {found} and not {expected} at {i}, scale {scale}"
        );
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn geometry([kernel, stride, padding]: [usize; 3], input: [usize; 4], outputs: usize) -> Geometry {
    let [batch, channels, height, width] = input;
    Geometry {
        batch,
        size: [height, width],
        channels: [channels, outputs],
        kernel,
        stride,
        padding,
    }
}

/// Inputs `[n, c, h, w]` and output channels: one film and many, one channel and odd numbers of them, widths from a
/// sixteenth to whole, sizes down to a single pixel, and both more and fewer positions than output channels.
const SHAPES: [([usize; 4], usize); 9] = [
    ([1, 1, 9, 9], 4),
    ([3, 1, 32, 32], 16),
    ([1, 4, 1, 1], 8),
    ([2, 5, 7, 6], 3),
    ([4, 16, 8, 8], 24),
    ([5, 24, 13, 11], 16),
    ([2, 64, 2, 2], 128),
    ([1, 32, 15, 15], 64),
    ([9, 64, 16, 16], 64),
];

fn layer(geometry: &Geometry, device: &Device) -> Conv2d {
    let Geometry { channels: [inputs, outputs], kernel, stride, padding, .. } = *geometry;
    let mut layer = Conv2dConfig::new([inputs, outputs], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_bias(false)
        .with_initializer(Initializer::Zeros)
        .init(device);
    let shape = [outputs, inputs, kernel, kernel];
    layer.weight = layer.weight.map(|_| tensor("weight", shape, device).require_grad());
    layer
}

#[test]
fn convolutions_and_their_gradients_are_burns() {
    let device = Device::flex().autodiff();
    for kind in CONVOLUTIONS {
        for (shape, outputs) in SHAPES {
            let geometry = geometry(kind, shape, outputs);
            let layer = layer(&geometry, &device);
            let run = |own: bool| {
                let input = tensor("input", shape, &device).require_grad();
                let output = if own {
                    first(convolve(&layer, last(input.clone())))
                } else {
                    layer.forward(input.clone())
                };
                let weights = tensor("output", output.dims(), &device);
                let gradients = (output.clone() * weights).sum().backward();
                let of_weight = layer.weight.val().grad(&gradients).unwrap();
                [read(output), read(input.grad(&gradients).unwrap()), read(of_weight)]
            };
            let (own, burns) = (run(true), run(false));
            for (what, (own, burns)) in
                ["output", "input gradient", "weight gradient"].iter().zip(own.iter().zip(&burns))
            {
                assert_close(own, burns, 2e-5, &format!("{what} of {geometry:?}"));
            }
        }
    }
}

/// A convolution is linear in its input and in its weight, so differences of any size are exact.
#[test]
fn gradients_of_convolutions_are_finite_differences() {
    for kind in CONVOLUTIONS {
        for (shape, outputs) in SHAPES {
            let geometry = geometry(kind, shape, outputs);
            let input = normal("input", shape.iter().product());
            let weight = normal("weight", outputs * geometry.patch());
            let weights = normal("output", geometry.rows() * outputs);
            let loss = |input: &[f32], weight: &[f32]| {
                dot(&convolution::forward(input, weight, &geometry, None), &weights)
            };
            let input_step = normal("input step", input.len());
            let weight_step = normal("weight step", weight.len());
            let expected = [loss(&input_step, &weight), loss(&input, &weight_step)];
            let found = [
                dot(&convolution::input_gradient(&weights, &weight, &geometry), &input_step),
                dot(&convolution::weight_gradient(&input, &weights, &geometry), &weight_step),
            ];
            let size = dot(&weights, &weights).sqrt() * (geometry.patch() as f64).sqrt();
            for (found, expected) in found.into_iter().zip(expected) {
                let error = (found - expected).abs();
                assert!(error < 1e-4 * size, "{found} and not {expected} for {geometry:?}");
            }
        }
    }
}

/// A layer with its batch's own statistics, or one that uses what it has.
fn norm_layer(channels: usize, of_batch: bool, device: &Device) -> BatchNorm {
    let mut layer = BatchNormConfig::new(channels).with_epsilon(1e-5).init(device);
    let shift = |name: &str, by: f32| tensor(name, [channels], device) * 0.3 + by;
    layer.gamma = layer.gamma.map(|_| shift("gamma", 1.0).detach().require_grad());
    layer.beta = layer.beta.map(|_| shift("beta", 0.0).detach().require_grad());
    if of_batch { layer } else { layer.freeze().set_require_grad(true) }
}

#[test]
fn batch_norms_with_relu_and_residual_are_burns() {
    let device = Device::flex().autodiff();
    let cases = [
        ([1, 8, 3, 3], true),
        ([6, 3, 9, 7], true),
        ([5, 48, 16, 16], false),
        ([3, 5, 2, 2], false),
    ];
    for ((shape, relu_after), (of_batch, with_residual)) in cases.into_iter().flat_map(|case| {
        [(true, true), (true, false), (false, true), (false, false)].map(|kind| (case, kind))
    }) {
        let run = |own: bool| {
            let layer = norm_layer(shape[1], of_batch, &device);
            let input = (tensor("input", shape, &device) * 2.0 + 0.7).detach().require_grad();
            let residual = with_residual.then(|| tensor("residual", shape, &device).require_grad());
            let output = if own {
                let residual = residual.clone().map(last);
                first(normalise(&layer, last(input.clone()), residual, relu_after))
            } else {
                let plain = layer.forward(input.clone());
                let sum = residual.clone().map_or(plain.clone(), |residual| plain + residual);
                if relu_after { relu(sum) } else { sum }
            };
            let weights = tensor("output", shape, &device);
            let gradients = (output.clone() * weights).sum().backward();
            let residual = residual.map(|residual| read(residual.grad(&gradients).unwrap()));
            let statistics = layer.valid();
            [
                read(output),
                read(input.grad(&gradients).unwrap()),
                read(layer.gamma.val().grad(&gradients).unwrap()),
                read(layer.beta.val().grad(&gradients).unwrap()),
                residual.unwrap_or_default(),
                read(statistics.running_mean.value_sync()),
                read(statistics.running_var.value_sync()),
            ]
        };
        let what = format!("{shape:?}, batch {of_batch}, residual {with_residual}");
        for (own, burns) in run(true).iter().zip(run(false)) {
            assert_close(own, &burns, 5e-5, &what);
        }
    }
}

/// Inference normalises inside the convolution and equals the two layers one after the other.
#[test]
fn inference_is_the_two_layers_in_one() {
    let device = Device::flex();
    for kind in CONVOLUTIONS {
        for (shape, outputs) in SHAPES {
            let geometry = geometry(kind, shape, outputs);
            let convolution = layer(&geometry, &device.clone().autodiff()).valid();
            let norm = norm_layer(outputs, false, &device.clone().autodiff()).valid();
            norm.running_mean.update(tensor("mean", [outputs], &device));
            norm.running_var.update(tensor("variance", [outputs], &device).abs() + 0.1);
            let input = last(tensor("input", shape, &device));
            let plain = convolve(&convolution, input.clone());
            for residual in [None, Some(tensor("residual", plain.dims(), &device))] {
                let (a, b) = (residual.clone(), residual);
                let expected = read(normalise(&norm, plain.clone(), a, true));
                let found =
                    read(convolve_and_normalise(&convolution, &norm, input.clone(), b, true));
                assert_close(&found, &expected, 1e-6, &format!("{geometry:?}"));
            }
        }
    }
}

/// The textbook's batch norm in double precision.
fn norm_in_double(
    [input, gamma, beta, residual]: [&[f64]; 4],
    weights: &[f32],
    epsilon: f64,
) -> f64 {
    let channels = gamma.len();
    let rows = (input.len() / channels) as f64;
    (0..channels)
        .map(|channel| {
            let values = || input.iter().skip(channel).step_by(channels);
            let mean = values().sum::<f64>() / rows;
            let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / rows;
            let output = values().zip(residual.iter().skip(channel).step_by(channels)).map(
                |(value, residual)| {
                    let plain = gamma[channel] * (value - mean) / (variance + epsilon).sqrt();
                    (plain + beta[channel] + residual).max(0.0)
                },
            );
            let weights = weights.iter().skip(channel).step_by(channels);
            output.zip(weights).map(|(output, weight)| output * f64::from(*weight)).sum::<f64>()
        })
        .sum()
}

#[test]
fn gradients_of_batch_norms_are_finite_differences() {
    let (rows, channels) = (600, 3);
    let options = Normalise { epsilon: 1e-5, relu: true, of_batch: true };
    let [input, residual, weights] =
        ["input", "residual", "weights"].map(|name| normal(name, rows * channels));
    let [gamma, beta] = ["gamma", "beta"].map(|name| normal(name, channels));
    let statistics = norm::statistics(&input, channels);
    let (mean, variance) = statistics.split_at(channels);
    let affine = Affine::of([&gamma, &beta, mean, variance], Some(&residual), options);
    let output = norm::forward(&input, &affine);
    let found = norm::backward(&weights, [&input, &output], [&gamma, mean, variance], options);
    let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
    let start = [wide(&input), wide(&gamma), wide(&beta), wide(&residual)];
    let found = [found.input, found.gamma, found.beta, found.residual];
    for (part, gradient) in found.iter().enumerate() {
        for index in [0, 1, 2, gradient.len() / 2, gradient.len() - 1] {
            let at = |step: f64| {
                let mut moved = start.clone();
                let index = index.min(moved[part].len() - 1);
                moved[part][index] += step;
                norm_in_double(moved.each_ref().map(Vec::as_slice), &weights, 1e-5)
            };
            let index = index.min(gradient.len() - 1);
            let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
            let error = (f64::from(gradient[index]) - expected).abs();
            let scale = expected.abs().max(1.0);
            assert!(error < 2e-4 * scale, "part {part}: {} and not {expected}", gradient[index]);
        }
    }
}

#[test]
fn pooling_and_its_gradient_are_burns() {
    let device = Device::flex().autodiff();
    let layer = MaxPool2dConfig::new([3, 3]).with_strides([2, 2]);
    let layers = [PaddingConfig2d::Same, PaddingConfig2d::Explicit(1, 1, 1, 1)]
        .map(|padding| layer.clone().with_padding(padding).init());
    let shapes = [[1, 3, 1, 1], [2, 4, 8, 8], [3, 5, 7, 9], [2, 16, 32, 31]];
    for (layer, shape) in layers.iter().flat_map(|layer| shapes.map(|shape| (layer, shape))) {
        let run = |own: bool| {
            let input = tensor("input", shape, &device).require_grad();
            let output = if own {
                first(max_pool(layer, last(input.clone())))
            } else {
                layer.forward(input.clone())
            };
            let weights = tensor("output", output.dims(), &device);
            let gradients = (output.clone() * weights).sum().backward();
            [read(output), read(input.grad(&gradients).unwrap())]
        };
        for (own, burns) in run(true).iter().zip(run(false)) {
            assert_close(own, &burns, 1e-6, &format!("{shape:?}"));
        }
    }
}

/// Every kernel on one, two and three threads, bit for bit.
#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(every_kernel)
    };
    let one = run(1);
    for threads in [2, 3] {
        for (what, (found, expected)) in run(threads).iter().zip(&one).enumerate() {
            let same = found.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "result {what} differs on {threads} threads");
        }
    }
}

fn every_kernel() -> Vec<Vec<f32>> {
    let mut results = Vec::new();
    for kind in CONVOLUTIONS {
        for (shape, outputs) in [([9, 64, 16, 16], 64), ([3, 128, 4, 4], 256), ([4, 1, 40, 40], 16)]
        {
            let geometry = geometry(kind, shape, outputs);
            let input = normal("input", shape.iter().product());
            let weight = normal("weight", outputs * geometry.patch());
            let gradient = normal("gradient", geometry.rows() * outputs);
            results.push(convolution::forward(&input, &weight, &geometry, None));
            results.push(convolution::input_gradient(&gradient, &weight, &geometry));
            results.push(convolution::weight_gradient(&input, &gradient, &geometry));
        }
    }
    let input = normal("norm", 5_000 * 24);
    let [gamma, beta] = ["gamma", "beta"].map(|name| normal(name, 24));
    let statistics = norm::statistics(&input, 24);
    let (mean, variance) = statistics.split_at(24);
    let options = Normalise { epsilon: 1e-5, relu: true, of_batch: true };
    let affine = Affine::of([&gamma, &beta, mean, variance], None, options);
    let output = norm::forward(&input, &affine);
    let back = norm::backward(&input, [&input, &output], [&gamma, mean, variance], options);
    let (pooled, _) = pool::forward(&input, [50, 100], 24, Padding::Same);
    results.extend([statistics, output, back.input, back.gamma, back.beta, back.residual, pooled]);
    results
}
