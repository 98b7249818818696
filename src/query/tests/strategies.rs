//! The strategies beyond the probabilities of one head, against scikit-activeml, closed forms and slow restatements.

use std::collections::BTreeSet;

use approx::assert_abs_diff_eq;
use proptest::prelude::{ProptestConfig, prop, prop_assert, proptest};
use proptest::strategy::Strategy as Generator;
use serde_json::Value;

use crate::dataset::FilmId;
use crate::features::Embeddings;
use crate::query::badge::select as badge_select;
use crate::query::bald::{bald, batch_bald};
use crate::query::cluster::{ClusterCache, Clusters};
use crate::query::committee::Opinions;
use crate::query::epig::epig;
use crate::query::prob_cover::{Cover, MOST_PAIRS, greedy, radius as prob_cover_radius};
use crate::query::strategy::rank;
use crate::query::{Ranked, Reason, Strategy};
use crate::rng;

use super::{Films, chosen, doubles, indices, number, singles};

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/golden/strategies.json")).unwrap()
}

/// Ids in the order of the films, as the other side breaks ties by place.
fn ordered_ids(count: usize) -> Vec<FilmId> {
    (0..count).map(|film| FilmId::try_from(format!("{film:032x}")).unwrap()).collect()
}

/// The fixture's films, with the labels and probabilities of a case.
fn films(all: &Value, case: &Value) -> Films {
    let x = Embeddings::new(number(&all["width"]), singles(&all["x"])).unwrap();
    let mut films = Films::new(x, indices(&case["labelled"]));
    films.ids = ordered_ids(films.space.features().len());
    films
}

fn cover(films: &Films, radius: f32) -> Cover {
    Cover::new(films.space.directions(), radius, MOST_PAIRS)
}

fn opinions(members: &Value, classes: &Value) -> Opinions {
    let members = members.as_array().unwrap().iter().map(singles).collect();
    Opinions::new(number(classes), members)
}

fn draws() -> rand_chacha::ChaCha8Rng {
    rng::stream(3, "test", &[])
}

fn close(ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len());
    for (&a, &b) in ours.iter().zip(theirs) {
        assert_abs_diff_eq!(a, b, epsilon = tolerance);
    }
}

#[test]
fn batch_bald_has_the_published_values() {
    let case = &golden()["published_batch_bald"];
    let first = singles(&case["first_class"]);
    let member = |p: &[f32]| p.iter().flat_map(|&p| [p, 1.0 - p]).collect();
    let opinions = Opinions::new(2, first.chunks(200).map(member).collect());
    assert_eq!((opinions.members(), opinions.films()), (10, 200));
    let joint: Vec<f64> =
        batch_bald(&opinions, 4, &mut draws()).iter().map(|film| film.1).collect();
    close(&joint, &doubles(&case["published"]), 1e-6);
}

#[test]
fn bald_and_batch_bald_agree_with_scikit_activeml() {
    for case in golden()["batch_bald"].as_array().unwrap() {
        let opinions = opinions(&case["members"], &case["classes"]);
        close(&bald(&opinions), &doubles(&case["bald"]), 1e-6);
        let selected = indices(&case["selected"]);
        let ours = batch_bald(&opinions, selected.len(), &mut draws());
        let (films, joint): (Vec<usize>, Vec<f64>) = ours.into_iter().unzip();
        assert_eq!(films, selected);
        close(&joint, &doubles(&case["joint"]), 1e-6);
    }
}

#[test]
fn sampled_joint_information_comes_near_the_exact_one() {
    let case = &golden()["batch_bald_many"];
    let opinions = opinions(&case["members"], &case["classes"]);
    let exact = doubles(&case["joint"]);
    let ours = batch_bald(&opinions, exact.len(), &mut draws());
    // Three classes have 243 configurations with five films before and 729 with six.
    for (step, (ours, exact)) in ours.iter().zip(&exact).enumerate() {
        let tolerance = if step < 6 { 1e-6 } else { 0.05 * exact };
        assert_abs_diff_eq!(ours.1, *exact, epsilon = tolerance);
    }
    let films: Vec<usize> = ours.iter().map(|film| film.0).collect();
    assert_eq!(films[..6], indices(&case["selected"])[..6]);
}

