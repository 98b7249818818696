//! Cutting films anew into a pool and evaluation films.
//!
//! What is drawn depends on the films' contents, never on their names or on the order in which they are listed.

use std::collections::{BTreeMap, BTreeSet};

use super::FilmId;
use crate::rng;

/// The two parts of a list of films, as rows of the list in ascending order; no row stands in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Films that labels are bought of.
    pub pool: Vec<usize>,
    /// Films that figures are measured on.
    pub evaluation: Vec<usize>,
}

impl Split {
    /// Draws whole patients until the evaluation part has `evaluation` films.
    ///
    /// Patients come in random order; one with more films than are still missing is passed over, so that the part has
    /// exactly the size asked for as long as there are enough patients with one film. `repeat` numbers the splits of one
    /// seed.
    pub fn by_patient(
        ids: &[FilmId],
        patients: &[String],
        evaluation: usize,
        seed: u64,
        repeat: u64,
    ) -> Self {
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, patient) in patients.iter().enumerate() {
            groups.entry(patient).or_default().push(row);
        }
        draw(ids, groups.into_values().collect(), evaluation, seed, repeat)
    }

    /// Draws single films until the evaluation part has `evaluation` of them, whoever they are of.
    pub fn by_film(ids: &[FilmId], evaluation: usize, seed: u64, repeat: u64) -> Self {
        draw(ids, (0..ids.len()).map(|row| vec![row]).collect(), evaluation, seed, repeat)
    }

    /// Counts the evaluation films of patients who have films in the pool too.
    pub fn films_of_shared_patients(&self, patients: &[String]) -> usize {
        let pool: BTreeSet<&String> = self.pool.iter().map(|&row| &patients[row]).collect();
        self.evaluation.iter().filter(|&&row| pool.contains(&patients[row])).count()
    }
}

/// Draws groups into the evaluation part.
fn draw(
    ids: &[FilmId],
    mut groups: Vec<Vec<usize>>,
    evaluation: usize,
    seed: u64,
    repeat: u64,
) -> Split {
    let smallest = |group: &[usize]| group.iter().map(|&row| ids[row]).min();
    groups.sort_by_cached_key(|group| smallest(group));
    rng::shuffle(&mut rng::stream(seed, "split", &[repeat]), &mut groups);
    let mut split = Split::default();
    for group in groups {
        let part = if split.evaluation.len() + group.len() <= evaluation {
            &mut split.evaluation
        } else {
            &mut split.pool
        };
        part.extend(group);
    }
    split.pool.sort_unstable();
    split.evaluation.sort_unstable();
    split
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(count: usize) -> Vec<FilmId> {
        (0..count).map(|film| FilmId::of(&film.to_le_bytes())).collect()
    }

    proptest! {
        #[test]
        fn every_film_is_in_one_part_and_no_patient_in_both(
            patients in prop::collection::vec(0u8..12, 1..60), share in 0.0f64..1.0, seed: u64
        ) {
            let names: Vec<String> = patients.iter().map(u8::to_string).collect();
            let wanted = (share * names.len() as f64) as usize;
            let split = Split::by_patient(&ids(names.len()), &names, wanted, seed, 0);
            let mut all = [split.pool.clone(), split.evaluation.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..names.len()).collect::<Vec<_>>());
            prop_assert_eq!(split.films_of_shared_patients(&names), 0);
            prop_assert!(split.evaluation.len() <= wanted);
            let films = Split::by_film(&ids(names.len()), wanted, seed, 0);
            prop_assert_eq!(films.evaluation.len(), wanted);
        }

        #[test]
        fn a_part_is_as_large_as_asked_for_with_single_films_enough(
            pairs in 0usize..20, wanted in 0usize..30, seed: u64
        ) {
            let single = 30;
            let patients: Vec<String> = (0..2 * pairs)
                .map(|film| format!("pair {}", film / 2))
                .chain((0..single).map(|film| format!("single {film}")))
                .collect();
            let split = Split::by_patient(&ids(patients.len()), &patients, wanted, seed, 1);
            prop_assert_eq!(split.evaluation.len(), wanted);
        }
    }

    #[test]
    fn the_draw_follows_the_films_and_not_their_order_or_their_patients_names() {
        let ids = ids(40);
        let patients: Vec<String> = (0..40).map(|film| format!("{}", film / 2)).collect();
        let split = Split::by_patient(&ids, &patients, 10, 3, 0);
        let mut chosen: Vec<FilmId> = split.evaluation.iter().map(|&row| ids[row]).collect();
        chosen.sort_unstable();
        let backwards: Vec<FilmId> = ids.iter().rev().copied().collect();
        let renamed: Vec<String> =
            (0..40).map(|film| format!("x{}", (film / 2 * 7) % 20)).collect();
        let other = Split::by_patient(&backwards, &renamed, 10, 3, 0);
        let mut found: Vec<FilmId> = other.evaluation.iter().map(|&row| backwards[row]).collect();
        found.sort_unstable();
        assert_eq!(chosen, found);
        assert_ne!(
            split,
            Split::by_patient(&ids, &patients, 10, 3, 1),
            "a repeat is another split"
        );
        assert_ne!(split, Split::by_patient(&ids, &patients, 10, 4, 0));
    }
}
