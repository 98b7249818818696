//! Networks as ONNX files (<https://onnx.ai>, operator set 17), which other programs run.
//!
//! Input `films`, `[n, 1, size, size]` in 0..=1; output `features` of a pretrained encoder, `logits` of a classifier.
//! The number of films is free, the size is the model's.

mod graph;
mod proto;
#[cfg(test)]
mod tests;

use burn::nn::conv::Conv2d;
use burn::nn::pool::MaxPool2d;
use burn::nn::{BatchNorm, Linear, PaddingConfig2d};
use prost::Message as _;

use self::graph::{Graph, float, int, ints, value};
use self::proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use super::block::{Block, ConvNorm};
use super::embedding::{ROOT_OFFSET, opposite_shares, shares};
use super::head::LENGTH_OFFSET;
use super::resnet::IMAGENET;
use super::selective_kernel::{AveragePool, SelectiveKernel};
use super::{Classifier, ClassifierHead, Encoder, Probe};

/// Most bytes that a protobuf message can have.
const MOST: usize = i32::MAX as usize;

/// Why a network cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The device did not give the weights.
    #[error("the weights cannot be read from the device: {0}")]
    Device(String),
    /// An ONNX file of one piece is limited.
    #[error("the network has {0} bytes, and an ONNX file can hold 2 GiB")]
    TooLarge(usize),
}

/// Writes an encoder as an ONNX file that gives features, for films of `size` pixels. `notes` become its metadata.
///
/// # Errors
/// Fails if the device does not give the weights, or if they are more than 2 GiB.
pub fn encoder(
    encoder: &Encoder,
    size: usize,
    notes: &[(&str, String)],
) -> Result<Vec<u8>, OnnxError> {
    let mut exporter = Exporter { graph: Graph::default(), size, groups: Vec::new() };
    let length = exporter.encoder(encoder, "features")?;
    exporter.finish(size, "features", length, notes)
}

/// Writes a classifier as an ONNX file that gives logits, for films of `size` pixels. `notes` become its metadata.
///
/// # Errors
/// Fails if the device does not give the weights, or if they are more than 2 GiB.
pub fn classifier(
    classifier: &Classifier,
    size: usize,
    notes: &[(&str, String)],
) -> Result<Vec<u8>, OnnxError> {
    let mut exporter = Exporter { graph: Graph::default(), size, groups: Vec::new() };
    exporter.encoder(&classifier.encoder, "encoder.features")?;
    let ClassifierHead { first, scores } = &classifier.head;
    let hidden = exporter.linear("head.first.linear", &first.linear, "encoder.features")?;
    let hidden = exporter.norm("head.first.norm", &first.norm, &hidden)?;
    let hidden = exporter.relu("head.first.relu", &hidden);
    let output = if classifier.probe.is_some() { "head.scores" } else { "logits" };
    exporter.linear(output, scores, &hidden)?;
    if let Some(probe) = &classifier.probe {
        exporter.probe(probe, output)?;
    }
    exporter.finish(size, "logits", scores.weight.dims()[1], notes)
}

/// Turns layers into nodes.
struct Exporter {
    graph: Graph,
    /// Edge of the feature map, on which the padding of pooling depends.
    size: usize,
    /// Outputs of the groups so far.
    groups: Vec<Group>,
}

/// Output of a group of blocks.
struct Group {
    map: String,
    channels: usize,
    size: usize,
}

impl Exporter {
    fn finish(
        self,
        size: usize,
        output: &str,
        length: usize,
        notes: &[(&str, String)],
    ) -> Result<Vec<u8>, OnnxError> {
        let (films, output) = (value("films", &[1, size, size]), value(output, &[length]));
        let note = |(key, value): &(&str, String)| StringStringEntryProto {
            key: (*key).to_owned(),
            value: value.clone(),
        };
        let model = ModelProto {
            ir_version: 8,
            producer_name: "penumbra".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(Box::new(self.graph.finish("penumbra", films, output))),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
            metadata_props: notes.iter().map(note).collect(),
        };
        let length = model.encoded_len();
        if length > MOST { Err(OnnxError::TooLarge(length)) } else { Ok(model.encode_to_vec()) }
    }

