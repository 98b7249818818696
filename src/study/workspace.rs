//! An opened labelling session with its films: what the window and the commands work on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::{LabelSet, QueuedFilm, QueuedSource, ReferenceSet, Source};
use crate::config::{DEMO, Home, check_name};
use crate::dataset::index::{load_index, save_index};
use crate::dataset::labels::read_labels;
use crate::dataset::{FilmId, FilmRecord, PatientRule, Scan, scan};
use crate::model::folder::{Kind, load_card};
use crate::query::Strategy;
use crate::session::export::ExportFilm;
use crate::session::{self, Class, Event, Header, OpenReport, Reference, Session, Verdict, View};

/// File of the films' index in a session's folder.
pub const INDEX: &str = "films.jsonl";
/// New labels after which background learning starts.
pub const LABELS_PER_LEARNING: usize = 10;
/// Share of films that are drawn at random, unless the session says otherwise.
pub const AUDIT_SHARE: f32 = 0.1;
/// Films after which a film that was put off comes back, unless the reader says otherwise.
pub const RETURN_AFTER: usize = 20;

/// What a new session is made from.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Name, also of its folder.
    pub name: String,
    /// Folder of films.
    pub images: PathBuf,
    /// Folder and labels file of the films to measure on.
    pub reference: Option<(PathBuf, PathBuf)>,
    /// Regular expression that finds the patient in a path.
    pub patient_rule: Option<String>,
    /// Share of films that are drawn at random for an unbiased accuracy, in 0..=1.
    pub audit_share: f32,
    /// What a film can show.
    pub classes: Vec<Class>,
}

impl NewSession {
    /// A session without reference set, with the known patient rules and the usual audit share.
    pub fn new(name: String, images: PathBuf) -> Self {
        Self {
            name,
            images,
            reference: None,
            patient_rule: None,
            audit_share: AUDIT_SHARE,
            classes: Class::defaults(),
        }
    }
}

/// Indexes films and makes a session's folder; open it with [`Workspace::open`].
///
/// Decodes every film: not for the GUI thread.
///
/// # Errors
/// Fails if the name or the rule is not usable, if there is no film, if there is a session of that name, or if it
/// cannot be written.
pub fn create(
    home: &Home,
    new: &NewSession,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> anyhow::Result<Scan> {
    let folder = home.session(&new.name);
    check_name(&new.name).map_err(anyhow::Error::msg)?;
    Class::check_new(&new.classes).map_err(anyhow::Error::msg)?;
    if folder.join("session.json").exists() {
        bail!("there is a session of this name already: {}", folder.display());
    }
    let rule =
        new.patient_rule.as_deref().map_or_else(|| Ok(PatientRule::default()), PatientRule::new)?;
    let rule = rule.with_home(home.root());
    let images = absolute(&new.images)?;
    let found = scan(&images, &rule, progress)?;
    if found.films.is_empty() {
        bail!(
            "there is no film that can be read, {} files were refused: {}",
            found.refused.len(),
            images.display()
        );
    }
    let mut header = Header::new(new.name.clone(), images).with_classes(new.classes.clone());
    header.patient_rule.clone_from(&new.patient_rule);
    header.audit_share = new.audit_share;
    if let Some((images, labels)) = &new.reference {
        let reference = Reference { images: absolute(images)?, labels: absolute(labels)? };
        read_reference(&reference, &class_names(&header))?;
        header.reference = Some(reference);
    }
    save_index(&folder.join(INDEX), &found.films)?;
    Session::create(&folder, header)?;
    Ok(found)
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("this is not there or cannot be read: {}", path.display()))
}

fn class_names(header: &Header) -> Vec<String> {
    header.classes.iter().map(|class| class.name.clone()).collect()
}

/// Tells a file and its contents apart from others without reading it.
fn file_key(path: &Path) -> String {
    let metadata = std::fs::metadata(path).ok();
    let changed = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
    format!("{} {:?} {changed:?}", path.display(), metadata.map(|metadata| metadata.len()))
}

