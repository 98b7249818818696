//! The window: `penumbra` and `penumbra label`.

use super::Answer;
use super::args::{LabelArgs, RendererChoice};
use super::films::bar;
use crate::config::Home;
use crate::device::{self, DeviceChoice};
use crate::engine::workspace::{self, DEMO, LABELS_PER_LEARNING, NewSession};
use crate::ui::app::{Background, Start};
use crate::ui::{self, Renderer};

/// Opens the window: on the session asked for, made if new, else on the start screen or, the first time, the demo.
///
/// # Errors
/// Fails if the device or the session cannot be opened, or if there is no display.
pub fn run(
    home: &Home,
    label: Option<LabelArgs>,
    device: DeviceChoice,
    renderer: RendererChoice,
) -> anyhow::Result<Answer> {
    // Before the window: Vulkan loaders crash when instances come and go on several threads at once.
    let compute = device::open(device)?;
    let base_model = label.as_ref().map_or_else(|| DEMO.to_owned(), |label| label.model.clone());
    let learn_every = label.as_ref().map_or(LABELS_PER_LEARNING, |label| label.learn_every);
    let start = match label {
        Some(label) => session(home, label)?,
        None => start(home),
    };
    let renderer = match renderer {
        RendererChoice::Wgpu => Renderer::Wgpu,
        RendererChoice::Glow => Renderer::Glow,
    };
    ui::run(
        home.clone(),
        start,
        renderer,
        Background::Learning { compute, base_model, learn_every },
    )?;
    Ok(Answer::Yes)
}

/// The first time there is nothing to choose from, so the demo opens at once.
fn start(home: &Home) -> Start {
    let none = crate::session::Session::list(&home.sessions()).is_empty();
    if none && home.demo_films().is_some() { Start::Demo } else { Start::Screen }
}

fn session(home: &Home, label: LabelArgs) -> anyhow::Result<Start> {
    let exists = home.session(&label.session).join("session.json").is_file();
    let Some(images) = label.images.filter(|_| !exists) else {
        return Ok(if label.session == DEMO { Start::Demo } else { Start::Session(label.session) });
    };
    let bar = bar("indexing films");
    let new = NewSession {
        audit_share: label.audit_share,
        ..NewSession::new(label.session.clone(), images)
    };
    let scan = workspace::create(home, &new, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    for film in &scan?.refused {
        eprintln!("refused: {}: {}", film.reason, film.file);
    }
    Ok(Start::Session(label.session))
}
