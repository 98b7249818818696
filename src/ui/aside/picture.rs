//! A picture made on a thread of its own, and the black room that it is shown in.

use std::thread::JoinHandle;

use egui::{
    Align2, Color32, ColorImage, Context, Painter, Rect, Response, Sense, TextureHandle,
    TextureOptions, Ui, pos2,
};

use crate::ui::film_view::overlay_text;
use crate::ui::theme;

/// How a room is left.
const HINT: &str = "Click to go back to the film that waits";

/// A picture that a thread makes, and its texture once it is made.
pub struct Picture {
    thread: Option<JoinHandle<ColorImage>>,
    texture: Option<TextureHandle>,
    /// Whether the thread ended without a picture.
    pub failed: bool,
}

impl Picture {
    /// Starts to make a picture.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start(
        ctx: &Context,
        name: &str,
        make: impl FnOnce() -> ColorImage + Send + 'static,
    ) -> std::io::Result<Self> {
        let waker = ctx.clone();
        let work = move || {
            let image = make();
            waker.request_repaint();
            image
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self { thread: Some(thread), texture: None, failed: false })
    }

    /// Returns the texture once the picture is made.
    pub fn texture(&mut self, ui: &Ui) -> Option<&TextureHandle> {
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) {
            let load = |image| ui.ctx().load_texture("last film", image, TextureOptions::LINEAR);
            self.texture = thread.join().ok().map(load);
            self.failed = self.texture.is_none();
        } else if self.thread.is_some() {
            // The thread wakes the window just before it is finished.
            ui.ctx().request_repaint_after(theme::FADE);
        }
        self.texture.as_ref()
    }
}

/// A black room for the film with what is said of it; a click ends it.
pub fn room(ui: &mut Ui, title: &str) -> (Response, Painter) {
    let rect = ui.available_rect_before_wrap();
    let response = ui.allocate_rect(rect, Sense::click());
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, 0.0, theme::FILM);
    let label = format!("{title} · {HINT}");
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &label));
    (response, painter)
}

/// Draws a texture as large as it fits, under a tint.
pub fn fitted(painter: &Painter, texture: &TextureHandle, rect: Rect, tint: Color32) {
    let size = texture.size_vec2();
    let size = size * (rect.size() / size).min_elem();
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    painter.image(texture.id(), Rect::from_center_size(rect.center(), size), whole, tint);
}

/// Writes what the room's film is, above it, and how to go back, below.
pub fn captions(painter: &Painter, rect: Rect, title: &str) {
    for (anchor, text, colour) in [
        (Align2::CENTER_TOP, title, theme::DARK.warning),
        (Align2::CENTER_BOTTOM, HINT, theme::DARK.secondary),
    ] {
        let inward = -anchor.to_sign() * theme::SPACE[1];
        overlay_text(painter, anchor.pos_in_rect(&rect) + inward, anchor, text, colour);
    }
}
