//! Contrast-limited adaptive histogram equalisation.

/// Tiles along each side.
const TILES: usize = 8;
/// Levels of grey between which a tile's histogram counts; fewer bins than this are in use.
const GREYS: usize = 1 << 14;
/// Bins of a histogram.
const BINS: usize = 256;
/// Levels of grey that share a bin.
const BIN: usize = 1 + GREYS / BINS;

/// Equalises brightness tile by tile, 8 × 8 of them, and blends between tiles; returns values in `0..=1`, the darkest
/// 0 and the brightest 1.
///
/// `values` are `width` columns and as many rows as they fill. `clip` in `0..=1` is the share of a tile's pixels that
/// one of its 256 grey bins may hold, what is above it is spread over all bins; 0.01 is usual, more gives more contrast
/// and noise.
///
/// Source: K. Zuiderveld, *Contrast limited adaptive histogram equalization*, Graphics Gems IV, 1994, in the form of
/// scikit-image 0.26 (`equalize_adapthist`), which reflects the picture at its borders and clips until nothing is above
/// the limit; values agree with it to one level of grey in 16,384.
///
/// Not for diagnosis: the same value is dark here and bright there, and noise in flat parts looks like structure.
pub fn clahe(values: &[u16], width: usize, clip: f32) -> Vec<f32> {
    let height = values.len().checked_div(width).unwrap_or(0);
    if height == 0 {
        return Vec::new();
    }
    let bins = bins(&values[..width * height]);
    let tile = [(width / TILES).max(1), (height / TILES).max(1)];
    let tiles = [width.div_ceil(tile[0]), height.div_ceil(tile[1])];
    let pixels = tile[0] * tile[1];
    let limit = ((f64::from(clip) * pixels as f64) as usize).clamp(1, pixels);
    let mut maps = Vec::with_capacity(tiles[0] * tiles[1]);
    for row in 0..tiles[1] {
        for column in 0..tiles[0] {
            let mut histogram = [0_usize; BINS];
            for y in row * tile[1]..(row + 1) * tile[1] {
                let line = reflected(y, height) * width;
                for x in column * tile[0]..(column + 1) * tile[0] {
                    histogram[usize::from(bins[line + reflected(x, width)])] += 1;
                }
            }
            limited(&mut histogram, limit);
            maps.push(equalising(&histogram, pixels));
        }
    }
    let columns: Vec<Between> = (0..width).map(|x| Between::of(x, tile[0], tiles[0])).collect();
    let mut out = Vec::with_capacity(width * height);
    for y in 0..height {
        let down = Between::of(y, tile[1], tiles[1]);
        let [upper, lower] = down.tiles.map(|row| &maps[row * tiles[0]..(row + 1) * tiles[0]]);
        for (bin, across) in bins[y * width..(y + 1) * width].iter().zip(&columns) {
            let bin = usize::from(*bin);
            let [left, right] = across.tiles;
            let mix = |row: &[[f32; BINS]]| {
                row[left][bin] * (1.0 - across.share) + row[right][bin] * across.share
            };
            out.push((mix(upper) * (1.0 - down.share) + mix(lower) * down.share).floor());
        }
    }
    stretch(&mut out);
    out
}

/// Returns the bin of each value after the values' range has been stretched over all greys.
fn bins(values: &[u16]) -> Vec<u8> {
    let low = values.iter().copied().min().unwrap_or(0);
    let high = values.iter().copied().max().unwrap_or(0);
    let span = f64::from((high - low).max(1));
    let bin = |value: u16| {
        let grey = (f64::from(value - low) / span * (GREYS - 1) as f64).round_ties_even();
        (grey as usize / BIN) as u8
    };
    let table: Vec<u8> = (low..=high).map(bin).collect();
    values.iter().map(|&value| table[usize::from(value - low)]).collect()
}

/// Returns the pixel that stands at a place beyond the far border, which is a mirror.
fn reflected(place: usize, size: usize) -> usize {
    if size == 1 {
        return 0;
    }
    let round = place % (2 * size - 2);
    round.min(2 * size - 2 - round)
}

