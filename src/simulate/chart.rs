//! Learning curves as SVG: a figure over the labels bought, or over the time that a reader needs for them, one line an
//! arm with a band of one standard deviation on either side.

use std::error::Error;
use std::ops::Range;

use anyhow::anyhow;
use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Text};
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::{BLACK, Color, IntoFont, RGBColor, ShapeStyle, WHITE};

use super::plan::ArmName;
use super::summary::{Line, Spread};

/// Size of the picture without its legend, in pixels.
const SIZE: (u32, u32) = (640, 440);
/// Width of the legend and height of one of its lines.
const LEGEND: (u32, i32) = (270, 22);
/// Least distance of two ticks of the axis of labels, as a share of it.
const CLOSEST_TICKS: f64 = 0.07;
/// Ticks of the axis of figures, about.
const TICKS: usize = 8;
/// Colours told apart by the colour-blind too (Okabe and Ito, 2008); yellow is too pale for a line and left out.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Accuracy.
    Accuracy,
    /// Area under the ROC curve.
    Auroc,
}

/// What it is drawn over, on a logarithmic axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Axis {
    /// Labels bought.
    Labels,
    /// Minutes that a reader is taken to need for them.
    Minutes {
        /// Seconds for one film.
        seconds_per_film: f64,
    },
}

impl Figure {
    fn of(self, line: &Line) -> Option<Spread> {
        match self {
            Self::Accuracy => Some(line.accuracy),
            Self::Auroc => line.auroc,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Auroc => "AUROC",
        }
    }
}

impl Axis {
    fn title(self) -> String {
        match self {
            Self::Labels => "labels bought, logarithmic axis".to_owned(),
            Self::Minutes { seconds_per_film } => {
                format!(
                    "minutes of reading, assuming {seconds_per_film} s a film, logarithmic axis"
                )
            }
        }
    }

    fn label(self, labels: f64) -> String {
        match self {
            Self::Labels => format!("{labels:.0}"),
            Self::Minutes { seconds_per_film } => {
                let minutes = labels * seconds_per_film / 60.0;
                if minutes < 100.0 { format!("{minutes:.1}") } else { format!("{minutes:.0}") }
            }
        }
    }
}

/// One arm's line, or its level where it looks at more labels than are bought one by one: the whole pool's.
struct Curve {
    name: String,
    colour: RGBColor,
    /// Labels, mean, and standard deviation, 0 where there is none.
    points: Vec<(f64, f64, f64)>,
    level: Option<f64>,
}

/// Draws the lines of the table.
///
/// Minutes are labels by another name: the ticks stand at the budgets.
///
/// # Errors
/// Fails if the picture cannot be drawn.
pub fn svg(lines: &[Line], figure: Figure, axis: Axis) -> anyhow::Result<String> {
    let curves = curves(lines, figure);
    let mut svg = String::new();
    draw(&mut svg, &curves, figure, axis)
        .map_err(|fault| anyhow!("the curves cannot be drawn: {fault}"))?;
    Ok(svg)
}

fn curves(lines: &[Line], figure: Figure) -> Vec<Curve> {
    let mut curves: Vec<(ArmName, Curve)> = Vec::new();
    for line in lines {
        let Some(spread) = figure.of(line) else { continue };
        let place = curves.iter().position(|(arm, _)| *arm == line.arm).unwrap_or_else(|| {
            let colour = COLOURS[curves.len() % COLOURS.len()];
            let name = line.arm.to_string();
            curves.push((line.arm, Curve { name, colour, points: Vec::new(), level: None }));
            curves.len() - 1
        });
        let curve = &mut curves[place].1;
        if line.arm.strategy.is_none() {
            curve.level = Some(spread.mean);
            curve.name = format!("{} labels, {}", line.labels_looked_at, line.arm);
        } else {
            curve.points.push((line.labels as f64, spread.mean, spread.sd.unwrap_or(0.0)));
        }
    }
    curves.into_iter().map(|(_, curve)| curve).collect()
}

