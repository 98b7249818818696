//! Whole networks against torchvision's and against a PyTorch rendering of SimCLR v2's, in inference and in training.
//! `tests/golden/networks.py` writes what they give.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde_json::Value;

use super::architecture::SK_RATIO;
use super::exchange::{self, Arrays, StateDict};
use super::memory_format::MemoryFormat;
use super::{Architecture, Encoder, Layout, Normalisation, Pretrained, Stem, seeded};

/// Values sampled of each stage's output.
const SAMPLES: usize = 6;

fn golden(part: &str) -> Vec<Value> {
    let all: Value =
        serde_json::from_str(include_str!("../../tests/golden/networks.json")).unwrap();
    all[part].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

/// Holds every value within `tolerance` of the largest.
fn assert_close(found: &[f32], expected: &Value, tolerance: f32, what: &str) {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0_f32, |scale, value| scale.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        let error = (found - expected).abs();
        assert!(error <= tolerance * scale, "{what}: {found} and not {expected}, scale {scale}");
    }
}

/// Evenly spaced values of a feature map, channels first.
fn samples(map: &Tensor<4>, format: MemoryFormat) -> Vec<f32> {
    let map = match format {
        MemoryFormat::ChannelsLast => map.clone().permute([0, 3, 1, 2]),
        MemoryFormat::ChannelsFirst => map.clone(),
    };
    let values: Vec<f32> = map.into_data().try_into_vec().unwrap();
    (0..SAMPLES).map(|i| values[i * (values.len() - 1) / (SAMPLES - 1)]).collect()
}

fn seeded_state(architecture: &Architecture) -> Arrays {
    let encoder = Pretrained::init(architecture, 0, &Device::flex()).encoder;
    let shapes = exchange::state_dict(&encoder, architecture).unwrap().tensors;
    let seeded = shapes.into_iter().map(|(name, array)| {
        let array = seeded::array(&name, &array.shape);
        (name, array)
    });
    seeded.collect()
}

/// One forward pass; in training it leaves its mark on the running statistics.
fn check_pass(encoder: &Encoder, device: &Device, case: &Value, mode: &str, format: MemoryFormat) {
    let [size, count] = ["size", "films"].map(|key| case[key].as_u64().unwrap() as usize);
    let what = &case["name"];
    // Normalising by the statistics of few positions multiplies rounding errors in each of up to fifty layers.
    let tolerance = if mode == "training" { 2e-3 } else { 2e-5 };
    let groups = numbers(&case["blocks"]);
    // The stem and the last block of each group.
    let ends: Vec<usize> = std::iter::once(0)
        .chain(groups.iter().scan(0, |end, count| {
            *end += *count as usize;
            Some(*end)
        }))
        .collect();
    let (mut stage, mut stages) = (0, Vec::new());
    let films = seeded::films(count, size, device);
    let features = encoder.forward_in(films, format, &mut |map| {
        if ends.contains(&stage) {
            stages.push(samples(map, format));
        }
        stage += 1;
    });
    let expected = &case[mode];
    assert_eq!(stages.len(), 5);
    for (i, found) in stages.iter().enumerate() {
        assert_close(
            found,
            &expected["stages"][i],
            tolerance,
            &format!("{what}, {mode}, stage {i}"),
        );
    }
    let features: Vec<f32> = features.into_data().try_into_vec().unwrap();
    let shown: Vec<f32> = (0..32).map(|i| features[i * (features.len() - 1) / 31]).collect();
    assert_close(&shown, &expected["features"], tolerance, &format!("{what}, {mode}, features"));
}

