//! An opened session on its way through the reader's hands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui::{Context, TextureHandle};

use super::Background;
use super::record::{self, Reply};
use crate::engine::{
    Command, Engine, LabelSet, QueuedFilm, QueuedSource, Ranking, ReadingQueue, Workspace,
};
use crate::query::Strategy;
use crate::session::{Class, Event, Point, State};
use crate::ui::command::{UiCommand, View, sentence};
use crate::ui::equalised::Equalised;
use crate::ui::film_loader::{FilmLoader, Loaded, LoadedFilm};
use crate::ui::film_view::FilmView;
use crate::ui::keymap::Keymap;
use crate::ui::latency::{Latency, Pace, Sight};
use crate::ui::learning::Learning;
use crate::ui::theme;
use crate::ui::why::Why;

/// What the reader is told about the film that they have just answered.
pub struct LastFilm {
    /// What the reader did.
    pub reply: Reply,
    /// The class that the model held most likely before the answer, and its probability.
    pub opinion: Option<(usize, f32)>,
    /// Why the film was in the queue.
    pub why: Why,
    /// The film itself, where it could be decoded.
    pub film: Option<Arc<LoadedFilm>>,
}

/// An opened session with everything that the views of it show.
pub struct Reading {
    /// The session and its films.
    pub workspace: Workspace,
    /// What learns in the background, where it runs.
    pub engine: Option<Engine>,
    /// The films to come; the first is on screen.
    pub upcoming: Vec<QueuedFilm>,
    /// The labels as they stand.
    pub labels: Arc<LabelSet>,
    /// For every film of the random stream: films read, films of it that the model had right, films of it.
    pub audit_course: Vec<(usize, usize, usize)>,
    /// The view that is open.
    pub view: View,
    /// Whether the panels are hidden.
    pub film_only: bool,
    /// The viewer.
    pub film_view: FilmView,
    /// The film that was answered last.
    pub last: Option<LastFilm>,
    /// The film that was answered last, equalised, while it is shown in place of the film on screen.
    pub equalised: Option<Equalised>,
    /// The keys of this session.
    pub keymap: Arc<Keymap>,
    /// What is known of the engine.
    pub learning: Learning,
    /// The reader's pace.
    pub pace: Pace,
    /// Key to film, for the bench.
    pub latency: Latency,
    reader: String,
    pub(super) queue: ReadingQueue,
    /// Films that were passed without an answer since the last one.
    pub(super) passed: Vec<usize>,
    ranking: Option<Arc<Ranking>>,
    loader: FilmLoader,
    thumbnails: BTreeMap<usize, TextureHandle>,
    /// Row that was drawn, and how long it has been in sight.
    on_screen: Option<(usize, Sight)>,
    /// Entries of the log when the last answer was in it.
    last_label: u64,
    /// Start of the pass whose key changed the film, until that film is drawn.
    key: Option<Instant>,
    /// The key press whose film the last pass drew.
    drawn_for: Option<Instant>,
}

impl Reading {
    /// Films that are decoded ahead, the one on screen included.
    pub const AHEAD: usize = 10;
    /// Films whose textures wait on the graphics card, the one on screen included.
    const UPLOADED: usize = 4;

