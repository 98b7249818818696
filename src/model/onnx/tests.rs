//! Exported files: their structure, and what onnxruntime computes from the very same bytes.

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::Device;
use prost::Message as _;
use serde_json::Value;

use super::proto::{ModelProto, TensorProto};
use crate::fsutil::write_atomic;
use crate::model::architecture::SK_RATIO;
use crate::model::{
    Architecture, Classifier, Layout, Normalisation, Pretrained, Probe, Stem, onnx, seeded,
};

/// A network, its ONNX file, and what it computes itself.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    output: Vec<f32>,
}

impl Case {
    /// Of the graph with its weights; the program's version beside it may change.
    fn hash(&self) -> String {
        let graph = ModelProto::decode(&self.bytes[..]).unwrap().graph.unwrap();
        blake3::hash(&graph.encode_to_vec()).to_string()
    }
}

const FILMS: usize = 2;

fn architectures() -> Vec<(&'static str, Architecture, usize, Option<usize>)> {
    let plain = Architecture::resnet;
    let selective = |depth, width, stem| Architecture {
        sk_ratio: SK_RATIO,
        ..Architecture::resnet(depth, width, stem)
    };
    let torchvision = Architecture {
        input_channels: 3,
        layout: Layout::Torchvision,
        normalisation: Normalisation::Imagenet,
        ..Architecture::resnet(10, 0.125, Stem::Standard)
    };
    vec![
        ("classifier, small stem", plain(10, 0.125, Stem::Small), 33, Some(3)),
        ("encoder, standard stem", plain(18, 0.125, Stem::Standard), 64, None),
        ("classifier, bottleneck", plain(14, 0.125, Stem::Standard), 70, Some(2)),
        ("encoder, selective kernels", selective(14, 0.125, Stem::Standard), 70, None),
        (
            "classifier, selective kernels, CIFAR stem",
            selective(14, 0.125, Stem::Cifar),
            17,
            Some(2),
        ),
        ("encoder, torchvision", torchvision, 64, None),
        ("classifier, probe", plain(18, 0.125, Stem::Standard), 64, Some(3)),
    ]
}

fn cases() -> Vec<Case> {
    let device = Device::flex();
    architectures()
        .into_iter()
        .map(|(name, architecture, size, classes)| {
            let films = seeded::films(FILMS, size, &device);
            let notes = [("name", name.to_owned())];
            let (bytes, output) = if let Some(classes) = classes {
                let mut model = Classifier::init(&architecture, classes, &device);
                if name.ends_with("probe") {
                    let blocks = architecture.embedding_blocks();
                    model.probe = Some(Probe::init(&blocks, classes, &device));
                }
                seeded::fill(&mut model);
                (onnx::classifier(&model, size, &notes), model.forward(films))
            } else {
                let mut model = Pretrained::init(&architecture, 0, &device);
                seeded::fill(&mut model);
                (onnx::encoder(&model.encoder, size, &notes), model.encoder.forward(films))
            };
            Case { name, bytes: bytes.unwrap(), output: output.into_data().try_into_vec().unwrap() }
        })
        .collect()
}

/// `tests/golden/onnx.json` holds a hash of each file and what onnxruntime gave for it. Where a hash differs, the file has
/// changed and onnxruntime has to run again: `tests/golden/run_onnx.py`.
#[test]
fn onnxruntime_computes_our_outputs() {
    let golden: Value =
        serde_json::from_str(include_str!("../../../tests/golden/onnx.json")).unwrap();
    for case in cases() {
        let golden = &golden[case.name];
        assert_eq!(
            golden["blake3"].as_str().unwrap(),
            case.hash(),
            "{}: run tests/golden/run_onnx.py",
            case.name
        );
        let expected = golden["output"].as_array().unwrap();
        assert_eq!(case.output.len(), expected.len());
        for (own, expected) in case.output.iter().zip(expected) {
            let expected = expected.as_f64().unwrap() as f32;
            assert!((own - expected).abs() < 1e-4, "{}: {own} and not {expected}", case.name);
        }
    }
}

/// Writes the files that `tests/golden/run_onnx.py` runs.
#[test]
#[ignore = "writes files for a script"]
fn write_files_for_onnxruntime() {
    let folder = std::env::var("PENUMBRA_ONNX").unwrap();
    for case in cases() {
        let file = Path::new(&folder).join(case.name);
        write_atomic(&file.with_extension("onnx"), &case.bytes).unwrap();
        write_atomic(&file.with_extension("blake3"), case.hash().as_bytes()).unwrap();
    }
}

#[test]
fn files_are_whole() {
    for (case, (_, architecture, size, classes)) in cases().into_iter().zip(architectures()) {
        let model = ModelProto::decode(&case.bytes[..]).unwrap();
        assert_eq!(model.encode_to_vec(), case.bytes);
        assert_eq!(model.opset_import[0].version, 17);
        assert_eq!(model.metadata_props[0].value, case.name);
        let graph = model.graph.unwrap();
        let lengths = |value: &super::proto::ValueInfoProto| -> Vec<i64> {
            let tensor = value.r#type.clone().unwrap().tensor_type.unwrap();
            tensor.shape.unwrap().dim.iter().map(|dim| dim.dim_value).collect()
        };
        assert_eq!(lengths(&graph.input[0]), [0, 1, size as i64, size as i64]);
        let outputs = classes.unwrap_or_else(|| architecture.features());
        assert_eq!(lengths(&graph.output[0]), [0, outputs as i64]);
        // Every input of a node is known when the node comes, and every name is given once.
        let mut known = BTreeSet::from(["films".to_owned()]);
        for TensorProto { dims, name, raw_data, .. } in &graph.initializer {
            assert_eq!(raw_data.len() as i64, 4 * dims.iter().product::<i64>());
            assert!(known.insert(name.clone()), "{name}");
        }
        for node in &graph.node {
            assert!(node.input.iter().all(|input| known.contains(input)), "{}", node.name);
            assert!(node.output.iter().all(|output| known.insert(output.clone())), "{}", node.name);
        }
        assert!(known.contains(&graph.output[0].name));
        let used: BTreeSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
        assert!(graph.initializer.iter().all(|weight| used.contains(&weight.name)));
    }
}
