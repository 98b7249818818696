//! A session as one reader knows it, or as all readers together have brought it.

use super::event::Answer;
use super::reading::{Labelled, Reading, Reread, Track};
use super::state::State;
use crate::dataset::FilmId;

/// What one reader has answered and put off, or, for a film that no matter who may have read, what its first reader said.
///
/// A reader's view says nothing of what others answered.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(super) state: &'a State,
    /// Whose view it is; `None` for all.
    pub(super) reader: Option<&'a str>,
}

impl<'a> View<'a> {
    fn tracks(self, film: FilmId) -> impl Iterator<Item = &'a Track> {
        let tracks = self.state.films.get(&film).map_or(&[][..], Vec::as_slice);
        tracks.iter().filter(move |track| self.reader.is_none_or(|reader| track.reader == reader))
    }

    /// Returns the answer that stands for a film; of several readers that of the one who answered first.
    pub fn label(self, film: FilmId) -> Option<&'a Labelled> {
        self.tracks(film).filter_map(Track::label).min_by_key(|label| label.first)
    }

    /// Returns the answer that was given last for a film, which after a second reading need not be the one that stands.
    pub fn answer(self, film: FilmId) -> Option<&'a Answer> {
        let last = self.tracks(film).filter(|track| track.answer().is_some());
        last.max_by_key(|track| track.readings.last().map(Reading::seq)).and_then(Track::answer)
    }

    /// Returns the films with an answer in the order in which they got their first one.
    pub fn in_order(self) -> impl Iterator<Item = (FilmId, &'a Labelled)> {
        self.state.standing.iter().filter_map(move |(&seq, &film)| {
            self.label(film).filter(|label| label.first == seq).map(|label| (film, label))
        })
    }

    /// Returns the second readings of films, in the order of their entries.
    pub fn rereads(self) -> impl Iterator<Item = (FilmId, &'a Reread)> {
        self.state.beside.iter().filter_map(move |(&seq, &film)| {
            let mut rereads = self.tracks(film).flat_map(Track::rereads);
            rereads.find(|reread| reread.seq == seq).map(|reread| (film, reread))
        })
    }

    /// Returns the entry that put a film off, if it still is: a film that another reader has answered is so only for
    /// the one who put it off.
    pub fn put_off(self, film: FilmId) -> Option<u64> {
        if self.reader.is_none() && self.label(film).is_some() {
            return None;
        }
        self.tracks(film).filter_map(Track::put_off).max()
    }

    /// Returns the films put off, the one that was put off first at the front.
    pub fn skipped(self) -> impl Iterator<Item = FilmId> {
        let beside = self.state.beside.iter();
        beside.filter(move |(seq, film)| self.put_off(**film) == Some(**seq)).map(|(_, &film)| film)
    }

    /// Returns the films with an answer or put off, each at the place of its first answer, of its last putting off or, in
    /// a reader's view, of its last second reading.
    pub fn read_order(self) -> impl Iterator<Item = FilmId> {
        let place = move |film: FilmId| {
            let reread = self.tracks(film).flat_map(Track::rereads).map(|reread| reread.seq).max();
            let reread = reread.filter(|_| self.reader.is_some());
            let first = || self.label(film).map(|label| label.first);
            self.put_off(film).or(reread).or_else(first)
        };
        let standing = self.state.standing.iter();
        standing.filter(move |(seq, film)| place(**film) == Some(**seq)).map(|(_, &film)| film)
    }

    /// Returns the films put off as [`Self::skipped`] does, each with the number of films passed since: answered for the
    /// first time or once more, or put off.
    pub fn passed_since_skipped(self) -> impl Iterator<Item = (FilmId, usize)> {
        let off = |(seq, film): &(&u64, &FilmId)| self.put_off(**film) == Some(**seq);
        let off: Vec<_> = self.state.beside.iter().filter(off).collect();
        let passed = if off.is_empty() { Vec::new() } else { self.passed() };
        off.into_iter().map(move |(&seq, &film)| {
            (film, passed.len() - passed.partition_point(|&other| other <= seq))
        })
    }

    /// Returns the entries that passed a film, in order.
    pub fn passed(self) -> Vec<u64> {
        let passes = |seq: u64, film: FilmId| {
            let mut readings = self.tracks(film).flat_map(|track| &track.readings);
            readings.any(|reading| reading.seq() == seq && reading.passes())
        };
        let standing = self.state.standing.iter();
        standing.filter(|(seq, film)| passes(**seq, **film)).map(|(&seq, _)| seq).collect()
    }

    /// Returns the latest reading that can be taken back, with its film; a reader takes back only what they entered.
    pub fn last_undoable(self) -> Option<(u64, FilmId)> {
        let all = View { reader: None, ..self };
        let is_last = |(seq, film): &(&u64, &FilmId)| {
            let mut last = all.tracks(**film).filter_map(|track| track.readings.last());
            last.any(|last| {
                last.seq() == **seq && self.reader.is_none_or(|reader| last.reader() == reader)
            })
        };
        self.state.standing.iter().rev().find(is_last).map(|(&seq, &film)| (seq, film))
    }
}