    /// Adds the whole encoder; returns the number of its features.
    fn encoder(&mut self, encoder: &Encoder, output: &str) -> Result<usize, OnnxError> {
        let films = self.films(encoder);
        let mut hidden = self.layer("stem", (&encoder.stem, &encoder.stem_norm), &films)?;
        hidden = self.relu("stem.relu", &hidden);
        for (i, ConvNorm { conv, norm }) in encoder.deep_stem.iter().enumerate() {
            let name = format!("deep_stem.{i}");
            hidden = self.layer(&name, (conv, norm), &hidden)?;
            hidden = self.relu(&format!("{name}.relu"), &hidden);
        }
        if let Some(pool) = &encoder.pool {
            hidden = self.max_pool(pool, &hidden);
        }
        let mut features = 0;
        for (i, block) in encoder.blocks.iter().enumerate() {
            hidden = self.block(&format!("blocks.{i}"), block, &hidden)?;
            let last = block.last.as_ref().map_or(&block.norm2, |last| &last.norm);
            features = last.gamma.dims()[0];
            // A group's blocks have as many channels as its last, and each group has more than the one before.
            self.groups.pop_if(|group| group.channels == features);
            self.groups.push(Group { map: hidden.clone(), channels: features, size: self.size });
        }
        let pooled = self.graph.node("GlobalAveragePool", "pooled", &[&hidden], Vec::new());
        self.graph.node("Flatten", output, &[&pooled], vec![int("axis", 1)]);
        Ok(features)
    }

    /// Adds the scores of a linear head on the film's embedding to those of `scores`; the sum is `logits`.
    fn probe(&mut self, probe: &Probe, scores: &str) -> Result<(), OnnxError> {
        self.embedding();
        let dim = probe.centre.dims()[0];
        self.graph.weight("probe.centre", probe.centre.val())?;
        self.operation("Sub", "probe.centred", &["embedding", "probe.centre"]);
        // Which dimensions are of which block, with the share that each has in the block's mean square: what is summed by
        // it and spread by its counterpart is each dimension's divisor.
        let count = probe.blocks.len();
        let share = count as f32 / dim as f32;
        let (mut into, mut back) = (vec![0.0; dim * count], vec![0.0; dim * count]);
        let owners =
            probe.blocks.iter().enumerate().flat_map(|(block, &n)| (0..n).map(move |_| block));
        for (place, block) in owners.enumerate() {
            into[place * count + block] = share;
            back[block * dim + place] = 1.0;
        }
        self.graph.constant("probe.into_blocks", &[dim, count], &into);
        self.graph.constant("probe.out_of_blocks", &[count, dim], &back);
        self.graph.constant("probe.least", &[1], &[LENGTH_OFFSET * share]);
        self.operation("Mul", "probe.squares", &["probe.centred", "probe.centred"]);
        self.operation("MatMul", "probe.means", &["probe.squares", "probe.into_blocks"]);
        self.operation("Add", "probe.mean_squares", &["probe.means", "probe.least"]);
        self.operation("Sqrt", "probe.lengths", &["probe.mean_squares"]);
        self.operation("MatMul", "probe.divisors", &["probe.lengths", "probe.out_of_blocks"]);
        self.operation("Div", "probe.features", &["probe.centred", "probe.divisors"]);
        self.linear("probe.scores", &probe.scores, "probe.features")?;
        self.operation("Add", "logits", &[scores, "probe.scores"]);
        Ok(())
    }

    /// Adds the embedding, as `model::embedding` has it.
    fn embedding(&mut self) {
        let groups = self.groups.split_off(self.groups.len().saturating_sub(4));
        let mut means = Vec::new();
        for (i, group) in groups.iter().enumerate().skip(1) {
            means.push(self.operation("GlobalAveragePool", &format!("means.{i}"), &[&group.map]));
        }
        let means: Vec<&str> = means.iter().map(String::as_str).collect();
        self.graph.node("Concat", "means", &means, vec![int("axis", 1)]);
        let mut blocks = vec![self.roots("means")];
        for (name, group) in [("grid.first", groups.first()), ("grid.last", groups.last())] {
            let Some(group) = group else { continue };
            let (columns, rows) = (format!("{name}.columns"), format!("{name}.rows"));
            let column_shares = opposite_shares(group.size);
            let row_shares = shares(group.size).concat();
            let shape = |values: &[f32]| [group.size, values.len() / group.size];
            self.graph.constant(&columns, &shape(&column_shares), &column_shares);
            self.graph.constant(&rows, &shape(&row_shares), &row_shares);
            let across = format!("{name}.across");
            self.operation("MatMul", &across, &[&group.map, &columns]);
            let turned = format!("{name}.turned");
            self.graph.node("Transpose", &turned, &[&across], vec![ints("perm", &[0, 1, 3, 2])]);
            self.operation("MatMul", name, &[&turned, &rows]);
            blocks.push(self.roots(name));
        }
        let blocks: Vec<&str> = blocks.iter().map(String::as_str).collect();
        self.graph.node("Concat", "embedding", &blocks, vec![int("axis", 1)]);
    }

