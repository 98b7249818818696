use burn::tensor::{Device, Tensor};

use super::*;
use crate::learn::read;
use crate::model::{Architecture, LinearHead, Stem};

/// Values of PyTorch's `cross_entropy` with probabilities, times the temperature's square: teacher [2, −1], student
/// [.5, .3].
#[test]
fn loss_at_three_temperatures() {
    let device = Device::flex();
    let architecture = Architecture::resnet(10, 0.125, Stem::Small);
    let blocks = architecture.embedding_blocks().to_vec();
    let dim = blocks.iter().sum();
    let head = LinearHead {
        centre: vec![0.0; dim],
        blocks,
        weights: vec![0.0; 2 * dim],
        bias: vec![0.5, 0.3],
    };
    let student = Classifier::init(&architecture, 2, &device).with_probe(&head, &device);
    for (temperature, expected) in
        [(0.1_f32, 0.001_269_28_f32), (1.0, 0.607_624_04), (2.0, 2.650_556_9)]
    {
        let logits = Tensor::<2>::from_floats([[2.0, -1.0]], &device);
        let mut teacher = read(softmax(logits, 1)).unwrap();
        apply_temperature(&mut teacher, 2, temperature);
        let mut trainee = Trainee::new(&student, &Recipe::from_encoder(), &device);
        trainee.temperature = temperature;
        let films = Tensor::<4>::ones([1, 1, 32, 32], trainee.device());
        let found = trainee.learn(films, teacher, 0.0).unwrap();
        assert!((found - expected).abs() < 2e-6 * expected.max(0.1), "T {temperature}: {found}");
    }
}

#[test]
fn what_is_taught_lies_in_the_films_rows() {
    assert_eq!(targets(3, 2, &[2, 0], &[0.3, 0.7, 0.9, 0.1]), [0.9, 0.1, 0.0, 0.0, 0.3, 0.7]);
}

/// Pixels and targets of a film hold the same share of the next film's, and the last one's of the first's.
#[test]
fn films_and_targets_are_mixed_alike() {
    let config = DistillConfig { mixup: 0.8, ..DistillConfig::standard(2, 7) };
    let plain = [[0.0_f32; 4], [1.0; 4], [0.5; 4]];
    let mut batch = Batch { pixels: plain.concat(), count: 3, size: 2, indices: vec![4, 0, 2] };
    let mixed = mix(&mut batch, 3, &config);
    assert!(mixed.shares.iter().all(|share| (0.0..=0.8).contains(share)));
    assert!(mixed.shares[0] != mixed.shares[1], "each film has a share of its own");
    let of_row = [[1.0, 0.0], [0.0; 2], [0.25, 0.75], [0.0; 2], [0.0, 1.0]];
    let taught = mixed.targets(&of_row.concat(), &batch.indices, 2);
    for (i, share) in mixed.shares.iter().enumerate() {
        let next = (i + 1) % 3;
        let pixel = plain[i][0] + share * (plain[next][0] - plain[i][0]);
        assert!(batch.pixels[4 * i..][..4].iter().all(|found| (found - pixel).abs() < 1e-6));
        let (own, other) = (of_row[batch.indices[i]], of_row[batch.indices[next]]);
        for class in 0..2 {
            let expected = own[class] + share * (other[class] - own[class]);
            assert!((taught[2 * i + class] - expected).abs() < 1e-6);
        }
    }
    let untouched = DistillConfig { mixup: 0.0, ..config };
    let before = batch.clone();
    mix(&mut batch, 3, &untouched);
    assert_eq!(batch, before);
}

/// The published batch and a smaller one: .2 √128 is what the reference code computes.
#[test]
fn the_published_rate_grows_with_the_root_of_the_batch() {
    for (batch, rate) in [(DistillConfig::ORIGINAL_BATCH, 2.262_741_7), (32, 1.131_370_8)] {
        let config = DistillConfig::original(224, batch, 0);
        assert!((config.recipe.rate - rate).abs() < 1e-7, "{}", config.recipe.rate);
        assert_eq!(config.batch, batch);
    }
}

/// The last pass is as long as the others, a last batch of one film is left out, and each pass has an order of its own.
#[test]
fn passes_see_every_film_but_a_single_last_one() {
    let config = DistillConfig { batch: 4, epochs: 3, ..DistillConfig::standard(16, 1) };
    let rows: Vec<usize> = (10..19).collect();
    let plan = Plan::new(rows.len(), &config);
    assert_eq!((plan.per_epoch, plan.total), (2, 6));
    assert_eq!(Plan::new(10, &config).per_epoch, 3);
    let [first, second] = [0, 1].map(|epoch| plan.epoch(&rows, epoch, &config).batches.concat());
    assert_eq!(first.len(), 8);
    assert_ne!(first, second);
}
