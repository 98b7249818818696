//! Which film is read: the view that is open, the queue, films looked back at, disagreements to settle.

use std::sync::Arc;

use super::disputes::Disputes;
use super::study::Study;
use crate::study::{QueuedFilm, QueuedSource, Ranking, ReadingQueue};
use crate::ui::command::View;

/// Films that the reader goes through instead of the queue.
#[derive(Clone, Debug)]
struct Browsing {
    rows: Vec<usize>,
    place: usize,
    /// The view that it began in and ends in.
    from: View,
}

/// Where the reader is among the films.
pub struct Worklist {
    view: View,
    queue: ReadingQueue,
    /// The films to come; the first is the one that the queue stands at.
    upcoming: Vec<QueuedFilm>,
    /// Films that were passed without an answer since the last one.
    passed: Vec<usize>,
    browsing: Option<Browsing>,
    disputes: Disputes,
}

impl Worklist {
    /// Films that are shown ahead, the one on screen included.
    pub const AHEAD: usize = 10;

    /// Starts at the first film that the reader has not read.
    pub fn new(study: &Study) -> Self {
        let mut worklist = Self {
            view: View::Read,
            queue: queue(study),
            upcoming: Vec::new(),
            passed: Vec::new(),
            browsing: None,
            disputes: Disputes::default(),
        };
        worklist.disputes.refresh(study);
        match study.ranking() {
            Some(ranking) => worklist.take_ranking(Arc::clone(ranking), study),
            None => worklist.labels_changed(study),
        }
        worklist.look_ahead();
        worklist
    }

    /// Starts anew for another reader, in the view that is open.
    pub fn hand_over(&mut self, study: &Study) {
        *self = Self { view: self.view, ..Self::new(study) };
    }

    /// Returns the view that is open.
    pub const fn view(&self) -> View {
        self.view
    }

    /// Opens a view.
    pub const fn set_view(&mut self, view: View) {
        self.view = view;
    }

    /// Returns the row on screen: the one that the reader looks back at, else the queue's; `None` when every film has
    /// been read.
    pub fn row(&self) -> Option<usize> {
        if self.view == View::Review {
            return self.disputes.rows().first().copied();
        }
        self.browsed().or_else(|| self.queued().map(|film| film.row))
    }

    /// Returns the film that the queue stands at.
    pub fn queued(&self) -> Option<&QueuedFilm> {
        self.upcoming.first()
    }

    /// Returns the films to come; the first is the one that the queue stands at.
    pub fn upcoming(&self) -> &[QueuedFilm] {
        &self.upcoming
    }

    /// Returns the films on which readers disagree.
    pub const fn disputes(&self) -> &Disputes {
        &self.disputes
    }

    /// Returns the row on screen that is not the queue's, if the reader looks at one.
    pub fn browsed(&self) -> Option<usize> {
        self.browsing.as_ref().and_then(|browsing| browsing.rows.get(browsing.place).copied())
    }

    /// Returns the film that an answer is for, and why it is read; `selected` is the row that the Films view has selected.
    pub fn subject(&self, selected: Option<usize>) -> Option<QueuedFilm> {
        match (self.view, self.browsed()) {
            (View::Review, _) => {
                let row = *self.disputes.rows().first()?;
                Some(QueuedFilm { row, source: QueuedSource::Chosen, reason: None })
            }
            (View::Films, _) => Some(self.queue.chosen(selected?)),
            (_, Some(row)) => Some(self.queue.chosen(row)),
            (_, None) => self.queued().cloned(),
        }
    }

    /// Returns a film as one that the reader chose, unless chance or a protocol had drawn it before.
    pub fn chosen(&self, row: usize) -> QueuedFilm {
        self.queue.chosen(row)
    }

    /// Returns the rows that may be on screen soon, the most urgent first.
    pub fn near(&self) -> impl Iterator<Item = usize> {
        let disputed = if self.view == View::Review { self.disputes.rows() } else { &[] };
        let disputed = disputed.iter().copied().take(Self::AHEAD);
        let queued = self.upcoming.iter().map(|film| film.row);
        self.row().into_iter().chain(disputed).chain(self.beside()).chain(queued)
    }

    /// Returns the films after and before the one that the reader looks back at.
    fn beside(&self) -> impl Iterator<Item = usize> {
        let around = |browsing: &Browsing| {
            let at = |place: Option<usize>| browsing.rows.get(place?).copied();
            [at(browsing.place.checked_add(1)), at(browsing.place.checked_sub(1))]
        };
        self.browsing.as_ref().map(around).into_iter().flatten().flatten()
    }

    /// Brings the films to come up to date.
    pub fn look_ahead(&mut self) {
        self.upcoming = self.queue.upcoming(Self::AHEAD);
    }

    /// Takes new labels in; a film that has an answer now gives way to the next one.
    pub fn labels_changed(&mut self, study: &Study) {
        self.queue.labels_changed(study.labels());
    }

    /// Brings the films to be settled up to date.
    pub fn disputes_changed(&mut self, study: &Study) {
        self.disputes.refresh(study);
    }

