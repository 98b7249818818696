//! The Learn view: how good is the model, after how many labels; what runs now, and why.

use egui::{CentralPanel, ComboBox, Panel, Rangef, RichText, ScrollArea, Ui};
use egui_plot::{
    AxisHints, Corner, FilledArea, HoverPosition, Legend, Line, Plot, PlotBounds, PlotPoints,
    Points, VLine,
};

use super::app::reading::Reading;
use super::command::{UiCommand, sentence};
use super::widgets::Notice;
use super::{figures, theme, widgets};
use crate::learn::metrics::{Estimate, wilson};
use crate::query::Strategy;

/// Draws the view.
pub fn ui(ui: &mut Ui, reading: &Reading, commands: &mut Vec<UiCommand>) {
    let frame = theme::panel_frame(ui, theme::card_margin());
    let card = Panel::right("learning").exact_size(theme::LEARN_CARD).resizable(false).frame(frame);
    card.show(ui, |ui| ScrollArea::vertical().show(ui, |ui| engine_card(ui, reading, commands)));
    CentralPanel::default().frame(frame).show(ui, |ui| {
        let half = ui.available_height() / 3.0;
        curve(ui, reading, ui.available_height() - half - theme::SPACE[4]);
        ui.add_space(theme::SPACE[1]);
        losses(ui, reading);
    });
}

/// One point of a curve over labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Labels.
    pub labels: usize,
    /// Share in 0..=1.
    pub value: f64,
    /// Lower and upper end of the 95 % interval.
    pub interval: (f64, f64),
}

/// Returns Wilson's 95 % interval of `correct` among `n`.
fn interval(correct: usize, n: usize) -> (f64, f64) {
    let Estimate { low, high, .. } = wilson(correct, n);
    (low, high)
}

/// Returns accuracy over labels with Wilson's interval for reference sets of `n` films.
pub fn accuracy_points(measures: impl Iterator<Item = (usize, f64, usize)>) -> Vec<CurvePoint> {
    let point = |(labels, accuracy, n): (usize, f64, usize)| {
        let correct = (accuracy * n as f64).round() as usize;
        CurvePoint { labels, value: accuracy, interval: interval(correct, n) }
    };
    measures.map(point).collect()
}

/// Returns the running accuracy on the films drawn at random, from the tenth on: before, it says nothing.
pub fn audit_points(course: &[(usize, usize, usize)]) -> Vec<CurvePoint> {
    let point = |&(labels, correct, n): &(usize, usize, usize)| CurvePoint {
        labels,
        value: correct as f64 / n as f64,
        interval: interval(correct, n),
    };
    course.iter().filter(|(_, _, n)| *n >= 10).map(point).collect()
}

