//! Histograms of oriented gradients (Dalal and Triggs, "Histograms of oriented gradients for human detection", 2005).

use super::Plane;

/// Edge of the plane, in pixels, that the linear floor is computed on: 1,764 values.
pub const HOG_EDGE: u32 = 64;

/// Columns and rows of a cell.
const CELL: usize = 8;
/// Orientations that a half turn is divided into.
const BINS: usize = 9;
/// Columns and rows of cells in a block.
const BLOCK: usize = 2;
/// Keeps a block without gradients from a division by zero.
const EPSILON: f64 = 1e-5;
/// Greatest value of a block after its first normalisation.
const CLIP: f64 = 0.2;

/// Describes a plane by the directions of its edges: cells of 8×8 pixels with 9 unsigned orientations, in overlapping
/// blocks of 2×2 cells that are normalised by L2-Hys.
///
/// `(width / 8 - 1) * (height / 8 - 1) * 36` values, block by block from the top left; none if there is no whole block.
/// These are the numbers of scikit-image's `feature.hog` (0.26): central differences that are 0 at the border, and each
/// pixel's whole magnitude in one bin.
pub fn hog(plane: &Plane) -> Vec<f32> {
    let (columns, rows) = (plane.width as usize / CELL, plane.height as usize / CELL);
    let cells = cells(plane, columns, rows);
    let mut out = Vec::new();
    for top in 0..(rows + 1).saturating_sub(BLOCK) {
        for left in 0..(columns + 1).saturating_sub(BLOCK) {
            let of_row = |row: usize| &cells[(row * columns + left) * BINS..][..BLOCK * BINS];
            let mut block: Vec<f64> = (top..top + BLOCK)
                .flat_map(of_row)
                .map(|&value| value / (CELL * CELL) as f64)
                .collect();
            normalise(&mut block);
            for value in &mut block {
                *value = value.min(CLIP);
            }
            normalise(&mut block);
            out.extend(block.into_iter().map(|value| value as f32));
        }
    }
    out
}

fn normalise(block: &mut [f64]) {
    let squares: f64 = block.iter().map(|value| value * value).sum();
    let length = (squares + EPSILON * EPSILON).sqrt();
    for value in block {
        *value /= length;
    }
}

/// Sums the magnitudes of each cell's gradients by orientation: rows x columns x bins.
fn cells(plane: &Plane, columns: usize, rows: usize) -> Vec<f64> {
    let (width, height) = (plane.width as usize, plane.height as usize);
    let value = |x: usize, y: usize| f64::from(plane.pixels[y * width + x]);
    let mut cells = vec![0.0; columns * rows * BINS];
    for y in 0..rows * CELL {
        for x in 0..columns * CELL {
            let inside = |place: usize, end: usize| place > 0 && place + 1 < end;
            let across = if inside(x, width) { value(x + 1, y) - value(x - 1, y) } else { 0.0 };
            let down = if inside(y, height) { value(x, y + 1) - value(x, y - 1) } else { 0.0 };
            let degrees = down.atan2(across).to_degrees().rem_euclid(180.0);
            // A remainder just below 0 rounds up to 180 itself.
            let bin = (degrees / 180.0 * BINS as f64) as usize % BINS;
            cells[(y / CELL * columns + x / CELL) * BINS + bin] += across.hypot(down);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-image 0.26.0, made by `tests/golden/hog.py`.
    #[test]
    fn values_match_scikit_image() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/hog.json")).unwrap();
        for case in golden.as_array().unwrap() {
            let side = |key: &str| case[key].as_u64().unwrap() as u32;
            let (width, height) = (side("width"), side("height"));
            let value = |i: u32| {
                let (x, y) = (i % width, i / width);
                ((7 * x * x + 13 * y + 3 * x * y) % 251) as f32 / 250.0
            };
            let plane = Plane { width, height, pixels: (0..width * height).map(value).collect() };
            let found = hog(&plane);
            assert_eq!(found.len(), case["length"].as_u64().unwrap() as usize);
            let expected = case["values"].as_array().unwrap();
            assert_eq!(expected.len(), found.len().div_ceil(7));
            for (found, expected) in found.iter().step_by(7).zip(expected) {
                let expected = expected.as_f64().unwrap() as f32;
                assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
        }
    }

    #[test]
    fn a_plane_without_edges_or_without_a_block_gives_nothing() {
        let grey = Plane { width: 64, height: 64, pixels: vec![0.3; 64 * 64] };
        assert_eq!(hog(&grey), vec![0.0; 1764]);
        for (width, height) in [(0, 0), (15, 64), (64, 8)] {
            let small = Plane { width, height, pixels: vec![0.3; (width * height) as usize] };
            assert!(hog(&small).is_empty());
        }
    }
}
