//! The grid itself: only the rows in sight are laid out, however many films there are.

use egui::{
    Align2, Color32, FontId, Rect, Response, ScrollArea, Sense, Stroke, StrokeKind, Ui, Vec2, pos2,
    vec2,
};

use super::filter::{Known, Status};
use crate::session::Class;
use crate::ui::small_films::Thumbnails;
use crate::ui::theme;
use crate::ui::words::sentence;

/// What is drawn.
pub struct Films<'a> {
    /// Rows in order.
    pub shown: &'a [usize],
    /// What is known of them.
    pub known: &'a Known,
    /// Classes of the session.
    pub classes: &'a [Class],
    /// Side of a film, in points.
    pub edge: f32,
}

/// What the mouse did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Action {
    /// A film was clicked.
    pub select: Option<usize>,
    /// A film was clicked twice.
    pub open: Option<usize>,
}

/// Where the grid is scrolled to.
pub struct Grid {
    columns: usize,
    /// Lines of films that fit.
    lines: usize,
    offset: f32,
    height: f32,
    reveal: bool,
}

impl Default for Grid {
    fn default() -> Self {
        Self { columns: 1, lines: 1, offset: 0.0, height: 0.0, reveal: true }
    }
}

impl Grid {
    /// Space between films.
    const GAP: f32 = theme::SPACE[0];

    /// Returns films in a line, as drawn last.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Returns films in sight, as drawn last.
    pub const fn page(&self) -> usize {
        self.columns * self.lines
    }

    /// Scrolls to the selection when the grid is drawn next.
    pub const fn reveal(&mut self) {
        self.reveal = true;
    }

    /// Draws the films.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        films: &Films<'_>,
        selected: usize,
        thumbnails: &mut Thumbnails,
    ) -> Action {
        let pitch = films.edge + Self::GAP;
        // The bar of the scroll area floats over the last column unless it has room.
        let width = ui.available_width() - theme::SPACE[2];
        self.columns = (((width + Self::GAP) / pitch) as usize).max(1);
        let lines = films.shown.len().div_ceil(self.columns);
        self.height = ui.available_height();
        self.lines = ((self.height / pitch) as usize).max(1);
        ui.spacing_mut().item_spacing = Vec2::splat(Self::GAP);
        let mut area = ScrollArea::vertical().auto_shrink(false).animated(false);
        if std::mem::take(&mut self.reveal)
            && let Some(place) = films.shown.iter().position(|&row| row == selected)
        {
            area = area.vertical_scroll_offset(self.revealing(place / self.columns, pitch));
        }
        let mut action = Action::default();
        let drawn = area.show_rows(ui, films.edge, lines, |ui, range| {
            let end = (range.end * self.columns).min(films.shown.len());
            let rows = &films.shown[(range.start * self.columns).min(end)..end];
            thumbnails.show(ui.ctx(), rows);
            for line in rows.chunks(self.columns) {
                ui.horizontal(|ui| {
                    for &row in line {
                        let response = cell(ui, films, row, row == selected, thumbnails);
                        if response.clicked() {
                            action.select = Some(row);
                        }
                        if response.double_clicked() {
                            action.open = Some(row);
                        }
                    }
                });
            }
        });
        self.offset = drawn.state.clamped_offset().y;
        action
    }

    /// Returns the offset nearest to the present one at which a line is wholly in sight.
    fn revealing(&self, line: usize, pitch: f32) -> f32 {
        let top = line as f32 * pitch;
        let most = top.max(0.0);
        let least = (top + pitch - self.height).max(0.0).min(most);
        self.offset.clamp(least, most)
    }
}

