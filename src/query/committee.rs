//! A committee of heads fitted to bootstrap resamples of the labels: what the labels leave open about the head.

use rand_core::Rng;

use super::pool::Pool;
use crate::dataset::Labelled;
use crate::features::Head;
use crate::rng;

/// Heads of a committee.
const MEMBERS: usize = 10;
/// Films whose features fit into a small cache, 64 KiB at a width of 512.
const CACHED: usize = 32;

/// Class probabilities of films by each member of a committee.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinions {
    class_count: usize,
    films: usize,
    /// Films x classes, for each member.
    members: Vec<Vec<f32>>,
}

impl Opinions {
    /// Takes each member's probabilities, films x classes, row-major; films that not all members know are left out.
    pub fn new(class_count: usize, members: Vec<Vec<f32>>) -> Self {
        let values = members.iter().map(Vec::len).min().unwrap_or(0);
        Self { class_count, films: values / class_count.max(1), members }
    }

    /// Returns the number of films.
    pub fn films(&self) -> usize {
        self.films
    }

    /// Returns the number of classes.
    pub fn class_count(&self) -> usize {
        self.class_count
    }

    /// Returns the number of members.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Returns a member's probabilities of a film; out of range is a defect of the caller and panics.
    pub fn of(&self, member: usize, film: usize) -> &[f32] {
        &self.members[member][film * self.class_count..][..self.class_count]
    }

    /// Returns the committee's probabilities of a film: the mean over members.
    pub(crate) fn mean(&self, film: usize) -> Vec<f64> {
        let mut mean = vec![0.0; self.class_count];
        for member in 0..self.members() {
            mean.iter_mut().zip(self.of(member, film)).for_each(|(m, &p)| *m += f64::from(p));
        }
        mean.iter().map(|sum| sum / self.members() as f64).collect()
    }
}

/// Returns `-x ln x` in nats, 0 for 0.
pub(crate) fn surprise(x: f64) -> f64 {
    if x > 0.0 { -x * x.ln() } else { 0.0 }
}

/// Heads fitted to resamples of a pool's labels.
pub(crate) struct Committee {
    heads: Vec<Head>,
}

impl Committee {
    /// Fits the members, with the penalty of the pool's head and from its solution.
    pub(crate) fn fit(pool: &Pool<'_>, seed: u64) -> Self {
        let fit = |member| {
            let labels = resample(pool, member, seed);
            pool.space.rough_head(&labels, pool.head.l2(), pool.head)
        };
        Self { heads: (0..MEMBERS as u64).map(fit).collect() }
    }

    /// Returns the members' probabilities of the films `rows` of a pool.
    pub(crate) fn opinions(&self, pool: &Pool<'_>, rows: &[usize]) -> Opinions {
        let mut members =
            vec![Vec::with_capacity(rows.len() * pool.space.classes()); self.heads.len()];
        // A few films at a time, which all members then find in the cache.
        for rows in rows.chunks(CACHED) {
            for (member, head) in members.iter_mut().zip(&self.heads) {
                member.extend(head.probabilities_of(pool.space.features(), rows));
            }
        }
        Opinions::new(pool.space.classes(), members)
    }
}

/// Draws how often each label counts for a member: the labelled rows, some several times, and their classes.
///
/// A label counts as often as a Poisson variable of mean one says, which is the bootstrap's count in the limit of many
/// labels (Oza and Russell, AISTATS 2001). It is drawn for the film, so that one label more does not change the others'
/// counts and the committee's opinions move with the labels only. A class that would be left without any keeps the
/// label whose draw was largest.
fn resample(pool: &Pool<'_>, member: u64, seed: u64) -> Labelled {
    let (mut rows, mut classes) = (Vec::new(), Vec::new());
    let mut drawn = vec![0usize; pool.space.classes()];
    let mut largest: Vec<Option<(u64, usize)>> = vec![None; pool.space.classes()];
    for (&row, &class) in pool.labelled.iter().zip(pool.classes) {
        let finite = pool.space.features().row(row).iter().all(|v| v.is_finite());
        if class >= pool.space.classes() || !finite {
            continue;
        }
        let bits = rng::stream(seed, "bootstrap", &[member, pool.ids[row].key()]).next_u64();
        largest[class] = largest[class].max(Some((bits, row)));
        let count = poisson(bits);
        drawn[class] += count;
        rows.extend(std::iter::repeat_n(row, count));
        classes.extend(std::iter::repeat_n(class, count));
    }
    for (class, kept) in largest.into_iter().enumerate().filter(|(class, _)| drawn[*class] == 0) {
        if let Some((_, row)) = kept {
            rows.push(row);
            classes.push(class);
        }
    }
    Labelled { rows, classes }
}

