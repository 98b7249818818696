//! Tests of the maps: on films where one place decides, against each other, and against random weights (Adebayo et al.,
//! "Sanity Checks for Saliency Maps", `NeurIPS` 2018, <https://arxiv.org/abs/1810.03292>).

use std::sync::Arc;

use burn::tensor::Device;

use super::*;
use crate::dataset::Labelled;
use crate::imaging::{Augment, Preprocess};
use crate::learn::supervised::{SupervisedConfig, supervised};
use crate::learn::{Flow, Recipe, Setting};
use crate::model::folder::{Kind, VERSION};
use crate::model::{Architecture, LinearHead, ModelCard, Pretrained, Stem};
use crate::rng;

const SIZE: u32 = 32;
const FILMS: usize = 128;
/// Edge of the striped square that makes a film one of the second class.
const MARK: u32 = 7;

/// Noise, and on every second film a square of stripes somewhere, as bright on average, whose corner is returned.
fn film(number: usize) -> (Plane, Option<[u32; 2]>) {
    let mut random = rng::stream(11, "films", &[number as u64]);
    let mut pixels: Vec<f32> =
        (0..SIZE * SIZE).map(|_| rng::uniform(&mut random, 0.1, 0.5)).collect();
    let mut corner = || rng::uniform(&mut random, 0.0, (SIZE - MARK) as f32) as u32;
    let at = [corner(), corner()];
    let marked = number % 2 == 1;
    if marked {
        for y in at[1]..at[1] + MARK {
            for x in at[0]..at[0] + MARK {
                pixels[(y * SIZE + x) as usize] = if y % 2 == 0 { 0.0 } else { 0.6 };
            }
        }
    }
    (Plane { width: SIZE, height: SIZE, pixels }, marked.then_some(at))
}

fn store() -> PlaneStore {
    PlaneStore::from_planes(SIZE, (0..FILMS).map(|number| film(number).0))
}

/// Maps of 4×4 at 32 pixels.
fn architecture() -> Architecture {
    Architecture::resnet(10, 0.25, Stem::Cifar)
}

fn predictor(model: Classifier) -> Predictor {
    let card = ModelCard {
        version: VERSION,
        kind: Kind::Classifier,
        architecture: architecture(),
        preprocess: Preprocess { size: SIZE, fit: Fit::Pad },
        classes: vec!["plain".to_owned(), "marked".to_owned()],
        parent: None,
        seed: 0,
        made_by: serde_json::Value::Null,
        metrics: serde_json::Value::Null,
        weights_hash: String::new(),
    };
    Predictor { model: Model::Classifier(Box::new(model)), card, device: Device::flex() }
}

fn random(seed: u64) -> Pretrained {
    Pretrained::init(&architecture(), seed, &Device::flex())
}

/// Learns to tell marked films, with a probe on the embeddings beside the classifier if `probe`.
fn learnt(probe: bool) -> Predictor {
    let (start, store, device) = (random(1), Arc::new(store()), Device::flex().autodiff());
    let recipe = Recipe { ema: 0.9, ..Recipe::from_scratch() };
    let config = SupervisedConfig {
        steps: 200,
        batch: 16,
        recipe,
        augment: Augment::weak(),
        ..SupervisedConfig::from_scratch(SIZE, 3)
    };
    let blocks = architecture().embedding_blocks().to_vec();
    let dim = blocks.iter().sum::<usize>();
    let nothing = move |_: &Labelled| LinearHead {
        centre: vec![0.0; dim],
        blocks: blocks.clone(),
        weights: vec![0.0; dim * 2],
        bias: vec![0.0; 2],
    };
    let head = probe.then_some(&nothing as _);
    let setting = Setting { start: &start, classes: 2, store: &store, device: &device, head };
    let rows: Vec<usize> = (0..FILMS).collect();
    let labelled = Labelled { classes: rows.iter().map(|row| row % 2).collect(), rows };
    predictor(supervised(&setting, &labelled, &config, &mut |_| Flow::Continue).unwrap())
}

/// Share of a map that lies on a film's square and the `margin` pixels around it.
fn share_on_mark(map: &Plane, at: [u32; 2], margin: u32) -> f32 {
    let within = |place: u32, from: u32| {
        (from.saturating_sub(margin)..from + MARK + margin).contains(&place)
    };
    let mut on = 0.0;
    for (place, value) in map.pixels.iter().enumerate() {
        let (x, y) = (place as u32 % map.width, place as u32 / map.width);
        if within(x, at[0]) && within(y, at[1]) {
            on += value;
        }
    }
    // A black map is on nothing.
    on / map.pixels.iter().sum::<f32>().max(f32::MIN_POSITIVE)
}

fn full(map: &Plane) -> Plane {
    on_film(map, Fit::Pad, [SIZE, SIZE], [SIZE, SIZE])
}

fn mean(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = values.len() as f32;
    values.sum::<f32>() / count
}

