//! Every colour, size, spacing and type size of the window, and nothing that draws.

use std::time::Duration;

use crate::session::{Class, Colour};
use egui::{
    Color32, CornerRadius, FontFamily, FontId, Margin, Stroke, Style, TextStyle, Vec2, Visuals,
};

#[expect(clippy::disallowed_methods, reason = "the one place that may spell out a colour")]
const fn hex(rgb: u32) -> Color32 {
    Color32::from_rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
}

/// Behind every film, in every theme.
pub const FILM: Color32 = Color32::BLACK;
/// Bars, cards and the start screen.
pub const PANEL: Color32 = hex(0x0010_1214);
/// Buttons and whatever lies above a panel.
pub const RAISED: Color32 = hex(0x0018_1B1F);
/// Lines of one pixel, and buttons under the pointer.
pub const HAIRLINE: Color32 = hex(0x0026_2A30);
/// Text. Never pure white: it dazzles beside a film.
pub const TEXT: Color32 = hex(0x00D6_DADF);
/// Text that is not the message.
pub const SECONDARY: Color32 = hex(0x008A_929C);
/// The one primary action, the focus ring, the selection.
pub const ACCENT: Color32 = hex(0x004C_9BE8);
/// Text on the accent, on a class colour or on a warning.
pub const ON_COLOUR: Color32 = hex(0x0010_1214);
/// Done and safe.
pub const GOOD: Color32 = hex(0x0000_9E73);
/// Worth knowing; the work goes on.
pub const WARNING: Color32 = hex(0x00F0_E442);
/// A fault that stops the work.
pub const FAULT: Color32 = hex(0x00D5_5E00);
/// Films that carry no opinion because they cannot be read.
pub const UNINTERPRETABLE: Color32 = hex(0x0099_9999);
/// Films put off.
pub const LATER: Color32 = hex(0x0055_5C66);

/// Okabe and Ito's colours, safe for colour-blind readers, for classes that have no colour of their own.
const CLASSES: [Color32; 6] = [
    hex(0x0056_B4E9),
    hex(0x00E6_9F00),
    hex(0x00CC_79A7),
    hex(0x0000_9E73),
    hex(0x0000_72B2),
    hex(0x00F0_E442),
];

/// Returns the colour of a class: by its name where radiology has one, else by its place in the list.
pub fn class(name: &str, index: usize) -> Color32 {
    let known = ["normal", "pneumonia", "other infiltrate", "both"];
    let place = known.iter().position(|known| name.eq_ignore_ascii_case(known)).unwrap_or(index);
    CLASSES[place % CLASSES.len()]
}

/// Returns the colour that a session names.
#[expect(clippy::disallowed_methods, reason = "the one place that may spell out a colour")]
pub const fn of(Colour([red, green, blue]): Colour) -> Color32 {
    Color32::from_rgb(red, green, blue)
}

/// Returns the colour of a session's class: its own, else as [`class`].
pub fn of_class(of: &Class, index: usize) -> Color32 {
    of.colour.map_or_else(|| class(&of.name, index), self::of)
}

/// Returns a colour as a session names it.
pub const fn named(colour: Color32) -> Colour {
    Colour([colour.r(), colour.g(), colour.b()])
}

/// Blends a colour towards the panel behind it; `strength` in 0..=1 is what remains of the colour.
pub fn faded(colour: Color32, strength: f32) -> Color32 {
    PANEL.lerp_to_gamma(colour, strength.clamp(0.0, 1.0))
}

/// Returns the ground of a text that stands on a film: dark enough for the text, thin enough for the film.
pub fn plate() -> Color32 {
    FILM.gamma_multiply_u8(PLATE_ALPHA)
}

/// Returns a colour as thin as a confidence band has it.
pub fn band(colour: Color32) -> Color32 {
    colour.gamma_multiply_u8(BAND_ALPHA)
}

/// Tint of the thumbnails in the queue: dark enough not to compete with the film.
pub const THUMBNAIL_TINT: Color32 = hex(0x0080_8080);
/// Opacity of a confidence band, 0..=255.
const BAND_ALPHA: u8 = 36;

/// Opacity of the ground of a text on a film, 0..=255.
const PLATE_ALPHA: u8 = 150;

/// Type size of a caption, in points.
pub const CAPTION: f32 = 11.0;
/// Type size of running text, in points.
pub const BODY: f32 = 13.0;
/// Type size of a heading, in points.
pub const HEADING: f32 = 16.0;
/// Type size of a figure that stands alone, in points.
pub const FIGURE: f32 = 28.0;

/// Spacings, in points.
pub const SPACE: [f32; 5] = [4.0, 8.0, 12.0, 16.0, 24.0];
/// Corner radius, in points.
pub const RADIUS: u8 = 4;
/// Height of the top bar.
pub const TOP_BAR: f32 = 32.0;
/// Height of the bottom bar.
pub const BOTTOM_BAR: f32 = 24.0;
/// Width of the queue strip; its thumbnails are this less the spacing on both sides.
pub const STRIP: f32 = 88.0;
/// Side of a thumbnail.
pub const THUMBNAIL: f32 = 72.0;
/// Width of the card beside the film.
pub const CARD: f32 = 176.0;
/// Width of the card in the Learn view.
pub const LEARN_CARD: f32 = 300.0;
/// Height of a button that labels.
pub const LABEL_BUTTON: f32 = 36.0;
/// Height of a bar that shows how far something is.
pub const PROGRESS: f32 = 4.0;
/// Width of the column of text on the start screen and in dialogs.
pub const COLUMN: f32 = 480.0;
/// Width of the sheets of keys and settings.
pub const SHEET: f32 = 720.0;
/// Side of the magnifier.
pub const LOUPE: f32 = 280.0;
/// Height of the button that goes on with the last session.
pub const LARGE_BUTTON: f32 = 72.0;
/// Smallest, usual and largest side of a film in the gallery.
pub const CELL: [f32; 3] = [64.0, 128.0, 288.0];
/// Width of a field for a name or a number.
pub const FIELD: f32 = 140.0;
/// Width of the slider of sizes.
pub const SLIDER: f32 = 100.0;
/// Side of the mark in a film's corner.
pub const MARK: f32 = 16.0;
/// Width of the frame that a label flashes, in points.
pub const FLASH_WIDTH: f32 = 2.0;
/// Width of a curve in a plot.
pub const CURVE: f32 = 1.5;
/// How long a label flashes, and the longest that anything fades.
pub const FADE: Duration = Duration::from_millis(120);

