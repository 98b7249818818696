//! The kernels as operations of burn's CPU backend, with their gradients.
#![expect(
    clippy::too_many_arguments,
    reason = "the dispatching macro takes tensors one by one, not in structures"
)]

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, ExtensionType, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::TensorData;

use super::buffers;
use super::convolution::{self, Geometry};
use super::norm::{self, Affine, Normalise};
use super::pool::{self, Padding};

type Plain = FloatTensor<Flex>;

/// What a batch norm adds to its result.
#[derive(ExtensionType)]
pub enum Residual<B: Backend> {
    /// A tensor of the result's shape.
    Of(FloatTensor<B>),
    /// Nothing.
    None,
}

/// Operations on channels-last tensors.
#[backend_extension(Flex, Autodiff)]
pub trait Kernels: Backend {
    /// Convolves `[n, h, w, c]` with a weight of `[c', c, k, k]`.
    fn convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// Mean and biased variance of each channel, `[2, c]`; no gradient runs through it.
    fn statistics(input: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Batch norm, residual sum and ReLU; the gradient runs through the statistics where the options say so.
    fn normalise(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        #[extension_type] residual: Residual<Self>,
        options: Normalise,
    ) -> FloatTensor<Self>;

    /// [`Kernels::convolution`] and [`Kernels::normalise`] in one pass over the output, which keeps no gradients.
    fn inference(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        #[extension_type] residual: Residual<Self>,
        geometry: Geometry,
        options: Normalise,
    ) -> FloatTensor<Self>;

    /// Max pooling.
    fn max_pool(input: FloatTensor<Self>, padding: Padding) -> FloatTensor<Self>;
}

/// The values of a contiguous tensor.
fn values(tensor: &Plain) -> &[f32] {
    let start = tensor.layout().start_offset();
    &tensor.storage::<f32>()[start..start + tensor.layout().num_elements()]
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Plain {
    Plain::from_data(TensorData::new(values, shape))
}

fn like(values: Vec<f32>, other: &Plain) -> Plain {
    Plain::from_data(TensorData::new(values, other.shape()))
}

/// Keeps the memory of tensors that nobody else holds for the next ones.
fn recycle(tensors: impl IntoIterator<Item = Plain>) {
    for tensor in tensors {
        if tensor.is_unique()
            && let Ok(values) = tensor.into_data().try_into_vec()
        {
            buffers::give_back(values);
        }
    }
}

fn last_dimension(tensor: &Plain) -> usize {
    tensor.shape().as_slice().last().copied().unwrap_or(1)
}

impl Residual<Flex> {
    fn contiguous(self) -> Option<Plain> {
        match self {
            Self::Of(residual) => Some(residual.to_contiguous()),
            Self::None => None,
        }
    }
}

impl Kernels for Flex {
    fn convolution(input: Plain, weight: Plain, geometry: Geometry) -> Plain {
        let (input, weight) = (input.to_contiguous(), weight.to_contiguous());
        let [height, width] = geometry.output();
        let output = convolution::forward(values(&input), values(&weight), &geometry, None);
        recycle([input]);
        tensor(output, [geometry.batch, height, width, geometry.channels[1]])
    }

    fn statistics(input: Plain) -> Plain {
        let input = input.to_contiguous();
        let channels = last_dimension(&input);
        tensor(norm::statistics(values(&input), channels), [2, channels])
    }

    fn normalise(
        input: Plain,
        gamma: Plain,
        beta: Plain,
        mean: Plain,
        variance: Plain,
        residual: Residual<Self>,
        options: Normalise,
    ) -> Plain {
        let input = input.to_contiguous();
        let affine = [gamma, beta, mean, variance].map(|tensor| tensor.to_contiguous());
        let residual = residual.contiguous();
        let affine =
            Affine::of(affine.each_ref().map(values), residual.as_ref().map(values), options);
        let output = like(norm::forward(values(&input), &affine), &input);
        drop(affine);
        recycle(std::iter::once(input).chain(residual));
        output
    }

    fn inference(
        input: Plain,
        weight: Plain,
        gamma: Plain,
        beta: Plain,
        mean: Plain,
        variance: Plain,
        residual: Residual<Self>,
        geometry: Geometry,
        options: Normalise,
    ) -> Plain {
        let (input, weight) = (input.to_contiguous(), weight.to_contiguous());
        let affine = [gamma, beta, mean, variance].map(|tensor| tensor.to_contiguous());
        let residual = residual.contiguous();
        let affine =
            Affine::of(affine.each_ref().map(values), residual.as_ref().map(values), options);
        let output =
            convolution::forward(values(&input), values(&weight), &geometry, Some(&affine));
        drop(affine);
        recycle(std::iter::once(input).chain(residual));
        let [height, width] = geometry.output();
        tensor(output, [geometry.batch, height, width, geometry.channels[1]])
    }

    fn max_pool(input: Plain, padding: Padding) -> Plain {
        let input = input.to_contiguous();
        let (output, _) = pooled(&input, padding);
        recycle([input]);
        output
    }
}

fn pooled(input: &Plain, padding: Padding) -> (Plain, Vec<u32>) {
    let [n, height, width, channels] = input.shape().dims();
    let [rows, columns] = pool::output([height, width]);
    let (output, taps) = pool::forward(values(input), [height, width], channels, padding);
    (tensor(output, [n, rows, columns, channels]), taps)
}

#[derive(Debug)]
struct ConvolutionBackward;

impl Backward<Flex, 2> for ConvolutionBackward {
    type State = (Plain, Plain, Geometry);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let ([input_node, weight_node], (input, weight, geometry)) = (ops.parents, ops.state);
        if let Some(node) = weight_node {
            let result = convolution::weight_gradient(values(&input), values(&gradient), &geometry);
            grads.register::<Flex>(node.id, like(result, &weight));
        }
        if let Some(node) = input_node {
            let result = convolution::input_gradient(values(&gradient), values(&weight), &geometry);
            grads.register::<Flex>(node.id, like(result, &input));
        }
        recycle([gradient, input]);
    }
}

#[derive(Debug)]
struct NormaliseBackward;

#[derive(Clone, Debug)]
struct Normalised {
    input: Plain,
    output: Plain,
    affine: [Plain; 3],
    options: Normalise,
}

/// Parents are input, gamma, beta and, where there is one, the residual.
impl<const N: usize> Backward<Flex, N> for NormaliseBackward {
    type State = Normalised;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let Normalised { input, output, affine, options } = ops.state;
        let result = norm::backward(
            values(&gradient),
            [values(&input), values(&output)],
            affine.each_ref().map(values),
            options,
        );
        let results = [
            like(result.input, &input),
            like(result.gamma, &affine[0]),
            like(result.beta, &affine[0]),
            like(result.residual, &input),
        ];
        let parents = ops.parents.into_iter().chain(std::iter::repeat(None));
        for (result, node) in results.into_iter().zip(parents) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, result);
            } else {
                recycle([result]);
            }
        }
        recycle([gradient, input, output]);
    }
}