fn curve(ui: &mut Ui, reading: &Reading, height: f32) {
    let measures = reading.measures();
    let Some(last) = measures.last() else {
        nothing_yet(ui, reading, height);
        return;
    };
    let n = last.n;
    ui.horizontal(|ui| {
        let (low, high) = interval((f64::from(last.accuracy) * n as f64).round() as usize, n);
        ui.label(
            RichText::new(figures::share(f64::from(last.accuracy), n)).font(theme::figure_font()),
        );
        let interval = format!("{}–{}", figures::share(low, n), figures::share(high, n));
        let text = format!(
            "accuracy ({interval}) and {} {} after {}, on {n} reference films",
            if reading.classes().len() > 2 { "mean AUROC of the classes" } else { "AUROC" },
            figures::share(f64::from(last.auroc), n),
            figures::count(last.labels, "label")
        );
        ui.label(RichText::new(text).weak());
    });
    let accuracy = accuracy_points(measures.iter().map(|m| (m.labels, f64::from(m.accuracy), m.n)));
    let auroc: Vec<[f64; 2]> =
        measures.iter().map(|m| [m.labels as f64, f64::from(m.auroc)]).collect();
    let random = audit_points(&reading.audit_course);
    let random_name = format!("Films drawn at random (n = {})", reading.audit().1);
    let swaps = reading.swaps();
    let most = accuracy.iter().chain(&random).map(|point| point.labels).max().unwrap_or(1).max(10);
    let palette = theme::palette(ui);
    let lowest = lowest(&accuracy, &random, &auroc);
    let plot = still(ui, "accuracy over labels")
        .height(height - ui.spacing().interact_size.y - theme::FIGURE)
        .x_axis_label("Labels")
        .y_axis_label(format!("Share right on {n} reference films"))
        .legend(Legend::default().position(Corner::RightBottom))
        .label_formatter(move |hover| read_value(hover, n))
        .show_crosshair(false);
    plot.show(ui, |plot| {
        plot.set_plot_bounds(PlotBounds::from_min_max([0.0, lowest], [1.05 * most as f64, 1.0]));
        band(plot, "Accuracy, 95 % interval", &accuracy, palette.accent);
        plot.line(line("Accuracy", &accuracy).color(palette.accent));
        plot.line(
            Line::new("AUROC", PlotPoints::from(auroc)).color(palette.good).width(theme::CURVE),
        );
        plot.line(line(&random_name, &random).color(palette.secondary));
        plot.points(
            Points::new("Accuracy", positions(&accuracy))
                .color(palette.accent)
                .radius(theme::CURVE),
        );
        for (labels, model) in swaps {
            let name = format!("New model {model}");
            plot.vline(VLine::new(name, labels as f64).color(palette.warning).width(1.0));
        }
    });
}

/// Begins a plot that the pointer reads but does not move.
fn still<'a>(ui: &Ui, name: &'a str) -> Plot<'a> {
    let plot = Plot::new(name).grid_color(theme::palette(ui).hairline).show_background(false);
    // Left to itself a plot fades the labels of close ticks until they cannot be read.
    let [across, down] = theme::TICKS.map(Rangef::point);
    let plot = plot.custom_x_axes(vec![AxisHints::new_x().label_spacing(across)]);
    let plot = plot.custom_y_axes(vec![AxisHints::new_y().label_spacing(down)]);
    plot.allow_drag(false).allow_zoom(false).allow_scroll(false).allow_boxed_zoom(false)
}

/// What is drawn from: everything below is air.
fn lowest(accuracy: &[CurvePoint], random: &[CurvePoint], auroc: &[[f64; 2]]) -> f64 {
    let points =
        accuracy.iter().map(|point| point.interval.0).chain(random.iter().map(|point| point.value));
    let least = points.chain(auroc.iter().map(|point| point[1])).fold(0.5, f64::min);
    (10.0 * least).floor() / 10.0
}

fn positions(points: &[CurvePoint]) -> PlotPoints<'static> {
    points.iter().map(|point| [point.labels as f64, point.value]).collect()
}

fn line(name: &str, points: &[CurvePoint]) -> Line<'static> {
    Line::new(name, positions(points)).width(theme::CURVE)
}

fn band(
    plot: &mut egui_plot::PlotUi<'_>,
    name: &str,
    points: &[CurvePoint],
    colour: egui::Color32,
) {
    let xs: Vec<f64> = points.iter().map(|point| point.labels as f64).collect();
    let low: Vec<f64> = points.iter().map(|point| point.interval.0).collect();
    let high: Vec<f64> = points.iter().map(|point| point.interval.1).collect();
    plot.add(FilledArea::new(name, &xs, &low, &high).fill_color(theme::band(colour)));
}

/// Reads the value of a point that the pointer is near; where there is no point, there is no value.
fn read_value(hover: &HoverPosition<'_>, n: usize) -> Option<String> {
    let HoverPosition::NearDataPoint { plot_name, position, .. } = hover else { return None };
    let labels = figures::count(position.x.max(0.0).round() as usize, "label");
    Some(format!("{plot_name}\n{} after {labels}", figures::share(position.y, n)))
}

