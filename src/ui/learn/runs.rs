//! Runs: every model that was made in the session, with its parent, data and figures; going back to one; what each way of
//! learning came to; the losses.

use std::collections::BTreeMap;

use egui::{Grid, RichText, ScrollArea, Ui};

use super::{Desk, plot};
use crate::chart::{Axis, Chart, Point, Series, Shape, Tint};
use crate::learn::metrics::{Estimate, wilson};
use crate::model::folder::ModelCard;
use crate::session::{Entry, Event, MethodFigures, Time};
use crate::ui::reading::Reading;
use crate::ui::request::Request;
use crate::ui::words::sentence;
use crate::ui::{figures, theme};

/// Ways of learning: how the log calls them, their names and colours.
const METHODS: [(&str, &str, Tint); 3] = [
    ("head", "Head", Tint::Grey),
    ("finetune", "Fine-tuned", Tint::Blue),
    ("distill", "Distilled", Tint::Orange),
];

/// What the cards of models say, or why they cannot be read, by name.
pub type Cards = BTreeMap<String, Result<Box<ModelCard>, String>>;

/// A model that was weighed against the one in use, or taken back into use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// When.
    pub time: Time,
    /// Name of the model.
    pub model: String,
    /// Whether it was taken into use.
    pub accepted: bool,
    /// Figures that decided it, or who went back to it.
    pub reason: String,
    /// Labels that it had learnt from.
    pub labels: usize,
}

/// Returns the session's runs, oldest first.
pub fn runs(entries: &[Entry]) -> Vec<Run> {
    let run = |entry: &Entry| match &entry.event {
        Event::ModelSwap { model, accepted, reason, labels, .. } => Some(Run {
            time: entry.time,
            model: model.clone(),
            accepted: *accepted,
            reason: reason.clone(),
            labels: *labels,
        }),
        _ => None,
    };
    entries.iter().filter_map(run).collect()
}

