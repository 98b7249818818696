//! Charts as data: the window draws them, and they are written as SVG, and as CSV with every number that is drawn.

mod matrix;
mod svg;

pub use matrix::Matrix;
pub use svg::svg;

/// A figure over another, of one or several sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What it shows, as a heading and in the name of a file.
    pub title: String,
    /// The axis across.
    pub x: Axis,
    /// The axis upwards.
    pub y: Axis,
    /// What is drawn, the first at the back.
    pub series: Vec<Series>,
    /// What its figures were counted on and how its intervals were made.
    pub note: String,
}

/// An axis with its ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// What it measures, with the unit.
    pub title: String,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Points that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Source of the figures, for the legend.
    pub name: String,
    /// Colour.
    pub tint: Tint,
    /// How it is drawn.
    pub shape: Shape,
    /// Films that its figures were counted on, which say how many digits they have; 0 where that does not apply.
    pub n: usize,
    /// The points, in order.
    pub points: Vec<Point>,
}

/// A point with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Place across.
    pub x: f64,
    /// Value.
    pub y: f64,
    /// Lower and upper end of its 95 % interval, where it has one.
    pub interval: Option<(f64, f64)>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A line with its interval as a band.
    Line,
    /// A dashed line with its interval as a band.
    Dashed,
    /// Dots with their intervals as bars.
    Dots,
    /// Dots beside those of the other series that are drawn so: equal values at one place are all seen.
    Abreast,
    /// A line upwards at each point, over the whole height.
    Rules,
}

/// Colours that are told apart by colour-blind readers too (Okabe and Ito 2008); each ground has its own shades of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tint {
    /// Blue.
    Blue,
    /// Orange.
    Orange,
    /// Green.
    Green,
    /// Pink.
    Pink,
    /// Red.
    Red,
    /// Grey, for what stands behind.
    Grey,
}

impl Point {
    /// A point without an interval.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y, interval: None }
    }

    /// A point with its interval.
    pub const fn within(x: f64, y: f64, low: f64, high: f64) -> Self {
        Self { x, y, interval: Some((low, high)) }
    }
}

impl Axis {
    /// An axis between two ends.
    pub fn new(title: impl Into<String>, low: f64, high: f64) -> Self {
        Self { title: title.into(), low, high }
    }
}

impl Chart {
    /// Writes every number: series, x, y and the ends of the interval, empty where there is none.
    pub fn csv(&self) -> String {
        let rows = self.series.iter().flat_map(|series| {
            series.points.iter().map(|Point { x, y, interval }| {
                let end = |end: Option<f64>| end.map_or_else(String::new, |end| end.to_string());
                let (low, high) = (interval.map(|ends| ends.0), interval.map(|ends| ends.1));
                [series.name.clone(), x.to_string(), y.to_string(), end(low), end(high)]
            })
        });
        table(["series", "x", "y", "low", "high"], rows)
    }

    /// Returns how far from its place across a series is drawn, in the unit of that axis.
    pub fn shift(&self, series: &Series) -> f64 {
        let beside = |other: &&Series| other.shape == Shape::Abreast && !other.points.is_empty();
        let names = || self.series.iter().filter(beside).map(|other| &other.name);
        let Some(place) = names().position(|name| *name == series.name) else { return 0.0 };
        let from_the_middle = place as f64 - (names().count() - 1) as f64 / 2.0;
        from_the_middle * 0.015 * (self.x.high - self.x.low)
    }

    /// Returns a name for a file of it.
    pub fn file_stem(&self) -> String {
        file_stem(&self.title)
    }
}

/// Returns a title in lower-case letters, digits and hyphens.
fn file_stem(title: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = title.chars().map(plain).collect();
    name.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Writes a table as CSV.
fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    _ = table.write_record(header);
    for row in rows {
        _ = table.write_record(row);
    }
    String::from_utf8(table.into_inner().unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn chart() -> Chart {
        Chart {
            title: "Accuracy, over labels".to_owned(),
            x: Axis::new("Labels", 0.0, 50.0),
            y: Axis::new("Accuracy", 0.5, 1.0),
            series: vec![
                Series {
                    name: "Reference films <1> & \"two\"".to_owned(),
                    tint: Tint::Blue,
                    shape: Shape::Line,
                    n: 200,
                    points: vec![
                        Point::within(10.0, 0.8, 0.7, 0.9),
                        Point::within(40.0, 0.9, 0.8, 0.95),
                    ],
                },
                Series {
                    name: "Random".to_owned(),
                    tint: Tint::Grey,
                    shape: Shape::Dots,
                    n: 30,
                    points: vec![Point::new(20.0, 0.75), Point::within(30.0, 0.8, 0.6, 0.9)],
                },
                Series {
                    name: "New model".to_owned(),
                    tint: Tint::Orange,
                    shape: Shape::Rules,
                    n: 0,
                    points: vec![Point::new(25.0, 0.0)],
                },
            ],
            note: "n = 200; Wilson intervals".to_owned(),
        }
    }

    #[test]
    fn the_table_holds_every_number_and_reads_back() {
        let text = chart().csv();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 5);
        assert_eq!(&rows[0][0], "Reference films <1> & \"two\"");
        assert_eq!((&rows[1][1], &rows[1][2], &rows[1][4]), ("40", "0.9", "0.95"));
        assert_eq!((&rows[2][3], &rows[2][4]), ("", ""));
        assert_eq!(chart().file_stem(), "accuracy-over-labels");
    }
}
