//! Every colour, size, spacing and type size of the window, and nothing that draws.

use std::time::Duration;

use crate::chart::Tint;
use crate::session::{Class, Colour};
use egui::{
    Color32, CornerRadius, FontFamily, FontId, Margin, Stroke, Style, TextStyle, Ui, Vec2, Visuals,
};

#[expect(clippy::disallowed_methods, reason = "the one place that may spell out a colour")]
const fn hex(rgb: u32) -> Color32 {
    Color32::from_rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
}

/// Behind every film, in every theme.
pub const FILM: Color32 = Color32::BLACK;

/// The colours of bars, cards, sheets and plots in one theme.
#[derive(Debug, PartialEq, Eq)]
pub struct Palette {
    /// Bars, cards and the start screen.
    pub panel: Color32,
    /// Buttons and whatever lies above a panel.
    pub raised: Color32,
    /// Lines of one pixel, and buttons under the pointer.
    pub hairline: Color32,
    /// Behind what is typed.
    pub field: Color32,
    /// Text. Never pure white or black: the one dazzles beside a film, the other on a bright panel.
    pub text: Color32,
    /// Text that is not the message.
    pub secondary: Color32,
    /// The one primary action, the focus ring, the selection.
    pub accent: Color32,
    /// Text on the accent or on a fault.
    pub on_colour: Color32,
    /// Done and safe.
    pub good: Color32,
    /// Worth knowing; the work goes on.
    pub warning: Color32,
    /// A fault that stops the work.
    pub fault: Color32,
}

/// For a dark room, and for whatever stands on a film in any.
pub const DARK: Palette = Palette {
    panel: hex(0x0010_1214),
    raised: hex(0x0018_1B1F),
    hairline: hex(0x0026_2A30),
    field: FILM,
    text: hex(0x00D6_DADF),
    secondary: hex(0x008A_929C),
    accent: hex(0x004C_9BE8),
    on_colour: hex(0x0010_1214),
    good: hex(0x0000_9E73),
    warning: hex(0x00F0_E442),
    fault: hex(0x00D5_5E00),
};

/// For an office: the same hues, dark enough to be read on a bright panel.
pub const LIGHT: Palette = Palette {
    panel: hex(0x00EC_EEF1),
    raised: hex(0x00DF_E2E7),
    hairline: hex(0x00C6_CBD2),
    field: hex(0x00F8_F9FA),
    text: hex(0x001C_2024),
    secondary: hex(0x004B_525A),
    accent: hex(0x0017_599E),
    on_colour: hex(0x00F8_F9FA),
    good: hex(0x0000_664A),
    warning: hex(0x0072_5600),
    fault: hex(0x00A0_3F00),
};

impl Palette {
    /// Returns the ground of what is selected: a breath of the accent, on which the accent itself can be read.
    pub fn selection(&self) -> Color32 {
        self.panel.lerp_to_gamma(self.accent, SELECTION)
    }

    /// Returns the colour of films on a map that stand behind the others.
    pub fn behind(&self) -> Color32 {
        self.panel.lerp_to_gamma(self.secondary, 0.5)
    }
}

/// Returns the colours of the theme that something is drawn in.
pub fn palette(ui: &Ui) -> &'static Palette {
    if ui.visuals().dark_mode { &DARK } else { &LIGHT }
}

/// Films that carry no opinion because they cannot be read.
pub const UNINTERPRETABLE: Color32 = hex(0x0099_9999);
/// Text on a class's colour, which is the same in every theme.
pub const ON_CLASS: Color32 = hex(0x0010_1214);
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

/// Returns the ground of a text that stands on a film: dark enough for the text, thin enough for the film.
pub fn plate() -> Color32 {
    FILM.gamma_multiply_u8(PLATE_ALPHA)
}

/// Returns a colour as thin as a confidence band has it.
pub fn band(colour: Color32) -> Color32 {
    colour.gamma_multiply_u8(BAND_ALPHA)
}

