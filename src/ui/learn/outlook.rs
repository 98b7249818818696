//! Outlook: what the next labels would buy, and whether to stop.

use egui::{RichText, Ui};

use super::{Desk, plot};
use crate::chart::{Axis, Chart, Point, Series, Shape, Tint};
use crate::learn::learning_curve::{FEWEST_POINTS, Forecast};
use crate::learn::metrics::Estimate;
use crate::learn::stopping::{Stability, THRESHOLD, WINDOW};
use crate::study::analysis::Analysis;
use crate::ui::reading::Reading;
use crate::ui::widgets::{self, Notice};
use crate::ui::{figures, theme};

/// Draws the tab.
pub fn ui(ui: &mut Ui, desk: &mut Desk, reading: &Reading) {
    let Some(analysis) = desk.analysis.clone() else {
        super::waiting(ui, reading);
        return;
    };
    let half = (ui.available_height() - theme::SPACE[2]) / 2.0;
    let top = ui.cursor().top();
    forecast(ui, desk, &analysis, half);
    ui.add_space((half - (ui.cursor().top() - top)).max(0.0) + theme::SPACE[1]);
    stopping(ui, desk, &analysis, half - theme::SPACE[2]);
}

/// Says what the next labels would buy: "+.004 (−.002 to .012)".
pub fn gain_in_words(forecast: &Forecast) -> String {
    let Estimate { value, low, high } = forecast.gain;
    let sign = |value: f64| {
        let text = format!("{:.3}", value.abs());
        let text = text.strip_prefix('0').map_or_else(|| text.clone(), str::to_owned);
        format!("{}{text}", if value < -0.0005 { "−" } else { "" })
    };
    format!(
        "The next {} labels would raise the accuracy by {} ({} to {})",
        forecast.more,
        sign(value),
        sign(low),
        sign(high)
    )
}

fn forecast(ui: &mut Ui, desk: &mut Desk, analysis: &Analysis, height: f32) {
    let Some(forecast) = &analysis.forecast else {
        ui.heading("What would the next 50 labels buy?");
        ui.weak(format!(
            "A forecast needs reference films and a curve of {FEWEST_POINTS} points or more: some ten labels"
        ));
        return;
    };
    ui.heading(gain_in_words(forecast));
    let law = forecast.law;
    plot::note(
        ui,
        &format!(
            "Power law through the replayed curve, error = {:.3} + {:.2} n^−{:.2}; 95 % interval by bootstrap over the {} reference \
         films and the curve's points. It supposes that labels are chosen as so far and that the law goes on.",
            law.floor, law.scale, law.exponent, forecast.films
        ),
    );
    let chart = forecast_chart(forecast, analysis);
    let left = height - 3.0 * ui.spacing().interact_size.y;
    plot::show(ui, &chart, left, Some(egui_plot::Corner::RightBottom), &mut desk.saving);
}

fn forecast_chart(forecast: &Forecast, analysis: &Analysis) -> Chart {
    let law = |&(labels, Estimate { value, low, high }): &(usize, Estimate)| {
        Point::within(labels as f64, 1.0 - value, 1.0 - high, 1.0 - low)
    };
    let points: Vec<Point> = forecast.errors.iter().map(law).collect();
    let measured = analysis
        .reference
        .iter()
        .map(|point| Point::new(point.labels as f64, point.figures.accuracy.value));
    let measured: Vec<Point> = measured.collect();
    let low = points.iter().filter_map(|p| p.interval).map(|i| i.0);
    let low = low.chain(measured.iter().map(|p| p.y)).fold(0.5, f64::min);
    let last = (forecast.labels + forecast.more) as f64;
    let series = vec![
        Series {
            name: "Power law, 95 % interval".to_owned(),
            tint: Tint::Green,
            shape: Shape::Dashed,
            n: forecast.films,
            points,
        },
        Series {
            name: format!("Replayed on {} (n = {})", analysis.base, forecast.films),
            tint: Tint::Blue,
            shape: Shape::Dots,
            n: forecast.films,
            points: measured,
        },
        Series {
            name: "Labels so far".to_owned(),
            tint: Tint::Grey,
            shape: Shape::Rules,
            n: 0,
            points: vec![Point::new(forecast.labels as f64, low)],
        },
    ];
    Chart {
        title: "Accuracy foreseen".to_owned(),
        x: Axis::new("Labels", 0.0, 1.03 * last),
        y: Axis::new("Accuracy", ((10.0 * low).floor() / 10.0).max(0.0), 1.0),
        series,
        note: gain_in_words(forecast),
    }
}

