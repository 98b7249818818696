//! A chart as SVG, dark on white, for papers and reports.

use std::error::Error;

use anyhow::anyhow;
use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Text};
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::{BLACK, Color, IntoFont, RGBColor, ShapeStyle, WHITE};

use super::{Chart, Point, Series, Shape, Tint};

/// Width, height of the plot with its heading, height of a line of text under it, in pixels.
const SIZE: (u32, u32, u32) = (720, 440, 20);
/// Characters of a line under the plot.
const CHARACTERS: usize = 96;
/// Opacity of a band.
const BAND: f64 = 0.15;

type Drawn = Result<(), Box<dyn Error>>;
type Plot<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws a chart.
///
/// # Errors
/// Fails if the picture cannot be drawn.
pub fn svg(chart: &Chart) -> anyhow::Result<String> {
    let mut text = String::new();
    draw(&mut text, chart).map_err(|fault| anyhow!("the chart cannot be drawn: {fault}"))?;
    Ok(text)
}

const fn colour(tint: Tint) -> RGBColor {
    match tint {
        Tint::Blue => RGBColor(0, 114, 178),
        Tint::Orange => RGBColor(190, 110, 0),
        Tint::Green => RGBColor(0, 128, 94),
        Tint::Pink => RGBColor(180, 90, 146),
        Tint::Red => RGBColor(190, 70, 0),
        Tint::Grey => RGBColor(110, 116, 124),
    }
}

fn draw(text: &mut String, chart: &Chart) -> Drawn {
    let named: Vec<&Series> = chart.series.iter().filter(|s| !s.points.is_empty()).collect();
    let note = lines(&chart.note);
    let (width, height, line) = SIZE;
    let below = line * (named.len() + note.len()) as u32 + line / 2;
    let root = SVGBackend::with_string(text, (width, height + below)).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, under) = root.split_vertically(height);
    plot(&above, chart)?;
    let font = ("sans-serif", 13).into_font();
    for (place, series) in named.iter().enumerate() {
        let y = (line as usize * place) as i32 + 8;
        key(&under, series, y)?;
        under.draw(&Text::new(series.name.clone(), (104, y - 6), font.clone()))?;
    }
    for (place, words) in note.into_iter().enumerate() {
        let y = (line as usize * (named.len() + place)) as i32 + 4;
        under.draw(&Text::new(words, (72, y), font.color(&BLACK.mix(0.7))))?;
    }
    root.present()?;
    Ok(())
}

/// Breaks a text into lines at spaces.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < CHARACTERS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Draws what a series looks like before its name.
fn key(area: &DrawingArea<SVGBackend<'_>, Shift>, series: &Series, y: i32) -> Drawn {
    let colour = colour(series.tint);
    let style = ShapeStyle::from(&colour).stroke_width(2);
    match series.shape {
        Shape::Line => area.draw(&PathElement::new(vec![(72, y), (96, y)], style))?,
        Shape::Dashed => {
            for (from, to) in [(72, 79), (81, 88), (90, 97)] {
                area.draw(&PathElement::new(vec![(from, y), (to, y)], style))?;
            }
        }
        Shape::Dots | Shape::Abreast => area.draw(&Circle::new((84, y), 4, colour.filled()))?,
        Shape::Rules => area.draw(&PathElement::new(vec![(84, y - 7), (84, y + 7)], style))?,
    }
    Ok(())
}

