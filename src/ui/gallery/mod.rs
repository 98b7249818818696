//! The Films view: all films, small, as a grid on black that the keyboard moves through.
//!
//! Names of files are not shown beside films without an answer: they often give the class away.

pub mod filter;
mod grid;

use std::collections::BTreeMap;
use std::sync::Arc;

use egui::{
    Align, CentralPanel, Context, Key, Layout, Margin, Panel, RichText, Slider, TextEdit, Ui,
};

use self::filter::{Filter, Known, find};
use super::command::UiCommand;
use super::film_view::{Displayed, Orientation};
use super::reading::Reading;
use super::reply::class_name;
use super::request::Request;
use super::small_films::SmallFilms;
use super::{figures, theme};
use crate::dataset::FilmId;
use crate::engine::Opinions;
use crate::study::LabelSet;

/// What the list of films was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Version {
    entries: u64,
    /// How often opinions have come.
    opinions: u64,
    filter: Filter,
    search: String,
}

/// A film as it was drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    /// Its row.
    pub row: usize,
    /// How it was displayed.
    pub display: Displayed,
    /// What its file holds if that is not what it held at import.
    pub changed: Option<FilmId>,
}

/// The grid of films and where the reader is in it.
pub struct Gallery {
    /// Which films are shown.
    filter: Filter,
    /// Part of a file's name that films must have to be shown.
    search: String,
    go_to: String,
    /// Side of a film, in points.
    edge: f32,
    /// Row of the film that keys are about.
    selected: usize,
    /// Rows that are shown, in order.
    shown: Vec<usize>,
    counts: BTreeMap<Filter, usize>,
    known: Known,
    made_from: Option<Version>,
    opinions: Option<Arc<Opinions>>,
    opinions_taken: u64,
    /// Rows picked on the map.
    picked: Vec<usize>,
    /// Version of the labels that opinions were last asked for.
    asked: Option<u64>,
    /// Lower-case names of files.
    names: Vec<String>,
    grid: grid::Grid,
    /// The selected film as the last pass drew it.
    drawn: Option<Drawn>,
}