#[test]
fn three_members_by_hand() {
    let p = |p: f32| vec![1.0 - p, p];
    let films = [[0.8, 0.4, 0.9], [0.5, 0.5, 0.5], [0.1, 0.05, 0.15], [0.0, 1.0, 0.0]];
    let member = |m: usize| films.iter().flat_map(|film| p(film[m])).collect();
    let opinions = Opinions::new(2, (0..3).map(member).collect());
    // The last: the entropy of a third.
    close(&bald(&opinions), &[0.111_365_281, 0.0, 0.009_647_205, 0.636_514_168], 1e-7);
    // With the first two answers known for certain, a copy of the last film tells nothing more.
    let copies =
        Opinions::new(2, (0..3).map(|m| [p(films[3][m]), p(films[3][m])].concat()).collect());
    let batch = batch_bald(&copies, 2, &mut draws());
    close(&[batch[0].1, batch[1].1], &[0.636_514_168, 0.636_514_168], 1e-9);
}

#[test]
fn epig_agrees_with_its_definition() {
    for case in golden()["epig"].as_array().unwrap() {
        let films = opinions(&case["films"], &case["classes"]);
        let targets = opinions(&case["targets"], &case["classes"]);
        close(&epig(&films, &targets), &doubles(&case["epig"]), 1e-6);
    }
}

#[test]
fn badge_agrees_with_scikit_activeml_given_its_draws() {
    let all = golden();
    for case in all["badge"].as_array().unwrap() {
        let mut films = films(&all, case);
        films.set_classes(number(&case["classes"]));
        films.probabilities = singles(&case["probabilities"]);
        let selected = indices(&case["selected"]);
        let mut given = doubles(&case["draws"]).into_iter();
        let ours = badge_select(&films.pool(), selected.len(), &mut || given.next().unwrap());
        assert_eq!(chosen(&ours), selected);
        assert_eq!(given.next(), None, "not all numbers were drawn");
        let distances: Vec<f64> = ours.iter().map(|film| f64::from(film.score)).collect();
        close(&distances, &doubles(&case["distances"]), 1e-4);
    }
}

#[test]
fn prob_cover_agrees_with_scikit_activeml() {
    let all = golden();
    let case = &all["prob_cover"];
    let films = films(&all, case);
    let clusters = Clusters::from_assignment(indices(&case["assignment"]));
    let rows = films.space.readable();
    let radius = prob_cover_radius(films.space.features(), &clusters, &rows);
    assert_abs_diff_eq!(f64::from(radius), case["radius"].as_f64().unwrap(), epsilon = 1e-5);
    let selected = indices(&case["selected"]);
    let ours = greedy(&films.pool(), &cover(&films, radius), selected.len());
    assert_eq!(chosen(&ours), selected);
    let covered = |reason: &Reason| match *reason {
        Reason::Coverage { films } => films,
        ref other => panic!("{other:?}"),
    };
    let ours: Vec<usize> = ours.iter().map(|film| covered(&film.reason)).collect();
    assert_eq!(ours, indices(&case["covered"]));
}

/// The last film is put off or cannot be read: nobody can choose it, and covering does not wait for it.
#[test]
fn covering_starts_again_whatever_films_are_no_candidates() {
    let x = Embeddings::new(1, vec![0.0, 0.1, 1.0, 1.1, 50.0]).unwrap();
    let mut films = Films::new(x, Vec::new());
    films.candidates = (0..4).collect();
    let covered = greedy(&films.pool(), &cover(&films, 0.5), 4).into_iter().map(|film| film.score);
    assert_eq!(covered.collect::<Vec<_>>(), [2.0; 4]);
}

