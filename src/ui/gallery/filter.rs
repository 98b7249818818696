//! Which films the gallery shows.

use crate::engine::Opinions;
use crate::study::LabelSet;

/// What the reader has said of a film.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing.
    #[default]
    Unread,
    /// It has the class of this index.
    Class(usize),
    /// It shows too little to be read.
    Uninterpretable,
    /// It is put off.
    Later,
}

/// What is known of each film, by row.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What the reader said.
    pub status: Vec<Status>,
    /// Whether there is a note.
    pub noted: Vec<bool>,
    /// Rows that were picked on the map, ascending.
    pub picked: Vec<usize>,
}

impl Known {
    /// Collects what is known of `films` films; `noted` are the rows with a note.
    pub fn new(films: usize, labels: &LabelSet, noted: impl Iterator<Item = usize>) -> Self {
        let mut known = Self {
            status: vec![Status::Unread; films],
            noted: vec![false; films],
            picked: Vec::new(),
        };
        let mut set = |row: usize, status| {
            if let Some(of_row) = known.status.get_mut(row) {
                *of_row = status;
            }
        };
        labels.rows.iter().zip(&labels.classes).for_each(|(&row, &c)| set(row, Status::Class(c)));
        labels.excluded.iter().for_each(|&row| set(row, Status::Uninterpretable));
        labels.deferred.iter().for_each(|&row| set(row, Status::Later));
        for row in noted.filter(|&row| row < films) {
            known.noted[row] = true;
        }
        known
    }

    /// Returns whether a film has a class or is uninterpretable.
    pub fn is_answered(&self, row: usize) -> bool {
        matches!(self.status.get(row), Some(Status::Class(_) | Status::Uninterpretable))
    }
}

/// Which films are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Those that nothing has been said of.
    Unread,
    /// Those with a class.
    Labelled,
    /// Those of this class.
    Class(usize),
    /// Those that show too little to be read.
    Uninterpretable,
    /// Those put off.
    Later,
    /// Those with a note.
    Noted,
    /// Those that were picked on the map.
    Picked,
    /// Labelled ones of which the model, not knowing the label, holds another class more likely.
    Disagreed,
    /// Labelled ones whose label is probably wrong by confident learning, the most suspect first.
    Suspected,
}

impl Filter {
    /// Returns the filters for so many classes, in the order of their chips.
    pub fn all(classes: usize) -> Vec<Self> {
        let first = [Self::All, Self::Unread, Self::Labelled];
        let last = [
            Self::Uninterpretable,
            Self::Later,
            Self::Noted,
            Self::Picked,
            Self::Disagreed,
            Self::Suspected,
        ];
        first.into_iter().chain((0..classes).map(Self::Class)).chain(last).collect()
    }

    /// Returns whether it goes by what the model holds of films, which is known of labelled ones only.
    pub const fn is_opinion(self) -> bool {
        matches!(self, Self::Disagreed | Self::Suspected)
    }

    /// Returns the rows that it lets through, in the order in which they are shown.
    pub fn rows(self, known: &Known, opinions: Option<&Opinions>) -> Vec<usize> {
        let all = 0..known.status.len();
        match self {
            Self::All => all.collect(),
            Self::Unread => all.filter(|&row| known.status[row] == Status::Unread).collect(),
            Self::Labelled => {
                all.filter(|&row| matches!(known.status[row], Status::Class(_))).collect()
            }
            Self::Class(class) => {
                all.filter(|&row| known.status[row] == Status::Class(class)).collect()
            }
            Self::Uninterpretable => {
                all.filter(|&row| known.status[row] == Status::Uninterpretable).collect()
            }
            Self::Later => all.filter(|&row| known.status[row] == Status::Later).collect(),
            Self::Noted => all.filter(|&row| known.noted[row]).collect(),
            Self::Picked => known.picked.clone(),
            Self::Disagreed => {
                let Some(opinions) = opinions else { return Vec::new() };
                let held = opinions.rows.iter().zip(&opinions.likeliest);
                let other = |&(&row, &likeliest): &(&usize, &usize)| match known.status.get(row) {
                    Some(&Status::Class(class)) => class != likeliest,
                    _ => false,
                };
                let mut rows: Vec<usize> = held.filter(other).map(|(&row, _)| row).collect();
                rows.sort_unstable();
                rows
            }
            // A label that was changed or taken back since is another one, and nothing is known of it yet.
            Self::Suspected => {
                let Some(opinions) = opinions else { return Vec::new() };
                let stands = |row: &usize| {
                    let place = opinions.rows.iter().position(|other| other == row);
                    let then = place.map(|place| Status::Class(opinions.labels[place]));
                    then.is_some() && known.status.get(*row).copied() == then
                };
                opinions.suspects.iter().copied().filter(stands).collect()
            }
        }
    }
}

