//! The map of the films: those that the model finds alike lie together. What it holds of a film colours only films that
//! have an answer.

mod dots;

use std::sync::Arc;

use egui::{Color32, Pos2, Rect, RichText, Sense, Shape, Stroke, TextureHandle, Ui, pos2, vec2};

use self::dots::{colours, mesh};
use super::Desk;
use super::plot::save_menu;
use super::saving::{Drawn, SavedAs};
use crate::chart::{Axis, Chart, Point, Series, Tint};
use crate::study::analysis::FilmMap;
use crate::ui::reading::{Reading, Study};
use crate::ui::reply::{Reply, class_name};
use crate::ui::request::Request;
use crate::ui::small_films::SmallFilms;
use crate::ui::{figures, theme};

/// What places films.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Layout {
    #[default]
    Components,
    Neighbours,
}

/// What colours them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Colour {
    #[default]
    Label,
    Prediction,
    Uncertainty,
    Reader,
    Group,
}

impl Colour {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Label, "Label"),
        (Self::Prediction, "Model, cross-validated"),
        (Self::Uncertainty, "Uncertainty"),
        (Self::Reader, "Reader"),
        (Self::Group, "Group"),
    ];
}

/// The map, and what is marked on it.
#[derive(Default)]
pub struct MapTab {
    map: Option<Arc<FilmMap>>,
    layout: Layout,
    colour: Colour,
    /// The line that is being drawn, in points of the plane.
    lasso: Vec<Pos2>,
    /// Rows that the last line went around.
    picked: Vec<usize>,
}

impl MapTab {
    /// Takes the map in; the neighbour embedding is shown once it is there.
    pub fn take(&mut self, map: Arc<FilmMap>) {
        let first = self.map.as_ref().is_none_or(|before| before.neighbours.is_none());
        if map.neighbours.is_some() && first {
            self.layout = Layout::Neighbours;
        }
        self.map = Some(map);
    }

    /// Returns where the films lie, in points of a plane that all of them fill, 0 to 1 either way.
    fn places(&self) -> Option<Vec<Pos2>> {
        let map = self.map.as_ref()?;
        let places = match (self.layout, &map.neighbours) {
            (Layout::Neighbours, Some(places)) => places,
            _ => &map.components,
        };
        Some(normalised(places))
    }
}

/// Fits places into the unit square, keeping their proportions.
fn normalised(places: &[[f32; 2]]) -> Vec<Pos2> {
    let ends = |axis: usize| {
        let values = places.iter().map(|place| place[axis]).filter(|value| value.is_finite());
        values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let ((left, right), (low, high)) = (ends(0), ends(1));
    let span = (right - left).max(high - low).max(f32::MIN_POSITIVE);
    let centre = [f32::midpoint(left, right), f32::midpoint(low, high)];
    let at = |value: f32, axis: usize| {
        let placed = 0.5 + (value - centre[axis]) / span;
        if placed.is_finite() { placed } else { 0.5 }
    };
    places.iter().map(|place| pos2(at(place[0], 0), 1.0 - at(place[1], 1))).collect()
}

/// Returns whether a place lies within a closed line: a ray from it crosses the line an odd number of times.
fn within(line: &[Pos2], place: Pos2) -> bool {
    let mut inside = false;
    for (one, other) in line.iter().zip(line.iter().cycle().skip(1)) {
        if (one.y > place.y) != (other.y > place.y) {
            let x = one.x + (place.y - one.y) / (other.y - one.y) * (other.x - one.x);
            if place.x < x {
                inside = !inside;
            }
        }
    }
    inside
}

/// Draws the tab.
pub fn ui(
    ui: &mut Ui,
    desk: &mut Desk,
    reading: &Reading,
    small: &mut SmallFilms,
    requests: &mut Vec<Request>,
) {
    let Some(map) = desk.map.map.clone() else {
        super::waiting(ui, reading);
        return;
    };
    choices(ui, &mut desk.map, &map, reading);
    legend(ui, &desk.map, &map, reading);
    let save = picked(ui, &mut desk.map, reading, requests);
    let Some(places) = desk.map.places() else { return };
    let note = 1.5 * ui.spacing().interact_size.y;
    let size = ui.available_size() - vec2(0.0, note);
    let (area, response) =
        ui.allocate_exact_size(size.max(vec2(100.0, 100.0)), Sense::click_and_drag());
    let label = format!("Map of {}", figures::count(places.len(), "film"));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &label));
    let side = area.width().min(area.height()) - theme::SPACE[3];
    let plane = Rect::from_center_size(area.center(), vec2(side, side));
    let on_screen = |place: Pos2| plane.min + place.to_vec2() * side;
    let colours = colours(&desk.map, &map, desk.analysis.as_deref(), reading, theme::palette(ui));
    let behind = theme::palette(ui).behind();
    ui.painter().add(Shape::mesh(mesh(&places, &colours, behind, on_screen)));
    if let Some(format) = save {
        let chart = chart(&desk.map, &map, &places, reading);
        desk.saving.ask(ui.ctx(), Drawn::Chart(chart), format, area);
    }
    lasso(ui, &mut desk.map, &places, &response, (plane, side));
    let hovered = response.hover_pos().filter(|_| !response.dragged());
    if let Some(row) = hovered.and_then(|pointer| nearest(&places, pointer, on_screen)) {
        hover(ui, &map, row, (reading, small), &places, on_screen);
        if response.double_clicked() {
            requests.push(Request::ShowInFilms(row));
        }
    }
    super::plot::note(ui, &note_of(&desk.map, &map));
}

