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

use std::path::PathBuf;
use std::sync::Arc;

use egui::{CentralPanel, Panel, ScrollArea, Ui};

use self::map::MapTab;
use self::runs::Cards;
use self::saving::Saving;
use self::threshold::Judged;
use super::reading::{Reading, Study};
use super::request::Request;
use super::small_films::SmallFilms;
use super::theme;
use super::widgets::{self, Notice};
use crate::engine::{Insight, Question};
use crate::learn::figures::Figure;
use crate::session::agreement::{self, Ceiling};
use crate::study::AuditStream;
use crate::study::analysis::{Analysis, Counterfactual};

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
    pub fn new(plots: PathBuf) -> Self {
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

    /// Draws the view.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        reading: &Reading,
        small: &mut SmallFilms,
        requests: &mut Vec<Request>,
    ) {
        let frame = theme::panel_frame(ui, theme::card_margin());
        let card =
            Panel::right("learning").exact_size(theme::LEARN_CARD).resizable(false).frame(frame);
        card.show(ui, |ui| ScrollArea::vertical().show(ui, |ui| card::ui(ui, reading, requests)));
        self.ask(reading, requests);
        CentralPanel::default().frame(frame).show(ui, |ui| {
            tabs(ui, self);
            ui.add_space(theme::SPACE[0]);
            match self.tab {
                Tab::Curves => curves::ui(ui, self, reading),
                Tab::Threshold => threshold::ui(ui, self, reading),
                Tab::Outlook => outlook::ui(ui, self, reading),
                Tab::Map => map::ui(ui, self, reading, small, requests),
                Tab::Runs => runs::ui(ui, self, reading, requests),
            }
        });
        self.saving.photograph(ui.ctx());
    }

    /// Measures how far readers agree, where there are several and the log has grown.
    fn measure_ceiling(&mut self, study: &Study) {
        let entered = study.session().entered();
        if !study.has_review() || self.ceiling.0 == entered {
            return;
        }
        let films = study.films().iter();
        let patients = films.map(|film| (film.id, film.patient.clone())).collect();
        self.ceiling = (entered, agreement::ceiling(study.state(), &patients));
    }

    /// Asks for what the open tab shows and that is out of date.
    fn ask(&mut self, reading: &Reading, requests: &mut Vec<Request>) {
        let (true, Some(model)) = (reading.learner.is_on(), &reading.learner.known().model) else {
            return;
        };
        let study = &reading.study;
        let version = study.labels().version;
        let mut ask = |question: Question| requests.push(Request::Ask(question));
        let wanted = Some((version, model.clone()));
        if self.asked.analysis != wanted {
            self.asked.analysis = wanted;
            ask(Question::Analyse(AuditStream::of(study.state())));
        }
        if self.what_if && self.tab == Tab::Curves && self.asked.counterfactual != Some(version) {
            self.asked.counterfactual = Some(version);
            ask(Question::Counterfactual);
        }
        if self.tab == Tab::Map && self.asked.map.as_ref() != Some(model) {
            self.asked.map = Some(model.clone());
            ask(Question::Map);
        }
        if self.tab == Tab::Runs && self.base.is_some() {
            let runs = runs::runs(study.session().entries());
            let names = runs::names(self.base.as_deref(), &runs);
            if names != self.asked.cards {
                self.asked.cards.clone_from(&names);
                ask(Question::Cards(names));
            }
        }
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
        }
    }
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
    ui.weak(if reading.learner.is_on() {
        "Working this out from the labels…"
    } else {
        "Learning is off: there is no model to look at"
    });
}
