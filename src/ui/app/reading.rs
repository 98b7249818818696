//! An opened session on its way through the reader's hands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui::{Context, TextureHandle};

use super::Background;
use super::browsing::Browsing;
use super::course::audit_course;
use super::record::{self, Reply};
use crate::dataset::{FilmId, Stamp};
use crate::engine::workspace::RETURN_AFTER;
use crate::engine::{Command, Engine, LabelSet, QueuedFilm, Ranking, ReadingQueue, Workspace};
use crate::query::Strategy;
use crate::session::{Class, Event, MethodFigures};
use crate::ui::aside::Aside;
use crate::ui::command::{UiCommand, View, sentence};
use crate::ui::film_loader::{self, FilmLoader, LoadedFilm};
use crate::ui::film_view::{Displayed, FilmView};
use crate::ui::gallery::Gallery;
use crate::ui::keymap::Keymap;
use crate::ui::latency::{Latency, Pace, Sight};
use crate::ui::learn::Desk;
use crate::ui::learning::Learning;
use crate::ui::theme;
use crate::ui::why::Why;

/// What the reader is told about the film that they have just answered.
pub struct LastFilm {
    /// Its row in the session.
    pub row: usize,
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
    /// The film that was answered last, while it is shown in place of the film on screen.
    pub aside: Option<Aside>,
    /// The keys of this session.
    pub keymap: Arc<Keymap>,
    /// What is known of the engine.
    pub learning: Learning,
    /// The reader's pace.
    pub pace: Pace,
    /// Key to film, for the bench.
    pub latency: Latency,
    /// The Films view.
    pub gallery: Gallery,
    /// The Learn view.
    pub desk: Desk,
    /// Films after which one that was put off comes back; `None` for when all others are read.
    pub return_after: Option<usize>,
    pub(super) reader: String,
    /// Rows on which readers disagree and that the reader can settle, the next first.
    pub(super) disputed: Vec<usize>,
    /// Disagreements that somebody else has to settle.
    pub(super) left_to_others: usize,
    /// Those of `disputed` that the reader has put behind the others.
    pub(super) disputes_put_off: Vec<usize>,
    pub(super) queue: ReadingQueue,
    /// Films that were passed without an answer since the last one.
    pub(super) passed: Vec<usize>,
    pub(super) ranking: Option<Arc<Ranking>>,
    pub(super) loader: FilmLoader,
    pub(super) thumbnails: BTreeMap<usize, TextureHandle>,
    /// Films that the reader looks at instead of the queue.
    pub(super) browsing: Option<Browsing>,
    /// Rows that may come first after the film on screen, by what the engine foresees.
    pub(super) foreseen: Vec<usize>,
    /// Rows that are decoded ahead, the most urgent first.
    pub(super) near: Vec<usize>,
    /// State of the files that the textures of films were made from.
    pub(super) stamps: BTreeMap<usize, Stamp>,
    /// Row that was drawn, and how long it has been read.
    pub(super) on_screen: Option<(usize, Sight)>,
    /// Row that was drawn small, how, and what its file holds if that is not what it held at import.
    pub(super) drawn_small: Option<(usize, Displayed, Option<FilmId>)>,
    /// For how long films without an answer were read when they were left.
    pub(super) times: BTreeMap<usize, Duration>,
    /// Entries of the log when what the reader entered last was in it.
    pub(super) last_label: u64,
    /// Start of the pass whose key changed the film, until that film is drawn.
    pub(super) key: Option<Instant>,
    /// The key press whose film the last pass drew.
    drawn_for: Option<Instant>,
}

impl Reading {
    /// Films that are decoded ahead, the one on screen included.
    pub const AHEAD: usize = 10;
    /// Films whose textures wait on the graphics card, the one on screen included.
    pub(super) const UPLOADED: usize = 4;

