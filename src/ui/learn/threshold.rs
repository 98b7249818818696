//! Threshold: what a threshold on the probability makes of the model, on films of one source: confusion, ROC, reliability.

use egui::{Align2, FontId, Rect, RichText, Sense, Slider, Ui, pos2, vec2};

use super::curves::within;
use super::saving::{Drawn, Saving};
use super::{Desk, plot};
use crate::chart::{Axis, Chart, Matrix, Point, Series, Shape, Tint};
use crate::learn::metrics::Confusion;
use crate::learn::operating_point::{OperatingPoint, roc_curve, youden_threshold};
use crate::study::Held;
use crate::study::analysis::Analysis;
use crate::study::charts::{BINS, diagonal, reliability_points, roc_points};
use crate::ui::reading::Reading;
use crate::ui::words::sentence;
use crate::ui::{figures, theme};

/// Films that the model's predictions are judged on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Judged {
    /// The reference set, by the model in use.
    #[default]
    Reference,
    /// The random stream, each film by the model in use before its label.
    Stream,
    /// Labelled films, each by a head that has not seen its patient.
    CrossValidated,
}

impl Judged {
    const ALL: [Self; 3] = [Self::Reference, Self::Stream, Self::CrossValidated];

    const fn name(self) -> &'static str {
        match self {
            Self::Reference => "Reference films",
            Self::Stream => "Random films, before their label",
            Self::CrossValidated => "Labelled films, cross-validated",
        }
    }

    fn held(self, analysis: &Analysis) -> &Held {
        match self {
            Self::Reference => &analysis.held_of_reference,
            Self::Stream => &analysis.held_before_the_label,
            Self::CrossValidated => &analysis.held_out_of_fold,
        }
    }
}

/// Predictions of one source, made ready: probabilities of the positive class, whether each film is positive.
struct Films<'a> {
    held: &'a Held,
    scores: Vec<f32>,
    positive: Vec<bool>,
    source: &'static str,
    class: String,
}

impl<'a> Films<'a> {
    fn new(held: &'a Held, source: &'static str, positive: usize, classes: &[String]) -> Self {
        let scores = held.probabilities.iter().skip(positive).step_by(classes.len()).copied();
        Self {
            scores: scores.collect(),
            positive: held.truth.iter().map(|&class| class == positive).collect(),
            held,
            source,
            class: classes.get(positive).cloned().unwrap_or_default(),
        }
    }

    fn roc(&self, threshold: f32) -> Chart {
        let n = self.scores.len();
        let positives = self.positive.iter().filter(|&&positive| positive).count();
        let at = OperatingPoint::at(threshold, &self.scores, &self.positive);
        let here = at.sensitivity().zip(at.specificity()).map(|(sensitivity, specificity)| {
            Point::within(
                1.0 - specificity.value,
                sensitivity.value,
                sensitivity.low,
                sensitivity.high,
            )
        });
        let series = vec![
            diagonal("Diagonal"),
            Series {
                name: format!("ROC (n = {n})"),
                tint: Tint::Blue,
                shape: Shape::Line,
                n,
                points: roc_points(&self.scores, &self.positive),
            },
            Series {
                name: format!("Threshold {}", figures::share(f64::from(threshold), 100)),
                tint: Tint::Orange,
                shape: Shape::Dots,
                n: positives,
                points: here.into_iter().collect(),
            },
        ];
        Chart {
            title: "ROC".to_owned(),
            x: Axis::new("1 − specificity", 0.0, 1.0),
            y: Axis::new("Sensitivity", 0.0, 1.0),
            series,
            note: format!(
                "{} of {n} films are {}; {}. The bar is Wilson's interval of the sensitivity.",
                positives,
                self.class,
                self.source.to_lowercase()
            ),
        }
    }

    fn reliability(&self) -> Chart {
        let n = self.scores.len();
        let (tint, shape) = (Tint::Blue, Shape::Dots);
        let name = format!("{BINS} bins (n = {n})");
        let points = reliability_points(&self.scores, &self.positive);
        Chart {
            title: "Reliability".to_owned(),
            x: Axis::new(format!("Probability of {}", self.class), 0.0, 1.0),
            y: Axis::new(format!("Share that is {}", self.class), 0.0, 1.0),
            series: vec![diagonal("Diagonal"), Series { name, tint, shape, n, points }],
            note: format!(
                "Films by probability in {BINS} equal bins; bars are Wilson's intervals; n = {n}, {}",
                self.source.to_lowercase()
            ),
        }
    }
}