    /// Starts to read a session.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(
        ctx: &Context,
        workspace: Workspace,
        background: &Background,
    ) -> anyhow::Result<Self> {
        let files = workspace.films.iter().map(|film| workspace.images.join(&film.file)).collect();
        let waker = ctx.clone();
        let loader = FilmLoader::new(files, FilmLoader::BUDGET, move || waker.request_repaint())?;
        let header = workspace.session.header();
        let mut queue = ReadingQueue::new(workspace.films.len(), header.audit_share, header.seed);
        workspace.drawn().into_iter().for_each(|film| queue.remember(film));
        let waker = ctx.clone();
        let engine = match background {
            Background::Learning { compute, base_model, learn_every } => {
                let options = workspace.engine_options(compute.clone(), base_model, *learn_every);
                Some(Engine::start(options, Arc::new(move || waker.request_repaint()))?)
            }
            Background::Off => None,
        };
        let mut reading = Self {
            workspace,
            engine,
            upcoming: Vec::new(),
            labels: Arc::default(),
            audit_course: Vec::new(),
            view: View::Read,
            film_only: false,
            film_view: FilmView::default(),
            last: None,
            equalised: None,
            keymap: Arc::default(),
            learning: Learning::default(),
            pace: Pace::default(),
            latency: Latency::default(),
            reader: record::reader(),
            queue,
            passed: Vec::new(),
            ranking: None,
            loader,
            thumbnails: BTreeMap::new(),
            on_screen: None,
            last_label: 0,
            key: None,
            drawn_for: None,
        };
        reading.labels_changed();
        reading.queue.labels_changed(&reading.labels);
        reading.queue_changed();
        Ok(reading)
    }

    /// Returns the classes of the session.
    pub fn classes(&self) -> &[Class] {
        &self.workspace.session.header().classes
    }

    /// Returns the row on screen, `None` when every film has been read.
    pub fn row(&self) -> Option<usize> {
        self.upcoming.first().map(|film| film.row)
    }

    /// Returns the film on screen, or why it cannot be shown; `None` while it is being decoded.
    pub fn film(&self) -> Option<Loaded> {
        self.row().and_then(|row| self.loader.get(row))
    }

    /// Returns why labelling has stopped, if it has.
    pub fn fault(&self) -> Option<String> {
        self.workspace.session.fault()
    }

    /// Returns films labelled and, of these, films whose label is safe on disk.
    pub fn counts(&self) -> (usize, usize) {
        let labelled = self.labels.rows.len();
        let unsaved = usize::from(self.workspace.session.durable() < self.last_label);
        (labelled, labelled.saturating_sub(unsaved))
    }

    /// Answers for the film on screen and goes on; returns whether the answer was taken.
    ///
    /// It is refused while the last one is not yet durable, after a failed save, and as long as the film on screen has
    /// not been drawn: no film is labelled unseen.
    pub fn answer(&mut self, reply: Reply, now: f64, started: Instant) -> bool {
        let Some(film) = self.upcoming.first().cloned() else { return false };
        let (seen, time) = match (&self.loader.get(film.row), self.on_screen) {
            (Some(Ok(loaded)), Some((row, sight))) if row == film.row => {
                (self.film_view.display(loaded), sight.time())
            }
            // A film that cannot be shown can be put off or called uninterpretable, no more.
            (Some(Err(_)), _) if !matches!(reply, Reply::Class(_)) => {
                ((crate::imaging::Window { centre: 0.0, width: 1.0 }, 0.0, false), Duration::ZERO)
            }
            _ => return false,
        };
        if !self.can_write() {
            return false;
        }
        let Some(record) = self.workspace.films.get(film.row) else { return false };
        let model = self.ranking.as_ref().map(|ranking| ranking.model.as_str());
        let seen =
            record::Seen { display: seen, time, model, opinion: self.opinion_seen(record.id) };
        let event = record::answered(record.id, reply, self.classes(), &film, seen);
        let Some(event) = event else { return false };
        if let Err(error) = self.workspace.session.append(&self.reader, event) {
            self.learning.take(crate::engine::Event::Warning(error.to_string()));
            return false;
        }
        self.last_label = self.workspace.session.entered();
        self.pace.record(time);
        // A film that is put off has no label yet: nothing may be said of it.
        self.last = (reply != Reply::Later).then(|| self.describe(&film, reply));
        self.film_view.flash(self.colour(reply), now);
        self.key = Some(started);
        self.passed.clear();
        self.labels_changed();
        self.queue.advance(&self.labels);
        self.queue_changed();
        true
    }

    /// Returns whether the reader may know the model's opinion of a film: it is shown after a first label, and an undo
    /// does not unsee it.
    fn opinion_seen(&self, id: crate::dataset::FilmId) -> bool {
        let labels = |event: &Event| matches!(event, Event::Label { film, .. } if *film == id);
        self.workspace.session.entries().iter().any(|entry| labels(&entry.event))
    }

    /// Takes the last answer back and shows its film again.
    pub fn undo(&mut self, started: Instant) {
        let Some((seq, film)) = self.workspace.session.state().last_undoable(&self.reader) else {
            return;
        };
        if !self.can_write()
            || self.workspace.session.append(&self.reader, Event::Undo { seq }).is_err()
        {
            return;
        }
        self.last_label = self.workspace.session.entered();
        (self.last, self.equalised) = (None, None);
        self.key = Some(started);
        self.labels_changed();
        self.queue.labels_changed(&self.labels);
        if let Some(row) = self.workspace.row(film) {
            self.queue.show(row);
        }
        self.queue_changed();
    }

    /// Takes into the log that a new model was weighed against the one in use.
    pub fn model_weighed(&mut self, model: &str, accepted: bool, labels: usize, reason: &str) {
        let (model, reason) = (model.to_owned(), reason.to_owned());
        let event = Event::ModelSwap { model, accepted, reason, labels };
        // A failed append shows as the session's fault.
        self.workspace.session.append(&self.reader, event).ok();
    }

    /// Ranks by another strategy from now on.
    pub fn choose(&mut self, strategy: Strategy) {
        let event = Event::Strategy { name: strategy.to_string() };
        if self.workspace.session.append(&self.reader, event).is_ok() {
            self.learning.strategy = Some(strategy);
            if let Some(engine) = &self.engine {
                engine.send(Command::Strategy(strategy));
            }
        }
    }

    fn can_write(&self) -> bool {
        let session = &self.workspace.session;
        session.fault().is_none() && session.durable() >= self.last_label
    }

    /// Takes a new ranking: the film on screen stays.
    pub fn take_ranking(&mut self, ranking: Arc<Ranking>) {
        self.learning.ranked(&ranking);
        let known = self.workspace.session.state().curve().last().map(|point| point.labels);
        if known.is_none_or(|labels| labels < ranking.labels)
            && let Some(event) = record::measure(&ranking)
        {
            // A failed append shows as the session's fault.
            self.workspace.session.append(&self.reader, event).ok();
        }
        self.queue.update(Arc::clone(&ranking), &self.labels);
        self.ranking = Some(ranking);
        self.queue_changed();
    }

    /// Takes the time of a key whose film was drawn in the pass before: now that pass has been painted and presented.
    pub fn presented(&mut self) {
        if let Some(key) = self.drawn_for.take() {
            self.latency.record(key.elapsed());
        }
    }

    /// Notes that the pass drew the film on screen, uploads one film that comes soon, and takes the time.
    pub fn drawn(&mut self, ctx: &Context) {
        let row = self.row();
        if let Some(row) = row.filter(|&row| self.film_view.is_prepared(row)) {
            if self.on_screen.is_none_or(|(shown, _)| shown != row) {
                self.on_screen = Some((row, Sight::default()));
            }
            if let Some(key) = self.key.take() {
                self.drawn_for = Some(key);
                ctx.request_repaint();
                // This film first: making the next ones ready takes as long as a pass.
                return;
            }
        }
        self.prepare_one(ctx);
    }

    /// Notes whether the reader can see the film on screen: reading time is the time in sight.
    pub fn in_sight(&mut self, in_sight: bool) {
        if let Some((_, sight)) = &mut self.on_screen {
            sight.set(in_sight);
        }
    }

    /// Uploads at most one texture a pass, so that no pass takes long.
    fn prepare_one(&mut self, ctx: &Context) {
        for film in self.upcoming.iter().take(Self::UPLOADED) {
            let Some(Ok(loaded)) = self.loader.get(film.row) else { continue };
            if self.film_view.prepare(ctx, film.row, &loaded) {
                ctx.request_repaint();
                return;
            }
        }
    }

    /// Returns the thumbnail of a film, once it is decoded.
    pub fn thumbnail(&mut self, ctx: &Context, row: usize) -> Option<TextureHandle> {
        if let Some(texture) = self.thumbnails.get(&row) {
            return Some(texture.clone());
        }
        let film = self.loader.get(row)?.ok()?;
        let level = film.levels.last()?;
        let mut grey = Vec::new();
        crate::imaging::render(level, film.first.clone(), false, &mut grey);
        let image =
            egui::ColorImage::from_gray([level.width as usize, level.height as usize], &grey);
        let texture =
            ctx.load_texture(format!("thumbnail {row}"), image, egui::TextureOptions::LINEAR);
        self.thumbnails.insert(row, texture.clone());
        Some(texture)
    }

    /// Returns the colour of a reply.
    pub fn colour(&self, reply: Reply) -> egui::Color32 {
        match reply {
            Reply::Class(index) => self
                .classes()
                .get(index)
                .map_or(theme::SECONDARY, |class| theme::class(&class.name, index)),
            Reply::Uninterpretable => theme::UNINTERPRETABLE,
            Reply::Later => theme::LATER,
        }
    }

    /// Returns a reply in words.
    pub fn words(&self, reply: Reply) -> String {
        match reply {
            Reply::Class(index) => self.class_name(index),
            Reply::Uninterpretable => UiCommand::Uninterpretable.text(&[]),
            Reply::Later => UiCommand::Later.text(&[]),
        }
    }

    /// Returns the name of a class as a button says it.
    pub fn class_name(&self, index: usize) -> String {
        self.classes().get(index).map_or_else(String::new, |class| sentence(&class.name))
    }

    fn describe(&self, film: &QueuedFilm, reply: Reply) -> LastFilm {
        let classes = self.classes().len();
        let ranked = self
            .ranking
            .as_ref()
            .and_then(|r| r.probabilities.get(film.row * classes..)?.get(..classes));
        let opinion = match &film.source {
            QueuedSource::Audit { predicted, .. } => Some(predicted.as_slice()),
            QueuedSource::Ranked { .. } => ranked,
        };
        let opinion = opinion.and_then(most_likely);
        let picture = self.loader.get(film.row).and_then(Result::ok);
        LastFilm { reply, opinion, why: Why::of(film), film: picture }
    }

    fn labels_changed(&mut self) {
        self.labels = Arc::new(self.workspace.label_set());
        self.audit_course = audit_course(self.workspace.session.state());
        if let Some(engine) = &self.engine {
            engine.send(Command::Labels(Arc::clone(&self.labels)));
        }
    }

    pub(super) fn queue_changed(&mut self) {
        self.upcoming = self.queue.upcoming(Self::AHEAD);
        let rows: Vec<usize> = self.upcoming.iter().map(|film| film.row).collect();
        self.loader.want(&rows);
        self.film_view.keep(&rows[..rows.len().min(Self::UPLOADED)]);
        self.thumbnails.retain(|row, _| rows.contains(row));
        if let Some(row) = self.row() {
            self.film_view.show_film(row);
        }
    }

    /// Returns whether there is an answer that can be taken back.
    pub fn can_undo(&self) -> bool {
        self.workspace.session.state().last_undoable(&self.reader).is_some()
    }

    /// Returns the model's figures on the reference films, oldest first.
    pub fn measures(&self) -> &[Point] {
        self.workspace.session.state().curve()
    }

    /// Returns after how many labels which model was taken into use.
    pub fn swaps(&self) -> Vec<(usize, String)> {
        let swap = |event: &Event| match event {
            Event::ModelSwap { model, accepted: true, labels, .. } => {
                Some((*labels, model.clone()))
            }
            _ => None,
        };
        self.workspace.session.entries().iter().filter_map(|entry| swap(&entry.event)).collect()
    }

    /// Returns how many films of the random stream the model had right before their label, and how many there were.
    pub fn audit(&self) -> (usize, usize) {
        self.audit_course.last().map_or((0, 0), |&(_, correct, n)| (correct, n))
    }
}

