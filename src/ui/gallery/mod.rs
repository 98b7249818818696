//! The Films view: all films, small, as a grid on black that the keyboard moves through.
//!
//! Names of files are not shown beside films without an answer: they often give the class away.

pub mod filter;
mod grid;
pub mod thumbnails;

use std::collections::BTreeMap;
use std::sync::Arc;

use egui::{
    Align, CentralPanel, Context, Key, Layout, Margin, Panel, RichText, Slider, TextEdit,
    TextureHandle, Ui,
};

use self::filter::{Filter, Known, find};
use self::thumbnails::Thumbnails;
use super::app::reading::Reading;
use super::command::UiCommand;
use super::film_view::{Displayed, Orientation};
use super::{figures, theme};
use crate::dataset::FilmId;
use crate::engine::{Command, LabelSet, Opinions};

/// What the list of films was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Version {
    entries: u64,
    /// How often opinions have come.
    opinions: u64,
    filter: Filter,
    search: String,
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
    thumbnails: Option<Thumbnails>,
    grid: grid::Grid,
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
            thumbnails: None,
            grid: grid::Grid::default(),
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

    /// Returns how a film is drawn once it is in sight, and what its file holds if that is not what it held at import.
    pub fn seen(&self, ctx: &Context, row: usize) -> Option<(Displayed, Option<FilmId>)> {
        let thumbnail = self.thumbnails.as_ref()?.get(row)?;
        let film = thumbnail.edge as f32;
        let scale = self.edge.min(film) * ctx.pixels_per_point() / film;
        let (window, orientation) = (thumbnail.window, Orientation::default());
        let display = Displayed { window, zoom: scale, inverted: false, orientation };
        Some((display, thumbnail.changed))
    }

    /// Returns the number of small films that are kept.
    pub fn decoded(&self) -> usize {
        self.thumbnails.as_ref().map_or(0, Thumbnails::decoded)
    }

    /// Moves the selection to the next film shown, so that labelling goes on.
    pub fn go_on(&mut self) {
        self.step(1);
    }

    /// Forgets what is known of films, as when someone else reads.
    pub fn forget(&mut self) {
        self.made_from = None;
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

/// Draws the view; `keys` says whether nothing covers it. Returns the row that is to be opened.
pub fn ui(
    ui: &mut Ui,
    reading: &mut Reading,
    keys: bool,
    commands: &mut Vec<UiCommand>,
) -> Option<usize> {
    let noted: Vec<usize> = reading.noted().collect();
    let entries = reading.workspace.session.entered();
    let labels = Arc::clone(&reading.labels);
    reading.gallery.refresh(entries, &labels, noted.into_iter());
    ask_for_opinions(reading);
    let mut open = None;
    if keys && reading.gallery.keys(ui) {
        open = reading.gallery.selected();
    }
    let frame =
        theme::panel_frame(ui, Margin::symmetric(theme::SPACE[2] as i8, theme::SPACE[1] as i8));
    Panel::top("filters")
        .frame(frame)
        .show_separator_line(false)
        .show(ui, |ui| filters(ui, reading, commands));
    let frame = theme::panel_frame(ui, Margin::symmetric(theme::SPACE[2] as i8, 0));
    Panel::bottom("selected film")
        .exact_size(theme::BOTTOM_BAR)
        .frame(frame)
        .show_separator_line(false)
        .show(ui, |ui| selected_film(ui, reading));
    let black = theme::panel_frame(ui, Margin::same(theme::SPACE[1] as i8)).fill(theme::FILM);
    CentralPanel::default().frame(black).show(ui, |ui| {
        theme::on_film(ui);
        if reading.gallery.shown.is_empty() {
            nothing(ui, reading);
        } else if let Some(row) = films(ui, reading) {
            open = Some(row);
        }
    });
    open
}

impl Reading {
    /// Returns the textures of small films that are there by now; the others are decoded meanwhile.
    pub fn small_films(&mut self, ctx: &Context, rows: &[usize]) -> Vec<Option<TextureHandle>> {
        if self.gallery.thumbnails.is_none() {
            let workspace = &self.workspace;
            self.gallery.thumbnails =
                Thumbnails::new(ctx, &workspace.films, &workspace.images).ok();
        }
        let Some(thumbnails) = &mut self.gallery.thumbnails else { return vec![None; rows.len()] };
        thumbnails.show(ctx, rows);
        rows.iter().map(|&row| thumbnails.texture(row).cloned()).collect()
    }
}

fn films(ui: &mut Ui, reading: &mut Reading) -> Option<usize> {
    if reading.gallery.thumbnails.is_none() {
        let workspace = &reading.workspace;
        match Thumbnails::new(ui.ctx(), &workspace.films, &workspace.images) {
            Ok(thumbnails) => reading.gallery.thumbnails = Some(thumbnails),
            Err(error) => {
                ui.weak(format!("Films cannot be drawn small: {error}"));
                return None;
            }
        }
    }
    let classes = reading.classes().to_vec();
    let Gallery { thumbnails, grid, shown, known, selected, edge, .. } = &mut reading.gallery;
    let thumbnails = thumbnails.as_mut()?;
    let action = grid.ui(
        ui,
        &grid::Films { shown, known, classes: &classes, edge: *edge },
        *selected,
        thumbnails,
    );
    if let Some(row) = action.select {
        *selected = row;
    }
    action.open
}

/// Asks for the model's opinions when a filter goes by them and labels have changed since.
fn ask_for_opinions(reading: &mut Reading) {
    let version = reading.labels.version;
    let gallery = &mut reading.gallery;
    if gallery.filter.is_opinion()
        && gallery.asked != Some(version)
        && let Some(engine) = &reading.engine
    {
        gallery.asked = Some(version);
        engine.send(Command::Review);
    }
}

/// Returns a filter in words.
fn words(filter: Filter, reading: &Reading) -> String {
    match filter {
        Filter::All => "All".to_owned(),
        Filter::Unread => "Unread".to_owned(),
        Filter::Labelled => "Labelled".to_owned(),
        Filter::Class(index) => reading.class_name(index),
        Filter::Uninterpretable => UiCommand::Uninterpretable.text(&[]),
        Filter::Later => UiCommand::Later.text(&[]),
        Filter::Noted => "With a note".to_owned(),
        Filter::Picked => "From the map".to_owned(),
        Filter::Disagreed => "Model disagrees".to_owned(),
        Filter::Suspected => "Perhaps wrong".to_owned(),
    }
}

fn filters(ui: &mut Ui, reading: &mut Reading, commands: &mut Vec<UiCommand>) {
    ui.horizontal_wrapped(|ui| {
        for filter in Filter::all(reading.classes().len()) {
            if filter.is_opinion() && reading.engine.is_none() {
                continue;
            }
            if filter == Filter::Picked && reading.gallery.picked.is_empty() {
                continue;
            }
            let gallery = &reading.gallery;
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
                reading.gallery.choose(filter);
            }
        }
    });
    ui.horizontal(|ui| {
        let field = |text| TextEdit::singleline(text).desired_width(theme::FIELD);
        let label = ui.label(RichText::new("Name has").weak());
        ui.add(field(&mut reading.gallery.search)).labelled_by(label.id);
        let label = ui.label(RichText::new("Go to").weak());
        let go = field(&mut reading.gallery.go_to).hint_text("number or name");
        let go = ui.add(go).labelled_by(label.id);
        if go.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
            go_to(reading);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().slider_width = theme::SLIDER;
            let [least, _, most] = theme::CELL;
            let slider = Slider::new(&mut reading.gallery.edge, least..=most).show_value(false);
            if ui.add(slider).accessible_name("Size of films").changed() {
                reading.gallery.grid.reveal();
            }
            ui.label(RichText::new("Size").weak());
            if ui.button(UiCommand::BackToQueue.text(&[])).clicked() {
                commands.push(UiCommand::BackToQueue);
            }
        });
    });
}

/// Selects the film that the field names; if the filter does not show it, all films are shown.
fn go_to(reading: &mut Reading) {
    let gallery = &mut reading.gallery;
    let Some(row) = find(&gallery.go_to, &gallery.names) else { return };
    gallery.go_to.clear();
    if !gallery.shown.contains(&row) {
        gallery.filter = Filter::All;
        gallery.search.clear();
    }
    gallery.select(row);
}

fn selected_film(ui: &mut Ui, reading: &Reading) {
    ui.horizontal_centered(|ui| {
        let gallery = &reading.gallery;
        let shown = gallery.shown.len();
        if let Some(row) = gallery.selected() {
            let total = gallery.names.len();
            let mut parts = vec![format!("Film {} of {total}", row + 1)];
            parts.extend(reading.answer_in_words(row));
            // A name may say what the film shows: only who has read it sees it.
            if gallery.known.is_answered(row)
                && let Some(film) = reading.workspace.films.get(row)
            {
                parts.push(film.file.clone());
            }
            if let Some(note) = reading.note(row) {
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

fn nothing(ui: &mut Ui, reading: &Reading) {
    ui.add_space(ui.available_height() / 3.0);
    ui.vertical_centered(|ui| {
        let gallery = &reading.gallery;
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
