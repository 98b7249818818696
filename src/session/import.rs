//! Labels that were given in other programs, as events of a session.
//!
//! Nothing of an answer that stands is changed: a film that has one keeps it, and is named if the file says otherwise.

mod label_studio;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

pub use self::label_studio::{LabelStudioError, parse_label_studio};
use super::event::{Answer, Event, Shown, Source, UNINTERPRETABLE};
use super::state::State;
use crate::dataset::FilmId;
use crate::dataset::labels::{LabelLine, LabelsError, read_label_lines};
use crate::fsutil::{self, FsError};

/// A label that a file gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Where it stands, as `line 3`.
    pub place: String,
    /// The film as the file names it: a path, an address.
    pub file: String,
    /// Class, or `uninterpretable`.
    pub label: String,
    /// Who gave it, where the file says so.
    pub reader: Option<String>,
}

/// The labels of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Labels in the order of the file.
    pub given: Vec<Given>,
    /// What of the file is no label though it should be one, each naming its place.
    pub problems: Vec<String>,
}

/// Why a file of labels cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It could not be read at all.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It is no labels file.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// It is no export of Label Studio.
    #[error("this is no JSON export of Label Studio: {fault}: {}", path.display())]
    LabelStudio {
        /// What is wrong with it.
        fault: LabelStudioError,
        /// The file.
        path: PathBuf,
    },
}

/// Reads labels from a file: the JSON export of Label Studio if its name ends in `.json`, else a labels file.
///
/// # Errors
/// [`ImportError`] names the file and what is wrong with it.
pub fn read_labels_of(path: &Path) -> Result<Labels, ImportError> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        let bytes = fsutil::read(path)?;
        let fault = |fault| ImportError::LabelStudio { fault, path: path.to_owned() };
        return parse_label_studio(&bytes).map_err(fault);
    }
    let given = |LabelLine { line, row, reader }| Given {
        place: format!("line {line}"),
        file: row.file,
        label: row.label,
        reader,
    };
    let given = read_label_lines(path)?.into_iter().map(given).collect();
    Ok(Labels { given, problems: Vec::new() })
}

/// What becomes of the labels of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Labels to be entered, each with its reader.
    pub events: Vec<(String, Event)>,
    /// Labels of films that have that answer already, from before or from an earlier line.
    pub known: usize,
    /// What cannot be entered, each naming its place in the file, the film and why.
    pub problems: Vec<String>,
}

/// Says what becomes of labels in a session whose films are `films`, by their files; labels that name no reader are
/// `reader`'s, and `name` is the file that they come from.
pub fn plan(
    labels: &Labels,
    films: &[(&str, FilmId)],
    state: &State,
    reader: &str,
    name: &str,
) -> Plan {
    let names = Names::new(films);
    let mut plan = Plan { problems: labels.problems.clone(), ..Plan::default() };
    let mut entered = BTreeMap::<FilmId, (&str, Answer)>::new();
    for Given { place, file, label, reader: by } in &labels.given {
        let mut problem = |why: String| plan.problems.push(format!("{place}: {why}: {file}"));
        let film = match names.find(file) {
            Ok(film) => film,
            Err(why) => {
                problem(why);
                continue;
            }
        };
        let Some(answer) = answer(label, state.classes()) else {
            let classes = state.classes().join(", ");
            problem(format!("the session has no class {label:?}; it has {classes}"));
            continue;
        };
        if let Some(standing) = state.label(film) {
            if standing.answer == answer {
                plan.known += 1;
            } else {
                problem(format!(
                    "it says {label:?}, and the film has the answer {:?} of {}, which stays",
                    standing.answer.to_string(),
                    standing.reader
                ));
            }
            continue;
        }
        match entered.entry(film) {
            Entry::Occupied(earlier) if earlier.get().1 == answer => plan.known += 1,
            Entry::Occupied(earlier) => {
                let (place, answer) = earlier.get();
                problem(format!("it says {label:?}, and {place} says {:?}", answer.to_string()));
            }
            Entry::Vacant(free) => {
                free.insert((place, answer.clone()));
                let source = Source::Import { file: name.to_owned() };
                let event = Event::Label { film, answer, ms: 0, source, shown: Shown::NOTHING };
                plan.events.push((by.as_deref().unwrap_or(reader).to_owned(), event));
            }
        }
    }
    plan
}

/// Finds the answer that a word means; case does not matter.
fn answer(label: &str, classes: &[String]) -> Option<Answer> {
    let label = label.trim().to_lowercase();
    if label == UNINTERPRETABLE {
        return Some(Answer::Uninterpretable);
    }
    classes.iter().find(|class| class.to_lowercase() == label).cloned().map(Answer::Class)
}

/// The session's films by what files of labels may call them.
struct Names<'a> {
    files: BTreeMap<&'a str, FilmId>,
    /// Whole paths by their last part.
    last: BTreeMap<&'a str, Vec<&'a str>>,
}

/// Hexadecimal digits that Label Studio puts before the name of an uploaded file, with a hyphen.
const UPLOAD_PREFIX: usize = 8;

impl<'a> Names<'a> {
    fn new(films: &[(&'a str, FilmId)]) -> Self {
        let mut last = BTreeMap::<_, Vec<_>>::new();
        for (file, _) in films {
            last.entry(last_part(file)).or_default().push(*file);
        }
        Self { files: films.iter().copied().collect(), last }
    }

    /// Finds the film whose path is `file`, or ends in it, or is its end; a file that Label Studio took up lost its folder
    /// and is found by its name.
    fn find(&self, file: &str) -> Result<FilmId, String> {
        if let Some(film) = self.files.get(file) {
            return Ok(*film);
        }
        let ends = |long: &str, short: &str| {
            long.strip_suffix(short).is_some_and(|rest| rest.ends_with('/'))
        };
        let name = last_part(file);
        let of = |name: &str| self.last.get(name).map(Vec::as_slice).unwrap_or_default();
        let fits = |path: &&&str| ends(path, file) || ends(file, path);
        let mut found: Vec<&str> = of(name).iter().filter(fits).copied().collect();
        if found.is_empty() && file.contains("/upload/") {
            let uploaded = name.split_once('-').filter(|(prefix, _)| {
                prefix.len() == UPLOAD_PREFIX && prefix.bytes().all(|c| c.is_ascii_hexdigit())
            });
            found = of(uploaded.map_or(name, |(_, name)| name)).to_vec();
        }
        match found[..] {
            [file] => self.files.get(file).copied().ok_or_else(String::new),
            [] => Err("the session has no such film".to_owned()),
            _ => Err(format!(
                "this can be {} films of the session: {}",
                found.len(),
                found.join(", ")
            )),
        }
    }
}

fn last_part(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}
