//! What the window writes into the session: answers, what was on screen, measurements.

use std::time::Duration;

use crate::dataset::FilmId;
use crate::session::{Class, Event, Opinion, Shown};
use crate::study::{QueuedFilm, Ranking};
use crate::ui::film_view::Displayed;
use crate::ui::reply::Reply;

/// What was before the reader at the moment of the answer.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// How the film was drawn.
    pub display: Displayed,
    /// How long it was on screen.
    pub time: Duration,
    /// Model that ranked it.
    pub model: Option<&'a str>,
    /// Whether the model's opinion of it had been shown before.
    pub opinion: bool,
    /// What the model holds of it, where that is to be recorded.
    pub held: Option<Opinion>,
}

/// Returns the event of a reply, `None` for a class that the session has not.
pub fn answered(
    film: FilmId,
    reply: Reply,
    classes: &[Class],
    queued: &QueuedFilm,
    seen: Seen<'_>,
) -> Option<Event> {
    if reply == Reply::Later {
        return Some(Event::Skip { film, source: Some(queued.source.for_log()) });
    }
    let answer = reply.answer(classes)?;
    let (shown, ms) = shown(seen);
    Some(Event::Label { film, answer, ms, source: queued.source.for_log(), shown })
}

/// Returns what was on screen and for how many milliseconds.
pub fn shown(seen: Seen<'_>) -> (Shown, u64) {
    let Displayed { window, zoom, inverted, orientation } = seen.display;
    let shown = Shown {
        model: seen.model.unwrap_or_default().to_owned(),
        window_centre: window.centre,
        window_width: window.width,
        zoom,
        inverted,
        mirrored: orientation.mirrored,
        quarter_turns: orientation.quarters,
        opinion_visible: seen.opinion,
        opinion: seen.held,
    };
    (shown, u64::try_from(seen.time.as_millis()).unwrap_or(u64::MAX))
}

/// Returns the measurement that a ranking carries, if it has reference films and its figures are defined.
pub fn measure(ranking: &Ranking) -> Option<Event> {
    let metrics = ranking.reference.as_ref()?;
    let (accuracy, auroc) = (metrics.accuracy.value as f32, metrics.auroc.as_ref()?.value as f32);
    let defined = accuracy.is_finite() && auroc.is_finite();
    let model = ranking.model.clone();
    defined.then_some(Event::Measure {
        labels: ranking.labels,
        accuracy,
        auroc,
        n: metrics.n,
        model,
    })
}