fn note_of(tab: &MapTab, map: &FilmMap) -> String {
    let n = map.components.len();
    let layout = match (tab.layout, map.neighbours.is_some()) {
        (Layout::Neighbours, true) => {
            "UMAP of 15 neighbours: distances between groups mean little".to_owned()
        }
        _ => format!(
            "First two principal components, {:.0} % of the variance",
            100.0 * map.explained
        ),
    };
    format!(
        "{n} films by the features of {}. {layout}. Drag around films to pick them; point at one to see it. What the model \
         holds is shown of films with an answer only.",
        map.model
    )
}

fn choices(ui: &mut Ui, tab: &mut MapTab, map: &FilmMap, reading: &Reading) {
    let readers = reading.study.state().readers().len();
    ui.horizontal_wrapped(|ui| {
        ui.selectable_value(&mut tab.layout, Layout::Components, "Principal components");
        let ready = map.neighbours.is_some();
        ui.add_enabled_ui(ready, |ui| {
            ui.selectable_value(&mut tab.layout, Layout::Neighbours, "Neighbours");
        });
        if !ready {
            ui.weak("placing films by their neighbours…");
        }
        ui.separator();
        ui.label(RichText::new("Colour").weak());
        for (colour, name) in Colour::ALL {
            // One reader's films are those with an answer.
            if colour == Colour::Reader && readers < 2 {
                continue;
            }
            ui.selectable_value(&mut tab.colour, colour, name);
        }
    });
}

/// Says what the colours mean: no colour stands alone.
fn legend(ui: &mut Ui, tab: &MapTab, map: &FilmMap, reading: &Reading) {
    let key = |ui: &mut Ui, colour: Color32, words: &str| {
        let (rect, _) =
            ui.allocate_exact_size(vec2(theme::SPACE[1], theme::SPACE[1]), Sense::hover());
        ui.painter().rect_filled(rect, 0.0, colour);
        ui.label(RichText::new(words).small().weak());
    };
    ui.horizontal_wrapped(|ui| {
        match tab.colour {
            Colour::Label | Colour::Prediction => {
                let classes = reading.classes();
                for index in 0..classes.len() {
                    key(ui, Reply::Class(index).colour(classes), &class_name(classes, index));
                }
            }
            Colour::Uncertainty => {
                for (share, words) in [(0.0, "Sure"), (0.5, "In between"), (1.0, "Even chances")] {
                    key(ui, theme::scale(share), words);
                }
            }
            Colour::Reader => {
                let readers = reading.study.state().readers();
                for (index, name) in readers.iter().enumerate() {
                    key(ui, theme::group(index, readers.len() + 1), name);
                }
                key(ui, theme::group(readers.len(), readers.len() + 1), "Several");
            }
            Colour::Group => {
                let groups = map.clusters.iter().max().map_or(1, |most| most + 1);
                for group in 0..groups {
                    let n = map.clusters.iter().filter(|&&of| of == group).count();
                    key(ui, theme::group(group, groups), &format!("{} ({n})", group + 1));
                }
                return;
            }
        }
        key(ui, theme::palette(ui).behind(), "No answer");
        key(ui, theme::palette(ui).text, "Picked");
    });
}

