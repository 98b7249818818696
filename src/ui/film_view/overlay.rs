//! What is written and drawn over a film: corners, turns, rulers.

use egui::{
    Align2, Color32, CursorIcon, Painter, Pos2, Rect, Response, Stroke, StrokeKind, Ui, pos2, vec2,
};

use super::mouse::Drag;
use super::{Corners, Displayed, FilmView, Ruler, Tool};
use crate::ui::film_loader::LoadedFilm;
use crate::ui::theme;
use crate::ui::words::sentence;

/// Draws a text on a thin dark ground, which keeps it legible where the film is bright; returns its place.
pub fn text(painter: &Painter, at: Pos2, anchor: Align2, text: &str, colour: Color32) -> Rect {
    // A warning is there to be seen.
    let font =
        if colour == theme::DARK.warning { theme::warning_font() } else { theme::caption_font() };
    let galley = painter.layout_no_wrap(text.to_owned(), font, colour);
    let rect = anchor.anchor_size(at, galley.size());
    let ground = rect.expand2(vec2(theme::SPACE[0], 0.0));
    painter.rect_filled(ground, f32::from(theme::RADIUS), theme::plate());
    painter.galley(rect.min, galley, colour);
    rect
}

/// Draws what stands in the upper left corner, alone.
pub fn paint_place(ui: &Ui, rect: Rect, corners: &Corners<'_>) {
    column(&ui.painter_at(rect), rect, Align2::LEFT_TOP, &[(corners.place, theme::DARK.secondary)]);
}

/// Draws lines into a corner or at the middle of an edge, the first one outermost.
fn column(painter: &Painter, rect: Rect, corner: Align2, lines: &[(&str, Color32)]) {
    let inward = -corner.to_sign();
    let mut place = corner.pos_in_rect(&rect) + inward * theme::SPACE[1];
    for (line, colour) in lines {
        let drawn = text(painter, place, corner, line, *colour);
        place.y += inward.y * (drawn.height() + theme::SPACE[0] / 2.0);
    }
}

impl FilmView {
    /// Draws the corners and how the film is turned; returns everything that is said, for who cannot see it.
    pub(super) fn paint_texts(
        &self,
        ui: &Ui,
        response: &Response,
        film: &LoadedFilm,
        corners: &Corners<'_>,
    ) -> Vec<String> {
        let about = film.about();
        let mut warnings = about.notes.iter().map(|note| sentence(note)).collect::<Vec<_>>();
        if about.burned_in {
            warnings.push("Text is part of the picture".to_owned());
        }
        let Displayed { zoom, inverted, .. } = self.displayed(film);
        let inverted = if inverted { " · inverted" } else { "" };
        let zoom = format!("{:.0} %{inverted}", 100.0 * zoom);
        let window = self.window_text(film);
        let probe = self.probe(ui, response, film);
        let turned = self.display.orientation.words();
        let tool = match (self.tool, self.begun) {
            (Tool::Window, _) => None,
            (Tool::Ruler, None) => Some("Ruler: drag, or click both ends".to_owned()),
            (Tool::Ruler, Some(_)) => Some("Ruler: click the other end".to_owned()),
            (tool, _) => Some(tool.name().to_owned()),
        };
        let painter = ui.painter_at(response.rect);
        let rect = response.rect;
        let plain = |text: &String| (text.clone(), theme::DARK.secondary);
        let warning = |text: &String| (text.clone(), theme::DARK.warning);
        let place = corners.place.to_owned();
        let hidden = self.texts_hidden;
        let top = (!hidden).then(|| plain(&place)).into_iter().chain(warnings.iter().map(warning));
        let left = [Some(&window), probe.as_ref()].into_iter().flatten().filter(|_| !hidden);
        let columns: [(Align2, Vec<(String, Color32)>); 5] = [
            (Align2::LEFT_TOP, top.collect()),
            (Align2::LEFT_BOTTOM, left.map(plain).collect()),
            (Align2::RIGHT_BOTTOM, (!hidden).then(|| plain(&zoom)).into_iter().collect()),
            (
                Align2::CENTER_TOP,
                turned.map(|words| warning(&words.to_owned())).into_iter().collect(),
            ),
            (
                Align2::CENTER_BOTTOM,
                tool.map(|tool| (tool, theme::DARK.accent)).into_iter().collect(),
            ),
        ];
        let mut said = Vec::new();
        for (corner, lines) in columns {
            let drawn: Vec<_> =
                lines.iter().map(|(line, colour)| (line.as_str(), *colour)).collect();
            column(&painter, rect, corner, &drawn);
            said.extend(lines.into_iter().map(|(line, _)| line));
        }
        said.extend(self.rulers.iter().map(|ruler| ruler.text(about.spacing)));
        said
    }

