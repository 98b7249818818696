//! The layers of a convolutional network on the CPU: channels last, over the whole batch.
//!
//! burn's CPU backend convolves film by film with small matrix products and runs batch norm, ReLU and residual sum as
//! separate passes, which trains a ResNet several times slower than the same processor can. The kernels here are plain
//! functions of slices ([`convolution`], which chooses between [`winograd`], [`few_rows`] and patches times kernel,
//! [`norm`], [`pool`]); [`extension`] makes them operations of the backend with gradients, and this module makes those
//! operations layers.
//!
//! Every sum is split by shape and added in a fixed order: results do not depend on the number of threads.
#![expect(
    clippy::inline_always,
    reason = "code is compiled for wider vectors only where it is inlined into its dispatcher"
)]

mod buffers;
mod convolution;
mod extension;
mod few_rows;
mod gemm;
mod kernel_order;
mod norm;
mod pool;
#[cfg(test)]
mod tests;
mod winograd;

pub use self::buffers::release as release_buffers;

use burn::backend::Dispatch;
use burn::nn::conv::Conv2d;
use burn::nn::pool::MaxPool2d;
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::Tensor;

use self::convolution::Geometry;
use self::extension::{Kernels, Residual};
use self::norm::Normalise;
use self::pool::Padding;

/// Runs plain loops compiled for the widest vectors that this processor has.
#[inline(always)]
fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

fn geometry(layer: &Conv2d, input: &Tensor<4>) -> Geometry {
    let [batch, height, width, _] = input.dims();
    let [outputs, inputs, kernel, _] = layer.weight.dims();
    let padding = match layer.padding {
        PaddingConfig2d::Explicit(top, ..) => top,
        PaddingConfig2d::Valid => 0,
        PaddingConfig2d::Same => kernel / 2,
    };
    Geometry {
        batch,
        size: [height, width],
        channels: [inputs, outputs],
        kernel,
        stride: layer.stride[0],
        padding,
    }
}

/// Convolves without bias.
///
/// # Shapes
/// `[n, height, width, channels]` to `[n, height', width', channels']`.
pub fn convolve(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let geometry = geometry(layer, &input);
    let weight = layer.weight.val().into_dispatch();
    let output = <Dispatch as Kernels>::convolution(input.into_dispatch(), weight, geometry);
    Tensor::from_dispatch(output)
}

/// [`convolve`] and [`normalise`], in one pass over the output where no gradients are kept.
pub fn convolve_and_normalise(
    convolution: &Conv2d,
    norm: &BatchNorm,
    input: Tensor<4>,
    residual: Option<Tensor<4>>,
    relu: bool,
) -> Tensor<4> {
    if input.device().is_autodiff() {
        return normalise(norm, convolve(convolution, input), residual, relu);
    }
    let geometry = geometry(convolution, &input);
    let output = <Dispatch as Kernels>::inference(
        input.into_dispatch(),
        convolution.weight.val().into_dispatch(),
        norm.gamma.val().into_dispatch(),
        norm.beta.val().into_dispatch(),
        norm.running_mean.value().into_dispatch(),
        norm.running_var.value().into_dispatch(),
        residual_of(residual),
        geometry,
        Normalise { epsilon: norm.epsilon as f32, relu, of_batch: false },
    );
    Tensor::from_dispatch(output)
}

fn residual_of(residual: Option<Tensor<4>>) -> Residual<Dispatch> {
    residual.map_or(Residual::None, |residual| Residual::Of(residual.into_dispatch()))
}

/// Batch norm with an optional residual added to its result and an optional ReLU after both; updates the running
/// statistics where burn's own layer would.
///
/// # Shapes
/// `[n, height, width, channels]`, unchanged.
pub fn normalise(
    layer: &BatchNorm,
    input: Tensor<4>,
    residual: Option<Tensor<4>>,
    relu: bool,
) -> Tensor<4> {
    let device = input.device();
    let of_batch = device.is_autodiff() && layer.training.is_enabled();
    let input = input.into_dispatch();
    let (mean, variance) = if of_batch {
        let statistics = <Dispatch as Kernels>::statistics(input.clone());
        let statistics = Tensor::<2>::from_dispatch(statistics);
        let channels = statistics.dims()[1];
        let row = |row| statistics.clone().narrow(0, row, 1).reshape([channels]);
        let (mean, variance): (Tensor<1>, Tensor<1>) = (row(0), row(1));
        for (running, new) in [(&layer.running_mean, &mean), (&layer.running_var, &variance)] {
            let old = running.value_sync().to_device(&device).mul_scalar(1.0 - layer.momentum);
            running.update((old + new.clone().mul_scalar(layer.momentum)).detach());
        }
        (mean, variance)
    } else {
        let value = |tensor: Tensor<1>| tensor.to_device(&device);
        (value(layer.running_mean.value()), value(layer.running_var.value()))
    };
    let options = Normalise { epsilon: layer.epsilon as f32, relu, of_batch };
    let output = <Dispatch as Kernels>::normalise(
        input,
        layer.gamma.val().into_dispatch(),
        layer.beta.val().into_dispatch(),
        mean.into_dispatch(),
        variance.into_dispatch(),
        residual_of(residual),
        options,
    );
    Tensor::from_dispatch(output)
}

/// Max pooling over 3×3 windows of stride 2, padded as the layer says.
///
/// # Shapes
/// `[n, height, width, channels]` to `[n, ⌈height / 2⌉, ⌈width / 2⌉, channels]`.
pub fn max_pool(layer: &MaxPool2d, input: Tensor<4>) -> Tensor<4> {
    let padding = match layer.padding {
        PaddingConfig2d::Explicit(..) => Padding::One,
        PaddingConfig2d::Same | PaddingConfig2d::Valid => Padding::Same,
    };
    Tensor::from_dispatch(<Dispatch as Kernels>::max_pool(input.into_dispatch(), padding))
}