/// Returns the row that a text names: by its number, counted from 1, or by the first name that holds it.
pub fn find(text: &str, names: &[String]) -> Option<usize> {
    let text = text.trim().to_lowercase();
    if text.is_empty() {
        return None;
    }
    let number = text.strip_prefix('#').unwrap_or(&text).parse::<usize>().ok();
    let by_number =
        number.and_then(|number| number.checked_sub(1)).filter(|&row| row < names.len());
    by_number.or_else(|| names.iter().position(|name| name.contains(&text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known() -> Known {
        let labels = LabelSet {
            rows: vec![4, 1, 2],
            classes: vec![1, 0, 1],
            excluded: vec![5],
            deferred: vec![0],
            ..LabelSet::default()
        };
        Known::new(7, &labels, [2, 3].into_iter())
    }

    fn opinions() -> Opinions {
        Opinions {
            version: 3,
            rows: vec![4, 1, 2],
            labels: vec![1, 0, 1],
            likeliest: vec![0, 0, 0],
            suspects: vec![4, 2],
        }
    }

    #[test]
    fn each_filter_lets_its_films_through() {
        let rows = |filter: Filter| filter.rows(&known(), Some(&opinions()));
        assert_eq!(rows(Filter::All).len(), 7);
        assert_eq!(rows(Filter::Unread), [3, 6]);
        assert_eq!(rows(Filter::Labelled), [1, 2, 4]);
        assert_eq!(rows(Filter::Class(1)), [2, 4]);
        assert_eq!(rows(Filter::Uninterpretable), [5]);
        assert_eq!(rows(Filter::Later), [0]);
        assert_eq!(rows(Filter::Noted), [2, 3]);
        assert_eq!(rows(Filter::Disagreed), [2, 4]);
        assert_eq!(rows(Filter::Suspected), [4, 2], "the most suspect first");
        assert!(Filter::Disagreed.rows(&known(), None).is_empty());
    }

    #[test]
    fn a_label_changed_since_is_judged_as_it_is() {
        let mut known = known();
        known.status[4] = Status::Class(0);
        known.status[2] = Status::Unread;
        assert!(Filter::Disagreed.rows(&known, Some(&opinions())).is_empty());
        assert!(Filter::Suspected.rows(&known, Some(&opinions())).is_empty());
    }

    #[test]
    fn films_are_found_by_number_and_by_name() {
        let names = ["a/p12-1.png", "b/p7.png", "b/p8.png"].map(str::to_owned);
        for (text, row) in [
            ("2", Some(1)),
            ("#3", Some(2)),
            (" P7 ", Some(1)),
            ("b/", Some(1)),
            ("12", Some(0)),
            ("0", None),
            ("", None),
            ("none", None),
        ] {
            assert_eq!(find(text, &names), row, "{text:?}");
        }
    }

    proptest! {
        /// Nothing that the model holds may tell films without a class apart.
        #[test]
        fn opinions_never_choose_films_without_a_class(
            status in proptest::collection::vec(0..5_usize, 1..30),
            held in proptest::collection::vec((0..40_usize, 0..2_usize, 0..2_usize), 0..40),
        ) {
            let status: Vec<Status> = status
                .into_iter()
                .map(|status| match status {
                    0 => Status::Unread,
                    1 => Status::Uninterpretable,
                    2 => Status::Later,
                    class => Status::Class(class - 3),
                })
                .collect();
            let known = Known { noted: vec![false; status.len()], status, picked: Vec::new() };
            let opinions = Opinions {
                version: 0,
                rows: held.iter().map(|film| film.0).collect(),
                labels: held.iter().map(|film| film.1).collect(),
                likeliest: held.iter().map(|film| film.2).collect(),
                suspects: held.iter().map(|film| film.0).collect(),
            };
            for filter in Filter::all(2).into_iter().filter(|filter| filter.is_opinion()) {
                for row in filter.rows(&known, Some(&opinions)) {
                    prop_assert!(matches!(known.status[row], Status::Class(_)));
                }
            }
        }
    }
}
