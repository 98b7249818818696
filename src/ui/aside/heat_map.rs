//! Where in the film that was answered last the model finds the class that it holds likeliest, by Grad-CAM.

use std::sync::Arc;

use egui::{Color32, ColorImage, Context, Slider, Ui, Vec2, vec2};

use super::equalised::level;
use super::picture::{Picture, captions, fitted, room};
use crate::engine::Explanation;
use crate::imaging::{Fit, Plane, render};
use crate::predict::{colour, on_film};
use crate::session::Class;
use crate::ui::film_loader::LoadedFilm;
use crate::ui::{figures, theme};

/// The film that was answered last, under a map once that is there.
pub struct HeatMap {
    row: usize,
    film: Arc<LoadedFilm>,
    grey: Picture,
    map: Option<Picture>,
    title: String,
    opacity: f32,
}

impl HeatMap {
    /// Share of the film that the map hides where it is brightest, at first.
    const OPACITY: f32 = 0.5;

    /// Shows the film of a row, which the engine has been asked to explain.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(ctx: &Context, row: usize, film: Arc<LoadedFilm>) -> std::io::Result<Self> {
        let shown = Arc::clone(&film);
        let grey = Picture::start(ctx, "last-film", move || grey(&shown))?;
        let title = "The model is asked where it looked…".to_owned();
        Ok(Self { row, film, grey, map: None, title, opacity: Self::OPACITY })
    }

    /// Takes what the engine found; what is of another film is left.
    ///
    /// The map is that of the likeliest class for which anything speaks: a film that looks normal may have nothing that
    /// speaks for it, and then what little speaks for another class is shown, and said.
    pub fn take(&mut self, ctx: &Context, explanation: &Explanation, classes: &[Class]) {
        let found = &explanation.found;
        let mut held: Vec<_> = found.probabilities.iter().zip(&found.maps).zip(classes).collect();
        if explanation.row != self.row || held.is_empty() {
            return;
        }
        held.sort_by(|a, b| b.0.0.total_cmp(a.0.0));
        let share = |probability: f32| figures::share(f64::from(probability), 100);
        let ((&likeliest, _), first) = held[0];
        let speaks = |map: &Plane| map.pixels.iter().any(|&value| value > 0.0);
        let Some(&((&probability, map), class)) = held.iter().find(|((_, map), _)| speaks(map))
        else {
            self.title =
                format!("Model: {} {} · no place speaks for it", first.name, share(likeliest));
            return;
        };
        self.title = if std::ptr::eq(class, first) {
            format!("Model: {} {}, and where from", first.name, share(likeliest))
        } else {
            let (first, likeliest) = (&first.name, share(likeliest));
            let (other, probability) = (&class.name, share(probability));
            format!("Model: {first} {likeliest}; the map is for {other} {probability}")
        };
        self.title.push_str(" · coarse, no evidence");
        let (film, map, fit) = (Arc::clone(&self.film), map.clone(), explanation.fit);
        let made = Picture::start(ctx, "heat-map", move || heat(&film, &map, fit));
        self.map = made.inspect_err(|error| tracing::warn!("no heat map: {error}")).ok();
    }

    /// Draws film and map; returns whether the reader goes back to the film that waits.
    pub fn ui(&mut self, ui: &mut Ui) -> bool {
        let film = self.grey.texture(ui).cloned();
        let map = self.map.as_mut().and_then(|map| map.texture(ui)).cloned();
        let (response, painter) = room(ui, &self.title);
        let tints = [Color32::WHITE, Color32::WHITE.gamma_multiply(self.opacity)];
        for (texture, tint) in [&film, &map].into_iter().zip(tints) {
            if let Some(texture) = texture {
                fitted(&painter, texture, response.rect, tint);
            }
        }
        captions(&painter, response.rect, &self.title);
        if map.is_some() {
            self.opacity_slider(ui, response.rect.center_bottom());
        }
        response.clicked()
    }

    fn opacity_slider(&mut self, ui: &mut Ui, bottom: egui::Pos2) {
        const SIZE: Vec2 = vec2(220.0, 20.0);
        let middle = bottom - vec2(0.0, theme::SPACE[1] + theme::SPACE[3] + SIZE.y);
        let place = egui::Rect::from_center_size(middle, SIZE);
        // As overlay texts have it: the film below may be white.
        let back = theme::FILM.gamma_multiply(0.7);
        ui.painter().rect_filled(place.expand(theme::SPACE[0]), theme::SPACE[0], back);
        let slider = Slider::new(&mut self.opacity, 0.0..=1.0).show_value(false).text("heat map");
        ui.put(place, slider);
    }
}

