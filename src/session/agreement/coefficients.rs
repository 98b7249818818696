//! Coefficients of agreement between raters who sort items into classes without an order.
//!
//! All but Cohen's work on how many raters put an item into which class, and allow items rated by different numbers of
//! raters; items with fewer than two ratings say nothing and are to be left out.

/// Raters who put one item into each class.
pub type Votes = Vec<u32>;

/// Returns the probability that two raters of one item, drawn at random, agree; `None` without items.
pub fn observed(items: &[&Votes]) -> Option<f64> {
    mean(items.iter().map(|votes| {
        let raters: u32 = votes.iter().sum();
        let agreeing: u32 = votes.iter().map(|&n| n * n.saturating_sub(1)).sum();
        f64::from(agreeing) / f64::from(raters * raters.saturating_sub(1))
    }))
}

/// Returns the mean share of each class, every item counting alike.
fn shares(items: &[&Votes]) -> Vec<f64> {
    let classes = items.first().map_or(0, |votes| votes.len());
    let share = |class: usize| {
        mean(
            items
                .iter()
                .map(|votes| f64::from(votes[class]) / f64::from(votes.iter().sum::<u32>())),
        )
    };
    (0..classes).map(|class| share(class).unwrap_or(0.0)).collect()
}

/// Returns agreement beyond `expected` as a share of what is possible; `None` where no more could be expected.
fn beyond(observed: f64, expected: f64) -> Option<f64> {
    (expected < 1.0 - 1e-12).then(|| (observed - expected) / (1.0 - expected))
}

/// Returns Fleiss' kappa (Psychological Bulletin 1971); with varying numbers of raters in the form of Gwet (Handbook of
/// Inter-Rater Reliability, 4th edition, 2014, 2.6). For two raters it is Scott's pi.
pub fn fleiss(items: &[&Votes]) -> Option<f64> {
    let expected = shares(items).iter().map(|share| share * share).sum();
    beyond(observed(items)?, expected)
}

/// Returns Krippendorff's alpha for nominal data (Computing Krippendorff's Alpha-Reliability, 2011), which allows for the
/// finite number of ratings.
pub fn krippendorff(items: &[&Votes]) -> Option<f64> {
    let classes = items.first().map_or(0, |votes| votes.len());
    let (mut ratings, mut disagreeing) = (0.0, 0.0);
    let mut totals = vec![0.0; classes];
    for votes in items {
        let raters: f64 = votes.iter().copied().map(f64::from).sum();
        ratings += raters;
        for (total, &n) in totals.iter_mut().zip(*votes) {
            let n = f64::from(n);
            *total += n;
            disagreeing += n * (raters - n) / (raters - 1.0);
        }
    }
    let expected: f64 =
        totals.iter().map(|total| total * (ratings - total)).sum::<f64>() / (ratings - 1.0);
    (expected > 0.0).then(|| 1.0 - disagreeing / expected)
}

/// Returns the prevalence- and bias-adjusted kappa (Byrt, Bishop and Carlin, Journal of Clinical Epidemiology 1993), for
/// more than two classes the coefficient of Bennett, Alpert and Goldstein (1954): chance picks every class alike.
pub fn pabak(items: &[&Votes]) -> Option<f64> {
    let classes = items.first().map_or(0, |votes| votes.len());
    beyond(observed(items)?, 1.0 / classes as f64)
}

/// Returns Gwet's AC1 (British Journal of Mathematical and Statistical Psychology 2008), which rare classes do not lower.
pub fn ac1(items: &[&Votes]) -> Option<f64> {
    let shares = shares(items);
    let spread: f64 = shares.iter().map(|share| share * (1.0 - share)).sum();
    beyond(observed(items)?, spread / (shares.len() as f64 - 1.0))
}

/// Returns Cohen's kappa (Educational and Psychological Measurement 1960) of two raters, from the pairs of their classes
/// in `0..classes`.
pub fn cohen(pairs: &[(usize, usize)], classes: usize) -> Option<f64> {
    let n = pairs.len() as f64;
    let mut margins = vec![(0.0, 0.0); classes];
    for &(one, other) in pairs {
        margins[one].0 += 1.0 / n;
        margins[other].1 += 1.0 / n;
    }
    let expected = margins.iter().map(|(one, other)| one * other).sum();
    beyond(share(pairs)?, expected)
}

