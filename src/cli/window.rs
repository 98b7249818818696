//! The window: `penumbra` and `penumbra label`.

use anyhow::bail;

use super::answer::Answer;
use super::args::{Args, LabelArgs, RendererChoice};
use super::films::{bar, progress};
use crate::config::{DEMO, Home, Readers};
use crate::device;
use crate::engine::LearningPlan;
use crate::session::Session;
use crate::study::workspace::{self, NewSession, RETURN_AFTER};
use crate::ui::app::{Background, Start};
use crate::ui::{self, Renderer};

/// Opens the window: on the session asked for, made if new, else on the start screen or, the first time, the demo.
///
/// # Errors
/// Fails if the device or the session cannot be opened, or if there is no display.
pub fn run(home: &Home, label: Option<&LabelArgs>, args: &Args) -> anyhow::Result<Answer> {
    // Before the window: Vulkan loaders crash when instances come and go on several threads at once.
    let mut compute = device::open(args.device)?;
    compute.threads = args.threads.unwrap_or(compute.threads).max(1);
    let base_model = label.and_then(|label| label.model.clone());
    let plan = label.map_or_else(LearningPlan::default, |label| LearningPlan {
        every: label.learn_every,
        distill: label.distill,
    });
    let start = match label {
        Some(label) => session(home, label)?,
        None => start(home),
    };
    let renderer = match args.renderer {
        RendererChoice::Auto => Renderer::Auto,
        RendererChoice::Wgpu => Renderer::Wgpu,
        RendererChoice::Glow => Renderer::Glow,
    };
    let background = Background::Learning { compute, base_model, plan };
    let return_after = label.map_or(RETURN_AFTER, |label| label.later_after);
    let reader = label.and_then(|label| label.reader.as_deref());
    if let Some(reader) = reader {
        let mut readers = Readers::load(home);
        readers.choose(reader).map_err(anyhow::Error::msg)?;
        readers.save(home)?;
    }
    let return_after = Some(return_after).filter(|&films| films > 0);
    ui::run(home, &start, renderer, &background, return_after, reader)?;
    Ok(Answer::Yes)
}

/// The first time there is nothing to choose from, so the demo opens at once.
fn start(home: &Home) -> Start {
    let none = Session::list(&home.sessions()).is_empty();
    if none && home.demo_films().is_some() { Start::Demo } else { Start::Screen }
}

fn session(home: &Home, label: &LabelArgs) -> anyhow::Result<Start> {
    let exists = home.session(&label.session).join("session.json").is_file();
    if exists && label.images.is_some() {
        bail!(
            "the session {:?} is there already and keeps its films; leave --images out",
            label.session
        );
    }
    if let Some(images) = &label.images {
        if label.session == DEMO {
            bail!(
                "the session {DEMO:?} is the demo's; name one for these films with --session: {}",
                images.display()
            );
        }
        make(home, label, images.clone())?;
    } else if label.session == DEMO {
        return Ok(Start::Demo);
    } else if !exists {
        bail!("there is no session {:?}; give its films with --images to make it", label.session);
    }
    Ok(Start::Session(label.session.clone()))
}

fn make(home: &Home, label: &LabelArgs, images: std::path::PathBuf) -> anyhow::Result<()> {
    let bar = bar("indexing films");
    let new = NewSession {
        audit_share: label.audit_share,
        classes: label.classes.0.clone(),
        ..NewSession::new(label.session.clone(), images)
    };
    let scan = workspace::create(home, &new, &|done, total| progress(&bar, done, total));
    bar.finish_and_clear();
    for film in &scan?.refused {
        eprintln!("refused: {film}");
    }
    Ok(())
}