/// Cuts a histogram off at a limit and spreads what was above it evenly over bins below.
fn limited(histogram: &mut [usize; BINS], limit: usize) {
    let above: usize = histogram.iter().map(|count| count.saturating_sub(limit)).sum();
    let each = above / BINS;
    let mut left = above as i64;
    for count in histogram.iter_mut() {
        *count = (*count).min(limit);
        if *count + each < limit {
            left -= each as i64;
            *count += each;
        }
        if *count + each >= limit && *count < limit {
            left -= (limit - *count) as i64;
            *count = limit;
        }
    }
    // The rest goes out one by one, in strides that reach over the whole histogram.
    while left > 0 {
        let before = left;
        for start in 0..BINS {
            let open = histogram.iter().filter(|&&count| count < limit).count();
            let stride = (open as i64 / left).max(1) as usize;
            for count in histogram.iter_mut().skip(start).step_by(stride) {
                if *count < limit {
                    *count += 1;
                    left -= 1;
                }
            }
            if left <= 0 {
                break;
            }
        }
        if left == before {
            break;
        }
    }
}

/// Returns the grey of each bin that spreads a tile's pixels evenly.
fn equalising(histogram: &[usize; BINS], pixels: usize) -> [f32; BINS] {
    let white = (GREYS - 1) as f64;
    let mut passed = 0;
    histogram.map(|count| {
        passed += count;
        (passed as f64 * (white / pixels as f64)).min(white).floor() as f32
    })
}

/// The two tiles between whose middles a pixel lies, and the share of the second.
struct Between {
    tiles: [usize; 2],
    share: f32,
}

impl Between {
    fn of(place: usize, tile: usize, tiles: usize) -> Self {
        let place = place + tile / 2;
        let second = place / tile;
        Self {
            tiles: [second.saturating_sub(1), second.min(tiles - 1)],
            share: (place % tile) as f32 / tile as f32,
        }
    }
}

fn stretch(values: &mut [f32]) {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let span = (high - low).max(f32::MIN_POSITIVE);
    for value in values {
        *value = (*value - low) / span;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize) -> Vec<u16> {
        let value =
            |x: usize, y: usize| ((x * x * 7 + y * 131 + x * y * 3) * 5 % 40_000 + 900) as u16;
        (0..width * height).map(|i| value(i % width, i / width)).collect()
    }

    #[test]
    fn values_are_those_of_scikit_image() {
        // equalize_adapthist(picture, kernel_size=(h // 8, w // 8), clip_limit=…), scikit-image 0.26.0, at (0, 0),
        // (w/3, h/4), (w/2, h/2), three corners, (2w/3, h-3), (5, h/2), and the mean.
        for (width, height, clip, golden, mean) in [
            (
                61,
                47,
                0.01,
                [0.0214, 0.65701, 0.46541, 0.25161, 0.49339, 1.0, 0.87739, 0.67921],
                0.55245,
            ),
            (
                128,
                96,
                0.01,
                [6e-5, 0.28793, 0.57979, 0.11522, 0.51831, 0.25137, 0.83895, 1.0],
                0.529_362,
            ),
            (
                128,
                96,
                0.03,
                [0.0183, 0.28003, 0.51429, 0.1175, 0.40469, 0.19583, 0.81262, 0.80154],
                0.502_25,
            ),
        ] {
            let made = clahe(&picture(width, height), width, clip);
            let places = [
                (0, 0),
                (width / 3, height / 4),
                (width / 2, height / 2),
                (width - 1, 0),
                (0, height - 1),
                (width - 1, height - 1),
                (width * 2 / 3, height - 3),
                (5, height / 2),
            ];
            for ((x, y), golden) in places.into_iter().zip(golden) {
                let value = made[y * width + x];
                assert!(
                    (value - golden).abs() < 1.5e-4,
                    "{width} {clip} at {x}, {y}: {value} {golden}"
                );
            }
            let own = made.iter().map(|&v| f64::from(v)).sum::<f64>() / made.len() as f64;
            assert!((own - mean).abs() < 1e-4, "mean {own} {mean}");
        }
    }

    #[test]
    fn the_smallest_and_the_flattest_pictures_pass() {
        for (width, height) in [(1, 1), (1, 9), (9, 1), (3, 2), (17, 8)] {
            let made = clahe(&picture(width, height), width, 0.01);
            assert_eq!(made.len(), width * height);
            assert!(made.iter().all(|value| (0.0..=1.0).contains(value)));
        }
        assert!(clahe(&[700; 64], 8, 0.01).iter().all(|value| value.is_finite()));
        assert!(clahe(&[], 0, 0.01).is_empty() && clahe(&[3], 2, 0.5).is_empty());
    }
}