fn plot(area: &DrawingArea<SVGBackend<'_>, Shift>, chart: &Chart) -> Drawn {
    let font = ("sans-serif", 14).into_font();
    let digits = |span: f64| {
        if span >= 8.0 {
            0
        } else if span >= 0.8 {
            1
        } else {
            2
        }
    };
    let (across, upwards) =
        (digits(chart.x.high - chart.x.low), digits(chart.y.high - chart.y.low));
    let mut drawn = ChartBuilder::on(area)
        .caption(&chart.title, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(60)
        .build_cartesian_2d(chart.x.low..chart.x.high, chart.y.low..chart.y.high)?;
    drawn
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc(&chart.x.title)
        .y_desc(&chart.y.title)
        .label_style(font.clone())
        .axis_desc_style(font)
        .x_label_formatter(&|value| format!("{value:.across$}"))
        .y_label_formatter(&|value| format!("{value:.upwards$}"))
        .draw()?;
    for series in &chart.series {
        band(&mut drawn, series)?;
    }
    for series in &chart.series {
        draw_series(&mut drawn, series, chart)?;
    }
    Ok(())
}

/// Bands first: no line may lie under another's.
fn band(plot: &mut Plot<'_, '_>, series: &Series) -> Drawn {
    if !matches!(series.shape, Shape::Line | Shape::Dashed) {
        return Ok(());
    }
    let ends = |point: &Point| point.interval.map(|(low, high)| (point.x, low, high));
    let ends: Vec<(f64, f64, f64)> = series.points.iter().filter_map(ends).collect();
    if ends.len() > 1 {
        let upper = ends.iter().map(|&(x, _, high)| (x, high));
        let lower = ends.iter().rev().map(|&(x, low, _)| (x, low));
        let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
        plot.draw_series([Polygon::new(outline, colour(series.tint).mix(BAND))])?;
    }
    Ok(())
}

fn draw_series(plot: &mut Plot<'_, '_>, series: &Series, chart: &Chart) -> Drawn {
    let (shift, low, high) = (chart.shift(series), chart.y.low, chart.y.high);
    let colour = colour(series.tint);
    let style = ShapeStyle::from(&colour).stroke_width(2);
    let points = series.points.iter().map(|point| (point.x + shift, point.y));
    match series.shape {
        Shape::Line => _ = plot.draw_series(LineSeries::new(points, style))?,
        Shape::Dashed => _ = plot.draw_series(DashedLineSeries::new(points, 6, 4, style))?,
        Shape::Dots | Shape::Abreast => {
            plot.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
            let bar = |point: &Point| {
                let (low, high) = point.interval?;
                let x = point.x + shift;
                Some(PathElement::new(vec![(x, low), (x, high)], colour))
            };
            plot.draw_series(series.points.iter().filter_map(bar))?;
        }
        Shape::Rules => {
            let rule = |(x, _)| PathElement::new(vec![(x, low), (x, high)], colour);
            plot.draw_series(points.map(rule))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::tests::chart;

    #[test]
    fn the_picture_names_everything_and_escapes_what_it_must() {
        let text = svg(&chart()).unwrap();
        for words in ["Accuracy, over labels", "Labels", "Random", "n = 200; Wilson intervals"] {
            assert!(text.contains(words), "{words:?} is missing");
        }
        assert!(text.contains("&lt;1&gt; &amp;") && !text.contains("<1>"));
        assert_eq!(text.matches("<polygon").count(), 1, "one series has a band");
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        assert!(!text.contains("NaN"));
    }

    #[test]
    fn equal_values_stand_abreast_and_are_written_as_they_are() {
        let series = |name: &str, points| Series {
            name: name.to_owned(),
            tint: Tint::Blue,
            shape: Shape::Abreast,
            n: 30,
            points,
        };
        let equal = || vec![Point::within(20.0, 0.75, 0.6, 0.9)];
        let mut chart = chart();
        chart.series = vec![series("a", equal()), series("none", vec![]), series("b", equal())];
        let places = chart.series.iter().map(|series| chart.shift(series)).collect::<Vec<f64>>();
        assert_eq!(places, [-0.375, 0.0, 0.375]);
        let text = svg(&chart).unwrap();
        let circles =
            text.lines().filter(|line| line.contains("<circle") && line.contains("r=\"3\""));
        let mut circles: Vec<&str> = circles.collect();
        circles.dedup();
        assert_eq!(circles.len(), 2, "{text}");
        let values =
            |csv: &str| csv.lines().filter(|line| line.ends_with(",20,0.75,0.6,0.9")).count();
        assert_eq!(values(&chart.csv()), 2);
        chart.series.pop();
        assert_eq!(chart.shift(&chart.series[0]), 0.0, "alone it stands in its place");
    }

    #[test]
    fn a_chart_without_points_is_drawn_all_the_same() {
        let mut empty = chart();
        empty.series.clear();
        assert!(svg(&empty).unwrap().contains("Labels"));
    }

    #[test]
    fn long_notes_are_broken_at_spaces() {
        let text = "word ".repeat(60);
        let broken = lines(&text);
        assert!(broken.len() > 2 && broken.iter().all(|line| line.len() <= CHARACTERS));
        assert_eq!(broken.join(" "), text.trim());
    }
}