/// Returns the colour of a series in the theme that is drawn in: on the dark ground and on the bright one each can be told
/// from its neighbours and from the ground.
pub fn tint(ctx: &egui::Context, tint: Tint) -> Color32 {
    let (dark, light) = match tint {
        Tint::Blue => (DARK.accent, LIGHT.accent),
        Tint::Orange => (hex(0x00E6_9F00), hex(0x008F_5A00)),
        Tint::Green => (hex(0x0000_9E73), hex(0x0000_664A)),
        Tint::Pink => (hex(0x00CC_79A7), hex(0x0096_3F6E)),
        Tint::Red => (DARK.fault, LIGHT.fault),
        Tint::Grey => (DARK.secondary, LIGHT.secondary),
    };
    if ctx.global_style().visuals.dark_mode { dark } else { light }
}

/// Returns the colour of one of `of` groups, all about as bright.
pub fn group(index: usize, of: usize) -> Color32 {
    let hue = index as f32 / of.max(1) as f32;
    egui::ecolor::Hsva::new(hue, 0.55, 0.62 + 0.2 * (index % 2) as f32, 1.0).into()
}

/// Returns the colour of a share in 0..=1, from dark blue to bright yellow: a light scale that grey print keeps in order.
pub fn scale(share: f32) -> Color32 {
    let share = share.clamp(0.0, 1.0);
    let (low, middle, high) = (hex(0x002D_4A8A), hex(0x002A_9D8F), hex(0x00F0_E442));
    if share < 0.5 {
        low.lerp_to_gamma(middle, 2.0 * share)
    } else {
        middle.lerp_to_gamma(high, 2.0 * share - 1.0)
    }
}

/// Tint of the thumbnails in the queue: dark enough not to compete with the film.
pub const THUMBNAIL_TINT: Color32 = hex(0x0080_8080);
/// Opacity of a confidence band, 0..=255.
const BAND_ALPHA: u8 = 36;
/// Share of the accent in the ground of what is selected, in 0..=1.
const SELECTION: f32 = 0.18;
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
/// Distances across and down from which ticks of a plot are labelled, in points.
pub const TICKS: [f32; 2] = [60.0, 20.0];
/// Side of a film on the map, in points: one that has no colour of its own, and one that has.
pub const MAP_DOT: [f32; 2] = [3.0, 5.0];
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
pub fn panel_frame(ui: &Ui, margin: Margin) -> egui::Frame {
    egui::Frame::new().fill(palette(ui).panel).inner_margin(margin)
}

/// Teaches the context both themes; it begins with the dark one.
pub fn apply(ctx: &egui::Context) {
    ctx.set_theme(egui::Theme::Dark);
    ctx.style_mut_of(egui::Theme::Dark, |dark| style(dark, Visuals::dark(), &DARK));
    ctx.style_mut_of(egui::Theme::Light, |light| style(light, Visuals::light(), &LIGHT));
}

/// Draws all that follows, and what opens over it, in the light theme or in the dark one.
pub fn choose(ui: &mut Ui, light: bool) {
    ui.ctx().set_theme(if light { egui::Theme::Light } else { egui::Theme::Dark });
    ui.set_style(ui.ctx().global_style());
}

/// Draws what stands on the black around films in the dark theme, whatever theme the panels have.
pub fn on_film(ui: &mut Ui) {
    ui.set_style(ui.ctx().style_of(egui::Theme::Dark));
}

fn style(style: &mut Style, base: Visuals, palette: &Palette) {
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
    style.visuals = visuals(base, palette);
}