impl Gallery {
    /// Starts with all films.
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        Self {
            filter: Filter::All,
            search: String::new(),
            go_to: String::new(),
            edge: theme::CELL[1],
            selected: 0,
            shown: Vec::new(),
            counts: BTreeMap::new(),
            known: Known::default(),
            made_from: None,
            opinions: None,
            opinions_taken: 0,
            picked: Vec::new(),
            asked: None,
            names: names.map(|name| name.to_lowercase()).collect(),
            grid: grid::Grid::default(),
            drawn: None,
        }
    }

    /// Returns the film that keys are about, if it is among those shown.
    pub fn selected(&self) -> Option<usize> {
        self.shown.contains(&self.selected).then_some(self.selected)
    }

    /// Returns the rows that are shown, in order.
    pub fn shown(&self) -> &[usize] {
        &self.shown
    }

    /// Selects a film and scrolls to it.
    pub fn select(&mut self, row: usize) {
        self.selected = row;
        self.grid.reveal();
    }

    /// Shows the films that a filter lets through.
    pub fn choose(&mut self, filter: Filter) {
        self.filter = filter;
        self.grid.reveal();
    }

    /// Shows films that were picked on the map.
    pub fn pick(&mut self, rows: Vec<usize>) {
        self.picked = rows;
        self.made_from = None;
        self.choose(Filter::Picked);
    }

    /// Has opinions asked for again, as of a new model.
    pub fn ask_again(&mut self) {
        self.asked = None;
    }

    /// Takes in what the model holds of labelled films.
    pub fn take_opinions(&mut self, opinions: Arc<Opinions>) {
        self.opinions = Some(opinions);
        self.opinions_taken += 1;
    }

    /// Returns the selected film as the last pass drew it, if it was in sight.
    pub const fn drawn(&self) -> Option<Drawn> {
        self.drawn
    }

    /// Notes that a pass has drawn the view; returns the row that the reader looks at.
    pub fn looked_at(&mut self, ctx: &Context, small: &SmallFilms) -> Option<usize> {
        self.drawn = self.selected().and_then(|row| {
            let thumbnail = small.get(row)?;
            let film = thumbnail.edge as f32;
            let zoom = self.edge.min(film) * ctx.pixels_per_point() / film;
            let (window, orientation) = (thumbnail.window, Orientation::default());
            let display = Displayed { window, zoom, inverted: false, orientation };
            Some(Drawn { row, display, changed: thumbnail.changed })
        });
        self.drawn.map(|drawn| drawn.row)
    }

    /// Moves the selection to the next film shown, so that labelling goes on.
    pub fn go_on(&mut self) {
        self.step(1);
    }

    /// Forgets what is known of films, as when someone else reads.
    pub fn forget(&mut self) {
        (self.made_from, self.drawn) = (None, None);
        self.filter = Filter::default();
        self.search.clear();
    }

    /// Brings the list of films up to date; the selection stays at its place when its film no longer passes.
    fn refresh(&mut self, entries: u64, labels: &LabelSet, noted: impl Iterator<Item = usize>) {
        let version = Version {
            entries,
            opinions: self.opinions_taken,
            filter: self.filter,
            search: self.search.to_lowercase(),
        };
        if self.made_from.as_ref() == Some(&version) {
            return;
        }
        let place = self.shown.iter().position(|&row| row == self.selected);
        let same_list = self.made_from.as_ref().is_some_and(|before| {
            (before.filter, &before.search) == (version.filter, &version.search)
        });
        self.known = Known::new(self.names.len(), labels, noted);
        self.known.picked.clone_from(&self.picked);
        let opinions = self.opinions.as_deref();
        let classes = labels.classes.iter().max().map_or(0, |most| most + 1);
        self.counts = Filter::all(classes)
            .into_iter()
            .map(|filter| (filter, filter.rows(&self.known, opinions).len()))
            .collect();
        self.shown = self.filter.rows(&self.known, opinions);
        let search = version.search.trim();
        if !search.is_empty() {
            self.shown.retain(|&row| self.names[row].contains(search));
        }
        if !self.shown.contains(&self.selected) {
            let place = place.filter(|_| same_list).unwrap_or(0);
            let next = self.shown.get(place).or(self.shown.last());
            self.selected = next.copied().unwrap_or(self.selected);
        }
        if !same_list {
            self.grid.reveal();
        }
        self.made_from = Some(version);
    }

    fn step(&mut self, by: isize) {
        let Some(last) = self.shown.len().checked_sub(1) else { return };
        let place = self.shown.iter().position(|&row| row == self.selected).unwrap_or(0);
        let place = place.saturating_add_signed(by).min(last);
        self.select(self.shown[place]);
    }

    fn keys(&mut self, ui: &Ui) -> bool {
        if ui.ctx().text_edit_focused() {
            return false;
        }
        let (columns, page) = (self.grid.columns() as isize, self.grid.page() as isize);
        let far = isize::MAX / 2;
        let moves = [
            (Key::ArrowLeft, -1),
            (Key::ArrowRight, 1),
            (Key::ArrowUp, -columns),
            (Key::ArrowDown, columns),
            (Key::PageUp, -page),
            (Key::PageDown, page),
            (Key::Home, -far),
            (Key::End, far),
        ];
        for (key, by) in moves {
            // Held keys go on.
            for _ in 0..ui.input(|input| input.num_presses(key)) {
                self.step(by);
            }
        }
        ui.input(|input| input.key_pressed(Key::Enter))
    }
}

