//! The Learn view: how good is the model, after how many labels; what would come of more; where the films lie; what runs
//! now, and why.
//!
//! What takes longer than a pass is asked of the engine and drawn when its answer is there.

mod card;
pub mod curves;
mod map;
mod outlook;
mod plot;
mod runs;
mod saving;
mod threshold;

use std::sync::Arc;

use egui::{CentralPanel, Panel, ScrollArea, Ui};

use self::map::MapTab;
use self::runs::Cards;
use self::saving::Saving;
use self::threshold::Judged;
use super::app::reading::Reading;
use super::command::UiCommand;
use super::theme;
use super::widgets::{self, Notice};
use crate::engine::Command;
use crate::engine::analysis::{Analysis, Counterfactual, Insight, Question};
use crate::engine::course::AuditStream;
use crate::learn::figures::Figure;
use crate::session::Event;
use crate::session::agreement::{self, Ceiling};

/// A tab of the view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tab {
    #[default]
    Curves,
    Threshold,
    Outlook,
    Map,
    Runs,
}

impl Tab {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Curves, "Curves"),
        (Self::Threshold, "Threshold"),
        (Self::Outlook, "Outlook"),
        (Self::Map, "Map"),
        (Self::Runs, "Runs"),
    ];
}

/// What the researcher looks at, and what the engine has answered.
pub struct Desk {
    tab: Tab,
    figure: Figure,
    /// Whether curves are drawn over minutes of reading.
    minutes: bool,
    /// Whether curves are those of other orders.
    what_if: bool,
    judged: Judged,
    /// Probability from which a film is called positive, in 0..=1.
    threshold: f32,
    analysis: Option<Arc<Analysis>>,
    counterfactual: Option<Arc<Counterfactual>>,
    map: MapTab,
    cards: Cards,
    /// Name of the pretrained model.
    base: Option<String>,
    saving: Saving,
    asked: Asked,
    /// How far readers agree, and the number of entries in the log that it was measured at.
    ceiling: (u64, Option<Ceiling>),
}

/// What the last questions were about: labels and model, or entries of the log.
#[derive(Default)]
struct Asked {
    analysis: Option<(u64, String)>,
    counterfactual: Option<u64>,
    map: Option<String>,
    cards: Vec<String>,
}

impl Desk {
    /// Starts with the curves; charts are saved into `plots`.
    pub fn new(plots: std::path::PathBuf) -> Self {
        Self {
            tab: Tab::default(),
            figure: Figure::default(),
            minutes: false,
            what_if: false,
            judged: Judged::default(),
            threshold: 0.5,
            analysis: None,
            counterfactual: None,
            map: MapTab::default(),
            cards: Cards::default(),
            base: None,
            saving: Saving::into(plots),
            asked: Asked::default(),
            ceiling: (0, None),
        }
    }

    /// Measures how far readers agree, where there are several and the log has grown.
    fn measure_ceiling(&mut self, reading: &Reading) {
        let session = &reading.workspace.session;
        if session.state().readers().len() < 2 || self.ceiling.0 == session.entered() {
            return;
        }
        let films = reading.workspace.films.iter();
        let patients = films.map(|film| (film.id, film.patient.clone())).collect();
        self.ceiling = (session.entered(), agreement::ceiling(session.state(), &patients));
    }

    /// Returns the name of the model at a place among those that can be used again.
    pub fn model(&self, index: usize) -> Option<&str> {
        self.cards.keys().nth(index).map(String::as_str)
    }

    /// Takes an answer in.
    pub fn take(&mut self, insight: Insight) {
        match insight {
            Insight::Analysis(analysis) => {
                self.base = Some(analysis.base.clone());
                self.analysis = Some(analysis);
            }
            Insight::Counterfactual(found) => self.counterfactual = Some(found),
            Insight::Map(map) => self.map.take(map),
            Insight::Cards(cards) => self.cards.extend(cards),
            Insight::InUse(_) => {}
        }
    }
}

