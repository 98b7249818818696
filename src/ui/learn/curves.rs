//! Curves: a figure over labels or minutes of reading, from each source apart, and what other orders would have come to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use egui::{Grid, RichText, Ui};

use super::{Desk, plot};
use crate::chart::{Axis, Chart, Point, Series, Shape, Tint};
use crate::learn::figures::{Figure, Figures};
use crate::learn::metrics::{Estimate, wilson};
use crate::query::Strategy;
use crate::session;
use crate::session::agreement::Ceiling;
use crate::study::analysis::{Analysis, Arm, Counterfactual};
use crate::study::charts::{Curve, stream_name};
use crate::study::{AuditPoint, reading_minutes};
use crate::ui::reading::Reading;
use crate::ui::{figures, theme};

/// What curves are drawn from.
pub struct Sources<'a> {
    /// The figure.
    pub figure: Figure,
    /// What the log has: the model in use, measured on the reference films as the session went.
    pub measured: &'a [session::Point],
    /// How the random stream went, film by film.
    pub audit_course: &'a [AuditPoint],
    /// The analysis, once there is one.
    pub analysis: Option<&'a Analysis>,
    /// What other orders would have come to, where it is to be drawn.
    pub counterfactual: Option<&'a Counterfactual>,
    /// Labels at which models were taken into use, and their names.
    pub swaps: Vec<(usize, String)>,
    /// Minutes of reading for the first 0, 1, 2 … labels, where they are what it is drawn over.
    pub minutes: Option<Vec<f64>>,
    /// Number of classes.
    pub classes: usize,
    /// How far readers agree with each other, where several have read.
    pub ceiling: Option<&'a Ceiling>,
}