fn cell(
    ui: &mut Ui,
    films: &Films<'_>,
    row: usize,
    selected: bool,
    thumbnails: &Thumbnails,
) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(films.edge), Sense::click());
    let status = films.known.status.get(row).copied().unwrap_or_default();
    let noted = films.known.noted.get(row).copied().unwrap_or_default();
    let painter = ui.painter_at(rect);
    if let Some(texture) = thumbnails.texture(row) {
        let size = texture.size_vec2();
        let size = size * (films.edge / size.max_elem());
        let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        painter.image(
            texture.id(),
            Rect::from_center_size(rect.center(), size),
            uv,
            Color32::WHITE,
        );
    } else {
        painter.rect_filled(rect, 0.0, theme::DARK.panel);
        if thumbnails.fault(row).is_some() {
            let text = "cannot be shown";
            let font = theme::caption_font();
            painter.text(rect.center(), Align2::CENTER_CENTER, text, font, theme::DARK.secondary);
        }
    }
    if let Some((letter, colour, _)) = mark(status, films.classes) {
        let place = Rect::from_min_size(rect.min, Vec2::splat(theme::MARK));
        painter.rect_filled(place, 0.0, colour);
        let font = FontId::proportional(theme::BODY);
        painter.text(place.center(), Align2::CENTER_CENTER, letter, font, theme::ON_CLASS);
    }
    if noted {
        // A folded corner: no font of ours has a sign for a note.
        let corner = rect.right_top();
        let side = theme::SPACE[2];
        let fold = vec![corner - vec2(side, 0.0), corner, corner + vec2(0.0, side)];
        painter.add(egui::Shape::convex_polygon(fold, theme::DARK.warning, Stroke::NONE));
    }
    if selected {
        let stroke = Stroke::new(theme::FLASH_WIDTH, theme::DARK.accent);
        painter.rect_stroke(rect, 0.0, stroke, StrokeKind::Inside);
    }
    let answer = mark(status, films.classes).map_or_else(String::new, |(.., words)| words);
    let parts = [format!("Film {}", row + 1), answer, if noted { "note" } else { "" }.to_owned()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let label = parts.join(" · ");
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, selected, &label));
    response
}

/// Returns letter, colour and words of what the reader said of a film.
fn mark(status: Status, classes: &[Class]) -> Option<(String, Color32, String)> {
    match status {
        Status::Unread => None,
        Status::Class(index) => {
            let class = classes.get(index)?;
            Some((letter(index, classes), theme::of_class(class, index), sentence(&class.name)))
        }
        Status::Uninterpretable => {
            Some(("?".to_owned(), theme::UNINTERPRETABLE, "Uninterpretable".to_owned()))
        }
        Status::Later => Some(("…".to_owned(), theme::LATER, "Later".to_owned())),
    }
}

/// Returns the first letters of a class's name that no class before it begins with: one if one is enough.
fn letter(index: usize, classes: &[Class]) -> String {
    let name = &classes[index].name;
    let first = |name: &str| {
        name.chars().next().into_iter().flat_map(char::to_uppercase).collect::<String>()
    };
    let shared = classes
        .iter()
        .enumerate()
        .any(|(other, class)| other != index && first(&class.name) == first(name));
    // Two letters of one name would not be told apart by eye at this size; its key is.
    if shared { classes[index].key.to_uppercase().collect() } else { first(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_tell_classes_apart() {
        let letters = |classes: &[Class]| -> Vec<String> {
            (0..classes.len()).map(|index| letter(index, classes)).collect()
        };
        assert_eq!(letters(&Class::who_five()), ["N", "C", "O", "B"]);
        let classes =
            [Class::new("no finding", 'A'), Class::new("nodule", 'S'), Class::new("mass", 'D')];
        assert_eq!(letters(&classes), ["A", "S", "M"]);
    }

    #[test]
    fn the_selection_is_brought_into_sight_by_the_shortest_way() {
        let grid = |offset| Grid { columns: 5, lines: 3, offset, height: 300.0, reveal: true };
        assert_eq!(grid(0.0).revealing(0, 100.0), 0.0);
        assert_eq!(grid(0.0).revealing(2, 100.0), 0.0, "it is in sight already");
        assert_eq!(grid(0.0).revealing(3, 100.0), 100.0);
        assert_eq!(grid(900.0).revealing(3, 100.0), 300.0);
        assert_eq!(Grid { height: 50.0, ..grid(0.0) }.revealing(3, 100.0), 300.0);
    }
}
