//! Saving charts: SVG and CSV from their data, PNG as they are on screen; into the folder `plots` of the session.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{ColorImage, Context, Rect};
use parking_lot::Mutex;

use crate::chart::{Chart, Matrix, svg};
use crate::fsutil;

/// What a chart is saved as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedAs {
    /// Dark on white, for papers.
    Svg,
    /// As it is on screen.
    Png,
    /// Every number in it.
    Csv,
}

impl SavedAs {
    /// Returns the words on the button.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Svg => "Save as SVG",
            Self::Png => "Save as PNG, as on screen",
            Self::Csv => "Save as CSV",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Csv => "csv",
        }
    }
}

/// What is saved.
pub enum Drawn {
    /// A chart.
    Chart(Chart),
    /// A confusion matrix.
    Matrix(Matrix),
}

impl Drawn {
    fn file_stem(&self) -> String {
        match self {
            Self::Chart(chart) => chart.file_stem(),
            Self::Matrix(matrix) => matrix.file_stem(),
        }
    }

    fn csv(&self) -> String {
        match self {
            Self::Chart(chart) => chart.csv(),
            Self::Matrix(matrix) => matrix.csv(),
        }
    }

    fn svg(&self) -> anyhow::Result<String> {
        match self {
            Self::Chart(chart) => svg(chart),
            Self::Matrix(matrix) => matrix.svg(),
        }
    }
}

/// A chart to be photographed, once nothing lies over it.
struct Wanted {
    path: PathBuf,
    rect: Rect,
    /// Passes that are still to go by.
    passes: u32,
}

/// Saves charts on a thread of their own and knows what came of the last one.
#[derive(Default)]
pub struct Saving {
    folder: PathBuf,
    wanted: Option<Wanted>,
    outcome: Arc<Mutex<Option<Result<PathBuf, String>>>>,
}

impl Saving {
    /// Saves into a folder, which is made when it is needed.
    pub fn into(folder: PathBuf) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Returns where the last chart was saved, or why it was not.
    pub fn outcome(&self) -> Option<Result<PathBuf, String>> {
        self.outcome.lock().clone()
    }

    /// Saves what lies in `rect`, in points.
    pub fn ask(&mut self, ctx: &Context, drawn: Drawn, format: SavedAs, rect: Rect) {
        let path = free(&self.folder, &drawn.file_stem(), format.extension());
        match format {
            SavedAs::Png => {
                // The menu fades.
                self.wanted = Some(Wanted { path, rect, passes: 20 });
                ctx.request_repaint();
            }
            SavedAs::Csv => self.write(ctx, path, move || Ok(drawn.csv().into_bytes())),
            SavedAs::Svg => {
                let draw = move || drawn.svg().map(String::into_bytes);
                self.write(ctx, path, move || draw().map_err(|error| format!("{error:#}")));
            }
        }
    }

    /// Takes the picture that is wanted, when its time has come; called once a pass.
    pub fn photograph(&mut self, ctx: &Context) {
        let Some(wanted) = &mut self.wanted else { return };
        ctx.request_repaint();
        if wanted.passes > 0 {
            wanted.passes -= 1;
            return;
        }
        let Some(Wanted { path, rect, .. }) = self.wanted.take() else { return };
        let (scale, outcome, wake) =
            (ctx.pixels_per_point(), Arc::clone(&self.outcome), ctx.clone());
        ctx.request_screenshot(move |picture: Arc<ColorImage>| {
            let encode = move || png(&picture, rect, scale);
            start(&wake, outcome, path, encode);
        });
    }

    fn write(
        &self,
        ctx: &Context,
        path: PathBuf,
        make: impl FnOnce() -> Result<Vec<u8>, String> + Send + 'static,
    ) {
        start(ctx, Arc::clone(&self.outcome), path, make);
    }
}

