//! A second fine-tuning, ten labels later: from what the first one predicts with, as in a session. Peer: the same from the encoder.

use std::sync::Arc;

use penumbra::config::Home;
use penumbra::dataset::Flow;
use penumbra::dataset::Labelled;
use penumbra::dataset::labels::{LabelRow, read_labels};
use penumbra::dataset::planes::PlaneStore;
use penumbra::dataset::planes::source_preprocess;
use penumbra::device;
use penumbra::features::{Block, Space, SpaceFilms};
use penumbra::learn::finetune::{FineTuned, FinetuneConfig};
use penumbra::learn::metrics::log_loss;
use penumbra::learn::round::Round;
use penumbra::learn::{StepReport, probabilities};
use penumbra::model::Pretrained;
use penumbra::model::folder::{ModelCard, load_pretrained};
use penumbra::predict::embed;
use penumbra::rng;

use super::{Duration, Instant, demo};

/// Labels of the first fine-tuning, and how many more there are at the second.
const LABELS: usize = 52;
const MORE: usize = 10;
const DRAWS: u64 = 5;

/// The demo's films and what they are.
struct Films {
    store: Arc<PlaneStore>,
    classes: Vec<usize>,
    patients: Vec<String>,
}

impl Films {
    fn load(part: &str, card: &ModelCard) -> Self {
        let root = demo(part);
        let rows = read_labels(&root.join("labels.csv")).unwrap();
        let files: Vec<String> = rows.iter().map(|row| row.file.clone()).collect();
        let preprocess = source_preprocess(card.preprocess);
        let go_on = &|_, _| Flow::Continue;
        let (store, refused) = PlaneStore::load(&root, &files, &preprocess, 2, go_on).unwrap();
        assert!(refused.is_empty());
        let patient = |row: &LabelRow| row.patient.clone().unwrap();
        Self {
            store: Arc::new(store),
            classes: rows.iter().map(|row| usize::from(row.label == "pneumonia")).collect(),
            patients: rows.iter().map(patient).collect(),
        }
    }
}

struct Session {
    base: Pretrained,
    size: u32,
    pool: Films,
    reference: Films,
    space: Space,
}

impl Session {
    fn open() -> Self {
        let (home, device) = (Home::find(None), device::cpu().device.inner());
        let (base, card) = load_pretrained(&home.model("demo"), &device).unwrap();
        let (pool, reference) = (Films::load("pool", &card), Films::load("reference", &card));
        let rows: Vec<usize> = (0..pool.store.len()).collect();
        let (size, go_on) = (card.preprocess.size, &mut |_| Flow::Continue);
        let features = embed(&base.encoder, &pool.store, &rows, size, &device, go_on).unwrap();
        let block = Block { features, parts: card.architecture.embedding_blocks().to_vec() };
        let patients = pool.patients.clone();
        let films = SpaceFilms { patients, classes: 2, unreadable: Vec::new() };
        let space = Space::new(vec![block], films).unwrap();
        Self { base, size, pool, reference, space }
    }

    /// Fine-tunes as the window does.
    fn tune(&self, labelled: &Labelled, seed: u64, earlier: Option<&FineTuned>) -> Tuned {
        let rows: Vec<usize> = (0..self.pool.store.len()).collect();
        let round = Round {
            start: &self.base,
            space: &self.space,
            store: &self.pool.store,
            pool: &rows,
            size: self.size,
            device: &device::cpu().device,
            flow: &|| Flow::Continue,
        };
        let config = FinetuneConfig::standard(self.size, seed);
        let (mut steps, started) = (0, Instant::now());
        let count = &mut |report: &StepReport| {
            steps = report.step;
            Flow::Continue
        };
        let network = round.tune(&config, &mut || labelled.clone(), earlier, count).unwrap();
        Tuned { time: started.elapsed(), steps, network }
    }

    /// Returns the log-loss of the network on the reference films.
    fn log_loss(&self, tuned: &Tuned) -> f64 {
        let Films { store, classes, .. } = &self.reference;
        let rows: Vec<usize> = (0..store.len()).collect();
        let (device, go_on) = (device::cpu().device, &mut |_| Flow::Continue);
        let found = probabilities(&tuned.network.model, store, &rows, self.size, &device, go_on);
        log_loss(&found.unwrap(), classes, 2)
    }
}

struct Tuned {
    network: FineTuned,
    time: Duration,
    steps: u64,
}

pub fn bench_second() {
    let session = Session::open();
    for seed in 0..DRAWS {
        let mut rows: Vec<usize> = (0..session.pool.store.len()).collect();
        rng::shuffle(&mut rng::stream(seed, "bench labels", &[]), &mut rows);
        let labelled = |count: usize| Labelled {
            classes: rows[..count].iter().map(|&row| session.pool.classes[row]).collect(),
            rows: rows[..count].to_vec(),
        };
        let first = session.tune(&labelled(LABELS), seed, None);
        let all = labelled(LABELS + MORE);
        let [warm, cold] =
            [Some(&first.network), None].map(|earlier| session.tune(&all, seed, earlier));
        println!(
            "second fine-tuning, {LABELS} and {MORE} labels, draw {seed}: {:.0} s, {} steps  ({:.2} of one from the encoder, \
             {:.2} of its steps; best after {} and {} passes; log-loss on {} other films {:.3} and {:.3})",
            warm.time.as_secs_f64(),
            warm.steps,
            warm.time.as_secs_f64() / cold.time.as_secs_f64(),
            warm.steps as f64 / cold.steps as f64,
            warm.network.epochs,
            cold.network.epochs,
            session.reference.store.len(),
            session.log_loss(&warm),
            session.log_loss(&cold),
        );
    }
}