    /// Square roots of a block.
    fn roots(&mut self, name: &str) -> String {
        let named = |part: &str| format!("{name}.{part}");
        let [flat, offset, positive] = ["flat", "offset", "positive"].map(named);
        self.graph.node("Flatten", &flat, &[name], vec![int("axis", 1)]);
        self.graph.constant(&offset, &[1], &[ROOT_OFFSET]);
        self.operation("Add", &positive, &[&flat, &offset]);
        self.operation("Sqrt", &named("roots"), &[&positive])
    }

    /// An operation without settings.
    fn operation(&mut self, operation: &str, name: &str, inputs: &[&str]) -> String {
        self.graph.node(operation, name, inputs, Vec::new())
    }

    /// Films with as many channels as the first convolution has, normalised if need be.
    fn films(&mut self, encoder: &Encoder) -> String {
        let films = "films".to_owned();
        if encoder.stem.weight.dims()[1] == 1 {
            return films;
        }
        let films =
            self.graph.node("Concat", "films.repeated", &["films"; 3], vec![int("axis", 1)]);
        if !encoder.imagenet {
            return films;
        }
        let [mean, deviation] = IMAGENET;
        self.graph.constant("mean", &[1, 3, 1, 1], &mean);
        self.graph.constant("deviation", &[1, 3, 1, 1], &deviation);
        let films = self.graph.node("Sub", "films.centred", &[&films, "mean"], Vec::new());
        self.graph.node("Div", "films.normalised", &[&films, "deviation"], Vec::new())
    }

    fn block(&mut self, name: &str, block: &Block, input: &str) -> Result<String, OnnxError> {
        let size = self.size;
        let mut residual = input.to_owned();
        if let Some(pool) = &block.shortcut_pool {
            residual = self.average_pool(&format!("{name}.shortcut_pool"), pool, &residual);
        }
        if let Some(ConvNorm { conv, norm }) = &block.shortcut {
            residual = self.layer(&format!("{name}.shortcut"), (conv, norm), &residual)?;
        }
        self.size = size;
        let first = (&block.conv1, &block.norm1);
        let mut hidden = self.layer(&format!("{name}.1"), first, input)?;
        hidden = self.relu(&format!("{name}.relu1"), &hidden);
        let second = (&block.conv2, &block.norm2);
        hidden = self.layer(&format!("{name}.2"), second, &hidden)?;
        if let Some(last) = &block.last {
            hidden = self.relu(&format!("{name}.relu2"), &hidden);
            if let Some(selective) = &block.selective {
                hidden = self.selective(&format!("{name}.selective"), selective, &hidden)?;
            }
            hidden = self.layer(&format!("{name}.3"), (&last.conv, &last.norm), &hidden)?;
        }
        let sum = format!("{name}.sum");
        hidden = self.graph.node("Add", &sum, &[&hidden, &residual], Vec::new());
        Ok(self.relu(&format!("{name}.relu"), &hidden))
    }

    fn selective(
        &mut self,
        name: &str,
        layer: &SelectiveKernel,
        input: &str,
    ) -> Result<String, OnnxError> {
        let named = |part: &str| format!("{name}.{part}");
        let [first, second] = self.graph.halves(&named("maps"), input);
        let sum = self.graph.node("Add", &named("sum"), &[&first, &second], Vec::new());
        let whole = self.graph.node("GlobalAveragePool", &named("pooled"), &[&sum], Vec::new());
        let size = std::mem::replace(&mut self.size, 1);
        let ConvNorm { conv, norm } = &layer.squeeze;
        let squeezed = self.layer(&named("squeeze"), (conv, norm), &whole)?;
        let squeezed = self.relu(&named("relu"), &squeezed);
        let excited = self.convolution(&named("excite"), &layer.excite, &squeezed)?;
        self.size = size;
        let [for_first, for_second] = self.graph.halves(&named("scores"), &excited);
        let mut node = |operation: &str, part: &str, inputs: [&str; 2]| {
            self.graph.node(operation, &named(part), &inputs, Vec::new())
        };
        let lead = node("Sub", "lead", [&for_first, &for_second]);
        let difference = node("Sub", "difference", [&first, &second]);
        let share = self.graph.node("Sigmoid", &named("share"), &[&lead], Vec::new());
        let mut node = |operation: &str, part: &str, inputs: [&str; 2]| {
            self.graph.node(operation, &named(part), &inputs, Vec::new())
        };
        let part = node("Mul", "part", [&difference, &share]);
        Ok(node("Add", "mixed", [&part, &second]))
    }