/// What can be done with the films that the line went around.
fn picked(
    ui: &mut Ui,
    tab: &mut MapTab,
    reading: &Reading,
    requests: &mut Vec<Request>,
) -> Option<SavedAs> {
    ui.horizontal(|ui| {
        let n = tab.picked.len();
        let study = &reading.study;
        let unread: Vec<usize> =
            tab.picked.iter().copied().filter(|&row| study.answer_of(row).is_none()).collect();
        ui.add_enabled_ui(n > 0, |ui| {
            if ui.button("Show in Films").clicked() {
                requests.push(Request::Pick(tab.picked.clone()));
            }
        });
        ui.add_enabled_ui(!unread.is_empty(), |ui| {
            let button = ui.button("Read next").on_hover_text(
                "Puts those without an answer in front of the queue; they count as chosen by you, not as drawn",
            );
            if button.clicked() {
                requests.push(Request::ReadNext(unread.clone()));
                tab.picked.clear();
            }
        });
        ui.weak(if n == 0 {
            "Drag around films to pick them".to_owned()
        } else {
            format!("{} picked, {} without an answer", figures::count(n, "film"), unread.len())
        });
        save_menu(ui, "map")
    })
    .inner
}

/// The map as a chart, films by their answer.
fn chart(tab: &MapTab, map: &FilmMap, places: &[Pos2], reading: &Reading) -> Chart {
    const TINTS: [Tint; 5] = [Tint::Blue, Tint::Orange, Tint::Pink, Tint::Green, Tint::Red];
    let point = |row: usize| Point::new(f64::from(places[row].x), 1.0 - f64::from(places[row].y));
    let known: Vec<usize> =
        reading.study.labels().rows.iter().copied().filter(|&row| row < places.len()).collect();
    let others = (0..places.len()).filter(|row| !known.contains(row)).map(point).collect();
    let series = |name: String, tint: Tint, points: Vec<Point>| Series {
        n: points.len(),
        name,
        tint,
        shape: crate::chart::Shape::Dots,
        points,
    };
    let mut all = vec![series("Without a class".to_owned(), Tint::Grey, others)];
    for index in 0..reading.classes().len() {
        let labels = reading.study.labels().rows.iter().zip(&reading.study.labels().classes);
        let rows = labels.filter(|&(&row, &class)| class == index && row < places.len());
        let points = rows.map(|(&row, _)| point(row)).collect();
        all.push(series(class_name(reading.classes(), index), TINTS[index % TINTS.len()], points));
    }
    Chart {
        title: "Map of the films".to_owned(),
        x: Axis::new("", 0.0, 1.0),
        y: Axis::new("", 0.0, 1.0),
        series: all,
        note: note_of(tab, map),
    }
}

/// Returns the film that the pointer is at.
fn nearest(places: &[Pos2], pointer: Pos2, on_screen: impl Fn(Pos2) -> Pos2) -> Option<usize> {
    let distance = |place: &Pos2| on_screen(*place).distance_sq(pointer);
    let (row, place) =
        places.iter().enumerate().min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)))?;
    (distance(place) < theme::SPACE[1].powi(2)).then_some(row)
}

