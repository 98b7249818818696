//! The charts of a session: series that the window and the report draw alike, and all charts of a report, which knows the log
//! alone.

use super::{AuditStream, Checkpoint, reading_minutes};
use crate::chart::{Axis, Chart, Point, Series, Shape, Tint};
use crate::learn::figures::Figure;
use crate::learn::metrics::{Estimate, positive_class, wilson};
use crate::learn::operating_point::{RocPoint, roc_curve};
use crate::learn::reliability::{ReliabilityBin, reliability};
use crate::session::{self, Event, Snapshot};

/// Bins of the reliability diagram.
pub const BINS: usize = 10;
/// Films of the random stream below which its ROC and reliability say nothing.
const FEWEST: usize = 20;

/// The charts, and the figures of the random stream as it ended.
pub struct Charts {
    /// What there is to be drawn.
    pub charts: Vec<Chart>,
    /// The stream's last figures.
    pub stream: Option<Checkpoint>,
}

/// Collects the charts of a session.
pub fn charts(snapshot: &Snapshot) -> Charts {
    let classes: Vec<String> = snapshot.header.classes.iter().map(|c| c.name.clone()).collect();
    let positive = positive_class(&classes);
    let stream = AuditStream::of(&snapshot.state);
    let course = stream.curve(classes.len(), positive);
    let minutes = reading_minutes(&snapshot.state);
    let mut charts = Vec::new();
    for (figure, minutes) in
        [(Figure::Accuracy, None), (Figure::Auroc, None), (Figure::Accuracy, Some(&*minutes))]
    {
        charts.extend(over(snapshot, &course, Curve { figure, minutes }));
    }
    if stream.held.truth.len() >= FEWEST {
        let scores = stream.held.probabilities.iter().skip(positive).step_by(classes.len());
        let scores: Vec<f32> = scores.copied().collect();
        let is_positive: Vec<bool> = stream.held.truth.iter().map(|&c| c == positive).collect();
        charts.extend(roc(&scores, &is_positive, &classes[positive]));
        charts.push(diagram(&scores, &is_positive, &classes[positive]));
    }
    Charts { charts, stream: course.last().copied() }
}

/// A figure over labels or, where they are given, over minutes of reading.
#[derive(Clone, Copy, Debug)]
pub struct Curve<'a> {
    /// The figure.
    pub figure: Figure,
    /// Minutes of reading for the first 0, 1, 2 … labels.
    pub minutes: Option<&'a [f64]>,
}

impl Curve<'_> {
    /// Returns the place of a number of labels on the axis across.
    pub fn across(self, labels: usize) -> f64 {
        let minutes = self.minutes.and_then(|minutes| minutes.get(labels).or(minutes.last()));
        minutes.copied().unwrap_or(labels as f64)
    }

    /// Returns the title of the axis across.
    pub fn axis(self) -> &'static str {
        if self.minutes.is_some() { "Minutes of reading" } else { "Labels" }
    }

    /// Draws figures on the way through a session.
    pub fn series(self, name: String, tint: Tint, shape: Shape, points: &[Checkpoint]) -> Series {
        let at = |point: &Checkpoint| {
            let Estimate { value, low, high } = point.figures.get(self.figure)?;
            Some(Point::within(self.across(point.labels), value, low, high))
        };
        let n = points.last().map_or(0, |point| point.figures.n);
        Series { name, tint, shape, n, points: points.iter().filter_map(at).collect() }
    }

    /// Draws the random stream.
    pub fn stream(self, course: &[Checkpoint]) -> Series {
        let n = course.last().map_or(0, |point| point.figures.n);
        self.series(stream_name(n), Tint::Orange, Shape::Line, course)
    }

    /// Draws the model in use as it was measured: accuracy with Wilson's interval, AUROC without one, as the log has none.
    pub fn live(self, measured: &[session::Point]) -> Option<Series> {
        let n = measured.last()?.n;
        let at = |point: &session::Point| {
            let x = self.across(point.labels);
            match self.figure {
                Figure::Accuracy => {
                    let correct = (f64::from(point.accuracy) * point.n as f64).round() as usize;
                    let Estimate { value, low, high } = wilson(correct, point.n);
                    Some(Point::within(x, value, low, high))
                }
                Figure::Auroc => Some(Point::new(x, f64::from(point.auroc))),
                _ => None,
            }
        };
        let points: Vec<Point> = measured.iter().filter_map(at).collect();
        let name = format!("Reference films, model in use (n = {n})");
        let (tint, shape) = (Tint::Blue, Shape::Line);
        (!points.is_empty()).then_some(Series { name, tint, shape, n, points })
    }

    /// Draws where a model was taken into use, above this height.
    pub fn swap(self, model: &str, labels: usize, low: f64) -> Series {
        Series {
            name: format!("New model {model}"),
            tint: Tint::Pink,
            shape: Shape::Rules,
            n: 0,
            points: vec![Point::new(self.across(labels), low)],
        }
    }
}