/// Reads the labels of a reference set, as class indices.
fn read_reference(reference: &Reference, classes: &[String]) -> anyhow::Result<ReferenceSet> {
    let mut source = Source { root: reference.images.clone(), ..Source::default() };
    let mut indices = Vec::new();
    for row in read_labels(&reference.labels)? {
        let Some(class) = classes.iter().position(|class| *class == row.label) else {
            let path = reference.labels.display();
            bail!(
                "the reference set has the label {:?}, which is no class of the session: {path}",
                row.label
            );
        };
        indices.push(class);
        source.files.push(row.file);
    }
    source.keys = source.files.iter().map(|file| file_key(&reference.images.join(file))).collect();
    Ok(ReferenceSet { source, classes: indices })
}

/// An opened session with its films.
pub struct Workspace {
    /// The log and its state.
    pub session: Session,
    /// Name of the session.
    pub name: String,
    /// Films in row order.
    pub films: Arc<Vec<FilmRecord>>,
    /// Folder that the films lie under.
    pub images: PathBuf,
    /// What the reader is to be told.
    pub warnings: Vec<String>,
    rows: BTreeMap<FilmId, usize>,
    reference: Option<ReferenceSet>,
    home: Home,
}

impl Workspace {
    /// Opens a session.
    ///
    /// # Errors
    /// Fails if it is open elsewhere, damaged, or its index cannot be read.
    pub fn open(home: &Home, name: &str) -> anyhow::Result<Self> {
        let folder = home.session(name);
        let (session, report) = Session::open(&folder)?;
        let mut warnings = Vec::new();
        let OpenReport { torn } = report;
        if let Some(torn) = torn {
            let text = "An unfinished last line was found in the log and set aside; every saved label is there";
            warnings.push(format!("{text}: {}", torn.display()));
        }
        let films = load_index(&folder.join(INDEX))?;
        let rows = films.iter().enumerate().map(|(row, film)| (film.id, row)).collect();
        let images = session.header().images.clone();
        let shipped = home.demo_films().filter(|_| name == DEMO);
        // A demo session outlives the place that the program was first started from.
        let images =
            shipped.as_ref().filter(|_| !images.is_dir()).map_or(images, |demo| demo.join("pool"));
        if !images.is_dir() {
            warnings.push(format!(
                "The folder of films is not there, films cannot be shown: {}",
                images.display()
            ));
        }
        let reference = session.header().reference.clone().and_then(|mut reference| {
            if let Some(demo) = shipped.filter(|_| !reference.images.is_dir()) {
                let images = demo.join("reference");
                reference = Reference { labels: images.join("labels.csv"), images };
            }
            read_reference(&reference, &class_names(session.header()))
                .map_err(|error| {
                    warnings.push(format!("The reference set cannot be used: {error:#}"));
                })
                .ok()
        });
        let films = Arc::new(films);
        let (name, home) = (name.to_owned(), home.clone());
        Ok(Self { session, name, films, images, warnings, rows, reference, home })
    }

    /// Opens the demo, made if new.
    ///
    /// # Errors
    /// Fails as [`Workspace::open`], or if the demo's films were not shipped.
    pub fn demo(home: &Home) -> anyhow::Result<Self> {
        if !home.session(DEMO).join("session.json").is_file() {
            let films =
                home.demo_films().context("the demo's films are not there; reinstall Penumbra")?;
            let reference = films.join("reference");
            let labels = reference.join("labels.csv");
            let new = NewSession {
                reference: Some((reference, labels)),
                patient_rule: Some(r"^(p\d+)-".to_owned()),
                ..NewSession::new(DEMO.to_owned(), films.join("pool"))
            };
            create(home, &new, &|_, _| {})?;
        }
        Self::open(home, DEMO)
    }

    /// Returns the row of a film.
    pub fn row(&self, film: FilmId) -> Option<usize> {
        self.rows.get(&film).copied()
    }

    /// Returns class names in the order of the classes' indices.
    pub fn class_names(&self) -> Vec<String> {
        class_names(self.session.header())
    }

    /// Returns what all readers together say, by the session's rule of consensus: the labels to learn from. A film on which
    /// readers disagree is left out. A film put off comes back after `return_after` others, or, for `None`, when all others
    /// are read.
    pub fn label_set(&self, return_after: Option<usize>) -> LabelSet {
        self.consensus_set(self.session.state().all(), return_after)
    }