/// Of its group no more is asked for than if it had a label.
#[test]
fn a_film_answered_without_a_class_counts_as_seen() {
    for strategy in [Strategy::Typiclust, Strategy::KCenter, Strategy::ProbCover] {
        let mut labelled = Films::sample(3);
        let mut answered = Films::sample(3);
        let first = answered.rank(strategy, 1)[0].index;
        labelled.label(first, 0);
        answered.candidates.retain(|&film| film != first);
        let unseen = chosen(&answered.rank(strategy, 6));
        answered.answered.push(first);
        let seen = chosen(&answered.rank(strategy, 6));
        assert_eq!(seen, chosen(&labelled.rank(strategy, 6)), "{strategy}");
        assert_ne!(seen, unseen, "{strategy}");
    }
}

#[test]
fn density_weighting_agrees_with_scikit_learn() {
    let all = golden();
    let case = &all["density_weighted"];
    let mut films = films(&all, case);
    films.probabilities = singles(&case["probabilities"]);
    let scores = doubles(&case["scores"]);
    let mut expected: Vec<(usize, f64)> = indices(&case["films"]).into_iter().zip(scores).collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let ours = films.rank(Strategy::DensityWeighted, expected.len());
    for (ours, (_, score)) in ours.iter().zip(&expected) {
        assert_abs_diff_eq!(f64::from(ours.score), *score, epsilon = 1e-4);
    }
    // Rounding may turn two neighbours round further down.
    assert_eq!(chosen(&ours)[..40], expected.iter().map(|film| film.0).collect::<Vec<_>>()[..40]);
}

#[test]
fn class_balance_fills_quotas_with_the_least_sure() {
    let mut films = Films::new(Embeddings::new(1, vec![0.0; 9]).unwrap(), vec![0]);
    films.ids = ordered_ids(9);
    films.classes = vec![1];
    let p1 = [0.5, 0.6, 0.7, 0.8, 0.55, 0.1, 0.45, 0.52, 0.9];
    films.probabilities = p1.iter().flat_map(|&p| [1.0 - p, p]).collect();
    let ranked = films.rank(Strategy::ClassBalanced, 8);
    // One label of class 1, so class 0 first, of which there are two: 6 and 5; in a tie of one label each the less sure
    // one, 7, comes first, then class 0 again, then what is left of class 1.
    assert_eq!(chosen(&ranked), [6, 7, 5, 4, 1, 2, 3, 8]);
    let labels = |place: usize| match ranked[place].reason {
        Reason::BalancedMargin { labels, .. } => labels,
        ref other => panic!("{other:?}"),
    };
    assert_eq!([labels(0), labels(1), labels(2), labels(3)], [0, 1, 1, 2]);
}

#[test]
fn augmentation_variance_goes_by_the_views_and_by_margin_without_them() {
    let mut films = Films::sample(30);
    assert_eq!(films.rank(Strategy::AugmentationVariance, 50), films.rank(Strategy::Margin, 50));
    assert_eq!(Strategy::AugmentationVariance.in_force(false), Strategy::Margin);
    assert_eq!(Strategy::Bald.in_force(false), Strategy::Bald);
    // A film moves as far as its number, the head sees the first dimension most.
    let moved = |by: f32| {
        let shift =
            |(i, v): (usize, &f32)| if i % 4 == 0 { v + by * (i / 4) as f32 / 200.0 } else { *v };
        Embeddings::new(4, films.space.features().values().iter().enumerate().map(shift).collect())
            .unwrap()
    };
    let views: Vec<Embeddings> = [0.3, -0.3, 0.6].map(moved).to_vec();
    let whole = films.head.probabilities(films.space.features());
    let variance = |film: usize| {
        let mut p = vec![f64::from(whole[2 * film + 1])];
        p.extend(views.iter().map(|x| f64::from(films.head.probabilities_of(x, &[film])[1])));
        let mean = p.iter().sum::<f64>() / 4.0;
        p.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / 4.0
    };
    let expected: Vec<f64> = (0..200).map(variance).collect();
    films.probabilities = whole.clone();
    films.views = Some(views.clone());
    let ranked = films.rank(Strategy::AugmentationVariance, 170);
    for pair in ranked.windows(2) {
        assert!(expected[pair[0].index] >= expected[pair[1].index] - 1e-8);
    }
    for film in &ranked {
        assert_abs_diff_eq!(f64::from(film.score), expected[film.index], epsilon = 1e-6);
    }
    let Reason::ViewVariance { deviation } = ranked[0].reason else { panic!() };
    assert!((deviation.powi(2) - ranked[0].score).abs() < 1e-6 && deviation > 0.01);
}

