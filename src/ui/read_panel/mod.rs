//! The Read view: the queue, the film, the card with the answers.

mod card;
mod film;
mod film_menu;

use std::collections::BTreeMap;
use std::sync::Arc;

use egui::{
    Align, CentralPanel, Context, Layout, Margin, Panel, Rect, RichText, Sense, TextureHandle, Ui,
    Vec2, pos2,
};

use super::aside::Aside;
use super::command::View;
use super::film_loader::LoadedFilm;
use super::film_view::FilmView;
use super::reading::{Reading, Study, Worklist};
use super::request::Request;
use super::words::sentence;
use super::{figures, theme, widgets};

/// The view's own state: the viewer, and small films of the queue.
#[derive(Default)]
pub struct ReadPanel {
    /// The viewer.
    pub viewer: FilmView,
    /// The film that was answered last, while it is shown in place of the film on screen.
    pub aside: Option<Aside>,
    thumbnails: BTreeMap<usize, TextureHandle>,
}

impl ReadPanel {
    /// Draws the view.
    pub fn ui(&mut self, ui: &mut Ui, reading: &Reading, requests: &mut Vec<Request>) {
        if !reading.film_only {
            bottom_bar(ui, reading);
            queue_strip(ui, self, reading);
            card::ui(ui, self.aside.is_some(), reading, requests);
        }
        CentralPanel::no_frame().show(ui, |ui| {
            theme::on_film(ui);
            film::ui(ui, self, reading, requests);
        });
    }

    /// Forgets small films of all but these rows.
    pub fn keep(&mut self, rows: &[usize]) {
        self.thumbnails.retain(|row, _| rows.contains(row));
    }

    /// Forgets the small film of a row.
    pub fn forget(&mut self, row: usize) {
        self.thumbnails.remove(&row);
    }

    /// Returns the small film of a row, once the film is decoded.
    fn thumbnail(
        &mut self,
        ctx: &Context,
        row: usize,
        film: impl FnOnce() -> Option<Arc<LoadedFilm>>,
    ) -> Option<TextureHandle> {
        if let Some(texture) = self.thumbnails.get(&row) {
            return Some(texture.clone());
        }
        let film = film()?;
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
}

/// Draws the bar that says that something was not saved: loud, and there until the session is opened anew or, where the
/// log refused one entry only, until it takes the next.
pub fn fault_bar(ui: &mut Ui, study: &Study) {
    let Some(fault) = study.fault().or_else(|| study.refused().map(str::to_owned)) else { return };
    let palette = theme::palette(ui);
    let frame = theme::panel_frame(ui, theme::card_margin()).fill(palette.fault);
    Panel::top("fault").frame(frame).show(ui, |ui| {
        let text = sentence(&fault);
        ui.horizontal_top(|ui| {
            widgets::sign(ui, widgets::Notice::Fault, palette.on_colour);
            ui.add(egui::Label::new(RichText::new(text).color(palette.on_colour)).wrap());
        });
    });
}

/// Says why a film is on screen that is not the queue's.
fn browsing(reading: &Reading, row: usize) -> &'static str {
    if reading.study.answer_in_words(row).is_empty() { "Chosen" } else { "Looking back" }
}

/// Returns the rows that follow the film on screen.
fn following(worklist: &Worklist) -> Vec<usize> {
    if worklist.view() == View::Review {
        return worklist.disputes().rows().iter().skip(1).take(Worklist::AHEAD).copied().collect();
    }
    worklist.upcoming().iter().skip(1).map(|film| film.row).collect()
}

fn queue_strip(ui: &mut Ui, panel: &mut ReadPanel, reading: &Reading) {
    let frame = theme::panel_frame(ui, Margin::same(theme::SPACE[1] as i8)).fill(theme::FILM);
    let strip = Panel::left("queue")
        .exact_size(theme::STRIP)
        .resizable(false)
        .frame(frame)
        .show_separator_line(false);
    strip.show(ui, |ui| {
        theme::on_film(ui);
        ui.label(RichText::new("Next").small().weak());
        for row in following(&reading.worklist) {
            if ui.available_height() < theme::THUMBNAIL {
                break;
            }
            let (rect, _) = ui.allocate_exact_size(Vec2::splat(theme::THUMBNAIL), Sense::hover());
            let film = || reading.films.get(row)?.ok();
            let Some(texture) = panel.thumbnail(ui.ctx(), row, film) else { continue };
            let size = texture.size_vec2();
            let size = size * (theme::THUMBNAIL / size.max_elem());
            let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            let place = Rect::from_center_size(rect.center(), size);
            ui.painter().image(texture.id(), place, uv, theme::THUMBNAIL_TINT);
        }
    });
}

fn bottom_bar(ui: &mut Ui, reading: &Reading) {
    let frame = theme::panel_frame(ui, Margin::symmetric(theme::SPACE[2] as i8, 0));
    Panel::bottom("counts")
        .exact_size(theme::BOTTOM_BAR)
        .frame(frame)
        .show_separator_line(false)
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                let (labelled, saved) = reading.study.counts();
                let mut text = format!("{labelled} labelled · {saved} saved");
                let later = reading.study.labels().deferred.len();
                if later > 0 {
                    text = format!("{text} · {later} put off");
                }
                ui.label(RichText::new(text).small());
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if let Some(pace) = reading.clock.pace().films_per_minute() {
                        ui.label(RichText::new(format!("{pace:.0} films/min")).small().weak());
                    }
                    ui.centered_and_justified(|ui| {
                        let (correct, n) = reading.study.audit();
                        if n > 0 {
                            let text = figures::estimate(correct, n, "random films");
                            ui.label(RichText::new(format!("Accuracy {text}")).small().weak());
                        }
                    });
                });
            });
        });
}
