//! The order in which films are read: the ranking, with a random audit stream mixed in.
//!
//! A fixed share of the films that are read is drawn at random from all that are neither labelled nor put off, whatever the
//! ranking says. The model's opinion of these films is noted *before* they are labelled, so that its accuracy on them is an
//! unbiased estimate of its accuracy on what is left of the pool at that moment; actively chosen films are the hard ones and
//! would give a biased one. Where labels are a large part of the pool, what is left is easier than the whole.
//!
//! Where several readers share a session, the queue is one reader's. Films that others have answered do not come, but for
//! those assigned to the reader, which are scattered among the new ones like films that the reader is given once more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Assigned, LabelSet, Ranking};
use crate::query::{Reason, Strategy};
use crate::rng;
use crate::session::Source;

/// Why a film is in the queue.
#[derive(Clone, Debug, PartialEq)]
pub enum QueuedSource {
    /// It ranks high.
    Ranked {
        /// Strategy that ranked it; `None` before the first ranking, when the order is random.
        strategy: Option<Strategy>,
        /// Place in the ranking, from 0.
        rank: u32,
    },
    /// It was drawn at random for the audit stream.
    Audit {
        /// Class probabilities before the label; empty before the first ranking.
        predicted: Vec<f32>,
        /// Probability with which it was drawn from the unlabelled films.
        probability: f32,
    },
    /// The reader chose it.
    Chosen,
    /// Others have read it, and it is assigned to this reader too.
    Second {
        /// Whether because the model doubts the others' answer; otherwise by chance.
        doubted: bool,
    },
    /// The reader has answered it before and is not told so.
    Reread,
}

impl QueuedSource {
    /// Returns the source as the log has it.
    pub fn for_log(&self) -> Source {
        match self {
            Self::Audit { predicted, probability } if !predicted.is_empty() => {
                Source::Audit { predicted: predicted.clone(), probability: *probability }
            }
            Self::Ranked { strategy: Some(strategy), rank } => {
                Source::Queue { strategy: strategy.to_string(), rank: *rank }
            }
            Self::Chosen => Source::Browse,
            Self::Second { doubted } => Source::Second { doubted: *doubted },
            Self::Reread => Source::Reread,
            Self::Ranked { .. } | Self::Audit { .. } => {
                Source::Queue { strategy: Strategy::Random.to_string(), rank: 0 }
            }
        }
    }

    /// Returns why a film was drawn by what the log has of it, if chance or a protocol drew it: what is ranked, chosen or
    /// imported has nothing to be remembered.
    pub fn drawn(source: &Source) -> Option<Self> {
        Some(match source {
            Source::Audit { predicted, probability } => {
                Self::Audit { predicted: predicted.clone(), probability: *probability }
            }
            Source::Second { doubted } => Self::Second { doubted: *doubted },
            Source::Reread => Self::Reread,
            Source::Queue { .. } | Source::Browse | Source::Import { .. } => return None,
        })
    }
}

/// A film to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedFilm {
    /// Row of the pool.
    pub row: usize,
    /// Why it is here.
    pub source: QueuedSource,
    /// The strategy's reason, to be shown only after the label.
    pub reason: Option<Reason>,
}

impl QueuedFilm {
    /// Returns whether it was drawn at random for the audit stream.
    const fn is_audit(&self) -> bool {
        matches!(self.source, QueuedSource::Audit { .. })
    }

    /// Returns whether the reader has answered it before and is not told so.
    pub const fn is_reread(&self) -> bool {
        matches!(self.source, QueuedSource::Reread)
    }

    /// Returns whether it comes although it has an answer.
    const fn is_assigned(&self) -> bool {
        matches!(self.source, QueuedSource::Second { .. } | QueuedSource::Reread)
    }
}

/// Share of places in the queue that go to assigned films as long as there are any.
const ASSIGNED_SHARE: f32 = 0.25;

/// The reading order.
#[derive(Clone, Debug)]
pub struct ReadingQueue {
    films: usize,
    audit_share: f32,
    seed: u64,
    ranking: Option<Arc<Ranking>>,
    /// Films that were put back in front, the last one first.
    front: Vec<usize>,
    /// The film on screen; a new ranking does not take it away.
    current: Option<QueuedFilm>,
    labels: LabelSet,
    /// Films that were on screen, with why they came first.
    drawn: BTreeMap<usize, QueuedFilm>,
    /// All films in the random order in which the audit stream draws them.
    audit_order: Vec<usize>,
}