/// Renders a film as it opens.
fn grey(film: &LoadedFilm) -> ColorImage {
    let Some(level) = level(film) else { return ColorImage::default() };
    let mut pixels = Vec::new();
    render(level, film.first.clone(), false, &mut pixels);
    let pixels = pixels.into_iter().map(Color32::from_gray).collect();
    ColorImage::new([level.width as usize, level.height as usize], pixels)
}

/// Colours a map at the size of [`grey`]; what is cold is clear.
fn heat(film: &LoadedFilm, map: &Plane, fit: Fit) -> ColorImage {
    let Some(level) = level(film) else { return ColorImage::default() };
    let map = on_film(map, fit, film.size(), [level.width, level.height]);
    let warm = |&value: &f32| {
        let [red, green, blue] = colour(value).0;
        Color32::from_rgba_unmultiplied(red, green, blue, (value * 255.0).round() as u8)
    };
    let size = [level.width as usize, level.height as usize];
    ColorImage::new(size, map.pixels.iter().map(warm).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::{About, Film};
    use crate::predict::Explained;

    fn film() -> Arc<LoadedFilm> {
        let values = (0..64 * 32).map(|i| (i % 64) as u16).collect();
        let about = About::default();
        Arc::new(LoadedFilm::new(Film { width: 64, height: 32, bits: 8, values, about }))
    }

    /// A film twice as wide as high is padded above and below: the map's middle rows lie on it.
    #[test]
    fn a_map_lies_over_its_part_of_the_film_and_what_is_cold_is_clear() {
        let film = film();
        let map = Plane { width: 2, height: 2, pixels: vec![1.0, 0.0, 1.0, 0.0] };
        let [grey, heat] = [grey(&film), heat(&film, &map, Fit::Pad)];
        assert_eq!((grey.size, heat.size), ([64, 32], [64, 32]));
        assert!(grey.pixels[63].r() > 250 && grey.pixels[0].r() < 5);
        for row in [0, 31] {
            assert_eq!(heat.pixels[row * 64].a(), 255);
            assert_eq!(heat.pixels[row * 64 + 63], Color32::TRANSPARENT);
        }
    }

    #[test]
    fn the_likeliest_class_is_shown_and_another_films_map_is_not() {
        let ctx = Context::default();
        let mut shown = HeatMap::new(&ctx, 3, film()).unwrap();
        let waiting = shown.title.clone();
        let map = |value| Plane { width: 1, height: 1, pixels: vec![value] };
        let classes = Class::defaults();
        let [first, second] = [0, 1].map(|class: usize| classes[class].name.clone());
        let mut take = |row, lit: [f32; 2]| {
            let found = Explained { probabilities: vec![0.1, 0.9], maps: lit.map(map).to_vec() };
            let explanation = Explanation { row, model: String::new(), fit: Fit::Pad, found };
            shown.take(&ctx, &explanation, &classes);
            (shown.title.clone(), shown.map.is_some())
        };
        assert_eq!(take(4, [0.0, 1.0]), (waiting, false));
        let (title, map) = take(3, [0.0, 0.0]);
        assert!(title.contains("no place speaks") && !map, "{title}");
        let (title, map) = take(3, [1.0, 0.0]);
        assert!(title.contains(&format!("{second} .90; the map is for {first} .10")) && map);
        let (title, _) = take(3, [0.0, 1.0]);
        assert!(title.contains(&format!("{second} .90, and where from")), "{title}");
    }
}