/// The axis of labels: linear in their logarithm, with ticks at the budgets.
struct LogAxis {
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl LogAxis {
    /// Reaches a little beyond the budgets; one that would be written over the one before has no tick.
    fn over(curves: &[Curve]) -> Self {
        let points = curves.iter().flat_map(|curve| &curve.points);
        let mut budgets: Vec<f64> = points.map(|point| point.0).collect();
        budgets.sort_unstable_by(f64::total_cmp);
        let (first, last) = match budgets.as_slice() {
            [] => (1.0, 10.0),
            [first, .., last] => (*first, *last),
            [only] => (*only, *only),
        };
        let margin = ((last / first).ln() / 25.0).max(0.05).exp();
        let (from, to) = (first / margin, last * margin);
        let mut ticks: Vec<f64> = Vec::new();
        for budget in budgets {
            let apart = |tick: &f64| (budget / tick).ln() >= CLOSEST_TICKS * (to / from).ln();
            if ticks.last().is_none_or(apart) {
                ticks.push(budget);
            }
        }
        Self { from, to, ticks }
    }
}

impl Ranged for LogAxis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, labels: &f64, (left, right): (i32, i32)) -> i32 {
        let share = (labels / self.from).ln() / (self.to / self.from).ln();
        left + (share * f64::from(right - left)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogAxis, RangedCoordf64>>;

fn draw(svg: &mut String, curves: &[Curve], figure: Figure, axis: Axis) -> Drawn {
    let legend = LEGEND.1 as u32 * (curves.len() as u32 + 2);
    let size = (SIZE.0 + LEGEND.0, SIZE.1.max(legend));
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0);
    draw_chart(&left, curves, figure, axis)?;
    draw_legend(&right, curves)?;
    root.present()?;
    Ok(())
}

fn draw_chart(area: &Area<'_>, curves: &[Curve], figure: Figure, axis: Axis) -> Drawn {
    let labels = LogAxis::over(curves);
    let (from, to) = (labels.from, labels.to);
    let (low, high) = ends(curves);
    let font = ("sans-serif", 14).into_font();
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(labels, low..high)?;
    let digits = if high - low < 0.05 { 3 } else { 2 };
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .y_labels(TICKS)
        .x_desc(axis.title())
        .y_desc(figure.name())
        .label_style(font.clone())
        .axis_desc_style(font)
        .x_label_formatter(&|labels| axis.label(*labels))
        .y_label_formatter(&|value| format!("{value:.digits$}"))
        .draw()?;
    // Bands first: no line may lie under another's.
    for curve in curves.iter().filter(|curve| curve.points.iter().any(|point| point.2 > 0.0)) {
        let upper = curve.points.iter().map(|&(labels, mean, sd)| (labels, mean + sd));
        let lower = curve.points.iter().rev().map(|&(labels, mean, sd)| (labels, mean - sd));
        let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
        chart.draw_series([Polygon::new(outline, curve.colour.mix(0.15))])?;
    }
    for curve in curves {
        draw_curve(&mut chart, curve, (from, to))?;
    }
    Ok(())
}

fn draw_curve(chart: &mut Chart<'_, '_>, curve: &Curve, (from, to): (f64, f64)) -> Drawn {
    let style = ShapeStyle::from(&curve.colour).stroke_width(2);
    if let Some(level) = curve.level {
        let line = DashedLineSeries::new([(from, level), (to, level)], 6, 5, style);
        chart.draw_series(line)?;
    }
    let points: Vec<(f64, f64)> =
        curve.points.iter().map(|&(labels, mean, _)| (labels, mean)).collect();
    chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
    let dots = points.into_iter().map(|point| Circle::new(point, 4, curve.colour.filled()));
    chart.draw_series(dots)?;
    Ok(())
}

fn draw_legend(area: &Area<'_>, curves: &[Curve]) -> Drawn {
    let font = ("sans-serif", 14).into_font();
    for (place, curve) in curves.iter().enumerate() {
        let y = LEGEND.1 * (place as i32 + 1);
        let style = ShapeStyle::from(&curve.colour).stroke_width(2);
        // A level's dashes.
        let dashes: &[(i32, i32)] =
            if curve.level.is_some() { &[(4, 10), (15, 21)] } else { &[(4, 24)] };
        for &(from, to) in dashes {
            area.draw(&PathElement::new(vec![(from, y), (to, y)], style))?;
        }
        area.draw(&Text::new(curve.name.clone(), (32, y - 7), font.clone()))?;
    }
    if curves.iter().any(|curve| curve.points.iter().any(|point| point.2 > 0.0)) {
        let y = LEGEND.1 * (curves.len() as i32 + 1);
        area.draw(&Text::new("bands: ± one standard deviation", (4, y - 7), font))?;
    }
    Ok(())
}

/// Ends of the axis of figures: those of the bands and a twentieth of their distance more on either side.
fn ends(curves: &[Curve]) -> (f64, f64) {
    let bands = curves.iter().flat_map(|curve| {
        let points = curve.points.iter().flat_map(|&(_, mean, sd)| [mean - sd, mean + sd]);
        points.chain(curve.level).collect::<Vec<_>>()
    });
    let (low, high) = bands.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if !low.is_finite() {
        return (0.0, 1.0);
    }
    let margin = ((high - low) / 20.0).max(0.005);
    (low - margin, high + margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(labels: &[f64]) -> Curve {
        let points = labels.iter().map(|&labels| (labels, 0.9, 0.0)).collect();
        Curve { name: String::new(), colour: COLOURS[0], points, level: None }
    }

    #[test]
    fn labels_are_placed_by_their_logarithm() {
        let axis = LogAxis::over(&[curve(&[10.0, 1000.0])]);
        let at = |labels| axis.map(&labels, (0, 1000));
        assert_eq!(at(100.0), 500);
        assert!(at(10.0) > 0 && at(1000.0) < 1000);
        assert_eq!(at(10.0) + at(1000.0), 1000);
    }

    #[test]
    fn ticks_that_would_be_written_over_each_other_are_left_out() {
        let axis = LogAxis::over(&[curve(&[52.0, 53.0, 104.0, 1000.0]), curve(&[104.0])]);
        assert_eq!(axis.ticks, [52.0, 104.0, 1000.0]);
        assert_eq!(LogAxis::over(&[curve(&[5.0])]).ticks, [5.0]);
        assert!(LogAxis::over(&[]).ticks.is_empty());
    }

    #[test]
    fn minutes_are_labels_by_another_name() {
        let axis = Axis::Minutes { seconds_per_film: 6.0 };
        assert_eq!((axis.label(52.0), axis.label(4708.0)), ("5.2".to_owned(), "471".to_owned()));
        assert_eq!(Axis::Labels.label(52.0), "52");
    }
}