    /// Puts a film to be settled behind the others.
    pub fn put_dispute_off(&mut self, row: usize, study: &Study) {
        self.disputes.put_off(row);
        self.disputes.refresh(study);
    }

    /// Shows a film first whose adjudication was taken back.
    pub fn show_dispute(&mut self, row: usize) {
        self.disputes.show(row);
    }

    /// Takes a new ranking: the film on screen stays.
    pub fn take_ranking(&mut self, ranking: Arc<Ranking>, study: &Study) {
        self.queue.update(ranking, study.labels());
    }

    /// Goes on after an answer to the film on screen.
    pub fn go_on(&mut self, study: &Study) {
        self.passed.clear();
        match (self.view, self.browsed()) {
            (View::Films, _) => self.labels_changed(study),
            (_, None) => self.queue.advance(study.labels()),
            (_, Some(_)) => {
                self.labels_changed(study);
                if self.browsing.as_ref().is_some_and(|browsing| browsing.from == View::Films) {
                    self.browse_on();
                } else {
                    self.browsing = None;
                }
            }
        }
    }

    /// Shows a film again whose answer was taken back; `answered` says whether it has one from before.
    pub fn show_again(&mut self, row: usize, answered: bool, study: &Study) {
        if !answered {
            self.browsing = None;
            self.queue.show(row);
        } else if self.view == View::Read {
            // A change was taken back, and the queue stays where it is.
            self.look_at_answered(row, study);
        }
    }

    /// Goes back to the film that was passed, else to the one read before, or, in the list of the Films view, to the one
    /// before.
    pub fn previous(&mut self, study: &Study) {
        if let Some(browsing) = &mut self.browsing {
            browsing.place = browsing.place.saturating_sub(1);
        } else if let Some(row) = self.passed.pop() {
            self.queue.show(row);
        } else {
            self.browsing = self.look_back(study);
        }
    }

    /// Goes to the film read after the one on screen; after the last one comes the queue, in which films can be passed.
    pub fn next(&mut self) {
        if self.browsing.is_some() {
            self.browse_on();
        } else {
            self.pass();
        }
    }

    /// Shows the film after the one on screen, which stays unread; what it is in the queue for stays what it was.
    fn pass(&mut self) {
        let unseen = |film: &&QueuedFilm| !self.passed.contains(&film.row);
        let next = self.upcoming.iter().skip(1).find(unseen).cloned();
        let (Some(shown), Some(next)) = (self.queued().cloned(), next) else { return };
        self.passed.push(shown.row);
        let row = next.row;
        self.queue.remember(shown);
        self.queue.remember(next);
        self.queue.show(row);
    }

    /// Leaves the films that are looked at instead of the queue.
    pub fn stop_browsing(&mut self) {
        self.browsing = None;
    }

    /// Returns to the film that the queue stands at.
    pub fn back_to_queue(&mut self) {
        self.browsing = None;
        self.view = View::Read;
    }

    /// Opens a film of a list, through which the reader goes on then.
    pub fn open(&mut self, row: usize, list: &[usize]) {
        let place = list.iter().position(|&other| other == row);
        let queued = self.queued().is_some_and(|film| film.row == row);
        let browse = |place| Browsing { rows: list.to_vec(), place, from: View::Films };
        self.browsing = place.filter(|_| !queued).map(browse);
        self.view = View::Read;
    }

    /// Puts films without an answer in front of the queue, the first of them first. They were chosen, whatever the ranking
    /// says of them; those of the random stream stay its own.
    pub fn read_next(&mut self, rows: &[usize]) {
        for &row in rows.iter().rev() {
            let film = self.queue.chosen(row);
            self.queue.remember(film);
            self.queue.show(row);
        }
    }

    /// Goes to the next of the films that the reader goes through; after the last one back to where that began.
    fn browse_on(&mut self) {
        let Some(browsing) = &mut self.browsing else { return };
        browsing.place += 1;
        if browsing.place < browsing.rows.len() {
            return;
        }
        if browsing.from == View::Films {
            self.view = View::Films;
        }
        self.browsing = None;
    }

    /// Shows a film with an answer among those that were read.
    fn look_at_answered(&mut self, row: usize, study: &Study) {
        if let Some(mut browsing) = self.look_back(study)
            && let Some(place) = browsing.rows.iter().position(|&other| other == row)
        {
            browsing.place = place;
            self.browsing = Some(browsing);
        }
    }

    /// The films that were read, in order, the last one on screen.
    fn look_back(&self, study: &Study) -> Option<Browsing> {
        let queued = self.queued().map(|film| film.row);
        let read = study.state().of(study.reader()).read_order();
        let rows: Vec<usize> =
            read.filter_map(|film| study.row(film)).filter(|&row| Some(row) != queued).collect();
        let place = rows.len().checked_sub(1)?;
        Some(Browsing { rows, place, from: View::Read })
    }
}

/// The queue of a session for its reader, with what was drawn in earlier sittings.
fn queue(study: &Study) -> ReadingQueue {
    let header = study.session().header();
    let mut queue = ReadingQueue::new(study.films().len(), header.audit_share, header.seed);
    study.workspace().drawn(study.reader()).into_iter().for_each(|film| queue.remember(film));
    queue
}