fn nothing_yet(ui: &mut Ui, reading: &Reading, height: f32) {
    ui.allocate_ui(egui::vec2(ui.available_width(), height), |ui| {
        ui.set_min_height(height);
        ui.heading("How good is the model, after how many labels?");
        let (correct, n) = reading.audit();
        if n > 0 {
            let text = figures::estimate(correct, n, "films drawn at random");
            ui.label(format!("Accuracy {text}"));
        }
        ui.weak(if reading.workspace.session.header().reference.is_some() {
            "The curve begins with the first ranking that is measured on reference films"
        } else {
            "This session has no reference films: films drawn at random, as they are read, tell how good the model is"
        });
    });
}

fn losses(ui: &mut Ui, reading: &Reading) {
    let points = reading.engine.as_ref().map(crate::engine::Engine::losses).unwrap_or_default();
    if points.is_empty() {
        ui.weak("Losses appear here while background learning runs");
        return;
    }
    let (n, accent) = (points.len(), theme::palette(ui).accent);
    let points: PlotPoints<'_> =
        points.iter().map(|&(step, loss)| [step as f64, f64::from(loss)]).collect();
    still(ui, "loss")
        .height(ui.available_height())
        .x_axis_label(format!("Step (n = {n})"))
        .y_axis_label("Loss")
        .show(ui, |plot| {
            plot.line(Line::new("Loss", points).color(accent).width(theme::CURVE));
        });
}

fn engine_card(ui: &mut Ui, reading: &Reading, commands: &mut Vec<UiCommand>) {
    let learning = &reading.learning;
    ui.heading("Now");
    if let Some(reason) = &learning.failed {
        widgets::notice(ui, Notice::Fault, reason);
    } else if reading.engine.is_none() {
        ui.label("Learning is off: films come in random order");
    } else {
        running(ui, reading, commands);
    }
    if let Some((outcome, labels)) = &learning.outcome {
        widgets::section(ui, "Last job");
        ui.label(sentence(outcome));
        widgets::fact(ui, "Labels", &labels.to_string());
    }
    widgets::section(ui, "In use");
    if let Some(model) = &learning.model {
        widgets::fact(ui, "Model", model);
    }
    if let Some(device) = &learning.device {
        widgets::fact(ui, "Device", device);
    }
    if let Some(milliseconds) = learning.ranked_in {
        widgets::fact(ui, "Last ranking", &format!("{milliseconds:.0} ms"));
    }
    if reading.engine.is_some() {
        strategy(ui, (learning.strategy, learning.stand_in), commands);
    }
    let warnings = reading.workspace.warnings.iter().chain(&learning.warnings);
    for (place, warning) in warnings.enumerate() {
        if place == 0 {
            widgets::section(ui, "Worth knowing");
        }
        widgets::notice(ui, Notice::Warning, warning);
    }
}

fn running(ui: &mut Ui, reading: &Reading, commands: &mut Vec<UiCommand>) {
    let learning = &reading.learning;
    if let Some(share) = learning.done() {
        ui.label(learning.chip().unwrap_or_default());
        widgets::progress_bar(ui, share, "Progress of what runs now");
    }
    let Some(progress) = &learning.progress else {
        if learning.done().is_none() {
            ui.label("Nothing runs; films are ranked anew after each label");
        }
        if ui.button(UiCommand::TrainNow.text(&[])).clicked() {
            commands.push(UiCommand::TrainNow);
        }
        return;
    };
    if let Some(why) = &learning.why {
        widgets::fact(ui, "Why", &sentence(why));
    }
    widgets::fact(ui, "Labels", &progress.labels.to_string());
    widgets::fact(ui, "Speed", &format!("{:.0} films/s", progress.images_per_second));
    ui.horizontal(|ui| {
        for command in [UiCommand::Pause(!progress.paused), UiCommand::Cancel] {
            if ui.button(command.text(&[])).clicked() {
                commands.push(command);
            }
        }
    });
}