/// Draws the tab.
pub fn ui(ui: &mut Ui, desk: &mut Desk, reading: &Reading) {
    let Some(analysis) = desk.analysis.clone() else {
        super::waiting(ui, reading);
        return;
    };
    ui.horizontal_wrapped(|ui| {
        for judged in Judged::ALL {
            let n = judged.held(&analysis).truth.len();
            ui.selectable_value(&mut desk.judged, judged, format!("{} {n}", judged.name()));
        }
    });
    let held = desk.judged.held(&analysis);
    if held.truth.is_empty() {
        ui.weak(match desk.judged {
            Judged::Reference => "This session has no reference films, or no label yet",
            Judged::Stream => "No film of the random stream has an answer yet",
            Judged::CrossValidated => {
                "Cross-validation needs ten labels of two classes and two patients"
            }
        });
        return;
    }
    let classes = reading.study.workspace().class_names();
    let positive = crate::learn::metrics::positive_class(&classes);
    let films = Films::new(held, desk.judged.name(), positive, &classes);
    slider(ui, desk, &films);
    let point = OperatingPoint::at(desk.threshold, &films.scores, &films.positive);
    sentence_of(ui, &point, &films.class);
    let side = (ui.available_width() - 2.0 * theme::SPACE[2]) / 3.0;
    let height = ui.available_height().min(1.15 * side);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = theme::SPACE[2];
        let saving = &mut desk.saving;
        for chart in [films.roc(desk.threshold), films.reliability()] {
            ui.allocate_ui(vec2(side, height), |ui| {
                ui.vertical(|ui| plot::show(ui, &chart, height, None, saving));
            });
        }
        ui.allocate_ui(vec2(side, height), |ui| {
            ui.vertical(|ui| confusion(ui, &matrix(&point, &films, &classes), saving));
        });
    });
}

fn slider(ui: &mut Ui, desk: &mut Desk, films: &Films<'_>) {
    ui.horizontal(|ui| {
        let label = ui.label(format!("Called {} from a probability of", films.class));
        ui.spacing_mut().slider_width = 2.0 * theme::SLIDER;
        let slider = Slider::new(&mut desk.threshold, 0.0..=1.0).fixed_decimals(2);
        ui.add(slider).labelled_by(label.id);
        if ui.button("Half").clicked() {
            desk.threshold = 0.5;
        }
        let best = ui.button("Largest sum").on_hover_text(
            "The threshold with the largest sum of sensitivity and specificity on these films (Youden); on them it flatters",
        );
        if best.clicked()
            && let Some(best) = youden_threshold(&roc_curve(&films.scores, &films.positive))
        {
            desk.threshold = best;
        }
    });
}

fn sentence_of(ui: &mut Ui, point: &OperatingPoint, class: &str) {
    let figures = [
        ("sensitivity", point.sensitivity(), point.true_positives + point.false_negatives),
        ("specificity", point.specificity(), point.true_negatives + point.false_positives),
        ("accuracy", point.accuracy(), point.n()),
        ("PPV", point.positive_predictive_value(), point.true_positives + point.false_positives),
        ("NPV", point.negative_predictive_value(), point.true_negatives + point.false_negatives),
    ];
    ui.horizontal_wrapped(|ui| {
        for (name, estimate, n) in figures {
            ui.label(RichText::new(name).weak());
            let text = estimate.map_or_else(|| "–".to_owned(), |estimate| within(&estimate, n));
            ui.label(format!("{text} of {n}"));
            ui.add_space(theme::SPACE[0]);
        }
    })
    .response
    .on_hover_text(format!(
        "Of {class} against all else, with Wilson's 95 % intervals; PPV and NPV hold for as many {class} films as there are here"
    ));
}

/// Counts films by what they are and by what they are called: two by two at the threshold; with more classes by the
/// likeliest.
fn matrix(point: &OperatingPoint, films: &Films<'_>, classes: &[String]) -> Matrix {
    let n = films.scores.len();
    let (title, names, counts) = if classes.len() == 2 {
        let other = classes.iter().find(|name| **name != films.class).cloned().unwrap_or_default();
        let counts = vec![
            vec![point.true_negatives, point.false_positives],
            vec![point.false_negatives, point.true_positives],
        ];
        ("Confusion at the threshold", vec![other, films.class.clone()], counts)
    } else {
        let count = classes.len();
        let confusion = Confusion::new(&films.held.probabilities, &films.held.truth, count);
        let row = |truth: usize| (0..count).map(|called| confusion.count(truth, called)).collect();
        ("Confusion by the likeliest class", classes.to_vec(), (0..count).map(row).collect())
    };
    let note = format!("n = {n}, {}", films.source.to_lowercase());
    Matrix { title: title.to_owned(), names, counts, note }
}

