//! The few widgets that egui does not bring along.

use egui::text::LayoutJob;
use egui::{
    Align, Button, Color32, FontSelection, Rect, Response, RichText, Sense, Shape, Stroke, Ui,
    Vec2, vec2,
};

use super::theme;
use super::words::sentence;

/// Draws a button of full width with a command's words, its key, and a stripe of colour where one is given.
pub fn command_button(ui: &mut Ui, text: &str, key: &str, stripe: Option<Color32>) -> Response {
    let size = vec2(ui.available_width(), theme::LABEL_BUTTON);
    let button = Button::new(text).right_text(RichText::new(key).weak()).min_size(size);
    let response = ui.add(button).accessible_name(text);
    if let Some(colour) = stripe {
        let mut edge = response.rect;
        edge.set_width(theme::SPACE[0]);
        ui.painter().rect_filled(edge, f32::from(theme::RADIUS), colour);
    }
    response
}

/// Draws the one primary button of a screen.
pub fn primary_button(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    let palette = theme::palette(ui);
    let text = RichText::new(text).color(palette.on_colour);
    let button = Button::new(text).fill(palette.accent);
    ui.add_enabled(enabled, button)
}

/// Draws a thin bar that shows the share in 0..=1 that is done.
pub fn progress_bar(ui: &mut Ui, share: f32, name: &str) -> Response {
    let size = vec2(ui.available_width(), theme::PROGRESS);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let mut done = rect;
    done.set_width(rect.width() * share.clamp(0.0, 1.0));
    let palette = theme::palette(ui);
    ui.painter().rect_filled(rect, 0.0, palette.hairline);
    ui.painter().rect_filled(done, 0.0, palette.accent);
    let label = format!("{name}: {:.0} %", 100.0 * share);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, &label));
    response
}

/// Draws a small heading over a hairline.
pub fn section(ui: &mut Ui, title: &str) {
    ui.add_space(theme::SPACE[2]);
    ui.label(RichText::new(title).small().weak());
    let (line, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), 1.0), Sense::hover());
    ui.painter().rect_filled(line, 0.0, theme::palette(ui).hairline);
}

/// How grave a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Done and safe.
    Good,
    /// Worth knowing; the work goes on.
    Warning,
    /// Something went wrong.
    Fault,
}

/// Draws a notice: a sign, so that its colour does not stand alone, and words, which it starts with a capital.
pub fn notice(ui: &mut Ui, notice: Notice, text: &str) {
    let palette = theme::palette(ui);
    let colour = match notice {
        Notice::Good => palette.good,
        Notice::Warning => palette.warning,
        Notice::Fault => palette.fault,
    };
    ui.horizontal_top(|ui| {
        sign(ui, notice, colour);
        ui.add(egui::Label::new(RichText::new(sentence(text)).color(colour)).wrap());
    });
}

/// Draws the sign alone: a tick, or a triangle with a stroke in it.
pub fn sign(ui: &mut Ui, notice: Notice, colour: Color32) {
    let (rect, _) = ui.allocate_exact_size(Vec2::splat(theme::HEADING), Sense::hover());
    let at = |x: f32, y: f32| rect.min + vec2(x, y) * rect.size();
    let stroke = Stroke::new(theme::CURVE, colour);
    let painter = ui.painter();
    if notice == Notice::Good {
        painter.line(vec![at(0.15, 0.5), at(0.4, 0.8), at(0.85, 0.2)], stroke);
    } else {
        painter.add(Shape::closed_line(vec![at(0.5, 0.1), at(0.95, 0.9), at(0.05, 0.9)], stroke));
        painter.line_segment([at(0.5, 0.4), at(0.5, 0.65)], stroke);
        painter.circle_filled(at(0.5, 0.78), stroke.width / 2.0, colour);
    }
}

/// Draws a dot that says that something runs.
pub fn dot(ui: &mut Ui, colour: Color32) {
    let (rect, _) = ui.allocate_exact_size(Vec2::splat(theme::SPACE[1]), Sense::hover());
    ui.painter().circle_filled(rect.center(), theme::SPACE[0], colour);
}

/// Draws the triangle of a menu into the right end of its button.
pub fn menu_triangle(ui: &Ui, button: Rect) {
    let middle = button.right_center() - vec2(theme::SPACE[2], 0.0);
    let half = theme::SPACE[0];
    let corners = vec![
        middle - vec2(half, half / 2.0),
        middle + vec2(half, -half / 2.0),
        middle + vec2(0.0, half / 2.0),
    ];
    ui.painter().add(Shape::convex_polygon(corners, theme::palette(ui).secondary, Stroke::NONE));
}

/// Draws an entry of a list to choose from: its name and, in small print under it, what it means.
pub fn choice(ui: &mut Ui, selected: bool, name: &str, meaning: &str) -> Response {
    let mut text = LayoutJob::default();
    let meaning_text = RichText::new(format!("\n{meaning}")).small().weak();
    for part in [RichText::new(name), meaning_text] {
        part.append_to(&mut text, ui.style(), FontSelection::Default, Align::Min);
    }
    let button = Button::selectable(selected, text).min_size(vec2(ui.available_width(), 0.0));
    ui.add(button).accessible_name(name)
}

/// Draws a line of "what: value".
pub fn fact(ui: &mut Ui, what: &str, value: &str) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = theme::SPACE[0];
        ui.label(RichText::new(format!("{what}:")).weak());
        ui.label(value);
    });
}
