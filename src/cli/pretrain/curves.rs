//! The curves of a run as SVG: loss, contrastive accuracy, learning rate, speed, and probes where there were any, one
//! under the other over one axis of epochs.

use std::error::Error;

use anyhow::anyhow;
use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement};
use plotters::series::LineSeries;
use plotters::style::{BLACK, Color, IntoFont, RGBColor, ShapeStyle, WHITE};

use crate::learn::pretrain::{History, ProbePoint, Score};

/// Width of the picture and height of a panel, in pixels.
const PANEL: (u32, u32) = (760, 210);
/// Ticks of an axis, about.
const TICKS: usize = 6;
/// Points above which a curve is drawn without dots.
const DOTS: usize = 60;
/// Colours of a panel's curves, told apart by the colour-blind too (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];

/// Curves of one quantity.
struct Panel {
    title: &'static str,
    /// Name and points, epoch and value, of each curve.
    curves: Vec<(&'static str, Vec<(f64, f64)>)>,
    /// Ends of the axis of values where they are fixed.
    ends: Option<(f64, f64)>,
}

/// Draws the history.
///
/// # Errors
/// Fails if there is no finished epoch to draw.
pub fn svg(history: &History) -> anyhow::Result<String> {
    let last = history.epochs.last().ok_or_else(|| anyhow!("there is no epoch to draw"))?.epoch;
    let panels = panels(history);
    let mut svg = String::new();
    let size = (PANEL.0, PANEL.1 * panels.len() as u32);
    draw(&mut svg, size, &panels, f64::from(last))
        .map_err(|fault| anyhow!("the curves cannot be drawn: {fault}"))?;
    Ok(svg)
}

fn panels(history: &History) -> Vec<Panel> {
    let of = |value: &dyn Fn(usize) -> Option<f64>| {
        let points = history.epochs.iter().enumerate();
        points
            .filter_map(|(i, point)| Some((f64::from(point.epoch), value(i)?)))
            .collect::<Vec<_>>()
    };
    let epochs = &history.epochs;
    let single = |title, points| Panel { title, curves: vec![("", points)], ends: None };
    let mut panels = vec![single("loss", of(&|i| Some(f64::from(epochs[i].loss))))];
    let accuracy = of(&|i| epochs[i].accuracy.map(f64::from));
    if !accuracy.is_empty() {
        panels.push(single("contrastive accuracy", accuracy));
    }
    if !history.probes.is_empty() {
        let of = |value: &dyn Fn(&ProbePoint) -> Option<f64>| {
            let points = history.probes.iter();
            points.filter_map(|point| Some((f64::from(point.epoch), value(point)?))).collect()
        };
        let two = |title, linear, knn| {
            let curves = vec![("logistic regression", linear), ("20 nearest", knn)];
            Panel { title, curves, ends: None }
        };
        let accuracy = |score: Score| Some(f64::from(score.accuracy));
        let auroc = |score: Score| score.auroc.map(f64::from);
        panels.push(two(
            "accuracy of labels from frozen features, cross-validated",
            of(&|point| accuracy(point.linear)),
            of(&|point| accuracy(point.knn)),
        ));
        panels.push(two(
            "AUROC of labels from frozen features, cross-validated",
            of(&|point| auroc(point.linear)),
            of(&|point| auroc(point.knn)),
        ));
    }
    panels.push(single("learning rate", of(&|i| Some(f64::from(epochs[i].rate)))));
    let speed = of(&|i| Some(f64::from(epochs[i].images_per_second)));
    let highest = speed.iter().fold(0.0_f64, |highest, point| highest.max(point.1));
    panels.push(Panel { ends: Some((0.0, highest * 1.1)), ..single("images a second", speed) });
    panels
}

type Drawn = Result<(), Box<dyn Error>>;

fn draw(svg: &mut String, size: (u32, u32), panels: &[Panel], last: f64) -> Drawn {
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
        draw_panel(area, panel, last)?;
    }
    root.present()?;
    Ok(())
}

fn draw_panel(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel, last: f64) -> Drawn {
    let (low, high) = panel.ends.unwrap_or_else(|| ends(panel));
    let font = ("sans-serif", 13).into_font();
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 15))
        .margin(8)
        .margin_right(24)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(1.0_f64.min(last - 1.0)..last, low..high)?;
    let digits = digits(high - low);
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .x_labels((last as usize).min(2 * TICKS))
        .y_labels(TICKS)
        .x_desc("epoch")
        .label_style(font.clone())
        .axis_desc_style(font.clone())
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .y_label_formatter(&|value| label(*value, digits))
        .draw()?;
    for ((name, points), colour) in panel.curves.iter().zip(COLOURS) {
        let style = ShapeStyle::from(&colour).stroke_width(2);
        let drawn = chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
        if !name.is_empty() {
            drawn.label(*name).legend(move |(x, y)| {
                PathElement::new(
                    vec![(x, y), (x + 16, y)],
                    ShapeStyle::from(&colour).stroke_width(2),
                )
            });
        }
        if points.len() <= DOTS {
            let dots = points.iter().map(|&point| Circle::new(point, 3, colour.filled()));
            chart.draw_series(dots)?;
        }
    }
    if panel.curves.len() > 1 {
        chart
            .configure_series_labels()
            .position(plotters::chart::SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .label_font(font)
            .draw()?;
    }
    Ok(())
}

/// Ends of the axis of values: the curves' own and a twentieth of their range more on either side.
fn ends(panel: &Panel) -> (f64, f64) {
    let values = panel.curves.iter().flat_map(|(_, points)| points).map(|point| point.1);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if !low.is_finite() || !high.is_finite() {
        return (0.0, 1.0);
    }
    let margin = if high > low { (high - low) / 20.0 } else { high.abs().max(1e-9) / 10.0 };
    // Two curves have a legend, for which there is room above them.
    let legend = if panel.curves.len() > 1 { 14.0 * margin } else { 0.0 };
    (low - margin, high + margin + legend)
}

/// Digits after the point that tell the ticks of an axis of this length apart.
fn digits(length: f64) -> usize {
    (1.0 - (length.max(1e-12) / TICKS as f64).log10().floor()).clamp(0.0, 12.0) as usize
}

/// A tick's label: small numbers in powers of ten.
fn label(value: f64, digits: usize) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if digits > 4 {
        format!("{value:.1e}")
    } else {
        format!("{value:.digits$}")
    }
}