impl Sources<'_> {
    /// What is drawn over what.
    fn curve(&self) -> Curve<'_> {
        Curve { figure: self.figure, minutes: self.minutes.as_deref() }
    }

    /// The random stream's accuracy, as far as the log alone has it.
    fn stream_without_analysis(&self) -> Option<Series> {
        let n = self.audit_course.last()?.n;
        let point = |&AuditPoint { read, correct, n }: &AuditPoint| {
            let Estimate { value, low, high } = wilson(correct, n);
            Point::within(self.curve().across(read), value, low, high)
        };
        let points = self.audit_course.iter().filter(|point| point.n >= 10).map(point).collect();
        let (name, tint) = (stream_name(n), Tint::Orange);
        Some(Series { name, tint, shape: Shape::Line, n, points })
    }

    /// Draws the chart.
    pub fn chart(&self) -> Chart {
        let mut series = Vec::new();
        match self.counterfactual {
            Some(found) => series.extend(found.arms.iter().map(|arm| self.arm(arm, found.films))),
            None => series.extend(self.of_each_source()),
        }
        series.retain(|series| !series.points.is_empty());
        let ends = series.iter().flat_map(|s| s.points.iter().map(|p| p.x));
        let most = ends.fold(0.0, f64::max);
        let (low, high) = ends_of_shares(&series, self.figure.is_error());
        if self.counterfactual.is_none() {
            for (labels, model) in &self.swaps {
                series.push(self.curve().swap(model, *labels, low));
            }
            series.extend(self.ceiling(most));
        }
        let x = self.curve().axis();
        let least = if self.minutes.is_some() { 1.0 } else { 10.0 };
        Chart {
            title: format!("{} over {}", self.name(), x.to_lowercase()),
            x: Axis::new(x, 0.0, 1.05 * most.max(least)),
            y: Axis::new(self.name(), low, high),
            series,
            note: self.note(),
        }
    }

    fn name(&self) -> &'static str {
        match self.figure {
            Figure::Auroc if self.classes > 2 => "Mean AUROC of the classes",
            figure => figure.name(),
        }
    }

    fn of_each_source(&self) -> Vec<Series> {
        let mut series = Vec::new();
        if let Some(analysis) = self.analysis {
            let n = analysis.labels;
            let name = format!("Cross-validated by patient (n = {n} labels)");
            series.push(self.curve().series(
                name,
                Tint::Green,
                Shape::Line,
                &analysis.cross_validated,
            ));
            series.push(self.curve().stream(&analysis.audit));
            // A session that was measured from the start needs no replay beside what was measured.
            let measured =
                |live: &Series| live.points.iter().filter(|p| p.interval.is_some()).count();
            let few = |live: &Series| 2 * measured(live) < analysis.reference.len();
            if self.curve().live(self.measured).as_ref().is_none_or(few) {
                let reference = &analysis.reference;
                let n = reference.last().map_or(0, |point| point.figures.n);
                let name = format!("Reference films, replayed on {} (n = {n})", analysis.base);
                series.push(self.curve().series(name, Tint::Blue, Shape::Dashed, reference));
            }
        } else if self.figure == Figure::Accuracy {
            series.extend(self.stream_without_analysis());
        }
        series.extend(self.curve().live(self.measured));
        series
    }

    /// What readers reach on each other, over the whole width: no model can be shown to be better than its readers agree.
    fn ceiling(&self, most: f64) -> Option<Series> {
        let found = self.ceiling.filter(|_| self.figure == Figure::Accuracy)?;
        let share = found.agreement;
        let of = if found.unbiased { "random films" } else { "films, most of them chosen" };
        Some(Series {
            name: format!("Two readers agree (n = {} {of})", found.films),
            tint: Tint::Grey,
            shape: Shape::Dashed,
            n: found.films,
            points: [0.0, most]
                .map(|x| Point::within(x, share.value, share.low, share.high))
                .to_vec(),
        })
    }

    fn arm(&self, arm: &Arm, films: usize) -> Series {
        let mut at: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for outcome in arm.draws.iter().flatten() {
            at.entry(outcome.labels).or_default().extend(outcome.values.get(self.figure));
        }
        at.retain(|_, values| !values.is_empty());
        let point = |(labels, values): (&usize, &Vec<f64>)| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let interval = (values.len() > 1).then_some((low, high));
            Point { x: self.curve().across(*labels), y: mean, interval }
        };
        let (name, tint, shape) = match arm.strategy {
            None => ("This session's order".to_owned(), Tint::Blue, Shape::Line),
            Some(Strategy::Random) => {
                let name = format!("random, mean and range of {} draws", arm.draws.len());
                (name, Tint::Grey, Shape::Dashed)
            }
            Some(Strategy::Margin) => ("margin".to_owned(), Tint::Red, Shape::Dashed),
            Some(strategy) => (strategy.to_string(), Tint::Green, Shape::Dashed),
        };
        Series { name, tint, shape, n: films, points: at.iter().map(point).collect() }
    }

    fn note(&self) -> String {
        if let Some(found) = self.counterfactual {
            return format!(
                "Each strategy chooses anew among the {} films that have a label, as no other answers are known; so all end \
                 at one point, and the films themselves are those that this session chose. Measured on the {} reference films, \
                 head on the pretrained features.{}",
                found.labels,
                found.films,
                if self.minutes.is_some() {
                    " Minutes are those of this session's order."
                } else {
                    ""
                }
            );
        }
        let base = self.analysis.map_or("", |analysis| &analysis.base);
        let mut note = format!("95 % intervals: {}.", self.figure.interval());
        if !base.is_empty() {
            _ = write!(
                note,
                " Random films: each by the model in use before its label, all so far. Cross-validated and replayed: head on \
                 the features of {base}, which no label has touched; films that a strategy chose are harder than most."
            );
        }
        if self.figure == Figure::CalibrationError {
            note.push_str(" On few films the calibration error is too high by chance.");
        }
        note
    }
}

/// What is drawn from and to: everything beyond is air.
fn ends_of_shares(series: &[Series], is_error: bool) -> (f64, f64) {
    let points = || series.iter().flat_map(|series| &series.points);
    if is_error {
        let most = points().map(|p| p.interval.map_or(p.y, |i| i.1)).fold(0.2, f64::max);
        return (0.0, (10.0 * most).ceil() / 10.0);
    }
    let least =
        points().map(|p| p.interval.map_or(p.y, |i| i.0.max(p.y - 0.25))).fold(0.5, f64::min);
    ((10.0 * least).floor() / 10.0, 1.0)
}