/// Makes the bytes of a file and writes them, on a thread.
fn start(
    ctx: &Context,
    outcome: Arc<Mutex<Option<Result<PathBuf, String>>>>,
    path: PathBuf,
    make: impl FnOnce() -> Result<Vec<u8>, String> + Send + 'static,
) {
    let ctx = ctx.clone();
    let kept = Arc::clone(&outcome);
    let work = move || {
        let written = make().and_then(|bytes| {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            fsutil::write_atomic(&path, &bytes).map_err(|error| error.to_string())
        });
        *outcome.lock() = Some(written.map(|()| path));
        ctx.request_repaint();
    };
    if let Err(error) = std::thread::Builder::new().name("plot".to_owned()).spawn(work) {
        *kept.lock() = Some(Err(error.to_string()));
    }
}

/// Returns a file that is not there yet: earlier pictures stay.
fn free(folder: &Path, stem: &str, extension: &str) -> PathBuf {
    let name = |turn: u32| match turn {
        1 => folder.join(format!("{stem}.{extension}")),
        turn => folder.join(format!("{stem}-{turn}.{extension}")),
    };
    (1..10_000).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(1))
}

/// Cuts a part out of a picture of the window.
fn png(picture: &ColorImage, rect: Rect, scale: f32) -> Result<Vec<u8>, String> {
    let (corner, size) = pixels(rect, scale, picture.size);
    if size.contains(&0) {
        return Err("the plot is not in sight".to_owned());
    }
    let part = picture.region_by_pixels(corner, size);
    let rgb: Vec<u8> =
        part.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect();
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_raw(size[0] as u32, size[1] as u32, rgb)
        .ok_or("the picture is not whole")?
        .write_to(&mut bytes, image::ImageFormat::Png)
        .map_err(|error| error.to_string())?;
    Ok(bytes.into_inner())
}

/// Returns where a part of the window lies in a picture of it.
fn pixels(rect: Rect, scale: f32, size: [usize; 2]) -> ([usize; 2], [usize; 2]) {
    let at = |value: f32, most: usize| ((value * scale).round().max(0.0) as usize).min(most);
    let (left, top) = (at(rect.left(), size[0]), at(rect.top(), size[1]));
    let (right, bottom) = (at(rect.right(), size[0]), at(rect.bottom(), size[1]));
    ([left, top], [right - left, bottom - top])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_was_asked_for_is_in_the_picture() {
        let mut picture = ColorImage::filled([40, 30], crate::ui::theme::FILM);
        picture.pixels[12 * 40 + 21] = crate::ui::theme::DARK.accent;
        let rect = Rect::from_min_max(egui::pos2(10.0, 5.0), egui::pos2(20.0, 15.0));
        let bytes = png(&picture, rect, 2.0).unwrap();
        let read = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(read.dimensions(), (20, 20));
        let accent = crate::ui::theme::DARK.accent;
        assert_eq!(read.get_pixel(1, 2).0, [accent.r(), accent.g(), accent.b()]);
        let outside = Rect::from_min_max(egui::pos2(90.0, 90.0), egui::pos2(99.0, 99.0));
        assert!(png(&picture, outside, 2.0).is_err());
    }

    #[test]
    fn earlier_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let first = free(folder.path(), "roc", "svg");
        fsutil::write_atomic(&first, b"x").unwrap();
        let second = free(folder.path(), "roc", "svg");
        assert!(second.ends_with("roc-2.svg") && first.ends_with("roc.svg"));
    }

    #[test]
    fn a_plot_is_cut_out_where_it_lies() {
        let rect = Rect::from_min_max(egui::pos2(10.0, 20.0), egui::pos2(110.0, 70.0));
        assert_eq!(pixels(rect, 2.0, [400, 400]), ([20, 40], [200, 100]));
        assert_eq!(
            pixels(rect, 2.0, [100, 50]),
            ([20, 40], [80, 10]),
            "beyond the picture is nothing"
        );
    }
}
