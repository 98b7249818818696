//! A chart in the window: the pointer reads it, a menu saves it.

use egui::{Color32, Rangef, Ui};
use egui_plot::{
    AxisHints, Corner, FilledArea, HoverPosition, Legend, Line, LineStyle, Plot, PlotBounds,
    PlotPoints, Points, VLine, uniform_grid_spacer,
};

use super::saving::{Drawn, SavedAs, Saving};
use crate::chart::{Chart, Point, Series, Shape};
use crate::ui::{figures, theme};

/// Draws a chart of a height, in points, with its heading and a menu that saves it.
pub fn show(ui: &mut Ui, chart: &Chart, height: f32, legend: Option<Corner>, saving: &mut Saving) {
    // The plot's own rectangle would leave out its axes.
    let drawn = ui.scope(|ui| drawn(ui, chart, height, legend));
    if let Some(format) = drawn.inner {
        // The menu lies over the plot until the next pass.
        saving.ask(ui.ctx(), Drawn::Chart(chart.clone()), format, drawn.response.rect);
    }
}

/// Draws the heading and the chart; returns what it is to be saved as.
fn drawn(ui: &mut Ui, chart: &Chart, height: f32, legend: Option<Corner>) -> Option<SavedAs> {
    let mut save = None;
    ui.horizontal(|ui| {
        ui.label(&chart.title).on_hover_text(&chart.note);
        save = save_menu(ui, &chart.title);
    });
    let height = (height - ui.spacing().interact_size.y - ui.spacing().item_spacing.y).max(60.0);
    let [apart, above] = theme::TICKS.map(|least| 1.5 * least);
    let across = round_step(chart.x.high - chart.x.low, ui.available_width(), apart);
    let upwards = round_step(chart.y.high - chart.y.low, height, above);
    let mut plot = still(ui, &chart.title)
        .height(height)
        .x_axis_label(chart.x.title.clone())
        .y_axis_label(chart.y.title.clone())
        .x_grid_spacer(uniform_grid_spacer(move |_| [1.0, 5.0, 10.0].map(|by| by * across)))
        .y_grid_spacer(uniform_grid_spacer(move |_| [1.0, 5.0, 10.0].map(|by| by * upwards)))
        .x_axis_formatter(move |mark, _| tick(mark.value, across))
        .y_axis_formatter(move |mark, _| tick(mark.value, upwards))
        .label_formatter(|hover| read_value(hover, chart))
        .show_crosshair(false);
    if let Some(corner) = legend {
        plot = plot.legend(Legend::default().position(corner));
    }
    let drawn = plot.show(ui, |plot| {
        let (low, high) = ([chart.x.low, chart.y.low], [chart.x.high, chart.y.high]);
        plot.set_plot_bounds(PlotBounds::from_min_max(low, high));
        for series in &chart.series {
            draw(plot, (series, chart.shift(series)), theme::tint(plot.ctx(), series.tint));
        }
    });
    drawn.response.context_menu(|ui| save = save.or(formats(ui)));
    save
}

/// Returns the distance of ticks that stand at least `apart` points from one another on an axis of a span and a length in
/// points: 1, 2 or 5 times a power of ten.
fn round_step(span: f64, length: f32, apart: f32) -> f64 {
    let ticks = f64::from(length / apart).max(2.0);
    let least = (span / ticks).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|times| times * power);
    steps.into_iter().find(|step| *step >= least).unwrap_or(10.0 * power)
}

/// Writes the value at a tick, with the digits that tell it from the next one.
fn tick(value: f64, step: f64) -> String {
    let digits = (-step.log10()).ceil().clamp(0.0, 9.0) as usize;
    format!("{value:.digits$}")
}

/// Draws a note under a plot, in small print.
pub fn note(ui: &mut Ui, text: &str) {
    ui.add(egui::Label::new(egui::RichText::new(text).small().weak()).wrap());
}

/// Draws the menu that saves what is called so, at the right end of a line; returns what was chosen.
pub fn save_menu(ui: &mut Ui, title: &str) -> Option<SavedAs> {
    let at_the_end = egui::Layout::right_to_left(egui::Align::Center);
    ui.with_layout(at_the_end, |ui| {
        let mut chosen = None;
        let menu = ui.menu_button("Save", |ui| chosen = formats(ui));
        menu.response.accessible_name(format!("Save {title}"));
        chosen
    })
    .inner
}

/// Draws the entries of the menu that saves; returns what was chosen.
pub fn formats(ui: &mut Ui) -> Option<SavedAs> {
    let mut chosen = None;
    for format in [SavedAs::Svg, SavedAs::Png, SavedAs::Csv] {
        if ui.button(format.words()).clicked() {
            chosen = Some(format);
            ui.close();
        }
    }
    chosen
}

/// Begins a plot that the pointer reads but does not move.
pub fn still<'a>(ui: &Ui, name: &str) -> Plot<'a> {
    let plot = Plot::new(name).grid_color(theme::palette(ui).hairline).show_background(false);
    // Left to itself a plot fades the labels of close ticks until they cannot be read.
    let [across, down] = theme::TICKS.map(Rangef::point);
    let plot = plot.custom_x_axes(vec![AxisHints::new_x().label_spacing(across)]);
    let plot = plot.custom_y_axes(vec![AxisHints::new_y().label_spacing(down)]);
    plot.allow_drag(false).allow_zoom(false).allow_scroll(false).allow_boxed_zoom(false)
}