fn check(encoder: &Encoder, architecture: &Architecture, case: &Value, format: MemoryFormat) {
    check_pass(&encoder.valid(), &Device::flex(), case, "inference", format);
    check_pass(encoder, &Device::flex().autodiff(), case, "training", format);
    let after = exchange::state_dict(&encoder.valid(), architecture).unwrap().tensors;
    for (name, expected) in case["statistics"].as_object().unwrap() {
        let positions = expected["positions"].as_f64().unwrap() as f32;
        let before = seeded::array(&format!("{name}.running_var"), &[4]).values;
        let first = |part: &str| after[&format!("{name}.running_{part}")].values[..4].to_vec();
        // PyTorch's variance is n / (n - 1) times ours.
        let variance: Vec<f32> = first("var")
            .iter()
            .zip(before)
            .map(|(after, before)| {
                let kept = 0.9 * before;
                kept + (after - kept) * positions / (positions - 1.0)
            })
            .collect();
        assert_close(&first("mean"), &expected["mean"], 1e-3, name);
        assert_close(&variance, &expected["variance"], 1e-3, name);
    }
}

/// The network is recognised by its tensors alone.
#[test]
fn resnets_are_torchvisions() {
    for (depth, input_channels) in [(18, 3), (18, 1), (50, 3)] {
        let architecture = Architecture {
            input_channels,
            layout: Layout::Torchvision,
            ..Architecture::resnet(depth, 1.0, Stem::Standard)
        };
        let tensors = seeded_state(&architecture);
        let state = StateDict { tensors: tensors.clone(), architecture: None };
        let device = Device::flex().autodiff();
        let imported = exchange::import(state, Some(Normalisation::None), 0, &device).unwrap();
        assert_eq!(imported.architecture, architecture);
        assert!(imported.left_out.is_empty());
        let mut encoder = imported.model.encoder;
        let cases = golden("torchvision")
            .into_iter()
            .filter(|case| case["depth"] == depth && case["channels"] == input_channels);
        assert!(cases.clone().count() > 0);
        for case in cases {
            let blocks = architecture.blocks().unwrap();
            exchange::load(&mut encoder, &mut tensors.clone(), "", blocks).unwrap();
            check(&encoder, &architecture, &case, MemoryFormat::ChannelsLast);
        }
    }
}

#[test]
fn resnets_are_simclrs() {
    for case in golden("simclr") {
        let depth = case["depth"].as_u64().unwrap() as u32;
        let selective = case["selective"].as_bool().unwrap();
        let width = case["width"].as_f64().unwrap() as f32;
        let stem = case["stem"].as_str().unwrap().parse().unwrap();
        let architecture = Architecture {
            sk_ratio: if selective { SK_RATIO } else { 0.0 },
            ..Architecture::resnet(depth, width, stem)
        };
        let tensors = seeded_state(&architecture);
        for format in [MemoryFormat::ChannelsLast, MemoryFormat::ChannelsFirst] {
            let device = Device::flex().autodiff();
            let mut encoder = Pretrained::init(&architecture, 0, &device).encoder;
            let blocks = architecture.blocks().unwrap();
            exchange::load(&mut encoder, &mut tensors.clone(), "", blocks).unwrap();
            check(&encoder, &architecture, &case, format);
        }
    }
}

/// So a block starts as its shortcut; every other scale is one.
#[test]
fn the_last_scale_of_each_block_is_zero_at_first() {
    for (depth, sk_ratio, last) in [(18, 0.0, "bn2"), (14, 0.0, "bn3"), (14, SK_RATIO, "bn3")] {
        let architecture =
            Architecture { sk_ratio, ..Architecture::resnet(depth, 0.0625, Stem::Standard) };
        let encoder = Pretrained::init(&architecture, 0, &Device::flex()).encoder;
        let tensors = exchange::state_dict(&encoder, &architecture).unwrap().tensors;
        let scales = tensors
            .iter()
            .filter(|(name, array)| name.ends_with(".weight") && array.shape.len() == 1);
        let mut blocks = 0;
        for (name, scale) in scales {
            let zero = name.ends_with(&format!("{last}.weight")) && name.starts_with("layer");
            blocks += usize::from(zero);
            let expected = if zero { 0.0 } else { 1.0 };
            assert!(scale.values.iter().all(|value| *value == expected), "{name}");
        }
        assert_eq!(blocks, architecture.blocks().unwrap().iter().sum::<usize>());
    }
}
