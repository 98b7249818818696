//! Disagreement of a committee: BALD (Houlsby, Huszár, Ghahramani and Lengyel, arXiv 1112.5745) and `BatchBALD` (Kirsch,
//! van Amersfoort and Gal, `NeurIPS` 2019). All information is in nats.
//!
//! The first film of a batch is the same by both; they differ where several are read before the next ranking.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rand_chacha::ChaCha8Rng;

use super::committee::{Committee, Opinions, surprise};
use super::pool::{Pool, Ranked};
use super::reason::Reason;
use crate::rng;

/// Films that are chosen jointly. The members cannot tell more than the logarithm of their number, 2.3 nats of ten, and
/// ten films mostly exhaust that; the authors too advise small batches.
const JOINTLY: usize = 10;
/// Configurations of the chosen films' labels that are enumerated: all those of nine films of two classes.
const CONFIGURATIONS: usize = 1 << 9;

/// Returns the mutual information of each film's label and the choice of a member.
pub(super) fn bald(opinions: &Opinions) -> Vec<f64> {
    let information = |film: usize| {
        let of_mean: f64 = opinions.mean(film).into_iter().map(surprise).sum();
        (of_mean - member_entropy(opinions, film)).max(0.0)
    };
    (0..opinions.films()).map(information).collect()
}

/// Returns the mean over members of their entropies of a film.
fn member_entropy(opinions: &Opinions, film: usize) -> f64 {
    let members = 0..opinions.members();
    let terms = members.flat_map(|member| opinions.of(member, film));
    terms.map(|&p| surprise(f64::from(p))).sum::<f64>() / opinions.members() as f64
}

/// Ranks all candidates, those of largest disagreement first.
pub(crate) fn rank(pool: &Pool<'_>, seed: u64) -> Vec<Ranked> {
    let nats = bald(&Committee::fit(pool, seed).opinions(pool, pool.candidates));
    pool.by_urgency(pool.candidates.iter().zip(nats).map(|(&index, nats)| disagreeing(index, nats)))
}

fn disagreeing(index: usize, nats: f64) -> (f32, Ranked) {
    let nats = nats as f32;
    (nats, Ranked { index, score: nats, reason: Reason::Disagreement { nats } })
}

/// Ranks up to `count` candidates: the first ten jointly, any more by their own disagreement.
pub(crate) fn rank_batch(pool: &Pool<'_>, count: usize, seed: u64) -> Vec<Ranked> {
    let films = pool.candidates_by_id();
    let opinions = Committee::fit(pool, seed).opinions(pool, &films);
    let mut draws = rng::stream(seed, "label configurations", &[]);
    let mut taken = vec![false; films.len()];
    let mut before = 0.0;
    let mut ranked = Vec::with_capacity(count.min(films.len()));
    for (film, joint) in batch_bald(&opinions, count.min(JOINTLY), &mut draws) {
        let nats = (joint - before) as f32;
        let reason = Reason::JointDisagreement { nats, before: before as f32 };
        ranked.push(Ranked { index: films[film], score: nats, reason });
        taken[film] = true;
        before = joint;
    }
    let own = bald(&opinions);
    let rest = (0..films.len()).filter(|&film| !taken[film]);
    ranked.extend(pool.by_urgency(rest.map(|film| disagreeing(films[film], own[film]))));
    ranked
}

/// Chooses up to `count` films greedily, each with the joint mutual information of the labels so far and the choice of a
/// member; of equals the film that comes first.
///
/// Exact as long as the labels of the films chosen before have no more than 512 configurations; beyond that the joint
/// entropies are estimated from 512 configurations sampled from the members in turn (the authors' `batchbald_redux`).
/// Information is submodular: what a film adds only shrinks as others are chosen, so a film whose gain was smaller before
/// than the best one's is now need not be looked at again (Minoux 1978). No film is left out beforehand.
pub(super) fn batch_bald(
    opinions: &Opinions,
    count: usize,
    draws: &mut ChaCha8Rng,
) -> Vec<(usize, f64)> {
    let conditional: Vec<f64> =
        (0..opinions.films()).map(|film| member_entropy(opinions, film)).collect();
    let mut heap: BinaryHeap<Bound> = bald(opinions)
        .into_iter()
        .enumerate()
        .map(|(film, gain)| Bound { gain, film, chosen: 0 })
        .collect();
    let mut joint = Joint::new(opinions);
    let mut chosen: Vec<(usize, f64)> = Vec::with_capacity(count.min(opinions.films()));
    // Joint entropy less the sum of conditional ones, of the films chosen.
    let mut information = 0.0;
    while chosen.len() < count {
        let Some(best) = heap.pop() else { break };
        if best.chosen == chosen.len() {
            information += best.gain;
            chosen.push((best.film, information));
            if chosen.len() < count {
                joint.add(best.film, draws);
            }
        } else {
            let gain = joint.entropy_with(best.film) - joint.entropy - conditional[best.film];
            heap.push(Bound { gain, film: best.film, chosen: chosen.len() });
        }
    }
    chosen
}