    /// Starts to read a session as `reader`.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(
        ctx: &Context,
        workspace: Workspace,
        background: &Background,
        reader: &str,
    ) -> anyhow::Result<Self> {
        let waker = ctx.clone();
        let wake = move || waker.request_repaint();
        let loader =
            film_loader::start(&workspace.films, &workspace.images, film_loader::BUDGET, wake)?;
        let header = workspace.session.header();
        let mut queue = ReadingQueue::new(workspace.films.len(), header.audit_share, header.seed);
        workspace.drawn(reader).into_iter().for_each(|film| queue.remember(film));
        let waker = ctx.clone();
        let engine = match background {
            Background::Learning { compute, base_model, plan } => {
                let base = base_model.clone().unwrap_or_else(|| workspace.base_model());
                let options = workspace.engine_options(compute.clone(), &base, *plan);
                Some(Engine::start(options, Arc::new(move || waker.request_repaint()))?)
            }
            Background::Off => None,
        };
        let gallery = Gallery::new(workspace.films.iter().map(|film| film.file.clone()));
        let desk = Desk::new(workspace.session.folder().join("plots"));
        let mut reading = Self {
            workspace,
            engine,
            gallery,
            desk,
            return_after: Some(RETURN_AFTER),
            browsing: None,
            foreseen: Vec::new(),
            near: Vec::new(),
            stamps: BTreeMap::new(),
            drawn_small: None,
            times: BTreeMap::new(),
            upcoming: Vec::new(),
            labels: Arc::default(),
            audit_course: Vec::new(),
            view: View::Read,
            film_only: false,
            film_view: FilmView::default(),
            last: None,
            aside: None,
            keymap: Arc::default(),
            learning: Learning::default(),
            pace: Pace::default(),
            latency: Latency::default(),
            reader: reader.to_owned(),
            disputed: Vec::new(),
            left_to_others: 0,
            disputes_put_off: Vec::new(),
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

    /// Returns the row on screen: the one that the reader looks back at, else the queue's; `None` when every film has
    /// been read.
    pub fn row(&self) -> Option<usize> {
        if self.view == View::Review {
            return self.disputed.first().copied();
        }
        self.browsed().or_else(|| self.upcoming.first().map(|film| film.row))
    }

    /// Returns for how long the film on screen has been waited for, if it is not there yet.
    pub fn waited(&self) -> Option<Duration> {
        self.row().and_then(|row| self.loader.waited(row))
    }

    /// Returns whether a film has been decoded and is kept.
    pub fn is_decoded(&self, row: usize) -> bool {
        self.loader.get(row).is_some_and(|film| film.is_ok())
    }

    /// Returns why labelling has stopped, if it has.
    pub fn fault(&self) -> Option<String> {
        self.workspace.session.fault()
    }

    /// Returns films labelled and, of these, films whose label is safe on disk.
    pub fn counts(&self) -> (usize, usize) {
        let labelled = self.labels.rows.len() + self.labels.rereads;
        let unsaved = usize::from(self.workspace.session.durable() < self.last_label);
        (labelled, labelled.saturating_sub(unsaved))
    }

    /// Takes into the log that a new model was weighed against the one in use.
    pub fn model_weighed(
        &mut self,
        model: &str,
        accepted: bool,
        labels: usize,
        reason: &str,
        methods: Vec<MethodFigures>,
    ) {
        let (model, reason) = (model.to_owned(), reason.to_owned());
        let event = Event::ModelSwap { model, accepted, reason, labels, methods };
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
        let before = self.ranking.replace(Arc::clone(&ranking));
        if before.is_some_and(|before| before.model != ranking.model) {
            self.gallery.ask_again();
        }
        // The model's doubt of others' answers goes by the ranking.
        if self.workspace.session.state().protocol().is_some_and(|p| p.doubt_share > 0.0) {
            self.reader_set_changed();
        }
        self.queue.update(ranking, &self.labels);
        self.queue_changed();
        if let (Some(engine), Some(film)) = (&self.engine, self.upcoming.first()) {
            engine.send(Command::Foresee(film.row));
        }
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
            self.look_at(row);
            if let Some(key) = self.key.take() {
                self.drawn_for = Some(key);
                ctx.request_repaint();
                // This film first: making the next ones ready takes as long as a pass.
                return;
            }
        }
        self.prepare_one(ctx);
    }

    /// Notes that the pass drew the gallery.
    pub fn gallery_drawn(&mut self, ctx: &Context) {
        let row = self.gallery.selected();
        self.drawn_small = row.and_then(|row| {
            let (display, changed) = self.gallery.seen(ctx, row)?;
            Some((row, display, changed))
        });
        if let Some((row, ..)) = self.drawn_small {
            self.look_at(row);
        }
        self.key = None;
        // For whoever goes back to reading.
        self.prepare_one(ctx);
    }

    /// Starts the clock of a film; that of the film before goes on if it comes again without an answer.
    fn look_at(&mut self, row: usize) {
        if self.on_screen.is_some_and(|(shown, _)| shown == row) {
            return;
        }
        if let Some((before, sight)) = self.on_screen.take()
            && self.answer_of(before).is_none()
        {
            self.times.insert(before, sight.time(Instant::now()));
        }
        let before = self.times.remove(&row).unwrap_or_default();
        self.on_screen = Some((row, Sight::after(before)));
    }

    /// Notes whether the reader can see the film on screen: reading time is the time in sight.
    pub fn in_sight(&mut self, in_sight: bool) {
        if let Some((_, sight)) = &mut self.on_screen {
            sight.set(in_sight, Instant::now());
        }
    }

    /// Notes that the reader did something: a long time without is no reading time.
    pub fn input(&mut self, now: Instant) {
        if let Some((_, sight)) = &mut self.on_screen {
            sight.input(now);
        }
    }

    /// Forgets the texture of a film on screen whose file was read again because it had changed.
    pub fn follow_files(&mut self) {
        let Some(row) = self.row() else { return };
        let Some(Ok(loaded)) = self.loader.get(row) else { return };
        if self.stamps.insert(row, loaded.stamp).is_some_and(|before| before != loaded.stamp) {
            let others: Vec<usize> =
                self.near.iter().copied().filter(|&near| near != row).collect();
            self.film_view.keep(&others);
            self.thumbnails.remove(&row);
            self.on_screen = None;
        }
    }

    /// Uploads at most one texture a pass, so that no pass takes long.
    fn prepare_one(&mut self, ctx: &Context) {
        for film in self.near.iter().take(Self::UPLOADED) {
            let Some(Ok(loaded)) = self.loader.get(*film) else { continue };
            if self.film_view.prepare(ctx, *film, &loaded) {
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
                .map_or(theme::UNINTERPRETABLE, |class| theme::of_class(class, index)),
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

    pub(super) fn labels_changed(&mut self) {
        self.reader_set_changed();
        self.audit_course = audit_course(self.workspace.session.state());
        self.disputes_changed();
        if let Some(engine) = &self.engine {
            let state = self.workspace.session.state();
            let alone = state.readers().iter().all(|reader| *reader == self.reader)
                && state.adjudications().next().is_none();
            let labels = if alone {
                Arc::clone(&self.labels)
            } else {
                Arc::new(self.workspace.label_set_for(&self.reader, self.return_after))
            };
            engine.send(Command::Labels(labels));
        }
    }

    /// Collects what the reader has answered and is to read.
    fn reader_set_changed(&mut self) {
        let ranking = self.ranking.as_deref();
        let labels = self.workspace.reader_set(&self.reader, self.return_after, ranking);
        self.labels = Arc::new(labels);
    }

    /// Returns whether there is an answer that can be taken back.
    pub fn can_undo(&self) -> bool {
        let state = self.workspace.session.state();
        if self.view == View::Review {
            return state.last_adjudication(&self.reader).is_some();
        }
        state.last_undoable(&self.reader).is_some()
    }
}