#[test]
fn without_labels_a_committee_agrees_and_films_stand_by_id() {
    let films = Films::sample(0);
    let mut by_id: Vec<usize> = (0..200).collect();
    by_id.sort_by_key(|&film| films.ids[film]);
    for strategy in [Strategy::Bald, Strategy::BatchBald, Strategy::Epig] {
        let ranked = films.rank(strategy, 200);
        assert_eq!(chosen(&ranked), by_id, "{strategy}");
        assert!(ranked.iter().all(|film| film.score.abs() < 1e-12));
    }
}

#[test]
fn a_batch_takes_another_film_before_a_copy() {
    // Two copies on which four members disagree, and a film on which they do a little less, along another line.
    let p1 = [[0.99, 0.99, 0.01, 0.01], [0.99, 0.99, 0.01, 0.01], [0.97, 0.03, 0.97, 0.03]];
    let member = |m: usize| p1.iter().flat_map(|film| [1.0 - film[m], film[m]]).collect();
    let opinions = Opinions::new(2, (0..4).map(member).collect());
    let single = bald(&opinions);
    assert!(single[0] == single[1] && single[1] > single[2]);
    let batch: Vec<usize> =
        batch_bald(&opinions, 3, &mut draws()).iter().map(|film| film.0).collect();
    assert_eq!(batch, [0, 2, 1]);
}

#[test]
fn badge_draws_no_copy() {
    // Each film is there four times.
    let base = Films::sample(0);
    let values =
        (0..200).flat_map(|i| base.space.features().row(i / 4 * 3 % 200).to_vec()).collect();
    let mut films = Films::new(Embeddings::new(4, values).unwrap(), vec![0, 41, 82, 123, 164, 30]);
    films.probabilities = films.head.probabilities(films.space.features());
    let drawn = chosen(&films.rank(Strategy::Badge, 20));
    let kinds: BTreeSet<usize> = drawn.iter().map(|film| film / 4).collect();
    assert_eq!(kinds.len(), 20, "a copy has distance zero: {drawn:?}");
}

#[test]
fn a_long_batch_goes_on_by_single_disagreement() {
    let films = Films::sample(30);
    let ranked = films.rank(Strategy::BatchBald, 40);
    let jointly = |film: &Ranked| matches!(film.reason, Reason::JointDisagreement { .. });
    assert!(ranked[..10].iter().all(jointly) && !ranked[10..].iter().any(jointly));
    assert!(ranked[10..].is_sorted_by(|a, b| a.score >= b.score));
    let total: f32 = ranked[..10].iter().map(|film| film.score).sum();
    assert!(total <= 10f32.ln(), "ten members told apart by {total} nats");
    // A shorter batch is the beginning of a longer one.
    assert_eq!(films.rank(Strategy::BatchBald, 4), ranked[..4]);
}

#[test]
fn committees_follow_the_seed_and_the_labels() {
    let films = Films::sample(30);
    for strategy in [Strategy::Bald, Strategy::BatchBald, Strategy::Epig, Strategy::Badge] {
        let with =
            |seed| chosen(&rank(strategy, &films.pool(), 20, seed, &mut ClusterCache::default()));
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2), "{strategy}");
    }
}

