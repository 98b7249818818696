//! Where a point of the film lies on the screen, however the film is turned, mirrored, zoomed and moved.

use egui::{Pos2, Vec2, vec2};

/// How a film is turned: mirrored left to right first, then rotated clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Quarter turns clockwise, 0 to 3.
    pub quarters: u8,
    /// Whether left and right of the stored film are swapped.
    pub mirrored: bool,
}

impl Orientation {
    /// Turns what is on the screen by quarters, clockwise or, below 0, anticlockwise.
    pub fn rotated(self, quarters: i8) -> Self {
        Self { quarters: (self.quarters as i8 + quarters).rem_euclid(4) as u8, ..self }
    }

    /// Swaps left and right of what is on the screen.
    pub fn flipped_across(self) -> Self {
        Self { quarters: (4 - self.quarters) % 4, mirrored: !self.mirrored }
    }

    /// Swaps top and bottom of what is on the screen.
    pub fn flipped_down(self) -> Self {
        self.flipped_across().rotated(2)
    }

    /// Turns a direction on the film into one on the screen.
    pub fn apply(self, film: Vec2) -> Vec2 {
        let Vec2 { x, y } = if self.mirrored { vec2(-film.x, film.y) } else { film };
        match self.quarters {
            0 => vec2(x, y),
            1 => vec2(-y, x),
            2 => vec2(-x, -y),
            _ => vec2(y, -x),
        }
    }

    /// Turns a direction on the screen into one on the film.
    pub fn undo(self, screen: Vec2) -> Vec2 {
        let Vec2 { x, y } = screen;
        let turned = match self.quarters {
            0 => vec2(x, y),
            1 => vec2(y, -x),
            2 => vec2(-x, -y),
            _ => vec2(-y, x),
        };
        if self.mirrored { vec2(-turned.x, turned.y) } else { turned }
    }

    /// Returns the extent on the screen of an extent on the film, or the other way round.
    pub fn extent(self, size: Vec2) -> Vec2 {
        if self.quarters % 2 == 1 { vec2(size.y, size.x) } else { size }
    }

    /// Says how the film is turned; `None` if it is as stored.
    pub fn words(self) -> Option<&'static str> {
        Some(match (self.quarters, self.mirrored) {
            (0, false) => return None,
            (1, false) => "Rotated 90° to the right",
            (2, false) => "Rotated 180°",
            (_, false) => "Rotated 90° to the left",
            (0, true) => "Mirrored: left is right",
            (1, true) => "Mirrored, rotated 90° to the right",
            (2, true) => "Mirrored: top is bottom",
            (_, true) => "Mirrored, rotated 90° to the left",
        })
    }
}

/// How film and screen lie on each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projection {
    /// Middle of the view on the screen, in points.
    pub centre: Pos2,
    /// Film point that lies there, in film pixels.
    pub middle: Pos2,
    /// Points a film pixel, above 0.
    pub scale: f32,
    /// How the film is turned.
    pub orientation: Orientation,
}

impl Projection {
    /// Returns where a film point, in film pixels, lies on the screen, in points.
    pub fn to_screen(self, film: Pos2) -> Pos2 {
        self.centre + self.orientation.apply(film - self.middle) * self.scale
    }

    /// Returns which film point, in film pixels, lies at a point of the screen.
    pub fn to_film(self, screen: Pos2) -> Pos2 {
        self.middle + self.orientation.undo(screen - self.centre) / self.scale
    }
}

#[cfg(test)]
mod tests {
    use egui::pos2;
    use proptest::prelude::*;

    use super::*;

    fn orientation() -> impl Strategy<Value = Orientation> {
        (0_u8..4, any::<bool>()).prop_map(|(quarters, mirrored)| Orientation { quarters, mirrored })
    }

    proptest! {
        #[test]
        fn film_to_screen_and_back_is_where_it_was(
            orientation in orientation(), scale in 0.02_f32..40.0,
            cx in 0_f32..2560.0, cy in 0_f32..1440.0, mx in -500_f32..4000.0, my in -500_f32..4000.0,
            x in 0_f32..3000.0, y in 0_f32..3000.0,
        ) {
            let projection =
                Projection { centre: pos2(cx, cy), middle: pos2(mx, my), scale, orientation };
            let film = pos2(x, y);
            let screen = projection.to_screen(film);
            prop_assert!((projection.to_film(screen) - film).length() < 0.05);
            // Turning neither stretches nor shrinks.
            let length = (screen - projection.centre).length();
            prop_assert!((length - (film - projection.middle).length() * scale).abs() < 0.01 * length + 0.01);
            prop_assert!((projection.to_film(projection.centre) - projection.middle).length() < 1e-3);
        }

        #[test]
        fn turns_undo_each_other_on_the_screen(orientation in orientation(), x in -9_f32..9.0, y in -9_f32..9.0) {
            let film = vec2(x, y);
            let screen = orientation.apply(film);
            prop_assert_eq!(orientation.rotated(1).rotated(-1), orientation);
            prop_assert_eq!(orientation.rotated(4), orientation);
            prop_assert_eq!(orientation.flipped_across().flipped_across(), orientation);
            prop_assert_eq!(orientation.flipped_down().flipped_down(), orientation);
            prop_assert_eq!(orientation.flipped_across().apply(film), vec2(-screen.x, screen.y));
            prop_assert_eq!(orientation.flipped_down().apply(film), vec2(screen.x, -screen.y));
            // Clockwise on a screen whose y grows downwards.
            prop_assert_eq!(orientation.rotated(1).apply(film), vec2(-screen.y, screen.x));
        }
    }

    #[test]
    fn a_film_that_is_turned_in_any_way_says_so() {
        let mut words = std::collections::BTreeSet::new();
        for quarters in 0..4 {
            for mirrored in [false, true] {
                let orientation = Orientation { quarters, mirrored };
                let said = orientation.words();
                assert_eq!(said.is_none(), orientation == Orientation::default());
                assert_eq!(said.is_some_and(|said| said.starts_with("Mirrored")), mirrored);
                words.insert(said);
            }
        }
        assert_eq!(words.len(), 8, "two ways read the same");
    }
}