impl ReadingQueue {
    /// Starts over `films` films in seeded random order, until a ranking arrives.
    pub fn new(films: usize, audit_share: f32, seed: u64) -> Self {
        let mut audit_order: Vec<usize> = (0..films).collect();
        rng::shuffle(&mut rng::stream(seed, "audit order", &[]), &mut audit_order);
        Self {
            films,
            audit_share,
            seed,
            ranking: None,
            front: Vec::new(),
            current: None,
            labels: LabelSet::default(),
            drawn: BTreeMap::new(),
            audit_order,
        }
    }

    /// Takes in a film of an earlier sitting with why it came then, so that it comes again as what it was.
    pub fn remember(&mut self, film: QueuedFilm) {
        self.drawn.insert(film.row, film);
    }

    /// Takes a new ranking: the film on screen stays, what follows it is replaced.
    pub fn update(&mut self, ranking: Arc<Ranking>, labels: &LabelSet) {
        self.ranking = Some(ranking);
        self.labels_changed(labels);
    }

    /// Takes new labels; if the film on screen is among them, the next one comes up.
    pub fn labels_changed(&mut self, labels: &LabelSet) {
        self.labels = labels.clone();
        let taken = self.taken();
        let given = &self.labels.assigned;
        let comes =
            |row: usize| !taken.contains(&row) || given.iter().any(|assigned| assigned.row == row);
        self.front.retain(|&row| comes(row));
        if self.current.as_ref().is_none_or(|film| !comes(film.row)) {
            self.current = self.sequence(1).into_iter().next();
        }
    }

    /// Returns the next `n` films; the first is the one to be shown now.
    pub fn upcoming(&self, n: usize) -> Vec<QueuedFilm> {
        let mut films: Vec<QueuedFilm> = self.current.clone().into_iter().collect();
        let shown = films.first().map(|film| film.row);
        films.extend(self.sequence(n).into_iter().filter(|film| Some(film.row) != shown));
        films.truncate(n);
        films
    }

    /// Moves on after the film on screen was labelled or put off.
    pub fn advance(&mut self, labels: &LabelSet) {
        let film = self.current.take();
        let shown = film.as_ref().map(|film| film.row);
        if let Some(film) = film {
            self.remember(film);
        }
        self.front.retain(|&row| Some(row) != shown);
        self.labels_changed(labels);
    }

    /// Brings a film to the front, as after an undo; the one that was on screen comes after it.
    pub fn show(&mut self, row: usize) {
        if row < self.films {
            let pushed_back = self.current.take().filter(|film| film.row != row);
            self.front.retain(|&other| other != row);
            if let Some(film) = pushed_back {
                self.front.retain(|&other| other != film.row);
                self.front.push(film.row);
                self.remember(film);
            }
            self.front.push(row);
            self.current = self.sequence(1).into_iter().next();
        }
    }

    /// Returns a film as one that the reader chose; one of the audit stream, or that was put off as a second reading, stays
    /// one, wherever it is read.
    pub fn chosen(&self, row: usize) -> QueuedFilm {
        let kept = |film: &&QueuedFilm| {
            film.is_audit() || (film.is_assigned() && self.labels.deferred.contains(&row))
        };
        let drawn = self.drawn.get(&row).filter(kept).cloned();
        drawn.unwrap_or(QueuedFilm { row, source: QueuedSource::Chosen, reason: None })
    }

    fn taken(&self) -> BTreeSet<usize> {
        let LabelSet { rows, excluded, elsewhere, deferred, .. } = &self.labels;
        let answered = rows.iter().chain(excluded).chain(elsewhere).copied();
        // A film that is to be read once more and was put off has an answer and comes back all the same.
        answered.filter(|row| !deferred.contains(row)).collect()
    }