/// Draws the view.
pub fn ui(ui: &mut Ui, reading: &mut Reading, commands: &mut Vec<UiCommand>) {
    let frame = theme::panel_frame(ui, theme::card_margin());
    let card = Panel::right("learning").exact_size(theme::LEARN_CARD).resizable(false).frame(frame);
    card.show(ui, |ui| ScrollArea::vertical().show(ui, |ui| card::ui(ui, reading, commands)));
    // The desk is taken out while its tabs read the rest of the session.
    let mut desk = std::mem::replace(&mut reading.desk, Desk::new(std::path::PathBuf::new()));
    ask(&mut desk, reading);
    CentralPanel::default().frame(frame).show(ui, |ui| {
        tabs(ui, &mut desk);
        ui.add_space(theme::SPACE[0]);
        match desk.tab {
            Tab::Curves => curves::ui(ui, &mut desk, reading),
            Tab::Threshold => threshold::ui(ui, &mut desk, reading),
            Tab::Outlook => outlook::ui(ui, &mut desk, reading),
            Tab::Map => map::ui(ui, &mut desk, reading, commands),
            Tab::Runs => runs::ui(ui, &mut desk, reading, commands),
        }
    });
    desk.saving.photograph(ui.ctx());
    reading.desk = desk;
}

fn tabs(ui: &mut Ui, desk: &mut Desk) {
    ui.horizontal(|ui| {
        for (tab, name) in Tab::ALL {
            ui.selectable_value(&mut desk.tab, tab, name);
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            match desk.saving.outcome() {
                None => {}
                Some(Ok(path)) => {
                    let text =
                        egui::RichText::new(format!("Saved: {}", path.display())).small().weak();
                    ui.add(egui::Label::new(text).truncate())
                        .on_hover_text(path.display().to_string());
                }
                Some(Err(error)) => {
                    widgets::notice(ui, Notice::Fault, &format!("The plot was not saved: {error}"));
                }
            }
        });
    });
}

/// Says why there is nothing to see yet.
fn waiting(ui: &mut Ui, reading: &Reading) {
    ui.weak(if reading.engine.is_some() {
        "Working this out from the labels…"
    } else {
        "Learning is off: there is no model to look at"
    });
}

/// Asks the engine for what the open tab shows and that is out of date.
fn ask(desk: &mut Desk, reading: &Reading) {
    let (Some(engine), Some(model)) = (&reading.engine, &reading.learning.model) else { return };
    let version = reading.labels.version;
    let send = |question: Question| engine.send(Command::Ask(question));
    let wanted = Some((version, model.clone()));
    if desk.asked.analysis != wanted {
        desk.asked.analysis = wanted;
        send(Question::Analyse(AuditStream::of(reading.workspace.session.state())));
    }
    if desk.what_if && desk.tab == Tab::Curves && desk.asked.counterfactual != Some(version) {
        desk.asked.counterfactual = Some(version);
        send(Question::Counterfactual);
    }
    if desk.tab == Tab::Map && desk.asked.map.as_ref() != Some(model) {
        desk.asked.map = Some(model.clone());
        send(Question::Map);
    }
    if desk.tab == Tab::Runs && desk.base.is_some() {
        let runs = runs::runs(reading.workspace.session.entries());
        let names = runs::names(desk.base.as_deref(), &runs);
        if names != desk.asked.cards {
            desk.asked.cards.clone_from(&names);
            send(Question::Cards(names));
        }
    }
}

impl Reading {
    /// Asks the engine to take a model into use again.
    pub fn use_model(&self, index: usize) {
        if let (Some(engine), Some(model)) = (&self.engine, self.desk.model(index)) {
            engine.send(Command::Ask(Question::Use(model.to_owned())));
        }
    }

    /// Takes in what the engine answers; a model that was taken back into use goes into the log.
    pub fn take_insight(&mut self, insight: Insight) {
        if let Insight::InUse(model) = &insight {
            let before = self.learning.model.replace(model.clone());
            let swap = |event: &Event| match event {
                Event::ModelSwap { model: of, labels, .. } if of == model => Some(*labels),
                _ => None,
            };
            let entries = self.workspace.session.entries();
            let labels = entries.iter().filter_map(|entry| swap(&entry.event)).next_back();
            let from = before.map(|before| format!(" from {before}")).unwrap_or_default();
            let reason = format!("The reader went back to it{from}");
            self.model_weighed(model, true, labels.unwrap_or(0), &reason, Vec::new());
        }
        self.desk.take(insight);
    }
}
