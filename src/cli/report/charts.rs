//! The charts of a report, from the log alone.

use crate::chart::{Axis, Chart, Point, Series, Shape, Tint};
use crate::engine::analysis::Checkpoint;
use crate::engine::course::{AuditStream, reading_minutes};
use crate::learn::figures::Figure;
use crate::learn::metrics::{Estimate, positive_class, wilson};
use crate::learn::operating_point::roc_curve;
use crate::learn::reliability::reliability;
use crate::session::{Event, Snapshot};

/// Bins of the reliability diagram.
const BINS: usize = 10;
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
    for figure in [Figure::Accuracy, Figure::Auroc] {
        charts.extend(over(snapshot, &course, figure, None));
    }
    charts.extend(over(snapshot, &course, Figure::Accuracy, Some(&minutes)));
    if stream.held.truth.len() >= FEWEST {
        let scores = stream.held.probabilities.iter().skip(positive).step_by(classes.len());
        let scores: Vec<f32> = scores.copied().collect();
        let is_positive: Vec<bool> = stream.held.truth.iter().map(|&c| c == positive).collect();
        charts.extend(roc(&scores, &is_positive, &classes[positive]));
        charts.push(diagram(&scores, &is_positive, &classes[positive]));
    }
    Charts { charts, stream: course.last().copied() }
}

/// A figure over labels, or over minutes of reading; `None` where there is no point.
fn over(
    snapshot: &Snapshot,
    course: &[Checkpoint],
    figure: Figure,
    minutes: Option<&[f64]>,
) -> Option<Chart> {
    let across = |labels: usize| match minutes {
        None => labels as f64,
        Some(minutes) => minutes.get(labels).or(minutes.last()).copied().unwrap_or_default(),
    };
    let measured = snapshot.state.curve();
    let n = measured.last().map_or(0, |point| point.n);
    let live = measured.iter().map(|point| {
        let x = across(point.labels);
        if figure == Figure::Auroc {
            return Point::new(x, f64::from(point.auroc));
        }
        let correct = (f64::from(point.accuracy) * point.n as f64).round() as usize;
        let Estimate { value, low, high } = wilson(correct, point.n);
        Point::within(x, value, low, high)
    });
    let drawn = course.iter().filter_map(|point| {
        let Estimate { value, low, high } = point.figures.get(figure)?;
        Some(Point::within(across(point.labels), value, low, high))
    });
    let of_stream = course.last().map_or(0, |point| point.figures.n);
    let mut series = vec![
        Series {
            name: format!("Random films, predicted before their label (n = {of_stream})"),
            tint: Tint::Orange,
            shape: Shape::Line,
            n: of_stream,
            points: drawn.collect(),
        },
        Series {
            name: format!("Reference films, model in use (n = {n})"),
            tint: Tint::Blue,
            shape: Shape::Line,
            n,
            points: live.collect(),
        },
    ];
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
            series.push(Series {
                name: format!("New model {model}"),
                tint: Tint::Pink,
                shape: Shape::Rules,
                n: 0,
                points: vec![Point::new(across(*labels), low)],
            });
        }
    }
    let x = if minutes.is_some() { "Minutes of reading" } else { "Labels" };
    Some(Chart {
        title: format!("{} over {}", figure.name(), x.to_lowercase()),
        x: Axis::new(x, 0.0, 1.05 * most.max(1.0)),
        y: Axis::new(figure.name(), low, 1.0),
        series,
        note: format!(
            "95 % intervals: {}.{}",
            figure.interval(),
            if figure == Figure::Auroc {
                " The log keeps none for the reference films."
            } else {
                ""
            }
        ),
    })
}

fn roc(scores: &[f32], positive: &[bool], class: &str) -> Option<Chart> {
    let curve = roc_curve(scores, positive);
    let place = |point: &crate::learn::operating_point::RocPoint| {
        Point::new(point.false_positive_rate, point.true_positive_rate)
    };
    let n = scores.len();
    let positives = positive.iter().filter(|&&positive| positive).count();
    let series = Series {
        name: format!("Random films, predicted before their label (n = {n})"),
        tint: Tint::Blue,
        shape: Shape::Line,
        n,
        points: curve.iter().map(place).collect(),
    };
    (!curve.is_empty()).then(|| Chart {
        title: format!("ROC of {class}"),
        x: Axis::new("1 − specificity", 0.0, 1.0),
        y: Axis::new("Sensitivity", 0.0, 1.0),
        series: vec![series],
        note: format!("{positives} of {n} films are {class}."),
    })
}

fn diagram(scores: &[f32], positive: &[bool], class: &str) -> Chart {
    let bins = reliability(scores, positive, BINS);
    let place = |bin: &crate::learn::reliability::ReliabilityBin| {
        let Estimate { value, low, high } = bin.observed;
        Point::within(bin.predicted, value, low, high)
    };
    let n = scores.len();
    let series = vec![
        Series {
            name: "Perfect calibration".to_owned(),
            tint: Tint::Grey,
            shape: Shape::Dashed,
            n: 0,
            points: vec![Point::new(0.0, 0.0), Point::new(1.0, 1.0)],
        },
        Series {
            name: format!("Random films, predicted before their label (n = {n})"),
            tint: Tint::Blue,
            shape: Shape::Dots,
            n,
            points: bins.iter().map(place).collect(),
        },
    ];
    Chart {
        title: "Reliability".to_owned(),
        x: Axis::new(format!("Probability of {class}"), 0.0, 1.0),
        y: Axis::new(format!("Share that is {class}"), 0.0, 1.0),
        series,
        note: format!("{BINS} equal bins; bars are Wilson's 95 % intervals."),
    }
}