/// Returns what the random stream of so many films is called.
pub fn stream_name(n: usize) -> String {
    format!("Random films, predicted before their label (n = {n})")
}

/// Returns the points of the ROC curve; those on the straight line between their neighbours are left out, as a curve of
/// thousands of films has few others.
pub fn roc_points(scores: &[f32], positive: &[bool]) -> Vec<Point> {
    let place = |point: &RocPoint| Point::new(point.false_positive_rate, point.true_positive_rate);
    corners(roc_curve(scores, positive).iter().map(place))
}

fn corners(points: impl Iterator<Item = Point>) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    for point in points {
        if let [.., one, other] = kept[..] {
            let turn =
                (other.x - one.x) * (point.y - one.y) - (other.y - one.y) * (point.x - one.x);
            if turn.abs() < 1e-12 {
                kept.pop();
            }
        }
        kept.push(point);
    }
    kept
}

/// Returns the points of the reliability diagram.
pub fn reliability_points(scores: &[f32], positive: &[bool]) -> Vec<Point> {
    let place = |bin: &ReliabilityBin| {
        let Estimate { value, low, high } = bin.observed;
        Point::within(bin.predicted, value, low, high)
    };
    reliability(scores, positive, BINS).iter().map(place).collect()
}

/// Draws the diagonal.
pub fn diagonal(name: &str) -> Series {
    Series {
        name: name.to_owned(),
        tint: Tint::Grey,
        shape: Shape::Dashed,
        n: 0,
        points: vec![Point::new(0.0, 0.0), Point::new(1.0, 1.0)],
    }
}

/// A figure over labels, or over minutes of reading; `None` where there is no point.
fn over(snapshot: &Snapshot, course: &[Checkpoint], curve: Curve<'_>) -> Option<Chart> {
    let figure = curve.figure;
    let mut series = vec![curve.stream(course)];
    series.extend(curve.live(snapshot.state.curve()));
    series.retain(|series| !series.points.is_empty());
    let points = || series.iter().flat_map(|series| &series.points);
    let most = points().map(|point| point.x).fold(0.0, f64::max);
    let low = points().map(|point| point.interval.map_or(point.y, |i| i.0)).fold(0.5, f64::min);
    let low = (10.0 * low).floor() / 10.0;
    if series.is_empty() {
        return None;
    }
    for entry in &snapshot.entries {
        if let Event::ModelSwap { model, accepted: true, labels, .. } = &entry.event {
            series.push(curve.swap(model, *labels, low));
        }
    }
    let x = curve.axis();
    let none_kept = " The log keeps none for the reference films.";
    let note = if figure == Figure::Auroc { none_kept } else { "" };
    Some(Chart {
        title: format!("{} over {}", figure.name(), x.to_lowercase()),
        x: Axis::new(x, 0.0, 1.05 * most.max(1.0)),
        y: Axis::new(figure.name(), low, 1.0),
        series,
        note: format!("95 % intervals: {}.{note}", figure.interval()),
    })
}

fn roc(scores: &[f32], positive: &[bool], class: &str) -> Option<Chart> {
    let (n, points) = (scores.len(), roc_points(scores, positive));
    let positives = positive.iter().filter(|&&positive| positive).count();
    let (name, tint, shape) = (stream_name(n), Tint::Blue, Shape::Line);
    (!points.is_empty()).then(|| Chart {
        title: format!("ROC of {class}"),
        x: Axis::new("1 − specificity", 0.0, 1.0),
        y: Axis::new("Sensitivity", 0.0, 1.0),
        series: vec![Series { name, tint, shape, n, points }],
        note: format!("{positives} of {n} films are {class}."),
    })
}

fn diagram(scores: &[f32], positive: &[bool], class: &str) -> Chart {
    let (n, points) = (scores.len(), reliability_points(scores, positive));
    let (name, tint, shape) = (stream_name(n), Tint::Blue, Shape::Dots);
    let series = Series { name, tint, shape, n, points };
    Chart {
        title: "Reliability".to_owned(),
        x: Axis::new(format!("Probability of {class}"), 0.0, 1.0),
        y: Axis::new(format!("Share that is {class}"), 0.0, 1.0),
        series: vec![diagonal("Perfect calibration"), series],
        note: format!("{BINS} equal bins; bars are Wilson's 95 % intervals."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_corners_of_a_curve_are_drawn() {
        let steps =
            [(0.0, 0.0), (0.0, 0.2), (0.0, 0.6), (0.1, 0.6), (0.4, 0.6), (0.4, 1.0), (1.0, 1.0)];
        let kept = corners(steps.into_iter().map(|(x, y)| Point::new(x, y)));
        let places: Vec<(f64, f64)> = kept.iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(places, [(0.0, 0.0), (0.0, 0.6), (0.4, 0.6), (0.4, 1.0), (1.0, 1.0)]);
        assert!(corners(std::iter::empty()).is_empty());
    }
}