/// Returns for every film of the random stream the films read so far, and of the stream's so far how many the model had
/// right and how many there were.
fn audit_course(state: &State) -> Vec<(usize, usize, usize)> {
    let (mut correct, mut n) = (0, 0);
    let mut course = Vec::new();
    // Both go by first answers, so that one walk finds the place of every drawn film.
    let mut places = state.in_order().enumerate();
    for drawn in state.audit() {
        let place = places.find(|(_, (film, _))| *film == drawn.film).map(|(place, _)| place);
        let class = drawn.answer.class().and_then(|name| state.class_index(name));
        let (Some(place), Some(class)) = (place, class) else { continue };
        n += 1;
        correct += usize::from(most_likely(drawn.predicted).is_some_and(|(held, _)| held == class));
        course.push((place + 1, correct, n));
    }
    course
}

/// Returns the most likely class, the first of equals as on the reference films, and its probability.
fn most_likely(probabilities: &[f32]) -> Option<(usize, f32)> {
    let likelier =
        |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    probabilities.iter().copied().enumerate().reduce(likelier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equally_likely_classes_the_first_counts_as_on_the_reference_films() {
        for probabilities in [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.1, 0.2, 0.7]] {
            let (class, probability) = most_likely(&probabilities).unwrap();
            let reference = crate::learn::metrics::Confusion::new(&probabilities, &[class], 3);
            assert_eq!(reference.count(class, class), 1, "{probabilities:?}");
            assert!(probabilities.iter().all(|other| *other <= probability));
        }
        assert_eq!(most_likely(&[]), None);
    }
}