/// Returns the share of pairs that agree; `None` without pairs.
pub fn share(pairs: &[(usize, usize)]) -> Option<f64> {
    mean(pairs.iter().map(|(one, other)| f64::from(u8::from(one == other))))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let n = values.len();
    (n > 0).then(|| values.sum::<f64>() / n as f64)
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use proptest::prelude::*;

    use super::*;

    /// Twelve films, three readers with gaps, three classes.
    const FILMS: [[Option<usize>; 3]; 12] = [
        [Some(0), Some(0), None],
        [Some(1), Some(1), Some(1)],
        [Some(2), Some(2), Some(1)],
        [Some(0), Some(1), Some(0)],
        [Some(0), Some(0), Some(0)],
        [Some(1), Some(2), Some(1)],
        [None, Some(1), Some(1)],
        [Some(2), Some(2), Some(2)],
        [Some(0), Some(0), Some(1)],
        [Some(1), Some(1), None],
        [Some(0), Some(0), Some(0)],
        [Some(2), Some(0), None],
    ];

    /// Fleiss' (1971) layout in the example that statsmodels and textbooks share: ten subjects, fourteen raters.
    const SUBJECTS: [[u32; 5]; 10] = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ];

    fn votes(rows: &[impl AsRef<[Option<usize>]>], classes: usize) -> Vec<Votes> {
        rows.iter()
            .map(|row| {
                let mut votes = vec![0; classes];
                row.as_ref().iter().flatten().for_each(|&class| votes[class] += 1);
                votes
            })
            .collect()
    }

    fn coefficient(of: fn(&[&Votes]) -> Option<f64>, items: &[Votes]) -> f64 {
        of(&items.iter().collect::<Vec<_>>()).unwrap()
    }

    fn pairs(one: usize, other: usize) -> Vec<(usize, usize)> {
        FILMS.iter().filter_map(|film| Some((film[one]?, film[other]?))).collect()
    }

    #[test]
    fn cohens_kappa_is_scikit_learns() {
        // cohen_kappa_score of scikit-learn 1.9.1.
        for (one, other, n, agreement, kappa) in [
            (0, 1, 11, 0.727_272_727_272_727_3, 0.576_923_076_923_076_9),
            (0, 2, 8, 0.75, 0.619_047_619_047_619_1),
            (1, 2, 9, 0.555_555_555_555_555_6, 0.333_333_333_333_333_37),
        ] {
            let pairs = pairs(one, other);
            assert_eq!(pairs.len(), n);
            assert_abs_diff_eq!(share(&pairs).unwrap(), agreement, epsilon = 1e-12);
            assert_abs_diff_eq!(cohen(&pairs, 3).unwrap(), kappa, epsilon = 1e-12);
        }
    }

    #[test]
    fn fleiss_kappa_is_statsmodels_and_with_gaps_irr_cacs() {
        // fleiss_kappa of statsmodels 0.15.0, and 0.210 in the textbook.
        let subjects: Vec<Votes> = SUBJECTS.map(|votes| votes.to_vec()).into();
        let kappa = coefficient(fleiss, &subjects);
        assert_abs_diff_eq!(kappa, 0.209_930_704_421_952_55, epsilon = 1e-12);
        let complete: Vec<_> =
            FILMS.iter().filter(|film| film.iter().all(Option::is_some)).collect();
        let kappa = coefficient(fleiss, &votes(&complete, 3));
        assert_abs_diff_eq!(kappa, 0.489_361_702_127_659_5, epsilon = 1e-12);
        // irrCAC 0.4.4, ten digits.
        let films = votes(&FILMS, 3);
        assert_abs_diff_eq!(coefficient(fleiss, &films), 0.524_895_021_0, epsilon = 1e-9);
        assert_abs_diff_eq!(coefficient(observed, &films), 0.694_444_444_4, epsilon = 1e-9);
    }

    #[test]
    fn krippendorffs_alpha_is_the_packages_and_the_papers() {
        // krippendorff 0.9.0.
        let alpha = coefficient(krippendorff, &votes(&FILMS, 3));
        assert_abs_diff_eq!(alpha, 0.531_722_054_380_664_7, epsilon = 1e-12);
        let subjects: Vec<Votes> = SUBJECTS.map(|votes| votes.to_vec()).into();
        let alpha = coefficient(krippendorff, &subjects);
        assert_abs_diff_eq!(alpha, 0.215_574_056_533_222_92, epsilon = 1e-12);
        // Section C of Krippendorff 2011: 0.743. The twelfth unit has one rating and is left out.
        let units = [
            &[1, 1, 1][..],
            &[2, 2, 3, 2],
            &[3, 3, 3, 3],
            &[3, 3, 3, 3],
            &[2, 2, 2, 2],
            &[1, 2, 3, 4],
            &[4, 4, 4, 4],
            &[1, 1, 2, 1],
            &[2, 2, 2, 2],
            &[5, 5, 5],
            &[1, 1],
        ];
        let units: Vec<Votes> = units
            .iter()
            .map(|unit| (1..6).map(|class| unit.iter().filter(|&&c| c == class).count() as u32))
            .map(Iterator::collect)
            .collect();
        let alpha = coefficient(krippendorff, &units);
        assert_abs_diff_eq!(alpha, 0.743_421_052_631_579, epsilon = 1e-12);
    }

    #[test]
    fn adjusted_coefficients_are_irr_cacs() {
        // Gwet's AC1 and Brennan-Prediger of irrCAC 0.4.4, ten digits; for two readers by hand: (3 · 8/11 - 1) / 2.
        let films = votes(&FILMS, 3);
        assert_abs_diff_eq!(coefficient(ac1, &films), 0.549_616_150_1, epsilon = 1e-9);
        assert_abs_diff_eq!(coefficient(pabak, &films), 0.541_666_666_7, epsilon = 1e-9);
        let two: Vec<_> = pairs(0, 1).iter().map(|&(a, b)| [Some(a), Some(b)]).collect();
        let two = votes(&two, 3);
        assert_abs_diff_eq!(coefficient(ac1, &two), 0.597_560_975_6, epsilon = 1e-9);
        assert_abs_diff_eq!(coefficient(pabak, &two), (3.0 * 8.0 / 11.0 - 1.0) / 2.0);
    }

    #[test]
    fn rare_findings_lower_kappa_and_not_ac1() {
        // Feinstein and Cicchetti's paradox (Journal of Clinical Epidemiology 1990): 90 % agreement either way.
        let table = |yes: u32, no: u32| {
            let films = [(yes, [2, 0]), (no, [0, 2]), (10, [1, 1])];
            let votes = films.iter().flat_map(|&(n, votes)| vec![votes.to_vec(); n as usize]);
            votes.collect::<Vec<Votes>>()
        };
        let (even, rare) = (table(45, 45), table(2, 88));
        assert_abs_diff_eq!(coefficient(pabak, &even), 0.8, epsilon = 1e-12);
        assert_abs_diff_eq!(coefficient(pabak, &rare), 0.8, epsilon = 1e-12);
        assert!(coefficient(fleiss, &even) > 0.79 && coefficient(fleiss, &rare) < 0.25);
        assert!(coefficient(ac1, &rare) > 0.85);
    }

    #[test]
    fn what_is_undefined_is_no_figure() {
        let one_class = [vec![2, 0], vec![2, 0]];
        let items: Vec<&Votes> = one_class.iter().collect();
        assert_eq!((fleiss(&items), krippendorff(&items)), (None, None));
        assert_eq!(
            (observed(&items), pabak(&items), ac1(&items)),
            (Some(1.0), Some(1.0), Some(1.0))
        );
        assert_eq!((observed(&[]), fleiss(&[]), krippendorff(&[])), (None, None, None));
        assert_eq!((pabak(&[]), ac1(&[]), cohen(&[], 2), share(&[])), (None, None, None, None));
        assert_eq!(cohen(&[(0, 0)], 2), None);
    }

    proptest! {
        #[test]
        fn two_readers_agree_alike_by_pairs_and_by_votes(
            pairs in proptest::collection::vec((0..3_usize, 0..3_usize), 1..40),
        ) {
            let rows: Vec<_> = pairs.iter().map(|&(a, b)| [Some(a), Some(b)]).collect();
            let films = votes(&rows, 3);
            let items: Vec<&Votes> = films.iter().collect();
            let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                (a, b) => a.is_none() && b.is_none(),
            };
            prop_assert!(near(share(&pairs), observed(&items)));
            // Alpha is Scott's pi with the allowance for a finite sample: 1 - alpha = (1 - pi) (2n - 1) / 2n.
            let n = 2.0 * pairs.len() as f64;
            let alpha = fleiss(&items).map(|pi| 1.0 - (1.0 - pi) * (n - 1.0) / n);
            prop_assert!(near(alpha, krippendorff(&items)), "{alpha:?} {:?}", krippendorff(&items));
            let swapped: Vec<_> = pairs.iter().map(|&(a, b)| (b, a)).collect();
            prop_assert!(near(cohen(&pairs, 3), cohen(&swapped, 3)));
        }
    }
}