fn lasso(
    ui: &Ui,
    tab: &mut MapTab,
    places: &[Pos2],
    response: &egui::Response,
    (plane, side): (Rect, f32),
) {
    if response.drag_started() {
        let origin = ui.input(|input| input.pointer.press_origin());
        tab.lasso =
            origin.map(|origin| ((origin - plane.min) / side).to_pos2()).into_iter().collect();
    }
    if response.dragged()
        && let Some(pointer) = response.interact_pointer_pos()
    {
        let place = ((pointer - plane.min) / side).to_pos2();
        if tab.lasso.last().is_none_or(|last| last.distance(place) * side > 2.0) {
            tab.lasso.push(place);
        }
        let line: Vec<Pos2> = tab.lasso.iter().map(|p| plane.min + p.to_vec2() * side).collect();
        let stroke = Stroke::new(theme::CURVE, theme::palette(ui).accent);
        ui.painter().add(Shape::closed_line(line, stroke));
    }
    if response.drag_stopped() {
        let line = std::mem::take(&mut tab.lasso);
        tab.picked = (0..places.len()).filter(|&row| within(&line, places[row])).collect();
    } else if response.clicked() {
        tab.picked.clear();
    }
}

/// Shows the film under the pointer and, once it has an answer, the labelled films that are most like it.
fn hover(
    ui: &Ui,
    map: &FilmMap,
    row: usize,
    (reading, small): (&Reading, &mut SmallFilms),
    places: &[Pos2],
    on_screen: impl Fn(Pos2) -> Pos2,
) {
    let study = &reading.study;
    // What is most alike would be a prediction of a film that nobody has read.
    let read = study.answer_of(row).is_some();
    let near = if read { map.nearest(row, &study.labels().rows, 3) } else { Vec::new() };
    let stroke = Stroke::new(1.0, theme::palette(ui).text);
    for (other, _) in &near {
        ui.painter().line_segment([on_screen(places[row]), on_screen(places[*other])], stroke);
    }
    let rows: Vec<usize> =
        std::iter::once(row).chain(near.iter().map(|(other, _)| *other)).collect();
    let textures = textures(ui, study, small, &rows);
    egui::Tooltip::always_open(
        ui.ctx().clone(),
        ui.layer_id(),
        egui::Id::unique("film on the map"),
        egui::PopupAnchor::Pointer,
    )
    .gap(theme::SPACE[2])
    .show(|ui| {
        ui.set_max_width(theme::CELL[2]);
        let words = study.answer_in_words(row);
        let answer = words.first().cloned().unwrap_or_else(|| "no answer yet".to_owned());
        ui.label(format!("Film {} · {answer}", row + 1));
        picture(ui, textures.first().and_then(Option::as_ref), theme::CELL[1]);
        if near.is_empty() {
            return;
        }
        ui.label(RichText::new("Most alike with an answer").small().weak());
        ui.horizontal(|ui| {
            for ((other, cosine), texture) in near.iter().zip(textures.iter().skip(1)) {
                ui.vertical(|ui| {
                    picture(ui, texture.as_ref(), theme::CELL[0]);
                    let words = study.answer_in_words(*other);
                    let answer = words.first().cloned().unwrap_or_default();
                    ui.label(RichText::new(answer).small());
                    ui.label(RichText::new(format!("cosine {cosine:.2}")).small().weak());
                });
            }
        });
    });
}

/// Returns the small films that are there by now; the others are decoded meanwhile.
fn textures(
    ui: &Ui,
    study: &Study,
    small: &mut SmallFilms,
    rows: &[usize],
) -> Vec<Option<TextureHandle>> {
    // Without threads for them there are none, as the Films view says.
    let Ok(thumbnails) = small.open(ui.ctx(), study) else { return vec![None; rows.len()] };
    thumbnails.show(ui.ctx(), rows);
    rows.iter().map(|&row| thumbnails.texture(row).cloned()).collect()
}

/// Draws a small film on black, or its place while it is being decoded.
fn picture(ui: &mut Ui, texture: Option<&TextureHandle>, side: f32) {
    let (rect, _) = ui.allocate_exact_size(vec2(side, side), Sense::hover());
    ui.painter().rect_filled(rect, 0.0, theme::FILM);
    if let Some(texture) = texture {
        let size = texture.size_vec2();
        let size = size * (side / size.max_elem());
        let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        let place = Rect::from_center_size(rect.center(), size);
        ui.painter().image(texture.id(), place, uv, Color32::WHITE);
    }
}

#[cfg(test)]
mod tests;