/// Says whether to stop, and why.
pub fn stopping_in_words(stability: &Stability) -> (bool, String) {
    let films = figures::count(stability.films, "film");
    match stability.average() {
        None => (
            false,
            format!(
                "Too early to say: {} models, ten labels apart, are compared on {films} without a label, and there are {}",
                WINDOW + 1,
                stability.kappas.len() + usize::from(!stability.kappas.is_empty())
            ),
        ),
        Some(average) => {
            let relation = if stability.settled() { "has settled" } else { "still changes" };
            (
                stability.settled(),
                format!(
                    "What the model calls {films} without a label {relation}: kappa of successive models, ten labels apart, \
                     {average:.3} on average of the last {WINDOW}; stopping is suggested from {THRESHOLD}"
                ),
            )
        }
    }
}

fn stopping(ui: &mut Ui, desk: &mut Desk, analysis: &Analysis, height: f32) {
    let (stop, why) = stopping_in_words(&analysis.stability);
    ui.heading(if stop {
        "Further labels of this kind would change little"
    } else {
        "Go on labelling"
    });
    if stop {
        widgets::notice(ui, Notice::Good, &why);
    } else {
        ui.add(egui::Label::new(RichText::new(&why).weak()).wrap());
    }
    let kappas = &analysis.stability.kappas;
    if kappas.is_empty() {
        return;
    }
    let points: Vec<Point> =
        kappas.iter().map(|&(labels, kappa)| Point::new(labels as f64, kappa)).collect();
    let low = points.iter().map(|point| point.y).fold(0.8, f64::min);
    let last = kappas.last().map_or(10.0, |&(labels, _)| labels as f64);
    let level = vec![Point::new(0.0, THRESHOLD), Point::new(1.05 * last, THRESHOLD)];
    let films = analysis.stability.films;
    let chart = Chart {
        title: "Agreement of successive models".to_owned(),
        x: Axis::new("Labels", 0.0, 1.05 * last),
        y: Axis::new("Cohen's kappa", (10.0 * low).floor() / 10.0, 1.0),
        series: vec![
            Series {
                name: format!("Stop from {THRESHOLD}"),
                tint: Tint::Grey,
                shape: Shape::Dashed,
                n: 0,
                points: level,
            },
            Series {
                name: format!("With the model ten labels before (n = {films} films)"),
                tint: Tint::Blue,
                shape: Shape::Line,
                n: films,
                points,
            },
        ],
        note: format!("{why}. Stabilising predictions, Bloodgood and Vijay-Shanker 2009."),
    };
    let left = height - 3.0 * ui.spacing().interact_size.y;
    plot::show(ui, &chart, left, Some(egui_plot::Corner::RightBottom), &mut desk.saving);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_says_why() {
        let stability = |kappas: &[f64]| Stability {
            kappas: kappas.iter().enumerate().map(|(k, &kappa)| (10 * k, kappa)).collect(),
            films: 2000,
        };
        let (stop, why) = stopping_in_words(&stability(&[0.99, 1.0, 0.995]));
        assert!(stop && why.contains("has settled") && why.contains("0.995 on average"), "{why}");
        let (stop, why) = stopping_in_words(&stability(&[0.9, 1.0, 0.95]));
        assert!(!stop && why.contains("still changes"), "{why}");
        let (stop, why) = stopping_in_words(&stability(&[1.0]));
        assert!(!stop && why.contains("Too early") && why.ends_with("there are 2"), "{why}");
    }

    #[test]
    fn a_gain_has_its_interval_and_its_sign() {
        let law = crate::learn::learning_curve::PowerLaw { floor: 0.1, scale: 1.0, exponent: 0.5 };
        let gain = Estimate { value: 0.0123, low: -0.0021, high: 0.0312 };
        let forecast = Forecast { law, labels: 60, films: 200, errors: Vec::new(), more: 50, gain };
        assert_eq!(
            gain_in_words(&forecast),
            "The next 50 labels would raise the accuracy by .012 (−.002 to .031)"
        );
    }
}