/// Returns the quantile of the Poisson distribution of mean one at 53 of 64 random bits.
fn poisson(bits: u64) -> usize {
    let uniform = rng::unit_of_bits(bits);
    let (mut count, mut probability) = (0, (-1.0f64).exp());
    let mut below = probability;
    // Beyond 20 the sum of what was passed is one to the last digit.
    while uniform >= below && count < 20 {
        count += 1;
        probability /= count as f64;
        below += probability;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::FilmId;
    use crate::features::{Embeddings, Space};

    #[test]
    fn counts_are_those_of_poisson() {
        let mut random = rng::stream(1, "test", &[]);
        let mut seen = [0f64; 5];
        let n = 100_000;
        for _ in 0..n {
            seen[poisson(random.next_u64()).min(4)] += 1.0;
        }
        // scipy.stats.poisson(1): pmf(0..3), sf(3). Chi-square with 4 degrees of freedom: 18.47 is its 99.9th percentile.
        let expected = [0.367_879_44, 0.367_879_44, 0.183_939_72, 0.061_313_24, 0.018_988_16];
        let chi: f64 = seen
            .iter()
            .zip(expected)
            .map(|(s, p)| (s - p * n as f64).powi(2) / (p * n as f64))
            .sum();
        assert!(chi < 18.47, "{seen:?}");
        assert!(poisson(0) == 0 && (15..=20).contains(&poisson(u64::MAX)));
    }

    /// The labels of each member's resample, by film.
    fn counts(films: &[(usize, usize)], member: u64) -> Vec<(usize, usize)> {
        let ids: Vec<FilmId> = (0..50usize).map(|i| FilmId::of(&i.to_le_bytes())).collect();
        let x = Embeddings::new(
            1,
            (0..50).map(|v| if v == 49 { f32::NAN } else { v as f32 }).collect(),
        );
        let x = x.unwrap();
        let (labelled, classes): (Vec<_>, Vec<_>) = films.iter().copied().unzip();
        let space = Space::of_rows(x, 3);
        let pool = Pool {
            ids: &ids,
            space: &space,
            views: None,
            head: &space.head(&Labelled { rows: labelled.clone(), classes: classes.clone() }, 1.0),
            probabilities: &[],
            labelled: &labelled,
            classes: &classes,
            answered: &[],
            candidates: &[],
            batch: 1,
        };
        let Labelled { rows, classes } = resample(&pool, member, 5);
        let mut drawn: Vec<_> = rows.into_iter().zip(classes).collect();
        drawn.sort_unstable();
        drawn
    }

    #[test]
    fn no_class_is_lost_and_no_other_film_changes_with_a_label() {
        let mut films = vec![(3, 0), (7, 2), (9, 0), (49, 1)];
        let mut rescued = 0;
        for member in 0..40 {
            let before = counts(&films, member);
            for class in [0, 2] {
                assert!(before.iter().any(|film| film.1 == class), "class {class} of {member}");
            }
            assert!(before.iter().all(|film| film.0 != 49), "a film that is not finite was drawn");
            films.reverse();
            assert_eq!(before, counts(&films, member), "the order of labels changed a resample");
            // A film of a further class leaves all other counts.
            films.push((20, 1));
            let mut after = counts(&films, member);
            after.retain(|film| film.0 != 20);
            assert_eq!(before, after);
            films.pop();
            rescued += usize::from(before.iter().filter(|film| film.0 == 7).count() == 1);
        }
        assert!(rescued > 20, "film 7 counts once in {rescued} of 40");
    }
}
