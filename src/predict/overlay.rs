//! A map in colour over its film.

use image::{Rgb, RgbImage};

use crate::imaging::{Film, Plane, render};

/// Colours of a map from 0 to 1, evenly spaced and linear between: five of Matplotlib's *inferno* (CC0), whose brightness
/// rises throughout, so that it reads without colour vision too. The prediction page has the same.
const COLOURS: [[u8; 3]; 5] =
    [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

/// Draws a film as the viewer opens it, in grey, with a map of its size over it. A place at 1 hides `opacity` of the film,
/// one at 0 nothing.
pub fn overlay(film: &Film, map: &Plane, opacity: f32) -> RgbImage {
    let mut grey = Vec::new();
    render(film, film.default_view(), false, &mut grey);
    let pixels = grey.iter().zip(&map.pixels).flat_map(|(&grey, &heat)| blend(grey, heat, opacity));
    // Only a map of another size leaves the picture empty.
    RgbImage::from_raw(film.width, film.height, pixels.collect()).unwrap_or_default()
}

fn blend(grey: u8, heat: f32, opacity: f32) -> [u8; 3] {
    let (Rgb(colour), share) = (colour(heat), (heat * opacity).clamp(0.0, 1.0));
    colour.map(|channel| {
        let mixed = f32::from(grey) + (f32::from(channel) - f32::from(grey)) * share;
        mixed.round() as u8
    })
}

/// Returns the colour of a map's value from 0 to 1.
pub fn colour(heat: f32) -> Rgb<u8> {
    let at = heat.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f32;
    let first = (at as usize).min(COLOURS.len() - 2);
    let share = at - first as f32;
    let mix = |channel: usize| {
        let [from, to] = [first, first + 1].map(|i| f32::from(COLOURS[i][channel]));
        (from + (to - from) * share).round() as u8
    };
    Rgb([mix(0), mix(1), mix(2)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::About;

    #[test]
    fn what_is_cold_shows_the_film_and_what_is_hot_the_colour() {
        let about = About::default();
        let film = Film { width: 3, height: 1, bits: 8, values: vec![0, 255, 255], about };
        let map = Plane { width: 3, height: 1, pixels: vec![1.0, 0.0, 1.0] };
        let half = overlay(&film, &map, 0.5);
        assert_eq!(half.get_pixel(0, 0).0, [126, 128, 82]);
        assert_eq!(half.get_pixel(1, 0).0, [255, 255, 255]);
        let none = overlay(&film, &map, 0.0);
        assert_eq!(none.get_pixel(2, 0).0, [255, 255, 255]);
        assert_eq!(colour(0.25), Rgb([87, 16, 110]));
    }
}
