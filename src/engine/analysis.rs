//! The analysis thread: answers what the researcher asks of a session, from cached embeddings, beside ranking and learning,
//! at low priority and on one core.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::inbox::{Inbox, panic_text};
use super::options::Options;
use super::protocol::{Cards, Event, Insight, Question};
use crate::device;
use crate::model::folder::load_card;
use crate::study::analysis::{Task, analyse, counterfactual, film_map};
use crate::study::{Embedded, LabelSet};

/// Runs until the flags close; a panic ends the analysis that it was in.
pub(super) fn run(options: &Arc<Options>, inbox: &Arc<Inbox>) {
    // Its own pool of one thread: the process's global one would run beside the window.
    if let Err(error) = device::enter_compute_pool(1, true) {
        tracing::warn!("no analysis: {error}");
        return;
    }
    loop {
        inbox.analysis.wait();
        while let Some(question) = next(inbox) {
            let work = AssertUnwindSafe(|| answer(options, inbox, question));
            if let Err(panic) = catch_unwind(work) {
                inbox.warn(format!("An analysis failed: {}", panic_text(panic.as_ref())));
            }
            if inbox.flags.closing() {
                return;
            }
        }
        if inbox.flags.closing() {
            return;
        }
    }
}

/// Returns a question that can be answered now: all but those about cards wait for the films to be embedded and ranked.
fn next(inbox: &Inbox) -> Option<Question> {
    let mut state = inbox.state();
    let ready = state.base.is_some() && state.ranked.is_some();
    let can = |question: &Question| ready || matches!(question, Question::Cards(_));
    let place = state.questions.iter().position(can)?;
    Some(state.questions.remove(place))
}

fn answer(options: &Options, inbox: &Inbox, question: Question) {
    let tell = |insight: Insight| inbox.send(Event::Insight(insight));
    let state = inbox.state();
    let (labels, ranked) = (Arc::clone(&state.labels), state.ranked.clone());
    let (base, in_use) = (state.base.clone(), state.in_use.clone());
    drop(state);
    let observe = &mut || inbox.flags.until_closed();
    match (question, base, in_use) {
        (Question::Cards(names), ..) => tell(Insight::Cards(cards(options, names))),
        (Question::Analyse(audit), Some(base), Some(in_use)) => {
            // The head is of the model in use, but for the moment in which another has been taken into use.
            let head = ranked.filter(|ranked| ranked.model == in_use.model);
            let task = task(options, base, &labels);
            let head = head.map(|ranked| ranked.head);
            if let Some(mut analysis) = analyse(&task, &in_use, head.as_deref(), observe) {
                analysis.audit = audit.curve(options.classes.len(), options.positive);
                analysis.held_before_the_label = audit.held;
                tell(Insight::Analysis(Arc::new(analysis)));
            }
        }
        (Question::Counterfactual, Some(base), _) => {
            let found = counterfactual::replay(&task(options, base, &labels), observe);
            if let Some(found) = found {
                tell(Insight::Counterfactual(Arc::new(found)));
            }
        }
        (Question::Map, _, Some(in_use)) => {
            film_map::draw(&in_use, options.seed, observe, &mut |map| {
                tell(Insight::Map(Arc::new(map)));
            });
        }
        (Question::Analyse(_) | Question::Counterfactual | Question::Map, ..) => {}
    }
}

fn task(options: &Options, base: Embedded, labels: &LabelSet) -> Task {
    Task {
        base,
        ids: options.pool.ids.clone(),
        labels: labels.clone(),
        positive: options.positive,
        seed: options.seed,
    }
}

/// Reads the cards of models, or says why one cannot be read.
fn cards(options: &Options, names: Vec<String>) -> Cards {
    let card = |name: String| {
        let folder = if name == options.base_name {
            options.base_model.clone()
        } else {
            options.models.join(&name)
        };
        let card = load_card(&folder).map(Box::new).map_err(|error| error.to_string());
        (name, card)
    };
    names.into_iter().map(card).collect()
}
