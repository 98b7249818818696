//! The dots of the map: what colours films, and all of them as one mesh.

use egui::{Color32, Mesh, Pos2, Rect, vec2};

use super::{Colour, MapTab};
use crate::query::entropy;
use crate::study::analysis::{Analysis, FilmMap};
use crate::ui::reading::{Reading, Study};
use crate::ui::reply::Reply;
use crate::ui::theme;

/// Returns the colour of each film.
pub(super) fn colours(
    tab: &MapTab,
    map: &FilmMap,
    analysis: Option<&Analysis>,
    reading: &Reading,
    palette: &theme::Palette,
) -> Vec<Color32> {
    let n = map.components.len();
    let mut colours = vec![palette.behind(); n];
    let mut set = |row: usize, colour: Color32| {
        if let Some(place) = colours.get_mut(row) {
            *place = colour;
        }
    };
    let study = &reading.study;
    let names = study.classes();
    let classes = names.len();
    let held = analysis.map(|analysis| &analysis.held_out_of_fold);
    match tab.colour {
        Colour::Label => {
            let labels = study.labels();
            for (&row, &class) in labels.rows.iter().zip(&labels.classes) {
                set(row, Reply::Class(class).colour(names));
            }
            labels.excluded.iter().for_each(|&row| set(row, Reply::Uninterpretable.colour(names)));
        }
        // Cross-validated, and of labelled films only: no opinion comes before an answer.
        Colour::Prediction => {
            for (&row, p) in
                held.into_iter().flat_map(|h| h.rows.iter().zip(h.probabilities.chunks(classes)))
            {
                if study.answer_of(row).is_some() {
                    let class = crate::stats::likeliest(p);
                    set(row, Reply::Class(class).colour(names));
                }
            }
        }
        Colour::Uncertainty => {
            let most = (classes as f32).ln();
            for (&row, p) in
                held.into_iter().flat_map(|h| h.rows.iter().zip(h.probabilities.chunks(classes)))
            {
                if study.answer_of(row).is_some() {
                    set(row, theme::scale(entropy(p) / most));
                }
            }
        }
        Colour::Reader => {
            for (row, group, groups) in readers_of(study) {
                set(row, theme::group(group, groups));
            }
        }
        Colour::Group => {
            let groups = map.clusters.iter().max().map_or(1, |most| most + 1);
            map.clusters.iter().enumerate().for_each(|(row, &g)| set(row, theme::group(g, groups)));
        }
    }
    for &row in &tab.picked {
        set(row, palette.text);
    }
    colours
}

/// Films that have been read, with the place of their reader among all, after whom comes who stands for several, and their
/// number. Who read a film says nothing of what was answered.
fn readers_of(study: &Study) -> impl Iterator<Item = (usize, usize, usize)> {
    let state = study.state();
    let readers = state.readers();
    study.films().iter().enumerate().filter_map(move |(row, film)| {
        let mut of_film = state.labels(film.id).map(|(reader, _)| reader);
        let first = of_film.next()?;
        let several = of_film.any(|other| other != first);
        let place = readers.iter().position(|reader| reader == first)?;
        Some((row, if several { readers.len() } else { place }, readers.len() + 1))
    })
}

/// All films as one mesh of squares, those that have a colour of their own on top of those `behind`.
pub(super) fn mesh(
    places: &[Pos2],
    colours: &[Color32],
    behind: Color32,
    on_screen: impl Fn(Pos2) -> Pos2,
) -> Mesh {
    let mut mesh = Mesh::default();
    mesh.reserve_vertices(4 * places.len());
    mesh.reserve_triangles(2 * places.len());
    for plain in [true, false] {
        for (&place, &colour) in places.iter().zip(colours) {
            if (colour == behind) == plain {
                let side = if plain { theme::MAP_DOT[0] } else { theme::MAP_DOT[1] };
                mesh.add_colored_rect(
                    Rect::from_center_size(on_screen(place), vec2(side, side)),
                    colour,
                );
            }
        }
    }
    mesh
}
