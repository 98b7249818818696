//! Distillation of the fine-tuned networks into one student on the whole pool (SimCLR v2, stage 3).
//!
//! Deviations from the reference: the teacher's probabilities are computed once per film, over the fold networks and
//! mirror images, instead of once per augmented view, which on a CPU would cost four times as much; the student starts
//! from the pretrained encoder instead of from random weights; films with a label are taught the label.

use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::ema::Ema;
use super::finetune::Labelled;
use super::optimizer::ModuleAdamW;
use super::schedule::WarmupCosine;
use super::{Flow, LearnError, Pace, Setting, StepReport, films, read, soft_cross_entropy};
use crate::dataset::batches::{Epoch, Loader};
use crate::imaging::Augment;
use crate::model::Classifier;
use crate::rng;

/// How to distil.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// Edge of a film in pixels.
    pub size: u32,
    /// Passes over the pool.
    pub epochs: u32,
    /// Films in a step.
    pub batch: usize,
    /// Peak learning rate of the encoder.
    pub rate: f64,
    /// The head learns this many times as fast.
    pub head_factor: f64,
    /// Temperature that the teacher's probabilities are sharpened (below 1) or softened (above 1) with.
    pub temperature: f32,
    /// Decay of the average of weights.
    pub ema: f64,
    /// How a film is varied.
    pub augment: Augment,
    /// Seed of order and augmentation.
    pub seed: u64,
}

impl DistillConfig {
    /// Returns the settings that the window and the simulation use, for a model of this input size.
    pub fn standard(size: u32, seed: u64) -> Self {
        Self {
            size,
            epochs: 2,
            batch: 32,
            rate: 3e-4,
            head_factor: 10.0,
            temperature: 1.0,
            ema: 0.99,
            augment: Augment::weak(),
            seed,
        }
    }
}

/// Raises probabilities to 1 / temperature and normalises them, row by row.
fn sharpen(probabilities: &mut [f32], classes: usize, temperature: f32) {
    for row in probabilities.chunks_exact_mut(classes) {
        for p in &mut *row {
            *p = p.max(1e-12).powf(temperature.recip());
        }
        let sum: f32 = row.iter().sum();
        for p in row {
            *p /= sum;
        }
    }
}