#[test]
fn a_cover_reaches_all_groups_before_it_returns_to_one() {
    let values = (0..100 * 20).map(|i| {
        let (film, dimension) = (i / 20, i % 20);
        let noise = ((i * 7919) % 1009) as f32 / 1009.0 - 0.5;
        0.1 * noise + f32::from(u8::from(film % 5 == dimension))
    });
    let x = Embeddings::new(20, values.collect()).unwrap().normalised();
    let mut films = Films::new(x, Vec::new());
    let groups = |ranked: &[usize]| ranked.iter().map(|i| i % 5).collect::<BTreeSet<_>>().len();
    let ranked = chosen(&films.rank(Strategy::ProbCover, 10));
    assert_eq!((groups(&ranked[..5]), groups(&ranked[5..])), (5, 5));
    for done in 0..5 {
        films.label(ranked[done], 0);
        assert_eq!(chosen(&films.rank(Strategy::ProbCover, 9 - done)), ranked[done + 1..]);
    }
}

fn any_opinions(classes: usize) -> impl Generator<Value = Opinions> {
    let member = prop::collection::vec(prop::collection::vec(0f32..1.0, classes), 12);
    prop::collection::vec(member, 2..6).prop_map(move |members| {
        let distribution = |row: &Vec<f32>| {
            let sum = row.iter().sum::<f32>() + 1e-3 * classes as f32;
            row.iter().map(|p| (p + 1e-3) / sum).collect::<Vec<f32>>()
        };
        let member = |rows: &Vec<Vec<f32>>| rows.iter().flat_map(distribution).collect();
        Opinions::new(classes, members.iter().map(member).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// A label tells no more about another label than about the member, a batch no less than its best film, and no more
    /// than its films one by one.
    #[test]
    fn information_is_ordered(opinions in (2usize..4).prop_flat_map(any_opinions)) {
        // Single precision lets probabilities sum to a little more or less than one.
        const SLACK: f64 = 1e-6;
        let single = bald(&opinions);
        for (predictive, single) in epig(&opinions, &opinions).iter().zip(&single) {
            prop_assert!(*predictive <= single + SLACK);
        }
        let batch = batch_bald(&opinions, 4, &mut draws());
        let best = single.iter().copied().fold(0.0, f64::max);
        prop_assert!((batch[0].1 - best).abs() < SLACK);
        let (mut before, mut sum) = (0.0, 0.0);
        for &(film, joint) in &batch {
            sum += single[film];
            prop_assert!(joint >= before - SLACK && joint <= sum + SLACK);
            before = joint;
        }
        prop_assert!(before <= (opinions.members() as f64).ln() + SLACK);
    }

    /// Leaving out what need not be looked at changes no choice.
    #[test]
    fn a_batch_is_chosen_as_if_every_film_were_looked_at(opinions in any_opinions(2)) {
        let ours = batch_bald(&opinions, 4, &mut draws());
        let mut chosen: Vec<usize> = Vec::new();
        for &(film, joint) in &ours {
            let with = |film: usize| {
                let mut films = chosen.clone();
                films.push(film);
                joint_information(&opinions, &films)
            };
            // Single precision lets probabilities sum to a little more or less than one.
            prop_assert!((with(film) - joint).abs() < 1e-6);
            for other in (0..opinions.films()).filter(|other| !chosen.contains(other)) {
                prop_assert!(with(other) <= joint + 1e-6);
            }
            chosen.push(film);
        }
    }
}

/// Mutual information of the labels of two-class films and the member, by enumeration.
fn joint_information(opinions: &Opinions, films: &[usize]) -> f64 {
    let surprise = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    let (mut marginal, mut conditional) = (0.0, 0.0);
    let members = opinions.members() as f64;
    for labels in 0..1usize << films.len() {
        let by_member = |member| -> f64 {
            let p = |(i, &film)| f64::from(opinions.of(member, film)[labels >> i & 1]);
            films.iter().enumerate().map(p).product()
        };
        let likelihoods: Vec<f64> = (0..opinions.members()).map(by_member).collect();
        marginal += surprise(likelihoods.iter().sum::<f64>() / members);
        conditional += likelihoods.iter().copied().map(surprise).sum::<f64>() / members;
    }
    marginal - conditional
}