impl Gallery {
    /// Draws the view; `keys` says whether nothing covers it.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        keys: bool,
        reading: &Reading,
        small: &mut SmallFilms,
        requests: &mut Vec<Request>,
    ) {
        let study = &reading.study;
        self.refresh(study.session().entered(), study.labels(), study.noted());
        self.ask_for_opinions(reading, requests);
        let mut open = None;
        if keys && self.keys(ui) {
            open = self.selected();
        }
        let frame =
            theme::panel_frame(ui, Margin::symmetric(theme::SPACE[2] as i8, theme::SPACE[1] as i8));
        Panel::top("filters").frame(frame).show_separator_line(false).show(ui, |ui| {
            filters(ui, self, reading);
            tools(ui, self, requests);
        });
        let frame = theme::panel_frame(ui, Margin::symmetric(theme::SPACE[2] as i8, 0));
        Panel::bottom("selected film")
            .exact_size(theme::BOTTOM_BAR)
            .frame(frame)
            .show_separator_line(false)
            .show(ui, |ui| selected_film(ui, self, reading));
        let black = theme::panel_frame(ui, Margin::same(theme::SPACE[1] as i8)).fill(theme::FILM);
        CentralPanel::default().frame(black).show(ui, |ui| {
            theme::on_film(ui);
            if self.shown.is_empty() {
                nothing(ui, self);
            } else if let Some(row) = self.films(ui, reading, small) {
                open = Some(row);
            }
        });
        requests.extend(open.map(Request::Open));
    }

    /// Draws the films; returns the row that is to be opened.
    fn films(&mut self, ui: &mut Ui, reading: &Reading, small: &mut SmallFilms) -> Option<usize> {
        let thumbnails = match small.open(ui.ctx(), &reading.study) {
            Ok(thumbnails) => thumbnails,
            Err(error) => {
                ui.weak(format!("Films cannot be drawn small: {error}"));
                return None;
            }
        };
        let Self { grid, shown, known, selected, edge, .. } = self;
        let films = grid::Films { shown, known, classes: reading.classes(), edge: *edge };
        let action = grid.ui(ui, &films, *selected, thumbnails);
        if let Some(row) = action.select {
            *selected = row;
        }
        action.open
    }

    /// Asks for the model's opinions when a filter goes by them and labels have changed since.
    fn ask_for_opinions(&mut self, reading: &Reading, requests: &mut Vec<Request>) {
        let version = Some(reading.study.labels().version);
        if self.filter.is_opinion() && self.asked != version && reading.learner.is_on() {
            self.asked = version;
            requests.push(Request::Review);
        }
    }

    /// Selects the film that the field names; if the filter does not show it, all films are shown.
    fn go_to(&mut self) {
        let Some(row) = find(&self.go_to, &self.names) else { return };
        self.go_to.clear();
        if !self.shown.contains(&row) {
            self.filter = Filter::All;
            self.search.clear();
        }
        self.select(row);
    }
}

/// Returns a filter in words.
fn words(filter: Filter, reading: &Reading) -> String {
    match filter {
        Filter::All => "All".to_owned(),
        Filter::Unread => "Unread".to_owned(),
        Filter::Labelled => "Labelled".to_owned(),
        Filter::Class(index) => class_name(reading.classes(), index),
        Filter::Uninterpretable => UiCommand::Uninterpretable.text(&[]),
        Filter::Later => UiCommand::Later.text(&[]),
        Filter::Noted => "With a note".to_owned(),
        Filter::Picked => "From the map".to_owned(),
        Filter::Disagreed => "Model disagrees".to_owned(),
        Filter::Suspected => "Perhaps wrong".to_owned(),
    }
}

fn filters(ui: &mut Ui, gallery: &mut Gallery, reading: &Reading) {
    ui.horizontal_wrapped(|ui| {
        for filter in Filter::all(reading.classes().len()) {
            if filter.is_opinion() && !reading.learner.is_on() {
                continue;
            }
            if filter == Filter::Picked && gallery.picked.is_empty() {
                continue;
            }
            let known = !filter.is_opinion() || gallery.opinions.is_some();
            let n = gallery.counts.get(&filter).copied().unwrap_or(0);
            let name = words(filter, reading);
            let text = if known { format!("{name} {n}") } else { name };
            let chip = ui.selectable_label(gallery.filter == filter, text);
            let chip = match filter {
                Filter::Disagreed => chip.on_hover_text(
                    "Labelled films of which the model, not knowing the label, holds another class more likely",
                ),
                Filter::Suspected => chip.on_hover_text(
                    "Labels that are probably wrong by confident learning, the most suspect first",
                ),
                _ => chip,
            };
            if chip.clicked() {
                gallery.choose(filter);
            }
        }
    });
}