/// Teaches a student `teacher`'s class probabilities of `rows`.
///
/// `teacher` holds a row of `classes` probabilities for each of `rows`; films in `labelled` are taught their label.
///
/// # Errors
/// Fails if there are fewer than two films, if the observer stops it, or if the loss is no longer a number.
pub fn distill(
    setting: &Setting<'_>,
    rows: &[usize],
    mut teacher: Vec<f32>,
    labelled: &Labelled,
    config: &DistillConfig,
    observe: &mut dyn FnMut(&StepReport) -> Flow,
) -> Result<Classifier, LearnError> {
    let Setting { start, classes, store, device } = *setting;
    if rows.len() < 2 {
        return Err(LearnError::TooLittle("there are too few films to distil on".to_owned()));
    }
    sharpen(&mut teacher, classes, config.temperature);
    let targets = targets(store.len(), classes, rows, &teacher, labelled);
    let training = device.clone().inner().autodiff();
    let mut model =
        Classifier::from_pretrained(start.valid(), classes, &device.clone().inner()).train();
    let mut ema = Ema::new(&model, config.ema);
    let mut optimizer = ModuleAdamW::new(0.0, config.head_factor);
    // A last batch of a single film is left out: it has no batch statistics.
    let per_epoch = (rows.len() / config.batch + usize::from(rows.len() % config.batch > 1)) as u64;
    let total = per_epoch * u64::from(config.epochs);
    let schedule = WarmupCosine { peak: config.rate, warmup: (total / 20).max(1), total };
    let mut step = 0;
    let mut pace = Pace::new(0);
    for epoch in 0..config.epochs {
        let mut order = rows.to_vec();
        rng::shuffle(
            &mut rng::stream(config.seed, "distil order", &[u64::from(epoch)]),
            &mut order,
        );
        // A last batch of a single film has no batch statistics.
        let batches = order
            .chunks(config.batch)
            .filter(|chunk| chunk.len() > 1)
            .map(<[usize]>::to_vec)
            .collect();
        let drawn = Epoch {
            batches,
            views: vec![config.augment.clone()],
            size: config.size,
            seed: config.seed,
            epoch: u64::from(epoch),
        };
        for batch in Loader::start(Arc::clone(store), drawn, 1)? {
            let count = batch.count;
            let taught: Vec<f32> = batch
                .indices
                .iter()
                .flat_map(|&row| targets[row * classes..(row + 1) * classes].to_vec())
                .collect();
            let taught =
                Tensor::<2>::from_data(TensorData::new(taught, [count, classes]), &training);
            let loss = soft_cross_entropy(model.forward(films(batch, &training)), taught);
            let value = read(loss.clone().inner())?[0];
            if !value.is_finite() {
                return Err(LearnError::NotANumber { step });
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(schedule.rate(step + 1), model, gradients);
            ema.update(&model);
            step += 1;
            let (images_per_second, seconds_left) = pace.after(count, step, total);
            let report = StepReport {
                step,
                steps: total,
                epoch,
                epochs: config.epochs,
                loss: value,
                accuracy: None,
                images_per_second,
                seconds_left,
            };
            pace.tell(observe, &report)?;
        }
    }
    ema.into_model()
        .ok_or_else(|| LearnError::TooLittle("there are no films to distil on".to_owned()))
}

/// Lays the teacher's rows out by row of the store, with labels in place of the teacher where there are any.
fn targets(
    films: usize,
    classes: usize,
    rows: &[usize],
    teacher: &[f32],
    labelled: &Labelled,
) -> Vec<f32> {
    let mut targets = vec![0.0; films * classes];
    for (&row, probabilities) in rows.iter().zip(teacher.chunks_exact(classes)) {
        targets[row * classes..(row + 1) * classes].copy_from_slice(probabilities);
    }
    for (&row, &class) in labelled.rows.iter().zip(&labelled.classes) {
        let target = &mut targets[row * classes..(row + 1) * classes];
        target.fill(0.0);
        target[class] = 1.0;
    }
    targets
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::learn::read;

    #[test]
    fn sharpening_follows_the_closed_form() {
        let mut probabilities = vec![0.8, 0.2, 0.5, 0.5];
        sharpen(&mut probabilities, 2, 0.5);
        let expected = [0.64 / 0.68, 0.04 / 0.68, 0.5, 0.5];
        probabilities
            .iter()
            .zip(expected)
            .for_each(|(found, expected)| assert!((found - expected).abs() < 1e-6));
    }

    /// Values of PyTorch's `cross_entropy` with probabilities: teacher [2, −1], student [.5, .3].
    #[test]
    fn loss_at_three_temperatures() {
        for (temperature, expected) in
            [(0.1_f32, 0.126_928_01_f32), (1.0, 0.607_624_04), (2.0, 0.662_639_2)]
        {
            let softmax = |a: f32, b: f32| {
                let (a, b) = ((a / temperature).exp(), (b / temperature).exp());
                [a / (a + b), b / (a + b)]
            };
            let device = Device::flex();
            let student =
                Tensor::<2>::from_floats([[0.5 / temperature, 0.3 / temperature]], &device);
            let teacher = Tensor::<2>::from_floats([softmax(2.0, -1.0)], &device);
            let found = read(soft_cross_entropy(student, teacher)).unwrap()[0];
            assert!((found - expected).abs() < 1e-6, "T {temperature}: {found}");
        }
    }

    #[test]
    fn labels_replace_the_teacher() {
        let labelled = Labelled { rows: vec![2], classes: vec![1] };
        let found = targets(3, 2, &[0, 2], &[0.3, 0.7, 0.9, 0.1], &labelled);
        assert_eq!(found, [0.3, 0.7, 0.0, 0.0, 0.0, 1.0]);
    }
}