    /// The next `n` films as they would be read from here.
    fn sequence(&self, n: usize) -> Vec<QueuedFilm> {
        let mut taken = self.taken();
        let read = (taken.len() + self.labels.shared + self.labels.rereads) as u64;
        let never = std::iter::repeat(&usize::MAX);
        let (deferred, returns): (Vec<usize>, Vec<usize>) =
            self.labels.deferred.iter().zip(self.labels.returns.iter().chain(never)).unzip();
        taken.extend(&deferred);
        let open: Vec<usize> = (0..self.films).filter(|row| !taken.contains(row)).collect();
        let mut used = BTreeSet::new();
        let mut films = Vec::new();
        for place in 0..n.min(open.len() + deferred.len() + self.labels.assigned.len()) {
            let put_back = self.front.iter().rev().find(|row| !used.contains(*row)).copied();
            // Each place in the sequence is one film passed.
            let due = || {
                let mut returns = deferred.iter().zip(&returns);
                let due = returns.find(|(row, after)| **after <= place && !used.contains(*row));
                due.map(|(&row, _)| row)
            };
            let film = put_back
                .or_else(due)
                .map(|row| self.again(row))
                .or_else(|| self.assigned(Some(read + place as u64), &used))
                .or_else(|| self.audit(read + place as u64, &open, &used))
                .or_else(|| self.next_ranked(&taken, &used))
                .or_else(|| self.next_random(&open, &used))
                .or_else(|| self.assigned(None, &used))
                .or_else(|| {
                    deferred.iter().find(|row| !used.contains(*row)).map(|&row| self.again(row))
                });
            let Some(film) = film else { break };
            used.insert(film.row);
            films.push(film);
        }
        films
    }

    /// The next assigned film, if the `place`-th reading is one for them, or, for `None`, in any case.
    fn assigned(&self, place: Option<u64>, used: &BTreeSet<usize>) -> Option<QueuedFilm> {
        let next = self.labels.assigned.iter().find(|film| !used.contains(&film.row))?;
        let mut random = rng::stream(self.seed, "assigned place", &[place.unwrap_or(0)]);
        if place.is_some() && rng::unit(&mut random) >= ASSIGNED_SHARE {
            return None;
        }
        Some(QueuedFilm { row: next.row, source: next.source.clone(), reason: None })
    }

    /// The audit film of the `place`-th reading, if that reading is one of the audit stream's.
    fn audit(&self, place: u64, open: &[usize], used: &BTreeSet<usize>) -> Option<QueuedFilm> {
        let mut random = rng::stream(self.seed, "audit", &[place]);
        if rng::unit(&mut random) >= self.audit_share {
            return None;
        }
        let ranking = self.ranking.as_ref()?;
        let unread = |row: &&usize| open.binary_search(row).is_ok() && !used.contains(*row);
        let row = *self.audit_order.iter().find(unread)?;
        if let Some(film) = self.drawn.get(&row).filter(|film| film.is_audit()) {
            return Some(film.clone());
        }
        let classes = ranking.probabilities.len() / self.films.max(1);
        let predicted = ranking.probabilities.get(row * classes..(row + 1) * classes)?.to_vec();
        let source = QueuedSource::Audit { predicted, probability: 1.0 / open.len() as f32 };
        Some(QueuedFilm { row, source, reason: None })
    }

    /// A film that comes again keeps why it came first, and what the model held of it then: hard films are put off more
    /// often, and an audit stream that lost them would flatter the model.
    fn again(&self, row: usize) -> QueuedFilm {
        let assigned = self.labels.assigned.iter().find(|film| film.row == row);
        let assigned = assigned.map(|Assigned { row, source }| QueuedFilm {
            row: *row,
            source: source.clone(),
            reason: None,
        });
        assigned.or_else(|| self.drawn.get(&row).cloned()).unwrap_or_else(|| self.ranked(row))
    }

    fn ranked(&self, row: usize) -> QueuedFilm {
        let ranking = self.ranking.as_ref();
        let place =
            ranking.and_then(|ranking| ranking.order.iter().position(|ranked| ranked.index == row));
        let reason = ranking.zip(place).map(|(ranking, place)| ranking.order[place].reason);
        let strategy = place.and(ranking).map(|ranking| ranking.strategy);
        QueuedFilm {
            row,
            source: QueuedSource::Ranked { strategy, rank: place.unwrap_or(0) as u32 },
            reason,
        }
    }

    fn next_ranked(&self, taken: &BTreeSet<usize>, used: &BTreeSet<usize>) -> Option<QueuedFilm> {
        let order = &self.ranking.as_ref()?.order;
        let next = order
            .iter()
            .find(|ranked| !taken.contains(&ranked.index) && !used.contains(&ranked.index))?;
        Some(self.again(next.index))
    }

    /// The next film in seeded random order, for when there is no ranking or it has run out.
    fn next_random(&self, open: &[usize], used: &BTreeSet<usize>) -> Option<QueuedFilm> {
        let mut order: Vec<usize> = (0..self.films).collect();
        rng::shuffle(&mut rng::stream(self.seed, "reading order", &[]), &mut order);
        let row =
            order.into_iter().find(|row| open.binary_search(row).is_ok() && !used.contains(row))?;
        Some(self.again(row))
    }
}

#[cfg(test)]
mod tests;
