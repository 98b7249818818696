//! The sheet of keys and mouse gestures, as they are at the moment.

use egui::{Grid, RichText, ScrollArea, Ui};

use super::command::UiCommand;
use super::film_view::Habits;
use super::keymap::{Keymap, Shortcut};
use super::theme;
use crate::config::{DragDown, Wheel};
use crate::session::Class;

/// What the mouse does.
fn gestures(habits: &Habits) -> Vec<(&'static str, &'static str)> {
    let window = match habits.drag_down {
        DragDown::Darker => "Window: right is wider, down darker",
        DragDown::Brighter => "Window: right is wider, down brighter",
    };
    let wheel = match habits.wheel {
        Wheel::Zoom => "Zoom at the pointer",
        Wheel::Films => "Film after or before, no answer",
        Wheel::Width => "Width of the window",
    };
    let mut gestures = vec![
        ("Left drag", window),
        ("  with Shift, with Ctrl", "Ten times coarser, ten times finer"),
        ("  with Ctrl and Shift", "Window from a region"),
    ];
    if habits.space_moves {
        gestures.push(("  with Space", "Move the film"));
    }
    gestures.extend([
        ("Middle drag", "Move the film"),
        ("Right drag", "Zoom: up is closer"),
        ("Right click", "Menu of the film"),
        ("Wheel", wheel),
    ]);
    if habits.wheel != Wheel::Zoom {
        gestures.push(("  with Ctrl", "Zoom at the pointer"));
    }
    gestures.push(("Double click", "Fit film"));
    gestures
}

/// Draws the sheet; returns whether the reader closes it.
pub fn ui(ctx: &egui::Context, classes: &[Class], keymap: &Keymap, habits: &Habits) -> bool {
    let most = ctx.content_rect().height() - 2.0 * theme::SPACE[4];
    let modal = egui::Modal::new(egui::Id::unique("help")).show(ctx, |ui| {
        ui.set_width(theme::SHEET);
        // A small window shows a part; left to itself the area would do so in a large one too.
        let area = ScrollArea::vertical().max_height(most).min_scrolled_height(most);
        area.auto_shrink([false, true]).show(ui, |ui| sheet(ui, classes, keymap, habits)).inner
    });
    modal.inner || modal.should_close()
}

fn sheet(ui: &mut Ui, classes: &[Class], keymap: &Keymap, habits: &Habits) -> bool {
    ui.horizontal(|ui| {
        ui.heading("Keys and mouse");
        ui.weak("Digits on the number pad are the same keys as those above the letters");
    });
    ui.add_space(theme::SPACE[0]);
    let sections = UiCommand::sections(classes.len());
    ui.columns(2, |columns| {
        let [left, right] = columns else { return };
        let (first, last) = sections.split_at(3);
        for (ui, sections) in [(&mut *left, first), (&mut *right, last)] {
            for (name, commands) in sections {
                let row = |command: &UiCommand| {
                    let keys: Vec<String> =
                        keymap.keys(*command).iter().map(Shortcut::to_string).collect();
                    (keys.join(", "), command.text(classes))
                };
                table(ui, name, commands.iter().map(row).filter(|(keys, _)| !keys.is_empty()));
            }
        }
        let owned = |(gesture, effect): (&str, &str)| (gesture.to_owned(), effect.to_owned());
        table(right, "Mouse", gestures(habits).into_iter().map(owned));
    });
    ui.add_space(theme::SPACE[1]);
    ui.horizontal(|ui| {
        let closed = ui.button("Close").clicked();
        ui.weak("Penumbra is research software and not a medical device");
        closed
    })
    .inner
}

fn table(ui: &mut Ui, name: &str, rows: impl Iterator<Item = (String, String)>) {
    ui.add_space(theme::SPACE[0]);
    ui.label(RichText::new(name).small().weak());
    let grid = Grid::new(name).num_columns(2).min_row_height(0.0).min_col_width(theme::STRIP);
    grid.spacing([theme::SPACE[3], theme::SPACE[0] / 2.0]).show(ui, |ui| {
        for (key, effect) in rows {
            ui.weak(key);
            ui.label(effect);
            ui.end_row();
        }
    });
}
