//! What a film is taken to show where several readers have read it.

use super::event::Answer;
use super::protocol::Rule;
use super::state::State;
use super::time::Time;
use crate::dataset::FilmId;

/// An adjudicator's answer that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjudicated {
    /// What the film is taken to show.
    pub answer: Answer,
    /// Entry that settled it.
    pub seq: u64,
    /// The adjudicator.
    pub reader: String,
    /// When.
    pub time: Time,
    /// Milliseconds of the adjudicator's reading.
    pub ms: u64,
}

/// What the readers of a film come to together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// No reader has answered the film.
    Unread,
    /// One answer counts.
    Answer(&'a Answer),
    /// Readers disagree, and the rule does not settle it.
    Disputed,
}

impl<'a> Verdict<'a> {
    /// Returns the answer that counts, if one does.
    pub const fn answer(self) -> Option<&'a Answer> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Unread | Self::Disputed => None,
        }
    }
}

impl State {
    /// Returns the rule that settles what a film shows: the protocol's, else the default.
    pub fn rule(&self) -> Rule {
        self.protocol().map_or_else(Rule::default, |protocol| protocol.consensus)
    }

    /// Returns what a film is taken to show by a rule.
    pub fn consensus(&self, film: FilmId, rule: Rule) -> Verdict<'_> {
        let answers = || self.labels(film).map(|(_, label)| &label.answer);
        let Some(first) = answers().next() else { return Verdict::Unread };
        let readers = answers().count();
        let votes = |answer: &Answer| answers().filter(|other| *other == answer).count();
        let counts = match rule {
            Rule::Unanimous => Some(first).filter(|answer| votes(answer) == readers),
            Rule::Majority => answers().find(|answer| 2 * votes(answer) > readers),
            Rule::Adjudicator => {
                let settled = self.adjudicated(film).map(|settled| &settled.answer);
                settled.or_else(|| Some(first).filter(|answer| votes(answer) == readers))
            }
        };
        counts.map_or(Verdict::Disputed, Verdict::Answer)
    }

    /// Returns the adjudicator's answer that stands for a film.
    pub fn adjudicated(&self, film: FilmId) -> Option<&Adjudicated> {
        self.adjudicated.get(&film)?.last()
    }

    /// Returns the films that have been settled, with the answer that stands.
    pub fn adjudications(&self) -> impl Iterator<Item = (FilmId, &Adjudicated)> {
        self.adjudicated.iter().filter_map(|(&film, settled)| Some((film, settled.last()?)))
    }

    /// Returns the films that `adjudicator` can settle: readers disagree, nobody has settled it, and the adjudicator has
    /// not read it; in the order of their first readings.
    pub fn to_adjudicate<'a>(&'a self, adjudicator: &'a str) -> impl Iterator<Item = FilmId> {
        self.disputed().filter(|&film| self.of(adjudicator).label(film).is_none())
    }

    /// Returns the films on which readers disagree and that nobody has settled, in the order of their first readings.
    pub fn disputed(&self) -> impl Iterator<Item = FilmId> {
        let open = |film: FilmId| self.consensus(film, Rule::Adjudicator) == Verdict::Disputed;
        self.in_order().map(|(film, _)| film).filter(move |&film| open(film))
    }

    /// Returns the latest adjudication by `reader` that can be taken back, with its film.
    pub fn last_adjudication(&self, reader: &str) -> Option<(u64, FilmId)> {
        let mine = self.adjudications().filter(|(_, settled)| settled.reader == reader);
        mine.map(|(film, settled)| (settled.seq, film)).max()
    }

    /// Returns the answers that readers gave a film, in the order of the answers: who said what is not in it.
    pub fn answers(&self, film: FilmId) -> Vec<Answer> {
        let mut answers: Vec<Answer> =
            self.labels(film).map(|(_, label)| label.answer.clone()).collect();
        answers.sort();
        answers
    }
}