fn draw(plot: &mut egui_plot::PlotUi<'_>, (series, shift): (&Series, f64), colour: Color32) {
    let place = |point: &Point| [point.x + shift, point.y];
    let places: Vec<[f64; 2]> = series.points.iter().map(place).collect();
    let line = |places: Vec<[f64; 2]>| {
        Line::new(series.name.clone(), PlotPoints::from(places)).color(colour).width(theme::CURVE)
    };
    match series.shape {
        Shape::Line | Shape::Dashed => {
            band(plot, series, colour);
            if places.len() == 1 || series.shape == Shape::Line && places.len() <= DOTTED {
                dots(plot, (series, theme::CURVE), places.clone(), colour);
            }
            let drawn = line(places);
            plot.line(match series.shape {
                Shape::Dashed => drawn.style(LineStyle::dashed_dense()),
                _ => drawn,
            });
        }
        Shape::Dots | Shape::Abreast => {
            for point in &series.points {
                if let Some((low, high)) = point.interval {
                    let x = point.x + shift;
                    let ends = vec![[x, low], [x, high]];
                    plot.line(line(ends).width(1.0).allow_hover(false));
                }
            }
            dots(plot, (series, 2.0 * theme::CURVE), places, colour);
        }
        Shape::Rules => {
            for [x, _] in places {
                plot.vline(VLine::new(series.name.clone(), x).color(colour).width(1.0));
            }
        }
    }
}

/// Points up to which a line shows each of them.
const DOTTED: usize = 40;

fn dots(
    plot: &mut egui_plot::PlotUi<'_>,
    (series, radius): (&Series, f32),
    places: Vec<[f64; 2]>,
    colour: Color32,
) {
    let points = Points::new(series.name.clone(), PlotPoints::from(places));
    plot.points(points.color(colour).radius(radius));
}

fn band(plot: &mut egui_plot::PlotUi<'_>, series: &Series, colour: Color32) {
    let ends: Vec<(f64, f64, f64)> = series
        .points
        .iter()
        .filter_map(|point| point.interval.map(|(low, high)| (point.x, low, high)))
        .collect();
    if ends.len() > 1 {
        let pick = |end: fn(&(f64, f64, f64)) -> f64| ends.iter().map(end).collect::<Vec<f64>>();
        let (xs, low, high) = (pick(|e| e.0), pick(|e| e.1), pick(|e| e.2));
        // Without a name: two colours of one name have none in the legend.
        let area = FilledArea::new("", &xs, &low, &high);
        plot.add(area.fill_color(theme::band(colour)).allow_hover(false));
    }
}

/// Reads the value of a point that the pointer is near, with its interval; where there is no point, there is no value.
fn read_value(hover: &HoverPosition<'_>, chart: &Chart) -> Option<String> {
    let HoverPosition::NearDataPoint { plot_name, position, .. } = hover else { return None };
    let series = chart.series.iter().find(|series| series.name == *plot_name)?;
    if series.shape == Shape::Rules {
        return Some(series.name.clone());
    }
    let x = position.x - chart.shift(series);
    let at = |point: &&Point| (point.x - x).abs() + (point.y - position.y).abs();
    let point = series.points.iter().min_by(|a, b| at(a).total_cmp(&at(b)))?;
    let n = if series.n == 0 { 100 } else { series.n };
    let share = |value: f64| figures::share(value, n.max(30));
    let interval = point.interval.map(|(low, high)| format!(" ({}–{})", share(low), share(high)));
    let across = if chart.x.high > 5.0 { format!("{:.0}", point.x) } else { share(point.x) };
    let value = figures::share(point.y, n);
    Some(format!(
        "{plot_name}\n{value}{} at {} {across}",
        interval.unwrap_or_default(),
        chart.x.title.to_lowercase()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Axis, Tint};

    #[test]
    fn only_points_have_values_to_be_read() {
        let series = Series {
            name: "Accuracy".to_owned(),
            tint: Tint::Blue,
            shape: Shape::Line,
            n: 200,
            points: vec![Point::new(5.0, 0.8), Point::within(12.0, 0.934, 0.891, 0.961)],
        };
        let chart =
            Chart { x: Axis::new("Labels", 0.0, 20.0), series: vec![series], ..Chart::default() };
        let position = egui_plot::PlotPoint::new(12.0, 0.934);
        assert_eq!(read_value(&HoverPosition::Elsewhere { position }, &chart), None);
        let near = HoverPosition::NearDataPoint { plot_name: "Accuracy", position, index: 0 };
        assert_eq!(
            read_value(&near, &chart).as_deref(),
            Some("Accuracy\n.93 (.89–.96) at labels 12")
        );
    }

    #[test]
    fn ticks_stand_at_round_numbers() {
        for (span, length, step) in
            [(170.0, 500.0, 50.0), (1.0, 380.0, 0.5), (17.0, 900.0, 2.0), (260.0, 900.0, 50.0)]
        {
            assert!(
                (round_step(span, length, 90.0) - step).abs() < 1e-9,
                "{span}: {}",
                round_step(span, length, 90.0)
            );
        }
        assert!(round_step(0.0, 500.0, 90.0) > 0.0);
        let ticks = [(0.95, 0.05), (0.9, 0.1), (1.0, 0.2), (50.0, 10.0), (0.125, 0.005)];
        let ticks = ticks.map(|(value, step)| tick(value, step));
        assert_eq!(ticks, ["0.95", "0.9", "1.0", "50", "0.125"]);
    }
}