    /// Returns what [`Self::label_set`] does, but with the films that `reader` has put off.
    pub fn label_set_for(&self, reader: &str, return_after: Option<usize>) -> LabelSet {
        self.consensus_set(self.session.state().of(reader), return_after)
    }

    fn consensus_set(&self, view: View<'_>, return_after: Option<usize>) -> LabelSet {
        let state = self.session.state();
        let rule = state.rule();
        let mut labels = LabelSet { version: self.session.entered(), ..LabelSet::default() };
        for (film, _) in state.in_order() {
            match state.consensus(film, rule) {
                Verdict::Answer(answer) => self.put(&mut labels, film, answer),
                Verdict::Disputed | Verdict::Unread => labels.excluded.extend(self.row(film)),
            }
        }
        self.put_off(&mut labels, view, return_after);
        labels
    }

    /// Most labels that background learning had seen, whether or not its model was taken into use: going back to an earlier
    /// model starts no learning.
    pub fn learnt_labels(&self) -> usize {
        let of_event = |event: &Event| match event {
            Event::ModelSwap { labels, .. } => Some(*labels),
            _ => None,
        };
        self.session.entries().iter().filter_map(|entry| of_event(&entry.event)).max().unwrap_or(0)
    }

    /// Returns the films that were drawn for `reader` at random so far, or for a second reading, as they were queued then;
    /// those taken back are among them.
    pub fn drawn(&self, reader: &str) -> Vec<QueuedFilm> {
        let queued = |film: FilmId, source: &session::Source| {
            let source = QueuedSource::drawn(source)?;
            Some(QueuedFilm { row: self.row(film)?, source, reason: None })
        };
        let drawn = |event: &Event| match event {
            Event::Label { film, source, .. } | Event::Skip { film, source: Some(source) } => {
                queued(*film, source)
            }
            _ => None,
        };
        let mine = self.session.entries().iter().filter(|entry| entry.reader == reader);
        mine.filter_map(|entry| drawn(&entry.event)).collect()
    }

    /// Returns the films as an export needs them.
    pub fn export_films(&self) -> BTreeMap<FilmId, ExportFilm> {
        let film = |record: &FilmRecord| {
            let file = self.images.join(&record.file);
            (
                record.id,
                ExportFilm {
                    file,
                    relative: record.file.clone(),
                    patient: record.patient.clone(),
                    width: record.width,
                    height: record.height,
                },
            )
        };
        self.films.iter().map(film).collect()
    }

    /// Returns the name of the pretrained model that the session has been read with, if it is still there: the one in use or
    /// the parent of that, else the one that ranked the film labelled last; the shipped one at first.
    pub fn base_model(&self) -> String {
        let pretrained = |name: &str| {
            let card = load_card(&self.home.model(name)).ok()?;
            match card.kind {
                Kind::Pretrained => Some(name.to_owned()),
                Kind::Classifier => {
                    card.parent.filter(|parent| load_card(&self.home.model(parent)).is_ok())
                }
            }
        };
        let in_use = self.session.state().model().and_then(pretrained);
        let ranked = || self.session.ranked_by().and_then(pretrained);
        in_use.or_else(ranked).unwrap_or_else(|| DEMO.to_owned())
    }

    /// Returns the films that are to be labelled, in row order.
    pub fn pool(&self) -> Source {
        Source {
            root: self.images.clone(),
            files: self.films.iter().map(|film| film.file.clone()).collect(),
            keys: self.films.iter().map(|film| film.id.to_string()).collect(),
            ids: self.films.iter().map(|film| film.id).collect(),
            patients: self.films.iter().map(|film| film.patient.clone()).collect(),
        }
    }

    /// Returns the films to measure on, if the session has any.
    pub fn reference(&self) -> Option<&ReferenceSet> {
        self.reference.as_ref()
    }

    /// Returns the folders that the session lies in.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns the strategy that the session ranks by.
    pub fn strategy(&self) -> Strategy {
        let named = self.session.state().strategy().and_then(|name| name.parse().ok());
        named.unwrap_or(Strategy::TypiclustMargin)
    }
}