/// Draws what the list is searched by, its size, and the way back.
fn tools(ui: &mut Ui, gallery: &mut Gallery, requests: &mut Vec<Request>) {
    ui.horizontal(|ui| {
        let field = |text| TextEdit::singleline(text).desired_width(theme::FIELD);
        let label = ui.label(RichText::new("Name has").weak());
        ui.add(field(&mut gallery.search)).labelled_by(label.id);
        let label = ui.label(RichText::new("Go to").weak());
        let go = field(&mut gallery.go_to).hint_text("number or name");
        let go = ui.add(go).labelled_by(label.id);
        if go.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
            gallery.go_to();
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().slider_width = theme::SLIDER;
            let [least, _, most] = theme::CELL;
            let slider = Slider::new(&mut gallery.edge, least..=most).show_value(false);
            if ui.add(slider).accessible_name("Size of films").changed() {
                gallery.grid.reveal();
            }
            ui.label(RichText::new("Size").weak());
            if ui.button(UiCommand::BackToQueue.text(&[])).clicked() {
                requests.push(UiCommand::BackToQueue.into());
            }
        });
    });
}

fn selected_film(ui: &mut Ui, gallery: &Gallery, reading: &Reading) {
    let study = &reading.study;
    ui.horizontal_centered(|ui| {
        let shown = gallery.shown.len();
        if let Some(row) = gallery.selected() {
            let total = gallery.names.len();
            let mut parts = vec![format!("Film {} of {total}", row + 1)];
            parts.extend(study.answer_in_words(row));
            // A name may say what the film shows: only who has read it sees it.
            if gallery.known.is_answered(row)
                && let Some(film) = study.films().get(row)
            {
                parts.push(film.file.clone());
            }
            if let Some(note) = study.note(row) {
                parts.push(format!("Note: {note}"));
            }
            let text = RichText::new(parts.join(" · ")).small();
            ui.add(egui::Label::new(text).truncate());
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let text = figures::count(shown, "film") + " shown";
            ui.label(RichText::new(text).small().weak());
        });
    });
}

fn nothing(ui: &mut Ui, gallery: &Gallery) {
    ui.add_space(ui.available_height() / 3.0);
    ui.vertical_centered(|ui| {
        let known = gallery.opinions.as_ref().is_some_and(|opinions| !opinions.rows.is_empty());
        let text = match gallery.filter {
            filter if filter.is_opinion() && gallery.opinions.is_none() => {
                "The model has not looked at the labelled films yet"
            }
            filter if filter.is_opinion() && !known => {
                "The model has an opinion from ten labels of two classes on"
            }
            Filter::Disagreed => "The model agrees with every label",
            Filter::Suspected => "No label is suspected of being wrong",
            _ if !gallery.search.trim().is_empty() => "No film has this name",
            _ => "There is no such film",
        };
        ui.label(RichText::new(text).weak());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gallery(films: usize) -> Gallery {
        Gallery::new((0..films).map(|i| format!("Film-{i}.png")))
    }

    fn labels(version: u64, rows: &[usize]) -> LabelSet {
        let classes = vec![0; rows.len()];
        LabelSet { version, rows: rows.to_vec(), classes, ..LabelSet::default() }
    }

    #[test]
    fn labelling_in_a_list_of_unread_films_leads_to_the_next_one() {
        let mut gallery = gallery(6);
        gallery.choose(Filter::Unread);
        gallery.refresh(0, &labels(0, &[]), std::iter::empty());
        gallery.select(2);
        gallery.refresh(1, &labels(1, &[2]), std::iter::empty());
        assert_eq!((gallery.selected(), gallery.shown()), (Some(3), &[0, 1, 3, 4, 5][..]));
        gallery.select(5);
        gallery.refresh(2, &labels(2, &[2, 5]), std::iter::empty());
        assert_eq!(gallery.selected(), Some(4), "after the last one, the last that is left");
        gallery.refresh(3, &labels(3, &[0, 1, 2, 3, 4, 5]), std::iter::empty());
        assert_eq!((gallery.selected(), gallery.shown().len()), (None, 0));
    }

    #[test]
    fn the_selection_stays_within_what_is_shown() {
        let mut gallery = gallery(100_000);
        gallery.refresh(0, &labels(0, &[]), std::iter::empty());
        gallery.step(-5);
        assert_eq!(gallery.selected(), Some(0));
        gallery.step(isize::MAX / 2);
        assert_eq!(gallery.selected(), Some(99_999));
        gallery.search = "FILM-777".to_owned();
        gallery.refresh(0, &labels(0, &[]), std::iter::empty());
        assert_eq!((gallery.selected(), gallery.shown().len()), (Some(777), 111));
    }
}