/// Offers the strategies; given the one in force or asked for and the one that stands in for it.
fn strategy(
    ui: &mut Ui,
    (current, stand_in): (Option<Strategy>, Option<Strategy>),
    commands: &mut Vec<UiCommand>,
) {
    widgets::section(ui, "Strategy");
    let text = current.map_or_else(|| "Not yet ranked".to_owned(), |strategy| strategy.to_string());
    let chooser = ComboBox::from_id_salt("strategy")
        .width(ui.available_width())
        .height(ui.ctx().content_rect().height() / 2.0)
        .selected_text(text);
    let response = chooser.show_ui(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for (index, strategy) in Strategy::ALL.iter().enumerate() {
            let selected = current == Some(*strategy);
            if widgets::choice(ui, selected, strategy.name(), strategy.describe()).clicked() {
                commands.push(UiCommand::Strategy(index));
            }
        }
    });
    response.response.accessible_name("Strategy");
    if let Some(strategy) = current {
        ui.weak(strategy.describe());
    }
    if let Some(stand_in) = stand_in {
        let text = format!("Ranked by {stand_in} until views of all films are embedded");
        widgets::notice(ui, Notice::Warning, &text);
    }
}

#[cfg(test)]
mod tests {
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;

    use super::*;
    use crate::ui::theme::WINDOW_MIN;

    #[test]
    fn every_strategy_is_offered_with_what_it_means_within_the_smallest_window() {
        let chosen: Vec<UiCommand> = Vec::new();
        let mut harness = Harness::builder().with_size(WINDOW_MIN).build_ui_state(
            |ui, commands: &mut Vec<UiCommand>| {
                theme::apply(ui.ctx());
                let asked = Some(Strategy::AugmentationVariance);
                strategy(ui, (asked, Some(Strategy::Margin)), commands);
            },
            chosen,
        );
        harness.run();
        assert!(harness.query_by_label_contains("Ranked by margin until views").is_some());
        harness.get_by_role(egui::Role::ComboBox).click();
        harness.run();
        for strategy in Strategy::ALL {
            let entry = harness.get_by_label(strategy.name()).rect();
            let (left, right) = (entry.left(), entry.right());
            assert!(left >= 0.0 && right <= WINDOW_MIN.x, "{strategy} from {left} to {right}");
        }
        harness.get_by_label("prob-cover").click();
        harness.run();
        let [UiCommand::Strategy(index)] = harness.state()[..] else {
            panic!("{:?}", harness.state())
        };
        assert_eq!(Strategy::ALL[index], Strategy::ProbCover);
    }

    #[test]
    fn the_band_holds_the_curve_and_narrows_with_n() {
        let points = accuracy_points([(10, 0.8, 100), (20, 0.8, 500)].into_iter());
        for point in &points {
            assert!(point.interval.0 < point.value && point.value < point.interval.1, "{point:?}");
        }
        let width = |point: &CurvePoint| point.interval.1 - point.interval.0;
        assert!(width(&points[1]) < width(&points[0]) / 2.0);
    }

    #[test]
    fn only_points_have_values_to_be_read() {
        let position = egui_plot::PlotPoint::new(12.0, 0.934);
        assert_eq!(read_value(&HoverPosition::Elsewhere { position }, 200), None);
        let near = HoverPosition::NearDataPoint { plot_name: "Accuracy", position, index: 3 };
        assert_eq!(read_value(&near, 200).as_deref(), Some("Accuracy\n.93 after 12 labels"));
    }

    #[test]
    fn the_plot_shows_all_of_the_band() {
        let points = accuracy_points([(1, 0.5, 30)].into_iter());
        assert!(lowest(&points, &[], &[]) <= points[0].interval.0);
        assert_eq!(lowest(&[], &[], &[]), 0.5, "without points the plot begins at chance");
    }
}
