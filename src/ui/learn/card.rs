//! The card beside the curves: what runs now, why, how long it still takes, and what ranks.

use egui::{ComboBox, Ui};

use crate::query::Strategy;
use crate::ui::command::UiCommand;
use crate::ui::reading::Reading;
use crate::ui::request::Request;
use crate::ui::widgets::{self, Notice};
use crate::ui::words::sentence;

/// Draws the card.
pub fn ui(ui: &mut Ui, reading: &Reading, requests: &mut Vec<Request>) {
    let learning = reading.learner.known();
    ui.heading("Now");
    if let Some(reason) = &learning.failed {
        widgets::notice(ui, Notice::Fault, reason);
    } else if !reading.learner.is_on() {
        ui.label("Learning is off: films come in random order");
    } else {
        running(ui, reading, requests);
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
    if reading.learner.is_on() {
        strategy(ui, (learning.strategy, learning.stand_in), requests);
    }
    let warnings = reading.study.notices().iter().chain(&learning.warnings);
    for (place, warning) in warnings.enumerate() {
        if place == 0 {
            widgets::section(ui, "Worth knowing");
        }
        widgets::notice(ui, Notice::Warning, warning);
    }
}

fn running(ui: &mut Ui, reading: &Reading, requests: &mut Vec<Request>) {
    let learning = reading.learner.known();
    if let Some(share) = learning.done() {
        ui.label(learning.chip().unwrap_or_default());
        widgets::progress_bar(ui, share, "Progress of what runs now");
    }
    let Some(progress) = &learning.progress else {
        if learning.done().is_none() {
            ui.label("Nothing runs; films are ranked anew after each label");
        }
        if ui.button(UiCommand::TrainNow.text(&[])).clicked() {
            requests.push(UiCommand::TrainNow.into());
        }
        return;
    };
    if let Some(why) = &learning.why {
        widgets::fact(ui, "Why", &sentence(why));
    }
    widgets::fact(ui, "Labels", &progress.labels.to_string());
    if let Some(training) = progress.training {
        let epochs = format!("{} of {}", training.epoch + 1, training.epochs);
        widgets::fact(ui, "Epoch", &epochs);
        widgets::fact(ui, "Loss", &format!("{:.3}", training.loss));
    }
    widgets::fact(ui, "Speed", &format!("{:.0} films/s", progress.images_per_second));
    if let Some(memory) = progress.memory {
        widgets::fact(ui, "Memory of the program", &format!("{} MiB", memory >> 20));
    }
    ui.horizontal(|ui| {
        for command in [UiCommand::Pause(!progress.paused), UiCommand::Cancel] {
            if ui.button(command.text(&[])).clicked() {
                requests.push(command.into());
            }
        }
    });
}

/// Offers the strategies; given the one in force or asked for and the one that stands in for it.
fn strategy(
    ui: &mut Ui,
    (current, stand_in): (Option<Strategy>, Option<Strategy>),
    requests: &mut Vec<Request>,
) {
    widgets::section(ui, "Strategy");
    let text = current.map_or_else(|| "Not yet ranked".to_owned(), |strategy| strategy.to_string());
    let chooser = ComboBox::from_id_salt("strategy")
        .width(ui.available_width())
        .height(ui.ctx().content_rect().height() / 2.0)
        .selected_text(text);
    let response = chooser.show_ui(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for strategy in Strategy::ALL {
            let selected = current == Some(strategy);
            if widgets::choice(ui, selected, strategy.name(), strategy.describe()).clicked() {
                requests.push(Request::Strategy(strategy));
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
    use crate::ui::theme::{self, WINDOW_MIN};

    #[test]
    fn every_strategy_is_offered_with_what_it_means_within_the_smallest_window() {
        let chosen: Vec<Request> = Vec::new();
        let mut harness = Harness::builder().with_size(WINDOW_MIN).build_ui_state(
            |ui, requests: &mut Vec<Request>| {
                theme::apply(ui.ctx());
                let asked = Some(Strategy::AugmentationVariance);
                strategy(ui, (asked, Some(Strategy::Margin)), requests);
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
        assert_eq!(harness.state()[..], [Request::Strategy(Strategy::ProbCover)]);
    }
}
