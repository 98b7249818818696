//! What one reader of several has answered and is to read: their own labels, films drawn for a second reading by them,
//! and their own films that come again.

use std::time::Duration;

use super::queue::QueuedSource;
use super::workspace::Workspace;
use super::{Assigned, LabelSet, Ranking};
use crate::dataset::FilmId;
use crate::rng;
use crate::session::{Answer, Protocol, Source, Time, View};

impl Workspace {
    /// Returns what `reader` has answered, which films others have, and what `reader` is to read because others have or
    /// once more. A film put off comes back after `return_after` others, or, for `None`, when all others are read. The
    /// model's doubt of others' answers goes by `ranking`.
    pub fn reader_set(
        &self,
        reader: &str,
        return_after: Option<usize>,
        ranking: Option<&Ranking>,
    ) -> LabelSet {
        let state = self.session.state();
        let own = state.of(reader);
        let mut set = LabelSet { version: self.session.entered(), ..LabelSet::default() };
        for (film, labelled) in own.in_order() {
            self.put(&mut set, film, &labelled.answer);
        }
        self.put_off(&mut set, own, return_after);
        set.rereads = own.rereads().count();
        // With one reader, there is nothing more to know.
        if state.readers().iter().any(|other| other != reader) {
            for (film, _) in state.in_order() {
                let others = state.labels(film).any(|(other, _)| other != reader);
                match self.row(film) {
                    Some(row) if others && own.label(film).is_none() => set.elsewhere.push(row),
                    Some(_) if others => set.shared += 1,
                    _ => {}
                }
            }
        }
        if let Some(protocol) = state.protocol() {
            set.assigned = self.assigned(protocol, reader, ranking);
        }
        set
    }

    /// Returns the films that a protocol gives `reader` because others have read them or again, in an order that tells
    /// nothing.
    fn assigned(
        &self,
        protocol: &Protocol,
        reader: &str,
        ranking: Option<&Ranking>,
    ) -> Vec<Assigned> {
        let mut films = self.second_readings(protocol, reader, ranking);
        films.extend(self.due_again(protocol, reader).map(|film| (film, QueuedSource::Reread)));
        let own = self.session.state().of(reader);
        // What was put off comes back by itself.
        films.retain(|(film, _)| own.put_off(*film).is_none());
        let seed = self.session.header().seed;
        let order = |film: FilmId| {
            rng::below(&mut rng::stream(seed, "assigned", &[film.key()]), usize::MAX)
        };
        films.sort_by_cached_key(|(film, _)| order(*film));
        let assigned = |(film, source)| Some(Assigned { row: self.row(film)?, source });
        films.into_iter().filter_map(assigned).collect()
    }

    /// Returns the films of other readers that `reader` is to read too, with why.
    fn second_readings(
        &self,
        protocol: &Protocol,
        reader: &str,
        ranking: Option<&Ranking>,
    ) -> Vec<(FilmId, QueuedSource)> {
        let (state, seed) = (self.session.state(), self.session.header().seed);
        let own = state.of(reader);
        let (mut drawn, mut doubted, mut others) = (Vec::new(), Vec::new(), 0);
        let mut doubts_read = 0;
        for (film, label) in state.in_order() {
            let mut sources = state.first_labels(film).map(|(_, label)| &label.source);
            let audit = sources.any(|source| matches!(source, Source::Audit { .. }));
            let by_chance =
                protocol.double_share > 0.0 && (audit || protocol.is_double(seed, film));
            let mine = own.label(film);
            let alone = state.labels(film).all(|(other, _)| other == reader);
            others += usize::from(!by_chance && !alone);
            let doubt = |source: &Source| matches!(source, Source::Second { doubted: true });
            doubts_read += usize::from(mine.is_some_and(|mine| doubt(&mine.source)));
            let readers = state.labels(film).count();
            if mine.is_some() || (protocol.readers > 0 && readers >= protocol.readers as usize) {
                continue;
            }
            if by_chance {
                drawn.push((film, QueuedSource::Second { doubted: false }));
            } else if let Some(held) = self.held(film, &label.answer, ranking) {
                doubted.push((held, film));
            }
        }
        doubted.sort_by(|one, other| one.0.total_cmp(&other.0));
        let share = (f64::from(protocol.doubt_share) * f64::from(others as u32)).round() as usize;
        let doubted = doubted.into_iter().take(share.saturating_sub(doubts_read));
        drawn.extend(doubted.map(|(_, film)| (film, QueuedSource::Second { doubted: true })));
        drawn
    }

    /// Returns the probability that the model gives an answer; `None` before a ranking and for what is no class.
    fn held(&self, film: FilmId, answer: &Answer, ranking: Option<&Ranking>) -> Option<f32> {
        let class = self.session.state().class_index(answer.class()?)?;
        let classes = self.session.header().classes.len();
        ranking?.probabilities.get(self.row(film)? * classes + class).copied()
    }

    /// Returns the films that `reader` has answered so long ago that they come again.
    fn due_again(&self, protocol: &Protocol, reader: &str) -> impl Iterator<Item = FilmId> {
        let (state, seed) = (self.session.state(), self.session.header().seed);
        let own = state.of(reader);
        let again: Vec<FilmId> = own.rereads().map(|(film, _)| film).collect();
        let wanted = protocol.reread_share > 0.0;
        let passed = if wanted { own.passed() } else { Vec::new() };
        let days = Duration::from_hours(24) * protocol.reread_days;
        let now = Time::now();
        let due = move |seq: u64, time: Time| {
            let since = passed.len() - passed.partition_point(|&other| other <= seq);
            since >= protocol.reread_after as usize && now.since(time) >= days
        };
        let labels = own.in_order().filter(move |_| wanted);
        let drawn = labels.filter(move |(film, label)| {
            protocol.is_reread(seed, *film, reader)
                && !again.contains(film)
                && due(label.seq, label.time)
        });
        drawn.map(|(film, _)| film).collect::<Vec<_>>().into_iter()
    }

    /// Enters an answer into a set of labels.
    pub(super) fn put(&self, set: &mut LabelSet, film: FilmId, answer: &Answer) {
        let Some(row) = self.row(film) else { return };
        match answer.class().and_then(|name| self.session.state().class_index(name)) {
            Some(class) => {
                set.rows.push(row);
                set.classes.push(class);
            }
            None => set.excluded.push(row),
        }
    }

    /// Enters the films put off into a set of labels.
    pub(super) fn put_off(&self, set: &mut LabelSet, view: View<'_>, return_after: Option<usize>) {
        for (film, passed) in view.passed_since_skipped() {
            let Some(row) = self.row(film) else { continue };
            set.deferred.push(row);
            let left = return_after.map(|after| after.saturating_sub(passed));
            set.returns.push(left.unwrap_or(usize::MAX));
        }
    }
}