/// What a film adds, as computed when so many were chosen; later it adds no more than that.
#[derive(PartialEq)]
struct Bound {
    gain: f64,
    film: usize,
    chosen: usize,
}

impl Eq for Bound {}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.gain.total_cmp(&other.gain).then_with(|| other.film.cmp(&self.film))
    }
}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The joint distribution of the labels of the films chosen so far.
struct Joint<'a> {
    opinions: &'a Opinions,
    films: Vec<usize>,
    /// Probability of each configuration by each member: members x configurations.
    likelihoods: Vec<Vec<f64>>,
    /// What each configuration stands for: one if all are enumerated, else `1 / (n q)` for one of `n` drawn from the
    /// committee's distribution `q`.
    weights: Vec<f64>,
    sampled: bool,
    entropy: f64,
}

impl<'a> Joint<'a> {
    fn new(opinions: &'a Opinions) -> Self {
        let likelihoods = vec![vec![1.0]; opinions.members()];
        let weights = vec![1.0];
        Self { opinions, films: Vec::new(), likelihoods, weights, sampled: false, entropy: 0.0 }
    }

    /// Returns the entropy of the chosen films' labels and that of one film more.
    fn entropy_with(&self, film: usize) -> f64 {
        let mut entropy = 0.0;
        let mut mixture = vec![0.0; self.weights.len()];
        for class in 0..self.opinions.class_count() {
            mixture.fill(0.0);
            for (member, likelihoods) in self.likelihoods.iter().enumerate() {
                let share = f64::from(self.opinions.of(member, film)[class])
                    / self.opinions.members() as f64;
                mixture.iter_mut().zip(likelihoods).for_each(|(m, l)| *m += share * l);
            }
            entropy +=
                mixture.iter().zip(&self.weights).map(|(&m, w)| w * surprise(m)).sum::<f64>();
        }
        entropy
    }

    /// Adds a film to those chosen.
    fn add(&mut self, film: usize, draws: &mut ChaCha8Rng) {
        let classes = self.opinions.class_count();
        self.films.push(film);
        self.sampled |= self.weights.len() * classes > CONFIGURATIONS;
        if self.sampled {
            self.sample(draws);
        } else {
            for (member, likelihoods) in self.likelihoods.iter_mut().enumerate() {
                let p = self.opinions.of(member, film);
                let split = |&l: &f64| p.iter().map(move |&p| l * f64::from(p));
                *likelihoods = likelihoods.iter().flat_map(split).collect();
            }
            self.weights = vec![1.0; self.weights.len() * classes];
        }
        let mixture = self.mixture();
        self.entropy = mixture.iter().zip(&self.weights).map(|(&m, w)| w * surprise(m)).sum();
    }

    /// Draws configurations, from each member the same number or one more.
    fn sample(&mut self, draws: &mut ChaCha8Rng) {
        let members = self.opinions.members();
        let mut likelihoods = vec![Vec::with_capacity(CONFIGURATIONS); members];
        for configuration in 0..CONFIGURATIONS {
            let labels: Vec<usize> = self
                .films
                .iter()
                .map(|&film| draw(self.opinions.of(configuration % members, film), draws))
                .collect();
            for (member, likelihoods) in likelihoods.iter_mut().enumerate() {
                let p = |(&film, &label)| f64::from(self.opinions.of(member, film)[label]);
                likelihoods.push(self.films.iter().zip(&labels).map(p).product());
            }
        }
        self.likelihoods = likelihoods;
        let weight = |q: f64| if q > 0.0 { 1.0 / (CONFIGURATIONS as f64 * q) } else { 0.0 };
        self.weights = self.mixture().into_iter().map(weight).collect();
    }

    /// Returns the committee's probability of each configuration.
    fn mixture(&self) -> Vec<f64> {
        let mut mixture = vec![0.0; self.likelihoods.first().map_or(0, Vec::len)];
        for likelihoods in &self.likelihoods {
            mixture.iter_mut().zip(likelihoods).for_each(|(m, l)| *m += l);
        }
        mixture.iter().map(|sum| sum / self.likelihoods.len() as f64).collect()
    }
}

/// Draws a class from probabilities.
fn draw(probabilities: &[f32], draws: &mut ChaCha8Rng) -> usize {
    let mut left = rng::unit(draws) * probabilities.iter().sum::<f32>();
    let last = probabilities.len().saturating_sub(1);
    let passed = |&p: &f32| {
        left -= p;
        left < 0.0
    };
    probabilities.iter().position(passed).unwrap_or(last)
}