/// Draws a confusion matrix, with a menu that saves it.
fn confusion(ui: &mut Ui, matrix: &Matrix, saving: &mut Saving) {
    let Matrix { title, names, counts, note } = matrix;
    let mut save = None;
    ui.horizontal(|ui| {
        ui.label(title).on_hover_text(note);
        save = plot::save_menu(ui, title);
    });
    let side = ui.available_width().min(ui.available_height() - 2.0 * theme::SPACE[4]);
    let cell = (side - theme::SPACE[4]) / names.len() as f32;
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::hover());
    let described: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(truth, name)| {
            let called: Vec<String> = names
                .iter()
                .zip(&counts[truth])
                .map(|(called, n)| format!("{n} called {called}"))
                .collect();
            format!("{name}: {}", called.join(", "))
        })
        .collect();
    let words = format!("{title}. {}", described.join("; "));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &words));
    let origin = rect.min + vec2(theme::SPACE[4], 0.0);
    response.context_menu(|ui| save = save.or(plot::formats(ui)));
    if let Some(format) = save {
        saving.ask(ui.ctx(), Drawn::Matrix(matrix.clone()), format, rect);
    }
    let palette = theme::palette(ui);
    let painter = ui.painter();
    for (truth, row) in counts.iter().enumerate() {
        let total = row.iter().sum::<usize>().max(1);
        for (called, &n) in row.iter().enumerate() {
            let corner = origin + vec2(called as f32 * cell, truth as f32 * cell);
            let place = Rect::from_min_size(corner, vec2(cell - 2.0, cell - 2.0));
            let share = n as f32 / total as f32;
            painter.rect_filled(
                place,
                0.0,
                palette.raised.lerp_to_gamma(palette.accent, 0.45 * share),
            );
            let figure = FontId::proportional(theme::HEADING);
            painter.text(
                place.center(),
                Align2::CENTER_BOTTOM,
                n.to_string(),
                figure,
                palette.text,
            );
            let text = format!("{} of {total}", figures::share(f64::from(share), total));
            let font = theme::caption_font();
            painter.text(place.center(), Align2::CENTER_TOP, text, font, palette.text);
        }
        let font = theme::caption_font();
        let middle = origin.y + (truth as f32 + 0.5) * cell;
        let galley =
            painter.layout_no_wrap(sentence(&names[truth]), font.clone(), palette.secondary);
        let at = pos2(rect.left(), middle + galley.size().x / 2.0);
        painter.add(
            egui::epaint::TextShape::new(at, galley, palette.secondary)
                .with_angle(-std::f32::consts::FRAC_PI_2),
        );
        let below =
            pos2(origin.x + (truth as f32 + 0.5) * cell, origin.y + cell * names.len() as f32);
        let called = format!("called {}", names[truth]);
        painter.text(below, Align2::CENTER_TOP, called, font, palette.secondary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Held {
        let p = [0.1f32, 0.4, 0.6, 0.9];
        Held {
            rows: Vec::new(),
            probabilities: p.iter().flat_map(|&p| [1.0 - p, p]).collect(),
            truth: vec![0, 1, 0, 1],
        }
    }

    #[test]
    fn the_point_on_the_curve_is_that_of_the_threshold() {
        let classes = ["normal".to_owned(), "pneumonia".to_owned()];
        let held = held();
        let films = Films::new(&held, "Reference films", 1, &classes);
        let roc = films.roc(0.5);
        let here = roc.series[2].points[0];
        assert_eq!((here.x, here.y), (0.5, 0.5));
        assert!(roc.note.contains("2 of 4 films are pneumonia"));
        // (0, 0), (0, ½), (½, ½), (½, 1), (1, 1).
        assert_eq!(roc.series[1].points.len(), 5);
        assert!(roc.series[1].points.contains(&Point::new(0.5, 0.5)));
        let point = OperatingPoint::at(0.5, &films.scores, &films.positive);
        let matrix = matrix(&point, &films, &classes);
        assert_eq!(matrix.names, classes);
        assert_eq!(matrix.counts, [[1, 1], [1, 1]]);
        let reliability = films.reliability();
        assert_eq!(reliability.series[1].points.len(), 4);
        assert_eq!(reliability.series[1].points[3].y, 1.0);
    }
}
