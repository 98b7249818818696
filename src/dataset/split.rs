//! Splits that keep every patient on one side.

use std::collections::BTreeMap;

use crate::rng::{shuffle, stream};

/// One group on its way into a fold.
struct Group {
    members: Vec<usize>,
    /// Class and how many members have it.
    counts: BTreeMap<usize, u64>,
}

/// Deals items into `k` folds and returns the fold of each: groups stay whole, classes are spread as evenly as they let.
///
/// Large groups are dealt first, each to the fold that holds the least of its classes. The result depends on the names
/// of the groups and on the seed, not on the order of the items. A `k` of 0 counts as 1.
pub fn grouped_folds(groups: &[&str], classes: &[usize], k: usize, seed: u64) -> Vec<usize> {
    let k = k.max(1);
    let mut by_name = BTreeMap::<&str, Group>::new();
    let mut totals = BTreeMap::<usize, u64>::new();
    for (item, (&name, &class)) in groups.iter().zip(classes).enumerate() {
        let group = by_name
            .entry(name)
            .or_insert_with(|| Group { members: Vec::new(), counts: BTreeMap::new() });
        group.members.push(item);
        *group.counts.entry(class).or_default() += 1;
        *totals.entry(class).or_default() += 1;
    }
    let mut queue: Vec<Group> = by_name.into_values().collect();
    shuffle(&mut stream(seed, "split", &[k as u64]), &mut queue);
    queue.sort_by_key(|group| std::cmp::Reverse(group.members.len()));
    let mut folds = vec![0; groups.len().min(classes.len())];
    let mut held = vec![BTreeMap::<usize, u64>::new(); k];
    let mut sizes = vec![0usize; k];
    for group in queue {
        // The sum over folds and classes of (held / total)² grows by a constant plus twice this.
        let growth = |fold: usize| -> f64 {
            let share = |(class, &count): (&usize, &u64)| {
                let total = totals.get(class).copied().unwrap_or(1) as f64;
                held[fold].get(class).copied().unwrap_or(0) as f64 * count as f64 / (total * total)
            };
            group.counts.iter().map(share).sum()
        };
        let best = (0..k)
            .map(|fold| (growth(fold), sizes[fold], fold))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let fold = best.map_or(0, |(_, _, fold)| fold);
        for (&class, &count) in &group.counts {
            *held[fold].entry(class).or_default() += count;
        }
        sizes[fold] += group.members.len();
        for item in group.members {
            folds[item] = fold;
        }
    }
    folds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally(folds: &[usize], classes: &[usize], k: usize, class: usize) -> Vec<usize> {
        let mut counts = vec![0; k];
        folds
            .iter()
            .zip(classes)
            .filter(|(_, c)| **c == class)
            .for_each(|(&fold, _)| counts[fold] += 1);
        counts
    }

    proptest! {
        #[test]
        fn groups_stay_whole_and_folds_are_used(
            items in proptest::collection::vec((0u8..30, 0usize..3), 0..120), k in 0usize..7, seed: u64
        ) {
            let names: Vec<String> = items.iter().map(|(group, _)| format!("p{group}")).collect();
            let groups: Vec<&str> = names.iter().map(String::as_str).collect();
            let classes: Vec<usize> = items.iter().map(|(_, class)| *class).collect();
            let folds = grouped_folds(&groups, &classes, k, seed);
            prop_assert_eq!(folds.len(), items.len());
            let mut home = BTreeMap::new();
            for (group, &fold) in groups.iter().zip(&folds) {
                prop_assert!(fold < k.max(1));
                prop_assert_eq!(*home.entry(group).or_insert(fold), fold);
            }
            let used: std::collections::BTreeSet<_> = folds.iter().collect();
            prop_assert_eq!(used.len(), k.max(1).min(home.len()));
            // The order of the items does not matter.
            let reversed = grouped_folds(
                &groups.iter().rev().copied().collect::<Vec<_>>(),
                &classes.iter().rev().copied().collect::<Vec<_>>(),
                k,
                seed,
            );
            prop_assert!(reversed.iter().rev().eq(&folds));
        }

        #[test]
        fn without_groups_every_class_is_dealt_evenly(
            classes in proptest::collection::vec(0usize..3, 1..150), k in 1usize..7, seed: u64
        ) {
            let names: Vec<String> = (0..classes.len()).map(|i| i.to_string()).collect();
            let groups: Vec<&str> = names.iter().map(String::as_str).collect();
            let folds = grouped_folds(&groups, &classes, k, seed);
            for class in 0..3 {
                let counts = tally(&folds, &classes, k, class);
                let spread = counts.iter().max().unwrap() - counts.iter().min().unwrap();
                prop_assert!(spread <= 1, "{:?}", counts);
            }
        }
    }

    #[test]
    fn groups_of_several_films_are_still_balanced() {
        let mut rng = stream(9, "test", &[]);
        let (mut names, mut classes) = (Vec::new(), Vec::new());
        for patient in 0..400 {
            for _ in 0..=crate::rng::below(&mut rng, 6) {
                names.push(format!("p{patient}"));
                classes.push(usize::from(patient % 4 != 0));
            }
        }
        let groups: Vec<&str> = names.iter().map(String::as_str).collect();
        let folds = grouped_folds(&groups, &classes, 5, 1);
        for class in [0, 1] {
            let counts = tally(&folds, &classes, 5, class);
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 2, "{counts:?}");
        }
        assert_ne!(folds, grouped_folds(&groups, &classes, 5, 2));
    }
}
