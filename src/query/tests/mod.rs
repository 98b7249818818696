//! Ranking against scikit-learn, scikit-activeml and slow restatements.

mod confident_learning;
mod strategies;

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{ClusterCache, Clusters, lloyd};
use super::pool::Pool;
use super::strategy::rank;
use super::typiclust::visit;
use super::{Ranked, Reason, Strategy};
use crate::dataset::{FilmId, Labelled};
use crate::features::{Embeddings, Head, Space};
use approx::assert_abs_diff_eq;
use proptest::prelude::*;
use serde_json::Value;

fn golden(name: &str) -> Value {
    let all: Value =
        serde_json::from_str(include_str!("../../../tests/golden/query.json")).unwrap();
    all[name].clone()
}

fn doubles(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn singles(value: &Value) -> Vec<f32> {
    doubles(value).into_iter().map(|v| v as f32).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn embeddings(case: &Value) -> Embeddings {
    Embeddings::new(number(&case["width"]), singles(&case["x"])).unwrap()
}

fn film_ids(count: usize) -> Vec<FilmId> {
    (0..count).map(|i| FilmId::of(&i.to_le_bytes())).collect()
}

fn chosen(ranked: &[Ranked]) -> Vec<usize> {
    ranked.iter().map(|film| film.index).collect()
}

/// A pool that owns its parts.
struct Films {
    ids: Vec<FilmId>,
    space: Space,
    views: Option<Vec<Embeddings>>,
    head: Head,
    probabilities: Vec<f32>,
    labelled: Vec<usize>,
    classes: Vec<usize>,
    answered: Vec<usize>,
    candidates: Vec<usize>,
}

impl Films {
    fn new(x: Embeddings, labelled: Vec<usize>) -> Self {
        let candidates = (0..x.len()).filter(|i| !labelled.contains(i)).collect();
        let classes: Vec<usize> = labelled.iter().map(|i| i % 2).collect();
        let space = Space::of_rows(x, 2);
        Self {
            ids: film_ids(space.len()),
            head: space.head(&Labelled { rows: labelled.clone(), classes: classes.clone() }, 1.0),
            space,
            views: None,
            probabilities: Vec::new(),
            labelled,
            classes,
            answered: Vec::new(),
            candidates,
        }
    }

    /// Two hundred films around five centres, with probabilities that follow the first dimension.
    fn sample(labels: usize) -> Self {
        let noise = |i: usize| ((i * 7919 + i * i * 31) % 1009) as f32 / 1009.0 - 0.5;
        let values =
            (0..800).map(|i| noise(i) + if (i / 4) % 5 == i % 4 { 1.5 } else { 0.0 }).collect();
        let x = Embeddings::new(4, values).unwrap().normalised();
        let mut films = Self::new(x, (0..labels).collect());
        films.probabilities = (0..200)
            .flat_map(|i| {
                let p = 0.5 + 0.49 * films.space.features().row(i)[0].clamp(-1.0, 1.0);
                [1.0 - p, p]
            })
            .collect();
        films
    }

    fn pool(&self) -> Pool<'_> {
        Pool {
            ids: &self.ids,
            space: &self.space,
            views: self.views.as_deref(),
            head: &self.head,
            probabilities: &self.probabilities,
            labelled: &self.labelled,
            classes: &self.classes,
            answered: &self.answered,
            candidates: &self.candidates,
            batch: 1,
        }
    }

    fn rank(&self, strategy: Strategy, count: usize) -> Vec<Ranked> {
        let pool = Pool { batch: count, ..self.pool() };
        rank(strategy, &pool, count, 7, &mut ClusterCache::default())
    }

    fn label(&mut self, film: usize, class: usize) {
        self.candidates.retain(|&candidate| candidate != film);
        self.labelled.push(film);
        self.classes.push(class);
        self.refit();
    }

    fn refit(&mut self) {
        let labels = Labelled { rows: self.labelled.clone(), classes: self.classes.clone() };
        self.head = self.space.head(&labels, 1.0);
    }

    fn set_classes(&mut self, classes: usize) {
        self.space = Space::of_rows(self.space.features().clone(), classes);
    }
}

#[test]
fn typiclust_agrees_with_scikit_activeml() {
    let case = golden("typiclust");
    let films = Films::new(embeddings(&case), indices(&case["labelled"]));
    let clusters = Clusters::from_assignment(indices(&case["assignment"]));
    let selected = indices(&case["selected"]);
    assert_eq!(
        chosen(&visit(&films.pool(), &clusters, &mut BTreeMap::new(), selected.len())),
        selected
    );
}

#[test]
fn typiclust_follows_the_recipe_round_after_round() {
    let case = golden("typiclust_recipe");
    let films = Films::new(embeddings(&case), indices(&case["labelled"]));
    let clusters = Clusters::from_assignment(indices(&case["assignment"]));
    let selected = indices(&case["selected"]);
    let ours = visit(&films.pool(), &clusters, &mut BTreeMap::new(), selected.len());
    assert_eq!(chosen(&ours), selected);
    for (film, typicality) in ours.iter().zip(doubles(&case["typicality"])) {
        assert_abs_diff_eq!(f64::from(film.score), typicality, epsilon = 1e-4 * typicality);
    }
    let Reason::Typical { labelled, clusters, .. } = ours[ours.len() - 1].reason else { panic!() };
    assert!(labelled >= 2 && clusters == 7);
}

#[test]
fn k_center_agrees_with_scikit_activeml() {
    let case = golden("k_center");
    let films = Films::new(embeddings(&case), indices(&case["labelled"]));
    let selected = indices(&case["selected"]);
    assert_eq!(chosen(&films.rank(Strategy::KCenter, selected.len())), selected);
}

#[test]
fn lloyd_agrees_with_scikit_learn() {
    let case = golden("k_means");
    let clusters = lloyd(&embeddings(&case), singles(&case["start"]), 500);
    let theirs = case["inertia"].as_f64().unwrap();
    // Ours stops at a gain below 1e-4.
    assert!(clusters.inertia() >= theirs * (1.0 - 1e-5) && clusters.inertia() < theirs * 1.002);
    let theirs = indices(&case["assignment"]);
    let same = clusters.assignment().iter().zip(&theirs).filter(|(a, b)| a == b).count();
    assert!(same * 100 >= 97 * theirs.len(), "{same} of {}", theirs.len());
}

#[test]
fn batch_goes_on_after_each_of_its_labels() {
    let mut films = Films::sample(0);
    let mut cache = ClusterCache::default();
    let batch = chosen(&rank(Strategy::Typiclust, &films.pool(), 10, 7, &mut cache));
    for done in 1..8 {
        films.label(batch[done - 1], done % 2);
        let again = chosen(&rank(Strategy::Typiclust, &films.pool(), 10, 7, &mut cache));
        assert_eq!(again[..10 - done], batch[done..]);
    }
}

#[test]
fn cache_changes_no_answer() {
    let mut cache = ClusterCache::default();
    for labels in [0, 1, 5, 9, 30, 31, 32, 20, 3] {
        let mut films = Films::sample(labels);
        if labels == 31 {
            films.labelled.reverse();
            films.classes.reverse();
        }
        for strategy in Strategy::ALL {
            let pool = Pool { batch: 15, ..films.pool() };
            let cached = rank(strategy, &pool, 15, 7, &mut cache);
            assert_eq!(cached, films.rank(strategy, 15), "{strategy} at {labels}");
        }
    }
}

#[test]
fn three_uncertainties_order_two_classes_alike() {
    let mut films = Films::sample(12);
    let alike = |films: &Films| {
        let order = chosen(&films.rank(Strategy::Margin, 200));
        assert_eq!(order.len(), 188);
        assert_eq!(order, chosen(&films.rank(Strategy::LeastConfidence, 200)));
        assert_eq!(order, chosen(&films.rank(Strategy::Entropy, 200)));
        order
    };
    alike(&films);
    // So near even that entropies are equal in single precision and the two probabilities do not quite sum to one.
    films.probabilities = (0..200)
        .flat_map(|i| {
            let p = 0.5 + (i * 37 % 200) as f32 * 3e-7;
            [p, 1.0 - p - if i % 3 == 0 { f32::EPSILON / 4.0 } else { 0.0 }]
        })
        .collect();
    let even: Vec<usize> = alike(&films).into_iter().map(|film| film * 37 % 200).collect();
    assert!(even.is_sorted(), "{even:?}");
}

#[test]
fn three_uncertainties_differ_on_three_classes() {
    let mut films = Films::new(Embeddings::new(1, vec![0.0; 3]).unwrap(), Vec::new());
    films.set_classes(3);
    films.probabilities = vec![0.48, 0.47, 0.05, 0.4, 0.3, 0.3, 0.45, 0.4, 0.15];
    assert_eq!(chosen(&films.rank(Strategy::Margin, 3)), [0, 2, 1]);
    assert_eq!(chosen(&films.rank(Strategy::LeastConfidence, 3)), [1, 2, 0]);
    assert_eq!(chosen(&films.rank(Strategy::Entropy, 3)), [1, 2, 0]);
}

#[test]
fn ties_follow_the_film_id_whatever_the_order_of_candidates() {
    let mut films = Films::sample(0);
    films.probabilities = vec![0.5; 400];
    let mut by_id: Vec<usize> = (0..200).collect();
    by_id.sort_by_key(|&film| films.ids[film]);
    for strategy in [Strategy::Margin, Strategy::Entropy, Strategy::LeastConfidence] {
        assert_eq!(chosen(&films.rank(strategy, 200)), by_id);
    }
    for strategy in Strategy::ALL {
        let before = chosen(&films.rank(strategy, 30));
        films.candidates.reverse();
        assert_eq!(chosen(&films.rank(strategy, 30)), before, "{strategy}");
    }
}

#[test]
fn random_order_outlives_a_label_and_follows_the_seed() {
    let mut films = Films::sample(0);
    let order = chosen(&films.rank(Strategy::Random, 200));
    films.label(order[0], 0);
    assert_eq!(chosen(&films.rank(Strategy::Random, 200)), order[1..]);
    let other = rank(Strategy::Random, &films.pool(), 200, 8, &mut ClusterCache::default());
    assert_ne!(chosen(&other), order[1..]);
}

#[test]
fn cold_start_ends_with_enough_labels_of_each_class() {
    let warm = |films: &Films| {
        matches!(films.rank(Strategy::TypiclustMargin, 1)[0].reason, Reason::MarginInCluster { .. })
    };
    let mut films = Films::sample(19);
    assert!(!warm(&films), "19 labels");
    films.label(19, 1);
    assert!(warm(&films), "20 labels, 10 of each class");
    films.classes.fill(0);
    films.classes[..4].fill(1);
    assert!(!warm(&films), "4 of a class");
    films.classes[4] = 1;
    assert!(warm(&films), "5 of each class");
    let mut films = Films::sample(99);
    films.classes.fill(0);
    assert!(!warm(&films), "99 labels of one class");
    films.label(99, 0);
    assert!(warm(&films), "100 labels of one class");
}

#[test]
fn margin_is_spread_over_clusters() {
    let films = Films::sample(40);
    let ranked = films.rank(Strategy::TypiclustMargin, 20);
    let unsure = chosen(&films.rank(Strategy::Margin, 200));
    assert_eq!(ranked[0].index, unsure[0], "the least sure film comes first");
    let clusters: Vec<usize> = ranked
        .iter()
        .map(|film| match film.reason {
            Reason::MarginInCluster { cluster, .. } => cluster,
            other => panic!("{other:?}"),
        })
        .collect();
    let distinct: BTreeSet<usize> = clusters.iter().copied().collect();
    let first_repeat = (1..clusters.len())
        .find(|&i| clusters[..i].contains(&clusters[i]))
        .unwrap_or(clusters.len());
    assert_eq!(first_repeat, distinct.len(), "no cluster twice before each was there once");
    assert!(distinct.len() > 5);
    for i in 1..first_repeat {
        assert!(ranked[i - 1].score <= ranked[i].score);
    }
}

#[test]
fn typiclust_covers_all_groups_at_once() {
    // Five tight groups in twenty dimensions: ten films must touch every one of them.
    let values = (0..100 * 20).map(|i| {
        let (film, dimension) = (i / 20, i % 20);
        let noise = ((i * 7919) % 1009) as f32 / 1009.0 - 0.5;
        0.1 * noise + f32::from(u8::from(film % 5 == dimension))
    });
    let x = Embeddings::new(20, values.collect()).unwrap().normalised();
    let films = Films::new(x, Vec::new());
    let groups: BTreeSet<usize> =
        chosen(&films.rank(Strategy::Typiclust, 10)).iter().map(|i| i % 5).collect();
    assert_eq!(groups.len(), 5);
}

#[test]
fn names_survive_text_and_json() {
    for strategy in Strategy::ALL {
        assert_eq!(strategy.to_string().parse(), Ok(strategy));
        let json = serde_json::to_string(&strategy).unwrap();
        assert_eq!(json, format!("\"{strategy}\""));
        assert_eq!(serde_json::from_str::<Strategy>(&json).unwrap(), strategy);
        assert!(!strategy.describe().is_empty() && !strategy.describe().contains('\n'));
    }
    assert_eq!(Strategy::default().to_string(), "typiclust+margin");
    let error = "oracle".parse::<Strategy>().unwrap_err().to_string();
    assert!(error.contains("k-center") && error.ends_with("oracle"), "{error}");
}

#[test]
fn reasons_read_well() {
    let reason = Reason::Typical { cluster: 11, clusters: 40, labelled: 0, typicality: 3.12 };
    assert_eq!(reason.to_string(), "cluster 12 of 40, no label yet, typicality 3.1");
    assert_eq!(Reason::Margin { margin: 0.031 }.to_string(), "margin 0.03");
    let reason = Reason::BalancedMargin { margin: 0.5, labels: 1 };
    assert_eq!(reason.to_string(), "margin 0.50, likeliest class with 1 label");
    let reason = Reason::Coverage { films: 41 };
    assert_eq!(reason.to_string(), "stands for 41 films that no label does");
    let reason = Reason::JointDisagreement { nats: 0.21, before: 0.4 };
    assert_eq!(reason.to_string(), "disagreement 0.210 nats on top of 0.400");
    let reason = Reason::ViewVariance { deviation: 0.123 };
    assert_eq!(reason.to_string(), "probability ± 0.12 over its views");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the numbers, NaN and infinity included, a ranking names different candidates and as many as it can.
    #[test]
    fn any_pool_is_ranked(
        values in prop::collection::vec(
            prop_oneof![8 => -1f32..1.0, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY), 1 => Just(0.0)], 3..120),
        labels in 0usize..30,
        count in 0usize..50,
        strategy in prop::sample::select(Strategy::ALL.to_vec()),
        sanitised in any::<bool>(),
        with_views in any::<bool>(),
    ) {
        let rows = values.len() / 3;
        let x = Embeddings::new(3, values[..rows * 3].to_vec()).unwrap();
        let mut films = Films::new(if sanitised { x.normalised() } else { x }, (0..labels.min(rows)).collect());
        films.probabilities = values.iter().cycle().take(rows * 2).copied().collect();
        let other = values.iter().rev().take(rows * 3).copied().collect();
        films.views = with_views.then(|| vec![Embeddings::new(3, other).unwrap()]);
        let ranked = chosen(&films.rank(strategy, count));
        prop_assert_eq!(ranked.len(), count.min(films.candidates.len()));
        let distinct: BTreeSet<usize> = ranked.iter().copied().collect();
        prop_assert_eq!(distinct.len(), ranked.len());
        prop_assert!(ranked.iter().all(|film| films.candidates.contains(film)));
    }

    #[test]
    fn head_gives_distributions(
        values in prop::collection::vec(-3f32..3.0, 8..80),
        classes in prop::collection::vec(0usize..4, 20),
        l2 in 1e-3f32..1e3,
    ) {
        let rows = values.len() / 4;
        let x = Embeddings::new(4, values[..rows * 4].to_vec()).unwrap();
        let rows: Vec<usize> = (0..rows.min(classes.len())).collect();
        let labelled = Labelled { classes: classes[..rows.len()].to_vec(), rows };
        let head = Space::of_rows(x.clone(), 4).head(&labelled, l2);
        for row in head.probabilities(&x).chunks(4) {
            prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            prop_assert!(row.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }
}

#[test]
fn an_unusable_film_comes_last() {
    let mut films = Films::sample(0);
    films.probabilities[2 * 33] = f32::NAN;
    for strategy in [
        Strategy::Margin,
        Strategy::Entropy,
        Strategy::LeastConfidence,
        Strategy::ClassBalanced,
        Strategy::DensityWeighted,
        Strategy::Badge,
    ] {
        assert_eq!(films.rank(strategy, 200)[199].index, 33);
    }
}
