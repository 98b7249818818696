//! A confusion matrix as data: the window draws it, and it is written as SVG and CSV.

use std::error::Error;

use anyhow::anyhow;
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, FontTransform, IntoFont, RGBColor, WHITE};

use super::{file_stem, table};

/// Edge of a cell and margin for the names, in pixels.
const CELL: i32 = 150;
const MARGIN: i32 = 60;

/// Films by what they are and by what they are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// What it shows, as a heading and in the name of a file.
    pub title: String,
    /// The classes.
    pub names: Vec<String>,
    /// A row a class that films have, with the number of those called each class.
    pub counts: Vec<Vec<usize>>,
    /// What it was counted on.
    pub note: String,
}

impl Matrix {
    /// Writes every number: the class films have, the class they are called, how many.
    pub fn csv(&self) -> String {
        let rows = self.names.iter().zip(&self.counts).flat_map(|(truth, row)| {
            let called = self.names.iter().zip(row);
            called.map(move |(called, films)| [truth.clone(), called.clone(), films.to_string()])
        });
        table(["truth", "called", "films"], rows)
    }

    /// Returns a name for a file of it.
    pub fn file_stem(&self) -> String {
        file_stem(&self.title)
    }

    /// Draws it, dark on white.
    ///
    /// # Errors
    /// Fails if the picture cannot be drawn.
    pub fn svg(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        self.draw(&mut text).map_err(|fault| anyhow!("the matrix cannot be drawn: {fault}"))?;
        Ok(text)
    }

    fn draw(&self, text: &mut String) -> Result<(), Box<dyn Error>> {
        let side = CELL * self.names.len() as i32;
        let size = ((side + MARGIN + 12) as u32, (side + 2 * MARGIN + 24) as u32);
        let root = SVGBackend::with_string(text, size).into_drawing_area();
        root.fill(&WHITE)?;
        let centred = Pos::new(HPos::Center, VPos::Center);
        let words = ("sans-serif", 14).into_font().color(&BLACK).pos(centred);
        let figure = ("sans-serif", 22).into_font().color(&BLACK).pos(centred);
        let middle = |place: usize| CELL * place as i32 + CELL / 2;
        let heading = ("sans-serif", 17).into_font().color(&BLACK).pos(centred);
        root.draw(&Text::new(self.title.clone(), (MARGIN + side / 2, MARGIN / 2), heading))?;
        for (truth, row) in self.counts.iter().enumerate() {
            let total = row.iter().sum::<usize>().max(1);
            for (called, &films) in row.iter().enumerate() {
                let (left, top) = (MARGIN + CELL * called as i32, MARGIN + CELL * truth as i32);
                let share = films as f64 / total as f64;
                let ground = RGBColor(0, 114, 178).mix(0.4 * share);
                let cell = [(left, top), (left + CELL - 2, top + CELL - 2)];
                root.draw(&Rectangle::new(cell, BLACK.mix(0.04).filled()))?;
                root.draw(&Rectangle::new(cell, ground.filled()))?;
                let (x, y) = (left + CELL / 2, top + CELL / 2);
                root.draw(&Text::new(films.to_string(), (x, y - 10), figure.clone()))?;
                let of = format!("{:.1} % of {total}", 100.0 * share);
                root.draw(&Text::new(of, (x, y + 14), words.clone()))?;
            }
            let name = self.names[truth].clone();
            let upwards = ("sans-serif", 14).into_font().transform(FontTransform::Rotate270);
            let at = (MARGIN / 2, MARGIN + middle(truth));
            root.draw(&Text::new(name.clone(), at, upwards.color(&BLACK).pos(centred)))?;
            let below = (MARGIN + middle(truth), MARGIN + side + 14);
            root.draw(&Text::new(format!("called {name}"), below, words.clone()))?;
        }
        let note = (MARGIN + side / 2, side + 2 * MARGIN);
        let small = ("sans-serif", 12).into_font().color(&BLACK.mix(0.7)).pos(centred);
        root.draw(&Text::new(self.note.clone(), note, small))?;
        root.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_both_files() {
        let matrix = Matrix {
            title: "Confusion at the threshold".to_owned(),
            names: vec!["normal".to_owned(), "\"other\" <2>".to_owned()],
            counts: vec![vec![31, 4], vec![0, 65]],
            note: "n = 100".to_owned(),
        };
        let text = matrix.csv();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<Vec<String>> =
            reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[1], ["normal", "\"other\" <2>", "4"]);
        let picture = matrix.svg().unwrap();
        for words in [">\n31\n<", "called normal", "88.6 % of 35", "100.0 % of 65", "&lt;2&gt;"] {
            assert!(picture.contains(words), "{words:?} is missing in {picture}");
        }
        assert_eq!(matrix.file_stem(), "confusion-at-the-threshold");
    }
}