/// Draws the tab.
pub fn ui(ui: &mut Ui, desk: &mut Desk, reading: &Reading) {
    headline(ui, desk, reading);
    choices(ui, desk, reading);
    let study = &reading.study;
    desk.measure_ceiling(study);
    let counterfactual = desk.counterfactual.as_deref().filter(|_| desk.what_if);
    let sources = Sources {
        figure: desk.figure,
        measured: study.measures(),
        audit_course: study.audit_course(),
        analysis: desk.analysis.as_deref(),
        counterfactual: counterfactual.filter(|found| !found.arms.is_empty()),
        swaps: study.swaps(),
        minutes: desk.minutes.then(|| reading_minutes(study.state())),
        classes: reading.classes().len(),
        ceiling: desk.ceiling.1.as_ref(),
    };
    let chart = sources.chart();
    let lines = if desk.analysis.is_some() { 6.5 } else { 1.0 };
    let table = lines * ui.spacing().interact_size.y;
    let height = ui.available_height() - table - theme::SPACE[4];
    if chart.series.is_empty() {
        nothing_yet(ui, reading, height);
        return;
    }
    plot::show(
        ui,
        &chart,
        height - theme::SPACE[4],
        Some(egui_plot::Corner::RightBottom),
        &mut desk.saving,
    );
    plot::note(ui, &chart.note);
    ui.add_space(theme::SPACE[0]);
    by_source(ui, desk.analysis.as_deref());
}

/// The one question: how good is it, after how many labels?
fn headline(ui: &mut Ui, desk: &Desk, reading: &Reading) {
    let Some(last) = reading.study.measures().last() else { return };
    let (n, accuracy) = (last.n, f64::from(last.accuracy));
    let Estimate { low, high, .. } = wilson((accuracy * n as f64).round() as usize, n);
    ui.horizontal(|ui| {
        ui.label(RichText::new(figures::share(accuracy, n)).font(theme::figure_font()));
        let text = format!(
            "accuracy ({}–{}) and {} {} after {}, on {n} reference films",
            figures::share(low, n),
            figures::share(high, n),
            if reading.classes().len() > 2 { "mean AUROC of the classes" } else { "AUROC" },
            figures::share(f64::from(last.auroc), n),
            figures::count(last.labels, "label")
        );
        ui.label(RichText::new(text).weak());
        if desk.analysis.is_none() && reading.learner.is_on() {
            ui.label(RichText::new("· working out the other sources…").weak());
        }
    });
}

fn choices(ui: &mut Ui, desk: &mut Desk, reading: &Reading) {
    ui.horizontal_wrapped(|ui| {
        for figure in Figure::ALL {
            ui.selectable_value(&mut desk.figure, figure, figure.name());
        }
        ui.separator();
        ui.selectable_value(&mut desk.minutes, false, "Labels");
        ui.selectable_value(&mut desk.minutes, true, "Minutes");
        if reading.learner.is_on() {
            ui.separator();
            ui.toggle_value(&mut desk.what_if, "Other orders").on_hover_text(
                "What random order, margin or TypiClust would have come to on the same labels",
            );
            match &desk.counterfactual {
                None if desk.what_if => _ = ui.weak("Replaying…"),
                Some(found) if desk.what_if && found.arms.is_empty() => {
                    ui.weak("Other orders are measured on reference films, and there are none");
                }
                _ => {}
            }
        }
    });
}

fn nothing_yet(ui: &mut Ui, reading: &Reading, height: f32) {
    let height = height.max(0.0);
    ui.allocate_ui(egui::vec2(ui.available_width(), height), |ui| {
        ui.set_min_height(height);
        ui.heading("How good is the model, after how many labels?");
        let (correct, n) = reading.study.audit();
        if n > 0 {
            let text = figures::estimate(correct, n, "films drawn at random");
            ui.label(format!("Accuracy {text}"));
        }
        ui.weak(if reading.study.session().header().reference.is_some() {
            "The curve begins with the first ranking that is measured on reference films"
        } else {
            "This session has no reference films: films drawn at random, as they are read, and cross-validation tell how good the model is"
        });
    });
}

/// All figures, the sources kept apart.
fn by_source(ui: &mut Ui, analysis: Option<&Analysis>) {
    let Some(analysis) = analysis else { return };
    let rows = [
        ("Reference films, replayed", analysis.reference.last()),
        ("Random films, before their label", analysis.audit.last()),
        ("Cross-validated by patient", analysis.cross_validated.last()),
    ];
    let columns = 2 + Figure::ALL.len();
    Grid::new("figures by source")
        .num_columns(columns)
        .spacing([theme::SPACE[3], theme::SPACE[0]])
        .show(ui, |ui| {
            ui.label(RichText::new("Source").small().weak());
            ui.label(RichText::new("n").small().weak());
            for figure in Figure::ALL {
                ui.label(RichText::new(figure.name()).small().weak());
            }
            ui.end_row();
            for (name, point) in rows {
                ui.label(RichText::new(name).small());
                match point {
                    Some(point) => cells(ui, &point.figures),
                    None => _ = ui.label(RichText::new("too few").small().weak()),
                }
                ui.end_row();
            }
        });
}