fn visuals(mut visuals: Visuals, palette: &Palette) -> Visuals {
    let Palette { panel, raised, hairline, text, accent, .. } = *palette;
    let radius = CornerRadius::same(RADIUS);
    visuals.override_text_color = None;
    visuals.weak_text_color = Some(palette.secondary);
    visuals.panel_fill = panel;
    visuals.window_fill = panel;
    visuals.window_stroke = Stroke::new(1.0, hairline);
    visuals.window_corner_radius = radius;
    visuals.menu_corner_radius = radius;
    visuals.window_shadow = egui::Shadow::NONE;
    visuals.popup_shadow = egui::Shadow::NONE;
    visuals.extreme_bg_color = palette.field;
    visuals.faint_bg_color = raised;
    visuals.hyperlink_color = accent;
    visuals.warn_fg_color = palette.warning;
    visuals.error_fg_color = palette.fault;
    visuals.selection.bg_fill = palette.selection();
    visuals.selection.stroke = Stroke::new(1.0, accent);
    visuals.image_loading_spinners = false;
    let widgets = &mut visuals.widgets;
    for (widget, fill) in [
        (&mut widgets.noninteractive, panel),
        (&mut widgets.inactive, raised),
        (&mut widgets.hovered, hairline),
        (&mut widgets.active, hairline),
        (&mut widgets.open, hairline),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::new(1.0, hairline);
        widget.fg_stroke = Stroke::new(1.0, text);
        widget.corner_radius = radius;
        widget.expansion = 0.0;
    }
    // Boxes to tick and rails of sliders, which no words make out as such.
    widgets.inactive.bg_fill = hairline;
    widgets.active.bg_stroke = Stroke::new(1.0, accent);
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
    fn nothing_in_the_dark_chrome_is_white() {
        let luminance = |c: Color32| c.r().max(c.g()).max(c.b());
        let Palette { panel, raised, hairline, text, secondary, .. } = DARK;
        for colour in [panel, raised, hairline, text, secondary] {
            assert!(luminance(colour) < 0xE0, "{colour:?} would outshine a film");
        }
    }

    /// Contrast of two colours, 1 to 21, by WCAG 2.2's definitions of relative luminance and contrast ratio.
    fn contrast(one: Color32, other: Color32) -> f64 {
        let linear = |value: u8| match f64::from(value) / 255.0 {
            value if value <= 0.04045 => value / 12.92,
            value => ((value + 0.055) / 1.055).powf(2.4),
        };
        let luminance =
            |c: Color32| 0.2126 * linear(c.r()) + 0.7152 * linear(c.g()) + 0.0722 * linear(c.b());
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn contrast_is_what_wcag_says() {
        assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-9);
        // The grey that is known to be the lightest one legible on white.
        assert!((contrast(hex(0x0076_7676), Color32::WHITE) - 4.54).abs() < 0.005);
    }

    #[test]
    fn every_text_can_be_read_on_every_ground_that_it_stands_on() {
        for palette in [&DARK, &LIGHT] {
            let Palette { panel, raised, hairline, field, text, secondary, .. } = *palette;
            let Palette { accent, on_colour, good, warning, fault, .. } = *palette;
            let selection = palette.selection();
            let mut pairs = vec![(accent, selection), (on_colour, accent), (on_colour, fault)];
            for ground in [panel, raised, hairline, field, selection] {
                pairs.extend([(text, ground), (secondary, ground)]);
            }
            pairs.extend([accent, good, warning, fault].map(|colour| (colour, panel)));
            for (text, ground) in pairs {
                let contrast = contrast(text, ground);
                assert!(contrast >= 4.5, "{text:?} on {ground:?}: {contrast:.2}");
            }
        }
    }

    #[test]
    fn what_stands_on_a_film_is_dark_in_every_theme() {
        let ctx = egui::Context::default();
        apply(&ctx);
        for light in [false, true] {
            let mut seen = Vec::new();
            _ = ctx.run_ui(egui::RawInput::default(), |ui| {
                choose(ui, light);
                seen = vec![palette(ui).panel, ui.visuals().panel_fill];
                on_film(ui);
                seen.extend([palette(ui).panel, ui.visuals().panel_fill]);
            });
            let chosen = if light { LIGHT.panel } else { DARK.panel };
            assert_eq!(seen, [chosen, chosen, DARK.panel, DARK.panel]);
        }
    }
}
