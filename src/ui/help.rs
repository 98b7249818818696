//! The sheet of keys and mouse gestures.

use egui::{Grid, ScrollArea, Ui};

use super::command::{UiCommand, key_name};
use super::theme;
use crate::session::Class;

const MOUSE: [(&str, &str); 7] = [
    ("Left drag", "Window: right is wider, down is darker"),
    ("Ctrl with left drag", "Window, ten times finer"),
    ("Middle drag", "Move the film"),
    ("Shift or Space with left drag", "Move the film"),
    ("Right drag", "Zoom: up is closer"),
    ("Wheel", "Zoom at the pointer"),
    ("Double click", "Fit film"),
];

/// Draws the sheet; returns whether the reader closes it.
pub fn ui(ctx: &egui::Context, classes: &[Class]) -> bool {
    let most = ctx.content_rect().height() - 2.0 * theme::SPACE[4];
    let modal = egui::Modal::new(egui::Id::unique("help")).show(ctx, |ui| {
        ui.set_width(1.5 * theme::COLUMN);
        // A small window shows a part; left to itself the area would do so in a large one too.
        let area = ScrollArea::vertical().max_height(most).min_scrolled_height(most);
        area.auto_shrink([false, true]).show(ui, |ui| sheet(ui, classes)).inner
    });
    modal.inner || modal.should_close()
}

fn sheet(ui: &mut Ui, classes: &[Class]) -> bool {
    ui.heading("Keys and mouse");
    ui.add_space(theme::SPACE[1]);
    ui.columns(2, |columns| {
        let grid =
            |name| Grid::new(name).num_columns(2).spacing([theme::SPACE[4], theme::SPACE[0]]);
        grid("keys").show(&mut columns[0], |ui| {
            for command in UiCommand::with_keys(classes.len()) {
                if let Some(key) = command.key(classes) {
                    ui.weak(key_name(key));
                    ui.label(command.text(classes));
                    ui.end_row();
                }
            }
        });
        grid("mouse").show(&mut columns[1], |ui| {
            for (gesture, effect) in MOUSE {
                ui.weak(gesture);
                ui.label(effect);
                ui.end_row();
            }
        });
    });
    ui.add_space(theme::SPACE[2]);
    ui.weak("Penumbra is research software and not a medical device");
    ui.add_space(theme::SPACE[1]);
    ui.button("Close").clicked()
}