fn cells(ui: &mut Ui, figures: &Figures) {
    ui.label(RichText::new(figures.n.to_string()).small());
    for figure in Figure::ALL {
        let text = figures
            .get(figure)
            .map_or_else(|| "–".to_owned(), |estimate| within(&estimate, figures.n));
        ui.label(RichText::new(text).small());
    }
}

/// Writes an estimate with its interval: ".93 (.88–.96)".
pub fn within(estimate: &Estimate, n: usize) -> String {
    let digits = n.max(30);
    let share = |value: f64| figures::share(value, digits);
    format!("{} ({}–{})", share(estimate.value), share(estimate.low), share(estimate.high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::figures::Values;
    use crate::study::Checkpoint;
    use crate::study::analysis::Outcome;

    fn estimate(value: f64) -> Estimate {
        Estimate { value, low: value - 0.1, high: value + 0.05 }
    }

    fn checkpoint(labels: usize, value: f64) -> Checkpoint {
        let figures = Figures {
            n: 200,
            accuracy: estimate(value),
            balanced_accuracy: estimate(value),
            auroc: Some(estimate(value)),
            sensitivity: None,
            specificity: Some(estimate(value)),
            ece: estimate(0.3),
        };
        Checkpoint { labels, figures }
    }

    fn sources(analysis: Option<&Analysis>, figure: Figure) -> Sources<'_> {
        Sources {
            figure,
            measured: &[],
            audit_course: &[],
            analysis,
            counterfactual: None,
            swaps: vec![(20, "ward-20".to_owned())],
            minutes: None,
            classes: 2,
            ceiling: None,
        }
    }

    #[test]
    fn sources_are_kept_apart_and_a_figure_that_is_undefined_is_no_point() {
        let analysis = Analysis {
            labels: 30,
            base: "demo".to_owned(),
            reference: vec![checkpoint(10, 0.7), checkpoint(30, 0.8)],
            cross_validated: vec![checkpoint(30, 0.6)],
            ..Analysis::default()
        };
        let chart = sources(Some(&analysis), Figure::Accuracy).chart();
        let names: Vec<&str> = chart.series.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "Cross-validated by patient (n = 30 labels)",
                "Reference films, replayed on demo (n = 200)",
                "New model ward-20"
            ]
        );
        assert!(chart.y.low <= 0.5 && chart.x.high > 30.0);
        let undefined = sources(Some(&analysis), Figure::Sensitivity).chart();
        assert!(undefined.series.iter().all(|s| s.shape == Shape::Rules));
        let error = sources(Some(&analysis), Figure::CalibrationError).chart();
        assert_eq!(error.y.low, 0.0);
        assert!(error.y.high >= 0.35);
    }

    #[test]
    fn minutes_are_those_of_the_reading() {
        let analysis = Analysis {
            labels: 2,
            reference: vec![checkpoint(1, 0.7), checkpoint(2, 0.8)],
            ..Analysis::default()
        };
        let mut sources = sources(Some(&analysis), Figure::Accuracy);
        sources.swaps.clear();
        sources.minutes = Some(vec![0.0, 0.5, 4.0]);
        let chart = sources.chart();
        let places: Vec<f64> = chart.series[0].points.iter().map(|point| point.x).collect();
        assert_eq!(places, [0.5, 4.0]);
        assert_eq!(chart.x.title, "Minutes of reading");
    }

    #[test]
    fn draws_of_a_strategy_are_drawn_as_their_mean_and_range() {
        // Of five films three, four and five are right.
        let outcome = |right: usize| {
            let p: Vec<f32> =
                (0..5).flat_map(|i| if i < right { [1.0, 0.0] } else { [0.0, 1.0] }).collect();
            Outcome { labels: 10, values: Values::of(&p, &[0; 5], 2, 1).unwrap() }
        };
        let draws = [3, 4, 5].map(|right| vec![outcome(right)]).to_vec();
        let arms = vec![Arm { strategy: Some(Strategy::Random), draws }];
        let found = Counterfactual { version: 1, labels: 10, films: 5, arms };
        let mut sources = sources(None, Figure::Accuracy);
        sources.counterfactual = Some(&found);
        let chart = sources.chart();
        let point = chart.series[0].points[0];
        assert!((point.y - 0.8).abs() < 1e-12);
        assert_eq!(point.interval, Some((0.6, 1.0)));
    }
}