#[derive(Debug)]
struct MaxPoolBackward;

impl Backward<Flex, 1> for MaxPoolBackward {
    type State = (Vec<u32>, [usize; 4], Padding);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let ([node], (taps, shape, padding)) = (ops.parents, ops.state);
        if let Some(node) = node {
            let [_, height, width, channels] = shape;
            let result =
                pool::backward(values(&gradient), &taps, [height, width], channels, padding);
            grads.register::<Flex>(node.id, tensor(result, shape));
        }
        recycle([gradient]);
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let (input, input_node) = input.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let (input, weight) = (input.to_contiguous(), weight.to_contiguous());
        let output = <Flex as Kernels>::convolution(input.clone(), weight.clone(), geometry);
        let nodes = [input_node, weight_node];
        match ConvolutionBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((input, weight, geometry), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn statistics(input: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(<Flex as Kernels>::statistics(input.into_primitive()))
    }

    fn normalise(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        residual: Residual<Self>,
        options: Normalise,
    ) -> FloatTensor<Self> {
        let (input, input_node) = input.into_parts();
        let (gamma, gamma_node) = gamma.into_parts();
        let (beta, beta_node) = beta.into_parts();
        let (mean, variance) = (mean.into_primitive(), variance.into_primitive());
        let input = input.to_contiguous();
        let (residual, residual_node) = match residual {
            Residual::Of(residual) => {
                let (residual, node) = residual.into_parts();
                (Residual::Of(residual), Some(node))
            }
            Residual::None => (Residual::None, None),
        };
        let output = <Flex as Kernels>::normalise(
            input.clone(),
            gamma.clone(),
            beta,
            mean.clone(),
            variance.clone(),
            residual,
            options,
        );
        let affine = [gamma, mean, variance].map(|tensor| tensor.to_contiguous());
        let state = Normalised { input, output: output.clone(), affine, options };
        let nodes = [input_node, gamma_node, beta_node];
        let Some(residual_node) = residual_node else {
            return match NormaliseBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(state, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            };
        };
        let [input_node, gamma_node, beta_node] = nodes;
        let nodes = [input_node, gamma_node, beta_node, residual_node];
        match NormaliseBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn inference(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        residual: Residual<Self>,
        geometry: Geometry,
        options: Normalise,
    ) -> FloatTensor<Self> {
        let output = Self::convolution(input, weight, geometry);
        Self::normalise(output, gamma, beta, mean, variance, residual, options)
    }

    fn max_pool(input: FloatTensor<Self>, padding: Padding) -> FloatTensor<Self> {
        let (input, node) = input.into_parts();
        let input = input.to_contiguous();
        let (output, taps) = pooled(&input, padding);
        match MaxPoolBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((taps, input.shape().dims(), padding), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