/// Both heads: the mark decides, so both methods have to find it; a network of random weights has not learnt it and does
/// not.
#[test]
fn maps_find_what_decides_and_change_with_the_weights() {
    let store = store();
    let marked: Vec<usize> = (1..FILMS).step_by(2).take(6).collect();
    for probe in [false, true] {
        let learnt = learnt(probe);
        let found = learnt.grad_cam(&store, &marked).unwrap().unwrap();
        let plain = learnt.probabilities(&store, &marked).unwrap().unwrap();
        for (found, plain) in found.iter().zip(plain.chunks(2)) {
            assert!(found.probabilities[1] > 0.5, "{:?}", found.probabilities);
            assert!((found.probabilities[1] - plain[1]).abs() < 1e-5);
            let all = found.maps.iter().flat_map(|map| &map.pixels);
            assert!(all.into_iter().all(|value| (0.0..=1.0).contains(value)));
        }
        let cams: Vec<Plane> = found.iter().map(|found| full(&found.maps[1])).collect();
        let occlusions: Vec<Plane> = marked
            .iter()
            .map(|&row| learnt.occlusion(&store, row).unwrap().unwrap().swap_remove(1))
            .collect();
        let mark = |row: usize| film(row).1.unwrap();
        // A square of 7 with a margin of 8 is at most half of the film; a quarter is what chance gives on average.
        let on = |maps: &[Plane]| {
            mean(marked.iter().zip(maps).map(|(&row, map)| share_on_mark(map, mark(row), 8)))
        };
        let chance =
            on(&vec![Plane { width: SIZE, height: SIZE, pixels: vec![1.0; 1024] }; marked.len()]);
        assert!(on(&cams) > 0.65 && on(&occlusions) > 0.75, "{} {}", on(&cams), on(&occlusions));
        assert!(chance < 0.5, "{chance}");
        // The heads that were learnt, on an encoder that was not.
        let Model::Classifier(model) = &learnt.model else { unreachable!() };
        let shuffled = Classifier { encoder: random(7).encoder, ..(**model).clone() };
        let others = predictor(shuffled).grad_cam(&store, &marked).unwrap().unwrap();
        let others: Vec<Plane> = others.iter().map(|found| full(&found.maps[1])).collect();
        assert!(on(&others) < 0.55, "with random weights {}", on(&others));
    }
}

#[test]
fn a_model_that_only_embeds_is_not_explained() {
    let mut predictor = learnt_none();
    predictor.card.kind = Kind::Pretrained;
    assert_eq!(predictor.grad_cam(&store(), &[0]).unwrap(), None);
    assert_eq!(predictor.occlusion(&store(), 0).unwrap(), None);
}

fn learnt_none() -> Predictor {
    let classifier = Classifier::from_pretrained(random(0), 2, &Device::flex());
    Predictor { model: Model::Pretrained(Box::new(random(0))), ..predictor(classifier) }
}

/// A new classifier is zero: nothing speaks for any class, and nothing is divided by nothing.
#[test]
fn a_classifier_that_says_nothing_has_black_maps() {
    let predictor = predictor(Classifier::from_pretrained(random(0), 2, &Device::flex()));
    let found = predictor.grad_cam(&store(), &[0, 1]).unwrap().unwrap();
    assert!(found.iter().all(|found| found.probabilities == [0.5, 0.5]));
    assert!(found.iter().flat_map(|found| &found.maps).all(|map| map.pixels == [0.0; 16]));
}

#[test]
fn patches_cover_the_film_and_stay_on_it() {
    for size in [16, 17, 33, 96, 128] {
        let patches = patches(size);
        let mut cover = vec![0; (size * size) as usize];
        patches.iter().flatten().for_each(|&place| cover[place] += 1);
        assert!(cover.iter().all(|&count| count > 0), "{size}");
        assert!(patches.len() >= 15 * 15, "{size}: {}", patches.len());
    }
}

/// By hand: cells' centres keep their values, what lies between is between, and a plane is a plane.
#[test]
fn maps_lie_bilinearly_on_the_film() {
    let map = Plane { width: 2, height: 2, pixels: vec![0.0, 1.0, 0.0, 1.0] };
    let wide = on_film(&map, Fit::Pad, [8, 8], [8, 8]);
    let row = [0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0];
    assert!(wide.pixels.chunks(8).all(|found| found == row), "{:?}", wide.pixels);
    // A film twice as wide as high is seen between black bars: its upper edge is at a quarter of the square.
    let ramp = Plane { width: 1, height: 4, pixels: vec![0.0, 0.25, 0.5, 0.75] };
    let padded = on_film(&ramp, Fit::Pad, [400, 200], [2, 2]);
    assert_eq!(padded.pixels, [0.25, 0.25, 0.5, 0.5]);
    // Of the same film cropped, the network sees the middle two of four columns.
    let even = Plane { width: 1, height: 1, pixels: vec![1.0] };
    let cropped = on_film(&even, Fit::Crop, [400, 200], [4, 2]);
    assert_eq!(cropped.pixels, [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
}