/// Size of the window when it is first opened.
pub const WINDOW: Vec2 = Vec2::new(1280.0, 800.0);
/// Size below which the window does not go.
pub const WINDOW_MIN: Vec2 = Vec2::new(800.0, 560.0);

/// Returns the font of a figure that stands alone.
pub fn figure_font() -> FontId {
    FontId::new(FIGURE, FontFamily::Proportional)
}

/// Returns the font of a caption, and of the texts in the corners of a film.
pub fn caption_font() -> FontId {
    FontId::new(CAPTION, FontFamily::Proportional)
}

/// Returns the font of a warning on a film.
pub fn warning_font() -> FontId {
    FontId::new(BODY, FontFamily::Proportional)
}

/// Returns the margin of a card.
pub fn card_margin() -> Margin {
    Margin::same(SPACE[2] as i8)
}

/// Returns the frame of a bar or card: panel colour, no box.
pub fn panel_frame(margin: Margin) -> egui::Frame {
    egui::Frame::new().fill(PANEL).inner_margin(margin)
}

/// Gives the context the dark theme.
pub fn apply(ctx: &egui::Context) {
    ctx.set_theme(egui::Theme::Dark);
    ctx.all_styles_mut(style);
}

fn style(style: &mut Style) {
    let font = |size| FontId::new(size, FontFamily::Proportional);
    style.text_styles = [
        (TextStyle::Small, font(CAPTION)),
        (TextStyle::Body, font(BODY)),
        (TextStyle::Button, font(BODY)),
        (TextStyle::Heading, font(HEADING)),
        (TextStyle::Monospace, FontId::new(BODY, FontFamily::Monospace)),
    ]
    .into();
    style.spacing.item_spacing = Vec2::splat(SPACE[1]);
    style.spacing.window_margin = Margin::same(SPACE[3] as i8);
    style.spacing.button_padding = Vec2::new(SPACE[1], SPACE[0]);
    style.spacing.interact_size.y = SPACE[4];
    style.animation_time = FADE.as_secs_f32();
    style.visuals = visuals();
}

fn visuals() -> Visuals {
    let mut visuals = Visuals::dark();
    let radius = CornerRadius::same(RADIUS);
    visuals.override_text_color = None;
    visuals.weak_text_color = Some(SECONDARY);
    visuals.panel_fill = PANEL;
    visuals.window_fill = PANEL;
    visuals.window_stroke = Stroke::new(1.0, HAIRLINE);
    visuals.window_corner_radius = radius;
    visuals.menu_corner_radius = radius;
    visuals.window_shadow = egui::Shadow::NONE;
    visuals.popup_shadow = egui::Shadow::NONE;
    visuals.extreme_bg_color = FILM;
    visuals.faint_bg_color = RAISED;
    visuals.hyperlink_color = ACCENT;
    visuals.warn_fg_color = WARNING;
    visuals.error_fg_color = FAULT;
    visuals.selection.bg_fill = faded(ACCENT, 0.4);
    visuals.selection.stroke = Stroke::new(1.0, ACCENT);
    visuals.image_loading_spinners = false;
    let widgets = &mut visuals.widgets;
    for (widget, fill, text) in [
        (&mut widgets.noninteractive, PANEL, TEXT),
        (&mut widgets.inactive, RAISED, TEXT),
        (&mut widgets.hovered, HAIRLINE, TEXT),
        (&mut widgets.active, HAIRLINE, TEXT),
        (&mut widgets.open, HAIRLINE, TEXT),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::new(1.0, HAIRLINE);
        widget.fg_stroke = Stroke::new(1.0, text);
        widget.corner_radius = radius;
        widget.expansion = 0.0;
    }
    widgets.active.bg_stroke = Stroke::new(1.0, ACCENT);
    visuals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_keep_their_colour_whatever_their_order() {
        assert_eq!(class("Pneumonia", 0), class("pneumonia", 1));
        assert_ne!(class("normal", 0), class("pneumonia", 0));
        assert_ne!(class("a", 0), class("b", 1), "unknown classes differ by their place");
    }

    #[test]
    fn nothing_in_the_chrome_is_white() {
        let luminance = |c: Color32| c.r().max(c.g()).max(c.b());
        for colour in [PANEL, RAISED, HAIRLINE, TEXT, SECONDARY] {
            assert!(luminance(colour) < 0xE0, "{colour:?} would outshine a film");
        }
    }

    #[test]
    fn fading_ends_at_the_panel_and_at_the_colour() {
        assert_eq!(faded(ACCENT, 0.0), PANEL);
        assert_eq!(faded(ACCENT, 1.0), ACCENT);
    }
}