/// Returns the models whose cards are worth reading: the pretrained one, and those that were taken into use.
pub fn names(base: Option<&str>, runs: &[Run]) -> Vec<String> {
    let kept = runs.iter().filter(|run| run.accepted).map(|run| run.model.clone());
    let mut names: Vec<String> = base.map(str::to_owned).into_iter().chain(kept).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Draws the tab.
pub fn ui(ui: &mut Ui, desk: &mut Desk, reading: &Reading, requests: &mut Vec<Request>) {
    let height = ui.available_height() * 0.55;
    ScrollArea::vertical().id_salt("runs").max_height(height).auto_shrink([false, true]).show(
        ui,
        |ui| {
            table(ui, desk, reading, requests);
        },
    );
    ui.add_space(theme::SPACE[2]);
    let Some(chart) = methods(reading.study.session().entries()) else {
        losses(ui, desk, reading);
        return;
    };
    ui.columns(2, |columns| {
        let height = columns[0].available_height();
        let corner = Some(egui_plot::Corner::RightBottom);
        plot::show(&mut columns[0], &chart, height, corner, &mut desk.saving);
        losses(&mut columns[1], desk, reading);
    });
}

/// What each way of learning came to at each run: accuracy on the reference films or, without any, cross-validated
/// log-loss.
fn methods(entries: &[Entry]) -> Option<Chart> {
    let of_run = |entry: &Entry| match &entry.event {
        Event::ModelSwap { labels, methods, .. } => Some((*labels, methods.clone())),
        _ => None,
    };
    let runs: Vec<(usize, Vec<MethodFigures>)> = entries.iter().filter_map(of_run).collect();
    let found = || runs.iter().flat_map(|(labels, methods)| methods.iter().map(|m| (*labels, m)));
    let n = found().filter_map(|(_, m)| Some(m.reference?.1)).next_back();
    let value = |figures: &MethodFigures, labels: usize| {
        let x = labels as f64;
        let Some((accuracy, n)) = figures.reference else {
            return figures.log_loss.filter(|_| n.is_none()).map(|loss| Point::new(x, loss));
        };
        let Estimate { value, low, high } = wilson((accuracy * n as f64).round() as usize, n);
        Some(Point::within(x, value, low, high))
    };
    let series = METHODS.map(|(method, name, tint)| Series {
        name: name.to_owned(),
        tint,
        shape: Shape::Abreast,
        n: n.unwrap_or(0),
        points: found()
            .filter(|(_, figures)| figures.method == method)
            .filter_map(|(labels, figures)| value(figures, labels))
            .collect(),
    });
    let points = || series.iter().flat_map(|series| &series.points);
    points().next()?;
    let most = points().map(|point| point.x).fold(10.0, f64::max);
    let ends = |point: &Point| point.interval.unwrap_or((point.y, point.y));
    let least = points().map(|point| ends(point).0).fold(0.9, f64::min);
    let highest = points().map(|point| ends(point).1).fold(0.1, f64::max);
    let y = match n {
        Some(_) => Axis::new("Accuracy", (10.0 * least).floor() / 10.0, 1.0),
        None => Axis::new("Log-loss", 0.0, 1.05 * highest),
    };
    let note = match n {
        Some(n) => format!(
            "Models of the same labels on the {n} reference films, Wilson's intervals; the head stands on the pretrained features"
        ),
        None => "Models of the same labels, cross-validated by patient on them; the head stands on the pretrained features"
            .to_owned(),
    };
    Some(Chart {
        title: "Ways of learning".to_owned(),
        x: Axis::new("Labels", 0.0, 1.05 * most),
        y,
        series: series.to_vec(),
        note,
    })
}

fn table(ui: &mut Ui, desk: &Desk, reading: &Reading, requests: &mut Vec<Request>) {
    let runs = runs(reading.study.session().entries());
    let in_use = reading.learner.known().model.as_deref();
    let base = desk.base.as_deref();
    if base.is_none() && runs.is_empty() {
        ui.weak("No model has been made in this session");
        return;
    }
    Grid::new("runs")
        .num_columns(6)
        .striped(true)
        .spacing([theme::SPACE[3], theme::SPACE[1]])
        .show(ui, |ui| {
            for heading in ["Model", "Labels", "Parent", "When", "", "Figures"] {
                ui.label(RichText::new(heading).small().weak());
            }
            ui.end_row();
            if let Some(base) = base {
                let words = "Pretrained without labels".to_owned();
                row(ui, desk, (base, 0, None, &words, true), in_use, requests);
            }
            for run in &runs {
                let when = Some(run.time);
                row(
                    ui,
                    desk,
                    (&run.model, run.labels, when, &run.reason, run.accepted),
                    in_use,
                    requests,
                );
            }
        });
}

fn row(
    ui: &mut Ui,
    desk: &Desk,
    (model, labels, when, reason, kept): (&str, usize, Option<Time>, &String, bool),
    in_use: Option<&str>,
    requests: &mut Vec<Request>,
) {
    let card = desk.cards.get(model);
    let is_in_use = kept && in_use == Some(model);
    let name = RichText::new(model);
    ui.label(if kept { name } else { name.weak() });
    ui.label(labels.to_string());
    let parent = card.and_then(|card| card.as_ref().ok()).and_then(|card| card.parent.clone());
    ui.label(RichText::new(parent.unwrap_or_else(|| "–".to_owned())).weak());
    let when =
        when.map_or_else(|| "–".to_owned(), |time| time.to_string().chars().take(16).collect());
    ui.label(RichText::new(when.replace('T', " ")).weak());
    let known = matches!(card, Some(Ok(_)));
    if is_in_use {
        ui.label(RichText::new("in use").color(theme::palette(ui).accent));
    } else if kept && known {
        let button = ui.button("Use again").accessible_name(format!("Use {model} again"));
        if button.clicked() {
            requests.push(Request::UseModel(model.to_owned()));
        }
    } else if kept {
        ui.label(RichText::new(if card.is_some() { "gone" } else { "" }).weak());
    } else {
        ui.label(RichText::new("not taken").weak());
    }
    // Last, since a grid gives its last column all that is left.
    let text = egui::Label::new(RichText::new(sentence(reason)).small()).truncate();
    ui.add(text).on_hover_text(described(reason, card));
    ui.end_row();
}

/// All that is known of a model.
fn described(reason: &str, card: Option<&Result<Box<ModelCard>, String>>) -> String {
    match card {
        Some(Ok(card)) => {
            let hash: String = card.weights_hash.chars().take(12).collect();
            let pretty =
                |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap_or_default();
            format!(
                "{reason}\nFilms of {} pixels, seed {}, weights {hash}…\nMetrics {}",
                card.preprocess.size,
                card.seed,
                pretty(&card.metrics)
            )
        }
        Some(Err(error)) => format!("{reason}\n{error}"),
        None => reason.to_owned(),
    }
}

fn losses(ui: &mut Ui, desk: &mut Desk, reading: &Reading) {
    let points = reading.learner.losses();
    if points.is_empty() {
        ui.weak("Losses appear here while background learning runs");
        return;
    }
    let n = points.len();
    let last = points.last().map_or(1.0, |&(step, _)| step as f64);
    let points: Vec<Point> =
        points.iter().map(|&(step, loss)| Point::new(step as f64, f64::from(loss))).collect();
    let most = points.iter().map(|point| point.y).filter(|y| y.is_finite()).fold(0.1, f64::max);
    let chart = Chart {
        title: "Loss".to_owned(),
        x: Axis::new(format!("Step (n = {n})"), 0.0, last),
        y: Axis::new("Loss", 0.0, 1.05 * most),
        series: vec![Series {
            name: "Loss".to_owned(),
            tint: Tint::Blue,
            shape: Shape::Line,
            n: 0,
            points,
        }],
        note: format!(
            "Of the job that runs or ran last, stage after stage; {}",
            figures::count(n, "step")
        ),
    };
    plot::show(ui, &chart, ui.available_height(), None, &mut desk.saving);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_read_of_models_that_can_be_used_again() {
        let run = |model: &str, accepted| Run {
            time: Time::now(),
            model: model.to_owned(),
            accepted,
            reason: String::new(),
            labels: 1,
        };
        let runs =
            [run("ward-20", true), run("ward-30", false), run("demo", true), run("ward-20", true)];
        assert_eq!(names(Some("demo"), &runs), ["demo", "ward-20"]);
    }

    #[test]
    fn ways_of_learning_are_compared_on_reference_films_where_there_are_any() {
        let figures = |method: &str, log_loss, reference| MethodFigures {
            method: method.to_owned(),
            log_loss: Some(log_loss),
            reference,
        };
        let entry = |labels, methods| Entry {
            seq: 0,
            time: Time::now(),
            reader: String::new(),
            event: Event::ModelSwap {
                model: String::new(),
                accepted: false,
                reason: String::new(),
                labels,
                methods,
            },
        };
        let early = entry(10, Vec::new());
        assert!(methods(std::slice::from_ref(&early)).is_none());
        let without = [
            early,
            entry(20, vec![figures("head", 0.4, None), figures("finetune", 0.3, None)]),
            entry(30, vec![figures("head", 0.35, None), figures("finetune", 0.2, None)]),
        ];
        let chart = methods(&without).unwrap();
        assert_eq!(chart.y.title, "Log-loss");
        assert_eq!(chart.series[1].points, [Point::new(20.0, 0.3), Point::new(30.0, 0.2)]);
        assert!(chart.series[2].points.is_empty());
        let on_films = [entry(20, vec![figures("distill", 0.4, Some((0.9, 200)))])];
        let chart = methods(&on_films).unwrap();
        assert_eq!(chart.y.title, "Accuracy");
        let point = chart.series[2].points[0];
        let Estimate { value, low, high } = wilson(180, 200);
        assert_eq!((point.y, point.interval), (value, Some((low, high))));
    }
}
