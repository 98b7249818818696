//! The form in which a new session gets its classes: a set that comes with the program, or one of the reader's own.

use egui::{Grid, RichText, TextEdit, Ui};

use super::widgets::Notice;
use super::{theme, widgets};
use crate::session::{Class, Colour};

/// A class as it is typed.
struct Typed {
    name: String,
    key: String,
    colour: [u8; 3],
}

/// The classes as they are typed.
pub struct ClassEditor {
    classes: Vec<Typed>,
}

impl Default for ClassEditor {
    fn default() -> Self {
        Self::of(&Class::defaults())
    }
}

impl ClassEditor {
    fn of(classes: &[Class]) -> Self {
        let typed = |(index, class): (usize, &Class)| {
            let Colour(colour) = theme::named(theme::of_class(class, index));
            Typed { name: class.name.clone(), key: class.key.to_string(), colour }
        };
        Self { classes: classes.iter().enumerate().map(typed).collect() }
    }

    /// Returns the classes, or why a session cannot have them.
    pub fn classes(&self) -> Result<Vec<Class>, String> {
        let class = |(index, typed): (usize, &Typed)| {
            let name = typed.name.trim().to_owned();
            let mut key = typed.key.trim().chars();
            let (Some(key), None) = (key.next(), key.next()) else {
                return Err(format!("the class {name:?} needs one key"));
            };
            // A colour that the program would choose anyway is none of the session's.
            let usual = theme::named(theme::class(&name, index));
            let colour = Some(Colour(typed.colour)).filter(|colour| *colour != usual);
            Ok(Class { name, key: key.to_uppercase().next().unwrap_or(key), colour })
        };
        let classes: Vec<Class> =
            self.classes.iter().enumerate().map(class).collect::<Result<_, _>>()?;
        Class::check_new(&classes)?;
        Ok(classes)
    }

    /// Draws the form.
    pub fn ui(&mut self, ui: &mut Ui) {
        ui.label("What a film can show");
        let now = self.classes();
        ui.horizontal(|ui| {
            for (name, set) in
                [("Normal or pneumonia", Class::defaults()), ("WHO five", Class::who_five())]
            {
                let is = Self::of(&set).classes() == now;
                if ui.selectable_label(is, name).clicked() {
                    *self = Self::of(&set);
                }
            }
        });
        let mut removed = None;
        let removable = self.classes.len() > 2;
        let grid = Grid::new("classes").num_columns(4).spacing([theme::SPACE[1], theme::SPACE[0]]);
        grid.show(ui, |ui| {
            for (index, typed) in self.classes.iter_mut().enumerate() {
                let number = index + 1;
                ui.color_edit_button_srgb(&mut typed.colour)
                    .accessible_name(format!("Colour of class {number}"));
                // A grid offers a cell no more width than it had, whatever is desired.
                let wide = egui::vec2(theme::COLUMN / 2.0, 0.0);
                let name = TextEdit::singleline(&mut typed.name).min_size(wide);
                ui.add(name.hint_text("name")).accessible_name(format!("Name of class {number}"));
                let key = TextEdit::singleline(&mut typed.key).desired_width(theme::SPACE[4]);
                ui.add(key.char_limit(1).hint_text("key"))
                    .accessible_name(format!("Key of class {number}"));
                let remove = ui.add_enabled(removable, egui::Button::new("Remove"));
                if remove.accessible_name(format!("Remove class {number}")).clicked() {
                    removed = Some(index);
                }
                ui.end_row();
            }
        });
        if let Some(index) = removed {
            self.classes.remove(index);
        }
        ui.horizontal(|ui| {
            if ui.button("Add class").clicked() {
                let index = self.classes.len();
                let Colour(colour) = theme::named(theme::class("", index));
                self.classes.push(Typed { name: String::new(), key: String::new(), colour });
            }
            let text = "Uninterpretable (;) and Later (N) are answers beside them";
            ui.label(RichText::new(text).small().weak());
        });
        if let Err(reason) = self.classes() {
            widgets::notice(ui, Notice::Warning, &reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_come_back_as_they_are_and_usual_colours_are_not_the_sessions() {
        assert_eq!(ClassEditor::default().classes(), Ok(Class::defaults()));
        let who = ClassEditor::of(&Class::who_five()).classes().unwrap();
        let plain: Vec<Option<Colour>> = who.iter().map(|class| class.colour).collect();
        assert_eq!(plain[0], None, "normal has this colour anyway");
        let shown = |classes: &[Class]| -> Vec<egui::Color32> {
            classes.iter().enumerate().map(|(i, class)| theme::of_class(class, i)).collect()
        };
        assert_eq!(shown(&who), shown(&Class::who_five()));
    }

    #[test]
    fn what_cannot_be_is_said() {
        let mut editor = ClassEditor::default();
        editor.classes[1].key = "j".to_owned();
        assert!(editor.classes().unwrap_err().contains("share the key"));
        editor.classes[1].key = String::new();
        assert!(editor.classes().unwrap_err().contains("needs one key"));
        editor.classes[1].key = "s".to_owned();
        assert_eq!(editor.classes().unwrap()[1].key, 'S');
        editor.classes[1].name = " normal ".to_owned();
        assert!(editor.classes().unwrap_err().contains("two classes are named"));
    }
}