    fn relu(&mut self, name: &str, input: &str) -> String {
        self.graph.node("Relu", name, &[input], Vec::new())
    }

    /// Convolution and batch norm.
    fn layer(
        &mut self,
        name: &str,
        (convolution, norm): (&Conv2d, &BatchNorm),
        input: &str,
    ) -> Result<String, OnnxError> {
        let output = self.convolution(&format!("{name}.conv"), convolution, input)?;
        self.norm(&format!("{name}.norm"), norm, &output)
    }

    fn convolution(
        &mut self,
        name: &str,
        layer: &Conv2d,
        input: &str,
    ) -> Result<String, OnnxError> {
        let [_, _, kernel, _] = layer.weight.dims();
        let (stride, padding) = (layer.stride[0], (kernel - 1) / 2);
        self.size = (self.size + 2 * padding - kernel) / stride + 1;
        let weight = self.graph.weight(&format!("{name}.weight"), layer.weight.val())?;
        let [kernel, stride, padding] = [kernel, stride, padding].map(|number| number as i64);
        let attributes = vec![
            ints("kernel_shape", &[kernel; 2]),
            ints("pads", &[padding; 4]),
            ints("strides", &[stride; 2]),
        ];
        Ok(self.graph.node("Conv", name, &[input, &weight], attributes))
    }

    fn norm(&mut self, name: &str, layer: &BatchNorm, input: &str) -> Result<String, OnnxError> {
        let parts = [
            ("gamma", layer.gamma.val()),
            ("beta", layer.beta.val()),
            ("mean", layer.running_mean.value()),
            ("variance", layer.running_var.value()),
        ];
        let mut inputs = vec![input.to_owned()];
        for (part, tensor) in parts {
            inputs.push(self.graph.weight(&format!("{name}.{part}"), tensor)?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let epsilon = vec![float("epsilon", layer.epsilon as f32)];
        Ok(self.graph.node("BatchNormalization", name, &inputs, epsilon))
    }

    fn linear(&mut self, name: &str, layer: &Linear, input: &str) -> Result<String, OnnxError> {
        let weight = self.graph.weight(&format!("{name}.weight"), layer.weight.val())?;
        let mut inputs = vec![input.to_owned(), weight];
        if let Some(bias) = &layer.bias {
            inputs.push(self.graph.weight(&format!("{name}.bias"), bias.val())?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        Ok(self.graph.node("Gemm", name, &inputs, Vec::new()))
    }

    fn max_pool(&mut self, pool: &MaxPool2d, input: &str) -> String {
        let before = match pool.padding {
            PaddingConfig2d::Explicit(..) => 1,
            // "Same": on even sizes the windows begin with the film and end after it.
            PaddingConfig2d::Same | PaddingConfig2d::Valid => (self.size % 2) as i64,
        };
        self.size = self.size.div_ceil(2);
        let attributes = vec![
            ints("kernel_shape", &[3; 2]),
            ints("pads", &[before, before, 1, 1]),
            ints("strides", &[2; 2]),
        ];
        self.graph.node("MaxPool", "pool", &[input], attributes)
    }

    /// Padded at the end, as the reference pads: with zeros that count where it strides, else with nothing.
    fn average_pool(&mut self, name: &str, pool: &AveragePool, input: &str) -> String {
        self.size = self.size.div_ceil(pool.stride);
        let stride = pool.stride as i64;
        let attributes = vec![
            ints("kernel_shape", &[2; 2]),
            ints("pads", &[0, 0, 1, 1]),
            ints("strides", &[stride; 2]),
            int("count_include_pad", i64::from(stride > 1)),
        ];
        self.graph.node("AveragePool", name, &[input], attributes)
    }
}