    /// Says the window in the file's own units, and what it is called.
    fn window_text(&self, film: &LoadedFilm) -> String {
        let (window, about) = (self.displayed(film).window, film.about());
        let name = self.display.tone.name(film);
        let name = if name.is_empty() { String::new() } else { format!(" · {name}") };
        let (centre, width) = about.units(window);
        let [centre, width] = [centre, width].map(|value| figure(value as f32, about.scale));
        format!("C {centre} W {width}{name}")
    }

    /// Says what lies under the pointer: column, row and the value in the file's own units.
    fn probe(&self, ui: &Ui, response: &Response, film: &LoadedFilm) -> Option<String> {
        let point = self.projection(ui.ctx(), film, response.rect).to_film(response.hover_pos()?);
        let whole = film.levels.first()?;
        if point.x < 0.0 || point.y < 0.0 {
            return None;
        }
        let (x, y) = (point.x as usize, point.y as usize);
        if x >= whole.width as usize || y >= whole.height as usize {
            return None;
        }
        let value = *whole.values.get(y * whole.width as usize + x)?;
        let about = film.about();
        if about.is_padding(value) {
            return Some(format!("x {x} y {y}: padding"));
        }
        let own = f32::from(value) * about.scale + about.offset;
        Some(format!("x {x} y {y}: {}", figure(own, about.scale)))
    }

    /// Draws rulers, and what a drag spans.
    pub(super) fn paint_tools(&self, ui: &Ui, response: &Response, film: &LoadedFilm) {
        let painter = ui.painter_at(response.rect);
        let projection = self.projection(ui.ctx(), film, response.rect);
        let pointer = response.hover_pos().or_else(|| response.interact_pointer_pos());
        let end = pointer.map(|pointer| projection.to_film(pointer));
        let begun = match self.drag {
            Some(Drag::Ruler(from)) => Some(from),
            _ => self.begun,
        };
        let open = begun.zip(end).map(|(from, to)| Ruler { from, to });
        for ruler in self.rulers.iter().chain(&open) {
            let ends = [ruler.from, ruler.to].map(|point| projection.to_screen(point));
            let text = ruler.text(film.about().spacing);
            paint_ruler(&painter, ends, &text);
        }
        if let (Some(Drag::Region(from)), Some(to)) = (self.drag, end) {
            let corners = [from, to].map(|point| projection.to_screen(point));
            let rect = Rect::from_two_pos(corners[0], corners[1]);
            painter.rect_stroke(
                rect,
                0.0,
                Stroke::new(1.0, theme::DARK.accent),
                StrokeKind::Inside,
            );
        }
        if response.hovered() && matches!(self.tool, Tool::Ruler | Tool::Region) {
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        }
    }
}

/// Draws a line with a stroke across both ends, and its length beside the end that lies further right.
fn paint_ruler(painter: &Painter, [from, to]: [Pos2; 2], length: &str) {
    let along = (to - from).normalized();
    let across = vec2(-along.y, along.x) * theme::SPACE[0];
    let lines = [(from, to), (from - across, from + across), (to - across, to + across)];
    for (width, colour) in [(theme::CURVE + 2.0, theme::FILM), (theme::CURVE, theme::DARK.accent)] {
        for (one, other) in lines {
            painter.line_segment([one, other], Stroke::new(width, colour));
        }
    }
    let right = if from.x > to.x { from } else { to };
    text(
        painter,
        pos2(right.x + theme::SPACE[1], right.y),
        Align2::LEFT_CENTER,
        length,
        theme::DARK.text,
    );
}

/// Writes a value with as many digits as its unit has steps.
fn figure(value: f32, step: f32) -> String {
    let digits = usize::from(step.abs() < 1.0);
    format!("{value:.digits$}")
}
