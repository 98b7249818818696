//! What of the films lies on the graphics card.

use std::collections::BTreeMap;
use std::sync::Arc;

use egui::{
    Color32, ColorImage, Context, Mesh, Painter, Pos2, Shape, TextureHandle, TextureOptions, pos2,
};

use super::display::Shown;
use super::geometry::Projection;
use crate::imaging::DisplayTable;
use crate::ui::film_loader::LoadedFilm;

struct Painted {
    shown: Shown,
    texture: TextureHandle,
}

/// Textures of films by their rows, and the memory with which they are drawn.
#[derive(Default)]
pub struct Textures {
    painted: BTreeMap<usize, Painted>,
    table: DisplayTable,
    pixels: Buffers,
}

impl Textures {
    /// Returns whether a film has a texture.
    pub fn contains(&self, row: usize) -> bool {
        self.painted.contains_key(&row)
    }

    /// Returns what a film's texture shows.
    #[cfg(test)]
    pub fn shown(&self, row: usize) -> Option<&Shown> {
        self.painted.get(&row).map(|painted| &painted.shown)
    }

    /// Forgets the textures of all films but these.
    pub fn keep(&mut self, rows: &[usize]) {
        self.painted.retain(|row, _| rows.contains(row));
    }

    /// Draws a part of a film and uploads it, unless that is what its texture shows; returns whether it was drawn.
    pub fn paint(&mut self, ctx: &Context, row: usize, film: &LoadedFilm, shown: Shown) -> bool {
        if self.painted.get(&row).is_some_and(|painted| painted.shown == shown) {
            return false;
        }
        let level = &film.levels[shown.level];
        self.table.set(level, &shown.view, shown.invert);
        let mut pixels = self.pixels.take();
        self.table.render(level, shown.part, Color32::from_gray, &mut pixels);
        let [_, _, width, height] = shown.part;
        let image = Arc::new(ColorImage::new([width, height], pixels));
        self.pixels.give(&image);
        let options = if shown.squares { TextureOptions::NEAREST } else { TextureOptions::LINEAR };
        if let Some(painted) = self.painted.get_mut(&row) {
            painted.shown = shown;
            painted.texture.set(image, options);
        } else {
            let texture = ctx.load_texture(format!("film {row}"), image, options);
            self.painted.insert(row, Painted { shown, texture });
        }
        true
    }

    /// Draws a film's texture where a projection lays it.
    pub fn draw(&self, painter: &Painter, row: usize, projection: &Projection) {
        let Some(Painted { shown, texture }) = self.painted.get(&row) else { return };
        let factor = (1 << shown.level) as f32;
        let [x, y, width, height] = shown.part.map(|pixels| pixels as f32 * factor);
        let mut mesh = Mesh::with_texture(texture.id());
        // The last column of a halved odd film reaches half a pixel beyond it: no one can see that.
        for (across, down) in [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)] {
            let place = projection.to_screen(Pos2::new(x + across * width, y + down * height));
            mesh.vertices.push(egui::epaint::Vertex {
                pos: place,
                uv: pos2(across, down),
                color: Color32::WHITE,
            });
        }
        mesh.add_triangle(0, 1, 2);
        mesh.add_triangle(0, 2, 3);
        painter.add(Shape::mesh(mesh));
    }
}

/// Memory of pictures that have been uploaded, to draw the next ones into: a drag draws some fifty a second.
#[derive(Default)]
struct Buffers(Vec<Arc<ColorImage>>);

impl Buffers {
    /// Pictures that may wait for their upload at once.
    const MOST: usize = 3;

    /// Returns the memory of a picture that nothing needs any more, or none.
    fn take(&mut self) -> Vec<Color32> {
        for place in 0..self.0.len() {
            if let Some(image) = Arc::get_mut(&mut self.0[place]) {
                let pixels = std::mem::take(&mut image.pixels);
                self.0.swap_remove(place);
                return pixels;
            }
        }
        Vec::new()
    }

    fn give(&mut self, image: &Arc<ColorImage>) {
        if self.0.len() < Self::MOST {
            self.0.push(Arc::clone(image));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_once_a_picture_is_uploaded() {
        let mut buffers = Buffers::default();
        let picture = || Arc::new(ColorImage::new([2, 2], vec![Color32::BLACK; 4]));
        let (first, second) = (picture(), picture());
        buffers.give(&first);
        buffers.give(&second);
        assert_eq!(buffers.take().capacity(), 0, "the picture is still in use");
        drop(second);
        assert_eq!(buffers.take().len(), 4);
        assert_eq!(buffers.take().capacity(), 0);
    }
}
